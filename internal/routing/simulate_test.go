package routing

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// The simulated service: three Regions with quotas 1:2:4, each a bucket that
// takes input and max_tokens when it admits a call and settles at its end. It is
// written apart from the code that it judges. The traffic is the same at every
// load; the quotas change.
var simShares = [3]float64{1.0 / 7, 2.0 / 7, 4.0 / 7}

type simRegion struct {
	tpm, depth, level float64
	at                time.Time
}

func (s *simRegion) admit(now time.Time, n float64) bool {
	s.level = math.Min(s.depth, s.level+s.tpm*now.Sub(s.at).Minutes())
	s.at = now
	if s.level < n {
		return false
	}
	s.level -= n
	return true
}

func (s *simRegion) give(n float64) { s.level = math.Min(s.depth, s.level+n) }

// simCall is one call of the load.
type simCall struct {
	at              time.Duration
	input, estimate int64
	output, max     int64
	takes           time.Duration
}

func (c simCall) spends(burndown int64) float64 { return float64(c.input + c.output*burndown) }

const (
	simTime    = 20 * time.Minute
	simWarm    = 2 * time.Minute // full buckets and unknown quotas are not the question
	simLatency = 80 * time.Millisecond
)

// simLoad is bursty: two fifths of the time at twice the mean rate, in bursts of
// four seconds, the rest at a third of it. max_tokens is four times what the
// model writes, and input is estimated within a quarter. tpm is what the calls
// use in a minute, after the warm-up.
func simLoad(burndown int64) (calls []simCall, tpm float64) {
	r := rand.New(rand.NewPCG(4, 7))
	high, until := true, 0.0
	for at := 0.0; at < simTime.Seconds(); {
		if at >= until {
			high = !high
			mean := 6.0
			if high {
				mean = 4
			}
			until = at + r.ExpFloat64()*mean
		}
		rate := simRate / 3.0
		if high {
			rate = simRate * 2
		}
		at += r.ExpFloat64() / rate
		size := func(mean float64) int64 { return int64(1 + mean*math.Exp(0.5*r.NormFloat64()-0.125)) }
		c := simCall{at: time.Duration(at * float64(time.Second)), input: size(1500), output: size(400)}
		c.estimate = int64(float64(c.input) * (0.75 + r.Float64()/2))
		c.max, c.takes = 4*c.output, time.Second+time.Duration(c.output)*time.Second/60
		calls = append(calls, c)
		if c.at >= simWarm {
			tpm += c.spends(burndown)
		}
	}
	return calls, tpm / (simTime - simWarm).Minutes()
}

const simRate = 10.0 // calls a second, in the mean

// simEvent is something that happens at a time.
type simEvent struct {
	at  time.Time
	seq int
	do  func(now time.Time)
}

type simQueue struct {
	events []simEvent
	seq    int
}

func (q *simQueue) Len() int { return len(q.events) }
func (q *simQueue) Less(i, j int) bool {
	a, b := &q.events[i], &q.events[j]
	return a.at.Before(b.at) || a.at.Equal(b.at) && a.seq < b.seq
}
func (q *simQueue) Swap(i, j int) { q.events[i], q.events[j] = q.events[j], q.events[i] }
func (q *simQueue) Push(x any)    { q.events = append(q.events, x.(simEvent)) }
func (q *simQueue) Pop() any {
	e := q.events[len(q.events)-1]
	q.events = q.events[:len(q.events)-1]
	return e
}

func (q *simQueue) after(now time.Time, d time.Duration, do func(time.Time)) {
	q.seq++
	heap.Push(q, simEvent{now.Add(d), q.seq, do})
}

// simResult counts calls after the warm-up.
type simResult struct {
	calls, refused int           // refused: the client saw a 429
	upstream       int           // 429s of the service
	lost           float64       // share of the demanded tokens that was refused
	waited         time.Duration // by calls that were served, in the mean
}

func (r simResult) share() float64 { return float64(r.refused) / float64(r.calls) }

