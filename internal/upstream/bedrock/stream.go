package bedrock

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

// whole is an answer that is not streamed.
type whole struct {
	answer
	event string
	data  *[]byte
	pool  *sync.Pool // of data
	sent  bool
}

func (w *whole) Next() (gateway.Frame, error) {
	if w.sent {
		return gateway.Frame{}, io.EOF
	}
	w.sent = true
	return gateway.Frame{Event: w.event, Data: *w.data}, nil
}

func (w *whole) Buffered() bool { return true }

func (w *whole) Close() error {
	if w.data != nil && cap(*w.data) <= maxKept {
		w.pool.Put(w.data)
	}
	w.data, w.sent = nil, true
	return nil
}

// Events of ConverseStream that come before its content, and its last.
const (
	eventConverseStart = "messageStart"
	eventBlockStart    = "contentBlockStart"
	eventMetadata      = "metadata"
)

// opening says that an event carries nothing yet: it is held, so that a failure
// right behind it can be answered by another Region.
func opening(event string) bool {
	switch event {
	case messages.EventMessageStart, messages.EventContentBlockStart, messages.EventPing, eventConverseStart, eventBlockStart:
		return true
	default:
		return false
	}
}

// maxHeld bounds what is held: message_start and content_block_start. Pings, which
// the Messages API sends while the model thinks, are not content either.
const (
	maxHeld  = 2
	maxPings = 1000
)

// source reads the frames of one answer.
type source interface {
	next() (gateway.Frame, error)
	buffered() bool
}

// stream is pulled by the goroutine that writes. Nothing else touches it but the
// watch, which can only cut it off.
type stream struct {
	answer
	resp  *http.Response
	watch *watch
	src   source
	last  string // the terminal event

	buffers *sync.Pool

	held  []gateway.Frame // read before Send returned; all but the last are copies
	few   [maxHeld + 1]gateway.Frame
	at    int
	ended bool
}

// newStream reads up to the first content. buffers keeps frames readers for later
// streams: each has 32 KiB and what was held.
func newStream(resp *http.Response, api catalog.API, w *watch, a answer, buffers *sync.Pool) (*stream, error) {
	s := &stream{answer: a, resp: resp, watch: w, last: messages.EventMessageStop, buffers: buffers}
	s.held = s.few[:0]
	kept := new([]byte)
	want := bedrockapi.TypeEventStream
	if native(api) {
		want = "text/event-stream"
		s.src = &events{r: sse.NewReader(resp.Body)}
	} else {
		f, ok := buffers.Get().(*frames)
		if !ok {
			f = &frames{r: eventstream.NewReader(nil)}
		}
		f.r.Reset(resp.Body)
		f.converse = api == catalog.Converse
		if f.converse {
			s.last = eventMetadata
		}
		s.src, kept = f, &f.kept
	}
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, want) {
		s.Close()
		return nil, messages.Errorf(messages.ModelFailed, "The upstream answered a stream with content type %q.", got).
			WithCause(&routing.Fault{MayBill: true})
	}
	keep := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		n := len(*kept)
		*kept = append(*kept, b...)
		return (*kept)[n:len(*kept):len(*kept)]
	}
	pings := 0
	for {
		f, err := s.read()
		if err != nil {
			s.Close()
			return nil, err
		}
		if f.Event == messages.EventPing && pings < maxPings {
			pings++
		} else if !opening(f.Event) || len(s.held)-pings == maxHeld {
			s.held = append(s.held, f)
			w.begun()
			return s, nil
		}
		s.held = append(s.held, gateway.Frame{Event: f.Event, Data: keep(f.Data), Wire: keep(f.Wire)})
	}
}

// Next implements gateway.Stream.
func (s *stream) Next() (gateway.Frame, error) {
	if s.at < len(s.held) {
		f := s.held[s.at]
		s.held[s.at] = gateway.Frame{}
		s.at++
		return f, nil
	}
	return s.read()
}

// read gives the next frame of the network. After the terminal event it waits a
// moment for the end, so that the connection can be used again.
func (s *stream) read() (gateway.Frame, error) {
	wait := !s.src.buffered()
	if wait {
		s.watch.arm(s.ended)
	}
	f, err := s.src.next()
	if wait {
		s.watch.disarm()
	}
	if err == nil {
		s.ended = s.ended || f.Event == s.last
		return f, nil
	}
	_, known := errors.AsType[*messages.Error](err)
	switch {
	case known:
		return gateway.Frame{}, err
	case s.ended:
		return gateway.Frame{}, io.EOF
	default:
		return gateway.Frame{}, s.watch.why(s.cut(err))
	}
}

