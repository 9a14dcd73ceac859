package scripted

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// TestDocument loads the example of docs/scripted.md, and holds it to show every
// member that there is.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/scripted.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("there is no example")
	}
	s, err := Read(strings.NewReader(example))
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "demo" || s.Otherwise != Echo || len(s.Rules) != 6 {
		t.Fatalf("%+v", s)
	}
	r := s.Rules[0]
	if r.Match.Model == "" || r.Match.Text == "" || r.Match.Tool == "" || r.Match.ToolResult == nil || r.Match.Stream == nil || r.Match.Beta == "" || r.Times != 1 ||
		r.Match.Operation == "" || len(r.Match.Header) != 1 || r.Match.Call != 1 {
		t.Errorf("match %+v", r.Match)
	}
	a := r.Answer
	if len(a.Content) != 6 || len(a.Content[3].Citations) != 1 || a.Usage == nil || a.Chunk != 8 || a.Delay != 20*time.Millisecond || a.FrameDelay != 5*time.Millisecond || a.StopReason == "" {
		t.Errorf("answer %+v", a)
	}
	if s.Rules[1].Answer.Hold != 3 || s.Rules[2].Answer.CutAtFrame != 2 || s.Rules[4].Answer.CorruptAtFrame != 3 || s.Rules[5].Answer.Usage.InputTokens != 2048 {
		t.Errorf("%+v", s.Rules)
	}
	if e := s.Rules[3].Answer.Error; e == nil || e.Exception == "" || e.Message == "" || e.RetryAfter != 2*time.Second {
		t.Errorf("%+v", e)
	}
	// And it does what it says.
	u, err := New(*s)
	if err != nil {
		t.Fatal(err)
	}
	if u.Name() != "scripted/demo" {
		t.Error(u.Name())
	}
	if _, err := answer(t, u, request(t, said("please throttle"), false)); messages.AsError(err).Kind != messages.Throttled || messages.AsError(err).RetryAfter != 2*time.Second {
		t.Errorf("%v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for yaml, want := range map[string]string{
		"otherwise: shrug":                                                           "otherwise \"shrug\": want echo or refuse",
		"{otherwise: echo, recording: a}":                                            "exclude each other",
		"rules: [{match: {operation: '['}}]":                                         "match.operation",
		"rules: [{match: {operation: InvokModel}}]":                                  `did you mean "InvokeModel"?`,
		"rules: [{match: {operation: Embed}}]":                                       "the members are Converse, ",
		"rules: [{match: {call: -1}}]":                                               "match.call must not be below 0",
		"rules: [{answer: {corrupt_at_frame: -1}}]":                                  "corrupt_at_frame must not be below 0",
		"rules: [{answer: {content: [{raw: {type: x}, citations: []}]}}]":            "citations stand beside text",
		"rules: [{match: {txet: a}}]":                                                "txet; did you mean \"text\"?",
		"rules: [{answer: {content: [{text: a}, {tool_use: {nam: a}}]}}]":            "nam; did you mean \"name\"?",
		"rules: [{answer: {shape: a}}]":                                              "shape; the members are chunk, content, corrupt_at_frame",
		"ruels: []":                                                                  "ruels; did you mean \"rules\"?",
		"rules: [{anwser: {}}]":                                                      `unknown field "anwser"`,
		"rules: [{answer: {error: {exception: Nope}}}]":                              `rule 1: error.exception "Nope" is none`,
		"rules: [{}, {answer: {error: {message: x}}}]":                               "rule 2: error.exception",
		"rules: [{answer: {content: [{}]}}]":                                         "content 1: want exactly one of",
		"rules: [{answer: {content: [{text: a}, {text: b, thinking: c}]}}]":          "content 2: want exactly one of",
		"rules: [{answer: {content: [{text: a, signature: b}]}}]":                    "a signature stands beside thinking",
		"rules: [{answer: {content: [{tool_use: {}}]}}]":                             "tool_use needs a name",
		"rules: [{answer: {content: [{raw: {x: 1}}]}}]":                              "raw needs a type",
		"rules: [{answer: {content: [{raw: {type: x, y: .nan}}]}}]":                  "unsupported value",
		"rules: [{answer: {content: [{tool_use: {name: x, input: {y: .inf}}}]}}]":    "unsupported value",
		"rules: [{match: {model: '['}}]":                                             "match.model",
		"rules: [{times: -1}]":                                                       "times must not be below 0",
		"rules: [{answer: {chunk: -1}}]":                                             "chunk must not be below 0",
		"rules: [{answer: {hold: -1}}]":                                              "hold must not be below 0",
		"rules: [{answer: {cut_at_frame: -2}}]":                                      "cut_at_frame must not be below 0",
		"rules: [{answer: {error: {exception: ThrottlingException, at_frame: -1}}}]": "error.at_frame must not be below 0",
		"rules: [{answer: {delay: -1s}}]":                                            "delay must not be below 0",
		"rules: [{answer: {delay: 50}}]":                                             "of type time.Duration",
		"rules: [{answer: {frame_delay: soon}}]":                                     "soon",
		"rules: [{times: 1, times: 2}]":                                              "already defined",
		"name: a\n---\nname: b":                                                      "more than one YAML document",
		"rules: {":                                                                   "scenario:",
		"- a":                                                                        "scenario:",
	} {
		if _, err := Read(strings.NewReader(yaml)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", yaml, err, want)
		}
	}
	// The place is shown.
	_, err := Read(strings.NewReader("name: a\nrules:\n  - answer:\n      contnet: []\n"))
	if err == nil || !strings.Contains(err.Error(), "[4:7]") {
		t.Errorf("%v", err)
	}
	for _, yaml := range []string{"", "name: x", "rules: []", "rules: [{}]", "# nothing"} {
		if _, err := Read(strings.NewReader(yaml)); err != nil {
			t.Errorf("%q: %v", yaml, err)
		}
	}
	if _, err := New(Scenario{Rules: []Rule{{Times: -1}}}); err == nil {
		t.Error("a Go value is not checked")
	}
}

