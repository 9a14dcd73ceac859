package limit

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

func refusal(t *testing.T, err error, kind messages.Kind, wait time.Duration, text string) {
	t.Helper()
	var e *messages.Error
	if !errors.As(err, &e) || e.Kind != kind || e.RetryAfter != wait || e.Message != text {
		t.Fatalf("got %#v\nwant kind %v, retry after %v, %q", err, kind, wait, text)
	}
}

func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Counters{Now: time.Now}
		l := Limits{RequestsPerMinute: 2}
		for range 2 {
			if _, err := c.Reserve("k", l, Want{}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := c.Reserve("k", l, Want{})
		refusal(t, err, messages.Throttled, 30*time.Second, "Too many requests, please wait before trying again. The limit of this key is 2 requests a minute; it frees in 30 s.")
		if _, err := c.Reserve("other", l, Want{}); err != nil {
			t.Fatal("another key is held to this one's limit:", err)
		}
		time.Sleep(30 * time.Second)
		if _, err := c.Reserve("k", l, Want{}); err != nil {
			t.Fatal("not free when it said so:", err)
		}
	})
}

func TestTokensAreReservedAndSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Counters{Now: time.Now}
		l := Limits{TokensPerMinute: 1000}
		a, err := c.Reserve("k", l, Want{Tokens: 800})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Reserve("k", l, Want{Tokens: 300})
		refusal(t, err, messages.Throttled, 6*time.Second, "Too many tokens, please wait before trying again. The limit of this key is 1000 tokens a minute, and this call may use 300; it frees in 6 s.")
		a.Settle(Want{Tokens: 100}) // 700 come back
		if _, err = c.Reserve("k", l, Want{Tokens: 900}); err != nil {
			t.Fatal(err)
		}
		b, err := c.Reserve("k2", l, Want{Tokens: 10})
		if err != nil {
			t.Fatal(err)
		}
		b.Settle(Want{Tokens: 2000}) // used more than it reserved: the key owes
		_, err = c.Reserve("k2", l, Want{Tokens: 1})
		refusal(t, err, messages.Throttled, 60060*time.Millisecond, "Too many tokens, please wait before trying again. The limit of this key is 1000 tokens a minute, and this call may use 1; it frees in 61 s.")
	})
}

// TestTokensOverTheLimit: a call that may use more than a minute's tokens passes
// a full bucket, or it never could.
func TestTokensOverTheLimit(t *testing.T) {
	c := &Counters{Now: func() time.Time { return time.Unix(0, 0) }}
	if _, err := c.Reserve("k", Limits{TokensPerMinute: 10}, Want{Tokens: 50}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reserve("k", Limits{TokensPerMinute: 10}, Want{Tokens: 1}); err == nil {
		t.Fatal("the bucket should be empty")
	}
}

func TestMoneyStopsHard(t *testing.T) {
	now := time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC)
	c := &Counters{Now: func() time.Time { return now }}
	l := Limits{Day: 1_000, Month: 1_500}
	a, err := c.Reserve("k", l, Want{Money: 900})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Reserve("k", l, Want{Money: 101})
	refusal(t, err, messages.SpendLimit, time.Hour, "spend limit reached (daily; resets 2026-03-01 00:00 UTC). The limit of this key is $0.000001; $0.0000009 of it is spent or reserved, and this call may cost $0.000000101.")
	now = now.Add(time.Hour) // a new day and a new month
	a.Settle(Want{Money: 800})
	if _, err = c.Reserve("k", l, Want{Money: 1_000}); err != nil {
		t.Fatal("yesterday's money counts today:", err)
	}
	now = now.AddDate(0, 0, 1)
	_, err = c.Reserve("k", l, Want{Money: 501})
	refusal(t, err, messages.SpendLimit, 30*24*time.Hour, "spend limit reached (monthly; resets 2026-04-01 00:00 UTC). The limit of this key is $0.0000015; $0.000001 of it is spent or reserved, and this call may cost $0.000000501.")
	if _, err = c.Reserve("k", l, Want{}); err != nil {
		t.Fatal("money stops a call that costs nothing:", err)
	}
}

