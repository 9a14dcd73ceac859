package bedrock

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

// FuzzFrames: whatever stands in a frame, the SDK's decoder gets an event that it
// reads as it was sent, or the caller an error.
func FuzzFrames(f *testing.F) {
	f.Add("event", "chunk", []byte(`{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"abc"}`))
	f.Add("event", "chunk", []byte(`{"p":"\u0041","bytes":"e30\u003d"}`))
	f.Add("event", "tomorrow\n", []byte(`{"a":1}`))
	f.Add("exception", "throttlingException", []byte(`{"message":"slow"}`))
	f.Add("error", "x", []byte(nil))
	f.Fuzz(func(t *testing.T, message, event string, payload []byte) {
		if len(message) > 100 || len(event) > 100 {
			return
		}
		frame := eventstream.AppendMessage(nil, []eventstream.Header{
			eventstream.StringHeader(eventstream.MessageType, message), eventstream.StringHeader(eventstream.EventType, event), eventstream.StringHeader(eventstream.ExceptionType, event),
		}, payload)
		name, data, err := newFrames(bytes.NewReader(frame)).next()
		if err != nil || name == "" {
			return
		}
		got, err := sse.NewReader(bytes.NewReader(sse.AppendEvent(nil, name, data))).Next()
		if err != nil {
			t.Fatalf("%q %q: %v", name, data, err)
		}
		var sent, read any
		if json.Unmarshal(data, &sent) != nil {
			return // the SDK will say so
		}
		if err := json.Unmarshal(got.Data, &read); err != nil {
			t.Fatalf("%q became %q: %v", data, got.Data, err)
		}
		a, _ := json.Marshal(sent)
		b, _ := json.Marshal(read)
		if !bytes.Equal(a, b) {
			t.Fatalf("%s became %s", a, b)
		}
	})
}

// The law of the hot path: a frame costs no allocation here.
func TestTranslationAllocatesNothing(t *testing.T) {
	event := `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"word"}}`
	frame := eventstream.AppendEvent(nil, "chunk", eventstream.JSON, []byte(`{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(event))+`","p":"abcdefgh"}`))
	s := &stream{from: newFrames(&endless{frame: frame}), closer: io.NopCloser(nil)}
	buf := make([]byte, 4096)
	read := func() {
		if _, err := s.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if n := testing.AllocsPerRun(1000, read); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

type endless struct {
	frame []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.frame[e.at:])
	e.at = (e.at + n) % len(e.frame)
	return n, nil
}
