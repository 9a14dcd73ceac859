package gateway

import (
	"slices"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Trimmer is what an Upstream may be besides: one that knows which betas will be
// refused where a call goes. It is asked before the features are checked, which
// would refuse by name what it leaves out.
type Trimmer interface {
	Trim(route routing.Route, req Request) (Trimmed, error)
}

// Trimmed is a request without what would be refused.
type Trimmed struct {
	Body     *Body
	Betas    []string
	Warnings []string
	Left     []string // body fields of refused betas that go all the same: the upstream judges them
}

// trim makes head and body what the upstream will send.
func (g *Gateway) trim(head *Head, body *Body, r allowance, t *trail) (*Body, error) {
	u, ok := g.Upstream.(Trimmer)
	if !ok || len(head.Betas) == 0 {
		return body, nil
	}
	cut, err := u.Trim(r.routes[0], Request{Body: body, Head: head, Stream: head.Stream})
	if err != nil {
		return nil, err
	}
	before := warnBetas(head, r.model)
	head.Betas, head.left = cut.Betas, cut.Left
	after := warnBetas(head, r.model)
	t.warnings = slices.DeleteFunc(t.warnings, func(w string) bool { // it is said once
		return slices.Contains(before, w) && !slices.Contains(after, w)
	})
	t.warnings = append(t.warnings, cut.Warnings...)
	return cut.Body, nil
}

// isLeft says that the upstream is to judge a feature: it is shown in a field that
// was left to it.
func (h *Head) isLeft(c *catalog.Catalog, feature string) bool {
	if len(h.left) == 0 {
		return false
	}
	for _, f := range c.Features() {
		if f.Name == feature {
			return slices.ContainsFunc(f.Detect, func(d string) bool { return slices.Contains(h.left, d) })
		}
	}
	return false
}
