package scripted

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// of is a request of an operation, with headers.
func of(t testing.TB, op *bedrockapi.Operation, body string, header http.Header) gateway.Request {
	req := request(t, body, op.Stream)
	req.Head.Operation, req.Forward = op, header
	return req
}

func TestMatchOfOperationAndHeader(t *testing.T) {
	team := http.Header{"X-Team": {"red, blue"}}
	for _, tt := range []struct {
		match Match
		op    *bedrockapi.Operation
		want  bool
	}{
		{Match{Operation: "InvokeModel"}, bedrockapi.InvokeModel, true},
		{Match{Operation: "InvokeModel"}, bedrockapi.InvokeModelStream, false},
		{Match{Operation: "InvokeModel*"}, bedrockapi.InvokeModelStream, true},
		{Match{Operation: "CreateMessage"}, bedrockapi.CreateMessageBare, true},
		{Match{Header: map[string]string{"x-team": "blue"}}, bedrockapi.InvokeModel, true},
		{Match{Header: map[string]string{"X-Team": ""}}, bedrockapi.InvokeModel, true},
		{Match{Header: map[string]string{"x-team": "green"}}, bedrockapi.InvokeModel, false},
		{Match{Header: map[string]string{"x-other": ""}}, bedrockapi.InvokeModel, false},
	} {
		u := newUpstream(t, Scenario{Rules: []Rule{{Match: tt.match, Answer: Answer{Content: text("MATCHED")}}}})
		frames, err := answer(t, u, of(t, tt.op, said("x"), team))
		if got := strings.Contains(lines(frames), "MATCHED"); err != nil || got != tt.want {
			t.Errorf("%+v of %s: matched %v, %v", tt.match, tt.op.Name, got, err)
		}
	}
}

// The number is that of the calls which fit the rule, whoever answers them.
func TestMatchOfCall(t *testing.T) {
	u := newUpstream(t, Scenario{Rules: []Rule{
		{Match: Match{Call: 2, Text: "a"}, Answer: Answer{Content: text("second a")}},
		{Match: Match{Call: 4}, Answer: Answer{Content: text("fourth")}},
		{Answer: Answer{Content: text("any")}},
	}})
	for i, tt := range []struct{ say, want string }{{"a", "any"}, {"b", "any"}, {"a", "second a"}, {"a", "fourth"}, {"a", "any"}} {
		if got := plain(whole(t, u, said(tt.say))); got != tt.want {
			t.Errorf("call %d: %q, want %q", i+1, got, tt.want)
		}
	}
}

func TestRefuse(t *testing.T) {
	no := false
	u := newUpstream(t, Scenario{Otherwise: Refuse, Rules: []Rule{
		{Match: Match{Text: "weather", Model: "*haiku*", Stream: &no}},
		{Times: 1, Match: Match{Text: "hello"}},
	}})
	whole(t, u, said("hello"))
	_, err := answer(t, u, of(t, bedrockapi.InvokeModelStream, said("hello"), nil))
	e := messages.AsError(err)
	if e.Kind != messages.NotFound {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{
		`call 2: InvokeModelWithResponseStream, model ` + opus, `last user text "hello"`,
		`rule 1: model: want *haiku*, it is ` + opus, `text: "weather" is not within "hello"`, "stream: want false, it is true",
		"rule 2: has answered 1 times",
	} {
		if !strings.Contains(e.Message, want) {
			t.Errorf("%s\n  does not say %s", e.Message, want)
		}
	}
	if cause, ok := errors.AsType[*Unmatched](err); !ok || len(cause.Rules) != 2 {
		t.Errorf("the cause is %v", err)
	}
}

// A count is answered by a rule that names it, and uses up no other.
func TestCountByRule(t *testing.T) {
	u := newUpstream(t, Scenario{Rules: []Rule{
		{Times: 1, Answer: Answer{Content: text("once")}},
		{Match: Match{Operation: "CountTokens", Text: "long"}, Answer: Answer{Usage: &Usage{InputTokens: 2048}}},
		{Match: Match{Operation: "Count*", Text: "busy"}, Answer: Answer{Error: &Fault{Exception: "ThrottlingException"}}},
	}})
	for _, tt := range []struct {
		say  string
		want int64
		kind messages.Kind
	}{{"long", 2048, 0}, {"short", 2, 0}, {"busy", 0, messages.Throttled}} {
		n, err := u.Count(t.Context(), route(t), of(t, bedrockapi.CountTokens, said(tt.say), nil))
		if n != tt.want || tt.kind != 0 && messages.AsError(err).Kind != tt.kind || tt.kind == 0 && err != nil {
			t.Errorf("%s: %d, %v", tt.say, n, err)
		}
	}
	if got := plain(whole(t, u, said("x"))); got != "once" {
		t.Errorf("%q", got)
	}
}

func TestCitations(t *testing.T) {
	s, err := Read(strings.NewReader(`rules: [{answer: {content: [{text: it is so, citations: [{type: char_location, cited_text: so}]}]}}]`))
	if err != nil {
		t.Fatal(err)
	}
	u := newUpstream(t, *s)
	m := whole(t, u, said("x"))
	if b, ok := m.Content.Blocks[0].(messages.Text); !ok || string(b.Citations) != `[{"cited_text":"so","type":"char_location"}]` {
		t.Errorf("%+v", m.Content.Blocks[0])
	}
	frames, err := answer(t, u, request(t, said("x"), true))
	if err != nil || !strings.Contains(lines(frames), `{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"cited_text":"so","type":"char_location"}}}`) {
		t.Errorf("%s, %v", lines(frames), err)
	}
}

func TestCorrupt(t *testing.T) {
	u := newUpstream(t, one(Answer{Content: text("hello"), CorruptAtFrame: 2}))
	s, err := u.Send(t.Context(), route(t), of(t, bedrockapi.InvokeModelStream, said("x"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := 0; ; i++ {
		f, err := s.Next()
		if err == io.EOF {
			break
		}
		if (f.Wire != nil) != (i == 2) {
			t.Errorf("frame %d: wire %q", i, f.Wire)
		}
		if f.Wire != nil {
			if _, err := eventstream.NewReader(bytes.NewReader(f.Wire)).Next(); err == nil || err == io.EOF {
				t.Errorf("the frame is whole: %v", err)
			}
		}
	}
	if _, err := answer(t, u, of(t, bedrockapi.ConverseStream, said("x"), nil)); messages.AsError(err).Kind != messages.InvalidRequest {
		t.Errorf("%v", err)
	}
}
