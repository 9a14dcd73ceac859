package routing

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Repeats are paid from a fifth of the calls, so that a service that fails is not
// called more often than one that works.
func TestRetryBudget(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[0])
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{Patience: time.Minute, Rand: func() float64 { return 0.5 }})
		attempts, calls := 0, 500
		for range calls {
			path, _, _ := run(t, h.Plan(Call{Routes: routes}), map[string][]string{"us-east-1": {"not ready", "not ready", "not ready"}})
			attempts += len(path)
			time.Sleep(time.Second)
		}
		if repeats := attempts - calls; repeats < calls/6 || repeats > calls/5+budgetMost {
			t.Errorf("%d calls made %d repeats; a fifth is %d", calls, repeats, calls/5)
		}
	})
}

// Nobody waits for what is known to come too late.
func TestNoWaitInVain(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[0])
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{Patience: 3 * time.Second, Rand: func() float64 { return 0 }})
		run(t, h.Plan(Call{Routes: routes}), map[string][]string{"us-east-1": {"dead", "dead", "dead", "dead", "dead", "dead"}})
		if _, waited, err := run(t, h.Plan(Call{Routes: routes}), nil); err == nil || waited > 0 {
			t.Errorf("waited %v for a breaker that is open for %v, %v", waited, openFirst, err)
		}
		time.Sleep(openFirst - 2*time.Second)
		if _, waited, err := run(t, h.Plan(Call{Routes: routes}), nil); err != nil || waited != 2*time.Second {
			t.Errorf("waited %v for one that opens in 2 s, %v", waited, err)
		}
	})
}

func TestDeadline(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[0])
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{Patience: time.Hour, Quota: func(Key) Quota { return Quota{RPM: 1} }})
		start := time.Now()
		run(t, h.Plan(Call{Routes: routes}), nil)
		_, waited, err := run(t, h.Plan(Call{Routes: routes, Deadline: start.Add(10 * time.Second)}), nil)
		if err == nil || waited > 10*time.Second {
			t.Errorf("waited %v, %v; the deadline was in 10 s", waited, err)
		}
	})
}

// A count takes no tokens of those that generate, is not kept off by them, teaches
// them nothing, and moves no conversation.
func TestCounts(t *testing.T) {
	routes := routesTo(t, opus46, usRegions[:2]...)
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(Options{Quota: func(k Key) Quota {
			if k.ID != opus46 {
				return Quota{}
			}
			return Quota{RPM: 2, TPM: 5000}
		}})
		prefix := h.PrefixOf([]byte("x"))
		count := func(script map[string][]string) string {
			p := h.Plan(Call{Routes: routes, Counts: true, Input: 1e6, MaxTokens: 1e6, Prefix: prefix})
			path, _, err := run(t, p, script)
			if err != nil {
				t.Fatal(err)
			}
			p.Done(messages.Usage{})
			return strings.Join(path, " ")
		}
		for range 20 {
			if got := count(nil); got != "us-east-1" {
				t.Fatalf("a count went %s", got)
			}
		}
		if got := count(map[string][]string{"us-east-1": {"requests"}}); got != "us-east-1 us-east-2" {
			t.Fatalf("went %s", got)
		}
		for range 2 {
			p := h.Plan(Call{Routes: routes, Input: 100, MaxTokens: 100, Prefix: prefix})
			path, _, err := run(t, p, nil)
			p.Done(messages.Usage{InputTokens: 100})
			if strings.Join(path, " ") != "us-east-1" || err != nil {
				t.Errorf("after the counts a call went %v, %v", path, err)
			}
		}
		for _, l := range h.Lanes() {
			if l.Region == "us-east-1" && l.ID == opus46 && l.Left.TPM != 4800 {
				t.Errorf("%v: %d tokens are left of 5000; two calls used 200", l.Key, l.Left.TPM)
			}
		}
		p := h.Plan(Call{Routes: routes, Counts: true, MaxTokens: 1000})
		p.Next()
		p.Failed(faults["timeout"])
		p.Close()
	})
}
