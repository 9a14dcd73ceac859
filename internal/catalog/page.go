package catalog

import "time"

// PagePrefixes are the columns of the page's table.
func PagePrefixes() []string { return []string{"global", "us", "eu", "jp", "apac"} }

// PageRow is one row of the page's table, as Resolve answers it.
type PageRow struct {
	Model      *Model
	Name, ID   string // as the page prints them
	Cells      [5]bool
	Deprecated bool
}

// PageTable is the page's table, each cell computed through Resolve: Yes where
// the prefixed id can be called from some Region under the page's rules.
func (c *Catalog) PageTable(now time.Time) []PageRow {
	rows := make([]PageRow, 0, len(c.page))
	for _, m := range c.page {
		row := PageRow{Model: m, Name: m.Page.Name, ID: m.Page.ID, Deprecated: m.Page.Deprecated}
		for i, prefix := range PagePrefixes() {
			row.Cells[i] = c.callable(join(prefix, m.Page.ID), Policy{PageOnly: true, Now: now})
		}
		rows = append(rows, row)
	}
	return rows
}

func (c *Catalog) callable(ref string, p Policy) bool {
	for _, region := range c.regions.names {
		if _, err := c.Resolve(ref, region, p); err == nil {
			return true
		}
	}
	return false
}
