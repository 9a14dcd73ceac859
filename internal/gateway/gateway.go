// Package gateway is the domain: one call, from who sends it to what is recorded
// of it. It reads a call's Head and moves its bytes; it knows no HTTP, no AWS
// client and no store.
package gateway

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Gateway serves calls. Its fields are set once, before the first call.
type Gateway struct {
	Catalog  *catalog.Catalog
	Policy   catalog.Policy
	Region   string // where neither the credential nor the host names one
	Upstream Upstream
	Log      activity.Log
	Now      func() time.Time

	// Forced sends every body and frame through decode and encode, where the
	// normal path keeps bytes. A test's switch: the answers must be the same.
	Forced bool

	detectorOnce sync.Once
	detector     *detector
}

// Do is the pipeline. Each step needs the result of the step before. An error
// that it returns has been recorded; the surface still has to say it, before or
// after the first frame.
func (g *Gateway) Do(ctx context.Context, call *Call, w Writer) (err error) {
	t := &trail{meter: Meter{Start: call.Start, now: g.Now}}
	defer func() { g.record(ctx, call, t, err) }()

	caller, err := g.authenticate(call)
	if err != nil {
		return err
	}
	t.caller = caller
	head, body, err := g.read(call, caller)
	if err != nil {
		return err
	}
	t.head = head
	resolved, err := g.resolve(caller, head)
	if err != nil {
		return err
	}
	t.model, t.warnings = resolved.model, resolved.warnings
	grant, err := g.authorise(caller, head, body, resolved)
	if err != nil {
		return err
	}
	lease, err := g.admit(grant, head)
	if err != nil {
		return err
	}
	stream, route, err := g.invoke(ctx, lease, Request{Body: body, Head: head, Stream: head.Stream})
	t.route = route
	if err != nil {
		return err
	}
	defer stream.Close()
	t.upstreamID = stream.UpstreamRequestID()
	return g.relay(stream, w, t)
}

// statusClientClosed is nginx's word for a client that left before the answer.
const statusClientClosed = 499

// trail is what the record will say.
type trail struct {
	caller     identity.Caller
	head       *Head
	model      *catalog.Model
	route      *routing.Route
	warnings   []string
	upstreamID string
	meter      Meter
}

func (g *Gateway) authenticate(call *Call) (identity.Caller, error) {
	return call.Credential.Finish(call.WireSum)
}

