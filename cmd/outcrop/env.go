package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/clientenv"
)

type envCmd struct {
	dataOption
	Format string `enum:"sh,json,powershell,fish" default:"sh" placeholder:"SHELL" help:"sh (bash, zsh and their like), fish, powershell, or json. Default: ${default}."`
}

func (envCmd) Help() string {
	return `Examples, by shell:

  eval "$(outcrop env)"                                          sh, bash, zsh
  outcrop env --format fish | source                             fish
  outcrop env --format powershell | Out-String | Invoke-Expression

It prints the secret of the data folder's first access key. Variables that would
bring in other credentials or another endpoint are unset. ~/.aws/config and
~/.aws/credentials are still read: what is set here outranks them.`
}

func (c *envCmd) Run(ctx context.Context, con console) error {
	st, ok := running(ctx, c.Data)
	if !ok {
		st = state{URL: "http://" + defaultListen, Region: defaultRegion}
	}
	env, err := c.clientEnv(st)
	if err != nil {
		return err
	}
	if !ok {
		fmt.Fprintf(con.Err, "outcrop: no server runs on this data folder; this is for one on %s: %s serve\n", st.URL, self())
	}
	if env.Trusts() {
		fmt.Fprintln(con.Err, "outcrop: the server speaks TLS; AWS_CA_BUNDLE and SSL_CERT_FILE name its CA alone, so other TLS hosts fail in this shell")
	}
	return writeEnv(con.Out, env, c.Format)
}

// clientEnv is for the server st, with the folder's first access key.
func (d dataOption) clientEnv(st state) (*clientenv.Env, error) {
	folder, err := d.open()
	if err != nil {
		return nil, err
	}
	key, _, err := folder.FirstKey()
	if err != nil {
		return nil, fmt.Errorf("%w\n  make one: %s key create", err, self())
	}
	return clientenv.New(st.URL, st.Region, key, filepath.Join(folder.Path(), caCertFile), os.Getenv)
}

func writeEnv(w io.Writer, e *clientenv.Env, format string) error {
	var b strings.Builder
	switch format {
	case "sh":
		fmt.Fprintf(&b, "unset %s\n", strings.Join(e.Unset, " "))
		for _, v := range e.Set {
			fmt.Fprintf(&b, "export %s=%s\n", v.Name, quoteSh(v.Value))
		}
	case "fish":
		// Not "set -e", which would erase a universal variable for good: a global
		// one that is not exported hides it.
		for _, name := range e.Unset {
			fmt.Fprintf(&b, "set -gu %s\n", name)
		}
		for _, v := range e.Set {
			fmt.Fprintf(&b, "set -gx %s %s\n", v.Name, quoteFish(v.Value))
		}
	case "powershell":
		for _, name := range e.Unset {
			fmt.Fprintf(&b, "Remove-Item Env:%s -ErrorAction SilentlyContinue\n", name)
		}
		for _, v := range e.Set {
			fmt.Fprintf(&b, "$env:%s = %s\n", v.Name, quotePowerShell(v.Value))
		}
	case "json":
		doc := struct {
			Set   map[string]string `json:"set"`
			Unset []string          `json:"unset"`
		}{map[string]string{}, e.Unset}
		for _, v := range e.Set {
			doc.Set[v.Name] = v.Value
		}
		out, err := json.MarshalIndent(doc, "", "  ")
		if err != nil {
			return err
		}
		b.Write(append(out, '\n'))
	default:
		return fmt.Errorf("--format %q is not known", format)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func quoteSh(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

// quotePowerShell doubles what PowerShell takes for a single quote: the straight
// one and four typographic ones.
func quotePowerShell(s string) string {
	return "'" + strings.NewReplacer("'", "''", "‘", "‘‘", "’", "’’", "‚", "‚‚", "‛", "‛‛").Replace(s) + "'"
}
