package bedrock

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

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
		name, _ := m.Header(eventstream.EventType)
		switch name {
		case "chunk":
			return f.chunk(m.Payload)
		case "initial-response": // the operation's own members; Bedrock's has none but headers
			return "", nil, nil
		default:
			return f.unknown(name, m.Payload)
		}
	case eventstream.TypeException:
		name, _ := m.Header(eventstream.ExceptionType)
		return "", nil, exception(m.Payload, name)
	case eventstream.TypeError:
		code, _ := m.Header(eventstream.ErrorCode)
		message, _ := m.Header(eventstream.ErrorMessage)
		return "", nil, exception(append(append([]byte(`{"message":`), quoted(message)...), '}'), code)
	default:
		return "", nil, unreadable("a frame of unknown :message-type "+string(quoted(kind)), nil)
	}
}

func unreadable(what string, cause error) *Error {
	return &Error{Code: codeCorrupted, Message: what, cause: cause}
}

// chunk gives the event in {"bytes":"…","p":"…"}. p is padding against guesses at
// the length of tokens.
func (f *frames) chunk(payload []byte) (string, []byte, error) {
	coded, err := f.bytes(payload)
	if err == nil {
		n := base64.StdEncoding.DecodedLen(len(coded))
		if cap(f.event) < n {
			f.event = make([]byte, n+n/2)
		}
		n, err = base64.StdEncoding.Decode(f.event[:n], coded)
		f.event = f.event[:n]
	}
	if err != nil {
		return "", nil, unreadable("a chunk of the stream cannot be read", err)
	}
	if len(f.event) == 0 {
		return "", nil, nil // a sign of life
	}
	name, err := typeOf(f.event)
	switch {
	case err != nil:
		return "", nil, unreadable("a chunk of the stream is not JSON", err)
	case name == "":
		return "chunk", f.event, nil
	case name == "error":
		return "", nil, exception(f.event, "")
	default:
		return name, f.event, nil
	}
}

func (f *frames) bytes(payload []byte) ([]byte, error) {
	const begin = `{"bytes":"`
	if bytes.HasPrefix(payload, []byte(begin)) {
		if s, ok := upToQuote(payload[len(begin):]); ok {
			return s, nil
		}
	}
	var err error
	if f.members, err = jsonspan.Scan(f.members[:0], payload, nil); err != nil {
		return nil, err
	}
	m, ok := f.members.Get("bytes")
	if !ok {
		return nil, errors.New("no bytes member")
	}
	f.text, err = jsonspan.String(f.text[:0], m.Value(payload))
	return f.text, err
}

// unknown hands on an event of a kind that did not exist when this was written,
// under its own name and with it as its type.
func (f *frames) unknown(name string, payload []byte) (string, []byte, error) {
	members, err := jsonspan.Scan(nil, payload, nil)
	if err != nil || name == "" {
		return "", nil, unreadable("a frame of unknown :event-type "+string(quoted(name)), err)
	}
	if _, ok := members.Get("type"); !ok {
		payload = jsonspan.Splice(nil, payload, members, jsonspan.Edit{Key: "type", Value: quoted(name)})
	}
	return name, payload, nil
}

// typeOf is an event's name, its type member; "" where it has none.
func typeOf(event []byte) (string, error) {
	const begin = `{"type":"`
	if bytes.HasPrefix(event, []byte(begin)) {
		if s, ok := upToQuote(event[len(begin):]); ok {
			return intern(s), nil
		}
	}
	members, err := jsonspan.Scan(nil, event, nil)
	if err != nil {
		return "", err
	}
	m, ok := members.Get("type")
	if !ok {
		return "", nil
	}
	name, err := jsonspan.String(nil, m.Value(event))
	return string(name), err
}

// upToQuote is a JSON string's content when nothing in it is escaped.
func upToQuote(b []byte) ([]byte, bool) {
	i := bytes.IndexByte(b, '"')
	if i < 0 || bytes.IndexByte(b[:i], '\\') >= 0 {
		return nil, false
	}
	return b[:i], true
}

// intern allocates only for a name that is none of today's.
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

// exception is an error that came in the stream, under a status of 200. Its
// Status is the one that it has outside of streams.
func exception(payload []byte, name string) *Error {
	e := parse(payload, name, 0)
	e.Status = bedrockapi.ExceptionOf(e.kind).Status
	e.describe(nil, payload)
	return e
}

// events reads text/event-stream, from a gateway that has translated already.
type events struct{ reader *sse.Reader }

func newEvents(r io.Reader) *events { return &events{reader: sse.NewReader(r)} }

func (s *events) next() (string, []byte, error) {
	event, err := s.reader.Next()
	if err != nil {
		return "", nil, err
	}
	name := intern(event.Name)
	if name == "" {
		if name, err = typeOf(event.Data); err != nil {
			return "", nil, unreadable("an event of the stream is not JSON", err)
		}
	}
	if name == "error" {
		return "", nil, exception(event.Data, "")
	}
	return name, event.Data, nil
}
