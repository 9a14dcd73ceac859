package gateway

import (
	"context"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// routes gives the ways to serve a resolution, inside its wall, the operator's
// fence and the key's.
func (g *Gateway) routes(caller identity.Caller, head *Head, res *catalog.Resolution) ([]routing.Route, error) {
	fence, err := g.fence(caller)
	if err != nil {
		return nil, err
	}
	routes, out := routing.Routes(res, g.Upstream.Capabilities().Place, fence, g.Accounts)
	if len(routes) > 0 {
		return routes, nil
	}
	if err := g.fenced(caller, head, res, out); err != nil {
		return nil, err
	}
	if len(out) > 0 && g.Upstream.Capabilities().Place == routing.Amazon() { // which is everywhere: the operator's own fence
		return nil, denied(caller, head, "an explicit deny in a service control policy").
			WithHint("the configuration of this server: %s in %s: %s", out[0].ID, out[0].Region, out[0].Reason)
	}
	e := messages.Errorf(messages.InvalidRequest, "The model %s may run only in %s, and the upstream %s is not known to be there.", head.Ref, res.Candidates[0].Wall, g.Upstream.Name())
	if len(out) > 0 {
		return nil, e.WithHint("%s in %s: %s", out[0].ID, out[0].Region, out[0].Reason)
	}
	return nil, e.WithHint("call a global. model id, or declare the upstream's Regions (--upstream-regions)")
}

// invoke tries the routes in the order that routing gives, until one has content
// or none is left. An upstream without Health has one try.
func (g *Gateway) invoke(ctx context.Context, lease *Lease, req Request, t *trail) (Stream, error) {
	if g.Health == nil {
		t.route = &lease.grant.routes[0]
		return g.send(ctx, *t.route, req)
	}
	call := routing.Call{Routes: lease.grant.routes, Input: routing.Estimate(req.Body.Bytes()), MaxTokens: req.Head.MaxTokens, Counts: req.Counts()}
	call.Prefix, call.CacheTTL = g.prefix(req)
	call.Deadline, _ = ctx.Deadline()
	t.plan = g.Health.Plan(call)
	for {
		route, wait, err := t.plan.Next()
		if err != nil {
			return nil, err
		}
		if wait > 0 {
			if err := g.pause(ctx, wait); err != nil {
				return nil, err
			}
			continue
		}
		t.route = &route
		stream, err := g.send(ctx, route, req)
		if err == nil {
			t.plan.Began()
			return stream, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		t.plan.Failed(err)
	}
}

func (g *Gateway) send(ctx context.Context, route routing.Route, req Request) (Stream, error) {
	if req.Head.count() {
		c, err := g.count(ctx, route, req)
		if err != nil {
			return nil, err
		}
		return countStream(c), nil
	}
	return g.Upstream.Send(ctx, route, req)
}

func (g *Gateway) count(ctx context.Context, route routing.Route, req Request) (Counted, error) {
	if c, ok := g.Upstream.(Counter); ok {
		counted, err := c.CountTokens(ctx, route, req)
		if err == nil && counted.Estimate && g.Policy.Strict { // AWS does not estimate
			return Counted{}, errUncounted
		}
		return counted, err
	}
	n, err := g.Upstream.Count(ctx, route, req)
	return Counted{Tokens: n}, err
}

var errUncounted = messages.Errorf(messages.InvalidRequest, "The provided model doesn't support counting tokens.")

// estimates says that a count of the model is estimated where AWS has none; AWS
// itself refuses.
func (g *Gateway) estimates() bool {
	_, ok := g.Upstream.(Counter)
	return ok && !g.Policy.Strict
}

func (g *Gateway) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tried tells of the attempts that were left, and warns of those that may stand
// on the upstream's bill all the same.
func (t *trail) tried() (left []activity.Attempt, warnings []string) {
	if t.plan == nil {
		return nil, nil
	}
	for _, try := range t.plan.Tries() {
		if try.Err == nil {
			continue
		}
		left = append(left, activity.Attempt{RouteID: try.Route.ID(), Region: try.Route.Region(),
			Code: bedrockapi.ExceptionOf(messages.AsError(try.Err).Kind).Name})
		if try.MayBill {
			warnings = append(warnings, "upstream may have billed the attempt in "+try.Route.Region())
		}
	}
	return left, warnings
}
