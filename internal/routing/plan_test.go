package routing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

var usRegions = []string{"us-east-1", "us-east-2", "us-west-2"}

const opus46 = "us.anthropic.claude-opus-4-6-v1"

// run leads a call whose attempts fail as script says, by Region: each attempt
// takes the next word, "" serves. It gives the Regions tried and the waits.
func run(t *testing.T, p *Plan, script map[string][]string) (path []string, waited time.Duration, err error) {
	t.Helper()
	for range 100 {
		r, wait, err := p.Next()
		if err != nil {
			return path, waited, err
		}
		if wait > 0 {
			waited += wait
			time.Sleep(wait)
			continue
		}
		path = append(path, r.Region())
		words := script[r.Region()]
		if len(words) == 0 || words[0] == "" {
			p.Began()
			return path, waited, nil
		}
		f, ok := faults[words[0]]
		if !ok {
			f = messages.Errorf(messages.InvalidRequest, "%s", words[0])
		}
		script[r.Region()] = words[1:]
		p.Failed(f)
	}
	t.Fatal("the plan does not end")
	return nil, 0, nil
}

func TestPlan(t *testing.T) {
	one, two, three := usRegions[0], usRegions[1], usRegions[2]
	all := func(words ...string) map[string][]string {
		return map[string][]string{one: words, two: words, three: words}
	}
	tests := []struct {
		name     string
		script   map[string][]string
		regions  []string
		patience time.Duration
		path     string
		waits    bool
		err      string // within the error's text
	}{
		{"the caller's Region", nil, usRegions, 0, "us-east-1", false, ""},
		{"throttled: the next is free", map[string][]string{one: {"tokens"}}, usRegions, 0, "us-east-1 us-east-2", false, ""},
		{"5xx", map[string][]string{one: {"internal"}, two: {"unavailable"}}, usRegions, 0, "us-east-1 us-east-2 us-west-2", false, ""},
		{"not ready", map[string][]string{one: {"not ready"}}, usRegions, 0, "us-east-1 us-east-2", false, ""},
		{"no content", map[string][]string{one: {"timeout"}}, usRegions, 0, "us-east-1 us-east-2", false, ""},
		{"three attempts, no more", all("unavailable", "unavailable"), usRegions, time.Minute, "us-east-1 us-east-2 us-west-2", false, "No capacity."},
		{"a Region again, later", map[string][]string{one: {"internal"}}, usRegions[:1], time.Minute, "us-east-1 us-east-1", true, ""},
		{"no patience, no repeat", map[string][]string{one: {"internal"}}, usRegions[:1], 0, "us-east-1", false, "An internal error."},
		{"what was not sent does not count", map[string][]string{one: {"dead"}, two: {"dead"}, three: {"tokens"}}, usRegions, 0, "us-east-1 us-east-2 us-west-2", false, "No connection."},
		{"the call's own fault", map[string][]string{one: {"bad input"}}, usRegions, time.Minute, "us-east-1", false, "bad input"},
		{"the call's own fault, elsewhere", map[string][]string{one: {"tokens"}, two: {"bad input"}}, usRegions, time.Minute, "us-east-1 us-east-2", false, "bad input"},
		{"denied at home is AWS's answer", map[string][]string{one: {"denied"}}, usRegions, time.Minute, "us-east-1", false, "You don't have access"},
		{"denied elsewhere is ours to leave", map[string][]string{one: {"tokens"}, two: {"denied"}}, usRegions, 0, "us-east-1 us-east-2 us-west-2", false, ""},
		{"the first way's words", map[string][]string{one: {"unavailable"}, two: {"denied"}, three: {"not there"}}, usRegions, 0, "us-east-1 us-east-2 us-west-2", false, "No capacity."},
		{"our keys", map[string][]string{one: {"keys"}}, usRegions, 0, "us-east-1 us-east-2", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			routes := routesTo(t, opus46, tt.regions...)
			synctest.Test(t, func(t *testing.T) {
				h := NewHealth(Options{Patience: tt.patience, Rand: func() float64 { return 0.5 }})
				path, waited, err := run(t, h.Plan(Call{Routes: routes, Input: 10, MaxTokens: 100}), tt.script)
				if strings.Join(path, " ") != tt.path || (waited > 0) != tt.waits {
					t.Errorf("went %v, waited %v; want %s", path, waited, tt.path)
				}
				if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
			})
		})
	}
}

