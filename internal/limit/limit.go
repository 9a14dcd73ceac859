// Package limit holds callers to their limits: requests, tokens, open streams
// and money. What a call may use at most is reserved before it runs and settled
// when it is over, so a limit is never passed by calls that run at once. It keeps
// counters in memory alone, and knows neither keys nor prices: the caller says.
package limit

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Limits of one key; a zero member does not limit.
type Limits struct {
	RequestsPerMinute int64               `json:"requests_per_minute,omitempty"`
	TokensPerMinute   int64               `json:"tokens_per_minute,omitempty"`
	Streams           int64               `json:"streams,omitempty"` // calls at once
	Day               catalog.Nanodollars `json:"day_nanodollars,omitempty"`
	Month             catalog.Nanodollars `json:"month_nanodollars,omitempty"`
}

// Want is what a call may use at most.
type Want struct {
	Tokens int64
	Money  catalog.Nanodollars
}

// Counters are the counters of all keys of one process.
type Counters struct {
	Now func() time.Time

	mu   sync.Mutex
	keys map[string]*counter
}

type counter struct {
	requests, tokens bucket
	streams          int64
	day, month       spending
}

// bucket fills at limit a minute up to limit; it may go below zero when a call
// used more than it reserved.
type bucket struct {
	level float64
	at    time.Time
}

func (b *bucket) fill(limit int64, now time.Time) {
	if b.at.IsZero() {
		b.level, b.at = float64(limit), now
		return
	}
	b.level = math.Min(float64(limit), b.level+now.Sub(b.at).Minutes()*float64(limit))
	b.at = now
}

// wait is how long until n can be taken; n over the limit never can, and is let
// through a full bucket.
func (b *bucket) wait(n, limit int64) time.Duration {
	short := math.Min(float64(n), float64(limit)) - b.level
	if short <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(short / float64(limit) * float64(time.Minute)))
}

// spending is the money of one UTC day or month, reserved and settled.
type spending struct {
	period string
	used   catalog.Nanodollars
}

func (s *spending) in(period string) *spending {
	if s.period != period {
		s.period, s.used = period, 0
	}
	return s
}

func dayOf(t time.Time) (period string, ends time.Time) {
	t = t.UTC()
	return t.Format(time.DateOnly), time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
}

func monthOf(t time.Time) (period string, ends time.Time) {
	t = t.UTC()
	return t.Format("2006-01"), time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
}

func (c *Counters) of(key string) *counter {
	if c.keys == nil {
		c.keys = map[string]*counter{}
	}
	k := c.keys[key]
	if k == nil {
		k = new(counter)
		c.keys[key] = k
	}
	return k
}

// Spent puts back what a key has spent in the day and month of now, at start.
func (c *Counters) Spent(key string, now time.Time, day, month catalog.Nanodollars) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of(key)
	d, _ := dayOf(now)
	m, _ := monthOf(now)
	k.day, k.month = spending{d, day}, spending{m, month}
}

// Lease is a reservation. Settle must be called once.
type Lease struct {
	counters *Counters
	key      string
	limits   Limits
	want     Want
	day      string
	month    string
}

// Reserve takes what the call may use at most, or says which limit binds, what
// it is and when it frees. All is taken or nothing.
func (c *Counters) Reserve(key string, l Limits, want Want) (*Lease, error) {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of(key)
	day, dayEnds := dayOf(now)
	month, monthEnds := monthOf(now)
	k.day.in(day)
	k.month.in(month)
	if l.Streams > 0 && k.streams >= l.Streams {
		return nil, throttled("Too many requests, please wait before trying again.", time.Second, "%d calls at once", l.Streams)
	}
	if l.RequestsPerMinute > 0 {
		k.requests.fill(l.RequestsPerMinute, now)
		if wait := k.requests.wait(1, l.RequestsPerMinute); wait > 0 {
			return nil, throttled("Too many requests, please wait before trying again.", wait, "%d requests a minute", l.RequestsPerMinute)
		}
	}
	if l.TokensPerMinute > 0 {
		k.tokens.fill(l.TokensPerMinute, now)
		if wait := k.tokens.wait(want.Tokens, l.TokensPerMinute); wait > 0 {
			return nil, throttled("Too many tokens, please wait before trying again.", wait, "%d tokens a minute, and this call may use %d", l.TokensPerMinute, want.Tokens)
		}
	}
	if l.Day > 0 && k.day.used+want.Money > l.Day {
		return nil, spent("daily", l.Day, now, dayEnds)
	}
	if l.Month > 0 && k.month.used+want.Money > l.Month {
		return nil, spent("monthly", l.Month, now, monthEnds)
	}
	k.streams++
	k.requests.level--
	k.tokens.level -= float64(want.Tokens)
	k.day.used += want.Money
	k.month.used += want.Money
	return &Lease{c, key, l, want, day, month}, nil
}

// Settle replaces the reservation by what was used. Money is settled in the day
// and month in which it was reserved.
func (l *Lease) Settle(used Want) {
	c := l.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of(l.key)
	k.streams--
	k.tokens.level += float64(l.want.Tokens - used.Tokens)
	if k.day.period == l.day {
		k.day.used += used.Money - l.want.Money
	}
	if k.month.period == l.month {
		k.month.used += used.Money - l.want.Money
	}
}

func throttled(text string, wait time.Duration, limit string, args ...any) error {
	e := messages.Errorf(messages.Throttled, "%s The limit of this key is %s; it frees in %d s.", text, fmt.Sprintf(limit, args...), seconds(wait))
	e.RetryAfter = wait
	return e
}

func spent(which string, limit catalog.Nanodollars, now, ends time.Time) error {
	e := messages.Errorf(messages.SpendLimit, "spend limit reached (%s; resets %s UTC). The limit of this key is $%s.", which, ends.Format("2006-01-02 15:04"), limit.USD())
	e.RetryAfter = ends.Sub(now)
	return e
}

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
