package catalog

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// regionTable numbers the Regions, so that a set of them is a word.
type regionTable struct {
	names     []string
	partition []string
	index     map[string]int
}

// Wall is a set of Regions that a call may reach, or anywhere. The zero Wall
// holds no Region at all.
type Wall struct {
	bits     uint64
	anywhere bool
	table    *regionTable
}

func (t *regionTable) wall(names ...string) (Wall, error) {
	w := Wall{table: t}
	for _, n := range names {
		i, ok := t.index[n]
		if !ok {
			return Wall{}, fmt.Errorf("unknown Region %q", n)
		}
		w.bits |= 1 << i
	}
	return w, nil
}

// Anywhere reports a Wall that shuts nothing out: that of a global profile.
func (w Wall) Anywhere() bool { return w.anywhere }

// Contains reports whether a call may reach region.
func (w Wall) Contains(region string) bool {
	if w.anywhere {
		return true
	}
	if w.table == nil {
		return false
	}
	i, ok := w.table.index[region]
	return ok && w.bits&(1<<i) != 0
}

// Within reports whether every Region of w is one of other's.
func (w Wall) Within(other Wall) bool {
	switch {
	case other.anywhere:
		return true
	case w.anywhere:
		return false
	case w.table == other.table:
		return w.bits&^other.bits == 0
	}
	for _, r := range w.Regions() { // two catalogs number Regions by themselves
		if !other.Contains(r) {
			return false
		}
	}
	return true
}

// Regions lists the set in the catalog's order; nil for Anywhere.
func (w Wall) Regions() []string {
	if w.anywhere || w.table == nil {
		return nil
	}
	out := make([]string, 0, bits.OnesCount64(w.bits))
	for b := w.bits; b != 0; b &= b - 1 {
		out = append(out, w.table.names[bits.TrailingZeros64(b)])
	}
	return out
}

// Len counts the Regions; 0 for Anywhere.
func (w Wall) Len() int { return bits.OnesCount64(w.bits) }

func (w Wall) String() string {
	if w.anywhere {
		return "anywhere"
	}
	if w.bits == 0 {
		return "nowhere"
	}
	return strings.Join(w.Regions(), " ")
}

// Wall makes a set of Regions, for an upstream or an operator that declares its
// own. An unknown Region is an error, never a smaller or larger set.
func (c *Catalog) Wall(regions ...string) (Wall, error) { return c.regions.wall(regions...) }

// Anywhere is the Wall that shuts nothing out.
func (c *Catalog) Anywhere() Wall { return Wall{anywhere: true, table: c.regions} }

// Regions lists every Region that the catalog knows.
func (c *Catalog) Regions() []string { return slices.Clone(c.regions.names) }

// Partition names the partition of a Region ("aws", "aws-us-gov").
func (c *Catalog) Partition(region string) (string, bool) {
	i, ok := c.regions.index[region]
	if !ok {
		return "", false
	}
	return c.regions.partition[i], true
}

// MantleRegions lists the Regions that have a bedrock-mantle endpoint.
func (c *Catalog) MantleRegions() []string { return c.mantle.Regions() }

// ApplicationProfileRegions lists the Regions where an account may make its own
// inference profiles.
func (c *Catalog) ApplicationProfileRegions() []string { return c.appProfile.Regions() }
