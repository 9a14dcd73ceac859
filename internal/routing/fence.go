package routing

import "github.com/outcrop-dev/outcrop/internal/catalog"

// Fence is what an operator permits, within what the ids permit. The zero Fence
// permits all. It never widens a wall.
type Fence struct {
	allow      catalog.Wall
	allowed    bool
	deny       []string
	denyGlobal bool
	outer      *Fence // nil: there is none
}

// Narrow permits what both permit.
func (f Fence) Narrow(by Fence) Fence {
	if by.outer != nil {
		f = f.Narrow(*by.outer)
	}
	by.outer = &f
	return by
}

// NewFence permits the Regions of allow alone (none: all), never those of deny.
// What AWS may take to a Region outside is refused whole: a global id has no
// place in a fence of Regions.
func NewFence(c *catalog.Catalog, allow, deny []string, denyGlobal bool) (Fence, error) {
	f := Fence{deny: deny, allowed: len(allow) > 0, denyGlobal: denyGlobal}
	var err error
	if f.allow, err = c.Wall(allow...); err != nil {
		return Fence{}, err
	}
	if _, err := c.Wall(deny...); err != nil {
		return Fence{}, err
	}
	return f, nil
}

// forbids gives the reason, or "".
func (f *Fence) forbids(c *catalog.Candidate) string {
	if f.outer != nil {
		if why := f.outer.forbids(c); why != "" {
			return why
		}
	}
	if f.denyGlobal && c.Reach.Anywhere() {
		return "the operator does not permit global ids"
	}
	if f.allowed && !(f.allow.Contains(c.Region) && c.Reach.Within(f.allow)) {
		return "it reaches Regions that the operator does not permit"
	}
	for _, d := range f.deny {
		if c.Region == d || c.Reach.Contains(d) {
			return "it may reach " + d + ", which the operator denies"
		}
	}
	return ""
}
