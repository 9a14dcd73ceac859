package converse_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

func envelope(comment string) converse.Envelope {
	e := converse.Envelope{LatencyMS: 12}
	_, list, _ := strings.Cut(comment, "options:")
	for _, word := range strings.Fields(list) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "fields":
			e.ResponseFields = strings.Split(value, ",")
		case "latency":
			e.Latency = value
		case "tier":
			e.ServiceTier = value
		case "trace":
			e.Trace = []byte(value)
		case "lossy":
			e.Lossy = true
		default:
			panic("unknown option " + name)
		}
	}
	return e
}

func named(dropped []string) []txtar.File {
	if len(dropped) == 0 {
		return nil
	}
	return []txtar.File{section("dropped", []byte(strings.Join(dropped, "\n")))}
}

// Each answer is translated, translated back, and there again: the same bytes.
func TestAnswers(t *testing.T) {
	golden(t, "testdata/answer/*.txtar", func(t *testing.T, a *txtar.Archive) (out []txtar.File) {
		in := a.Files[0].Data
		if a.Files[0].Name == "message" {
			answer, dropped, err := converse.AppendAnswer(nil, in, envelope(string(a.Comment)))
			if err != nil {
				t.Fatal(err)
			}
			out = append(append(out, section("converse", pretty(t, answer))), named(dropped)...)
			in = answer
		}
		message, e, dropped, err := converse.ReadAnswer(in, "msg_9", "claude-y", false)
		if err != nil {
			if strings.Contains(err.Error(), "is none that Messages can take back") {
				return out
			}
			t.Fatal(err)
		}
		out = append(append(out, section("back", pretty(t, message))), named(dropped)...)
		again, dropped, err := converse.AppendAnswer(nil, message, e)
		if err != nil || dropped != nil {
			t.Fatalf("%v, dropped %q", err, dropped)
		}
		if a.Files[0].Name == "message" {
			if !bytes.Equal(again, in) {
				t.Errorf("not stable:\n%s\n%s", in, again)
			}
			return out
		}
		return append(out, section("again", pretty(t, again)))
	})
}

// The names on the way to what a pointer finds are kept; what it does not find
// is left out; the longer of two pointers of one path adds nothing.
func TestResponseFields(t *testing.T) {
	message := []byte(`{"content":[{"type":"text","text":"a"}],"stop_reason":"end_turn","stop_sequence":null,"x":{"a/b":{"~":[1,{"c":2.50}]}},"usage":{}}`)
	for _, tt := range []struct{ pointers, want string }{
		{"/stop_sequence", `{"stop_sequence":null}`},
		{"/stop_reason /stop_sequence", `{"stop_reason":"end_turn","stop_sequence":null}`},
		{"/x/a~1b/~0/1/c", `{"x":{"a/b":{"~":{"1":{"c":2.50}}}}}`},
		{"/x/a~1b/~0/1 /x/a~1b/~0/1/c", `{"x":{"a/b":{"~":{"1":{"c":2.50}}}}}`},
		{"/content/0/text", `{"content":{"0":{"text":"a"}}}`},
		{"/nowhere /stop_reason/deeper /content/7 /content/x", ``},
		{"/", ``},
	} {
		answer, _, err := converse.AppendAnswer(nil, message, converse.Envelope{ResponseFields: strings.Fields(tt.pointers)})
		if err != nil {
			t.Fatal(err)
		}
		want := `{"additionalModelResponseFields":` + tt.want + `,"metrics"`
		if tt.want == "" {
			want = `{"metrics"`
		}
		if !bytes.HasPrefix(answer, []byte(want)) {
			t.Errorf("%s: %s", tt.pointers, answer)
		}
	}
}

// AppendAnswer appends: what dst holds stays, on failure too.
func TestAppendAnswerAppends(t *testing.T) {
	dst := []byte("before")
	out, _, err := converse.AppendAnswer(dst, []byte(`{"content":[],"stop_reason":"end_turn","usage":{}}`), converse.Envelope{})
	if err != nil || !bytes.HasPrefix(out, []byte(`before{"metrics"`)) {
		t.Errorf("%s, %v", out, err)
	}
	out, _, err = converse.AppendAnswer(dst, []byte(`{"content":[{"type":"hologram"}],"stop_reason":"end_turn","usage":{}}`), converse.Envelope{})
	if e := asError(t, err); string(out) != "before" || e.Kind != messages.ModelFailed || !strings.Contains(e.Message, "hologram") {
		t.Errorf("%s, %v", out, err)
	}
}

