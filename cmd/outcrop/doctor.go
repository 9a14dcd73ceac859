package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

type doctorCmd struct {
	targetOption `set:"aws=Look at the way to the real Amazon Bedrock, with the environment's AWS credentials. No model is called, and nothing is billed."`
	ModelID      string `name:"model" short:"m" default:"${model}" env:"OUTCROP_MODEL_ID" placeholder:"ID" help:"Model that is to be called. Default: ${default}."`
	Cache        string `type:"path" placeholder:"DIR" help:"Where the local engine and its model are kept. Default: the user's cache folder."`
	JSON         bool   `name:"json" help:"Print JSON."`
}

func (doctorCmd) Help() string {
	return `Examples:

  outcrop doctor
  outcrop doctor --aws -m claude-sonnet-4-6
  outcrop doctor --endpoint https://gateway.example

Looks at everything between here and an answer: without flags at this machine, and at the server on the data folder.
Each line says that it is well, or what to do. Nothing is changed and no model is called. The exit code is 1 when a line
fails; "!" alone is advice.

` + targetHelp
}

type verdict string

const (
	well   verdict = "pass"
	advice verdict = "advice"
	ill    verdict = "fail"
	unseen verdict = "skip"
)

// finding is a line of the doctor's.
type finding struct {
	What   string  `json:"check"`
	Result verdict `json:"result"`
	Found  string  `json:"found"`
	Do     string  `json:"do,omitempty"`
}

// doctor writes findings down. A check ends where it knows.
type doctor struct {
	doctorCmd
	each     func(finding)
	findings []finding
	proxied  bool // the target is reached through a proxy
}

func (d *doctor) say(what string, v verdict, do, format string, args ...any) {
	f := finding{what, v, fmt.Sprintf(format, args...), do}
	d.findings = append(d.findings, f)
	d.each(f)
}

func (d *doctor) well(what, format string, args ...any) { d.say(what, well, "", format, args...) }

func (d *doctor) skip(what, format string, args ...any) { d.say(what, unseen, "", format, args...) }

func (c *doctorCmd) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	d := &doctor{doctorCmd: *c, each: func(finding) {}}
	if !c.JSON {
		paint := con.painter(con.Out)
		d.each = func(f finding) { f.print(visible{con.Out}, paint) }
	}
	d.examine(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.JSON {
		if err := con.writeJSON(d.findings); err != nil {
			return err
		}
	}
	for _, f := range d.findings {
		if f.Result == ill {
			return exitCode(exitFailed)
		}
	}
	return nil
}

// examine goes from here outwards. What AWS has is asked of AWS alone if it is
// named, and before that nothing leaves this machine but to a named endpoint.
func (d *doctor) examine(ctx context.Context) {
	d.variables()
	local := false
	if !d.AWS && d.Endpoint == "" {
		value, _ := firstSet(runtimeEndpoints)
		local = value == ""
	}
	if local {
		st, up := running(ctx, d.Data)
		if !d.dataFolder(ctx, st, up) {
			return
		}
		d.well("region", "%s, the server's", cmp.Or(d.Region, st.Region))
	} else {
		d.region()
	}
	t, err := d.open(ctx, "doctor")
	if err != nil {
		do := ""
		if profile := os.Getenv("AWS_PROFILE"); profile != "" && strings.Contains(err.Error(), profile) {
			do = "unset AWS_PROFILE, or name one of aws configure list-profiles"
		}
		d.say("client", ill, do, "%s", flush(err))
		return
	}
	d.ask(ctx, t)
}

// ask goes to the target.
func (d *doctor) ask(ctx context.Context, t *target) {
	d.proxies(t)
	credentials := d.credentials(ctx, t)
	if !d.reach(ctx, t) || !credentials {
		return
	}
	if !d.identity(ctx, t) {
		return
	}
	d.model(ctx, t)
	d.quota(ctx, t)
}

func (f finding) print(w io.Writer, paint painter) {
	mark := map[verdict]string{well: paint(green, "✓"), advice: paint(yellow, "!"), ill: paint(red, "✗"), unseen: "–"}[f.Result]
	found := strings.ReplaceAll(f.Found, "\n", "\n"+strings.Repeat(" ", 17))
	// The mark is our own, and the only part that may colour.
	if v, ok := w.(visible); ok {
		fmt.Fprintf(v.w, "%s ", mark)
	}
	fmt.Fprintf(w, "%-14s %s\n", f.What, found)
	if f.Do != "" {
		fmt.Fprintf(w, "%-16s → %s\n", "", strings.ReplaceAll(f.Do, "\n", "\n"+strings.Repeat(" ", 19)))
	}
}

// painter puts colour around a text, or does not.
type painter func(colour, text string) string

const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// painter colours for terminals whose user has not said NO_COLOR.
func (c console) painter(w io.Writer) painter {
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return func(_, text string) string { return text }
	}
	return func(colour, text string) string { return "\x1b[" + colour + "m" + text + "\x1b[0m" }
}
