package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// limited is a gateway whose caller has limits.
func limited(t *testing.T, up Upstream, l limit.Limits) (*Gateway, *activity.Ring, func(op *bedrockapi.Operation, body string) *Call) {
	t.Helper()
	g, ring := newGateway(t, up)
	g.Limits = &limit.Counters{Now: g.Now}
	caller := someone
	caller.Set = &identity.Settings{Limits: l}
	return g, ring, func(op *bedrockapi.Operation, body string) *Call {
		call := newCall(op, opus, body)
		call.Credential = pending{caller: caller}
		return call
	}
}

func (g *Gateway) state(l limit.Limits) limit.State { return g.Limits.State(someone.KeyID, l) }

// What a call has reserved when it runs, and what stays taken when it is over,
// for each end that a call can have.
func TestReservedAndSettled(t *testing.T) {
	l := limit.Limits{RequestsPerMinute: 100, TokensPerMinute: 1_000_000, Streams: 10, Day: 5e9}
	estimate := routing.Estimate([]byte(hello))
	for _, test := range []struct {
		name   string
		op     *bedrockapi.Operation
		body   string
		up     canned
		tokens int64 // that stay taken
		money  catalog.Nanodollars
		denied bool // before the limits

		estimated bool
	}{
		// The burndown of Claude Opus 4.6 is 5; what the cache gave costs no quota.
		{"an answer", bedrockapi.InvokeModel, hello, canned{frames: whole()}, 1000 + 5*200, 15_000_000, false, false},
		{"a stream", bedrockapi.InvokeModelStream, hello, canned{frames: streamed()}, 1000 + 5*200, 15_000_000, false, false},
		{"refused by the upstream", bedrockapi.InvokeModel, hello, canned{send: messages.Errorf(messages.Throttled, "no")}, 0, 0, false, false},
		{"a panic", bedrockapi.InvokeModel, hello, canned{panics: true}, 0, 0, false, false},
		{"cut after the first words", bedrockapi.InvokeModelStream, hello, canned{frames: streamed()[:3]}, 1000 + 5, 10_025_000, false, false},
		{"cut after the usage", bedrockapi.InvokeModelStream, hello, canned{frames: streamed()[:5]}, 1000 + 5*200, 15_000_000, false, false},
		{"cut in a long answer", bedrockapi.InvokeModelStream, hello, canned{frames: append(streamed()[:2], long(10), long(10))}, 1000 + 5*7, 10_000_000 + 7*25_000, false, true},
		{"cut in an answer longer than asked for", bedrockapi.InvokeModelStream, hello, canned{frames: append(streamed()[:2], long(100_000))}, 1000 + 5*64, 10_000_000 + 64*25_000, false, true},
		{"cut without any usage", bedrockapi.InvokeModelStream, hello, canned{frames: []Frame{long(9)}}, estimate + 5*3, catalog.Nanodollars(estimate)*5000 + 3*25_000, false, true},
		{"a count", bedrockapi.CountMessage, helloMessages, canned{count: 5}, 0, 0, false, false},
		{"denied", bedrockapi.InvokeModel, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9999999,"messages":[{"role":"user","content":"hi"}]}`, canned{}, 0, 0, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.up.capabilities.Bills = true
			var held limit.State
			up := &watched{Upstream: &test.up}
			g, ring, call := limited(t, up, l)
			up.look = func() { held = g.state(l) }
			func() {
				defer func() { _ = recover() }()
				_ = g.Do(t.Context(), call(test.op, test.body), &paper{})
			}()
			want := limit.State{Requests: 99, Tokens: l.TokensPerMinute - test.tokens, Day: test.money, Month: test.money}
			if test.denied {
				want.Requests = 100
			} else {
				run := limit.State{Requests: 99, Tokens: l.TokensPerMinute - estimate - 64, Streams: 1, Day: catalog.Nanodollars(estimate)*5000 + 64*25_000}
				if test.op == bedrockapi.CountMessage {
					run.Tokens, run.Day = l.TokensPerMinute, 0
				}
				run.Month = run.Day
				if held != run {
					t.Errorf("while it ran: %+v, want %+v", held, run)
				}
			}
			if got := g.state(l); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			// The record has the same, so that a restart forgets nothing of it.
			if recs := ring.Records(); len(recs) != 1 || recs[0].Billed != test.money || recs[0].Estimated != test.estimated {
				t.Errorf("%+v", recs)
			}
		})
	}
}

// Who leaves before the answer has used the prompt, as far as anybody knows: it was
// sent.
func TestLeftBeforeTheAnswer(t *testing.T) {
	l := limit.Limits{TokensPerMinute: 1_000_000, Day: 5e9}
	estimate := routing.Estimate([]byte(hello))
	for _, test := range []struct {
		name   string
		op     *bedrockapi.Operation
		body   string
		bills  bool
		tokens int64
	}{
		{"whole", bedrockapi.InvokeModel, hello, true, estimate},
		{"a stream", bedrockapi.InvokeModelStream, hello, true, estimate},
		{"of nobody's bill", bedrockapi.InvokeModel, hello, false, 0},
		{"a count", bedrockapi.CountMessage, helloMessages, true, 0},
	} {
		ctx, leave := context.WithCancel(t.Context())
		up := &watched{Upstream: &canned{capabilities: Capabilities{Bills: test.bills}, send: context.Canceled}, look: leave}
		g, ring, call := limited(t, up, l)
		if err := g.Do(ctx, call(test.op, test.body), &paper{}); !ClientGone(ctx, err) {
			t.Errorf("%s: %v", test.name, err)
		}
		money := catalog.Nanodollars(test.tokens) * 5000
		if got := g.state(l); got.Tokens != l.TokensPerMinute-test.tokens || got.Day != money || got.Streams != 0 {
			t.Errorf("%s: %+v", test.name, got)
		}
		if recs := ring.Records(); len(recs) != 1 || recs[0].Billed != money || recs[0].Usage.InputTokens != test.tokens || recs[0].Estimated != (test.tokens > 0) {
			t.Errorf("%s: %+v", test.name, recs)
		}
	}
}

// Who leaves while a call waits for another way has used nothing: what was sent has
// been refused.
func TestLeftBetweenTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit.Limits{TokensPerMinute: 1_000_000, Day: 5e9}
		ctx, leave := context.WithCancel(t.Context())
		up := &watched{Upstream: &canned{capabilities: Capabilities{Bills: true}, send: messages.Errorf(messages.Throttled, "busy")}}
		up.look = func() { time.AfterFunc(time.Nanosecond, leave) }
		g, ring, call := limited(t, up, l)
		g.Health = routing.NewHealth(routing.Options{Patience: time.Hour, Rand: func() float64 { return 1 }})
		if err := g.Do(ctx, call(bedrockapi.InvokeModel, hello), &paper{}); !ClientGone(ctx, err) {
			t.Fatal(err)
		}
		if got := g.state(l); got.Tokens != l.TokensPerMinute || got.Day != 0 {
			t.Errorf("%+v", got)
		}
		if recs := ring.Records(); len(recs) != 1 || recs[0].Billed != 0 || recs[0].Estimated {
			t.Errorf("%+v", recs)
		}
	})
}

func long(n int) Frame {
	data := `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"` + strings.Repeat("x", n) + `"}}`
	return Frame{Event: messages.EventContentBlockDelta, Data: []byte(data)}
}

// watched lets a test look while a call runs.
type watched struct {
	Upstream
	look func()
}

func (w *watched) Send(ctx context.Context, r routing.Route, req Request) (Stream, error) {
	w.look()
	return w.Upstream.Send(ctx, r, req)
}

func (w *watched) Count(ctx context.Context, r routing.Route, req Request) (int64, error) {
	w.look()
	return w.Upstream.Count(ctx, r, req)
}

// What may go into a cache is reserved at the price of writing it there.
func TestReservedAtTheDearestPrice(t *testing.T) {
	for body, rate := range map[string]catalog.Nanodollars{
		`{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`:                                                      5000,
		`{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}]}`:                 6250,
		`{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}`:      10000,
		`{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral","ttl":"\u0031h"}}]}]}`: 10000,
	} {
		l := limit.Limits{Day: 5e9}
		up := &watched{Upstream: &canned{capabilities: Capabilities{Bills: true}, frames: whole()}}
		g, _, call := limited(t, up, l)
		var held limit.State
		up.look = func() { held = g.state(l) }
		if err := g.Do(t.Context(), call(bedrockapi.InvokeModel, body), &paper{}); err != nil {
			t.Fatal(err)
		}
		if want := catalog.Nanodollars(routing.Estimate([]byte(body)))*rate + 25_000; held.Day != want {
			t.Errorf("%s: %d reserved, want %d", body, held.Day, want)
		}
	}
}