// simClient is a way to use three Regions. attempt answers whether the call was
// admitted and by which Region; it may ask to be called again later.
type simClient interface {
	// next gives the Region to try, a wait, or the end.
	next(now time.Time) (region int, wait time.Duration, more bool)
	denied(now time.Time)
	served(now time.Time)
	done(now time.Time, c simCall)
}

// simulate runs the load; each bucket holds so many minutes' worth.
func simulate(t *testing.T, load, minutes float64, p simPolicy) (res simResult) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		calls, tpm := simLoad(p.burndown)
		start, total := time.Now(), tpm/load
		open := p.make(total)
		var regions [3]simRegion
		for i, share := range simShares {
			depth := total * share * minutes
			regions[i] = simRegion{tpm: total * share, depth: depth, level: depth, at: start}
		}
		q := &simQueue{}
		var demand, lost float64
		for _, c := range calls {
			counts := c.at >= simWarm
			var try func(client simClient) func(time.Time)
			try = func(client simClient) func(time.Time) {
				return func(now time.Time) {
					i, wait, more := client.next(now)
					switch {
					case !more:
						if counts {
							res.refused++
							lost += c.spends(p.burndown)
						}
					case wait > 0:
						q.after(now, wait, try(client))
					default:
						n := float64(c.input + c.max)
						if !regions[i].admit(now, n) {
							if counts {
								res.upstream++
							}
							q.after(now, simLatency, func(now time.Time) {
								client.denied(now)
								try(client)(now)
							})
							return
						}
						client.served(now)
						if counts {
							res.waited += now.Sub(start) - c.at
						}
						q.after(now, c.takes, func(now time.Time) {
							regions[i].give(n - c.spends(p.burndown))
							client.done(now, c)
						})
					}
				}
			}
			q.after(start, c.at, func(now time.Time) {
				if counts {
					res.calls++
					demand += c.spends(p.burndown)
				}
				try(open(c))(now)
			})
		}
		for q.Len() > 0 {
			e := heap.Pop(q).(simEvent)
			time.Sleep(time.Until(e.at))
			e.do(e.at)
		}
		res.lost = lost / demand
		res.waited /= time.Duration(res.calls - res.refused)
	})
	return res
}

// roundRobin is the client that most people write: the next Region in turn for
// each attempt, two retries with full-jitter backoff.
type roundRobin struct {
	turn  *int
	rand  *rand.Rand
	tries int
	wait  time.Duration
}

func (c *roundRobin) next(time.Time) (int, time.Duration, bool) {
	if w := c.wait; w > 0 {
		c.wait = 0
		return 0, w, true
	}
	if c.tries == 3 {
		return 0, 0, false
	}
	c.tries++
	*c.turn++
	return *c.turn % 3, 0, true
}

func (c *roundRobin) denied(time.Time) {
	if c.tries < 3 {
		c.wait = time.Duration(c.rand.Float64() * float64(backoffFirst<<c.tries))
	}
}
func (c *roundRobin) served(time.Time)        {}
func (c *roundRobin) done(time.Time, simCall) {}

// planned is a Plan as a simClient.
type planned struct {
	plan    *Plan
	regions map[string]int
}

func (c *planned) next(time.Time) (int, time.Duration, bool) {
	r, wait, err := c.plan.Next()
	if err != nil || wait > 0 {
		return 0, wait, err == nil
	}
	return c.regions[r.Region()], 0, true
}

func (c *planned) denied(time.Time) {
	c.plan.Failed(messages.Errorf(messages.Throttled, "%s", quotaTexts[tokens]))
}
func (c *planned) served(time.Time) { c.plan.Began() }
func (c *planned) done(_ time.Time, call simCall) {
	c.plan.Done(messages.Usage{InputTokens: call.input, OutputTokens: call.output})
}

// simPolicy is a way to use the Regions, for a model of that burndown.
type simPolicy struct {
	name     string
	burndown int64
	make     func(total float64) func(simCall) simClient // in the bubble
}

const simPatience = 3 * time.Second

