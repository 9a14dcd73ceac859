package gateway

import (
	"context"
	"crypto/sha256"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// opus is called by its global id: no wall, list price.
const opus = "global.anthropic.claude-opus-4-6-v1"

// hello is the least body of an InvokeModel call, helloMessages that of a Messages call.
const (
	hello         = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`
	helloMessages = `{"model":"` + opus + `","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`
)

// pending is a Credential.
type pending struct {
	caller identity.Caller
	err    error
}

func (p pending) Finish([sha256.Size]byte) (identity.Caller, error) { return p.caller, p.err }

var someone = identity.Caller{Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/a", KeyID: "AKIA1", Region: "us-west-2"}

// canned is an Upstream that answers with its frames, then its error.
type canned struct {
	capabilities Capabilities
	frames       []Frame
	end          error // after the frames; nil: io.EOF
	send         error
	count        int64
	panics       bool

	got    Request
	closed int
}

func (c *canned) Name() string { return "canned" }
func (c *canned) Capabilities() Capabilities {
	v := c.capabilities
	if v.Place == routing.Unknown() {
		v.Place = routing.Here()
	}
	return v
}

func (c *canned) Send(_ context.Context, _ routing.Route, req Request) (Stream, error) {
	if c.panics {
		panic("canned")
	}
	c.got = req
	if c.send != nil {
		return nil, c.send
	}
	return &cannedStream{canned: c}, nil
}

func (c *canned) Count(context.Context, routing.Route, Request) (int64, error) {
	return c.count, c.send
}

type cannedStream struct {
	*canned
	at int
}

func (s *cannedStream) Next() (Frame, error) {
	if s.at < len(s.frames) {
		s.at++
		return s.frames[s.at-1], nil
	}
	if s.end != nil {
		return Frame{}, s.end
	}
	return Frame{}, io.EOF
}
func (s *cannedStream) Buffered() bool            { return false }
func (s *cannedStream) UpstreamRequestID() string { return "up-1" }
func (s *cannedStream) Close() error              { s.closed++; return nil }

const wholeAnswer = `{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1000,"output_tokens":200,"cache_read_input_tokens":10000}}`

func whole() []Frame { return []Frame{{Event: EventMessage, Data: []byte(wholeAnswer)}} }

func streamed() []Frame {
	var frames []Frame
	for _, data := range []string{
		`{"type":"message_start","message":{"id":"m","usage":{"input_tokens":1000,"output_tokens":1,"cache_read_input_tokens":10000}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":200}}`,
		`{"type":"message_stop"}`,
	} {
		frames = append(frames, Frame{Event: messages.EventType([]byte(data)), Data: []byte(data)})
	}
	return frames
}

// paper is a Writer that keeps what it is given and fails where it is told to.
type paper struct {
	meta                     Meta
	frames                   []string
	flushes                  int
	noBegin, noFrame, noRoom error
}

func (p *paper) Begin(m Meta, _ *Meter) error { p.meta = m; return p.noBegin }
func (p *paper) Frame(f Frame) error {
	p.frames = append(p.frames, string(f.Data))
	return p.noFrame
}
func (p *paper) Flush() error { p.flushes++; return p.noRoom }

var clock = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var loaded = sync.OnceValues(func() (*catalog.Catalog, error) { return catalog.Load() })

func newGateway(t testing.TB, up Upstream) (*Gateway, *activity.Ring) {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	ring := activity.NewRing(10)
	return &Gateway{Catalog: c, Region: "us-east-1", Upstream: up, Log: ring, Now: func() time.Time { return clock }}, ring
}

func newCall(op *bedrockapi.Operation, ref, body string) *Call {
	return &Call{RequestID: "req-1", Operation: op, Credential: pending{caller: someone}, Start: clock.Add(-time.Second),
		Dialect: Messages, Data: []byte(body), WireLength: int64(len(body)), Ref: ref}
}

// refused runs a call that must fail, and gives the failure.
func refused(t *testing.T, g *Gateway, call *Call) *messages.Error {
	t.Helper()
	err := g.Do(t.Context(), call, &paper{})
	if err == nil {
		t.Fatalf("%s %s was not refused", call.Operation.Name, call.Data)
	}
	return messages.AsError(err)
}
