package catalog

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestModels(t *testing.T) {
	c := loaded(t)
	if n := len(c.Models()); n != 22 {
		t.Errorf("%d models", n)
	}
	dated := regexp.MustCompile(`^202[4-9]-(0[1-9]|1[0-2])(-[0-3][0-9])?$`)
	for _, m := range c.Models() {
		if len(m.Sources) == 0 {
			t.Errorf("%s has no source", m.ID)
		}
		for _, s := range m.Sources {
			if !strings.HasPrefix(s.URL, "https://") || strings.Contains(s.URL, "{") || s.Title == "" || !dated.MatchString(s.Date) {
				t.Errorf("%s: source %+v", m.ID, s)
			}
		}
		l := m.Lifecycle
		if l.Start.IsZero() && m.Page == nil {
			t.Errorf("%s has no date of launch", m.ID)
		}
		if !l.End.IsZero() && (l.End.Before(l.Start) || l.End.Before(l.Legacy) || l.End.Before(l.Extended)) {
			t.Errorf("%s ends before it begins: %+v", m.ID, l)
		}
		for _, p := range m.Profiles {
			if !slices.Contains([]string{"high", "medium", "low"}, p.Confidence) {
				t.Errorf("%s %s: confidence %q", m.ID, p.Prefix, p.Confidence)
			}
			if len(p.Sources()) == 0 {
				t.Errorf("%s %s cannot be called", m.ID, p.Prefix)
			}
			for _, region := range p.Sources() {
				w, ok := p.Destinations(region)
				if !ok || w.Anywhere() != (p.Prefix == "global") || !w.Anywhere() && w.Len() < 2 {
					t.Errorf("%s %s from %s: %s", m.ID, p.Prefix, region, w)
				}
			}
		}
		if len(m.APIs) == 0 || !m.Serves(Mantle) && len(m.Profiles) == 0 {
			t.Errorf("%s can be reached by nothing", m.ID)
		}
		for _, price := range m.PriceRows {
			if price.Global.CacheRead == 0 || price.Global.CacheRead > price.Global.Input || price.Global.Output <= price.Global.Input {
				t.Errorf("%s: price %+v", m.ID, price.Global)
			}
			if slices.Contains(m.CacheTTLs, "1h") != (price.Global.CacheWrite1h > 0) {
				t.Errorf("%s: cache times %v, price %+v", m.ID, m.CacheTTLs, price.Global)
			}
		}
		if hour := m.Feature("prompt_caching_1h", Invoke).Level == Yes; hour != slices.Contains(m.CacheTTLs, "1h") {
			t.Errorf("%s: features and cache times differ", m.ID)
		}
		if images := m.Feature("vision", Invoke).Level == Yes; images != slices.Contains(m.InputModalities, "IMAGE") {
			t.Errorf("%s: features and modalities differ", m.ID)
		}
		if batch := m.Feature("batch_jobs", Invoke).Level == Yes; batch != (m.PriceRows[0].Global.BatchPercent > 0) {
			t.Errorf("%s: features and batch price differ", m.ID)
		}
		if long := m.Feature("context_1m", Invoke).Level; (long == Yes) != (m.Context == 1_000_000) || (long == Beta) != (m.Context < 1_000_000 && m.ContextBeta.Beta != "") {
			t.Errorf("%s: features and context differ", m.ID)
		}
	}
}

func TestAPIVersions(t *testing.T) {
	c := loaded(t)
	for _, tt := range []struct {
		model, version string
		api            API
		want           bool
	}{
		{"claude-opus-4-6", "bedrock-2023-05-31", Invoke, true},
		{"claude-opus-4-6", "2026-10-21", Invoke, false},
		{"claude-3-5-haiku", "2026-10-21", Invoke, false},
		{"claude-opus-4-7", "2026-10-21", Invoke, true},
		{"claude-opus-4-7", "2026-10-21", Mantle, true},
		{"claude-opus-4-7", "2023-06-01", Messages, true},
		{"claude-opus-4-7", "2023-06-01", Invoke, false},
		{"claude-haiku-4-5", "2023-06-01", Mantle, true},
		{"claude-haiku-4-5", "2026-10-21", Mantle, false},
		{"claude-opus-4-7", "2024-01-01", Invoke, false},
	} {
		m, _ := c.Lookup(tt.model)
		if got := m.AcceptsVersion(tt.version, tt.api); got != tt.want {
			t.Errorf("%s %s %s: %v", tt.model, tt.version, tt.api, got)
		}
	}
}

func TestLimits(t *testing.T) {
	c := loaded(t)
	const oneM, out128k = "context-1m-2025-08-07", "output-128k-2025-02-19"
	for _, tt := range []struct {
		model       string
		betas       []string
		p           Policy
		window, out int64
	}{
		{"claude-opus-4-6", nil, Policy{Strict: true}, 1_000_000, 128_000},
		{"claude-opus-4-6", []string{oneM}, Policy{Strict: true}, 1_000_000, 128_000},
		{"claude-sonnet-4-5", nil, Policy{}, 200_000, 64_000},
		{"claude-sonnet-4-5", []string{oneM}, Policy{}, 1_000_000, 64_000},
		{"claude-sonnet-4-5", []string{oneM}, Policy{Strict: true}, 200_000, 64_000},
		{"claude-sonnet-4-5", []string{oneM}, Policy{Strict: true, Now: on("2026-02-10")}, 1_000_000, 64_000},
		{"claude-haiku-4-5", []string{oneM}, Policy{}, 200_000, 64_000},
		{"claude-3-7-sonnet", []string{out128k}, Policy{}, 200_000, 128_000},
	} {
		m, _ := c.Lookup(tt.model)
		if w, o := m.ContextWindow(tt.betas, tt.p), m.OutputLimit(tt.betas, tt.p); w != tt.window || o != tt.out {
			t.Errorf("%s %v %+v: %d, %d", tt.model, tt.betas, tt.p, w, o)
		}
	}
}

