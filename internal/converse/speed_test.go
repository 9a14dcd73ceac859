package converse_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// talkOf is a conversation with tools of about that many bytes.
func talkOf(size int) []byte {
	var turns []string
	for n := 0; n < size; {
		t := []string{
			user(`{"text":"The quick brown fox jumps over the lazy dog.\nIt said \"well\" and went on to the far side of the outcrop, where the rock comes to the surface."}`),
			model(`{"text":"Let me look."},{"toolUse":{"toolUseId":"a","name":"t","input":{"path":"/src/main.go","lines":[1,200],"deep":{"a":1.50}}}}`),
			user(`{"toolResult":{"toolUseId":"a","content":[{"text":"package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n"}],"status":"success"}}`),
			model(`{"text":"It prints hello, and nothing else that I can see."}`),
		}
		turns = append(turns, t...)
		n += len(strings.Join(t, ","))
	}
	return []byte(with(`"system":[{"text":"You are terse."}],"inferenceConfig":{"maxTokens":1024},`+tool, append(turns, user(hi))...))
}

func imageOf(size int) []byte {
	return []byte(ask(user(hi + `,{"image":{"format":"png","source":{"bytes":"` + strings.Repeat("iVBORw0KGgo/", size/12) + `"}}}`)))
}

const answerText = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"` + "The rock comes to the surface where the soil is thin, and there one sees what is below.\\n" + `"},{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{"city":"Paris","zip":1.00}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":5,"output_tokens":7}}`

// deltas are the frames that make up nearly all of a stream.
var deltas = map[string]string{
	"text":     `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" surface"}}`,
	"tool":     `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"city\": \"Pa"}}`,
	"thinking": `{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":" so"}}`,
}

// started is a stream in the middle of a block of that kind.
func started(t testing.TB, kind string) *converse.Stream {
	t.Helper()
	block := map[string]string{"text": `"text","text":""`, "tool": `"tool_use","id":"a","name":"t","input":{}`, "thinking": `"thinking","thinking":"","signature":""`}[kind]
	s := converse.NewStream(converse.Envelope{})
	for _, e := range []string{`{"type":"message_start","message":{"usage":{"input_tokens":1}}}`, `{"type":"content_block_start","index":0,"content_block":{"type":` + block + `}}`} {
		if _, err := s.Event(messages.EventType([]byte(e)), []byte(e)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// A frame of a stream costs nothing to the collector, and a request a few
// buffers, however long it is.
func TestAllocations(t *testing.T) {
	for kind, delta := range deltas {
		s, data := started(t, kind), []byte(delta)
		if n := testing.AllocsPerRun(100, func() {
			if e, err := s.Event(messages.EventContentBlockDelta, data); err != nil || len(e) != 1 {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a frame", kind, n)
		}
	}
	small, large := talkOf(4<<10), talkOf(256<<10)
	count := func(body []byte) float64 {
		return testing.AllocsPerRun(10, func() {
			if _, err := converse.ToMessages(body, converse.Options{DefaultMaxTokens: 1}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if s, l := count(small), count(large); s > 40 || l > s+20 {
		t.Errorf("%v allocations for 4 KiB, %v for 256 KiB", s, l)
	}
}

func BenchmarkToMessages(b *testing.B) {
	for _, size := range []int{4 << 10, 256 << 10} {
		bench(b, fmt.Sprintf("talk/%dKiB", size>>10), talkOf(size))
	}
	bench(b, "image/3MiB", imageOf(3<<20))
}

func bench(b *testing.B, name string, body []byte) {
	b.Run(name, func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := converse.ToMessages(body, converse.Options{DefaultMaxTokens: 1}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(float64(len(body))/1024), "ns/KiB")
	})
}

func BenchmarkFromMessages(b *testing.B) {
	r, err := converse.ToMessages(talkOf(256<<10), converse.Options{DefaultMaxTokens: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(r.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := converse.FromMessages(r.Body, false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(float64(len(r.Body))/1024), "ns/KiB")
}

func BenchmarkAppendAnswer(b *testing.B) {
	message := []byte(answerText)
	var out []byte
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, _, err = converse.AppendAnswer(out[:0], message, converse.Envelope{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStreamFrame(b *testing.B) {
	for _, kind := range []string{"text", "tool", "thinking"} {
		b.Run(kind, func(b *testing.B) {
			s, data := started(b, kind), []byte(deltas[kind])
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Event(messages.EventContentBlockDelta, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStreamReaderFrame(b *testing.B) {
	r := &converse.StreamReader{}
	if _, err := r.Event(converse.MessageStart, []byte(`{"role":"assistant"}`)); err != nil {
		b.Fatal(err)
	}
	data := []byte(`{"contentBlockIndex":0,"delta":{"text":" surface"},"p":"abcdefghij"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Event(converse.ContentBlockDelta, data); err != nil {
			b.Fatal(err)
		}
	}
}