// Money that nobody pays is no money: limits of it do not bind.
func TestUnbilledCallsCostNothing(t *testing.T) {
	l := limit.Limits{Day: 1, Month: 1}
	g, ring, call := limited(t, &canned{frames: whole()}, l)
	for range 3 {
		if err := g.Do(t.Context(), call(bedrockapi.InvokeModel, hello), &paper{}); err != nil {
			t.Fatal(err)
		}
	}
	if s := g.state(l); s.Day != 0 || s.Month != 0 || ring.Records()[0].WouldCost == 0 {
		t.Errorf("%+v", s)
	}
}

func TestLimitsAreRefusals(t *testing.T) {
	up := &canned{capabilities: Capabilities{Bills: true}, frames: whole()}
	for _, test := range []struct {
		name  string
		own   limit.Limits
		other limit.Limits // the server's
		kind  messages.Kind
		text  string
		wait  time.Duration
	}{
		{"requests", limit.Limits{RequestsPerMinute: 1}, limit.Limits{RequestsPerMinute: 9}, messages.Throttled, "1 requests a minute; it frees in 60 s", time.Minute},
		{"the server's", limit.Limits{}, limit.Limits{RequestsPerMinute: 1}, messages.Throttled, "1 requests a minute; it frees in 60 s", time.Minute},
		{"tokens", limit.Limits{TokensPerMinute: 2040}, limit.Limits{}, messages.Throttled, "2040 tokens a minute, and this call may use 98; it frees in 2 s", 60 * time.Second / 2040 * 60},
		{"money", limit.Limits{Day: 15_000_001}, limit.Limits{}, messages.SpendLimit, "spend limit reached (daily; resets 2026-11-23 00:00 UTC)", 12 * time.Hour},
		{"the server's money", limit.Limits{Day: limit.None}, limit.Limits{Day: 1, Month: 16_000_000}, messages.SpendLimit, "spend limit reached (monthly; resets 2026-12-01 00:00 UTC)", (8*24 + 12) * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, ring, call := limited(t, up, test.own)
			g.KeyLimits = test.other
			if err := g.Do(t.Context(), call(bedrockapi.InvokeModel, hello), &paper{}); err != nil {
				t.Fatal(err)
			}
			e := refused(t, g, call(bedrockapi.InvokeModel, hello))
			if e.Kind != test.kind || !strings.Contains(e.Message, test.text) || e.RetryAfter-test.wait > time.Minute || e.RetryAfter <= 0 {
				t.Errorf("%+v", e)
			}
			if recs := ring.Records(); len(recs) != 2 || recs[1].ErrorCode != "ThrottlingException" || recs[1].Billed != 0 {
				t.Errorf("%+v", recs)
			}
		})
	}
}

