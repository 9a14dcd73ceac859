package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/recording"
)

const (
	defaultListen = "127.0.0.1:4141"
	defaultRegion = "us-east-1"
)

func defaultData() string {
	dir, err := datadir.Default(os.Getenv)
	if err != nil {
		return "outcrop-data"
	}
	return dir
}

// dataOption is the data folder, for every command that uses one.
type dataOption struct {
	Data    string `type:"path" default:"${data}" placeholder:"DIR" help:"Data folder: the account, its keys, and the calls that are kept with what was said in them. Default: ${default}."`
	KeyFile string `type:"path" placeholder:"FILE" help:"File of the age key that seals the data folder, if it is kept elsewhere."`
}

// logOption is a data folder whose calls are read: that takes no key.
type logOption struct {
	Data string `type:"path" default:"${data}" placeholder:"DIR" help:"Data folder whose calls are meant. Default: ${default}."`
}

// open sets the folder up on its first use, and attaches to it beside a server
// that may be running.
func (d dataOption) open() (*datadir.Folder, error) {
	o := datadir.Options{KeyFile: d.KeyFile}
	f, err := datadir.Attach(d.Data, o)
	if !errors.Is(err, datadir.ErrNotSetUp) {
		return f, err
	}
	first, err := datadir.Open(d.Data, o)
	if err != nil {
		return nil, err
	}
	if err := first.Close(); err != nil {
		return nil, err
	}
	return datadir.Attach(d.Data, o)
}

// existing attaches to a data folder that is there: who reads it makes none.
func (d dataOption) existing() (*datadir.Folder, error) {
	f, err := datadir.Attach(d.Data, datadir.Options{KeyFile: d.KeyFile})
	if errors.Is(err, datadir.ErrNotSetUp) {
		return nil, tell(err, "there is no data folder yet at %s: %s run makes one", d.Data, self())
	}
	return f, err
}

// serveOptions are the settings of a server, on the command line and in
// outcrop.yaml.
type serveOptions struct {
	Listen string `default:"${listen}" placeholder:"ADDR" help:"Address to serve on; port 0 takes a free one. Default: ${default}."`
	dataOption
	answerOptions
	Tls bool   `help:"Serve TLS as well, on the same port, with a certificate of a local CA."`
	Log string `enum:"text,json,off" default:"text" placeholder:"FORM" help:"Access log on standard error: text, json or off. Default: ${default}."`

	Metrics      string        `enum:"loopback,all,off" default:"loopback" placeholder:"WHO" help:"Who may read /metrics, which needs no key: loopback (this machine), all, or off. Default: ${default}."`
	DrainDelay   time.Duration `placeholder:"TIME" help:"How long a server that is to stop still takes calls while /readyz says no, such as 15s. Behind a load balancer: longer than it needs to notice. Default: not at all."`
	DrainTimeout time.Duration `default:"10s" placeholder:"TIME" help:"How long calls under way may take to finish after --drain-delay. Default: ${default}."`

	InsecureSkipAuth bool `help:"Let everyone in. Only on a loopback address."`

	temporary bool // it ends with the command that started it: see state
	tape      *recording.Tape
}

