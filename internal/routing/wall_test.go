package routing

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// faults are the ways in which an attempt fails, as upstreams report them.
var faults = map[string]error{
	"tokens":      messages.Errorf(messages.Throttled, "%s", quotaTexts[tokens]),
	"requests":    messages.Errorf(messages.Throttled, "%s", quotaTexts[requests]),
	"day":         messages.Errorf(messages.Throttled, "%s", quotaTexts[daily]),
	"not ready":   messages.Errorf(messages.NotReady, "The model is loading."),
	"internal":    messages.Errorf(messages.Internal, "An internal error."),
	"unavailable": messages.Errorf(messages.Unavailable, "No capacity."),
	"timeout":     messages.Errorf(messages.ModelTimeout, "No content.").WithCause(&Fault{MayBill: true}),
	"dead":        messages.Errorf(messages.Unavailable, "No connection.").WithCause(&Fault{Unsent: true, Err: errors.New("connection refused")}),
	"keys":        messages.Errorf(messages.Unavailable, "Our keys.").WithCause(&Fault{Ours: true}),
	"denied":      messages.Errorf(messages.AccessDenied, "You don't have access to the model with the specified model ID."),
	"not there":   messages.Errorf(messages.InvalidRequest, "%s", textNoSuchModel),
}

// kinds are the ways to name a model: each gives the ids of m, and where it is of a
// Region, for a call from there.
var kinds = map[string]func(m *catalog.Model, region, partition string) []string{
	"bare": func(m *catalog.Model, _, _ string) []string {
		return append([]string{m.ID, m.FirstPartyID, m.MantleID}, m.Aliases...)
	},
	"profile": func(m *catalog.Model, _, _ string) (ids []string) {
		for _, f := range m.Profiles {
			for _, id := range append([]string{m.ID}, m.Aliases...) {
				ids = append(ids, f.Prefix+"."+id)
			}
		}
		return ids
	},
	"foundation-model ARN": func(m *catalog.Model, region, partition string) []string {
		return []string{"arn:" + partition + ":bedrock:" + region + "::foundation-model/" + m.ID}
	},
	"inference-profile ARN": func(m *catalog.Model, region, partition string) (ids []string) {
		for _, f := range m.Profiles {
			ids = append(ids, "arn:"+partition+":bedrock:"+region+":123456789012:inference-profile/"+f.Prefix+"."+m.ID)
		}
		return ids
	},
	"application profile": func(m *catalog.Model, region, partition string) (ids []string) {
		for _, f := range append(m.Profiles[:len(m.Profiles):len(m.Profiles)], catalog.Profile{}) {
			ids = append(ids, "arn:"+partition+":bedrock:"+region+":123456789012:application-inference-profile/"+f.Prefix+"/"+m.ID)
		}
		return ids
	},
	"provisioned": func(m *catalog.Model, region, partition string) []string {
		return []string{"arn:" + partition + ":bedrock:" + region + ":123456789012:provisioned-model//" + m.ID}
	},
}

// made gives what an account's own thing was made from, which stands in its name.
func made(arn string) (from string, ok bool) {
	_, name, _ := strings.Cut(arn, "/")
	prefix, id, ok := strings.Cut(name, "/")
	if prefix != "" {
		id = prefix + "." + id
	}
	return id, ok
}

