package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

type envCmd struct {
	dataOption
	Format string `enum:"sh,json,powershell,fish" default:"sh" help:"sh (bash, zsh and their like), fish, powershell, or json. Default: sh."`
}

func (envCmd) Help() string {
	return `Point the clients of a shell at the server:

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
	if env.trusts() {
		fmt.Fprintln(con.Err, "outcrop: the server speaks TLS; AWS_CA_BUNDLE and SSL_CERT_FILE name its CA alone, so other TLS hosts fail in this shell")
	}
	return env.write(con.Out, c.Format)
}

// clientEnv is what points clients at a server, and what must not reach them.
type clientEnv struct {
	set   []variable
	unset []string
}

type variable struct{ name, value string }

// foreign variables would bring another identity, another endpoint or another
// rule to a client. Of each kind, what Anthropic's and AWS's SDKs and Claude Code
// read; the ones that clientEnv sets are not among them.
var foreign = []string{
	// AWS: who
	"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "AWS_ACCOUNT_ID",
	"AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_BEARER_TOKEN_BEDROCK", "AWS_AUTH_SCHEME_PREFERENCE",
	"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	// AWS: where
	"AWS_ENDPOINT_URL",
	// Anthropic: who
	"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE", "ANTHROPIC_IDENTITY_TOKEN", "ANTHROPIC_IDENTITY_TOKEN_FILE",
	"ANTHROPIC_CREDENTIALS_FILE", "ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_BEDROCK_MANTLE_API_KEY", "ANTHROPIC_AWS_API_KEY",
	"ANTHROPIC_AWS_WORKSPACE_ID", "ANTHROPIC_FOUNDRY_API_KEY", "ANTHROPIC_CUSTOM_HEADERS",
	"CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_SKIP_BEDROCK_AUTH", "CLAUDE_CODE_SKIP_MANTLE_AUTH",
	// Anthropic: where
	"ANTHROPIC_BASE_URL", "ANTHROPIC_AWS_BASE_URL", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY", "CLAUDE_CODE_USE_ANTHROPIC_AWS",
	// Anthropic: what the server refuses
	"ANTHROPIC_BEDROCK_SERVICE_TIER",
}

// clientEnv is for the server st, with the folder's first access key.
func (d dataOption) clientEnv(st state) (*clientEnv, error) {
	folder, err := d.open()
	if err != nil {
		return nil, err
	}
	key, _, err := folder.FirstKey()
	if err != nil {
		return nil, fmt.Errorf("%w\n  make one: %s key create", err, self())
	}
	return newClientEnv(st, key, filepath.Join(folder.Path(), caCertFile), os.Getenv)
}

func newClientEnv(st state, key sigv4.Credentials, ca string, getenv func(string) string) (*clientEnv, error) {
	u, err := url.Parse(st.URL)
	if err != nil {
		return nil, err
	}
	e := &clientEnv{unset: foreign, set: []variable{
		{"AWS_ACCESS_KEY_ID", key.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", key.SecretAccessKey},
		{"AWS_REGION", st.Region},
		{"AWS_DEFAULT_REGION", st.Region}, // botocore reads this one alone
		{"AWS_ENDPOINT_URL_BEDROCK", st.URL},
		{"AWS_ENDPOINT_URL_BEDROCK_RUNTIME", st.URL},
		{"AWS_ENDPOINT_URL_STS", st.URL},
		{"ANTHROPIC_BEDROCK_BASE_URL", st.URL}, // the only one that Anthropic's SDKs and Claude Code read
		{"ANTHROPIC_BEDROCK_MANTLE_BASE_URL", st.URL + "/anthropic"},
		{"CLAUDE_CODE_USE_BEDROCK", "1"},
		{"AWS_EC2_METADATA_DISABLED", "true"},
		// A profile in ~/.aws/config may say otherwise, and then the endpoints
		// above are ignored, or refused beside FIPS.
		{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false"},
		{"AWS_USE_FIPS_ENDPOINT", "false"},
		{"AWS_USE_DUALSTACK_ENDPOINT", "false"},
	}}
	if u.Scheme == "https" {
		e.set = append(e.set, variable{"AWS_CA_BUNDLE", ca}, variable{"NODE_EXTRA_CA_CERTS", ca}, variable{"SSL_CERT_FILE", ca})
	}
	// Python's clients send even loopback calls to a proxy.
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		if getenv(name) != "" || getenv(strings.ToLower(name)) != "" {
			e.bypass(u.Hostname(), getenv)
			break
		}
	}
	return e, nil
}

// bypass adds host to the hosts that no proxy serves.
func (e *clientEnv) bypass(host string, getenv func(string) string) {
	now := getenv("no_proxy")
	if now == "" {
		now = getenv("NO_PROXY")
	}
	hosts := strings.FieldsFunc(now, func(r rune) bool { return r == ',' || r == ' ' })
	if !slices.Contains(hosts, host) {
		hosts = append(hosts, host)
	}
	list := strings.Join(hosts, ",")
	e.set = append(e.set, variable{"NO_PROXY", list}, variable{"no_proxy", list})
}

func (e *clientEnv) trusts() bool {
	return slices.ContainsFunc(e.set, func(v variable) bool { return v.name == "SSL_CERT_FILE" })
}

func (e *clientEnv) write(w io.Writer, format string) error {
	var b strings.Builder
	switch format {
	case "sh":
		fmt.Fprintf(&b, "unset %s\n", strings.Join(e.unset, " "))
		for _, v := range e.set {
			fmt.Fprintf(&b, "export %s=%s\n", v.name, quoteSh(v.value))
		}
	case "fish":
		// Not "set -e", which would erase a universal variable for good: a global
		// one that is not exported hides it.
		for _, name := range e.unset {
			fmt.Fprintf(&b, "set -gu %s\n", name)
		}
		for _, v := range e.set {
			fmt.Fprintf(&b, "set -gx %s %s\n", v.name, quoteFish(v.value))
		}
	case "powershell":
		for _, name := range e.unset {
			fmt.Fprintf(&b, "Remove-Item Env:%s -ErrorAction SilentlyContinue\n", name)
		}
		for _, v := range e.set {
			fmt.Fprintf(&b, "$env:%s = %s\n", v.name, quotePowerShell(v.value))
		}
	case "json":
		doc := struct {
			Set   map[string]string `json:"set"`
			Unset []string          `json:"unset"`
		}{map[string]string{}, e.unset}
		for _, v := range e.set {
			doc.Set[v.name] = v.value
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

// environ is base as a command gets it.
func (e *clientEnv) environ(base []string) []string {
	same := func(a, b string) bool { return a == b }
	if runtime.GOOS == "windows" {
		same = strings.EqualFold
	}
	out := make([]string, 0, len(base)+len(e.set))
	for _, pair := range base {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.ContainsFunc(e.unset, func(n string) bool { return same(n, name) }) &&
			!slices.ContainsFunc(e.set, func(v variable) bool { return same(v.name, name) }) {
			out = append(out, pair)
		}
	}
	for _, v := range e.set {
		out = append(out, v.name+"="+v.value)
	}
	return out
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
