package scripted

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// TestFrames: the events of a stream with every kind of block.
func TestFrames(t *testing.T) {
	thought, redacted := "hmm", "ZA=="
	u := newUpstream(t, one(Answer{Chunk: 4, Content: []Block{
		{Thinking: &thought, Signature: "sig"}, {RedactedThinking: &redacted}, text("aé—b")[0],
		{ToolUse: &ToolUse{Name: "t", Input: map[string]any{"a": 1}}}, {Raw: map[string]any{"type": "tomorrow", "x": 1}},
	}, Usage: &Usage{InputTokens: 1, OutputTokens: 2, CacheReadInputTokens: 3, CacheCreationInputTokens: 4}}))
	frames, err := answer(t, u, request(t, said("x"), true))
	want := []string{
		`{"type":"message_start","message":{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hmm"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"ZA=="}}`,
		`{"type":"content_block_stop","index":1}`,
		`{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"aé—"}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"b"}}`,
		`{"type":"content_block_stop","index":2}`,
		`{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_bdrk_2","name":"t","input":{}}}`,
		`{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}`,
		`{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":":1}"}}`,
		`{"type":"content_block_stop","index":3}`,
		`{"type":"content_block_start","index":4,"content_block":{"type":"tomorrow","x":1}}`,
		`{"type":"content_block_stop","index":4}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":1,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"output_tokens":2}}`,
		`{"type":"message_stop"}`,
	}
	if err != nil || lines(frames) != lines(want) {
		t.Errorf("%v\n%s\nwant\n%s", err, lines(frames), lines(want))
	}
}

// A block that is given raw is shown whole in a stream, nothing of it lost.
func TestRawBlocksAreWhole(t *testing.T) {
	u := newUpstream(t, one(Answer{Content: []Block{{Raw: map[string]any{"type": "text", "text": "t", "citations": []any{map[string]any{"type": "web"}}}}}}))
	for _, stream := range []bool{false, true} {
		frames, err := answer(t, u, request(t, said("x"), stream))
		if err != nil || !strings.Contains(lines(frames), `{"citations":[{"type":"web"}],"text":"t","type":"text"}`) {
			t.Errorf("stream %v: %v\n%s", stream, err, lines(frames))
		}
	}
}

// TestFaults: an exception at each place of an answer, and past it.
func TestFaults(t *testing.T) {
	clean, err := answer(t, newUpstream(t, one(Answer{Content: text("one two three")})), request(t, said("x"), true))
	if err != nil {
		t.Fatal(err)
	}
	for at := range len(clean) + 2 {
		u := newUpstream(t, one(Answer{Content: text("one two three"), Error: &Fault{Exception: "modelStreamErrorException", Message: "broke", AtFrame: at, RetryAfter: time.Second}}))
		for _, stream := range []bool{false, true} {
			frames, err := answer(t, u, request(t, said("x"), stream))
			e := messages.AsError(err)
			switch {
			case e == nil:
				t.Errorf("at %d, stream %v: no error", at, stream)
			case stream && at >= len(clean):
				if e.Kind != messages.InvalidRequest || !strings.Contains(e.Message, "error.at_frame") || len(frames) > 0 {
					t.Errorf("at %d: %v after %d frames", at, err, len(frames))
				}
			case e.Kind != messages.ModelStreamFailed || e.Message != "broke" || e.RetryAfter != time.Second || stream && len(frames) != at || !stream && len(frames) != 0:
				t.Errorf("at %d, stream %v: %v after %d frames", at, stream, err, len(frames))
			}
		}
	}
}

