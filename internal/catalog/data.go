package catalog

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

//go:embed models.json
var modelsJSON []byte

// Catalog is the parsed data. It is shared: read only, safe for concurrent use.
type Catalog struct {
	asOf       time.Time
	models     []*Model
	page       []*Model // the ten, in the page's order
	regions    *regionTable
	mantle     Wall
	appProfile Wall
	versions   map[string][]API
	sources    []Source
	prefixes   []string
	refs       map[string]*entry

	features     []*feature
	featureIndex map[string]*feature
	betas        []betaRow
}

// Load parses and checks the embedded data, and puts the operator's prices in.
func Load(own ...Override) (*Catalog, error) {
	c, err := load(modelsJSON)
	if err != nil {
		return nil, fmt.Errorf("catalog: models.json: %w", err)
	}
	if err := c.loadFeatures(featuresJSON); err != nil {
		return nil, fmt.Errorf("catalog: features.json: %w", err)
	}
	if err := c.override(own); err != nil {
		return nil, err
	}
	return c, nil
}

// AsOf is the day to which the data was checked.
func (c *Catalog) AsOf() time.Time { return c.asOf }

// Models lists every model: the page's ten in its order, then the later ones.
func (c *Catalog) Models() []*Model { return slices.Clone(c.models) }

// Sources lists where the facts stand in public.
func (c *Catalog) Sources() []Source { return slices.Clone(c.sources) }

// APIVersion reports the APIs that know that anthropic_version at all.
func (c *Catalog) APIVersion(version string) ([]API, bool) {
	a, ok := c.versions[version]
	return slices.Clone(a), ok
}

// day is a date in the data file.
type day struct{ time.Time }

func (d *day) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	t, err := time.Parse(time.DateOnly, s)
	d.Time = t
	return err
}

type fileData struct {
	Schema   string `json:"schema"`
	AsOf     day    `json:"as_of"`
	Sources  map[string]fileSource
	Cards    fileSource          `json:"cards"` // {card} in the URL
	Regions  []filePartition     `json:"partitions"`
	Sets     map[string][]string `json:"sets"`
	Routes   map[string]fileRoute
	Mantle   []string            `json:"mantle_regions"`
	App      []string            `json:"application_profile_regions"`
	Versions map[string][]string `json:"api_versions"`
	Models   []fileModel         `json:"models"`
}

type filePartition struct {
	Name    string   `json:"name"`
	Regions []string `json:"regions"`
}

type fileSource struct{ Title, URL, Date string }

// fileRoute: the Regions of From reach To; each of Joining reaches To and itself.
type fileRoute struct {
	From, To, Joining []string
	Anywhere          bool
}

type fileModel struct {
	ID                 string            `json:"id"`
	Name               string            `json:"name"`
	FirstPartyID       string            `json:"first_party_id"`
	FirstPartyAliases  []string          `json:"first_party_aliases"`
	MantleID           string            `json:"mantle_id"`
	Page               *filePage         `json:"page"`
	Lifecycle          fileLifecycle     `json:"lifecycle"`
	Gated              bool              `json:"gated"`
	Context            int64             `json:"context"`
	ContextBeta        fileRaised        `json:"context_beta"`
	MaxOutput          int64             `json:"max_output"`
	MaxOutputBeta      fileRaised        `json:"max_output_beta"`
	CacheMinTokens     int64             `json:"cache_min_tokens"`
	CacheTTLs          []string          `json:"cache_ttls"`
	Burndown           int               `json:"burndown"`
	Input              []string          `json:"input_modalities"`
	APIs               []string          `json:"apis"`
	APIVersions        []string          `json:"api_versions"`
	InRegion           []string          `json:"in_region"`
	MantleRegions      []string          `json:"mantle_regions"`
	Profiles           map[string]string `json:"profiles"`
	Confidence         map[string]string `json:"confidence"`
	Prices             []filePrice       `json:"prices"`
	Premium            int64             `json:"regional_premium_percent"`
	NoBatch            bool              `json:"no_batch"`
	RetentionMin       string            `json:"retention_min"`
	MarketplaceProduct string            `json:"marketplace_product"`
	Card               string            `json:"card"`
	Sources            []string          `json:"sources"`
}

type filePage struct {
	Row        int               `json:"row"`
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Profiles   []string          `json:"profiles"`
	Borrowed   map[string]string `json:"borrowed"`
	Deprecated bool              `json:"deprecated"`
}

type fileLifecycle struct {
	Start        day `json:"start"`
	Legacy       day `json:"legacy"`
	Extended     day `json:"extended"`
	End          day `json:"end"`
	EndNotBefore day `json:"end_not_before"`
	RetiredBy    day `json:"retired_by"`
}

type fileRaised struct {
	Beta      string `json:"beta"`
	Tokens    int64  `json:"tokens"`
	Withdrawn day    `json:"withdrawn"`
}

