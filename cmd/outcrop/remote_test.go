package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/activity/invocationlog"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
)

// What is asked from afar is what the data folder itself says.
func TestFarAndNear(t *testing.T) {
	s := startFrom(t, fmt.Sprintf("upstream: scripted\nlisten: 127.0.0.1:0\ndata: %s/data\nlog: \"off\"\n", t.TempDir()))
	defer s.shutdown()
	_, boss, err := s.Data.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: "boss", Settings: identity.Settings{Role: identity.RoleAdministrator}})
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := s.Data.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: "k"})
	if err != nil {
		t.Fatal(err)
	}
	var id string
	for _, model := range []string{"global.anthropic.claude-opus-4-6-v1", "us.anthropic.claude-opus-4-6-v1", "nobody"} {
		req, err := http.NewRequest(http.MethodPost, s.URL+"/anthropic/v1/messages", strings.NewReader(`{"model":"`+model+`","max_tokens":9,"messages":[{"role":"user","content":"the question"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Api-Key", secret.Reveal())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if id == "" {
			id = resp.Header.Get("Request-Id")
		}
	}
	ids := []string{id}
	for _, op := range []string{"invoke-with-response-stream", "converse", "converse-stream"} {
		body := `{"messages":[{"role":"user","content":[{"text":"the question"}]}]}`
		if op == "invoke-with-response-stream" {
			body = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"system":"Be brief.","messages":[{"role":"user","content":"the question"}]}`
		}
		req, err := http.NewRequest(http.MethodPost, s.URL+"/model/global.anthropic.claude-opus-4-6-v1/"+op, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret.Reveal())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(op, resp.Status, err)
		}
		resp.Body.Close()
		ids = append(ids, resp.Header.Get("X-Amzn-Requestid"))
	}
	t.Setenv("AWS_BEARER_TOKEN_BEDROCK", boss.Reveal())
	ask := func(args ...string) (string, string) {
		t.Helper()
		both := [2]string{}
		for i, where := range [][]string{{"--data", s.Data.Path()}, {"--endpoint", s.URL}} {
			var out, said bytes.Buffer
			if code := run(t.Context(), append(args[:len(args):len(args)], where...), console{strings.NewReader(""), &out, &said}); code != 0 {
				t.Fatalf("%v: %d %s", append(args, where...), code, said.String())
			}
			both[i] = out.String()
		}
		return both[0], both[1]
	}
	same := func(args ...string) string {
		t.Helper()
		near, far := ask(args...)
		// AWS's form cuts milliseconds off, where our own record is rounded.
		took, gaps := regexp.MustCompile(` [0-9]+m?s `), regexp.MustCompile(` +`)
		near, far = gaps.ReplaceAllString(took.ReplaceAllString(near, " "), " "), gaps.ReplaceAllString(took.ReplaceAllString(far, " "), " ")
		if near != far || near == "" {
			t.Errorf("%v\nhere\n%s\nfrom afar\n%s", args, near, far)
		}
		return near
	}
	// A question from afar is not in the log once it has been answered, but the
	// administrator's calls are: models tell them apart.
	for _, form := range [][]string{{}, {"--json"}, {"--csv"}} {
		same(append([]string{"usage", "--model", "anthropic.claude-opus-4-6-v1", "--by", "day,profile,endpoint", "--since", "24h"}, form...)...)
	}
	if said := same("usage", "--endpoint-kind", "geographic", "--by", "endpoint", "--zone", "Asia/Tokyo"); !strings.Contains(said, "geographic") {
		t.Error(said)
	}
	if said := same("logs", "--operation", "CreateMessage", "--since", "24h"); !strings.Contains(said, id) {
		t.Error(said)
	}
	same("logs", "--operation", "CreateMessage", "--status", "ok", "-n", "1", "--min-cost", "0.000001")
	same("logs", "--operation", "CreateMessage", "--status", "4xx")
	same("logs", "--operation", "CreateMessage", "--json")
	var books [2]bytes.Buffer
	for i, where := range [][]string{nil, {"--endpoint", s.URL}} {
		if code := run(t.Context(), append([]string{"price", "list", "claude-opus-4-6"}, where...), console{strings.NewReader(""), &books[i], &books[i]}); code != 0 {
			t.Fatal(books[i].String())
		}
	}
	if near, far := books[0].String(), books[1].String(); near != far || !strings.Contains(far, "anthropic.claude-opus-4-6-v1") {
		t.Errorf("here\n%s\nfrom afar\n%s", near, far)
	}
	near, far := ask("logs", "show", id, "--json")
	var a, b any
	if json.Unmarshal([]byte(near), &a) != nil || json.Unmarshal([]byte(far), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) || !strings.Contains(far, "the question") {
		t.Errorf("here\n%s\nfrom afar\n%s", near, far)
	}
	// The conversation, too. AWS's form has whole seconds.
	for _, id := range ids {
		near, far := ask("logs", "show", id)
		cut := regexp.MustCompile(`(?m)^(time +\S{19})(\.[0-9]+)?|^took .*$`)
		near, far = cut.ReplaceAllString(near, "$1"), cut.ReplaceAllString(far, "$1")
		if near != far || !strings.Contains(far, "── user\nthe question\n") || !strings.Contains(far, "── assistant (end_turn)\n") {
			t.Errorf("here\n%s\nfrom afar\n%s", near, far)
		}
	}
	for _, args := range [][]string{{"logs", "--text", "x"}, {"logs", "-f"}, {"logs", "-n", "0"}} {
		var said bytes.Buffer
		if code := run(t.Context(), append(args, "--endpoint", s.URL), console{strings.NewReader(""), &said, &said}); code != exitUsage {
			t.Errorf("%v: %d %s", args, code, said.String())
		}
	}
}