func TestEveryExceptionHasItsKind(t *testing.T) {
	for name, want := range map[string]messages.Kind{
		"ValidationException": messages.InvalidRequest, "AccessDeniedException": messages.AccessDenied, "ResourceNotFoundException": messages.NotFound,
		"ThrottlingException": messages.Throttled, "ModelTimeoutException": messages.ModelTimeout, "ModelErrorException": messages.ModelFailed,
		"ModelNotReadyException": messages.NotReady, "ServiceQuotaExceededException": messages.QuotaExceeded, "InternalServerException": messages.Internal,
		"ServiceUnavailableException": messages.Unavailable, "serviceUnavailableException": messages.Unavailable,
	} {
		_, err := answer(t, newUpstream(t, one(Answer{Error: &Fault{Exception: name}})), request(t, said("x"), true))
		if got := messages.AsError(err); got == nil || got.Kind != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCut(t *testing.T) {
	clean, err := answer(t, newUpstream(t, Scenario{}), request(t, said("one two three four five"), true))
	if err != nil {
		t.Fatal(err)
	}
	for at := 1; at < len(clean)+2; at++ {
		frames, err := answer(t, newUpstream(t, one(Answer{CutAtFrame: at})), request(t, said("one two three four five"), true))
		if at < len(clean) && (err != nil || len(frames) != at) || at >= len(clean) && err == nil {
			t.Errorf("cut at %d: %d frames, %v", at, len(frames), err)
		}
	}
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		u := newUpstream(t, one(Answer{Content: text("x"), Delay: 3 * time.Second, FrameDelay: time.Second}))
		s, err := u.Send(t.Context(), route(t), request(t, said("x"), true))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			if _, err := s.Next(); err != nil {
				t.Fatal(err)
			}
			if took, want := time.Since(begun), time.Duration(3+i)*time.Second; took != want {
				t.Errorf("frame %d after %v, want %v", i, took, want)
			}
			if s.Buffered() {
				t.Error("the next frame would wait, yet it is said to be there")
			}
		}
		if _, err := s.Next(); err != io.EOF {
			t.Errorf("%v", err)
		}
		// A call that is not streamed waits for its delay alone.
		begun = time.Now()
		if _, err := answer(t, u, request(t, said("x"), false)); err != nil || time.Since(begun) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// Whatever it waits for, a client that leaves ends it.
func TestLeaving(t *testing.T) {
	for name, a := range map[string]Answer{
		"delay":       {Delay: time.Hour},
		"frame delay": {FrameDelay: time.Hour},
		"hold":        {Hold: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, leave := context.WithCancel(t.Context())
				time.AfterFunc(time.Minute, leave)
				s, err := newUpstream(t, one(a)).Send(ctx, route(t), request(t, said("x"), true))
				for err == nil {
					_, err = s.Next()
				}
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestBefore(t *testing.T) {
	var seen []int
	stop := errors.New("stop")
	u := newUpstream(t, one(Answer{Before: func(frame int) error {
		seen = append(seen, frame)
		if frame == 2 {
			return stop
		}
		return nil
	}}))
	if frames, err := answer(t, u, request(t, said("x"), true)); !errors.Is(err, stop) || len(frames) != 2 || len(seen) != 3 {
		t.Errorf("%d frames, %v, %v", len(frames), err, seen)
	}
}

// TestFits: without content the answer is one that the request allows.
func TestFits(t *testing.T) {
	tool := `,"tools":[{"type":"bash_20250124","name":"bash"},{"name":"t","input_schema":{"type":"object","properties":{"n":{"type":"integer","minimum":3}},"required":["n"]}}]`
	ask := func(text string, more string) string { return strings.TrimSuffix(said(text), "}") + more + "}" }
	for _, test := range []struct {
		name, body string
		tokens     int64
		content    string
		reason     string
		sequence   string
	}{
		{"echo", said("Hello, <world> é"), 64, `[{"type":"text","text":"Hello, <world> é"}]`, "end_turn", ""},
		{"of blocks", `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"},{"type":"text","text":"b"}]}]}`, 64, `[{"type":"text","text":"a\nb"}]`, "end_turn", ""},
		{"of nothing", `{"messages":[{"role":"user","content":[{"type":"image"}]}]}`, 64, `[{"type":"text","text":"(no text)"}]`, "end_turn", ""},
		{"of nobody", `{"messages":[{"role":"assistant","content":"x"}]}`, 64, `[{"type":"text","text":"(no text)"}]`, "end_turn", ""},
		{"cut", said("123456789"), 2, `[{"type":"text","text":"12345678"}]`, "max_tokens", ""},
		{"just fits", said("12345678"), 2, `[{"type":"text","text":"12345678"}]`, "end_turn", ""},
		{"cut, characters whole", said("123é"), 1, `[{"type":"text","text":"123"}]`, "max_tokens", ""},
		{"stopped", ask("one STOP two", `,"stop_sequences":["two","STOP"]`), 64, `[{"type":"text","text":"one "}]`, "stop_sequence", "STOP"},
		{"cut before it is stopped", ask("123456789 STOP", `,"stop_sequences":["STOP"]`), 1, `[{"type":"text","text":"1234"}]`, "max_tokens", ""},
		{"stopped before it is cut", ask("1STOP 56789", `,"stop_sequences":["STOP"]`), 1, `[{"type":"text","text":"1"}]`, "stop_sequence", "STOP"},
		{"auto", ask("x", tool+`,"tool_choice":{"type":"auto"}`), 64, `[{"type":"text","text":"x"}]`, "end_turn", ""},
		{"none", ask("x", tool+`,"tool_choice":{"type":"none"}`), 64, `[{"type":"text","text":"x"}]`, "end_turn", ""},
		{"any", ask("x", tool+`,"tool_choice":{"type":"any"}`), 64, `[{"type":"tool_use","id":"toolu_bdrk_2","name":"t","input":{"n":3}}]`, "tool_use", ""},
		{"any, no schema", ask("x", `,"tools":[{"type":"bash_20250124","name":"bash"}],"tool_choice":{"type":"any"}`), 64, `[{"type":"tool_use","id":"toolu_bdrk_2","name":"bash","input":{}}]`, "tool_use", ""},
		{"a tool", ask("x", tool+`,"tool_choice":{"type":"tool","name":"bash"}`), 64, `[{"type":"tool_use","id":"toolu_bdrk_2","name":"bash","input":{}}]`, "tool_use", ""},
		{"structured", ask("x", `,"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}}}`), 64, `[{"type":"text","text":"{\"n\":0}"}]`, "end_turn", ""},
		{"structured, the older name", ask("x", `,"output_format":{"type":"json_schema","schema":{"type":"object","properties":{"b":{"type":"boolean"}},"required":["b"]}}`), 64, `[{"type":"text","text":"{\"b\":true}"}]`, "end_turn", ""},
		{"effort alone", ask("x", `,"output_config":{"effort":"high"}`), 64, `[{"type":"text","text":"x"}]`, "end_turn", ""},
	} {
		for _, stream := range []bool{false, true} {
			req := request(t, test.body, stream)
			req.Head.MaxTokens = test.tokens
			frames, err := answer(t, newUpstream(t, Scenario{}), req)
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
				continue
			}
			if stream {
				last := frames[len(frames)-2]
				sequence := "null"
				if test.sequence != "" {
					sequence = quote(test.sequence)
				}
				if !strings.Contains(last, `"delta":{"stop_reason":"`+test.reason+`","stop_sequence":`+sequence+`}`) {
					t.Errorf("%s: %s", test.name, last)
				}
				continue
			}
			m := new(messages.Message)
			if err := m.UnmarshalJSON([]byte(frames[0])); err != nil {
				t.Fatal(err)
			}
			content, _ := m.Content.MarshalJSON()
			sequence := ""
			if m.StopSequence != nil {
				sequence = *m.StopSequence
			}
			if string(content) != test.content || *m.StopReason != test.reason || sequence != test.sequence || m.Usage.OutputTokens > test.tokens {
				t.Errorf("%s: %s %s %q %+v", test.name, content, *m.StopReason, sequence, m.Usage)
			}
		}
	}
	for choice, want := range map[string]string{
		`{"type":"tool","name":"u"}`: "Tool 'u' not found in provided tools",
		`{"type":"any"}`:             "tool_choice: any needs tools",
	} {
		_, err := answer(t, newUpstream(t, Scenario{}), request(t, ask("x", `,"tool_choice":`+choice), false))
		if e := messages.AsError(err); e == nil || e.Kind != messages.ModelRejected || e.Message != want {
			t.Errorf("%s: %v", choice, err)
		}
	}
}

// The input of a scripted tool call without one fits the tool's schema.
func TestToolInputIsMadeUp(t *testing.T) {
	u := newUpstream(t, one(Answer{Content: []Block{{ToolUse: &ToolUse{Name: "t"}}, {ToolUse: &ToolUse{Name: "unknown", ID: "mine"}}}}))
	m := whole(t, u, `{"messages":[{"role":"user","content":"x"}],"tools":[{"name":"t","input_schema":{"type":"object","properties":{"s":{"type":"string"}},"required":["s"]}}]}`)
	out, _ := m.Content.MarshalJSON()
	if want := `[{"type":"tool_use","id":"toolu_bdrk_2","name":"t","input":{"s":"text"}},{"type":"tool_use","id":"mine","name":"unknown","input":{}}]`; string(out) != want {
		t.Errorf("%s", out)
	}
}

func TestCount(t *testing.T) {
	u := newUpstream(t, Scenario{})
	small, err := u.Count(t.Context(), route(t), request(t, said("hello"), false))
	if err != nil || small < 1 {
		t.Fatalf("%d, %v", small, err)
	}
	large, _ := u.Count(t.Context(), route(t), request(t, `{"system":"`+strings.Repeat("s", 400)+`","tools":[{"name":"tool","input_schema":{}}],"messages":[{"role":"user","content":"hello"}]}`, false))
	if large < small+100 {
		t.Errorf("%d, then %d with a system prompt of 400 bytes", small, large)
	}
	if _, err := u.Count(t.Context(), route(t), request(t, `{"messages":[5]}`, false)); messages.AsError(err).Kind != messages.InvalidRequest {
		t.Errorf("%v", err)
	}
}

func TestIDsDiffer(t *testing.T) {
	u, err := New(Scenario{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := whole(t, u, said("x")), whole(t, u, said("x"))
	if a.ID == b.ID || !strings.HasPrefix(a.ID, "msg_bdrk_") || u.Name() != "scripted" {
		t.Errorf("%s %s", a.ID, b.ID)
	}
}
