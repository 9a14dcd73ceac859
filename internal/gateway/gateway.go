// Package gateway is the domain: one call, from who sends it to what is recorded
// of it. It reads a call's Head and moves its bytes; it knows no HTTP, no AWS
// client and no store.
package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Gateway serves calls. Its fields are set once, before the first call.
type Gateway struct {
	Catalog  *catalog.Catalog
	Policy   catalog.Policy
	Region   string // where neither the credential nor the host names one
	Upstream Upstream
	Access   Access // nil: every account has every model
	Log      activity.Log
	Now      func() time.Time

	// Health leads calls over Regions and accounts; nil: each call has one try.
	Health   *routing.Health
	Fence    routing.Fence     // what the operator permits
	Accounts []routing.Account // of real Amazon Bedrock

	// Limits holds keys to their limits; nil: nobody is. KeyLimits are those of a
	// key where it has none of its own.
	Limits    *limit.Counters
	KeyLimits limit.Limits

	// Journal keeps calls and what was said in them; nil: it is not kept.
	Journal Journal
	// Deliver says where a copy of a kept call goes; nil: nowhere.
	Deliver Deliver

	// Forced sends every body and frame through decode and encode, where the
	// normal path keeps bytes. A test's switch: the answers must be the same.
	Forced bool

	// Lossy leaves out, and names, what a translation cannot carry, where it is
	// refused otherwise.
	Lossy bool
	// Documents reads documents for upstreams that cannot; nil: they are refused.
	Documents Documents

	detectorOnce sync.Once
	detector     *detector
}

// Do is the pipeline. Each step needs the result of the step before. An error
// that it returns has been recorded; the surface still has to say it, before or
// after the first frame, if ClientGone does not say that nobody listens.
func (g *Gateway) Do(ctx context.Context, call *Call, w Writer) error {
	t := &trail{meter: Meter{Start: call.Start, now: g.Now}}
	err := errPanic // until do has returned
	defer g.settle(t)
	defer func() {
		if t.plan != nil {
			if err != nil && !t.meter.First.IsZero() && !ClientGone(ctx, err) {
				t.plan.Failed(err)
			}
			if !t.meter.First.IsZero() {
				t.plan.Done(t.meter.Usage)
			}
			t.plan.Close()
		}
		t.meter.left = t.underWay() && !t.head.count() && g.Upstream.Capabilities().Bills && t.meter.First.IsZero() && ClientGone(ctx, err)
		g.record(ctx, call, t, err)
	}()
	err = g.do(ctx, call, w, t)
	return err
}

var errPanic = errors.New("panic")

func (g *Gateway) do(ctx context.Context, call *Call, w Writer, t *trail) error {
	caller, err := g.authenticate(call)
	if err != nil {
		return err
	}
	t.caller = caller
	t.deliver = g.delivery(ctx, call, caller)
	head, body, err := g.read(call, caller)
	t.head = head
	if err != nil {
		return err
	}
	resolved, err := g.resolve(caller, head)
	if err != nil {
		return err
	}
	t.model, t.warnings, t.wall = resolved.model, resolved.warnings, resolved.routes[0].Wall().String()
	allowed, err := g.allow(ctx, caller, head, resolved)
	if err != nil {
		return err
	}
	if head.refused != nil {
		return head.refused
	}
	body, t.dropped, err = g.translate(ctx, head, body, resolved.model)
	if err != nil {
		return err
	}
	if body, err = g.trim(head, body, allowed, t); err != nil {
		return err
	}
	grant, err := g.authorise(caller, head, body, allowed)
	if err != nil {
		return err
	}
	lease, err := g.admit(grant, head, body)
	if err != nil {
		return err
	}
	t.lease = lease
	t.meter.most, t.meter.prompt = lease.most, func() int64 { return routing.Estimate(body.data) }
	body, notes, err := g.readable(ctx, body)
	if err != nil {
		return err
	}
	t.warnings = append(t.warnings, notes...)
	if err := g.open(ctx, call, t); err != nil {
		return err
	}
	stream, err := g.invoke(ctx, lease, Request{Body: body, Head: head, Stream: head.Stream, Forward: call.Forward}, t)
	if err != nil {
		return err
	}
	defer stream.Close()
	t.upstreamID = stream.UpstreamRequestID()
	if a, ok := stream.(Answer); ok {
		t.header = a.Header()
		t.warnings = append(t.warnings, a.Warnings()...)
	}
	if c, ok := stream.(*countFrame); ok {
		t.estimated = c.counted.Estimate
	}
	return g.relay(ctx, call, stream, w, t)
}

// ClientGone says that a call ended because its client left, or took no more of
// the answer.
func ClientGone(ctx context.Context, err error) bool {
	_, unwritable := errors.AsType[*writeError](err)
	return unwritable || err != nil && ctx.Err() != nil
}

// writeError is an answer that could not be written.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

// written marks what a Writer says, unless the Writer itself refuses the answer:
// it may translate.
func written(err error) error {
	if _, refused := errors.AsType[*messages.Error](err); refused || err == nil {
		return err
	}
	return &writeError{err}
}