// TestNoRouteLeavesItsWall takes every model by every kind of id from every source
// Region, on both surfaces and as a count, through every fence, and fails each
// attempt in every way and in mixtures. The wall is that of the caller's own Region
// throughout, and it is what the profile's table says; no call is led outside.
func TestNoRouteLeavesItsWall(t *testing.T) {
	c := loaded(t)
	patterns := slices.Sorted(maps.Keys(faults))
	patterns = append(patterns, "mixed", "mixed again")
	fenced, err := NewFence(c, []string{"us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-west-3"}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	denied, err := NewFence(c, nil, []string{"us-west-2"}, true)
	if err != nil {
		t.Fatal(err)
	}
	fences := map[string]Fence{"open": {}, "allow": fenced, "deny": denied, "allow, deny": fenced.Narrow(denied), "deny, allow": denied.Narrow(fenced), "allow, nested": Fence{}.Narrow(Fence{}.Narrow(fenced))}
	accounts := []Account{{Name: "a"}, {Name: "b", Regions: []string{"us-east-1", "eu-west-1", "ap-northeast-1"}}, {Name: "denied", Fence: denied}}
	policies := map[string]catalog.Policy{"": {}, "mantle": {Mantle: true}, "count": {Counts: true}, "strict": {Strict: true}, "own, called by ARN": {}, "theirs": {}}
	type way struct{ id, region, wall, fence string }
	seen, met := map[way]bool{}, map[string]int{}
	refs, plans, tries := 0, 0, 0
	for _, m := range c.Models() {
		for _, region := range c.Regions() {
			partition, _ := c.Partition(region)
			for kind, idsOf := range kinds {
				for name, policy := range policies {
					policy.Own, policy.OwnHere = made, name != "own, called by ARN"
					if name == "theirs" {
						policy.Own, policy.Theirs = nil, made
					}
					for _, id := range idsOf(m, region, partition) {
						res, err := c.Resolve(id, region, policy)
						if err != nil {
							continue
						}
						refs++
						met[kind+" "+name]++
						wall := res.Candidates[0].Wall
						if want := wallOf(t, c, m, res, region); !wall.Within(want) || !want.Within(wall) {
							t.Fatalf("%s from %s (%s): wall %q, want %q", id, region, name, wall, want)
						}
						for fence, f := range fences {
							routes, out := Routes(res, Amazon(), f, accounts)
							for _, o := range out {
								if o.Reason == "" {
									t.Fatalf("%s from %s: ruled out without a reason", id, region)
								}
							}
							for _, route := range routes {
								if bad := outside(route, wall, region, fence, fenced); bad != "" {
									t.Fatalf("%s from %s (%s, %s): %s", id, region, name, fence, bad)
								}
							}
							w := way{res.Candidates[0].ID, region, wall.String(), fence}
							if seen[w] || len(routes) == 0 {
								continue
							}
							seen[w] = true
							for _, pattern := range patterns {
								plans++
								tries += lead(t, routes, pattern, uint64(plans), func(route Route, after []string) {
									if bad := outside(route, wall, region, fence, fenced); bad != "" {
										t.Fatalf("%s from %s (%s, %s), after %v: %s", id, region, name, fence, after, bad)
									}
								})
							}
						}
						for _, place := range []Place{Here(), Unknown(), In(fenced.allow)} {
							routes, _ := Routes(res, place, Fence{}, nil)
							for _, r := range routes {
								switch {
								case place == Unknown() && !wall.Anywhere(), place == In(fenced.allow) && !fenced.allow.Within(wall), r.Wall() != wall:
									t.Fatalf("%s from %s: an upstream in %+v is given the call", id, region, place)
								}
							}
						}
					}
				}
			}
		}
	}
	for kind := range kinds {
		if met[kind+" "] == 0 {
			t.Errorf("no id of kind %s was met", kind)
		}
	}
	if refs < 20000 || plans < 20000 || tries < plans {
		t.Fatalf("%d ids, %d plans, %d tries: the test looks at nothing", refs, plans, tries)
	}
	t.Logf("%d ids from Regions, %d plans, %d attempts", refs, plans, tries)
}

// wallOf is the wall by the tables alone: the destinations of the profile for that
// source Region, or the Region.
func wallOf(t *testing.T, c *catalog.Catalog, m *catalog.Model, res *catalog.Resolution, region string) catalog.Wall {
	t.Helper()
	if f, ok := m.Profile(res.Profile); ok {
		to, ok := f.Destinations(region)
		if !ok {
			t.Fatalf("%s is no source of %s.%s", region, res.Profile, m.ID)
		}
		return to
	}
	w, err := c.Wall(region)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// outside says how a route leaves the wall or the fence; "": it does not.
func outside(route Route, wall catalog.Wall, region, fence string, fenced Fence) string {
	home := route.Region() == region
	switch {
	case !route.Wall().Within(wall) || !wall.Within(route.Wall()):
		return fmt.Sprintf("its wall %q is not the caller's %q", route.Wall(), wall)
	case !route.Reach().Within(wall):
		return fmt.Sprintf("it reaches %q, and the wall is %q", route.Reach(), wall)
	case !home && !wall.Contains(route.Region()):
		return route.Region() + " is outside the wall"
	case strings.Contains(fence, "allow") && (!route.Reach().Within(fenced.allow) || !fenced.allow.Contains(route.Region())):
		return fmt.Sprintf("it leaves the fence: %s, reaching %q", route.Region(), route.Reach())
	case (strings.Contains(fence, "deny") || route.Account() == "denied") && (route.Reach().Contains("us-west-2") || route.Reach().Anywhere() || route.Region() == "us-west-2"):
		return fmt.Sprintf("it goes where it is denied: %s, reaching %q", route.Region(), route.Reach())
	default:
		return ""
	}
}

// lead runs a call all of whose attempts fail by the pattern.
func lead(t *testing.T, routes []Route, pattern string, seed uint64, look func(Route, []string)) (tries int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	names := slices.Sorted(maps.Keys(faults))
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	h := NewHealth(Options{Now: func() time.Time { return now }, Rand: r.Float64, Patience: time.Hour, Attempts: 5})
	p := h.Plan(Call{Routes: routes, Input: 100, MaxTokens: 1000, Prefix: Prefix(seed)})
	var after []string
	for range 20 {
		route, wait, err := p.Next()
		if err != nil {
			return tries
		}
		if wait > 0 {
			now = now.Add(wait)
			continue
		}
		tries++
		look(route, after)
		name := pattern
		if faults[name] == nil {
			name = names[r.IntN(len(names))]
		}
		after = append(after, name)
		p.Failed(faults[name])
	}
	return tries
}

// A source Region that is no destination would see the call: us-west-1 serves
// us. ids of Sonnet 4 and lies outside their wall.
func TestSourceOutsideItsWall(t *testing.T) {
	const id = "us.anthropic.claude-sonnet-4-20250514-v1:0"
	routes, out := Routes(resolved(t, id, "us-east-1"), Amazon(), Fence{}, nil)
	for _, r := range routes {
		if r.Region() == "us-west-1" {
			t.Errorf("from us-east-1 a call may go to us-west-1; its wall is %s", r.Wall())
		}
	}
	if len(out) != 1 || out[0].Region != "us-west-1" {
		t.Errorf("ruled out: %v", out)
	}
	if routes, _ = Routes(resolved(t, id, "us-west-1"), Amazon(), Fence{}, nil); len(routes) == 0 || routes[0].Region() != "us-west-1" {
		t.Errorf("a caller of us-west-1 does not reach its own endpoint: %v", routes)
	}
}

func TestRoutes(t *testing.T) {
	c := loaded(t)
	wall := func(regions ...string) catalog.Wall {
		w, err := c.Wall(regions...)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	fence := func(allow, deny []string, denyGlobal bool) Fence {
		f, err := NewFence(c, allow, deny, denyGlobal)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	us := []string{"us-east-1", "us-east-2", "us-west-2"}
	tests := []struct {
		name, ref, region string
		place             Place
		fence             Fence
		accounts          []Account
		want              string // Region[/account], the first four
		count             int
	}{
		{"global at AWS", "global.anthropic.claude-opus-4-6-v1", "eu-west-1", Amazon(), Fence{}, nil, "eu-west-1 us-east-1 us-east-2 us-west-1", 33},
		{"us. at AWS", "us.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), Fence{}, nil, "us-west-2 us-east-1 us-east-2", 3},
		{"here there is one place", "global.anthropic.claude-opus-4-6-v1", "eu-west-1", Here(), Fence{}, nil, "eu-west-1", 1},
		{"a declared place inside", "us.anthropic.claude-opus-4-6-v1", "us-west-2", In(wall("us-east-1")), Fence{}, nil, "us-west-2", 1},
		{"a declared place outside", "us.anthropic.claude-opus-4-6-v1", "us-west-2", In(wall("eu-west-1")), Fence{}, nil, "", 0},
		{"nobody knows where", "us.anthropic.claude-opus-4-6-v1", "us-west-2", Unknown(), Fence{}, nil, "", 0},
		{"allowed Regions", "us.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), fence(us, nil, false), nil, "us-west-2 us-east-1 us-east-2", 3},
		{"a profile reaches more than is allowed", "us.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), fence(us[:2], nil, false), nil, "", 0},
		{"global within allowed Regions is a hope", "global.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), fence(us, nil, false), nil, "", 0},
		{"global may reach a denied Region", "global.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), fence(nil, []string{"me-south-1"}, false), nil, "", 0},
		{"global denied, geographic not", "us.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), fence(nil, nil, true), nil, "us-west-2 us-east-1 us-east-2", 3},
		{"global denied", "global.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), fence(nil, nil, true), nil, "", 0},
		{"accounts", "us.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), Fence{}, []Account{{Name: "a", Regions: []string{"us-east-1"}}, {Name: "b"}}, "us-west-2/b us-east-1/a us-east-1/b us-east-2/b", 4},
		{"no account there", "us.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), Fence{}, []Account{{Name: "a", Regions: []string{"eu-west-1"}}}, "", 0},
		{"an account's own fence", "us.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), Fence{}, []Account{{Name: "a", Fence: fence(nil, us[:1], false)}, {Name: "b"}}, "us-west-2/b us-east-1/b us-east-2/b", 3},
		{"global denied to an account", "global.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), Fence{}, []Account{{Name: "a", Fence: fence(nil, nil, true)}}, "", 0},
		{"an account's fence widens nothing", "us.anthropic.claude-opus-4-6-v1", "us-west-2", Amazon(), fence(us[:2], nil, false), []Account{{Name: "a", Fence: fence(us, nil, false)}}, "", 0},
		{"in its Region", "anthropic.claude-opus-4-6-v1", "eu-west-2", Amazon(), Fence{}, nil, "eu-west-2", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			routes, out := Routes(resolved(t, tt.ref, tt.region), tt.place, tt.fence, tt.accounts)
			var got []string
			for _, r := range routes[:min(len(routes), 4)] {
				s := r.Region()
				if r.Account() != "" {
					s += "/" + r.Account()
				}
				got = append(got, s)
			}
			if strings.Join(got, " ") != tt.want || len(routes) != tt.count {
				t.Errorf("%d routes, %v; want %d, %s", len(routes), got, tt.count, tt.want)
			}
			if len(routes) == 0 && len(out) == 0 {
				t.Error("nothing says why there is no route")
			}
		})
	}
}

// What belongs to an account is called with that account.
func TestRoutesOfAnAccountsOwn(t *testing.T) {
	const mine = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl"
	res, err := loaded(t).Resolve(mine, "us-east-1", catalog.Policy{Own: func(string) (string, bool) { return "us.anthropic.claude-opus-5", true }})
	if err != nil {
		t.Fatal(err)
	}
	routes, _ := Routes(res, Amazon(), Fence{}, []Account{{Name: "other", Number: "999999999999"}, {Name: "mine", Number: "123456789012"}, {Name: "perhaps"}})
	if got := fmt.Sprintln(len(routes), routes[0].Account(), routes[1].Account()); got != "2 mine perhaps\n" {
		t.Errorf("got %s", got)
	}
}
