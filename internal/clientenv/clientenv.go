// Package clientenv is the environment that points clients of Amazon Bedrock at a
// server: the variables that say who calls and where, and those that must not
// reach a client beside them.
//
// Invariant: no name is both set and unset.
//
// Non-goal: shells; how the variables are written down is the caller's.
package clientenv

import (
	"net/url"
	"runtime"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// Env is what points clients at a server, and what must not reach them.
type Env struct {
	Set   []Variable
	Unset []string
}

// Variable is one of the environment.
type Variable struct{ Name, Value string }

// foreign variables would bring another identity, another endpoint or another
// rule to a client. Of each kind, what Anthropic's and AWS's SDKs and Claude Code
// read; the ones that New sets are not among them.
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

// New is for the server on serverURL, with an access key there. ca is the file of
// the CA to trust, if the URL is https; getenv is the environment of who asks.
func New(serverURL, region string, key sigv4.Credentials, ca string, getenv func(string) string) (*Env, error) {
	u, err := url.Parse(serverURL)
	if err != nil {
		return nil, err
	}
	e := &Env{Unset: slices.Clone(foreign), Set: []Variable{
		{"AWS_ACCESS_KEY_ID", key.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", key.SecretAccessKey},
		{"AWS_REGION", region},
		{"AWS_DEFAULT_REGION", region}, // botocore reads this one alone
		{"AWS_ENDPOINT_URL_BEDROCK", serverURL},
		{"AWS_ENDPOINT_URL_BEDROCK_RUNTIME", serverURL},
		{"AWS_ENDPOINT_URL_STS", serverURL},
		{"ANTHROPIC_BEDROCK_BASE_URL", serverURL}, // the only one that Anthropic's SDKs and Claude Code read
		{"ANTHROPIC_BEDROCK_MANTLE_BASE_URL", serverURL + "/anthropic"},
		{"CLAUDE_CODE_USE_BEDROCK", "1"},
		{"AWS_EC2_METADATA_DISABLED", "true"},
		// A profile in ~/.aws/config may say otherwise, and then the endpoints
		// above are ignored, or refused beside FIPS.
		{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false"},
		{"AWS_USE_FIPS_ENDPOINT", "false"},
		{"AWS_USE_DUALSTACK_ENDPOINT", "false"},
	}}
	if u.Scheme == "https" {
		e.Set = append(e.Set, Variable{"AWS_CA_BUNDLE", ca}, Variable{"NODE_EXTRA_CA_CERTS", ca}, Variable{"SSL_CERT_FILE", ca})
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
func (e *Env) bypass(host string, getenv func(string) string) {
	now := getenv("no_proxy")
	if now == "" {
		now = getenv("NO_PROXY")
	}
	hosts := strings.FieldsFunc(now, func(r rune) bool { return r == ',' || r == ' ' })
	if !slices.Contains(hosts, host) {
		hosts = append(hosts, host)
	}
	list := strings.Join(hosts, ",")
	e.Set = append(e.Set, Variable{"NO_PROXY", list}, Variable{"no_proxy", list})
}

// Trusts says that clients are told whom to trust.
func (e *Env) Trusts() bool {
	return slices.ContainsFunc(e.Set, func(v Variable) bool { return v.Name == "SSL_CERT_FILE" })
}

// Environ is base as a command gets it.
func (e *Env) Environ(base []string) []string {
	same := func(a, b string) bool { return a == b }
	if runtime.GOOS == "windows" {
		same = strings.EqualFold
	}
	out := make([]string, 0, len(base)+len(e.Set))
	for _, pair := range base {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.ContainsFunc(e.Unset, func(n string) bool { return same(n, name) }) &&
			!slices.ContainsFunc(e.Set, func(v Variable) bool { return same(v.Name, name) }) {
			out = append(out, pair)
		}
	}
	for _, v := range e.Set {
		out = append(out, v.Name+"="+v.Value)
	}
	return out
}
