package clients

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// columns are the matrix's, a table each: the runtime with its control plane, Converse, and Anthropic Messages on mantle.
var columns = [...][]string{
	{"plain", "stream", "error", "cut", "tools", "1m", "list", "count", "sts", "refused", "polluted", "page", "api-key", "tls", "access"},
	{"converse", "converse-stream", "converse-tools", "converse-pdf", "converse-count", "converse-error"},
	{"mantle", "mantle-stream", "mantle-count", "mantle-refused"},
}

// operations are those that clients share; a client's own ones stand with it.
var operations = map[string]func(*testing.T, *subject){
	"plain":          func(t *testing.T, s *subject) { answers(t, s.done(t, "plain", hello), "claude-opus-4-6") },
	"mantle":         func(t *testing.T, s *subject) { answers(t, s.done(t, "mantle", hello), "claude-opus-4-8") },
	"stream":         func(t *testing.T, s *subject) { streams(t, s, "stream") },
	"mantle-stream":  func(t *testing.T, s *subject) { streams(t, s, "mantle-stream") },
	"error":          func(t *testing.T, s *subject) { breaks(t, s, "stream", "throttle midway", s.throttled) },
	"cut":            func(t *testing.T, s *subject) { breaks(t, s, "stream", "cut midway", s.cut) },
	"tools":          tools,
	"1m":             func(t *testing.T, s *subject) { answers(t, s.done(t, "beta", hello), "claude-opus-4-6") },
	"list":           listed,
	"count":          func(t *testing.T, s *subject) { counts(t, s, "count-tokens") },
	"mantle-count":   func(t *testing.T, s *subject) { counts(t, s, "mantle-count-tokens") },
	"sts":            identity,
	"refused":        refused,
	"mantle-refused": mantleRefused,
	"api-key":        func(t *testing.T, s *subject) { apiKeys(t, s, shared.outcrop) },
	"tls":            overTLS,
	"polluted":       polluted,
	"access":         accessible,

	"converse":        conversePlain,
	"converse-stream": converseStream,
	"converse-tools":  converseTools,
	"converse-pdf":    conversePDF,
	"converse-count":  converseCount,
	"converse-error":  converseError,
}

const hello = "Hello, world"

// answers holds a whole answer to the service's shape: the scripted upstream echoes.
func answers(t *testing.T, l line, model string) {
	t.Helper()
	if l.Text != hello || l.Stop != "end_turn" || l.Model != model || !strings.HasPrefix(l.ID, "msg_bdrk_") {
		t.Errorf("the answer is %+v", l)
	}
	if l.InputTokens <= 0 || l.OutputTokens <= 0 {
		t.Errorf("usage is %d in, %d out", l.InputTokens, l.OutputTokens)
	}
	if l.HeaderInput != 0 && (l.HeaderInput != l.InputTokens || l.HeaderOutput != l.OutputTokens) {
		t.Errorf("the headers count %d in, %d out; the body %d in, %d out", l.HeaderInput, l.HeaderOutput, l.InputTokens, l.OutputTokens)
	}
}

// gated runs a stream, and proves that the first words reach the client while the upstream still holds the rest:
// the gate opens only when the client has said that it has them.
func gated(t *testing.T, s *subject, op string) line {
	t.Helper()
	ticket := "gate-" + s.name + "-" + op
	released := false
	l, err := run(s.call(t, shared.gated, nil, op, ticket), func(first line) {
		if !strings.HasPrefix(gateFirst+gateRest, first.Text) || len(first.Text) > len(gateFirst) {
			t.Errorf("the first words are %q", first.Text)
		}
		if !released {
			released = true
			shared.gate.release(ticket)
		}
	})
	if err != nil {
		t.Fatalf("first words seen: %v: %v", released, err)
	}
	if !released || l.Event != "done" {
		t.Errorf("first words seen while the rest was held: %v; the answer is %+v", released, l)
	}
	return l
}

func streams(t *testing.T, s *subject, op string) {
	l := gated(t, s, op)
	if l.Text != gateFirst+gateRest || l.Stop != "end_turn" || !strings.HasPrefix(l.ID, "msg_bdrk_") {
		t.Errorf("the answer is %+v", l)
	}
	if l.Metrics != nil && (l.Metrics["outputTokenCount"] != int64(l.OutputTokens) || l.Metrics["inputTokenCount"] != int64(l.InputTokens)) {
		t.Errorf("the metrics say %v; usage is %d in, %d out", l.Metrics, l.InputTokens, l.OutputTokens)
	}
}

// breaks runs a stream that fails after some words: the client must get them, and then an error of its own type.
func breaks(t *testing.T, s *subject, op, prompt string, want failure) {
	t.Helper()
	words := ""
	l, err := run(s.call(t, shared.outcrop, nil, op, prompt), func(first line) { words = first.Text })
	if err != nil {
		t.Fatal(err)
	}
	if words == "" {
		t.Error("no words came before the error")
	}
	fails(t, l, want)
}

