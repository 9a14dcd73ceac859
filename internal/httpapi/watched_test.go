package httpapi_test

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/gateway"
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