type fileRates struct {
	Input        usd `json:"input"`
	CacheWrite5m usd `json:"cache_write_5m"`
	CacheWrite1h usd `json:"cache_write_1h"`
	CacheRead    usd `json:"cache_read"`
	Output       usd `json:"output"`
}

type filePrice struct {
	Until day `json:"until"`
	fileRates
	Long *struct {
		Over int64 `json:"over"`
		fileRates
	} `json:"long"`
}

// prefixOrder is the page's columns, then those that came later.
var prefixOrder = []string{"global", "us", "eu", "jp", "apac", "au", "in", "us-gov"}

func load(data []byte) (*Catalog, error) {
	var f fileData
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the document")
	}
	if f.Schema != "outcrop.models/1" {
		return nil, fmt.Errorf("schema %q is not known", f.Schema)
	}
	if f.AsOf.IsZero() {
		return nil, errors.New("as_of is missing")
	}
	c := &Catalog{asOf: f.AsOf.Time, prefixes: prefixOrder, refs: map[string]*entry{}}
	if err := c.loadRegions(&f); err != nil {
		return nil, err
	}
	routes, err := c.loadRoutes(&f)
	if err != nil {
		return nil, err
	}
	c.versions = map[string][]API{}
	for v, names := range f.Versions {
		if c.versions[v], err = parseAPIs(names); err != nil {
			return nil, fmt.Errorf("api_versions: %s: %w", v, err)
		}
	}
	for k, s := range f.Sources {
		c.sources = append(c.sources, Source{k, s.Title, s.URL, s.Date})
	}
	slices.SortFunc(c.sources, func(a, b Source) int { return strings.Compare(a.Key, b.Key) })
	for i := range f.Models {
		m, err := c.loadModel(&f.Models[i], routes, &f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Models[i].ID, err)
		}
		m.number = len(c.models)
		c.models = append(c.models, m)
		if m.Page != nil {
			c.page = append(c.page, m)
			if m.Page.Row != len(c.page) || len(c.page) != len(c.models) {
				return nil, fmt.Errorf("%s: the page's rows come first, in order", m.ID)
			}
		}
	}
	return c, c.indexRefs()
}

func (c *Catalog) loadRegions(f *fileData) (err error) {
	t := &regionTable{index: map[string]int{}}
	for _, p := range f.Regions {
		for _, r := range p.Regions {
			if _, dup := t.index[r]; dup {
				return fmt.Errorf("Region %s stands twice", r)
			}
			t.index[r] = len(t.names)
			t.names = append(t.names, r)
			t.partition = append(t.partition, p.Name)
		}
	}
	if len(t.names) > 64 {
		return fmt.Errorf("%d Regions do not fit a Wall", len(t.names))
	}
	c.regions = t
	if c.mantle, err = f.expand(t, f.Mantle); err != nil {
		return fmt.Errorf("mantle_regions: %w", err)
	}
	if c.appProfile, err = f.expand(t, f.App); err != nil {
		return fmt.Errorf("application_profile_regions: %w", err)
	}
	return nil
}

// expand reads a list of Regions, sets and partitions.
func (f *fileData) expand(t *regionTable, names []string) (Wall, error) {
	var flat []string
	for _, n := range names {
		if set, ok := f.Sets[n]; ok {
			flat = append(flat, set...)
		} else if i := slices.IndexFunc(f.Regions, func(p filePartition) bool { return p.Name == n }); i >= 0 {
			flat = append(flat, f.Regions[i].Regions...)
		} else {
			flat = append(flat, n)
		}
	}
	return t.wall(flat...)
}

func (c *Catalog) loadRoutes(f *fileData) (map[string]*route, error) {
	out := map[string]*route{}
	for name, fr := range f.Routes {
		from, err := f.expand(c.regions, fr.From)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", name, err)
		}
		to, err := f.expand(c.regions, fr.To)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", name, err)
		}
		if fr.Anywhere != (to.bits == 0) || from.bits == 0 {
			return nil, fmt.Errorf("route %s: needs from, and either to or anywhere", name)
		}
		to.anywhere = fr.Anywhere
		joining, err := f.expand(c.regions, fr.Joining)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", name, err)
		}
		r := &route{name: name, sources: from, wallOf: make([]Wall, len(c.regions.names))}
		r.sources.bits |= joining.bits
		for i := range r.wallOf {
			switch {
			case joining.bits&(1<<i) != 0:
				r.wallOf[i] = to
				r.wallOf[i].bits |= 1 << i
			case from.bits&(1<<i) != 0:
				r.wallOf[i] = to
			}
		}
		out[name] = r
	}
	return out, nil
}

func parseAPIs(names []string) ([]API, error) {
	var out []API
	for _, n := range names {
		a, ok := apiNamed(n)
		if !ok {
			return nil, fmt.Errorf("unknown API %q", n)
		}
		out = append(out, a)
	}
	return out, nil
}
