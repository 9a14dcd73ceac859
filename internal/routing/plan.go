package routing

import (
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Call is what a Plan knows of a call.
type Call struct {
	Routes    []Route // from Routes: best first, one model, one wall
	Input     int64   // tokens, estimated
	MaxTokens int64
	Counts    bool          // it counts tokens: AWS takes nothing for that from what generates
	Prefix    Prefix        // zero: nothing is cached
	CacheTTL  time.Duration // 0: five minutes
	Deadline  time.Time     // zero: none
	Once      bool          // no way is tried twice: the caller repeats by himself, and waits by himself (no Patience)
}

const cacheTTL = 5 * time.Minute

// Plan leads one call from attempt to attempt. It is used by one goroutine:
//
//	for {
//		route, wait, err := plan.Next()
//		…                   // err: the call has failed; wait: sleep, ask again
//		stream, err := …    // send by route
//		if err == nil { plan.Began(); break }
//		plan.Failed(err)
//	}
//	plan.Done(usage)
//
// and Close settles what is open whatever happened.
type Plan struct {
	health *Health
	call   Call
	need   amount
	tries  []Try
	sent   int // attempts that reached an upstream

	open    bool // the last try is under way
	began   bool
	counted bool // in the budget
	waited  time.Duration
	fatal   error

	nearest time.Duration // until the next way opens; -1: none will
	binding binding       // why not before
	hope    bool          // a quota binds, which calls that end may free sooner
}

// Try is one attempt.
type Try struct {
	Route   Route
	At      time.Time
	Err     error // nil: it serves, or is under way
	MayBill bool  // failed, and may stand on the upstream's bill

	lane   *lane
	again  time.Time // not repeated before
	closed bool      // never repeated
	why    verdict   // of Err, before the first content
}

// Plan starts a call.
func (h *Health) Plan(c Call) *Plan {
	if c.CacheTTL <= 0 {
		c.CacheTTL = cacheTTL
	}
	if c.Counts {
		c.Input, c.MaxTokens, c.Prefix = 0, 0, 0
	}
	return &Plan{health: h, call: c, need: reserved(c.Input, c.MaxTokens)}
}

// lane needs the mutex. Counts have lanes of their own: they have quotas of their
// own, and may be refused where generating is not.
func (p *Plan) lane(r Route, now time.Time) *lane {
	k := r.key()
	if p.call.Counts {
		k.ID = "count of " + k.ID
	}
	return p.health.lane(k, now)
}

// Tries lists the attempts so far; the last may be the one that serves.
func (p *Plan) Tries() []Try { return p.tries }

// spare is the share of a quota that a call leaves while another way has more:
// traffic moves before the 429.
const spare = 0.2

// unsentTries bounds what is tried in all: a host that cannot be reached costs
// nothing but time.
const unsentTries = 2

// provenFor is how long a success speaks for a way.
const provenFor = 5 * time.Minute

// Next gives the way to try, or the time after which to ask again, or the error
// that the call ends with.
func (p *Plan) Next() (Route, time.Duration, error) {
	h := p.health
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.opts.Now()
	if !p.counted {
		p.counted = true
		h.budget.call()
	}
	if len(p.call.Routes) == 0 {
		return Route{}, 0, messages.Errorf(messages.InvalidRequest, "No route to the model stays inside its wall.")
	}
	p.nearest, p.binding, p.hope = -1, binding{}, false
	if p.fatal != nil || p.sent >= h.opts.Attempts || len(p.tries) >= unsentTries*h.opts.Attempts {
		return Route{}, 0, p.failure()
	}
	best := p.choose(now)
	if best < 0 {
		if wait := p.later(now); wait > 0 {
			return Route{}, wait, nil
		}
		if best = p.doubt(now); best < 0 {
			return Route{}, 0, p.failure()
		}
	}
	r := p.call.Routes[best]
	l := p.lane(r, now)
	if p.try(r) != nil {
		h.budget.spend()
	}
	if n := len(p.tries); n > 0 && p.tries[n-1].Route != r {
		p.tries[n-1].lane.failovers[p.tries[n-1].why]++
	}
	l.breaker.begin(now)
	l.take(now, p.need, 1)
	p.sent++
	p.tries = append(p.tries, Try{Route: r, At: now, lane: l})
	p.open = true
	return r, 0, nil
}

// try finds the last attempt by a route.
func (p *Plan) try(r Route) *Try {
	for i := len(p.tries) - 1; i >= 0; i-- {
		if p.tries[i].Route == r {
			return &p.tries[i]
		}
	}
	return nil
}

// choose gives the route to take now, or -1 with p.nearest and p.binding set. It
// prefers, in this order: the way that holds the prefix; one not tried yet; room
// in its quota; after a failure of the service, another part of the world; after
// any, one that has worked of late; the caller's order.
func (p *Plan) choose(now time.Time) int {
	h := p.health
	if len(p.tries) == 0 && p.call.Prefix != 0 {
		if i := h.lies(p.call.Prefix, p.call.Routes, now); i >= 0 {
			if w, _ := p.lane(p.call.Routes[i], now).wait(now, p.need); w == 0 {
				return i
			}
		}
	}
	const untried, roomy = 8, 4
	away, proven := 2, 1
	if slices.ContainsFunc(p.tries, func(t Try) bool { return t.closed }) {
		away, proven = 1, 2 // we may not go everywhere: go where we could
	}
	best, bestScore, bestRoom := -1, -1, 0.0
	for i, r := range p.call.Routes {
		l := p.lane(r, now)
		t := p.try(r)
		if t != nil && (t.closed || !h.budget.affords()) {
			continue
		}
		wait, gauge := l.wait(now, p.need)
		if t != nil {
			wait = max(wait, t.again.Sub(now))
		}
		if wait > 0 || t != nil && p.call.Once {
			if p.nearest < 0 || wait < p.nearest {
				p.nearest, p.binding = wait, binding{r, l, gauge}
			}
			continue
		}
		room := l.room(p.need)
		score := 0
		if t == nil {
			score += untried
		}
		if room >= spare {
			score += roomy
		}
		if !p.brokeNear(r.Region()) {
			score += away
		}
		if len(p.tries) == 0 || now.Sub(l.proven) < provenFor {
			score += proven
		}
		if score > bestScore || score == bestScore && score&roomy == 0 && room > bestRoom {
			best, bestScore, bestRoom = i, score, room
		}
		if score == untried+roomy+away+proven {
			break
		}
	}
	return best
}

// binding is what a call waits for.
type binding struct {
	route Route
	lane  *lane
	gauge int // -1: none
}

// refusal names what bound, and when it frees.
func (b binding) refusal(frees time.Duration, now time.Time) *messages.Error {
	where := b.route.ID() + " in " + b.route.Region()
	if b.route.account != "" {
		where += ", account " + b.route.account
	}
	in := frees.Round(10 * time.Millisecond)
	var e *messages.Error
	switch {
	case b.gauge >= 0:
		e = messages.Errorf(messages.Throttled, "%s", quotaTexts[b.gauge]).
			WithHint("%s of %s (%.0f) is used up; frees in %s", quotaNames[b.gauge], where, b.lane.gauges[b.gauge].limit, in)
	case b.lane.breaker.state(now) != Closed:
		e = messages.Errorf(messages.Unavailable, "The model is not available at the moment. Try your request again.").
			WithHint("%s has failed and is left alone for %s", where, in)
	default:
		e = messages.Errorf(messages.Throttled, "%s", quotaTexts[requests]).
			WithHint("AWS has throttled %s; the next try is due in %s", where, in)
	}
	e.RetryAfter = frees
	return e
}

// quotaPoll: calls that end give tokens back, which no wait can foresee.
const quotaPoll = 200 * time.Millisecond

// later is the wait for the nearest way; 0: there is none, or it opens too late.
func (p *Plan) later(now time.Time) time.Duration {
	left := p.health.opts.Patience - p.waited
	if d := p.call.Deadline; !d.IsZero() {
		left = min(left, d.Sub(now))
	}
	if p.nearest < 0 || left <= 0 || p.nearest > left && !p.hope {
		return 0
	}
	wait := min(p.nearest, quotaPoll, left)
	p.waited += wait
	return wait
}

// doubt gives a way, not tried yet, that only a learnt quota keeps shut: AWS has
// the last word on it. -1: there is none.
func (p *Plan) doubt(now time.Time) int {
	best, bestRoom := -1, 0.0
	for i, r := range p.call.Routes {
		l := p.lane(r, now)
		if p.try(r) != nil || !l.doubtful(now, p.need) {
			continue
		}
		if room := l.room(p.need); best < 0 || room > bestRoom {
			best, bestRoom = i, room
		}
	}
	return best
}

// failure is the error of a call that goes no further: the first way's own words
// where there was an attempt, else which quota bound and when it frees.
func (p *Plan) failure() error {
	switch {
	case p.fatal != nil:
		return p.fatal
	case len(p.tries) == 0:
		return p.binding.refusal(p.nearest, p.health.opts.Now())
	}
	first := p.tries[0].Err
	for _, t := range p.tries { // a wrong way of ours says less than a failed one
		if !t.closed {
			first = t.Err
			break
		}
	}
	e := *messages.AsError(first)
	if e.RetryAfter == 0 && p.nearest > 0 {
		e.RetryAfter = p.nearest
	}
	if e.Hint == "" {
		e.Hint = "tried " + p.path()
	}
	return &e
}

func (p *Plan) path() string {
	var b strings.Builder
	for i, t := range p.tries {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(t.Route.Region())
		if t.Route.account != "" {
			b.WriteString(" (" + t.Route.account + ")")
		}
	}
	return b.String()
}

// Failed says how the attempt failed. Before Began, Next tells whether there is
// another; after it there is none, and Done still settles.
func (p *Plan) Failed(err error) {
	h := p.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if !p.open || err == nil {
		return
	}
	now := h.opts.Now()
	t := &p.tries[len(p.tries)-1]
	l, f, e := t.lane, faultOf(err), messages.AsError(err)
	t.Err, t.MayBill = err, f.MayBill || p.began
	if p.began { // Done settles
		l.cut++
		if judge(err, true) == broken {
			l.breaker.fail(now, false, h.opts.Rand())
		}
		return
	}
	p.open = false
	if f.MayBill {
		l.take(now, amount{0, float64(p.call.MaxTokens), float64(p.call.MaxTokens)}, -1)
	} else {
		l.take(now, p.need, -1)
	}
	if f.Unsent {
		p.sent--
	}
	t.again = now.Add(max(backoff(len(p.tries)-1, h.opts.Rand()), min(e.RetryAfter, heedLongest)))
	home := t.Route == p.call.Routes[0]
	t.why = judge(err, home)
	switch t.why {
	case throttled:
		l.breaker.leave()
		l.strike(now, p.need, e.Message, e.RetryAfter, h.opts.Rand())
	case notReady:
		l.breaker.leave()
		l.shut = now.Add(min(max(e.RetryAfter, shutFirst), heedLongest))
	case broken:
		l.breaker.fail(now, f.Unsent, h.opts.Rand())
	case refused:
		t.closed = true
		if home || f.Unsent { // ours to put right, at any moment: it is asked again as soon as the first time
			l.breaker.trips = 0
			l.breaker.fail(now, true, h.opts.Rand())
		} else {
			l.breaker.shut(now, openRefused)
		}
	case left:
		l.breaker.leave()
		p.fatal = err
	case final:
		if f.Unsent { // nobody there has said so
			l.breaker.leave()
		} else {
			l.breaker.ok()
		}
		p.fatal = err
	}
}

// Began says that the attempt serves: its first content has come.
func (p *Plan) Began() {
	h := p.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if !p.open || p.began {
		return
	}
	p.began = true
	now := h.opts.Now()
	t := &p.tries[len(p.tries)-1]
	t.lane.breaker.ok()
	t.lane.strikes, t.lane.proven = 0, now
	for i := range t.lane.gauges {
		t.lane.gauges[i].yes(now)
	}
	if p.call.Prefix != 0 {
		h.hold(p.call.Prefix, t.Route, now.Add(p.call.CacheTTL), now)
	}
}

// Done settles the attempt that served with what it used.
func (p *Plan) Done(u messages.Usage) {
	h := p.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if !p.open {
		return
	}
	p.open = false
	t := &p.tries[len(p.tries)-1]
	now := h.opts.Now()
	used := spent(u, t.Route.model.Burndown)
	for i := range t.lane.gauges {
		t.lane.gauges[i].fill(now)
		t.lane.gauges[i].take(now, used[i]-p.need[i])
	}
}

// Close settles an attempt that nobody has settled: the caller has left, or its
// usage never came. What was read counts, what was not written does not.
func (p *Plan) Close() {
	h := p.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if !p.open {
		return
	}
	p.open = false
	t := &p.tries[len(p.tries)-1]
	t.lane.breaker.leave()
	if !p.began {
		t.MayBill = true
	}
	t.lane.take(h.opts.Now(), amount{0, float64(p.call.MaxTokens), float64(p.call.MaxTokens)}, -1)
}