// TestMatch: each member alone, and what it does not match.
func TestMatch(t *testing.T) {
	yes, no := true, false
	const tools = `,"tools":[{"name":"t","input_schema":{"type":"object"}}]}`
	base := strings.TrimSuffix(said("say hello"), "}")
	result := `{"max_tokens":64,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"hello"}]}]}`
	for _, test := range []struct {
		name   string
		match  Match
		body   string
		stream bool
		want   bool
	}{
		{"nothing asked", Match{}, said("x"), false, true},
		{"id as called", Match{Model: opus}, said("x"), false, true},
		{"glob", Match{Model: "global.*opus*"}, said("x"), false, true},
		{"the catalog's id", Match{Model: "anthropic.claude-opus-4-6-v1"}, said("x"), false, true},
		{"another id", Match{Model: "*sonnet*"}, said("x"), false, false},
		{"text", Match{Text: "hello"}, said("say hello"), false, true},
		{"other text", Match{Text: "hello"}, said("say it"), false, false},
		{"text of an earlier turn", Match{Text: "hello"}, `{"max_tokens":64,"messages":[{"role":"user","content":"hello"},{"role":"assistant","content":"x"},{"role":"user","content":"y"}]}`, false, false},
		{"a tool", Match{Tool: "t"}, base + tools, false, true},
		{"no tool", Match{Tool: "t"}, base + "}", false, false},
		{"a result", Match{ToolResult: &yes}, result, false, true},
		{"no result", Match{ToolResult: &yes}, said("x"), false, false},
		{"none wanted", Match{ToolResult: &no}, result, false, false},
		{"none wanted, none there", Match{ToolResult: &no}, said("x"), false, true},
		{"streamed", Match{Stream: &yes}, said("x"), true, true},
		{"not streamed", Match{Stream: &yes}, said("x"), false, false},
		{"beta", Match{Beta: "b"}, said("x"), false, true},
		{"other beta", Match{Beta: "c"}, said("x"), false, false},
		{"all of them", Match{Model: "*opus*", Text: "hello", Tool: "t", ToolResult: &no, Stream: &no, Beta: "b"}, base + tools, false, true},
		{"all but one", Match{Model: "*opus*", Text: "hello", Tool: "u", ToolResult: &no, Stream: &no, Beta: "b"}, base + tools, false, false},
	} {
		u := newUpstream(t, Scenario{Rules: []Rule{{Match: test.match, Answer: Answer{Content: text("MATCHED")}}}})
		req := request(t, test.body, test.stream)
		req.Head.Betas = []string{"a", "b"}
		frames, err := answer(t, u, req)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(lines(frames), "MATCHED"); got != test.want {
			t.Errorf("%s: matched %v", test.name, got)
		}
	}
}

// Rules answer in order, each as often as it may.
func TestTimes(t *testing.T) {
	u := newUpstream(t, Scenario{Rules: []Rule{
		{Times: 1, Answer: Answer{Content: text("first")}},
		{Times: 2, Answer: Answer{Content: text("second")}},
		{Match: Match{Text: "third"}, Answer: Answer{Content: text("third")}},
	}})
	for i, want := range []string{"first", "second", "second", "third", "third"} {
		if got := plain(whole(t, u, said("third"))); got != want {
			t.Errorf("call %d: %q, want %q", i, got, want)
		}
	}
	if got := plain(whole(t, u, said("echo"))); got != "echo" {
		t.Errorf("%q", got)
	}
}

func FuzzRead(f *testing.F) {
	doc, err := os.ReadFile("../../../docs/scripted.md")
	if err != nil {
		f.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	f.Add(example)
	f.Add("rules: [{match: {tetx: a}}]")
	f.Add("rules: &a [*a]\n? {b: c}\n: d\n<<: {ruels: 1}")
	f.Fuzz(func(t *testing.T, file string) {
		s, err := Read(strings.NewReader(file))
		if err != nil {
			return
		}
		if _, err := New(*s); err != nil {
			t.Errorf("Read takes what New refuses: %v", err)
		}
	})
}