func TestPlanRecordsWhatMayBeBilled(t *testing.T) {
	h := NewHealth(Options{})
	p := h.Plan(Call{Routes: routesTo(t, opus46, usRegions...)})
	if _, _, err := run(t, p, map[string][]string{"us-east-1": {"timeout"}, "us-east-2": {"internal"}}); err != nil {
		t.Fatal(err)
	}
	var got []bool
	for _, try := range p.Tries() {
		got = append(got, try.MayBill)
	}
	if fmt.Sprint(got) != "[true false false]" || p.Tries()[2].Err != nil || p.Tries()[0].Err == nil {
		t.Errorf("%v, %+v", got, p.Tries())
	}
	// It breaks off: the attempt stays the one that served, and may be billed.
	p.Failed(messages.Errorf(messages.ModelStreamFailed, "cut"))
	if last := p.Tries()[2]; !last.MayBill || last.Err == nil {
		t.Errorf("%+v", last)
	}
}

// A refusal says which quota bound and when it frees, in AWS's words.
func TestRefusalNamesTheQuota(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[0])
	tests := []struct {
		name  string
		quota Quota
		text  string
		hint  string
		after time.Duration
	}{
		{"tokens", Quota{TPM: 6000}, quotaTexts[tokens], "tokens per minute of us.anthropic.claude-opus-4-6-v1 in us-east-1 (6000) is used up; frees in 40s", 40 * time.Second},
		{"requests", Quota{RPM: 1, TPM: 1e6}, quotaTexts[requests], "requests per minute of us.anthropic.claude-opus-4-6-v1 in us-east-1 (1) is used up; frees in 1m0s", time.Minute},
		{"day", Quota{TPD: 6000}, quotaTexts[daily], "tokens per day", 16 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := NewHealth(Options{Quota: func(Key) Quota { return tt.quota }})
				c := Call{Routes: routes, Input: 1000, MaxTokens: 4000}
				if _, _, err := h.Plan(c).Next(); err != nil {
					t.Fatal(err)
				}
				_, _, err := h.Plan(c).Next()
				var e *messages.Error
				if !errors.As(err, &e) || e.Kind != messages.Throttled || e.Message != tt.text || !strings.Contains(e.Hint, tt.hint) || e.RetryAfter.Round(time.Second) != tt.after {
					t.Fatalf("got %+v", e)
				}
				time.Sleep(e.RetryAfter)
				if _, _, err := h.Plan(c).Next(); err != nil {
					t.Errorf("after that time: %v", err)
				}
			})
		})
	}
}

// What a call does not use comes back at its end, and output counts burndown
// times: five for this model.
func TestSettle(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[0])
	left := func(h *Health) int64 { return h.Lanes()[0].Left.TPM }
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{Quota: func(Key) Quota { return Quota{TPM: 100_000} }})
		open := func() *Plan {
			p := h.Plan(Call{Routes: routes, Input: 1000, MaxTokens: 9000})
			if _, _, err := p.Next(); err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := open()
		if got := left(h); got != 90_000 {
			t.Errorf("after admission %d are left, want 90000", got)
		}
		p.Began()
		p.Done(messages.Usage{InputTokens: 800, CacheCreationInputTokens: 200, CacheReadInputTokens: 5000, OutputTokens: 100})
		if got := left(h); got != 100_000-1000-5*100 {
			t.Errorf("after the end %d are left, want 98500", got)
		}
		p.Done(messages.Usage{OutputTokens: 1e6})
		p.Close()
		if got := left(h); got != 98_500 {
			t.Errorf("settled twice: %d", got)
		}
		p = open()
		p.Failed(faults["internal"])
		if got := left(h); got != 98_500 {
			t.Errorf("a refused call has kept tokens: %d", got)
		}
		p = open()
		p.Close() // the client has left
		p.Close()
		if got := left(h); got != 97_500 {
			t.Errorf("after a client that left: %d, want its input gone", got)
		}
	})
}

// A call moves on before the quota is spent.
func TestTrafficMovesBeforeThe429(t *testing.T) {
	routes := routesTo(t, opus46, usRegions...)
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{Quota: func(k Key) Quota { return Quota{TPM: 10_000} }})
		got := map[string]int{}
		for range 24 {
			r, _, err := h.Plan(Call{Routes: routes, Input: 500, MaxTokens: 500}).Next()
			if err != nil {
				t.Fatal(err)
			}
			got[r.Region()]++
		}
		if fmt.Sprint(got) != "map[us-east-1:8 us-east-2:8 us-west-2:8]" {
			t.Errorf("%v: want four fifths of each before the last fifth of any", got)
		}
	})
}

