package bedrock

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

// source gives the events of an answer one by one. name and data are valid until
// the following next; a name of "" is nothing to hand on. An *Error is one that
// the service sent, or a stream that no one can read.
type source interface {
	next() (name string, data []byte, err error)
}

// stream is the body that the SDK's decoder reads: text/event-stream, translated
// in the Read that needs it, so there is no goroutine to leak. It ends with
// io.EOF after message_stop and never before.
//
// The SDK hands a Read error through as the stream's Err, and makes its own of an
// SSE error event. Errors are given as the former, to stay an *Error.
type stream struct {
	from      source
	closer    io.Closer
	call      *call
	response  *http.Response
	requestID string
	out       []byte
	at        int
	last      string // event
	serving   bool   // the caller has it
	stopped   bool   // message_stop has been seen
	err       error
}

// first reads until there is an event to give, or an error in its place. Where
// another Region could answer, that is an event with content: the opening ones are
// held, as the server holds them.
func (s *stream) first() error {
	for held := 0; s.err == nil && (len(s.out) == 0 || s.call.plan != nil && opening(s.last) && held < mostHeld); {
		before := len(s.out)
		s.step()
		if len(s.out) > before {
			held++
		}
	}
	if s.err != nil && s.err != io.EOF {
		return s.err
	}
	s.serving = true
	return nil
}

// mostHeld: message_start and content_block_start come before content.
const mostHeld = 3

func opening(event string) bool {
	return event == "message_start" || event == "content_block_start" || event == "ping"
}

func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for s.at == len(s.out) {
		if s.err != nil {
			return 0, s.err
		}
		s.out, s.at = s.out[:0], 0
		s.step()
	}
	n := copy(p, s.out[s.at:])
	s.at += n
	return n, nil
}

func (s *stream) Close() error {
	if s.serving && s.call.plan != nil {
		s.call.plan.Close()
	}
	return s.closer.Close()
}

// step adds the next event to out, or sets err.
func (s *stream) step() {
	name, data, err := s.from.next()
	if err != nil {
		if s.err = s.end(err); s.serving && s.err != io.EOF && s.call.plan != nil {
			s.call.plan.Failed(judged(s.call, s.response, s.err))
		}
		return
	}
	if name != "" {
		s.out = sse.AppendEvent(s.out, name, data)
	}
	if s.last = name; name == "message_stop" {
		s.stopped = true
		if s.call.plan != nil {
			s.call.settle(streamMetrics(data))
		}
	}
}

// end is what the caller sees where there is no next event.
func (s *stream) end(err error) error {
	var e *Error
	switch {
	case errors.As(err, &e):
		e.RequestID, e.Region = s.requestID, s.call.at.region
		if e.api != nil {
			e.api.RequestID, e.api.Response, e.api.Request = s.requestID, s.response, detached(s.response)
			e.Hint = s.call.backend.hint(s.call, e)
		}
		return e
	case errors.Is(err, eventstream.ErrPreludeCRC), errors.Is(err, eventstream.ErrMessageCRC),
		errors.Is(err, eventstream.ErrMalformed), errors.Is(err, eventstream.ErrTooLarge), errors.Is(err, sse.ErrTooLarge):
		return &Error{Code: codeCorrupted, Message: "the stream was damaged on the way", RequestID: s.requestID, Region: s.call.at.region, cause: err}
	case s.stopped:
		return io.EOF // the answer is whole, however the connection ended
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // the caller's own doing
	case err == io.EOF:
		err = nil
	}
	return &Error{Code: codeTruncated, Message: "stream ended before message_stop", RequestID: s.requestID, Region: s.call.at.region, cause: err}
}