// StatusClientGone is nginx's word for a client that left before the answer.
const StatusClientGone = 499

// trail is what the record will say.
type trail struct {
	caller     identity.Caller
	head       *Head
	model      *catalog.Model
	wall       string
	route      *routing.Route
	plan       *routing.Plan // nil: there was one try
	lease      *Lease        // nil: the call was not admitted
	warnings   []string
	dropped    []string
	header     http.Header // of the upstream's answer
	deliver    *activity.Delivery
	entry      *activity.Entry
	open       bool // the entry is
	upstreamID string
	estimated  bool
	begun      bool // the writer has
	sent       bool // the status of the answer, at least
	meter      Meter
}

// underWay says that a call is with the upstream: it has been asked, and has not
// failed since.
func (t *trail) underWay() bool {
	if t.route == nil || t.plan == nil {
		return t.route != nil
	}
	tries := t.plan.Tries()
	return tries[len(tries)-1].Err == nil
}

func (g *Gateway) authenticate(call *Call) (identity.Caller, error) {
	return call.Credential.Finish(call.WireSum)
}

// read may give a Head beside an error, for the record.
func (g *Gateway) read(call *Call, caller identity.Caller) (*Head, *Body, error) {
	if call.Refused != nil {
		return nil, nil, call.Refused
	}
	if !onMessages(call.Operation) {
		if err := checkModelID(call.Operation, call.Ref); err != nil {
			return nil, nil, err
		}
	}
	dialect, data := call.Dialect, call.Data
	if call.Decode != nil {
		var err error
		if dialect, data, err = call.Decode(data); err != nil {
			return nil, nil, err
		}
	}
	body, err := NewBody(dialect, data)
	if err != nil {
		return nil, nil, err
	}
	if call.Decode == nil { // it is what was signed
		body.sumOnce.Do(func() { body.sum = call.WireSum })
	}
	if g.Forced {
		if body, err = g.forceBody(body, isCount(call.Operation)); err != nil {
			return nil, nil, err
		}
	}
	head := &Head{Operation: call.Operation, Ref: call.Ref, Region: g.CallRegion(caller, call.HostRegion),
		Mantle: onMessages(call.Operation) && (call.Mantle || caller.Service == "bedrock-mantle"),
		Stream: call.Operation.Stream, Version: call.Version, Length: len(body.data), Options: call.Options, Hops: call.Hops}
	if dialect == Converse {
		head.refused = head.settle(body)
	} else {
		head.refused = head.peek(call, body)
	}
	if onMessages(call.Operation) && head.refused != nil { // the model may be what is wrong
		return head, nil, head.refused
	}
	return head, body, nil
}

// CallRegion is the Region of a call: the credential's scope, else the host's
// name, else the key's default, else the server's.
func (g *Gateway) CallRegion(caller identity.Caller, host string) string {
	for _, r := range []string{caller.Region, host, caller.DefaultRegion} {
		if r != "" {
			return r
		}
	}
	return g.Region
}

// resolution is what the catalog says of a call, with the routes inside the wall.
type resolution struct {
	model    *catalog.Model
	routes   []routing.Route
	warnings []string
}

func (g *Gateway) resolve(caller identity.Caller, head *Head) (*resolution, error) {
	p := g.policy(head)
	p.OwnAccount = caller.Account
	res, err := g.Catalog.Resolve(head.Ref, head.Region, p)
	if err != nil {
		return nil, err
	}
	r := &resolution{model: res.Model, warnings: warnBetas(head, res.Model)}
	if res.Warning != "" {
		r.warnings = append(r.warnings, res.Warning)
	}
	if r.routes, err = g.routes(caller, head, res); err != nil {
		return nil, err
	}
	return r, nil
}

func (g *Gateway) policy(head *Head) catalog.Policy {
	p := g.Policy
	p.Now, p.Mantle, p.Counts = g.Now(), head.Mantle, head.count()
	return p
}

// Access says whether an account may call a model in a Region. An error is a
// refusal, a *messages.Error in AWS's own words, or a failure to find out.
type Access interface {
	Allowed(ctx context.Context, account, region string, m *catalog.Model, api catalog.API) error
}

// allowance is a resolution that the caller's account may use. Only allow makes
// one. AWS asks for access before it looks at the body; spec: service.md 2.4.
type allowance struct{ *resolution }

func (g *Gateway) allow(ctx context.Context, caller identity.Caller, head *Head, r *resolution) (allowance, error) {
	if g.Access != nil {
		if err := g.Access.Allowed(ctx, caller.Account, head.Region, r.model, apiOf(head)); err != nil {
			return allowance{}, err
		}
	}
	return allowance{r}, nil
}

// Grant says that a caller may use routes. Only authorise makes one.
type Grant struct {
	caller identity.Caller
	routes []routing.Route
}

func (g *Gateway) authorise(caller identity.Caller, head *Head, body *Body, r allowance) (*Grant, error) {
	if err := g.checkModel(head, body, r.model); err != nil {
		return nil, err
	}
	if err := g.checkOptions(head.Options); err != nil {
		return nil, err
	}
	if err := g.checkCapabilities(body); err != nil {
		return nil, err
	}
	return &Grant{caller: caller, routes: r.routes}, nil
}

