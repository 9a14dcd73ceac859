package gateway

import (
	"io"
	"net/http"
	"strconv"
)

// countStream is the answer of a count as a stream of one frame.
func countStream(c Counted) Stream {
	data := append(strconv.AppendInt([]byte(`{"input_tokens":`), c.Tokens, 10), '}')
	return &countFrame{oneFrame{frame: Frame{Event: EventCount, Data: data}, id: c.RequestID}, c}
}

// countFrame is an Answer.
type countFrame struct {
	oneFrame
	counted Counted
}

func (f *countFrame) Header() http.Header { return nil }
func (f *countFrame) Warnings() []string  { return f.counted.Warnings }

// Whole is the answer of a call that is not streamed: one frame, then io.EOF.
func Whole(message []byte, upstreamRequestID string) Stream {
	return &oneFrame{frame: Frame{Event: EventMessage, Data: message}, id: upstreamRequestID}
}

type oneFrame struct {
	frame Frame
	id    string
	sent  bool
}

func (s *oneFrame) Next() (Frame, error) {
	if s.sent {
		return Frame{}, io.EOF
	}
	s.sent = true
	return s.frame, nil
}

func (s *oneFrame) Buffered() bool            { return true }
func (s *oneFrame) UpstreamRequestID() string { return s.id }
func (s *oneFrame) Close() error              { return nil }
