package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/outcrop-dev/outcrop/internal/datadir"
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
	Data    string `type:"path" default:"${data}" placeholder:"DIR" help:"Data folder: account, keys. Default: ${default}."`
	KeyFile string `type:"path" placeholder:"FILE" help:"File of the age key that seals the data folder, if it is kept elsewhere."`
}

// serveOptions are the settings of a server, on the command line and in
// outcrop.yaml.
type serveOptions struct {
	Config string `type:"path" placeholder:"FILE" help:"Configuration file; its keys are these flags, with _ for -."`
	Listen string `default:"${listen}" placeholder:"ADDR" help:"Address to serve on; port 0 takes a free one. Default: ${default}."`
	dataOption
	Region  string `default:"${region}" help:"Region of a call whose credential and host name none. Default: ${default}."`
	Strict  bool   `help:"Answer as AWS does today, where that differs from the page."`
	MaxBody int64  `placeholder:"BYTES" help:"Lower the limits of request bodies to this."`
	Tls     bool   `help:"Serve TLS as well, on the same port, with a certificate of a local CA."`
	Log     string `enum:"text,json,off" default:"text" help:"Access log on standard error: text, json or off. Default: text."`

	Upstream        string   `default:"local" placeholder:"WHAT" help:"Who answers: local (a small model on this machine), scripted (an echo), scripted:FILE, or the http(s) URL of a server that speaks Anthropic Messages. Default: local."`
	UpstreamModel   string   `placeholder:"NAME" help:"Model name to send to a URL upstream, in place of Claude's."`
	UpstreamKey     string   `placeholder:"KEY" help:"API key of a URL upstream. Better in the environment than on the command line."`
	UpstreamRegions []string `placeholder:"REGION" help:"AWS Regions that a URL upstream stands in; without them a server elsewhere gets global ids alone."`

	Model     string `type:"path" placeholder:"FILE" help:"GGUF file for the local engine. Default: SmolLM2-135M-Instruct."`
	EngineDir string `type:"path" placeholder:"DIR" help:"Folder of llama.cpp's libraries for the local engine."`
	Cache     string `type:"path" placeholder:"DIR" help:"Where the engine and its model are kept. Default: the user's cache folder."`

	InsecureSkipAuth bool `help:"Let everyone in. Only on a loopback address."`
}

// configArg finds --config before the command line is parsed, since the file
// gives defaults to the parse.
func configArg(args []string) string {
	for i, a := range args {
		if a == "--" {
			break
		}
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			return v
		}
		if a == "--config" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// readsConfig says which commands start a server.
func readsConfig(args []string) bool {
	for _, a := range args {
		switch {
		case strings.HasPrefix(a, "-"):
			continue
		default:
			return a == "serve" || a == "run" || a == "tour" || a == "exec"
		}
	}
	return false
}

// parseServe reads s as serve would, without a command line.
func parseServe(s settings) (*serveOptions, error) {
	var o struct{ serveOptions }
	k, err := kong.New(&o, kong.DefaultEnvars("OUTCROP"), kong.Resolvers(s.resolver()), kong.Writers(io.Discard, os.Stderr), kong.Exit(func(int) {}),
		kong.Vars{"data": defaultData(), "listen": defaultListen, "region": defaultRegion})
	if err != nil {
		return nil, err
	}
	if err := s.check(k.Model.Node.Flags); err != nil {
		return nil, err
	}
	if _, err := k.Parse(nil); err != nil {
		return nil, fmt.Errorf("%w", err)
	}
	return &o.serveOptions, nil
}
