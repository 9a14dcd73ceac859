package routing

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Key names a lane: one account's use of one id in one Region. AWS counts its
// quotas so.
type Key struct{ Account, Region, ID string }

func (r Route) key() Key { return Key{r.account, r.candidate.Region, r.candidate.ID} }

// Options of a Health. The zero Options learn all quotas and wait for none.
type Options struct {
	Now      func() time.Time // nil: time.Now
	Rand     func() float64   // in [0,1); nil: math/rand
	Quota    func(Key) Quota  // by configuration; nil: none is known
	Attempts int              // that reach an upstream, for one call; 0: 3
	Patience time.Duration    // a call waits this long in all for a quota or a repeat
}

const (
	defaultAttempts = 3
	maxSticky       = 1 << 16
)

// Health is what is known of every lane. It is safe for concurrent use.
type Health struct {
	opts Options
	seed maphash.Seed

	mu     sync.Mutex
	lanes  map[Key]*lane
	budget budget
	sticky map[Prefix]held
}

// NewHealth knows nothing yet.
func NewHealth(o Options) *Health {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Attempts <= 0 {
		o.Attempts = defaultAttempts
	}
	return &Health{opts: o, seed: maphash.MakeSeed(), lanes: map[Key]*lane{}, sticky: map[Prefix]held{}, budget: budget{left: budgetMost}}
}

// lane is one way, under Health's mutex.
type lane struct {
	gauges  [gauges]gauge
	breaker breaker
	shut    time.Time // no call before, after a 429 that taught no limit
	strikes int       // such 429s in a row
	proven  time.Time // the last success

	failovers [verdicts]int64 // attempts here that were left for others
	cut       int64           // answers that failed after their first content
}

// lane needs the mutex. Lanes are bounded by the catalog and the accounts, and
// by the ARNs that accounts own.
func (h *Health) lane(k Key, now time.Time) *lane {
	l, ok := h.lanes[k]
	if !ok {
		var q Quota
		if h.opts.Quota != nil {
			q = h.opts.Quota(k)
		}
		l = &lane{}
		l.gauges[requests] = newGauge(q.RPM, time.Minute, now)
		l.gauges[tokens] = newGauge(q.TPM, time.Minute, now)
		l.gauges[daily] = newGauge(q.TPD, 24*time.Hour, now)
		h.lanes[k] = l
	}
	return l
}

// wait is the time until a call may go, and what it waits for: a gauge, or -1.
func (l *lane) wait(now time.Time, a amount) (d time.Duration, gauge int) {
	d, gauge = max(l.breaker.wait(now), 0), -1
	if s := l.shut.Sub(now); s > d {
		d = s
	}
	for i := range l.gauges {
		l.gauges[i].fill(now)
		if w := l.gauges[i].wait(a[i]); w > d {
			d, gauge = w, i
		}
	}
	return d, gauge
}

// doubtful says that nothing but learnt quotas keeps a call off.
func (l *lane) doubtful(now time.Time, a amount) bool {
	if l.breaker.wait(now) > 0 || l.shut.After(now) {
		return false
	}
	for i := range l.gauges {
		if g := &l.gauges[i]; g.wait(a[i]) > 0 && !g.doubtful(now) {
			return false
		}
	}
	return true
}

func (l *lane) room(a amount) float64 {
	room := 1.0
	for i := range l.gauges {
		room = min(room, l.gauges[i].room(a[i]))
	}
	return room
}

func (l *lane) take(now time.Time, a amount, sign float64) {
	for i := range l.gauges {
		l.gauges[i].take(now, sign*a[i])
	}
}

// A 429 that teaches no limit shuts the lane, twice as long each time.
const (
	shutFirst   = time.Second
	shutLongest = 30 * time.Second
	heedLongest = 5 * time.Minute // of AWS's own word on when to come back
)

// strike is a 429; after is AWS's own word on when to come back.
func (l *lane) strike(now time.Time, a amount, text string, after time.Duration, r float64) {
	which := quotaNamed(text)
	learnt := false
	if which >= 0 {
		g := &l.gauges[which]
		g.fill(now)
		g.strike(now, a[which])
		learnt = g.limit > 0
	}
	if !learnt {
		d := min(shutFirst<<min(l.strikes, 10), shutLongest)
		l.shut = now.Add(d - time.Duration(r*float64(d)/5))
		l.strikes++
	}
	if until := now.Add(min(after, heedLongest)); after > 0 && until.After(l.shut) {
		l.shut = until
	}
}

// budget bounds repeats to a share of the calls, so that a failing service is not
// called more often than a working one.
type budget struct{ left float64 }

const (
	budgetShare = 0.2
	budgetMost  = 10
)

func (b *budget) call() { b.left = min(b.left+budgetShare, budgetMost) }

func (b *budget) affords() bool { return b.left >= 1 }
func (b *budget) spend()        { b.left-- }

// Full-jitter backoff of a repeat in a Region already tried.
const (
	backoffFirst   = 200 * time.Millisecond
	backoffLongest = 5 * time.Second
)

func backoff(tries int, r float64) time.Duration {
	return time.Duration(r * float64(min(backoffFirst<<min(tries, 10), backoffLongest)))
}

// LaneState is one lane, for metrics and for people.
type LaneState struct {
	Key
	State State
	Until time.Time // no call before; zero: now
	Quota Quota     // as configured or learnt; 0: not known
	Left  Quota     // what may be used now, of each that is known

	Failovers map[string]int64 // attempts that were left for another lane, by reason
	Broken    int64            // answers that failed after their first content
}

// Lanes lists every lane that was ever considered, in order.
func (h *Health) Lanes() []LaneState {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.opts.Now()
	out := make([]LaneState, 0, len(h.lanes))
	for k, l := range h.lanes {
		for i := range l.gauges {
			l.gauges[i].fill(now)
		}
		s := LaneState{Key: k, State: l.breaker.state(now),
			Quota: Quota{int64(l.gauges[requests].limit), int64(l.gauges[tokens].limit), int64(l.gauges[daily].limit)},
			Left:  Quota{int64(l.gauges[requests].level), int64(l.gauges[tokens].level), int64(l.gauges[daily].level)}}
		s.Broken, s.Failovers = l.cut, map[string]int64{}
		for v, n := range l.failovers {
			if n > 0 {
				s.Failovers[reasons[v]] = n
			}
		}
		if s.State == Open {
			s.Until = l.breaker.until
		}
		if l.shut.After(now) && l.shut.After(s.Until) {
			s.Until = l.shut
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b LaneState) int {
		if c := strings.Compare(a.ID, b.ID); c != 0 {
			return c
		}
		if c := strings.Compare(a.Region, b.Region); c != 0 {
			return c
		}
		return strings.Compare(a.Account, b.Account)
	})
	return out
}