func TestSpentIsPutBack(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	c := &Counters{Now: func() time.Time { return now }}
	c.Spent("k", now, 90, 400)
	if _, err := c.Reserve("k", Limits{Day: 100}, Want{Money: 11}); err == nil {
		t.Fatal("what was spent before the start is forgotten")
	}
	if _, err := c.Reserve("k", Limits{Day: 100}, Want{Money: 10}); err != nil {
		t.Fatal(err)
	}
}

func TestStreams(t *testing.T) {
	c := &Counters{Now: time.Now}
	l := Limits{Streams: 1}
	a, err := c.Reserve("k", l, Want{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Reserve("k", l, Want{})
	refusal(t, err, messages.Throttled, time.Second, "Too many requests, please wait before trying again. The limit of this key is 1 calls at once; it frees when one of them ends.")
	a.Settle(Want{})
	a.Settle(Want{}) // ignored: the slot is free once
	if _, err := c.Reserve("k", l, Want{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reserve("k", l, Want{}); err == nil {
		t.Fatal("one call gave two slots back")
	}
}

// What a key used while it had no limit is not held against it when it gets one.
func TestLimitsThatChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Counters{Now: time.Now}
		use := func(l Limits, n int) (refused int) {
			for range n {
				if _, err := c.Reserve("k", l, Want{Tokens: 10}); err != nil {
					refused++
				}
			}
			return refused
		}
		l := Limits{RequestsPerMinute: 5, TokensPerMinute: 1000}
		for i, step := range []struct {
			l       Limits
			n, want int
		}{{l, 6, 1}, {Limits{}, 1000, 0}, {l, 6, 1}, {Limits{RequestsPerMinute: None}, 100, 0}, {Limits{RequestsPerMinute: 2}, 3, 1}} {
			if got := use(step.l, step.n); got != step.want {
				t.Errorf("step %d: %d refused, want %d", i, got, step.want)
			}
		}
		if s := c.State("k", Limits{RequestsPerMinute: 2}); s.Requests != 0 || s.Streams == 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(30 * time.Second)
		if s := c.State("k", Limits{RequestsPerMinute: 2}); s.Requests != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestFreesWhenItSays: whatever the limit and the traffic, the call passes after
// the wait that its refusal names, and not a moment before.
func TestFreesWhenItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		c := &Counters{Now: time.Now}
		refused := 0
		for range 5000 {
			key := string('a' + rune(rng.IntN(3)))
			l := Limits{RequestsPerMinute: 3, TokensPerMinute: 100}
			want := Want{Tokens: rng.Int64N(150)}
			time.Sleep(time.Duration(rng.Int64N(int64(10 * time.Second))))
			lease, err := c.Reserve(key, l, want)
			if err != nil {
				refused++
				wait := messages.AsError(err).RetryAfter
				time.Sleep(wait - time.Millisecond)
				if _, err := c.Reserve(key, l, want); err == nil {
					t.Fatal("free before it said so")
				}
				time.Sleep(time.Millisecond)
				for lease == nil { // the other of the two may bind now, never longer than it says
					if lease, err = c.Reserve(key, l, want); err != nil {
						again := messages.AsError(err).RetryAfter
						if again > 2*time.Minute || messages.AsError(err).Message == "" {
							t.Fatal(err)
						}
						time.Sleep(again)
					}
				}
			}
			lease.Settle(Want{Tokens: rng.Int64N(want.Tokens + 1)})
		}
		if refused < 1000 {
			t.Fatalf("%d refused: the test tests little", refused)
		}
	})
}

// TestNeverPassed: calls that run at once never use more than the limit together.
func TestNeverPassed(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := &Counters{Now: func() time.Time { return now }}
	l := Limits{Streams: 7, Day: 10_000, Month: 11_000}
	var open, most, held atomic.Int64
	var spent, admitted atomic.Int64
	var wg sync.WaitGroup
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 0))
		wg.Go(func() {
			for range 2000 {
				want := catalog.Nanodollars(1 + rng.Int64N(40))
				lease, err := c.Reserve("k", l, Want{Money: want})
				if err != nil {
					runtime.Gosched()
					continue
				}
				admitted.Add(1)
				n := open.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				if h := held.Add(int64(want)); h > int64(l.Day) {
					t.Errorf("%d reserved and spent", h)
				}
				runtime.Gosched()
				used := catalog.Nanodollars(rng.Int64N(int64(want) + 1)) // failed, partial or whole
				spent.Add(int64(used))
				held.Add(int64(used - want))
				open.Add(-1)
				lease.Settle(Want{Money: used})
			}
		})
	}
	wg.Wait()
	s := c.State("k", l)
	if most.Load() > l.Streams || spent.Load() > int64(l.Day) || int64(s.Day) != spent.Load() || s.Month != s.Day || s.Streams != 0 {
		t.Fatalf("%d at once, %d spent, %+v", most.Load(), spent.Load(), s)
	}
	if spent.Load() < int64(l.Day)-40 || admitted.Load() < 100 {
		t.Fatalf("%d calls spent %d: the test tests little", admitted.Load(), spent.Load())
	}
}