// Whoever edits the data is told what is wrong with it.
func TestLoadRefuses(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{`"outcrop.models/1"`, `"outcrop.models/9"`, "schema"},
		{`"as_of": "2026-11-20"`, `"as_of": "soon"`, "parsing time"},
		{`"burndown": 5`, `"burn": 5`, "unknown field"},
		{`"in_region": ["eu-west-2"]`, `"in_region": ["eu-west-9"]`, `unknown Region "eu-west-9"`},
		{`"us": ["us-east-1"`, `"us": ["us-east-9"`, `unknown Region "us-east-9"`},
		{`"us": "us-4.5"`, `"us": "us-9"`, `unknown route "us-9"`},
		{`"global": "global-2025"`, `"nowhere": "global"`, "prefix"},
		{`"borrowed": {"jp": "jp", "apac": "apac"}`, `"borrowed": {"jp": "jp"}`, "the page's apac cell needs a route"},
		{`"borrowed": {"jp": "jp", "apac": "apac"}`, `"borrowed": {"jp": "jp", "apac": "apac", "us": "us"}`, "the page's us cell needs a route"},
		{`"row": 2`, `"row": 3`, "rows come first"},
		{`"input": 3,`, `"input": "three",`, "price"},
		{`"input": 3,`, `"input": -3,`, "positive"},
		{`"cache_read": 0.3,`, `"cache_read": 0.300000001,`, "does not divide"},
		{`"until": "2026-03-13",`, ``, "until"},
		{`"sources": ["page"`, `"sources": ["nobody"`, "unknown source"},
		{`"first_party_aliases": ["claude-opus-4-5"]`, `"first_party_aliases": ["claude-opus-4-6"]`, "names both"},
		{`"api_versions": ["bedrock-2023-05-31"],`, `"api_versions": ["2022-01-01"],`, "unknown API version"},
		{`"apis": ["invoke", "converse"]`, `"apis": ["invoke", "telepathy"]`, "unknown API"},
		{`"apis": ["invoke", "converse"]`, `"apis": ["invoke", "mantle"]`, "mantle_regions"},
		{`"context": 200000,`, ``, "required"},
		{`"retired_by": "2026-07-17"`, `"retired_by": "2026-07-17", "end": "2026-07-17"`, "exclude each other"},
	} {
		data := string(modelsJSON)
		if !strings.Contains(data, tt.old) {
			t.Errorf("the data has no %s", tt.old)
			continue
		}
		_, err := load([]byte(strings.Replace(data, tt.old, tt.new, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s for %s: got %v, want %q", tt.new, tt.old, err, tt.want)
		}
	}
	if _, err := load(append(slices.Clone(modelsJSON), "{}"...)); err == nil {
		t.Error("something after the document was accepted")
	}
	for _, tt := range []struct{ old, new, want string }{
		{`"outcrop.features/1"`, `"x"`, "schema"},
		{`"default": "yes"`, `"default": "perhaps"`, "perhaps"},
		{`"default": "beta", "beta": "computer-use-2025-11-24"`, `"default": "beta"`, "which one"},
		{`"source": "cards"`, `"source": "hearsay"`, "hearsay"},
		{`["3-haiku", "3-5-haiku"]`, `["2-haiku"]`, "unknown model"},
		{`"apis": ["count"]`, `"apis": ["telepathy"]`, "unknown API"},
		{`"is": "accepted"`, `"is": "liked"`, "liked"},
		{`"name": "vision"`, `"name": "streaming"`, "name of its own"},
	} {
		c := loaded(t)
		if !strings.Contains(string(featuresJSON), tt.old) {
			t.Errorf("the features have no %s", tt.old)
			continue
		}
		err := c.loadFeatures([]byte(strings.Replace(string(featuresJSON), tt.old, tt.new, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s for %s: got %v, want %q", tt.new, tt.old, err, tt.want)
		}
	}
}

func TestWall(t *testing.T) {
	c := loaded(t)
	wall := func(regions ...string) Wall {
		w, err := c.Wall(regions...)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	us, wider, eu, any := wall("us-east-1", "us-west-2"), wall("us-west-2", "us-east-1", "ca-central-1"), wall("eu-west-1"), c.Anywhere()
	other := loaded(t)
	far, _ := other.Wall("us-west-2", "us-east-1")
	for _, tt := range []struct {
		a, b Wall
		want bool
	}{
		{us, us, true}, {us, wider, true}, {wider, us, false}, {us, eu, false}, {us, any, true}, {any, us, false}, {any, any, true},
		{Wall{}, us, true}, {us, Wall{}, false}, {far, us, true}, {us, far, true}, {wider, far, false},
	} {
		if got := tt.a.Within(tt.b); got != tt.want {
			t.Errorf("%s within %s: %v", tt.a, tt.b, got)
		}
	}
	if us.String() != "us-east-1 us-west-2" || any.String() != "anywhere" || (Wall{}).String() != "nowhere" || us.Len() != 2 {
		t.Errorf("%s, %s, %s", us, any, Wall{})
	}
	if us.Contains("eu-west-1") || !us.Contains("us-east-1") || !any.Contains("mars-1") || (Wall{}).Contains("us-east-1") || us.Contains("mars-1") {
		t.Error("Contains")
	}
	if _, err := c.Wall("us-east-1", "mars-1"); err == nil {
		t.Error("an unknown Region made a Wall")
	}
	if n := testing.AllocsPerRun(100, func() { _ = us.Within(wider) && us.Contains("us-east-1") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(); err != nil {
			b.Fatal(err)
		}
	}
}