func TestSticky(t *testing.T) {
	routes := routesTo(t, opus46, usRegions...)
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{})
		prefix := h.PrefixOf([]byte("model"), []byte("system"))
		if prefix != h.PrefixOf([]byte("model"), []byte("system")) || prefix == h.PrefixOf([]byte("mode"), []byte("lsystem")) {
			t.Error("a prefix is the same parts, in their places")
		}
		call := func(ttl time.Duration, script map[string][]string) string {
			p := h.Plan(Call{Routes: routes, Prefix: prefix, CacheTTL: ttl})
			path, _, err := run(t, p, script)
			if err != nil {
				t.Fatal(err)
			}
			p.Done(messages.Usage{})
			return strings.Join(path, " ")
		}
		if got := call(0, map[string][]string{"us-east-1": {"not ready"}}); got != "us-east-1 us-east-2" {
			t.Fatalf("went %s", got)
		}
		time.Sleep(2 * time.Second)
		if got := call(0, nil); got != "us-east-2" {
			t.Errorf("a cached prefix went to %s", got)
		}
		if got := call(time.Hour, map[string][]string{"us-east-2": {"tokens"}}); got != "us-east-2 us-east-1" {
			t.Errorf("unless quota says otherwise: went %s", got)
		}
		time.Sleep(59 * time.Minute)
		if got := call(0, nil); got != "us-east-1" {
			t.Errorf("within its hour it went to %s", got)
		}
		h.hold(prefix, routes[2], time.Now().Add(time.Minute), time.Now())
		time.Sleep(time.Minute)
		if got := call(0, nil); got != "us-east-1" {
			t.Errorf("past its time to live it went to %s", got)
		}
		for i := range 3 * maxSticky {
			h.hold(Prefix(i+1), routes[0], time.Now().Add(time.Hour), time.Now())
		}
		if len(h.sticky) > maxSticky {
			t.Errorf("%d prefixes are held", len(h.sticky))
		}
	})
}

func TestBreaker(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[:2]...)
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{Rand: func() float64 { return 0 }})
		call := func(script map[string][]string) string {
			path, _, _ := run(t, h.Plan(Call{Routes: routes}), script)
			return strings.Join(path, " ")
		}
		for i := range 3 {
			if got := call(map[string][]string{"us-east-1": {"internal"}}); got != "us-east-1 us-east-2" {
				t.Fatalf("call %d went %s", i, got)
			}
		}
		if got := call(nil); got != "us-east-2" {
			t.Errorf("after three failures a call still went %s", got)
		}
		time.Sleep(openFirst)
		p := h.Plan(Call{Routes: routes})
		if r, _, _ := p.Next(); r.Region() != "us-east-1" || h.Lanes()[0].State != HalfOpen {
			t.Errorf("no probe: %s, %v", r.Region(), h.Lanes()[0])
		}
		if got := call(nil); got != "us-east-2" {
			t.Errorf("a second probe beside the first went %s", got)
		}
		p.Failed(faults["internal"])
		time.Sleep(openFirst)
		if got := call(nil); got != "us-east-2" {
			t.Errorf("a failed probe opens for twice as long, but a call went %s", got)
		}
		time.Sleep(openFirst)
		if got := call(nil); got != "us-east-1" {
			t.Errorf("the second probe went %s", got)
		}
		if s := h.Lanes()[0].State; s != Closed {
			t.Errorf("after a good probe it is %v", s)
		}
		// Not to be connected to is no matter of three tries.
		if got := call(map[string][]string{"us-east-1": {"dead"}}) + ", " + call(nil); got != "us-east-1 us-east-2, us-east-2" {
			t.Errorf("a dead host: %s", got)
		}
	})
}

// Credentials of ours that are refused in the caller's Region are soon tried again:
// somebody may have put them right. Those that another Region does not know are not.
func TestRefusedWays(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[:2]...)
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{Rand: func() float64 { return 0 }})
		run(t, h.Plan(Call{Routes: routes}), map[string][]string{"us-east-1": {"keys"}, "us-east-2": {"denied"}})
		for range 10 { // however long they have been wrong
			time.Sleep(openFirst)
			if path, _, _ := run(t, h.Plan(Call{Routes: routes}), map[string][]string{"us-east-1": {"keys"}}); fmt.Sprint(path) != "[us-east-1]" {
				t.Fatalf("after %v it went %v", openFirst, path)
			}
		}
		time.Sleep(openFirst)
		p := h.Plan(Call{Routes: routes})
		if path, _, err := run(t, p, map[string][]string{"us-east-1": {"internal"}}); fmt.Sprint(path) != "[us-east-1]" || err == nil {
			t.Errorf("after %v it went %v, %v", openFirst, path, err)
		}
		time.Sleep(openRefused)
		if path, _, _ := run(t, h.Plan(Call{Routes: routes}), map[string][]string{"us-east-1": {"internal"}}); fmt.Sprint(path) != "[us-east-1 us-east-2]" {
			t.Errorf("after %v it went %v", openRefused, path)
		}
	})
}

