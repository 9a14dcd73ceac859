package httpapi_test

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// watched is an upstream whose stream waits after its first frames and tells
// when its context has ended.
type watched struct {
	hold   int
	held   chan struct{}
	left   chan struct{}
	frames chan int
}

func (*watched) Name() string { return "watched" }
func (*watched) Capabilities() gateway.Capabilities {
	return gateway.Capabilities{Place: routing.Here()}
}

func (w *watched) Send(ctx context.Context, _ routing.Route, _ gateway.Request) (gateway.Stream, error) {
	return &watchedStream{watched: w, ctx: ctx}, nil
}

func (*watched) Count(context.Context, routing.Route, gateway.Request) (int64, error) { return 0, nil }

type watchedStream struct {
	*watched
	ctx context.Context
	n   int
}

func (s *watchedStream) Next() (gateway.Frame, error) {
	if s.n >= s.hold {
		close(s.held)
		<-s.ctx.Done()
		close(s.left)
		return gateway.Frame{}, s.ctx.Err()
	}
	s.n++
	s.frames <- s.n
	return gateway.Frame{Event: "message_start", Data: []byte(`{"type":"message_start","message":{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}`)}, nil
}

func (*watchedStream) Buffered() bool            { return false }
func (*watchedStream) UpstreamRequestID() string { return "" }
func (*watchedStream) Close() error              { return nil }

// endless is an upstream whose stream never ends by itself.
type endless struct {
	panics bool
	onEnd  func()
}

func (*endless) Name() string { return "endless" }
func (*endless) Capabilities() gateway.Capabilities {
	return gateway.Capabilities{Place: routing.Here()}
}

func (e *endless) Send(ctx context.Context, _ routing.Route, _ gateway.Request) (gateway.Stream, error) {
	if e.panics {
		panic("secret cause")
	}
	return &endlessStream{endless: e, ctx: ctx}, nil
}

func (*endless) Count(context.Context, routing.Route, gateway.Request) (int64, error) { return 0, nil }

type endlessStream struct {
	*endless
	ctx     context.Context
	started bool
}

func (s *endlessStream) Next() (gateway.Frame, error) {
	if err := s.ctx.Err(); err != nil {
		return gateway.Frame{}, err
	}
	if !s.started {
		s.started = true
		return gateway.Frame{Event: "message_start", Data: []byte(`{"type":"message_start","message":{"usage":{"input_tokens":1}}}`)}, nil
	}
	return gateway.Frame{Event: "content_block_delta", Data: []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"again and again"}}`)}, nil
}

func (*endlessStream) Buffered() bool            { return false }
func (*endlessStream) UpstreamRequestID() string { return "" }
func (s *endlessStream) Close() error {
	if s.onEnd != nil {
		s.onEnd()
	}
	return nil
}

// repeated streams the same delta so many times, and allocates nothing for it.
type repeated struct {
	frames int
	pause  time.Duration // before each
	wire   bool          // they come as event-stream bytes
}

func (*repeated) Name() string { return "repeated" }
func (*repeated) Capabilities() gateway.Capabilities {
	return gateway.Capabilities{Place: routing.Here()}
}
func (r *repeated) Send(context.Context, routing.Route, gateway.Request) (gateway.Stream, error) {
	return &repeatedStream{repeated: r, left: r.frames}, nil
}
func (*repeated) Count(context.Context, routing.Route, gateway.Request) (int64, error) { return 0, nil }

type repeatedStream struct {
	*repeated
	left int
	at   int // in around
}

// around is what stands around the deltas; nil: here they are.
var around = []*gateway.Frame{
	frameOf(`{"type":"message_start","message":{"usage":{"input_tokens":1}}}`),
	frameOf(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`), nil,
	frameOf(`{"type":"content_block_stop","index":0}`),
	frameOf(`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}`),
	frameOf(`{"type":"message_stop"}`),
}

var again = frameOf(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"again"}}`)

func frameOf(event string) *gateway.Frame {
	return &gateway.Frame{Event: messages.EventType([]byte(event)), Data: []byte(event)}
}

func (s *repeatedStream) Next() (gateway.Frame, error) {
	if s.pause > 0 {
		time.Sleep(s.pause)
	}
	f, err := s.next()
	if s.wire {
		f.Wire = f.Data
	}
	return f, err
}

func (s *repeatedStream) next() (gateway.Frame, error) {
	if s.at == len(around) {
		return gateway.Frame{}, io.EOF
	}
	f := around[s.at]
	if f == nil && s.left > 0 {
		s.left--
		return *again, nil
	}
	if s.at++; f == nil {
		return s.next()
	}
	return *f, nil
}
func (*repeatedStream) Buffered() bool            { return false }
func (*repeatedStream) UpstreamRequestID() string { return "" }
func (*repeatedStream) Close() error              { return nil }

// failing is an upstream that refuses every call.
type failing struct {
	kind  messages.Kind
	after time.Duration
}

func (failing) Name() string { return "failing" }
func (failing) Capabilities() gateway.Capabilities {
	return gateway.Capabilities{Place: routing.Here()}
}

func (f failing) Send(context.Context, routing.Route, gateway.Request) (gateway.Stream, error) {
	e := messages.Errorf(f.kind, "failed").WithCause(errors.New("secret cause"))
	e.RetryAfter = f.after
	return nil, e
}

func (f failing) Count(ctx context.Context, r routing.Route, q gateway.Request) (int64, error) {
	_, err := f.Send(ctx, r, q)
	return 0, err
}