func fails(t *testing.T, l line, want failure) {
	t.Helper()
	got := failure{Type: l.Type, Code: l.Code, Status: l.Status}
	if l.Event != "error" || got != want {
		t.Errorf("the client has %s %+v, want error %+v\n%s", l.Event, got, want, l.Message)
	}
}

func refused(t *testing.T, s *subject) {
	l := s.run(t, "plain", hello, wrongSecret)
	fails(t, l, s.refused)
	// AWS's SDKs read x-amzn-RequestId, Anthropic's request-id.
	if l.RequestID == "" {
		t.Errorf("the error names no request: %+v", l)
	}
}

// mantleRefused is refused in the words of Anthropic Messages, which name the type.
func mantleRefused(t *testing.T, s *subject) {
	want := s.refused
	want.Code = "permission_error"
	fails(t, s.run(t, "mantle", hello, wrongSecret), want)
}

const wrongSecret = "AWS_SECRET_ACCESS_KEY=thisIsNotTheSecretOfAnyKeyOfThisServer00"

func tools(t *testing.T, s *subject) {
	l := s.done(t, "tools", "What is the weather in Taipei?")
	calls(t, l)
	if l.Text != "It is 18 degrees in Taipei." || l.Stop != "end_turn" {
		t.Errorf("the answer is %q, stop %s", l.Text, l.Stop)
	}
}

func calls(t *testing.T, l line) {
	t.Helper()
	var input struct{ City string }
	if err := json.Unmarshal(l.ToolInput, &input); err != nil {
		t.Error(err)
	}
	if l.Tool != "get_weather" || input.City != "Taipei" || l.ToolStop != "tool_use" || !strings.HasPrefix(l.ToolID, "toolu_bdrk_") {
		t.Errorf("the call is %s %s %s, stop %s", l.ToolID, l.Tool, l.ToolInput, l.ToolStop)
	}
}

// pageModels are the page's ten, in its order.
var pageModels = []string{
	"anthropic.claude-opus-4-6-v1:0",
	"anthropic.claude-sonnet-4-5-20250929-v1:0",
	"anthropic.claude-sonnet-4-20250514-v1:0",
	"anthropic.claude-3-7-sonnet-20250219-v1:0",
	"anthropic.claude-opus-4-5-20251101-v1:0",
	"anthropic.claude-opus-4-1-20250805-v1:0",
	"anthropic.claude-opus-4-20250514-v1:0",
	"anthropic.claude-haiku-4-5-20251001-v1:0",
	"anthropic.claude-3-5-haiku-20241022-v1:0",
	"anthropic.claude-3-haiku-20240307-v1:0",
}

func listed(t *testing.T, s *subject) {
	l := s.done(t, "list", "")
	lists(t, l.Models)
	if !slices.Contains(l.Profiles, "global.anthropic.claude-opus-4-6-v1:0") {
		t.Errorf("the profiles are %q", l.Profiles)
	}
	if l.Model != "Claude Opus 4.6" || !l.Same {
		t.Errorf("the model's name is %q; the profile by id and by ARN is the same: %v", l.Model, l.Same)
	}
}

func lists(t *testing.T, models []string) {
	t.Helper()
	var ours []string
	for _, id := range models {
		if slices.Contains(pageModels, id) {
			ours = append(ours, id)
		}
	}
	if !slices.Equal(ours, pageModels) {
		t.Errorf("the page's models are not all there in its order: %q", models)
	}
}

func counts(t *testing.T, s *subject, op string) {
	if l := s.done(t, op, hello); l.InputTokens <= 0 {
		t.Errorf("the count is %d", l.InputTokens)
	}
}

func identity(t *testing.T, s *subject) { identifies(t, s.done(t, "identity", "")) }

func identifies(t *testing.T, l line) {
	t.Helper()
	if len(l.Account) != 12 || !strings.HasPrefix(l.ARN, "arn:aws:iam::"+l.Account+":") || l.User == "" {
		t.Errorf("the caller is %q %q %q", l.Account, l.ARN, l.User)
	}
}

// apiKeys lets keys that the server issued stand in for the access key.
func apiKeys(t *testing.T, s *subject, srv *server) {
	for _, kind := range []string{"--api-key", "--short-term"} {
		t.Run(kind, func(t *testing.T) {
			cmd := s.call(t, srv, nil, "plain", hello)
			bearer(t, cmd, srv, kind)
			l, err := run(cmd, nil)
			if err != nil || l.Event != "done" {
				t.Fatalf("plain: %+v: %v", l, err)
			}
			answers(t, l, "claude-opus-4-6")
		})
	}
}

