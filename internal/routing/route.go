// Package routing decides where a call may go, and which way next. A Route can
// only be made inside its wall, and a Plan gives no other. It sends nothing, and
// it has no goroutine and no clock of its own.
package routing

import (
	"slices"

	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// Place is where an upstream runs models.
type Place struct {
	here, amazon, set bool
	wall              catalog.Wall
}

// Here is this machine: nothing leaves it, so it stands inside every wall.
func Here() Place { return Place{here: true} }

// In is a place that the operator declares: all its Regions. No Region at all is
// no declaration.
func In(regions catalog.Wall) Place {
	return Place{wall: regions, set: regions.Anywhere() || regions.Len() > 0}
}

// Unknown is a place that nobody declared: it may serve global ids alone.
func Unknown() Place { return Place{} }

// Amazon is AWS itself: a call reaches what the catalog says that its id reaches
// from its Region.
func Amazon() Place { return Place{amazon: true} }

func (p Place) inside(c *catalog.Candidate) bool {
	switch {
	case p.amazon:
		return c.Reach.Within(c.Wall)
	case p.here || c.Wall.Anywhere():
		return true
	case p.set:
		return p.wall.Within(c.Wall)
	default:
		return false
	}
}

// Route is one way to serve a call. The zero Route goes nowhere.
type Route struct {
	model     *catalog.Model
	candidate *catalog.Candidate
	account   string
}

// New makes the Route of a candidate through an upstream at place, if that stays
// inside the candidate's wall.
func New(m *catalog.Model, c catalog.Candidate, place Place) (Route, bool) {
	if !place.inside(&c) {
		return Route{}, false
	}
	return Route{model: m, candidate: &c}, true
}

func (r Route) Model() *catalog.Model      { return r.model }
func (r Route) ID() string                 { return r.candidate.ID }
func (r Route) Region() string             { return r.candidate.Region }
func (r Route) Wall() catalog.Wall         { return r.candidate.Wall }
func (r Route) Price() catalog.Price       { return r.candidate.Price }
func (r Route) Endpoint() catalog.Endpoint { return r.candidate.Endpoint }

// Reach is the set of Regions that AWS may take the call to; inside Wall.
func (r Route) Reach() catalog.Wall { return r.candidate.Reach }

// Mantle says that the call goes to bedrock-mantle.
func (r Route) Mantle() bool { return r.candidate.Mantle }

// Account is the operator's name of the AWS account that pays.
func (r Route) Account() string { return r.account }

// IsZero reports a Route that New did not make.
func (r Route) IsZero() bool { return r.candidate == nil }

// Account is an AWS account that calls may be made with.
type Account struct {
	Name    string   // as records say it
	Number  string   // twelve digits; "" where it is not known
	Regions []string // where it may be used; none: everywhere
	Fence   Fence    // what the operator permits it, within what he permits all
}

func (a Account) serves(c *catalog.Candidate, owner string) bool {
	if len(a.Regions) > 0 && !slices.Contains(a.Regions, c.Region) {
		return false
	}
	return owner == "" || a.Number == "" || a.Number == owner
}

// Routes makes the ways to serve what was resolved, best first: those that stand
// inside the wall and the fence, once for each account. The others come back with
// the reason. An upstream that is not Amazon has one place, so it has one route.
func Routes(res *catalog.Resolution, place Place, fence Fence, accounts []Account) (routes []Route, out []catalog.RuledOut) {
	candidates := res.Candidates
	if !place.amazon {
		candidates = candidates[:min(len(candidates), 1)]
		accounts = nil
	}
	routes = make([]Route, 0, len(candidates)*max(len(accounts), 1))
	for i := range candidates {
		c := &candidates[i]
		r := Route{model: res.Model, candidate: c}
		why := ""
		switch {
		case !place.inside(c):
			why = "the upstream is not known to stand inside the wall"
		case i > 0 && !c.Wall.Contains(c.Region):
			// A source Region that is no destination would see the call.
			why = c.Region + " itself is outside the wall"
		default:
			why = fence.forbids(c)
		}
		if why != "" {
			out = append(out, catalog.RuledOut{ID: c.ID, Region: c.Region, Reason: why})
			continue
		}
		if len(accounts) == 0 {
			routes = append(routes, r)
			continue
		}
		before := len(routes)
		why = "no account may be used there"
		for _, a := range accounts {
			if !a.serves(c, res.Account) {
				continue
			}
			if no := a.Fence.forbids(c); no != "" {
				why = "account " + a.Name + ": " + no
				continue
			}
			r.account = a.Name
			routes = append(routes, r)
		}
		if len(routes) == before {
			out = append(out, catalog.RuledOut{ID: c.ID, Region: c.Region, Reason: why})
		}
	}
	return routes, out
}
