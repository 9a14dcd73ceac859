package routing

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
)

func TestGeography(t *testing.T) {
	known := map[string]int{}
	for _, r := range loaded(t).Regions() {
		known[geography(r)]++
	}
	if len(known) != 4 {
		t.Errorf("the catalog's Regions stand in %v", known)
	}
}

// TestAContinentIsDead: while a whole part of the world fails, in whatever way a
// service fails, no global call is lost, from wherever it comes; what is not
// global still does not leave its wall, and says so.
func TestAContinentIsDead(t *testing.T) {
	c := loaded(t)
	calls := 0
	for _, dead := range []string{"Americas", "Europe", "Asia Pacific", "Middle East and Africa"} {
		for _, fault := range []string{"dead", "internal", "unavailable", "timeout"} {
			for _, m := range c.Models() {
				if _, ok := m.Profile("global"); !ok {
					continue
				}
				now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
				h := NewHealth(Options{Now: func() time.Time { return now }, Rand: rand.New(rand.NewPCG(1, 2)).Float64})
				for range 3 { // and when breakers have opened, and half-opened
					for _, region := range c.Regions() {
						for _, prefix := range []string{"global", "us", "eu"} {
							res, err := c.Resolve(prefix+"."+m.ID, region, catalog.Policy{Now: now})
							if err != nil {
								continue
							}
							routes, _ := Routes(res, Amazon(), Fence{}, nil)
							alive := slices.ContainsFunc(routes, func(r Route) bool { return geography(r.Region()) != dead })
							p := h.Plan(Call{Routes: routes, Input: 100, MaxTokens: 1000})
							var path []string
							for {
								r, wait, err := p.Next()
								if err != nil || wait > 0 {
									if alive {
										t.Fatalf("%s is dead (%s): %s.%s from %s was lost after %v: %v", dead, fault, prefix, m.ID, region, path, err)
									}
									break
								}
								path = append(path, r.Region())
								if r.Region() != region && !r.Wall().Contains(r.Region()) { // the caller has chosen its own
									t.Fatalf("%s.%s from %s left its wall for %s", prefix, m.ID, region, r.Region())
								}
								if geography(r.Region()) == dead {
									p.Failed(faults[fault])
									continue
								}
								p.Began()
								p.Close()
								if len(path) > 2 {
									t.Errorf("%s is dead (%s): %s.%s from %s went %v: want another part of the world at once", dead, fault, prefix, m.ID, region, path)
								}
								break
							}
							calls++
							now = now.Add(100 * time.Millisecond)
						}
					}
				}
			}
		}
	}
	if calls < 5000 {
		t.Errorf("%d calls: the test looks at nothing", calls)
	}
	t.Logf("%d calls", calls)
}

// Another part of the world comes first, but for one that has refused us: then
// where we have been of late.
func TestAwayAfterAFailure(t *testing.T) {
	routes := routesTo(t, "global.anthropic.claude-opus-4-6-v1", "us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-south-1")
	for _, tt := range []struct {
		name   string
		script map[string][]string
		path   string
	}{
		{"the service failed", map[string][]string{"us-east-1": {"internal"}}, "us-east-1 eu-west-1"},
		{"a quota was spent", map[string][]string{"us-east-1": {"tokens"}}, "us-east-1 us-west-2"},
		{"twice", map[string][]string{"us-east-1": {"internal"}, "eu-west-1": {"internal"}}, "us-east-1 eu-west-1 ap-south-1"},
		{"not let in", map[string][]string{"us-east-1": {"internal"}, "eu-west-1": {"denied"}}, "us-east-1 eu-west-1 us-west-2"},
	} {
		h := NewHealth(Options{})
		prove := h.Plan(Call{Routes: routes[1:2]})
		prove.Next()
		prove.Began()
		prove.Close()
		path, _, err := run(t, h.Plan(Call{Routes: routes}), tt.script)
		if strings.Join(path, " ") != tt.path || err != nil {
			t.Errorf("%s: went %v, %v; want %s", tt.name, path, err, tt.path)
		}
	}
}
