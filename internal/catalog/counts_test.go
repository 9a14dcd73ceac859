package catalog

import "testing"

// TestResolveCounts: for a count a bare id stays in its Region wherever a profile
// of the model can be called from, global ones included, and never goes further;
// what resolves without is as it was.
func TestResolveCounts(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	for _, strict := range []bool{false, true} {
		for _, m := range c.Models() {
			for _, region := range c.Regions() {
				p := Policy{Strict: strict, Now: today}
				plain, refused := c.Resolve(m.ID, region, p)
				p.Counts = true
				got, err := c.Resolve(m.ID, region, p)
				switch {
				case refused == nil:
					if err != nil || got.Candidates[0].ID != plain.Candidates[0].ID || len(got.Candidates) != len(plain.Candidates) {
						t.Errorf("%s in %s: %v, %v", m.ID, region, got, err)
					}
				case err == nil:
					counted++
					k := got.Candidates[0]
					if len(got.Candidates) != 1 || k.ID != m.ID || k.Region != region || k.Wall.String() != region || k.Reach.String() != region {
						t.Errorf("%s in %s (strict %t): %+v", m.ID, region, strict, got.Candidates)
					}
				case m.Lifecycle.Stage(today) != Retired && m.calledFrom(region, p):
					t.Errorf("%s in %s (strict %t) is offered there and not counted: %v", m.ID, region, strict, err)
				}
			}
		}
	}
	if counted < 100 {
		t.Errorf("%d counts: the test looks at nothing", counted)
	}
}