func TestNanodollars(t *testing.T) {
	for _, n := range []catalog.Nanodollars{0, 1, -1, 5e9, -5_250_000_000, 123_456_789_012} {
		if got, err := nanodollars(n.USD()); err != nil || got != n {
			t.Errorf("%s: %d, %v", n.USD(), got, err)
		}
	}
	for _, text := range []string{"--1", "x", "1e9", "-none", "none", "$5"} {
		if n, err := nanodollars(text); err == nil {
			t.Errorf("%s: %d", text, n)
		}
	}
}

// What of an answer is no message is shown as it came, and nothing is left out in
// silence.
func TestExchangeOf(t *testing.T) {
	for name, tt := range map[string]struct{ operation, answer, want string }{
		"cut off":      {"Converse", `{"output":{"message":{"role":"assistant","content":[{"text":"Half"}]}},"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}`, "── answer\nConverse {\"output\""},
		"strange":      {"Converse", `{"output":{"message":{"role":"assistant","content":[{"video":{"format":"mp4"}},{"text":"Whole"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}`, "not shown, --json has it: output.message.content.0.video"},
		"a message":    {"CreateMessage", `{"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"Whole"}],"stop_reason":"end_turn"}`, "── assistant (end_turn)\nWhole\n"},
		"a cut stream": {"InvokeModelWithResponseStream", `[{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[]}},{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Half"}}]`, "── assistant\nHalf\n"},
	} {
		l := &invocationlog.Log{Timestamp: "2026-11-22T13:00:00Z", Operation: tt.operation, Output: invocationlog.Output{Body: json.RawMessage(tt.answer)},
			Outcrop: invocationlog.Outcrop{Content: "of a later version"}}
		x, err := exchangeOf(l)
		if err != nil {
			t.Fatal(name, err)
		}
		var out bytes.Buffer
		if err := (&logsShowCmd{}).print(console{Out: &out}, x); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), tt.want) || !strings.Contains(out.String(), "content    unknown") {
			t.Errorf("%s: no %q in\n%s", name, tt.want, out.String())
		}
	}
	for _, l := range []invocationlog.Log{
		{Timestamp: "yesterday"},
		{Timestamp: "2026-11-22T13:00:00Z", Outcrop: invocationlog.Outcrop{Cost: &invocationlog.Cost{Billed: "much"}}},
		{Timestamp: "2026-11-22T13:00:00Z", Operation: "InvokeModelWithResponseStream", Output: invocationlog.Output{Body: json.RawMessage(`{}`)}},
	} {
		if _, err := exchangeOf(&l); err == nil {
			t.Errorf("%+v is taken", l)
		}
	}
}