// bearer gives cmd an API key and nothing else to come in with.
func bearer(t *testing.T, cmd *exec.Cmd, srv *server, kind string) {
	key, err := srv.key(kind)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(without(cmd.Env, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "AWS_BEARER_TOKEN_BEDROCK="+key)
}

// overTLS has nothing but the variables of `outcrop env` to trust the server's own CA by.
func overTLS(t *testing.T, s *subject) {
	l, err := run(s.call(t, shared.tls, nil, "plain", hello), nil)
	if err != nil || l.Event != "done" {
		t.Fatalf("plain: %+v: %v", l, err)
	}
	answers(t, l, "claude-opus-4-6")
}

// polluted runs the client as a user does whose shell is full of other accounts: `outcrop env` alone must make it
// talk to this server, with this server's key, and no secret of another account may come along.
func polluted(t *testing.T, s *subject) {
	home := pollutedHome(t)
	cmd := s.call(t, shared.outcrop, nil, "plain", hello)
	cmd = throughShell(cmd, shared.outcrop)
	cmd.Env = s.pollutedEnv(home)
	l, err := run(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.Event != "done" {
		t.Fatalf("plain: %+v", l)
	}
	answers(t, l, "claude-opus-4-6")
}

// throughShell does what the README tells a user to do, then the command.
func throughShell(cmd *exec.Cmd, srv *server) *exec.Cmd {
	args := append([]string{"-c", `eval "$("$0" env --data "$1")" && shift && exec "$@"`, srv.bin, srv.data}, cmd.Args...)
	shell := exec.Command("/bin/sh", args...)
	shell.Dir = cmd.Dir
	return shell
}

const otherSecret = "otherAccountsSecretThatMustNotLeaveHere0"

func pollutedHome(t *testing.T) string {
	home := t.TempDir()
	aws := filepath.Join(home, ".aws")
	if err := os.Mkdir(aws, 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"config": "[default]\nregion = ap-south-1\nendpoint_url = http://127.0.0.1:9/default\n" +
			"ignore_configured_endpoint_urls = true\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\n" +
			"[profile other]\nregion = sa-east-1\nservices = other\ncredential_process = /bin/false\n" +
			"[services other]\nbedrock_runtime =\n  endpoint_url = http://127.0.0.1:9/other\n",
		"credentials": "[default]\naws_access_key_id = AKIADEFAULT000000000\naws_secret_access_key = " + otherSecret + "\n" +
			"[other]\naws_access_key_id = AKIAOTHER00000000000\naws_secret_access_key = " + otherSecret + "\naws_session_token = other\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(aws, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// pollutedEnv also has a proxy that no variable bypasses: `outcrop env` must see to that.
func (s *subject) pollutedEnv(home string) []string {
	return slices.Concat(cleanEnv(home), without(s.around(), "NO_PROXY", "no_proxy"), pollution(home))
}

// pollution is what lies about in the shells of people who use these tools.
func pollution(home string) []string {
	return []string{
		"AWS_PROFILE=other", "AWS_DEFAULT_PROFILE=other",
		"AWS_ACCESS_KEY_ID=AKIAOTHER00000000000", "AWS_SECRET_ACCESS_KEY=" + otherSecret, "AWS_SESSION_TOKEN=" + otherSecret,
		"AWS_SECURITY_TOKEN=" + otherSecret, "AWS_BEARER_TOKEN_BEDROCK=" + otherSecret,
		"AWS_REGION=eu-west-3", "AWS_DEFAULT_REGION=eu-west-3",
		"AWS_ENDPOINT_URL=http://127.0.0.1:9/all", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:9/runtime",
		"AWS_ROLE_ARN=arn:aws:iam::123456789012:role/other", "AWS_WEB_IDENTITY_TOKEN_FILE=" + filepath.Join(home, "no-such-token"),
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:9/creds",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "AWS_USE_FIPS_ENDPOINT=true", "AWS_USE_DUALSTACK_ENDPOINT=true",
		"ANTHROPIC_API_KEY=sk-ant-" + otherSecret, "ANTHROPIC_AUTH_TOKEN=" + otherSecret, "ANTHROPIC_AWS_API_KEY=" + otherSecret,
		"ANTHROPIC_BASE_URL=http://127.0.0.1:9/anthropic", "ANTHROPIC_BEDROCK_BASE_URL=http://127.0.0.1:9/bedrock",
		"ANTHROPIC_BEDROCK_MANTLE_BASE_URL=http://127.0.0.1:9/mantle", "ANTHROPIC_PROFILE=other",
		"ANTHROPIC_CUSTOM_HEADERS=x-api-key: sk-ant-" + otherSecret,
		"CLAUDE_CODE_USE_VERTEX=1", "CLAUDE_CODE_SKIP_BEDROCK_AUTH=1",
	}
}
