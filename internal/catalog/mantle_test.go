package catalog

import (
	"errors"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// TestMantleHere: a bare id on the mantle surface stays in its Region or is refused;
// an id that names a profile is called by it.
func TestMantleHere(t *testing.T) {
	c := loaded(t)
	stayed, refused := 0, 0
	for range 2 { // computed, and kept
		for _, m := range c.Models() {
			for _, region := range c.Regions() {
				wide, wideErr := c.Resolve(m.ID, region, Policy{Mantle: true, Now: today})
				r, err := c.Resolve(m.ID, region, Policy{Mantle: true, MantleHere: true, Now: today})
				var e *messages.Error
				switch {
				case err == nil:
					stayed++
					if k := r.Candidates[0]; k.Wall.String() != region || k.Reach.String() != region || len(r.Candidates) != 1 {
						t.Errorf("%s in %s may go %+v", m.ID, region, r.Candidates)
					}
				case wideErr == nil:
					refused++
					if !errors.As(err, &e) || e.Kind != messages.NotFound || e.Hint == "" || wide.Profile == "" {
						t.Errorf("%s in %s: %v", m.ID, region, err)
					}
				}
				if r, err := c.Resolve(m.ID, region, Policy{Mantle: true, MantleHere: true, Counts: true, Now: today}); err == nil && r.Candidates[0].Wall.String() != region {
					t.Errorf("a count of %s in %s may go %+v", m.ID, region, r.Candidates)
				}
				for _, f := range m.Profiles {
					_, plain := c.Resolve(f.Prefix+"."+m.ID, region, Policy{Mantle: true, Now: today})
					_, here := c.Resolve(f.Prefix+"."+m.ID, region, Policy{Mantle: true, MantleHere: true, Now: today})
					if (plain == nil) != (here == nil) {
						t.Errorf("%s.%s in %s: %v", f.Prefix, m.ID, region, here)
					}
				}
			}
		}
	}
	if stayed == 0 || refused == 0 {
		t.Errorf("%d stayed, %d refused: the test looks at nothing", stayed, refused)
	}
}
