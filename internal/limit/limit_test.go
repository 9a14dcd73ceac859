package limit

import (
	"errors"
	"sync"
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
	refusal(t, err, messages.SpendLimit, time.Hour, "spend limit reached (daily; resets 2026-03-01 00:00 UTC). The limit of this key is $"+catalog.Nanodollars(1000).USD()+".")
	now = now.Add(time.Hour) // a new day and a new month
	a.Settle(Want{Money: 800})
	if _, err = c.Reserve("k", l, Want{Money: 1_000}); err != nil {
		t.Fatal("yesterday's money counts today:", err)
	}
	now = now.AddDate(0, 0, 1)
	_, err = c.Reserve("k", l, Want{Money: 501})
	refusal(t, err, messages.SpendLimit, 30*24*time.Hour, "spend limit reached (monthly; resets 2026-04-01 00:00 UTC). The limit of this key is $"+catalog.Nanodollars(1500).USD()+".")
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

// TestNeverPassed: calls that run at once never use more than the limit together.
func TestNeverPassed(t *testing.T) {
	now := time.Unix(1e9, 0)
	c := &Counters{Now: func() time.Time { return now }}
	l := Limits{Streams: 5, Day: 100}
	var mu sync.Mutex
	open, most, money := 0, 0, catalog.Nanodollars(0)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 20 {
				lease, err := c.Reserve("k", l, Want{Money: 3})
				if err != nil {
					continue
				}
				mu.Lock()
				open++
				most = max(most, open)
				mu.Unlock()
				mu.Lock()
				open--
				money += 2
				mu.Unlock()
				lease.Settle(Want{Money: 2})
			}
		})
	}
	wg.Wait()
	if most > 5 || money > 100 || money < 90 {
		t.Fatalf("%d at once (limit 5), %d spent (limit 100)", most, money)
	}
}
