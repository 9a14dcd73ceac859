package routing

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

func TestQuotaNamed(t *testing.T) {
	for text, want := range map[string]int{
		"Too many tokens, please wait before trying again.":         tokens,
		"Too many tokens per day, please wait before trying again.": daily,
		"Too many requests, please wait before trying again.":       requests,
		"Rate exceeded": -1,
		"":              -1,
	} {
		if got := quotaNamed(text); got != want {
			t.Errorf("%q is about %d, want %d", text, got, want)
		}
	}
}

// A limit that nobody told is learnt from the first 429 that comes after traffic
// enough, holds traffic off, and grows again when it does.
func TestLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGauge(0, time.Minute, time.Now())
		for range 20 {
			if w := g.wait(1000); w != 0 {
				t.Fatalf("an unknown limit makes a call wait %v", w)
			}
			g.take(time.Now(), 1000)
			time.Sleep(time.Second)
		}
		g.strike(time.Now(), 1000)
		if g.limit != 20_000 {
			t.Fatalf("learnt %v, want the 20000 of the last minute", g.limit)
		}
		if w := g.wait(1000).Round(time.Second); w != 3*time.Second {
			t.Errorf("a call waits %v, want 3s: 1000 of 20000 a minute", w)
		}
		for range 3 { // AWS takes calls that we hold off
			time.Sleep(growEvery)
			g.fill(time.Now())
			g.take(time.Now(), g.level)
			g.wait(1000)
		}
		if g.limit <= 20_000 || g.limit > 25_000 {
			t.Errorf("it has not grown with care: %v", g.limit)
		}
	})
}

func TestLearnsNothingFromOthersUse(t *testing.T) {
	g := newGauge(0, time.Minute, time.Now())
	g.strike(time.Now(), 1000)
	if g.limit != 0 {
		t.Errorf("a 429 without traffic of ours taught %v", g.limit)
	}
}

// A bucket that AWS has made shallower than ours keeps its rate and loses its
// depth.
func TestLearnsDepth(t *testing.T) {
	now := time.Now()
	g := newGauge(60_000, time.Minute, now)
	for range 10 {
		g.take(now, 1000)
	}
	g.strike(now, 1000)
	if g.limit != 60_000 || g.depth != 10_000 || g.level != 0 {
		t.Errorf("limit %v, depth %v, level %v; want 60000, 10000, 0", g.limit, g.depth, g.level)
	}
}

// A configured quota is never raised, and is lowered when a 429 comes to a full
// bucket.
func TestToldIsTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGauge(60_000, time.Minute, time.Now())
		for range 3 {
			g.level = g.depth
			g.strike(time.Now(), 1000)
		}
		if g.limit >= 60_000 {
			t.Errorf("three 429s on a full bucket left the limit at %v", g.limit)
		}
		for range 400 {
			time.Sleep(growEvery)
			g.level = 0
			g.wait(1000)
			g.fill(time.Now())
		}
		if g.limit != 60_000 {
			t.Errorf("it has grown to %v, want the 60000 of the configuration", g.limit)
		}
	})
}

// A learnt quota never refuses a call by itself: AWS is asked again, once a
// second.
func TestLearntQuotaIsAskedAgain(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[0])
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{Rand: func() float64 { return 0 }})
		c := Call{Routes: routes, Input: 500, MaxTokens: 500}
		for range 10 {
			p := h.Plan(c)
			p.Next()
			p.Began()
			p.Done(messages.Usage{InputTokens: 1000})
		}
		p := h.Plan(c)
		p.Next()
		p.Failed(faults["tokens"])
		asked := 0
		for range 30 {
			p := h.Plan(c)
			if _, _, err := p.Next(); err == nil {
				asked++
				p.Failed(faults["tokens"])
			}
			time.Sleep(100 * time.Millisecond)
		}
		if asked < 2 || asked > 3 {
			t.Errorf("AWS was asked %d times in 3 s", asked)
		}
	})
}

// AWS's own word on when to come back is kept, within reason.
func TestRetryAfter(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[0])
	for _, kind := range []messages.Kind{messages.Throttled, messages.NotReady} {
		for told, want := range map[time.Duration]time.Duration{7 * time.Second: 7 * time.Second, 1000 * time.Hour: heedLongest} {
			synctest.Test(t, func(t *testing.T) {
				h := NewHealth(Options{})
				p := h.Plan(Call{Routes: routes})
				p.Next()
				p.Failed(&messages.Error{Kind: kind, Message: "Slow down", RetryAfter: told})
				_, _, err := h.Plan(Call{Routes: routes}).Next()
				if e := messages.AsError(err); e.RetryAfter != want {
					t.Errorf("told %v: got %v, want %v", told, e.RetryAfter, want)
				}
			})
		}
	}
	// After a 503 it is this call that waits.
	for told, want := range map[time.Duration]time.Duration{2 * time.Second: 2 * time.Second, 9 * time.Second: 0} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			p := NewHealth(Options{Patience: 3 * time.Second}).Plan(Call{Routes: routes})
			p.Next()
			p.Failed(&messages.Error{Kind: messages.Unavailable, Message: "No capacity.", RetryAfter: told})
			path, _, err := run(t, p, nil)
			if time.Since(start) != want || (len(path) == 1) != (want > 0) || want == 0 && messages.AsError(err).RetryAfter != told {
				t.Errorf("told %v: after %v went %v, %v", told, time.Since(start), path, err)
			}
		})
	}
}