// Nor does a call that is refused before it is sent say that the way is good.
func TestRefusedUnsent(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[0])
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{})
		for range 2 {
			run(t, h.Plan(Call{Routes: routes, Once: true}), map[string][]string{"us-east-1": {"internal"}})
			p := h.Plan(Call{Routes: routes})
			p.Next()
			p.Failed(messages.Errorf(messages.InvalidRequest, "A header.").WithCause(&Fault{Unsent: true}))
		}
		run(t, h.Plan(Call{Routes: routes, Once: true}), map[string][]string{"us-east-1": {"internal"}})
		if s := h.Lanes()[0].State; s != Open {
			t.Errorf("after three failures the way is %v", s)
		}
	})
}

// A client that leaves says nothing of the way.
func TestClientLeft(t *testing.T) {
	routes := routesTo(t, opus46, usRegions...)
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{})
		for range 10 {
			p := h.Plan(Call{Routes: routes})
			p.Next()
			p.Failed(fmt.Errorf("read: %w", context.Canceled))
			if _, _, err := p.Next(); !errors.Is(err, context.Canceled) {
				t.Fatalf("went on for nobody: %v", err)
			}
		}
		if s := h.Lanes()[0].State; s != Closed {
			t.Errorf("the way is %v", s)
		}
	})
}

// Where nothing answers at all, a call does not try every Region of the world.
func TestNothingAnswers(t *testing.T) {
	routes, _ := Routes(resolved(t, "global.anthropic.claude-opus-4-6-v1", "us-east-1"), Amazon(), Fence{}, nil)
	script := map[string][]string{}
	for _, r := range routes {
		script[r.Region()] = []string{"dead"}
	}
	path, _, err := run(t, NewHealth(Options{}).Plan(Call{Routes: routes}), script)
	if len(path) != unsentTries*defaultAttempts || err == nil {
		t.Errorf("tried %v, %v", path, err)
	}
}

// A probe that the client gives up leaves the way half-open.
func TestProbeGivenUp(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[0])
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{})
		run(t, h.Plan(Call{Routes: routes}), map[string][]string{"us-east-1": {"dead"}})
		time.Sleep(openLongest)
		p := h.Plan(Call{Routes: routes})
		if _, _, err := p.Next(); err != nil {
			t.Fatal(err)
		}
		p.Close()
		if _, _, err := h.Plan(Call{Routes: routes}).Next(); err != nil {
			t.Errorf("after that nobody may probe: %v", err)
		}
	})
}

// Health under many goroutines: nothing is taken that does not come back.
func TestConcurrentPlans(t *testing.T) {
	routes := routesTo(t, "global.anthropic.claude-opus-4-6-v1", usRegions...)
	h := NewHealth(Options{Quota: func(Key) Quota { return Quota{TPM: 1e9, RPM: 1e9} }, Patience: time.Second})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 500 {
				p := h.Plan(Call{Routes: routes, Input: 100, MaxTokens: 1000, Prefix: Prefix(j % 7)})
				for {
					_, wait, err := p.Next()
					if err != nil {
						t.Error(err)
						return
					}
					if wait > 0 {
						time.Sleep(wait)
						continue
					}
					if (i+j)%5 == 0 && len(p.Tries()) == 1 {
						p.Failed(context.DeadlineExceeded)
						continue
					}
					p.Began()
					p.Done(messages.Usage{})
					break
				}
				h.Lanes()
			}
		})
	}
	wg.Wait()
	for _, l := range h.Lanes() {
		if l.Left.TPM != l.Quota.TPM {
			t.Errorf("%v: %d of %d are left", l.Key, l.Left.TPM, l.Quota.TPM)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	routes, _ := Routes(resolved(b, "global.anthropic.claude-opus-4-6-v1", "us-east-1"), Amazon(), Fence{}, nil)
	h := NewHealth(Options{Quota: func(Key) Quota { return Quota{TPM: 1e15, RPM: 1e12} }})
	b.Run("first way is good", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p := h.Plan(Call{Routes: routes, Input: 1000, MaxTokens: 1000})
			if _, _, err := p.Next(); err != nil {
				b.Fatal(err)
			}
			p.Began()
			p.Done(messages.Usage{})
		}
	})
	b.Run("all 33 are looked at", func(b *testing.B) {
		h := NewHealth(Options{Quota: func(Key) Quota { return Quota{TPM: 1} }})
		for range routes {
			h.Plan(Call{Routes: routes, Input: 1000, MaxTokens: 1000}).Next()
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := h.Plan(Call{Routes: routes, Input: 1000, MaxTokens: 1000}).Next(); err == nil {
				b.Fatal("a way was open")
			}
		}
	})
}

func BenchmarkRoutes(b *testing.B) {
	res := resolved(b, "global.anthropic.claude-opus-4-6-v1", "us-east-1")
	b.ReportAllocs()
	for b.Loop() {
		Routes(res, Amazon(), Fence{}, nil)
	}
}