func (g *Gateway) read(call *Call, caller identity.Caller) (*Head, *Body, error) {
	data := call.Data
	if call.Decode != nil {
		var err error
		if data, err = call.Decode(data); err != nil {
			return nil, nil, err
		}
	}
	body, err := NewBody(call.Dialect, data)
	if err != nil {
		return nil, nil, err
	}
	if g.Forced {
		if body, err = forceBody(body); err != nil {
			return nil, nil, err
		}
	}
	head, err := peek(call, body)
	if err != nil {
		return nil, nil, err
	}
	head.Region = g.CallRegion(caller, call.HostRegion)
	head.Mantle = call.Mantle || caller.Service == "bedrock-mantle"
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

func (g *Gateway) resolve(_ identity.Caller, head *Head) (*resolution, error) {
	policy := g.Policy
	policy.Now, policy.Mantle = g.Now(), head.Mantle
	res, err := g.Catalog.Resolve(head.Ref, head.Region, policy)
	if err != nil {
		return nil, err
	}
	r := &resolution{model: res.Model, warnings: warnBetas(head, res.Model)}
	if res.Warning != "" {
		r.warnings = append(r.warnings, res.Warning)
	}
	place := g.Upstream.Capabilities().Place
	for _, c := range res.Candidates {
		if route, ok := routing.New(res.Model, c, place); ok {
			r.routes = append(r.routes, route)
		}
	}
	if len(r.routes) == 0 {
		return nil, messages.Errorf(messages.InvalidRequest, "The model %s may run only in %s, and the upstream %s is not known to be there.", head.Ref, res.Candidates[0].Wall, g.Upstream.Name()).
			WithHint("call a global. model id, or declare the upstream's Regions (upstream.regions)")
	}
	return r, nil
}

// Grant says that a caller may use routes. Only authorise makes one.
type Grant struct {
	caller identity.Caller
	routes []routing.Route
}

func (g *Gateway) authorise(caller identity.Caller, head *Head, body *Body, r *resolution) (*Grant, error) {
	if err := g.checkModel(head, body, r.model); err != nil {
		return nil, err
	}
	if err := g.checkOptions(head.Options); err != nil {
		return nil, err
	}
	return &Grant{caller: caller, routes: r.routes}, nil
}

// Lease is a Grant with its share of the limits reserved. Only admit makes one.
type Lease struct {
	grant *Grant
}

func (g *Gateway) admit(grant *Grant, _ *Head) (*Lease, error) {
	return &Lease{grant: grant}, nil
}

func (g *Gateway) invoke(ctx context.Context, lease *Lease, req Request) (Stream, *routing.Route, error) {
	route := lease.grant.routes[0]
	if req.Head.count() {
		n, err := g.Upstream.Count(ctx, route, req)
		if err != nil {
			return nil, &route, err
		}
		return countStream(n), &route, nil
	}
	stream, err := g.Upstream.Send(ctx, route, req)
	if err != nil {
		return nil, &route, err
	}
	return stream, &route, nil
}

func (g *Gateway) relay(stream Stream, w Writer, t *trail) error {
	begun := false
	for {
		f, err := stream.Next()
		if errors.Is(err, io.EOF) {
			if !t.meter.Done() {
				return messages.Errorf(messages.ModelStreamFailed, "stream ended before message_stop")
			}
			return w.Flush()
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
		if !begun {
			begun = true
			meta := Meta{Upstream: g.Upstream.Name(), Region: t.route.Region(), ModelID: t.model.ID,
				Warnings: t.warnings, Bills: g.Upstream.Capabilities().Bills, RequestID: t.upstreamID}
			if err := w.Begin(meta, &t.meter); err != nil {
				return err
			}
		}
		if err := w.Frame(f); err != nil {
			return err
		}
		if !stream.Buffered() {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

func (g *Gateway) record(ctx context.Context, call *Call, t *trail, err error) {
	rec := activity.Record{
		RequestID: call.RequestID, UpstreamRequestID: t.upstreamID,
		Time: call.Start, Duration: t.meter.Elapsed(), FirstFrame: t.meter.FirstFrame(),
		Operation: call.Operation.Name, Ref: call.Ref,
		Account: t.caller.Account, Principal: t.caller.ARN, KeyID: t.caller.KeyID,
		Region: t.caller.Region, Upstream: g.Upstream.Name(),
		Status: 200, StopReason: t.meter.StopReason, Usage: t.meter.Usage,
		InputBytes: call.WireLength, OutputBytes: t.meter.Bytes, Warnings: t.warnings,
		Trace: call.Options.Trace, Metadata: call.Options.Metadata, Client: call.Client,
	}
	if t.head != nil {
		rec.Region, rec.Ref = t.head.Region, t.head.Ref
	}
	if t.model != nil {
		rec.ModelID = t.model.ID
	}
	if t.route != nil {
		rec.RouteID, rec.Wall = t.route.ID(), t.route.Wall().String()
		cost := catalog.Cost(t.meter.Usage, t.route.Price())
		if g.Upstream.Capabilities().Bills {
			rec.Billed = cost
		} else {
			rec.WouldCost = cost
		}
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		rec.ErrorCode, rec.Error, rec.Status = "ClientDisconnected", context.Cause(ctx).Error(), statusClientClosed
		rec.Partial = t.meter.Frames > 0
	default:
		e := messages.AsError(err)
		x := bedrockapi.ExceptionOf(e.Kind)
		rec.ErrorCode, rec.Error = x.Name, e.Error()
		rec.Partial = t.meter.Frames > 0
		if !rec.Partial {
			rec.Status = x.Status
		}
	}
	g.Log.Record(rec)
}
