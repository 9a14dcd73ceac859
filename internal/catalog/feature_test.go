package catalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// TestFeatureMatrix pins the whole matrix: a column for each model, in the
// catalog's order; y yes, b beta, - no.
func TestFeatureMatrix(t *testing.T) {
	c := loaded(t)
	var out strings.Builder
	for i, m := range c.Models() {
		fmt.Fprintf(&out, "%c %s\n", 'A'+i, m.Stem())
	}
	for _, f := range c.Features() {
		fmt.Fprintf(&out, "%s\n", f.Name)
		for _, a := range APIs() {
			row := ""
			for _, m := range c.Models() {
				row += map[Level]string{Yes: "y", Beta: "b", No: "-"}[m.Feature(f.Name, a).Level]
			}
			fmt.Fprintf(&out, "\t%-9s%s\n", a, row)
		}
	}
	golden(t, "features.golden", out.String())
}

func TestFeature(t *testing.T) {
	c := loaded(t)
	for _, tt := range []struct {
		model, feature string
		api            API
		want           Level
		beta           string
	}{
		{"claude-opus-4-6", "structured_outputs", Invoke, Yes, ""},
		{"claude-opus-4-6", "structured_outputs", Mantle, No, ""},
		{"claude-opus-5-5", "structured_outputs", Invoke, No, ""},
		{"claude-opus-4-6", "count_tokens", Count, Yes, ""},
		{"claude-opus-4-7", "count_tokens", Count, No, ""},
		{"claude-opus-4-7", "count_tokens", Mantle, Yes, ""},
		{"claude-fable-5", "count_tokens", Count, Yes, ""},
		{"claude-opus-4-5", "effort", Invoke, Beta, "effort-2025-11-24"},
		{"claude-sonnet-4-5", "effort", Invoke, No, ""},
		{"claude-opus-4-6", "adaptive_thinking", Invoke, Yes, ""},
		{"claude-opus-4-7", "thinking", Invoke, No, ""},
		{"claude-opus-4-6", "compaction", Invoke, Beta, "compact-2026-01-12"},
		{"claude-opus-5-5", "compaction", Invoke, Beta, "compact-2026-09-04"},
		{"claude-opus-4-6", "compaction", Converse, No, ""},
		{"claude-opus-4-6", "url_sources", Invoke, No, ""},
		{"claude-opus-4-6", "automatic_caching", Invoke, No, ""},
		{"claude-opus-4-6", "no_such_feature", Invoke, Unknown, ""},
		{"claude-opus-4-6", "tool_use", API(99), Unknown, ""},
		{"claude-sonnet-4", "context_1m", Invoke, Beta, "context-1m-2025-08-07"},
	} {
		m, ok := c.Lookup(tt.model)
		if !ok {
			t.Fatal(tt.model)
		}
		s, err := m.CheckFeature(tt.feature, tt.api)
		if s.Level != tt.want || s.Beta != tt.beta {
			t.Errorf("%s %s %s: %s %s, want %s %s", tt.model, tt.feature, tt.api, s.Level, s.Beta, tt.want, tt.beta)
		}
		if (err != nil) != (tt.want == No) {
			t.Errorf("%s %s %s: refused %v", tt.model, tt.feature, tt.api, err)
		}
	}
}

// Every cell has a dated source, and every no is refused by its name.
func TestEveryNoIsRefused(t *testing.T) {
	c := loaded(t)
	for _, f := range c.Features() {
		for _, m := range c.Models() {
			for _, a := range APIs() {
				s, err := m.CheckFeature(f.Name, a)
				if s.Level == Unknown || s.Source.URL == "" || s.Source.Date == "" {
					t.Errorf("%s %s %s: %+v", f.Name, m.ID, a, s)
				}
				if s.Level != No {
					continue
				}
				e := messages.AsError(err)
				if e == nil || e.Kind != messages.InvalidRequest || !strings.Contains(e.Message, f.Title) || !strings.Contains(e.Message, m.FirstPartyID) {
					t.Errorf("%s %s %s: %v", f.Name, m.ID, a, err)
				}
			}
		}
	}
}

// A beta that a feature asks for is never one that AWS is known to refuse.
func TestFeaturesAskForAcceptedBetas(t *testing.T) {
	c := loaded(t)
	for _, f := range c.Features() {
		for _, m := range c.Models() {
			for _, a := range []API{Invoke, Converse, Messages, Mantle} {
				if s := m.Feature(f.Name, a); s.Level == Beta && !m.Beta(s.Beta, a).Accepted {
					t.Errorf("%s %s %s asks for %s: %+v", f.Name, m.ID, a, s.Beta, m.Beta(s.Beta, a))
				}
			}
		}
	}
}

func TestBeta(t *testing.T) {
	c := loaded(t)
	for _, tt := range []struct {
		beta, model     string
		api             API
		known, accepted bool
		becomes         string
	}{
		{"context-1m-2025-08-07", "claude-opus-4-6", Invoke, true, true, ""},
		{"mcp-client-2025-11-20", "claude-opus-4-6", Invoke, true, false, ""},
		{"files-api-2025-04-14", "claude-opus-5", Mantle, true, false, ""},
		{"advanced-tool-use-2025-11-20", "claude-opus-4-6", Invoke, true, false, "tool-search-tool-2025-10-19"},
		{"claude-code-20250219", "claude-opus-4-6", Invoke, true, true, ""},
		{"claude-code-20250219", "claude-opus-4-7", Invoke, true, false, ""},
		{"claude-code-20250219", "claude-opus-4-7", Mantle, true, true, ""},
		{"claude-code-20250219", "claude-opus-5", Invoke, false, false, ""},
		{"structured-outputs-2025-11-13", "claude-opus-4-6", Invoke, true, false, ""},
		{"structured-outputs-2025-11-13", "claude-opus-4-6", Converse, true, true, ""},
		{"tomorrow-2027-01-01", "claude-opus-4-6", Invoke, false, false, ""},
	} {
		m, _ := c.Lookup(tt.model)
		b := m.Beta(tt.beta, tt.api)
		if b.Known != tt.known || b.Accepted != tt.accepted || b.Becomes != tt.becomes {
			t.Errorf("%s %s %s: %+v", tt.beta, tt.model, tt.api, b)
		}
		if b.Known && (b.Source.URL == "" || b.Source.Date == "") {
			t.Errorf("%s has no evidence", tt.beta)
		}
	}
}
