package routing

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/catalog"
)

func loaded(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func resolved(t testing.TB, ref, region string) *catalog.Resolution {
	t.Helper()
	res, err := loaded(t).Resolve(ref, region, catalog.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// routesTo gives the routes of ref from the first of the Regions, to those alone.
func routesTo(t testing.TB, ref string, regions ...string) []Route {
	t.Helper()
	all, _ := Routes(resolved(t, ref, regions[0]), Amazon(), Fence{}, nil)
	var out []Route
	for _, name := range regions {
		for _, r := range all {
			if r.Region() == name {
				out = append(out, r)
			}
		}
	}
	if len(out) != len(regions) {
		t.Fatalf("%s has no route to each of %v", ref, regions)
	}
	return out
}
