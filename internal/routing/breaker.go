package routing

import "time"

// A breaker opens after so many failures in a row, for a time that doubles with
// each further failure of a probe.
const (
	tripAfter   = 3
	openFirst   = 5 * time.Second
	openLongest = 2 * time.Minute
	openRefused = 10 * time.Minute // AWS has refused us there: a setting, not a fault
)

// breaker keeps calls off a way that fails. When its time is over, one call at a
// time may go as a probe.
type breaker struct {
	failures int // in a row
	trips    int // in a row
	until    time.Time
	probing  bool
}

// State of a way.
type State uint8

const (
	Closed   State = iota // calls pass
	Open                  // no call passes
	HalfOpen              // one call passes, as a probe
)

func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	default:
		return "unknown"
	}
}

func (b *breaker) state(now time.Time) State {
	switch {
	case b.trips == 0:
		return Closed
	case now.Before(b.until):
		return Open
	default:
		return HalfOpen
	}
}

// wait is the time until a call may pass; a running probe decides within a
// moment that nobody knows.
func (b *breaker) wait(now time.Time) time.Duration {
	switch b.state(now) {
	case Open:
		return b.until.Sub(now)
	case HalfOpen:
		if b.probing {
			return probePoll
		}
	}
	return 0
}

const probePoll = 250 * time.Millisecond

func (b *breaker) begin(now time.Time) { b.probing = b.state(now) == HalfOpen }

// ok is a success, or a refusal that shows that the way works.
func (b *breaker) ok() { *b = breaker{} }

// leave gives a probe back undecided.
func (b *breaker) leave() { b.probing = false }

// fail counts a failure; hard ones open at once. r is in [0,1).
func (b *breaker) fail(now time.Time, hard bool, r float64) {
	b.failures++
	if !hard && b.trips == 0 && b.failures < tripAfter {
		return
	}
	d := min(openFirst<<min(b.trips, 10), openLongest)
	b.shut(now, d-time.Duration(r*float64(d)/5)) // so that a fleet does not probe as one
}

func (b *breaker) shut(now time.Time, d time.Duration) {
	b.trips++
	b.until, b.probing = now.Add(d), false
}
