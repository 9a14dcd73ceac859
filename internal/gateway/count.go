package gateway

import (
	"io"
	"strconv"
)

// countStream is the answer of a count as a stream of one frame.
func countStream(n int64) Stream {
	return &oneFrame{frame: Frame{Event: EventCount, Data: append(strconv.AppendInt([]byte(`{"input_tokens":`), n, 10), '}')}}
}

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
