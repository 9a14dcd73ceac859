// Package replay is an upstream that answers from a recording: a call that means
// the same as a recorded one gets its answer, the frames of a stream byte for byte.
//
// Invariant: no answer is made up. A call without a recording is refused with the
// nearest one and what differs; a recorded plain call is no recording of a stream.
//
// Non-goal: time. What was recorded comes at once.
package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/recording"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Upstream implements gateway.Upstream.
type Upstream struct {
	exchanges []recording.Exchange
	meanings  []*recording.Meaning
	equal     map[string][]int // by meaning, in the order in which they were recorded
	missed    func(*Missing)   // nil: nobody asks

	mu     sync.Mutex
	played map[string]int
}

// Missing is the cause of a refusal: no recording has the call.
type Missing struct {
	Asked   string
	Nearest int // its number in the file, from 1; 0: the file is empty
	Differs []string
}

func (m *Missing) Error() string {
	const most = 5
	if m.Nearest == 0 {
		return m.Asked + "; the recording is empty"
	}
	differs := m.Differs
	more := ""
	if len(differs) > most {
		more = fmt.Sprintf("; and %d more", len(differs)-most)
		differs = differs[:most]
	}
	return fmt.Sprintf("%s; the nearest is call %d: %s%s", m.Asked, m.Nearest, strings.Join(differs, "; "), more)
}

// New answers from a recording.
func New(exchanges []recording.Exchange) (*Upstream, error) {
	u := &Upstream{exchanges: exchanges, equal: map[string][]int{}, played: map[string]int{}}
	for i, e := range exchanges {
		m, err := e.Call.Meaning()
		if err != nil {
			return nil, fmt.Errorf("call %d: %w", i+1, err)
		}
		if _, err := framesOf(&e); err != nil {
			return nil, fmt.Errorf("answer %d: %w", i+1, err)
		}
		u.meanings = append(u.meanings, m)
		u.equal[m.Key()] = append(u.equal[m.Key()], i)
	}
	return u, nil
}

// Open answers from the recording of a file.
func Open(file string) (*Upstream, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	exchanges, err := recording.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	u, err := New(exchanges)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return u, nil
}

// Watch has f called with each refusal, before it is answered.
func (u *Upstream) Watch(f func(*Missing)) { u.missed = f }

// Name implements gateway.Upstream.
func (u *Upstream) Name() string { return "replay" }

// Capabilities implements gateway.Upstream: whatever was recorded could be done.
func (u *Upstream) Capabilities() gateway.Capabilities {
	return gateway.Capabilities{Place: routing.Here(), Converse: true, Images: true, Documents: true, Guardrails: true, Tiers: true, Optimized: true,
		Tools: true, Thinking: true}
}

// Send implements gateway.Upstream.
func (u *Upstream) Send(_ context.Context, _ routing.Route, req gateway.Request) (gateway.Stream, error) {
	e, err := u.find(req)
	if err != nil {
		return nil, err
	}
	if e.Answer.Status >= http.StatusBadRequest {
		return nil, failure(e)
	}
	frames, err := framesOf(e)
	if err != nil {
		return nil, err
	}
	return &stream{frames: frames, header: e.Answer.Header}, nil
}

// Count implements gateway.Upstream.
func (u *Upstream) Count(ctx context.Context, route routing.Route, req gateway.Request) (int64, error) {
	c, err := u.CountTokens(ctx, route, req)
	return c.Tokens, err
}

// CountTokens implements gateway.Counter: what was counted is recorded too, and
// that it was an estimate.
func (u *Upstream) CountTokens(_ context.Context, _ routing.Route, req gateway.Request) (gateway.Counted, error) {
	e, err := u.find(req)
	if err != nil {
		return gateway.Counted{}, err
	}
	if e.Answer.Status >= http.StatusBadRequest {
		return gateway.Counted{}, failure(e)
	}
	var n struct {
		AWS       int64 `json:"inputTokens"`
		Anthropic int64 `json:"input_tokens"`
	}
	if err := json.Unmarshal(e.Answer.Body, &n); err != nil {
		return gateway.Counted{}, err
	}
	return gateway.Counted{Tokens: n.AWS + n.Anthropic, Estimate: e.Answer.Header.Get("X-Outcrop-Estimate") == "true"}, nil
}

// find gives the recording of a call. Equal calls get theirs in order, and the last
// one for ever.
func (u *Upstream) find(req gateway.Request) (*recording.Exchange, error) {
	asked, err := meaning(req)
	if err != nil {
		return nil, messages.Errorf(messages.InvalidRequest, "The body of the call cannot be read.").WithCause(err)
	}
	u.mu.Lock()
	at := u.equal[asked.Key()]
	n := u.played[asked.Key()]
	u.played[asked.Key()] = n + 1
	u.mu.Unlock()
	if len(at) > 0 {
		return &u.exchanges[at[min(n, len(at)-1)]], nil
	}
	nearest, differs := recording.Nearest(u.meanings, asked)
	cause := &Missing{Asked: strings.TrimSpace(req.Head.Operation.Name + " " + req.Head.Ref), Nearest: nearest + 1, Differs: differs}
	if u.missed != nil {
		u.missed(cause)
	}
	return nil, messages.Errorf(messages.NotFound, "There is no recording of %s", cause.Error()).WithCause(cause).
		WithHint("record it: outcrop record -o FILE -- CMD")
}

func meaning(req gateway.Request) (*recording.Meaning, error) {
	c := recording.Call{Operation: req.Head.Operation.Name, Header: req.Forward, Body: req.Body.Bytes(),
		Converse: req.Head.Operation == bedrockapi.CountTokens && req.Body.Dialect() == gateway.Converse}
	if req.Head.Operation.Surface != bedrockapi.SurfaceMessages { // whose bodies name the model
		c.Model = req.Head.Ref
	}
	return c.Meaning()
}
