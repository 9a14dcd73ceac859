// Package limit holds callers to their limits: requests, tokens, open streams
// and money. What a call may use at most is reserved before it runs and settled
// when it is over.
//
// Invariant: what is reserved and what was used never pass a limit of money
// together, as long as no call uses more than it reserved.
//
// Not a goal: to know keys or prices, to keep anything on disk, or to hold calls
// back until a limit frees.
package limit

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

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
// used more than it reserved. Without a limit it is forgotten.
type bucket struct {
	level float64
	at    time.Time // zero: it is full
}

func (b *bucket) fill(limit int64, now time.Time) {
	if limit <= 0 {
		*b = bucket{}
		return
	}
	if b.at.IsZero() {
		b.level, b.at = float64(limit), now
		return
	}
	b.level = math.Min(float64(limit), b.level+now.Sub(b.at).Minutes()*float64(limit))
	b.at = now
}

// take takes n, or gives it back where n is below zero.
func (b *bucket) take(n int64) {
	if !b.at.IsZero() {
		b.level -= float64(n)
	}
}

// left is in whole numbers; the largest limits have no float64 of their own.
func (b *bucket) left(limit int64) int64 {
	if limit > 0 && b.level >= float64(limit) {
		return limit
	}
	return int64(max(b.level, 0))
}

// wait is how long until n can be taken; n over the limit never can, and is let
// through a full bucket.
func (b *bucket) wait(n, limit int64) time.Duration {
	if limit <= 0 {
		return 0
	}
	short := math.Min(float64(n), float64(limit)) - b.level
	if short <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(short / float64(limit) * float64(time.Minute)))
}

// spending is the money of one UTC day or month, reserved and settled.
type spending struct {
	period int64
	used   catalog.Nanodollars
}

// in begins a new period; a clock that goes back begins none.
func (s *spending) in(period int64) *spending {
	if s.period < period {
		s.period, s.used = period, 0
	}
	return s
}

// dayOf and monthOf number the periods.
func dayOf(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

func monthOf(t time.Time) int64 {
	year, month, _ := t.UTC().Date()
	return int64(year)*12 + int64(month)
}

func dayEnds(t time.Time) time.Time {
	year, month, day := t.UTC().Date()
	return time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
}

func monthEnds(t time.Time) time.Time {
	year, month, _ := t.UTC().Date()
	return time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
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
	k.day, k.month = spending{period: dayOf(now), used: day}, spending{period: monthOf(now), used: month}
}

// Lease is a reservation. Settle ends it; what comes after is ignored.
type Lease struct {
	counters *Counters
	key      string
	want     Want
	day      int64
	month    int64
	settled  bool
}

// Reserve takes what the call may use at most, or says which limit binds, what
// it is and when it frees. All is taken or nothing. Limits of money do not bind
// what costs nothing.
func (c *Counters) Reserve(key string, l Limits, want Want) (*Lease, error) {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of(key)
	day, month := dayOf(now), monthOf(now)
	k.day.in(day)
	k.month.in(month)
	k.requests.fill(l.RequestsPerMinute, now)
	k.tokens.fill(l.TokensPerMinute, now)
	if l.Streams > 0 && k.streams >= l.Streams {
		return nil, throttled(tooManyRequests, streamPoll, "%d calls at once; it frees when one of them ends", l.Streams)
	}
	if wait := k.requests.wait(1, l.RequestsPerMinute); wait > 0 {
		return nil, throttled(tooManyRequests, wait, "%d requests a minute; it frees in %d s", l.RequestsPerMinute, seconds(wait))
	}
	if wait := k.tokens.wait(want.Tokens, l.TokensPerMinute); wait > 0 {
		return nil, throttled(tooManyTokens, wait, "%d tokens a minute, and this call may use %d; it frees in %d s", l.TokensPerMinute, want.Tokens, seconds(wait))
	}
	if l.Day.binds(k.day.used, want.Money) {
		return nil, spent("daily", l.Day, k.day.used, want.Money, now, dayEnds(now))
	}
	if l.Month.binds(k.month.used, want.Money) {
		return nil, spent("monthly", l.Month, k.month.used, want.Money, now, monthEnds(now))
	}
	k.streams++
	k.requests.take(1)
	k.tokens.take(want.Tokens)
	k.day.used += want.Money
	k.month.used += want.Money
	return &Lease{counters: c, key: key, want: want, day: day, month: month}, nil
}

// Settle replaces the reservation by what was used. Money is settled in the day
// and month in which it was reserved.
func (l *Lease) Settle(used Want) {
	c := l.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.settled {
		return
	}
	l.settled = true
	k := c.of(l.key)
	k.streams--
	k.tokens.take(used.Tokens - l.want.Tokens)
	if k.day.period == l.day {
		k.day.used += used.Money - l.want.Money
	}
	if k.month.period == l.month {
		k.month.used += used.Money - l.want.Money
	}
}

// State is how much of its limits a key has used.
type State struct {
	Requests, Tokens int64 // left of this minute's; of no meaning without a limit
	Streams          int64 // calls under way
	Day, Month       catalog.Nanodollars
}

// State tells of a key whose limits are l.
func (c *Counters) State(key string, l Limits) State {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of(key)
	k.requests.fill(l.RequestsPerMinute, now)
	k.tokens.fill(l.TokensPerMinute, now)
	return State{Requests: k.requests.left(l.RequestsPerMinute), Tokens: k.tokens.left(l.TokensPerMinute), Streams: k.streams,
		Day: k.day.in(dayOf(now)).used, Month: k.month.in(monthOf(now)).used}
}

// AWS's words.
const (
	tooManyRequests = "Too many requests, please wait before trying again."
	tooManyTokens   = "Too many tokens, please wait before trying again."
)

// streamPoll: nobody knows when a call ends.
const streamPoll = time.Second

func throttled(text string, wait time.Duration, limit string, args ...any) error {
	e := messages.Errorf(messages.Throttled, "%s The limit of this key is %s.", text, fmt.Sprintf(limit, args...))
	e.RetryAfter = wait
	return e
}

// spent words its first sentence as Anthropic's own gateway does: Claude Code
// shows it and does not try again.
func spent(which string, limit USD, used, want catalog.Nanodollars, now, ends time.Time) error {
	e := messages.Errorf(messages.SpendLimit, "spend limit reached (%s; resets %s UTC). The limit of this key is $%s; $%s of it is spent or reserved, and this call may cost $%s.",
		which, ends.Format("2006-01-02 15:04"), catalog.Nanodollars(limit).USD(), used.USD(), want.USD())
	e.RetryAfter = ends.Sub(now)
	return e
}

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