func TestAnswersRefused(t *testing.T) {
	for in, want := range map[string]string{
		`[]`:                         "The model sent an answer that cannot be read: #: expected an object.",
		`{"stop_reason":"end_turn"}`: "content: Field required",
		`{"content":[]}`:             "stop_reason: Field required",
		`{"content":[],"stop_reason":"x","usage":{"input_tokens":-1}}`:        "The model sent an answer that cannot be read: #/usage/input_tokens: expected a count of tokens.",
		`{"content":[{"type":"tool_use","id":"a"}],"stop_reason":"tool_use"}`: "content.0.input: Field required",
	} {
		_, _, err := converse.AppendAnswer(nil, []byte(in), converse.Envelope{})
		if err == nil || asError(t, err).Message != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
	for in, want := range map[string]string{
		`{}`: "3 validation errors detected: Value null at 'output' failed to satisfy constraint: Member must not be null; Value null at 'stopReason' failed to satisfy constraint: Member must not be null; Value null at 'usage' failed to satisfy constraint: Member must not be null",
		`{"output":{"message":{"role":"assistant","content":[{"image":{}}]}},"stopReason":"end_turn","usage":{}}`: "The image block at output.message.content.0.image cannot be carried over to Messages.",
	} {
		_, _, _, err := converse.ReadAnswer([]byte(in), "", "", false)
		if err == nil || asError(t, err).Message != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

// A stream is a list of events, one a line.
func TestStreams(t *testing.T) {
	golden(t, "testdata/stream/*.txtar", func(t *testing.T, a *txtar.Archive) (out []txtar.File) {
		in := a.Files[0].Data
		if a.Files[0].Name == "messages" {
			s := converse.NewStream(envelope(string(a.Comment)))
			s.Latency = func() time.Duration { return 1234 * time.Millisecond }
			in = toConverse(t, s, in)
			out = append(append(out, section("converse", in)), named(s.Dropped())...)
			if !s.Ended() {
				t.Error("not ended")
			}
		}
		r := &converse.StreamReader{ID: "msg_9", Model: "claude-y"}
		back := toMessages(t, r, in)
		out = append(append(out, section("back", back)), named(r.Dropped())...)
		if !r.Ended() {
			t.Error("not ended")
		}
		s := converse.NewStream(r.Envelope())
		again := toConverse(t, s, back)
		if a.Files[0].Name == "messages" {
			if !bytes.Equal(again, in) {
				t.Errorf("not stable:\n%s\n%s", in, again)
			}
			return out
		}
		return append(out, section("again", again))
	})
}

func toConverse(t *testing.T, s *converse.Stream, lines []byte) (out []byte) {
	t.Helper()
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSpace(line)
		events, err := s.Event(messages.EventType(line), line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, e := range events {
			out = fmt.Appendf(out, "%s %s\n", e.Type, e.Payload)
		}
	}
	return out
}

func toMessages(t *testing.T, r *converse.StreamReader, lines []byte) (out []byte) {
	t.Helper()
	for line := range bytes.Lines(lines) {
		kind, payload, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		events, err := r.Event(string(kind), payload)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, e := range events {
			if messages.EventType(e.Payload) != e.Type {
				t.Errorf("type %s: %s", e.Type, e.Payload)
			}
			out = append(append(out, e.Payload...), '\n')
		}
	}
	return out
}

const begun = `{"type":"message_start","message":{"usage":{}}}` + "\n"
const textBegun = begun + `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n"

// Events out of order, and those that cannot be carried, end the stream with an
// error that says which.
func TestStreamsRefused(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"content_block_stop","index":0}`: "The model sent content_block_stop out of order.",
		`{"type":"hologram_start"}`:               "The model sent hologram_start out of order.",
		begun + begun:                             "The model sent message_start out of order.",
		begun + `{"type":"hologram_start"}`:       "hologram_start: an event that cannot be carried over to ConverseStream",
		begun + `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`:                                                 "The model sent a delta of a block that is not open.",
		begun + `{"type":"content_block_stop","index":0}`:                                                                                           "The model ended a block that is not open.",
		begun + `{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use"}}`:                                               "content.0: the block server_tool_use cannot be carried over to Converse there",
		begun + `{"type":"content_block_start","index":0}`:                                                                                          "The model sent an answer that cannot be read: #: expected a content_block.",
		begun + `{"type":"message_stop"}`:                                                                                                           "The model ended its answer without a stop_reason.",
		textBegun + `{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}`:                                            "The model began a block before it ended block 0.",
		textBegun + `{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a"}}`:                                             "The model sent a delta of a block that is not open.",
		textBegun + `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"a"}}`:                               "The model sent a input_json_delta to a block of another kind.",
		textBegun + `{"type":"content_block_delta","index":0,"delta":{"type":"sparkle_delta","sparkle":"a"}}`:                                       "content.0: the block sparkle_delta cannot be carried over to Converse there",
		textBegun + `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta"}}`:                                                        "The model sent an answer that cannot be read: #/content/0: expected a text_delta with text.",
		textBegun + `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":1}}`:                                               "The model sent an answer that cannot be read: #/content/0/text: expected a string.",
		textBegun + `{"type":"message_stop"}`:                                                                                                       "The model ended its answer before it ended block 0.",
		begun + `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}` + "\n" + `{"type":"message_stop"}` + "\n" + `{"type":"message_stop"}`: "The model sent message_stop out of order.",
	} {
		s := converse.NewStream(converse.Envelope{})
		err := firstError(in, func(line []byte) error {
			_, err := s.Event(messages.EventType(line), line)
			return err
		})
		if err == nil || asError(t, err).Message != want || asError(t, err).Kind != messages.ModelStreamFailed {
			t.Errorf("%s:\ngot  %v\nwant %s", in, err, want)
		}
	}
	s := converse.NewStream(converse.Envelope{})
	if err := firstError(begun+`{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`+"\n"+`{"type":"message_stop"`, func(line []byte) error {
		_, err := s.Event(messages.EventType(append(line, '}')), line)
		return err
	}); err == nil || s.Ended() {
		t.Errorf("a stream cut in its last event: %v, ended %v", err, s.Ended())
	}
	const start = `messageStart {"role":"assistant"}` + "\n"
	for in, want := range map[string]string{
		`contentBlockStop {"contentBlockIndex":0}`: "The model sent contentBlockStop out of order.",
		start + start:         "The model sent messageStart out of order.",
		start + `metadata {}`: "The model sent metadata out of order.",
		start + `hologram {}`: "hologram: an event that cannot be carried over to Messages",
		start + `contentBlockDelta {"contentBlockIndex":0,"delta":{"image":{}}}`:              "delta.image: a delta that cannot be carried over to Messages",
		start + `contentBlockStart {"contentBlockIndex":0,"start":{"image":{}}}`:              "start.image: a block that cannot be carried over to Messages",
		start + `contentBlockDelta {"contentBlockIndex":0,"delta":{"toolUse":{"input":"a"}}}`: "The model sent a tool's input to a block that is none.",
		start + `messageStop {}`: "1 validation error detected: Value null at 'stopReason' failed to satisfy constraint: Member must not be null",
		start + `contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"a"}}` + "\n" + `messageStop {"stopReason":"end_turn"}`:                                               "The model ended its answer before it ended block 0.",
		start + `contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"a"}}` + "\n" + `contentBlockDelta {"contentBlockIndex":1,"delta":{"text":"a"}}`:                      "The model sent an event of block 1 while block 0 was open.",
		start + `contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"a"}}` + "\n" + `contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"a"}}}`: "The model sent a delta to a block of another kind.",
	} {
		r := &converse.StreamReader{}
		err := firstError(in, func(line []byte) error {
			kind, payload, _ := bytes.Cut(line, []byte(" "))
			_, err := r.Event(string(kind), payload)
			return err
		})
		if err == nil || asError(t, err).Message != want || asError(t, err).Kind != messages.ModelStreamFailed {
			t.Errorf("%s:\ngot  %v\nwant %s", in, err, want)
		}
	}
}

func firstError(lines string, event func([]byte) error) error {
	for line := range strings.Lines(lines) {
		if err := event([]byte(strings.TrimSpace(line))); err != nil {
			return err
		}
	}
	return nil
}
