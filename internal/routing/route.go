// Package routing decides where a call may go next. A Route can only be made
// inside its wall. It sends nothing.
package routing

import "github.com/outcrop-dev/outcrop/internal/catalog"

// Place is where an upstream runs models.
type Place struct {
	here bool
	wall catalog.Wall
	set  bool
}

// Here is this machine: nothing leaves it, so it stands inside every wall.
func Here() Place { return Place{here: true} }

// In is a place that the operator declares: all its Regions.
func In(regions catalog.Wall) Place { return Place{wall: regions, set: true} }

// Unknown is a place that nobody declared: it may serve global ids alone.
func Unknown() Place { return Place{} }

func (p Place) inside(w catalog.Wall) bool {
	switch {
	case p.here || w.Anywhere():
		return true
	case p.set:
		return p.wall.Within(w)
	default:
		return false
	}
}

// Route is one way to serve a call.
type Route struct {
	model     *catalog.Model
	candidate catalog.Candidate
}

// New makes the Route of a candidate through an upstream at place, if that stays
// inside the candidate's wall.
func New(m *catalog.Model, c catalog.Candidate, place Place) (Route, bool) {
	if !place.inside(c.Wall) {
		return Route{}, false
	}
	return Route{model: m, candidate: c}, true
}

func (r Route) Model() *catalog.Model      { return r.model }
func (r Route) ID() string                 { return r.candidate.ID }
func (r Route) Region() string             { return r.candidate.Region }
func (r Route) Wall() catalog.Wall         { return r.candidate.Wall }
func (r Route) Price() catalog.Price       { return r.candidate.Price }
func (r Route) Endpoint() catalog.Endpoint { return r.candidate.Endpoint }