// cut is the error of a stream that stops too early.
func (s *stream) cut(err error) error {
	switch {
	case errors.Is(err, eventstream.ErrPreludeCRC), errors.Is(err, eventstream.ErrMessageCRC),
		errors.Is(err, eventstream.ErrTooLarge), errors.Is(err, eventstream.ErrMalformed):
		return broken("The model's stream was damaged on the way.", err)
	default:
		return broken("stream ended before "+s.last, err)
	}
}

// Buffered implements gateway.Stream.
func (s *stream) Buffered() bool { return s.at < len(s.held) || s.src.buffered() }

// Close implements gateway.Stream. A stream that has not ended is cut at once.
func (s *stream) Close() error {
	s.watch.end(nil)
	err := s.resp.Body.Close()
	if f, ok := s.src.(*frames); ok {
		f.r.Reset(nil)
		if f.kept = f.kept[:0]; cap(f.kept)+cap(f.data) <= maxKept {
			s.buffers.Put(f)
		}
	}
	s.src, s.at = closed{}, len(s.held)
	return err
}

// closed is the source of a stream that is closed.
type closed struct{}

func (closed) next() (gateway.Frame, error) { return gateway.Frame{}, errClosed }
func (closed) buffered() bool               { return true }

// frames reads AWS's event stream.
type frames struct {
	r        *eventstream.Reader
	converse bool
	data     []byte // of the current event, decoded
	kept     []byte // of the frames that are held
}

// maxKept bounds what a stream leaves to the next.
const maxKept = 64 << 10

func (s *frames) buffered() bool { return s.r.FrameBuffered() }

func (s *frames) next() (gateway.Frame, error) {
	m, err := s.r.Next()
	if err != nil {
		return gateway.Frame{}, err
	}
	kind, _ := m.Header(eventstream.MessageType)
	switch kind {
	case eventstream.TypeEvent:
	case eventstream.TypeException, eventstream.TypeError:
		return gateway.Frame{}, thrown(m)
	default:
		return gateway.Frame{}, broken("The model's stream cannot be read.", fmt.Errorf("message type %q", kind))
	}
	event, _ := m.Header(eventstream.EventType)
	if s.converse || event != "chunk" { // what is not known passes as it came
		return gateway.Frame{Event: event, Data: m.Payload, Wire: m.Raw}, nil
	}
	if s.data, err = appendChunk(s.data[:0], m.Payload); err != nil {
		return gateway.Frame{}, broken("The model sent an event that cannot be read.", err)
	}
	switch event = messages.EventType(s.data); event {
	case "":
		return gateway.Frame{}, broken("The model sent an event that cannot be read.", errors.New("it has no type"))
	case messages.EventError:
		return gateway.Frame{}, toldError(s.data)
	default:
		return gateway.Frame{Event: event, Data: s.data, Wire: m.Raw}, nil
	}
}

// appendChunk decodes {"bytes":"<base64>","p":"…"}.
func appendChunk(dst, payload []byte) ([]byte, error) {
	const lead = `{"bytes":"`
	var encoded []byte
	if bytes.HasPrefix(payload, []byte(lead)) {
		encoded = payload[len(lead):]
		end := bytes.IndexByte(encoded, '"')
		if end < 0 {
			return nil, errors.New("a chunk without an end")
		}
		encoded = encoded[:end]
	}
	if encoded == nil || bytes.IndexByte(encoded, '\\') >= 0 {
		members, err := jsonspan.Scan(nil, payload, nil)
		if err != nil {
			return nil, err
		}
		m, ok := members.Get("bytes")
		if !ok {
			return nil, errors.New("a chunk without bytes")
		}
		if encoded, err = jsonspan.String(nil, m.Value(payload)); err != nil {
			return nil, err
		}
	}
	return base64.StdEncoding.AppendDecode(dst, encoded)
}

// events reads the Messages API's stream.
type events struct {
	r *sse.Reader
}

func (s *events) buffered() bool { return s.r.EventBuffered() }

func (s *events) next() (gateway.Frame, error) {
	e, err := s.r.Next()
	if err != nil {
		return gateway.Frame{}, err
	}
	switch event := messages.EventType(e.Data); event {
	case "":
		return gateway.Frame{}, broken("The model sent an event that cannot be read.", fmt.Errorf("event %q", e.Name))
	case messages.EventError:
		return gateway.Frame{}, toldError(e.Data)
	default:
		return gateway.Frame{Event: event, Data: e.Data}, nil
	}
}
