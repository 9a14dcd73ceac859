package routing

import (
	"math"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Quota is what an account may use by one profile in one Region; 0: not known.
type Quota struct {
	RPM int64 // requests a minute
	TPM int64 // tokens a minute
	TPD int64 // tokens a day
}

// A lane has one gauge of each.
const (
	requests = iota
	tokens
	daily
	gauges
)

// quotaNames and quotaTexts: AWS's names, and its words when one is spent.
var (
	quotaNames = [gauges]string{"requests per minute", "tokens per minute", "tokens per day"}
	quotaTexts = [gauges]string{
		"Too many requests, please wait before trying again.",
		"Too many tokens, please wait before trying again.",
		"Too many tokens per day, please wait before trying again.",
	}
)

// quotaNamed reads which quota a 429 is about; -1: it does not say.
func quotaNamed(text string) int {
	switch text = strings.ToLower(text); {
	case strings.Contains(text, "per day"):
		return daily
	case strings.Contains(text, "token"):
		return tokens
	case strings.Contains(text, "request"):
		return requests
	default:
		return -1
	}
}

// amount is what a call takes of each gauge.
type amount [gauges]float64

func amountOf(tokens float64) amount { return amount{1, tokens, tokens} }

// reserved is what AWS takes when it admits a call, and spent what stays taken
// when it is over: output counts burndown times, cache reads not at all.
// Source: Amazon Bedrock User Guide, quotas-token-burndown.
func reserved(input, maxTokens int64) amount { return amountOf(float64(input + maxTokens)) }

func spent(u messages.Usage, burndown int) amount {
	return amountOf(float64(u.InputTokens + u.CacheCreationInputTokens + u.OutputTokens*int64(max(burndown, 1))))
}

// How a gauge learns. What has kept calls off may be too low: it grows until AWS
// says no again.
const (
	growEvery = 15 * time.Second
	growBy    = 1.05
	learnFrom = 4 // calls of the refused size; fewer say nothing
	cutMost   = 2 // one 429 halves a limit at most
)

// gauge is a bucket that fills at limit a window. AWS does not say how deep its
// own are: ours is one window's worth until a 429 shows it to be less.
type gauge struct {
	limit  float64 // 0: not known
	told   float64 // by configuration: never more
	depth  float64 // what it holds when full
	window time.Duration
	level  float64
	at     time.Time
	no     time.Time // the last 429
	struck time.Time // that, or growth since
	bound  bool      // it has kept a call off since
	used   recent
}

func newGauge(told int64, window time.Duration, now time.Time) gauge {
	l := float64(told)
	return gauge{limit: l, told: l, depth: l, window: window, level: l, at: now, struck: now}
}

func (g *gauge) fill(now time.Time) {
	if g.limit == 0 {
		return
	}
	if d := now.Sub(g.at); d > 0 {
		g.level = min(g.depth, g.level+g.limit*d.Seconds()/g.window.Seconds())
		g.at = now
	}
	if g.bound && now.Sub(g.struck) >= growEvery {
		g.limit *= growBy
		if g.told > 0 {
			g.limit = min(g.limit, g.told)
		}
		g.depth = min(g.depth*growBy, g.limit)
		g.struck, g.bound = now, false
	}
}

// wait is the time until n may be taken. What is larger than the whole bucket
// waits for a full one.
func (g *gauge) wait(n float64) time.Duration {
	if g.limit == 0 {
		return 0
	}
	short := min(n, g.depth) - g.level
	if short <= 0 {
		return 0
	}
	g.bound = true
	return time.Duration(math.Ceil(short / g.limit * float64(g.window)))
}

// room is the share of the bucket that is left when n is taken.
func (g *gauge) room(n float64) float64 {
	if g.limit == 0 {
		return 1
	}
	return (g.level - n) / g.depth
}

// take takes n, or gives it back where n is negative.
func (g *gauge) take(now time.Time, n float64) {
	g.used.add(now, g.window, n)
	if g.limit > 0 {
		g.level = min(g.depth, g.level-n)
	}
}

// strike learns from a 429 for n, which has been given back: AWS's bucket is
// empty. If ours was drawn upon, then that is how deep AWS's is; if it was full,
// then it fills too fast, and what we have used of the last window is what there
// was.
func (g *gauge) strike(now time.Time, n float64) {
	g.no = now
	seen, drawn := g.used.sum(now, g.window), g.depth-g.level
	switch {
	case g.limit == 0:
		if seen < learnFrom*n {
			return // others use the quota too
		}
		g.limit, g.depth, g.at = seen, seen, now
	case drawn >= learnFrom*n:
		g.depth = min(g.depth, drawn)
	default:
		g.limit = max(g.limit/cutMost, min(g.limit, seen), min(g.limit, n))
		g.depth = min(g.depth, g.limit)
	}
	g.level = min(g.level, 0)
	g.struck, g.bound = now, false
}

// doubtful: what was learnt is asked again before a call is refused for it.
func (g *gauge) doubtful(now time.Time) bool { return g.told == 0 && now.Sub(g.no) >= askEvery }

// askEvery bounds how often AWS is asked what it has refused before.
const askEvery = time.Second

// yes: AWS has taken a call for which this gauge had too little.
func (g *gauge) yes(now time.Time) {
	if g.limit == 0 || g.level >= 0 {
		return
	}
	g.level = 0
	if g.told == 0 {
		g.limit *= growBy
		g.depth = min(g.depth*growBy, g.limit)
		g.struck = now
	}
}

// recent sums what was used in the last window, in slots.
type recent struct {
	slots [recentSlots]float64
	last  int64
}

const recentSlots = 12

func (r *recent) move(now time.Time, window time.Duration) int64 {
	slot := now.UnixNano() / int64(window/recentSlots)
	if gone := slot - r.last; gone >= recentSlots {
		r.slots = [recentSlots]float64{}
	} else {
		for i := r.last + 1; i <= slot; i++ {
			r.slots[i%recentSlots] = 0
		}
	}
	r.last = max(r.last, slot)
	return r.last % recentSlots
}

func (r *recent) add(now time.Time, window time.Duration, n float64) {
	r.slots[r.move(now, window)] += n
}

func (r *recent) sum(now time.Time, window time.Duration) (s float64) {
	r.move(now, window)
	for _, v := range r.slots {
		s += v
	}
	return max(s, 0)
}
