package replay_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/recording"
	"github.com/outcrop-dev/outcrop/internal/upstream/replay"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

const model = "/model/global.anthropic.claude-opus-4-6-v1:0"

// front is a whole front door over an upstream.
func front(t testing.TB, up gateway.Upstream) *httpapi.Server {
	t.Helper()
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return &httpapi.Server{
		Gateway: &gateway.Gateway{Catalog: c, Policy: catalog.Policy{OwnHere: true}, Region: "us-west-2", Upstream: up, Log: activity.NewRing(1), Now: time.Now},
		Auth:    &identity.Authenticator{Keys: identity.NewRing(nil, nil), Region: "us-west-2", Now: time.Now, SkipAuth: true, Anonymous: identity.NewUser("123456789012", "a")},
		Account: "123456789012", Version: "test", Bodies: httpapi.NewBudget(1 << 30), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

type ask struct{ path, body, beta string }

// tiered asks for a service tier besides.
type tiered struct{ ask }

func (a tiered) send(t testing.TB, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("POST", a.path, strings.NewReader(a.body))
	r.Header.Set("X-Amzn-Bedrock-Service-Tier", "priority")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (a ask) send(t testing.TB, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("POST", a.path, strings.NewReader(a.body))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIASECRETSECRET/20260101/us-west-2/bedrock/aws4_request, SignedHeaders=host, Signature=0badc0de")
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set("X-Amz-Security-Token", "SESSIONSECRET")
	if a.beta != "" {
		r.Header.Set("Anthropic-Beta", a.beta)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func body(text string) string {
	return `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"temperature":1,"messages":[{"role":"user","content":"` + text + `"}]}`
}

func said(text string) string {
	return `{"model":"global.anthropic.claude-opus-4-6-v1:0","max_tokens":64,"messages":[{"role":"user","content":"` + text + `"}]}`
}

func streamed(text string) string { return strings.Replace(said(text), `{`, `{"stream":true,`, 1) }

func talk(text string) string {
	return `{"messages":[{"role":"user","content":[{"text":"` + text + `"}]}],"inferenceConfig":{"maxTokens":64}}`
}

func counted(text string) string {
	return `{"input":{"invokeModel":{"body":"` + base64.StdEncoding.EncodeToString([]byte(body(text))) + `"}}}`
}

const script = `
rules:
  - {match: {text: busy}, answer: {error: {exception: ThrottlingException, message: Slow down., retry_after: 3s}}}
  - {match: {text: midway}, answer: {error: {exception: ThrottlingException, message: Slow down., at_frame: 3}}}
  - {match: {text: cut}, answer: {cut_at_frame: 3}}
  - {match: {text: loading}, answer: {error: {exception: ModelNotReadyException, message: Wait.}}}
  - match: {text: all}
    answer:
      content:
        - {thinking: "Hm.", signature: c2ln}
        - {text: "Größe – 你好, and more", citations: [{type: char_location, cited_text: x}]}
        - {tool_use: {name: t, input: {a: [1, 2.50, 1e3]}}}
      usage: {input_tokens: 9, output_tokens: 5, cache_read_input_tokens: 4}
`

// asks are one of each kind; what follows a call is another spelling of it.
var asks = []struct {
	ask
	again ask
}{
	{ask{model + "/invoke", body("all"), ""}, ask{"/model/global.anthropic.claude-opus-4-6-v1%3A0/invoke", "{ \"messages\" : [ {\"content\":\"\\u0061ll\",\"role\":\"user\"}],\n\"temperature\":10e-1,\"max_tokens\":64,\"anthropic_version\":\"bedrock-2023-05-31\"}", ""}},
	{ask{model + "/invoke-with-response-stream", body("all"), ""}, ask{}},
	{ask{model + "/invoke-with-response-stream", body("midway"), "b-2026-01-01,a-2026-01-01"}, ask{model + "/invoke-with-response-stream", body("midway"), "a-2026-01-01, b-2026-01-01"}},
	{ask{model + "/invoke-with-response-stream", body("cut"), ""}, ask{}},
	{ask{model + "/invoke", body("busy"), ""}, ask{}},
	{ask{model + "/invoke", body("loading"), ""}, ask{}},
	{ask{model + "/invoke-with-response-stream", body("busy"), ""}, ask{}},
	{ask{model + "/invoke", `{"max_tokens":1}`, ""}, ask{}},
	{ask{model + "/converse", talk("hello"), ""}, ask{model + "/converse", `{"inferenceConfig": {"maxTokens":64},"messages":[{"content":[{"text":"hello"}],"role":"user"}]}`, ""}},
	{ask{model + "/converse-stream", talk("all"), ""}, ask{}},
	{ask{model + "/converse-stream", talk("midway"), ""}, ask{}},
	{ask{model + "/converse", talk("busy"), ""}, ask{}},
	{ask{model + "/count-tokens", counted("hello"), ""}, ask{}},
	{ask{model + "/count-tokens", `{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"hello"}]}]}}}`, ""}, ask{}},
	{ask{"/v1/messages", said("all"), ""}, ask{"/anthropic/v1/messages", said("all"), ""}},
	{ask{"/anthropic/v1/messages", streamed("all"), ""}, ask{}},
	{ask{"/v1/messages", streamed("midway"), ""}, ask{}},
	{ask{"/v1/messages", said("busy"), ""}, ask{}},
	{ask{"/v1/messages", said("loading"), ""}, ask{}},
	{ask{"/v1/messages/count_tokens", `{"model":"global.anthropic.claude-opus-4-6-v1:0","messages":[{"role":"user","content":"hello"}]}`, ""}, ask{}},
}

// ids of requests stand in the errors of the Messages API.
var ids = regexp.MustCompile(`"request_id":"[^"]*"`)

func plain(b []byte) string { return ids.ReplaceAllString(string(b), `"request_id":"-"`) }

// record answers every ask, and gives the file and the answers.
func record(t testing.TB) (file []byte, answers []*httptest.ResponseRecorder) {
	t.Helper()
	s, err := scripted.Read(strings.NewReader(script))
	if err != nil {
		t.Fatal(err)
	}
	up, err := scripted.New(*s)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	tape, err := recording.NewTape(&b)
	if err != nil {
		t.Fatal(err)
	}
	h := tape.Handler(front(t, up))
	for _, a := range asks {
		answers = append(answers, a.send(t, h))
	}
	if n, left, err := tape.End(); n != len(asks) || len(left) > 0 || err != nil {
		t.Fatalf("%d of %d, %q, %v", n, len(asks), left, err)
	}
	return b.Bytes(), answers
}

func open(t testing.TB, file []byte) *replay.Upstream {
	t.Helper()
	exchanges, err := recording.Parse(bytes.NewReader(file))
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	up, err := replay.New(exchanges)
	if err != nil {
		t.Fatal(err)
	}
	return up
}

// Each kind of answer comes back as it was: status, type, every byte of a stream.
func TestReplay(t *testing.T) {
	file, answers := record(t)
	for _, secret := range []string{"AKIA", "SESSIONSECRET", "0badc0de", "20260101"} {
		if bytes.Contains(file, []byte(secret)) {
			t.Errorf("%s is in the file", secret)
		}
	}
	up := open(t, file)
	up.Watch(func(m *replay.Missing) { t.Errorf("missing: %v", m) })
	h := front(t, up)
	health := httptest.NewRecorder()
	h.ServeHTTP(health, httptest.NewRequest("GET", "/healthz", nil))
	if !strings.Contains(health.Body.String(), `"upstream":"replay"`) {
		t.Errorf("healthz: %s", health.Body)
	}
	for round := range 2 { // for ever
		for i, a := range asks {
			want := answers[i]
			spellings := []ask{a.ask}
			if a.again.path != "" {
				spellings = append(spellings, a.again)
			}
			for _, spelling := range spellings {
				got := spelling.send(t, h)
				if got.Code != want.Code || plain(got.Body.Bytes()) != plain(want.Body.Bytes()) {
					t.Errorf("round %d: %s %s\n  got  %d %q\n  want %d %q", round, spelling.path, spelling.body, got.Code, got.Body, want.Code, want.Body)
				}
				for _, name := range []string{"Content-Type", "Retry-After", "X-Amzn-Errortype", "X-Amzn-Bedrock-Input-Token-Count", "X-Amzn-Bedrock-Cache-Read-Input-Token-Count"} {
					if got.Header().Get(name) != want.Header().Get(name) {
						t.Errorf("%s %s: %s is %q, was %q", spelling.path, spelling.body, name, got.Header().Get(name), want.Header().Get(name))
					}
				}
				if from := got.Header().Get("X-Outcrop-Upstream"); from != "replay" {
					t.Errorf("x-outcrop-upstream: %s", from)
				}
			}
		}
	}
}

// Equal calls get their answers in order, then the last for ever.
func TestInOrder(t *testing.T) {
	var b bytes.Buffer
	tape, err := recording.NewTape(&b)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	h := tape.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		n++
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"n": n, "stop_reason": "end_turn", "usage": map[string]int{}})
	}))
	a := ask{model + "/invoke", body("x"), ""}
	for range 3 {
		a.send(t, h)
	}
	door := front(t, open(t, b.Bytes()))
	for i, want := range []string{`"n":1`, `"n":2`, `"n":3`, `"n":3`, `"n":3`} {
		if got := a.send(t, door).Body.String(); !strings.Contains(got, want) {
			t.Errorf("call %d: %s", i+1, got)
		}
	}
}

