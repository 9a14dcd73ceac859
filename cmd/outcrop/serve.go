package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type serveCmd struct{ serveOptions }

func (serveCmd) Help() string {
	return `Examples:

  outcrop serve
  outcrop serve --upstream scripted --listen 127.0.0.1:0
  outcrop serve --upstream bedrock --allow-regions eu-west-1,eu-central-1 --limit-usd-per-day 5

Each flag is a key of outcrop.yaml too, with _ for -, which outcrop config check looks
through: a flag wins over its variable, and that over the file. Clients come in with
what outcrop env prints. Ctrl-C ends it, once the calls under way are answered.`
}

func (c *serveCmd) Run(ctx context.Context, con console) error {
	s, err := startServer(&c.serveOptions, con)
	if err != nil {
		return err
	}
	s.banner(con.Err, &c.serveOptions)
	return s.wait(ctx)
}

// banner says who answers, who pays, and how to come in.
func (s *server) banner(w io.Writer, o *serveOptions) {
	fmt.Fprintf(w, "outcrop %s serves Amazon Bedrock on %s\n", version, s.URL)
	if s.Upstream.Capabilities().Bills {
		fmt.Fprintf(w, "  answers   %s: real Claude\n  BILLED    %s\n", s.Upstream.Name(), s.billed())
	} else {
		fmt.Fprintf(w, "  answers   %s: not Claude, and nothing is billed\n", s.Upstream.Name())
	}
	if s.Note != "" {
		fmt.Fprintf(w, "  note      %s\n", s.Note)
	}
	if o.Strict {
		fmt.Fprintf(w, "  strict    as AWS is today\n")
	}
	if o.InsecureSkipAuth {
		fmt.Fprintf(w, "  WARNING   everyone who reaches this address may call: --insecure-skip-auth\n")
	}
	fmt.Fprintf(w, "  data      %s (account %s)\n", o.Data, s.Account)
	for _, name := range slices.Sorted(maps.Keys(o.Destinations)) {
		fmt.Fprintf(w, "  delivers  invocation logs of the bucket %s, where an account asks for it, to %s\n", name, o.Destinations[name])
	}
	if found := foreignCredentials(); len(found) > 0 && !s.Upstream.Capabilities().Bills {
		fmt.Fprintf(w, "  not used  %s: real AWS is called only with --upstream bedrock\n", strings.Join(found, ", "))
	}
	fmt.Fprintf(w, "  clients   eval \"$(%s env%s)\"\n", self(), o.dataFlag())
}

// billed says whose AWS account pays.
func (s *server) billed() string {
	var names []string
	for _, a := range s.accounts {
		name := a.Name
		if a.Number != "" {
			name += " (" + a.Number + ")"
		}
		if name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "whoever the default AWS credentials belong to; outcrop whoami --aws says who"
	}
	return "the AWS accounts " + strings.Join(names, ", ")
}

func (o *serveOptions) dataFlag() string {
	if o.Data == defaultData() {
		return ""
	}
	return " --data " + quoteSh(o.Data)
}

// foreignCredentials names the credentials that lie about and are not used,
// never their values.
func foreignCredentials() []string {
	var found []string
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "AWS_WEB_IDENTITY_TOKEN_FILE", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"} {
		if os.Getenv(name) != "" {
			found = append(found, name)
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		if _, err := os.Stat(filepath.Join(home, ".aws", "credentials")); err == nil {
			found = append(found, "~/.aws/credentials")
		}
	}
	return found
}
