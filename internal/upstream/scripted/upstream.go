package scripted

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Upstream implements gateway.Upstream.
type Upstream struct {
	scenario Scenario
	newID    func() string
	over     gateway.Upstream // answers where no rule does; nil: Otherwise says
	missed   func(*Unmatched) // nil: nobody asks

	mu    sync.Mutex
	seen  []int // calls that each rule fits, whoever answered them
	used  []int // calls that it has answered
	calls int
}

// Unmatched is the cause of a refusal: no rule answers the call.
type Unmatched struct {
	Asked string
	Rules []string // why each does not
}

func (u *Unmatched) Error() string {
	if len(u.Rules) == 0 {
		return u.Asked + ": the scenario has no rules"
	}
	return u.Asked + "; " + strings.Join(u.Rules, "; ")
}

// New answers from s; the zero Scenario echoes.
func New(s Scenario) (*Upstream, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return &Upstream{scenario: s, seen: make([]int, len(s.Rules)), used: make([]int, len(s.Rules)), newID: randomID}, nil
}

// WithIDs replaces the random part of message and tool ids, for answers that
// must not change from run to run.
func (u *Upstream) WithIDs(next func() string) *Upstream {
	u.newID = next
	return u
}

// Watch has f called with each refusal, before it is answered.
func (u *Upstream) Watch(f func(*Unmatched)) { u.missed = f }

// Over has other answer the calls that no rule does.
func (u *Upstream) Over(other gateway.Upstream) *Upstream {
	u.over = other
	return u
}

func randomID() string { return rand.Text()[:24] }

// Name implements gateway.Upstream.
func (u *Upstream) Name() string {
	if u.scenario.Name != "" {
		return "scripted/" + u.scenario.Name
	}
	return "scripted"
}

// Capabilities implements gateway.Upstream: a scenario can show anything, but it
// cannot honour a guardrail, a tier or a latency.
func (u *Upstream) Capabilities() gateway.Capabilities {
	c := gateway.Capabilities{Place: routing.Here(), Images: true, Documents: true, Tools: true, Thinking: true}
	if u.over != nil { // which is to see each call as it came
		c = u.over.Capabilities()
	}
	return c
}

// Send implements gateway.Upstream.
func (u *Upstream) Send(ctx context.Context, route routing.Route, req gateway.Request) (gateway.Stream, error) {
	came := req
	if u.over != nil && beyond(req.Head.Options) {
		return u.over.Send(ctx, route, came)
	}
	p, err := params(route, &req)
	if err != nil {
		if u.over != nil {
			return u.over.Send(ctx, route, came)
		}
		return nil, err
	}
	a, err := u.pick(ask(route, req, p))
	switch {
	case err != nil && u.over != nil:
		return u.over.Send(ctx, route, came)
	case err != nil:
		u.refused(err)
		return nil, err
	}
	if err := sleep(ctx, a.Delay); err != nil {
		return nil, err
	}
	if a.Error != nil && (a.Error.AtFrame == 0 || !req.Stream) {
		return nil, a.Error.err()
	}
	m, err := u.compose(route, req, p, a)
	if err != nil {
		return nil, err
	}
	if !req.Stream {
		if a.Before != nil {
			if err := a.Before(0); err != nil {
				return nil, err
			}
		}
		raw, err := m.MarshalJSON()
		if err != nil {
			return nil, err
		}
		return gateway.Whole(raw, ""), nil
	}
	frames, err := framesOf(m, a.Chunk)
	if err != nil {
		return nil, err
	}
	if err := a.reach(len(frames)); err != nil {
		return nil, err
	}
	if a.CorruptAtFrame > 0 && req.Head.Operation != bedrockapi.InvokeModelStream {
		return nil, messages.Errorf(messages.InvalidRequest, "The scenario's corrupt_at_frame is for InvokeModelWithResponseStream alone.")
	}
	return &play{ctx: ctx, answer: a, frames: frames}, nil
}

// beyond says that no rule can honour a call: see Capabilities.
func beyond(o gateway.Options) bool {
	return o.GuardrailID != "" || o.ServiceTier != "" && o.ServiceTier != "default" || o.Latency == "optimized"
}

func (u *Upstream) refused(err error) {
	if cause, ok := errors.AsType[*Unmatched](err); ok && u.missed != nil {
		u.missed(cause)
	}
}

// Count implements gateway.Upstream: by a rule that names the operation, else at
// four bytes a token.
func (u *Upstream) Count(ctx context.Context, route routing.Route, req gateway.Request) (int64, error) {
	came := req
	p, err := params(route, &req)
	if err != nil {
		if u.over != nil {
			return u.over.Count(ctx, route, came)
		}
		return 0, err
	}
	a, err := u.pick(ask(route, req, p))
	switch {
	case err != nil && u.over != nil:
		return u.over.Count(ctx, route, came)
	case err != nil:
		return inputTokens(p), nil
	}
	if err := sleep(ctx, a.Delay); err != nil {
		return 0, err
	}
	switch {
	case a.Error != nil:
		return 0, a.Error.err()
	case a.Usage != nil:
		return a.Usage.InputTokens, nil
	default:
		return inputTokens(p), nil
	}
}

// params reads a body in Messages. One of Converse comes only where there is
// another upstream behind, which takes it as it is.
func params(route routing.Route, req *gateway.Request) (*messages.Params, error) {
	if req.Body.Dialect() != gateway.Converse {
		return req.Body.Params()
	}
	r, err := converse.ToMessages(req.Body.Bytes(), converse.Options{DefaultMaxTokens: route.Model().MaxOutput,
		Count:  req.Head.Operation == bedrockapi.CountTokens,
		TextOf: func(_ []byte, _, name string) (string, error) { return "(document " + name + ")", nil }})
	if err != nil {
		return nil, err
	}
	body, err := gateway.NewBody(gateway.Messages, r.Body)
	if err != nil {
		return nil, err
	}
	head := *req.Head
	if head.MaxTokens == 0 {
		head.MaxTokens = r.Settings.MaxTokens
	}
	translated := *req
	translated.Body, translated.Head = body, &head
	*req = translated
	return body.Params()
}

// pick gives the answer of the first rule that matches; without one, the error
// that says why each does not, unless the scenario echoes.
func (u *Upstream) pick(a *asked) (*Answer, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var chosen *Answer
	var missed []string
	u.calls++
	for i := range u.scenario.Rules {
		r := &u.scenario.Rules[i]
		why := r.Match.misses(a)
		if len(why) == 0 {
			u.seen[i]++
			if r.Match.Call != 0 && u.seen[i] != r.Match.Call {
				why = []string{fmt.Sprintf("call: want number %d, it is number %d", r.Match.Call, u.seen[i])}
			}
		}
		switch {
		case len(why) > 0:
			missed = append(missed, fmt.Sprintf("rule %d: %s", i+1, strings.Join(why, ", ")))
		case r.Times > 0 && u.used[i] >= r.Times:
			missed = append(missed, fmt.Sprintf("rule %d: has answered %d times", i+1, r.Times))
		case chosen == nil:
			u.used[i]++
			chosen = &r.Answer
		}
	}
	switch {
	case chosen != nil:
		return chosen, nil
	case u.over == nil && u.scenario.Otherwise != Refuse && !a.counts:
		return &Answer{}, nil
	default:
		cause := &Unmatched{Asked: fmt.Sprintf("call %d: %s", u.calls, a), Rules: missed}
		return nil, messages.Errorf(messages.NotFound, "No rule of the scenario answers %s", cause.Error()).WithCause(cause)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
