package gateway

import (
	"bytes"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Lease is a Grant with its share of the limits reserved. Only admit makes one.
type Lease struct {
	grant    *Grant
	reserved *limit.Lease // nil: there are no counters
	most     int64        // tokens of the answer; 0 of a count
}

// admit reserves what the call may use at most of its key's limits. A count uses
// a request and a place among the calls at once, and no more.
func (g *Gateway) admit(grant *Grant, head *Head, body *Body) (*Lease, error) {
	l := &Lease{grant: grant}
	if !head.count() {
		l.most = head.MaxTokens
		if l.most == 0 { // Converse: the model's own limit counts then
			l.most = grant.routes[0].Model().OutputLimit(head.Betas, g.policy(head))
		}
	}
	if g.Limits == nil {
		return l, nil
	}
	limits := grant.caller.Settings().Limits.Or(g.KeyLimits)
	var want limit.Want
	if !head.count() {
		bills := limits.Money() && g.Upstream.Capabilities().Bills
		if bills || limits.TokensPerMinute > 0 {
			input := mostPrompt(body)
			if window := grant.routes[0].Model().ContextWindow(head.Betas, g.policy(head)); window > 0 { // what is more is refused
				input = min(input, window)
			}
			want.Tokens = input + l.most // as AWS: burndown counts when the call is over
			if bills {
				want.Money = dearest(grant.routes, atMost(body, input, l.most))
			}
		}
	}
	var err error
	l.reserved, err = g.Limits.Reserve(grant.caller.KeyID, limits, want)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// atMost is the usage that costs most of what a request may have. What may be
// written with escapes counts as there.
func atMost(body *Body, input, output int64) messages.Usage {
	u := messages.Usage{InputTokens: input, OutputTokens: output}
	hidden := hidesWords(body.data)
	if hidden || bytes.Contains(body.data, []byte("cache_control")) || bytes.Contains(body.data, []byte("cachePoint")) {
		u.InputTokens, u.CacheCreationInputTokens = 0, input
		if hidden || bytes.Contains(body.data, []byte(`"1h"`)) {
			u.CacheCreation.Ephemeral1h = input
		}
	}
	return u
}

// dearest is what u costs on the dearest route: a failover may take any.
func dearest(routes []routing.Route, u messages.Usage) (most catalog.Nanodollars) {
	for i, r := range routes {
		if i > 0 && r.Price() == routes[i-1].Price() {
			continue
		}
		most = max(most, catalog.Cost(u, r.Price()))
	}
	return most
}

// settle gives back what the call did not use. It is for every end of a call, a
// panic too; a call that had no frame has used nothing, unless its client left.
func (g *Gateway) settle(t *trail) {
	if t.lease == nil || t.lease.reserved == nil {
		return
	}
	var used limit.Want
	if (t.meter.left || !t.meter.First.IsZero()) && !t.head.count() {
		u, _ := t.meter.Used()
		used.Tokens = u.InputTokens + u.CacheCreationInputTokens + u.OutputTokens*int64(max(t.model.Burndown, 1))
		if t.route != nil && g.Upstream.Capabilities().Bills {
			used.Money = catalog.Cost(u, t.route.Price())
		}
	}
	t.lease.reserved.Settle(used)
}