func simPolicies(t *testing.T, ref string) []simPolicy {
	regions := []string{"us-east-1", "us-east-2", "us-west-2"}
	routes := routesTo(t, ref, regions...)
	at := map[string]int{}
	for i, r := range regions {
		at[r] = i
	}
	plan := func(told bool, patience time.Duration) func(float64) func(simCall) simClient {
		return func(total float64) func(simCall) simClient {
			o := Options{Rand: rand.New(rand.NewPCG(1, 2)).Float64, Patience: patience}
			if told {
				o.Quota = func(k Key) Quota { return Quota{TPM: int64(total * simShares[at[k.Region]])} }
			}
			h := NewHealth(o)
			return func(c simCall) simClient {
				return &planned{h.Plan(Call{Routes: routes, Input: c.estimate, MaxTokens: c.max}), at}
			}
		}
	}
	turns := func(float64) func(simCall) simClient {
		turn, seeded := 0, rand.New(rand.NewPCG(1, 2))
		return func(simCall) simClient { return &roundRobin{turn: &turn, rand: seeded} }
	}
	b := int64(max(routes[0].Model().Burndown, 1))
	return []simPolicy{
		{"round-robin, two retries", b, turns},
		{"Outcrop, quotas configured", b, plan(true, simPatience)},
		{"Outcrop, quotas learnt", b, plan(false, simPatience)},
		{"Outcrop, configured, no patience", b, plan(true, 0)},
	}
}

// simLoads are the traffic as a share of the quotas' sum.
func simLoads() (loads []float64) {
	for p := 50; p <= 150; p += 10 {
		loads = append(loads, float64(p)/100)
	}
	return loads
}

// unavoidable is the share of the tokens that nobody can serve, in the long run.
func unavoidable(load float64) float64 { return math.Max(0, 1-1/load) }

// TestSimulation holds the routing to its promise, for output that counts once,
// five and ten times: at 90 % a tenth of the 429s of round-robin at most, and at
// 120 % no more refused than must be, within a twentieth of it.
func TestSimulation(t *testing.T) {
	for _, ref := range []string{"global.anthropic.claude-sonnet-5-5", "global.anthropic.claude-opus-4-6-v1", "global.anthropic.claude-opus-5"} {
		ps := simPolicies(t, ref)
		turns := simulate(t, 0.9, 1, ps[0])
		if turns.refused < 100 {
			t.Fatalf("%s: round-robin was refused %d times: the load does not bite", ref, turns.refused)
		}
		for _, p := range ps[1:] {
			if r := simulate(t, 0.9, 1, p); r.refused*10 > turns.refused {
				t.Errorf("%s: at 90 %%: %s was refused %d times, round-robin %d", ref, p.name, r.refused, turns.refused)
			}
			if r, least := simulate(t, 1.2, 1, p), unavoidable(1.2); r.lost > least*1.05 {
				t.Errorf("%s: at 120 %%: %s lost %.2f %% of the tokens; %.2f %% is unavoidable", ref, p.name, 100*r.lost, 100*least)
			}
		}
	}
}

// TestSimulationShallow: how deep AWS's buckets are is not known. If they are
// shallower than ours, Outcrop still refuses less than round-robin does.
func TestSimulationShallow(t *testing.T) {
	ps := simPolicies(t, "global.anthropic.claude-opus-4-6-v1")
	for _, minutes := range []float64{1.0 / 2, 1.0 / 6, 1.0 / 12} {
		for _, load := range []float64{0.7, 0.9, 1.2} {
			turns := simulate(t, load, minutes, ps[0])
			for _, p := range ps[1:3] {
				if r := simulate(t, load, minutes, p); r.refused > turns.refused || r.lost > turns.lost {
					t.Errorf("%.2f minutes deep, load %.0f %%: %s was refused %d times (%.1f %% of tokens), round-robin %d (%.1f %%)",
						minutes, 100*load, p.name, r.refused, 100*r.lost, turns.refused, 100*turns.lost)
				}
			}
		}
	}
}
