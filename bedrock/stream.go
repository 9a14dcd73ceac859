package bedrock

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

// source gives the events of an answer one by one. name and data are valid until
// the following next; name is "" for what the SDK is to skip. An *Error is one
// that the service sent.
type source interface {
	next() (name string, data []byte, err error)
}

// stream is the body that the SDK's decoder reads. Each event is translated in
// the Read that needs it; there is no goroutine to leak. Its end is io.EOF only
// after message_stop.
type stream struct {
	from    source
	closer  io.Closer
	res     *http.Response
	out     []byte
	at      int
	stopped bool
	err     error
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
		name, data, err := s.from.next()
		if err != nil {
			s.err = s.ending(err)
			continue
		}
		if name == "message_stop" {
			s.stopped = true
		}
		if name != "" {
			s.out = sse.AppendEvent(s.out, name, data)
		}
	}
	n := copy(p, s.out[s.at:])
	s.at += n
	return n, nil
}

func (s *stream) Close() error { return s.closer.Close() }

// ending is what the caller sees when there is no next event.
func (s *stream) ending(err error) error {
	id := s.res.Header.Get("Request-Id")
	var e *Error
	switch {
	case errors.As(err, &e):
		e.RequestID = id
		return e
	case errors.Is(err, eventstream.ErrPreludeCRC), errors.Is(err, eventstream.ErrMessageCRC),
		errors.Is(err, eventstream.ErrMalformed), errors.Is(err, eventstream.ErrTooLarge), errors.Is(err, sse.ErrTooLarge):
		return &Error{Code: codeCorrupted, Message: "the stream was damaged on the way", RequestID: id, cause: err}
	case s.stopped:
		return io.EOF // the answer is whole, however the connection ended
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return &Error{Code: codeTruncated, Message: "stream ended before message_stop", RequestID: id, cause: err}
}

// frames reads application/vnd.amazon.eventstream.
type frames struct {
	reader  *eventstream.Reader
	members jsonspan.Members
	text    []byte // base64 that came with escapes
	event   []byte // the event's JSON
}

func newFrames(r io.Reader) *frames { return &frames{reader: eventstream.NewReader(r)} }

func (f *frames) next() (string, []byte, error) {
	m, err := f.reader.Next()
	if err != nil {
		return "", nil, err
	}
	kind, _ := m.Header(eventstream.MessageType)
	switch kind {
	case eventstream.TypeEvent:
		return f.translate(m)
	case eventstream.TypeException:
		name, _ := m.Header(eventstream.ExceptionType)
		return "", nil, exception(m.Payload, name)
	case eventstream.TypeError:
		code, _ := m.Header(eventstream.ErrorCode)
		text, _ := m.Header(eventstream.ErrorMessage)
		e := exception(nil, code)
		e.Message = text
		return "", nil, e
	default:
		return "", nil, &Error{Code: codeCorrupted, Message: "a frame of unknown :message-type " + quote(kind)}
	}
}

func (f *frames) translate(m *eventstream.Message) (string, []byte, error) {
	name, _ := m.Header(eventstream.EventType)
	if name != "chunk" {
		return "", nil, nil
	}
	coded, err := f.bytes(m.Payload)
	if err != nil {
		return "", nil, &Error{Code: codeCorrupted, Message: "a chunk that cannot be read", cause: err}
	}
	n := base64.StdEncoding.DecodedLen(len(coded))
	if cap(f.event) < n {
		f.event = make([]byte, n+n/2)
	}
	f.event = f.event[:n]
	n, err = base64.StdEncoding.Decode(f.event, coded)
	if err != nil {
		return "", nil, &Error{Code: codeCorrupted, Message: "a chunk that cannot be read", cause: err}
	}
	f.event = f.event[:n]
	return typeOf(f.event), f.event, nil
}

// bytes finds the base64 in {"bytes":"…","p":"…"}.
func (f *frames) bytes(payload []byte) ([]byte, error) {
	const begin = `{"bytes":"`
	if bytes.HasPrefix(payload, []byte(begin)) {
		rest := payload[len(begin):]
		if i := bytes.IndexByte(rest, '"'); i >= 0 && bytes.IndexByte(rest[:i], '\\') < 0 {
			return rest[:i], nil
		}
	}
	var err error
	if f.members, err = jsonspan.Scan(f.members[:0], payload, nil); err != nil {
		return nil, err
	}
	v, ok := f.members.Get("bytes")
	if !ok {
		return nil, nil
	}
	f.text, err = jsonspan.String(f.text[:0], v.Value(payload))
	return f.text, err
}

// typeOf is the event's name: its type member.
func typeOf(event []byte) string {
	const begin = `{"type":"`
	if bytes.HasPrefix(event, []byte(begin)) {
		rest := event[len(begin):]
		if i := bytes.IndexByte(rest, '"'); i >= 0 && bytes.IndexByte(rest[:i], '\\') < 0 {
			return intern(rest[:i])
		}
	}
	m, err := jsonspan.Scan(nil, event, nil)
	if err != nil {
		return ""
	}
	v, ok := m.Get("type")
	if !ok {
		return ""
	}
	name, err := jsonspan.String(nil, v.Value(event))
	if err != nil {
		return ""
	}
	return string(name)
}

// intern allocates only for a name that is not Anthropic's of today.
func intern(b []byte) string {
	switch string(b) {
	case "content_block_delta":
		return "content_block_delta"
	case "content_block_start":
		return "content_block_start"
	case "content_block_stop":
		return "content_block_stop"
	case "message_start":
		return "message_start"
	case "message_delta":
		return "message_delta"
	case "message_stop":
		return "message_stop"
	case "ping":
		return "ping"
	default:
		return string(b)
	}
}

// exception is an error that came in the stream, after a status of 200.
func exception(payload []byte, name string) *Error {
	e := read(payload, name, 0)
	e.Status = bedrockapi.ExceptionOf(e.kind).Status
	e.describe(nil, payload)
	return e
}

// events reads text/event-stream, from a gateway that has translated already.
type events struct{ reader *sse.Reader }

func newEvents(r io.Reader) *events { return &events{reader: sse.NewReader(r)} }

func (s *events) next() (string, []byte, error) {
	ev, err := s.reader.Next()
	if err != nil {
		return "", nil, err
	}
	name := intern(ev.Name)
	if name == "" {
		name = typeOf(ev.Data)
	}
	if name == "error" {
		return "", nil, exception(ev.Data, "")
	}
	return name, ev.Data, nil
}

func quote(s string) string { return string(jsonspan.AppendString(nil, s)) }