// answerOptions are what any command says that starts a server: how it answers.
type answerOptions struct {
	Config  string `type:"path" placeholder:"FILE" help:"Configuration file; its keys are the flags of serve, with _ for -."`
	Region  string `default:"${region}" placeholder:"REGION" help:"Region of a call whose credential and host name none. Default: ${default}."`
	Strict  bool   `help:"Answer as AWS does today, where that differs from the page."`
	Access  string `enum:"all,manual" default:"all" placeholder:"WHICH" help:"Models that an account has before it asks: all, or none (manual), as at AWS before its first agreement. Default: ${default}."`
	MaxBody int64  `placeholder:"BYTES" help:"Lower the limits of request bodies to this. Default: AWS's, by operation."`

	Upstream        string   `default:"local" placeholder:"WHAT" help:"Who answers: local (a small model on this machine), bedrock (real Amazon Bedrock, billed to your AWS account), scripted (an echo), scripted:FILE, replay:FILE (what outcrop record has captured), or the http(s) URL of a server that speaks Anthropic Messages. Default: ${default}."`
	UpstreamModel   string   `placeholder:"NAME" help:"Model name to send to a URL upstream, in place of Claude's."`
	UpstreamKey     string   `placeholder:"KEY" help:"API key of a URL upstream. Better in the environment than on the command line."`
	UpstreamCan     []string `default:"images,documents,tools,thinking" enum:"images,documents,tools,thinking,text" placeholder:"WHAT" help:"What a URL upstream can do, of images, documents, tools, thinking; text is nothing more. Documents that it cannot read come to it as the text and pictures of their pages. Default: ${default}."`
	UpstreamRegions []string `placeholder:"REGION" help:"AWS Regions that a URL upstream stands in; without them a server elsewhere gets global ids alone."`

	bedrockOptions
	activityOptions
	limitOptions
	Prices ownPrices `placeholder:"JSON" help:"Prices of your own, over the list's, best as a list in outcrop.yaml: model, endpoint, class, prompt, from, until, and usd (a million tokens) or discount_percent."`

	Model     string `type:"path" placeholder:"FILE" help:"GGUF file for the local engine. Default: SmolLM2-135M-Instruct."`
	EngineDir string `type:"path" placeholder:"DIR" help:"Folder of llama.cpp's libraries for the local engine."`
	Lossy     string `enum:"refuse,warn" default:"refuse" placeholder:"WHAT" help:"What a translation between Converse and Messages cannot carry: refuse the call, or warn: leave it out, and name it in x-outcrop-dropped and the log. Default: ${default}."`
	Cache     string `type:"path" placeholder:"DIR" help:"Where the engine and its model are kept. Default: the user's cache folder."`
}

// Validate finds what no server starts with, for config check too.
func (o *answerOptions) Validate() error {
	if _, _, err := upstreamKind(o.Upstream); err != nil {
		return err
	}
	for _, part := range []interface{ Validate() error }{&o.bedrockOptions, &o.activityOptions, &o.limitOptions} {
		if err := part.Validate(); err != nil {
			return err
		}
	}
	if o.Region == defaultRegion {
		return nil
	}
	c, err := catalog.Load()
	if err != nil {
		return err
	}
	if _, ok := c.Partition(o.Region); !ok {
		return misuse("--region: %s", unknownRegion(c, o.Region))
	}
	return nil
}

// unknownRegion is what is said of a Region that the catalog does not have. It may
// be a new one: no call could be routed from there, since it is in no wall.
func unknownRegion(c *catalog.Catalog, region string) string {
	said := fmt.Sprintf("unknown Region %q%s", region, near(region, c.Regions()))
	if identity.RegionName(region) {
		said += below(fmt.Sprintf("this outcrop knows the Regions of %s; where a call from a newer one may go it cannot tell: that needs a newer outcrop", c.AsOf().Format(time.DateOnly)))
	}
	return said
}

// BeforeResolve gives the parse what the configuration file says.
func (o *answerOptions) BeforeResolve(k *kong.Kong, ctx *kong.Context) error {
	s, err := settingsOf(k, ctx)
	if err != nil {
		return err
	}
	ctx.AddResolver(s.resolver())
	return nil
}

// settingsOf are those of the file that --config names, or of the default one,
// held to the flags of serve.
func settingsOf(k *kong.Kong, ctx *kong.Context) (settings, error) {
	named := ""
	for _, f := range ctx.Selected().Flags {
		if f.Name == "config" {
			named = ctx.FlagValue(f).(string)
		}
	}
	s, path, err := loadSettings(named)
	if err != nil {
		return nil, err
	}
	if err := s.check(serveFlags(k.Model)); err != nil {
		return nil, fmt.Errorf("config %s: %w", path, err)
	}
	return s, nil
}

// serveFlags are what a configuration file may set, whichever command reads it.
func serveFlags(app *kong.Application) []*kong.Flag {
	for _, n := range app.Children {
		if n.Name == "serve" {
			return n.Flags
		}
	}
	return nil
}
