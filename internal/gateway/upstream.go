package gateway

import (
	"context"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Capabilities is what an upstream can do; what it cannot is refused by name
// before it is called.
type Capabilities struct {
	Place      routing.Place
	Bills      bool // a call costs real money
	Converse   bool // it takes Converse bodies as they are
	Images     bool
	Documents  bool
	Guardrails bool
	Tiers      bool // service tiers other than default
	Optimized  bool // performanceConfig latency "optimized"
	Tools      bool
	Thinking   bool
}

// Request is what an upstream sends: the caller's body and what of the Head it
// needs to shape it.
type Request struct {
	Body   *Body
	Head   *Head
	Stream bool
	// Forward is the caller's request header; an upstream that is AWS takes from
	// it what may go there, and nothing else.
	Forward http.Header
}

// Counts says that the call counts tokens and generates nothing.
func (r Request) Counts() bool { return r.Head.count() }

// Upstream serves models. An error from Send means that no model frame has come,
// so another route may be tried; an error from Stream.Next after a frame means
// that it may not.
type Upstream interface {
	Name() string
	Capabilities() Capabilities
	Send(ctx context.Context, route routing.Route, req Request) (Stream, error)
	Count(ctx context.Context, route routing.Route, req Request) (int64, error)
}

// Counter is what an Upstream may be besides: one that counts by someone's own
// numbers where there are any, and says when it could only estimate.
type Counter interface {
	CountTokens(ctx context.Context, route routing.Route, req Request) (Counted, error)
}

// Counted is the answer of a count.
type Counted struct {
	Tokens    int64
	Estimate  bool // nobody has counted
	RequestID string
	Warnings  []string
}

// Frame is one event of an answer, or the whole answer of a call that is not
// streamed. It is valid until the following Next, as with bufio.Scanner; a whole
// answer is valid until its Stream is closed.
type Frame struct {
	Event string // "message_start" …; EventMessage or EventCount for a whole answer
	Data  []byte // the event's JSON
	Wire  []byte // the frame's original event-stream bytes, if it came so
}

// A call that is not streamed has one frame of one of these kinds.
const (
	EventMessage = "message"
	EventAnswer  = "answer" // Converse's own
	EventCount   = "count"
)

// Answer is what the Stream of an upstream may be besides: one whose answers
// have headers of their own, and who may have changed the request.
type Answer interface {
	Header() http.Header // without the hop-by-hop ones
	Warnings() []string
}

// Stream is pulled by the goroutine that writes. Next returns io.EOF after the
// terminal frame; exceptions are errors, never frames.
type Stream interface {
	Next() (Frame, error)
	// Buffered says that the following Next will not wait for the network.
	Buffered() bool
	// UpstreamRequestID is the upstream's own id for the call, if it gave one.
	UpstreamRequestID() string
	Close() error
}
