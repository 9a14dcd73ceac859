package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func loaded(t testing.TB) *Catalog {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The table as the page prints it.
const pageTable = `
Claude Opus 4.6     anthropic.claude-opus-4-6-v1:0             Yes Yes Yes Yes Yes
Claude Sonnet 4.5   anthropic.claude-sonnet-4-5-20250929-v1:0  Yes Yes Yes Yes No
Claude Sonnet 4     anthropic.claude-sonnet-4-20250514-v1:0    Yes Yes Yes No  Yes
Claude Sonnet 3.7 ⚠ anthropic.claude-3-7-sonnet-20250219-v1:0  No  Yes Yes No  Yes
Claude Opus 4.5     anthropic.claude-opus-4-5-20251101-v1:0    Yes Yes Yes No  No
Claude Opus 4.1     anthropic.claude-opus-4-1-20250805-v1:0    No  Yes No  No  No
Claude Opus 4       anthropic.claude-opus-4-20250514-v1:0      No  Yes No  No  No
Claude Haiku 4.5    anthropic.claude-haiku-4-5-20251001-v1:0   Yes Yes Yes No  No
Claude Haiku 3.5 ⚠  anthropic.claude-3-5-haiku-20241022-v1:0   No  Yes No  No  No
Claude Haiku 3      anthropic.claude-3-haiku-20240307-v1:0     No  Yes Yes No  Yes`

// The fifty cells hold on the day of the page and long after it.
func TestPageTable(t *testing.T) {
	c := loaded(t)
	for _, day := range []string{"2026-02-10", "2026-11-20", "2030-01-01"} {
		now, _ := time.Parse(time.DateOnly, day)
		var got strings.Builder
		for _, r := range c.PageTable(now) {
			name := r.Name
			if r.Deprecated {
				name += " ⚠"
			}
			cells := ""
			for _, yes := range r.Cells {
				cells += fmt.Sprintf(" %-3s", map[bool]string{true: "Yes", false: "No"}[yes])
			}
			fmt.Fprintf(&got, "\n%-19s %-42s%s", name, r.ID, cells)
		}
		if squeeze(got.String()) != squeeze(pageTable) {
			t.Errorf("on %s:%s\nwant:%s", day, got.String(), pageTable)
		}
	}
}

func squeeze(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	return strings.Join(lines, "\n")
}