func TestUSD(t *testing.T) {
	for text, want := range map[string]string{"5": "5.00", "$5": "5.00", "0.25": "0.25", "0": "0.00", "none": "none", "-1": "none", "9223372036.854775807": "9223372036.854775807",
		"": "", "-5": "", "1e3": "", "1/2": "", "0.0000000001": "", "9223372036.854775808": "", "5 USD": "", "1.2.3": "", "NaN": "", "11111111111111111111111111111111111111": ""} {
		var u USD
		err := u.UnmarshalText([]byte(text))
		if got := u.String(); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: %s, %v; want %q", text, got, err, want)
		}
	}
}

func TestOr(t *testing.T) {
	got := Limits{RequestsPerMinute: 1, Streams: None, Month: None}.Or(Limits{RequestsPerMinute: 2, TokensPerMinute: 3, Streams: 4, Day: 5, Month: 6})
	if want := (Limits{1, 3, None, 5, None}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, l := range []Limits{{Streams: -2}, {Month: -5e9}, {TokensPerMinute: -9}} {
		if l.Check() == nil {
			t.Errorf("%+v is taken", l)
		}
	}
	if err := (Limits{None, None, None, None, None}).Check(); err != nil {
		t.Error(err)
	}
}

func BenchmarkReserveAndSettle(b *testing.B) {
	c := &Counters{Now: time.Now}
	l := Limits{RequestsPerMinute: 1 << 40, TokensPerMinute: 1 << 50, Streams: 1 << 30, Day: 1 << 60, Month: 1 << 60}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			lease, err := c.Reserve("AKIAIOSFODNN7EXAMPLE", l, Want{Tokens: 1000, Money: 1})
			if err != nil {
				b.Error(err)
				return
			}
			lease.Settle(Want{Tokens: 500, Money: 1})
		}
	})
}

func TestLargestLimits(t *testing.T) {
	c := &Counters{Now: time.Now}
	l := Limits{RequestsPerMinute: math.MaxInt64, TokensPerMinute: math.MaxInt64, Day: math.MaxInt64, Month: math.MaxInt64}
	if got := c.State("k", l); got.Requests != math.MaxInt64 || got.Tokens != math.MaxInt64 {
		t.Errorf("%+v", got)
	}
	lease, err := c.Reserve("k", l, Want{Tokens: math.MaxInt64, Money: math.MaxInt64})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.State("k", l); got.Tokens < 0 || got.Day != math.MaxInt64 {
		t.Errorf("%+v", got)
	}
	if _, err := c.Reserve("k", l, Want{Money: 1}); err == nil {
		t.Error("more than all")
	}
	lease.Settle(Want{})
	if got := c.State("k", l); got.Tokens != math.MaxInt64 || got.Day != 0 {
		t.Errorf("%+v", got)
	}
}