// A call without a recording says which is the nearest, and where it differs.
func TestMissing(t *testing.T) {
	file, _ := record(t)
	up := open(t, file)
	var seen []*replay.Missing
	up.Watch(func(m *replay.Missing) { seen = append(seen, m) })
	h := front(t, up)
	for _, tt := range []struct {
		ask
		want []string
	}{
		{ask{model + "/invoke", strings.Replace(body("all"), `"max_tokens":64`, `"max_tokens":65`, 1), ""}, []string{"nearest is call 1: max_tokens: recorded 64, asked 65"}},
		{ask{model + "/invoke", body("hello"), ""}, []string{"nearest is call", "messages[0].content: recorded", `asked \"hello\"`}},
		{ask{model + "/invoke", body("all"), "context-1m-2025-08-07"}, []string{`header Anthropic-Beta: recorded nothing, asked \"context-1m-2025-08-07\"`}},
		{ask{strings.Replace(model, "opus-4-6-v1:0", "haiku-4-5-20251001-v1:0", 1) + "/invoke", body("all"), ""}, []string{"call 1: model: recorded", "haiku"}},
		// Recorded plain, asked streamed: another operation, or another body.
		{ask{model + "/invoke-with-response-stream", body("loading"), ""}, []string{`operation: recorded \"InvokeModel\"`, `asked \"InvokeModelWithResponseStream\"`}},
		{ask{"/v1/messages", streamed("busy"), ""}, []string{"stream: recorded nothing, asked true"}},
		{ask{model + "/converse", strings.Replace(talk("hello"), `}]}`, `}]},{"role":"assistant","content":[{"text":"x"}]}`, 1), ""}, []string{"messages: recorded 1 entries, asked 2"}},
		{ask{model + "/count-tokens", counted("other"), ""}, []string{"messages[0].content: recorded"}},
	} {
		seen = nil
		got := tt.send(t, h)
		if got.Code != 404 || len(seen) != 1 {
			t.Errorf("%s %s: %d %s, %d seen", tt.path, tt.body, got.Code, got.Body, len(seen))
		}
		for _, want := range tt.want {
			if !strings.Contains(got.Body.String(), want) {
				t.Errorf("%s %s: %s\n  want %s", tt.path, tt.body, got.Body, want)
			}
		}
	}
	empty := front(t, open(t, recording.AppendHead(nil)))
	if got := (ask{model + "/invoke", body("x"), ""}).send(t, empty); got.Code != 404 || !strings.Contains(got.Body.String(), "the recording is empty") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// A scenario's rules stand before a recording, which sees each call as it came.
func TestOver(t *testing.T) {
	file, answers := record(t)
	s, err := scripted.Read(strings.NewReader(`rules: [{match: {text: mine}, answer: {content: [{text: ruled}]}}]`))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := scripted.New(*s)
	if err != nil {
		t.Fatal(err)
	}
	h := front(t, rules.Over(open(t, file)))
	for i, a := range asks {
		if got := a.send(t, h); got.Code != answers[i].Code || plain(got.Body.Bytes()) != plain(answers[i].Body.Bytes()) {
			t.Errorf("%s %s\n  got  %d %q\n  want %d %q", a.path, a.body, got.Code, got.Body, answers[i].Code, answers[i].Body)
		}
	}
	// A rule cannot honour a tier, and does not answer as if it did.
	if got := (tiered{ask{model + "/invoke", body("mine"), ""}}).send(t, h); got.Code != 404 || !strings.Contains(got.Body.String(), "header X-Amzn-Bedrock-Service-Tier: recorded nothing") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	for _, a := range []ask{{model + "/invoke", body("mine"), ""}, {model + "/converse", talk("mine"), ""}, {model + "/converse-stream", talk("mine"), ""}} {
		if got := a.send(t, h); got.Code != 200 || !strings.Contains(got.Body.String(), "ruled") {
			t.Errorf("%s: %d %s", a.path, got.Code, got.Body)
		}
	}
}

// Calls at the same time each stand in the file, whole.
func TestAtOnce(t *testing.T) {
	s, err := scripted.Read(strings.NewReader(script))
	if err != nil {
		t.Fatal(err)
	}
	up, err := scripted.New(*s)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	tape, err := recording.NewTape(&b)
	if err != nil {
		t.Fatal(err)
	}
	all := func(h http.Handler) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for _, a := range asks {
					a.send(t, h)
				}
			})
		}
		wg.Wait()
	}
	all(tape.Handler(front(t, up)))
	if n, left, err := tape.End(); n != 4*len(asks) || len(left) > 0 || err != nil {
		t.Errorf("%d, %q, %v", n, left, err)
	}
	replayed := open(t, b.Bytes())
	replayed.Watch(func(m *replay.Missing) { t.Errorf("missing: %v", m) })
	all(front(t, replayed))
}

// A tape holds nothing back: the first frame is with the client while the
// upstream has the rest.
func TestTapeFlushes(t *testing.T) {
	seen := make(chan struct{})
	up, err := scripted.New(scripted.Scenario{Rules: []scripted.Rule{{Answer: scripted.Answer{Before: func(frame int) error {
		if frame == 1 {
			<-seen
		}
		return nil
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	tape, err := recording.NewTape(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(tape.Handler(front(t, up)))
	defer server.Close()
	resp, err := http.Post(server.URL+model+"/invoke-with-response-stream", "application/json", strings.NewReader(body("x")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	frames := eventstream.NewReader(resp.Body)
	if _, err := frames.Next(); err != nil {
		t.Fatal(err)
	}
	close(seen)
	for err == nil {
		_, err = frames.Next()
	}
	if err != io.EOF {
		t.Error(err)
	}
}
