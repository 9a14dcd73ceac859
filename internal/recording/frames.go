package recording

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
)

// A frame is a line. One that the service sends stands for itself: its type, its
// JSON, and of a chunk the padding behind it.
//
//	chunk {"type":"message_stop"} abcdef
//	messageStop {"stopReason":"end_turn","p":"abc"}
//
// Any other is in the form of eventstream.Dump, which begins with a brace.

const chunk = "chunk"

// appendFrames appends the lines of an event stream.
func appendFrames(dst, body []byte) ([]byte, error) {
	frames := eventstream.NewReader(bytes.NewReader(body))
	for {
		m, err := frames.Next()
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
		line := frameLine(m)
		if back, err := frameOf(line); err == nil && bytes.Equal(back, m.Raw) && !bytes.ContainsAny(line, "\r\n") {
			dst = append(append(dst, line...), '\n')
			continue
		}
		var b bytes.Buffer
		if err := eventstream.Dump(&b, bytes.NewReader(m.Raw)); err != nil {
			return nil, err
		}
		dst = append(dst, b.Bytes()...)
	}
}

// frameLine is the line that m would have if the service had sent it.
func frameLine(m *eventstream.Message) []byte {
	event, _ := m.Header(eventstream.EventType)
	if event != chunk {
		return fmt.Appendf(nil, "%s %s", event, m.Payload)
	}
	data, err := Chunk(m.Payload)
	if err != nil {
		return nil
	}
	line := fmt.Appendf(nil, "%s %s", chunk, data)
	if _, p, ok := bytes.Cut(m.Payload, []byte(`","p":"`)); ok {
		line = append(append(line, ' '), strings.TrimSuffix(string(p), `"}`)...)
	}
	return line
}

// frameOf gives the bytes of a line.
func frameOf(line []byte) ([]byte, error) {
	if bytes.HasPrefix(line, []byte("{")) {
		var b bytes.Buffer
		err := eventstream.Load(&b, bytes.NewReader(line))
		return b.Bytes(), err
	}
	event, data, ok := strings.Cut(string(line), " ")
	if !ok || event == "" || len(event) > 255 {
		return nil, fmt.Errorf("%q is no frame", line)
	}
	if event != chunk {
		return eventstream.AppendEvent(nil, event, "application/json", []byte(data)), nil
	}
	payload := `{"bytes":"`
	padding, padded := "", false
	if i := strings.LastIndex(data, "} "); i >= 0 && !strings.HasSuffix(data, "}") {
		data, padding, padded = data[:i+1], data[i+2:], true
	}
	payload += base64.StdEncoding.EncodeToString([]byte(data))
	if padded {
		payload += `","p":"` + padding
	}
	return eventstream.AppendEvent(nil, chunk, "application/json", []byte(payload+`"}`)), nil
}

// framesOf gives the event stream of lines.
func framesOf(text []byte) ([]byte, error) {
	var out []byte
	n := 0
	for line := range bytes.Lines(text) {
		if line = bytes.TrimRight(line, "\n"); len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		n++
		frame, err := frameOf(line)
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", n, err)
		}
		out = append(out, frame...)
	}
	return out, nil
}
