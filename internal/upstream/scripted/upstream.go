package scripted

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Upstream implements gateway.Upstream.
type Upstream struct {
	scenario Scenario
	newID    func() string

	mu   sync.Mutex
	used []int // calls that each rule has answered
}

// New answers from s; the zero Scenario echoes.
func New(s Scenario) (*Upstream, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return &Upstream{scenario: s, used: make([]int, len(s.Rules)), newID: randomID}, nil
}

// WithIDs replaces the random part of message and tool ids, for answers that
// must not change from run to run.
func (u *Upstream) WithIDs(next func() string) *Upstream {
	u.newID = next
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
	return gateway.Capabilities{Place: routing.Here(), Images: true, Documents: true, Tools: true, Thinking: true}
}

// Send implements gateway.Upstream.
func (u *Upstream) Send(ctx context.Context, route routing.Route, req gateway.Request) (gateway.Stream, error) {
	p, err := params(req)
	if err != nil {
		return nil, err
	}
	a := u.pick(route, req, p)
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
	return &play{ctx: ctx, answer: a, frames: frames}, nil
}

// Count implements gateway.Upstream, at four bytes a token.
func (u *Upstream) Count(_ context.Context, _ routing.Route, req gateway.Request) (int64, error) {
	p, err := params(req)
	if err != nil {
		return 0, err
	}
	return inputTokens(p), nil
}

func params(req gateway.Request) (*messages.Params, error) {
	body, err := req.Body.In(gateway.Messages)
	if err != nil {
		return nil, err
	}
	return body.Params()
}

func (u *Upstream) pick(route routing.Route, req gateway.Request, p *messages.Params) *Answer {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range u.scenario.Rules {
		r := &u.scenario.Rules[i]
		if (r.Times == 0 || u.used[i] < r.Times) && r.Match.matches(req.Head.Ref, route.Model().ID, req.Stream, req.Head.Betas, p) {
			u.used[i]++
			return &r.Answer
		}
	}
	return &Answer{}
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