func (g *Gateway) relay(ctx context.Context, call *Call, stream Stream, w Writer, t *trail) error {
	for {
		f, err := stream.Next()
		if errors.Is(err, io.EOF) {
			if !t.meter.Done() {
				return messages.Errorf(messages.ModelStreamFailed, "stream ended before message_stop")
			}
			t.sent = true
			if e, ok := w.(Ender); ok {
				return written(e.End())
			}
			return written(w.Flush())
		}
		if err != nil {
			return err
		}
		if g.Forced {
			if f, err = forceFrame(f); err != nil {
				return err
			}
		}
		if err := t.meter.see(f); err != nil {
			return err
		}
		if !t.begun {
			t.begun = true
			t.meter.price, t.meter.bills = t.route.Price(), g.Upstream.Capabilities().Bills
			meta := Meta{Upstream: g.Upstream.Name(), Region: t.route.Region(), ModelID: t.model.ID,
				Warnings: t.warnings, Header: t.header, Dropped: t.dropped, Settings: t.head.Settings, Bills: t.meter.bills, RequestID: t.upstreamID, Estimate: t.estimated}
			if err := written(w.Begin(meta, &t.meter)); err != nil {
				return err
			}
			t.sent = t.head.Stream
		}
		if err := written(w.Frame(f)); err != nil {
			return err
		}
		t.entry.Frame(f.Event, f.Data)
		if t.meter.Done() { // the record is there before the last byte leaves
			if err := g.close(ctx, call, t, nil); err != nil {
				return err
			}
		}
		if !stream.Buffered() {
			t.sent = true
			if err := written(w.Flush()); err != nil {
				return err
			}
		}
	}
}

// recordOf is the record of a call as far as it has come.
func (g *Gateway) recordOf(ctx context.Context, call *Call, t *trail, err error) activity.Record {
	used, estimated := t.meter.Used()
	rec := activity.Record{
		RequestID: call.RequestID, UpstreamRequestID: t.upstreamID,
		Time: call.Start, Duration: t.meter.Elapsed(), FirstFrame: t.meter.FirstFrame(),
		Operation: call.Operation.Name, Ref: call.Ref,
		Account: t.caller.Account, Principal: t.caller.ARN, KeyID: t.caller.KeyID,
		Region: t.caller.Region, Upstream: g.Upstream.Name(),
		Status: 200, StopReason: t.meter.StopReason, Usage: used,
		InputBytes: call.WireLength, OutputBytes: t.meter.Bytes, Warnings: slices.Clone(t.warnings),
		Client: call.Client, Deliver: t.deliver,
	}
	options := call.Options
	if len(rec.Ref) > maxModelID {
		rec.Ref = rec.Ref[:maxModelID]
	}
	if t.head != nil {
		rec.Region, rec.Ref, options = t.head.Region, t.head.Ref, t.head.Options
	}
	rec.Trace, rec.Metadata, rec.Latency, rec.Tier = options.Trace, options.Metadata, options.Latency, options.ServiceTier
	rec.Version, rec.Betas = call.Version, call.Betas
	if options.GuardrailID != "" {
		rec.Guardrail = options.GuardrailID + " " + options.GuardrailVersion
	}
	if t.model != nil {
		rec.ModelID = t.model.ID
	}
	var late []string
	rec.Tried, late = t.tried()
	rec.Warnings = append(rec.Warnings, late...)
	for _, place := range t.dropped {
		rec.Warnings = append(rec.Warnings, "left out of the request: "+place)
	}
	for _, place := range t.meter.dropped {
		rec.Warnings = append(rec.Warnings, "left out of the answer: "+place)
	}
	rec.Wall, rec.Estimated = t.wall, t.estimated || estimated
	if t.route != nil {
		rec.RouteID, rec.Endpoint = t.route.ID(), t.route.Endpoint().String()
		if served := t.route.Region(); served != rec.Region && !t.meter.First.IsZero() {
			rec.Served = served
		}
		rec.Charge(used, t.route.Price(), t.model.PriceAt(g.Now(), catalog.Global), g.Upstream.Capabilities().Bills)
	}
	switch {
	case err == nil:
	case ClientGone(ctx, err):
		rec.ErrorCode, rec.Error, rec.Status = "ClientDisconnected", err.Error(), StatusClientGone
		rec.Partial = t.sent
		if t.meter.left {
			rec.Warnings = append(rec.Warnings, "the client left before the answer: what it may cost is estimated")
		}
	default:
		e := messages.AsError(err)
		rec.ErrorCode, rec.Error = bedrockapi.ExceptionOf(e.Kind).Name, e.Error()
		rec.Partial = t.sent
		if !rec.Partial {
			rec.Status = bedrockapi.Status(call.Operation.Surface, e.Kind)
		}
		if rec.UpstreamRequestID == "" {
			rec.UpstreamRequestID = e.RequestID
		}
	}
	return rec
}