// TestNoOverspend: whatever calls run at once, and however they end, no more is
// billed than the limit, and every reservation is given back.
func TestNoOverspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limitOfDay = 300_000_000
		l := limit.Limits{Day: limitOfDay, Streams: 15}
		up := &unsteady{rng: rand.New(rand.NewPCG(7, 7))}
		g, _, call := limited(t, up, l)
		var bill spentLog
		g.Log = &bill
		g.Now, g.Limits.Now = func() time.Time { return clock }, func() time.Time { return clock }
		var wg sync.WaitGroup
		var mu sync.Mutex
		kinds := map[messages.Kind]int{}
		for range 40 {
			wg.Go(func() {
				for range 60 {
					var err error
					func() {
						defer func() {
							if recover() != nil {
								err = errPanic
							}
						}()
						err = g.Do(t.Context(), call(bedrockapi.InvokeModelStream, hello), &paper{})
					}()
					mu.Lock()
					if err == nil {
						kinds[0]++
					} else {
						kinds[messages.AsError(err).Kind]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		s := g.state(l)
		if bill.sum > limitOfDay || s.Day > limitOfDay || s.Streams != 0 || up.most > 15 {
			t.Errorf("%d billed, %+v, %d at once", bill.sum, s, up.most)
		}
		if bill.sum > s.Day {
			t.Errorf("%d billed, %d counted", bill.sum, s.Day)
		}
		if kinds[0] < 20 || kinds[messages.SpendLimit] < 20 || kinds[messages.Throttled] < 20 || kinds[messages.ModelStreamFailed] < 5 || kinds[messages.Internal] < 5 {
			t.Errorf("the test tests little: %v", kinds)
		}
	})
}

type spentLog struct {
	mu  sync.Mutex
	sum catalog.Nanodollars
}

func (l *spentLog) Record(r activity.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum += r.Billed
}

// unsteady answers within what was asked for, after a while, and fails in every
// way.
type unsteady struct {
	canned
	mu   sync.Mutex
	rng  *rand.Rand
	now  int
	most int
}

func (u *unsteady) Capabilities() Capabilities {
	return Capabilities{Place: routing.Here(), Bills: true}
}

func (u *unsteady) Send(_ context.Context, _ routing.Route, req Request) (Stream, error) {
	u.mu.Lock()
	how, out, wait := u.rng.IntN(10), u.rng.Int64N(req.Head.MaxTokens)+1, time.Duration(u.rng.IntN(1000))*time.Millisecond
	u.now++
	u.most = max(u.most, u.now)
	u.mu.Unlock()
	time.Sleep(wait)
	defer func() {
		u.mu.Lock()
		u.now--
		u.mu.Unlock()
	}()
	c := &canned{frames: streamed()}
	c.frames[0].Data = fmt.Appendf(nil, `{"type":"message_start","message":{"id":"m","usage":{"input_tokens":%d,"output_tokens":1}}}`, routing.Estimate(req.Body.Bytes()))
	c.frames[4].Data = fmt.Appendf(nil, `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":%d}}`, out)
	switch how {
	case 0:
		panic("unsteady")
	case 1:
		return nil, errors.New("dial")
	case 2:
		c.frames = c.frames[:3]
	default: // an answer
	}
	return &cannedStream{canned: c}, nil
}

func TestKeyFences(t *testing.T) {
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	euOnly, err := routing.NewFence(c, []string{"eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	const eu, us = "eu.anthropic.claude-opus-4-6-v1", "us.anthropic.claude-opus-4-6-v1"
	for _, test := range []struct {
		name   string
		key    identity.Settings
		fence  routing.Fence
		ref    string
		region string
		kind   messages.Kind // 0: it goes
	}{
		{"no fence", identity.Settings{}, routing.Fence{}, us, "us-west-2", 0},
		{"inside", identity.Settings{AllowRegions: []string{"us-east-1", "us-east-2", "us-west-2"}}, routing.Fence{}, us, "us-west-2", 0},
		{"outside", identity.Settings{AllowRegions: []string{"eu-west-1"}}, routing.Fence{}, us, "us-west-2", messages.AccessDenied},
		{"reaches outside", identity.Settings{AllowRegions: []string{"us-west-2"}}, routing.Fence{}, us, "us-west-2", messages.AccessDenied},
		{"denied Region", identity.Settings{DenyRegions: []string{"us-east-2"}}, routing.Fence{}, us, "us-west-2", messages.AccessDenied},
		{"denied elsewhere", identity.Settings{DenyRegions: []string{"us-east-2"}}, routing.Fence{}, eu, "eu-west-1", 0},
		{"no global ids", identity.Settings{DenyGlobal: true}, routing.Fence{}, opus, "us-west-2", messages.AccessDenied},
		{"no global ids, and it is none", identity.Settings{DenyGlobal: true}, routing.Fence{}, us, "us-west-2", 0},
		{"a key cannot widen the operator's", identity.Settings{AllowRegions: []string{"us-east-1", "us-east-2", "us-west-2"}}, euOnly, us, "us-west-2", messages.InvalidRequest},
		{"both", identity.Settings{DenyRegions: []string{"us-east-1"}}, euOnly, eu, "eu-west-1", 0},
		{"both, and the key's says no", identity.Settings{DenyRegions: []string{"eu-south-2"}}, euOnly, eu, "eu-west-1", messages.AccessDenied},
		{"a Region that nobody knows", identity.Settings{DenyRegions: []string{"mars-north-1"}}, routing.Fence{}, us, "us-west-2", messages.AccessDenied},
	} {
		t.Run(test.name, func(t *testing.T) {
			up := &canned{frames: whole()}
			g, _ := newGateway(t, up)
			g.Fence = test.fence
			call := newCall(bedrockapi.InvokeModel, test.ref, hello)
			caller := someone
			caller.Region, caller.Set = test.region, &test.key
			call.Credential = pending{caller: caller}
			err := g.Do(t.Context(), call, &paper{})
			switch {
			case test.kind == 0 && err == nil:
			case err == nil || messages.AsError(err).Kind != test.kind:
				t.Errorf("%v, want kind %d", err, test.kind)
			case up.got.Head != nil:
				t.Error("the upstream was called")
			case test.name == "outside":
				if e := messages.AsError(err); e.Message != "User: "+someone.ARN+" is not authorized to perform: bedrock:InvokeModel on resource: "+us+" with an explicit deny" || !strings.Contains(e.Hint, someone.KeyID) {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}
