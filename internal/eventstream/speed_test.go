package eventstream

import (
	"bytes"
	"fmt"
	"testing"
)

// endless gives the same frames again and again.
type endless struct {
	frames []byte
	at     int
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.frames[e.at:])
	e.at = (e.at + n) % len(e.frames)
	return n, nil
}

func TestAllocations(t *testing.T) {
	payload := []byte(`{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"abc"}`)
	var bedrock []byte
	for _, event := range []string{"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "chunk"} {
		bedrock = AppendEvent(bedrock, event, JSON, payload)
	}
	foreign := AppendMessage(nil, allHeaders(), bytes.Repeat(payload, 2000))
	for name, frames := range map[string][]byte{"Bedrock's headers": bedrock, "others, repeated": foreign} {
		r := NewReader(&endless{frames: frames})
		next := func() {
			m, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			m.Header(EventType)
			m.Header(MessageType)
			r.FrameBuffered()
		}
		for range 10 {
			next()
		}
		if n := testing.AllocsPerRun(500, next); n != 0 {
			t.Errorf("Next, %s: %v allocations a frame", name, n)
		}
	}
	buf, headers := make([]byte, 0, 1024), allHeaders()
	for name, f := range map[string]func(){
		"AppendEvent":     func() { AppendEvent(buf, "chunk", JSON, payload) },
		"AppendException": func() { AppendException(buf, "throttlingException", payload) },
		"AppendMessage":   func() { AppendMessage(buf, headers, payload) },
		"BeginEvent":      func() { EndFrame(append(BeginEvent(buf, "chunk", JSON), payload...), 0) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for _, size := range []int{100, 300, 4096} {
		payload := fmt.Appendf(nil, `{"bytes":"%s","p":"abcdefghij"}`, bytes.Repeat([]byte("A"), size))
		r := NewReader(&endless{frames: bytes.Repeat(AppendEvent(nil, "chunk", JSON, payload), 50)})
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, err := r.Next()
				if err != nil {
					b.Fatal(err)
				}
				if kind, _ := m.Header(MessageType); kind != TypeEvent {
					b.Fatal(kind)
				}
			}
		})
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	for _, size := range []int{100, 300, 4096} {
		payload := fmt.Appendf(nil, `{"bytes":"%s","p":"abcdefghij"}`, bytes.Repeat([]byte("A"), size))
		buf := make([]byte, 0, 8192)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendEvent(buf[:0], "chunk", JSON, payload)
			}
		})
	}
}
