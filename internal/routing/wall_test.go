package routing

import (
	"errors"
	"fmt"
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

// TestNoRouteLeavesItsWall: every model, kind of id, source Region, fence and
// pattern of failures; the wall is that of the caller's own Region throughout.
func TestNoRouteLeavesItsWall(t *testing.T) {
	c := loaded(t)
	var names []string
	for n := range faults {
		names = append(names, n)
	}
	slices.Sort(names)
	fenced, err := NewFence(c, []string{"us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-west-3"}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	denied, err := NewFence(c, nil, []string{"us-west-2"}, true)
	if err != nil {
		t.Fatal(err)
	}
	fences := map[string]Fence{"open": {}, "allow": fenced, "deny": denied}
	accounts := []Account{{Name: "a"}, {Name: "b", Regions: []string{"us-east-1", "eu-west-1", "ap-northeast-1"}}}
	plans, tries := 0, 0
	for _, m := range c.Models() {
		ids := []string{m.ID, m.FirstPartyID}
		for _, f := range m.Profiles {
			ids = append(ids, f.Prefix+"."+m.ID)
		}
		for _, mantle := range []bool{false, true} {
			for _, id := range ids {
				for _, region := range c.Regions() {
					res, err := c.Resolve(id, region, catalog.Policy{Mantle: mantle})
					if err != nil {
						continue
					}
					wall := res.Candidates[0].Wall
					for fence, f := range fences {
						routes, out := Routes(res, Amazon(), f, accounts)
						for _, o := range out {
							if o.Reason == "" {
								t.Fatalf("%s from %s: ruled out without a reason", id, region)
							}
						}
						r := rand.New(rand.NewPCG(uint64(plans), 1))
						for range 4 {
							plans++
							now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
							h := NewHealth(Options{Now: func() time.Time { return now }, Rand: r.Float64, Patience: time.Hour, Attempts: 8})
							p := h.Plan(Call{Routes: routes, Input: 100, MaxTokens: 1000, Prefix: Prefix(plans)})
							var pattern []string
							for range 20 {
								route, wait, err := p.Next()
								if err != nil {
									break
								}
								if wait > 0 {
									now = now.Add(wait)
									continue
								}
								tries++
								home := route.Region() == region
								if !route.Wall().Within(wall) || !wall.Within(route.Wall()) || !route.Reach().Within(wall) || !home && !wall.Contains(route.Region()) {
									t.Fatalf("%s from %s (%s, after %v): wall %q, but the call goes to %s and reaches %q", id, region, fence, pattern, wall, route.Region(), route.Reach())
								}
								switch fence {
								case "allow":
									if !route.Reach().Within(fenced.allow) || !fenced.allow.Contains(route.Region()) {
										t.Fatalf("%s from %s leaves the fence: %s", id, region, route.Reach())
									}
								case "deny":
									if route.Reach().Contains("us-west-2") || route.Reach().Anywhere() {
										t.Fatalf("%s from %s goes where it is denied: %s", id, region, route.Reach())
									}
								}
								name := names[r.IntN(len(names))]
								pattern = append(pattern, name)
								p.Failed(faults[name])
							}
						}
					}
				}
			}
		}
	}
	if plans < 20000 || tries < plans {
		t.Fatalf("%d plans, %d tries: the test looks at nothing", plans, tries)
	}
	t.Logf("%d plans, %d attempts", plans, tries)
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
