package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

func (c *Catalog) loadModel(f *fileModel, routes map[string]*route, file *fileData) (*Model, error) {
	m := &Model{
		ID: f.ID, Name: f.Name, FirstPartyID: f.FirstPartyID, MantleID: f.MantleID,
		Lifecycle: Lifecycle{
			Start: f.Lifecycle.Start.Time, Legacy: f.Lifecycle.Legacy.Time, Extended: f.Lifecycle.Extended.Time,
			End: f.Lifecycle.End.Time, EndNotBefore: f.Lifecycle.EndNotBefore.Time,
		},
		Gated:   f.Gated,
		Context: f.Context, ContextBeta: Raised{f.ContextBeta.Beta, f.ContextBeta.Tokens, f.ContextBeta.Withdrawn.Time},
		MaxOutput: f.MaxOutput, MaxOutputBeta: Raised{f.MaxOutputBeta.Beta, f.MaxOutputBeta.Tokens, f.MaxOutputBeta.Withdrawn.Time},
		CacheMinTokens: f.CacheMinTokens, CacheTTLs: f.CacheTTLs, Burndown: f.Burndown,
		RetentionMin: f.RetentionMin, MarketplaceProduct: f.MarketplaceProduct,
		InputModalities: []string{"TEXT", "IMAGE"}, OutputModalities: []string{"TEXT"},
		APIVersions: f.APIVersions, InRegion: f.InRegion, PremiumPercent: f.Premium, cat: c,
	}
	if f.Input != nil {
		m.InputModalities = f.Input
	}
	if m.ID == "" || m.Name == "" || m.FirstPartyID == "" || m.Context <= 0 || m.MaxOutput <= 0 || len(f.Sources) == 0 {
		return nil, errors.New("id, name, first_party_id, context, max_output and sources are required")
	}
	if by := f.Lifecycle.RetiredBy; !by.IsZero() {
		if !m.Lifecycle.End.IsZero() {
			return nil, errors.New("end and retired_by exclude each other")
		}
		m.Lifecycle.End, m.Lifecycle.EndApproximate = by.Time, true
	}
	var err error
	if m.APIs, err = parseAPIs(f.APIs); err != nil {
		return nil, err
	}
	if m.Serves(Mantle) && m.MantleID == "" {
		m.MantleID = m.ID
	}
	for _, v := range m.APIVersions {
		if _, ok := c.versions[v]; !ok {
			return nil, fmt.Errorf("unknown API version %q", v)
		}
	}
	if m.inRegion, err = c.regions.wall(m.InRegion...); err != nil {
		return nil, err
	}
	if m.mantle, err = c.regions.wall(f.MantleRegions...); err != nil {
		return nil, err
	}
	if !m.mantle.Within(c.mantle) || m.Serves(Mantle) != (m.mantle.Len() > 0) {
		return nil, errors.New("mantle_regions have the endpoint and belong to a model that mantle serves")
	}
	if f.Card != "" {
		s := file.Cards
		m.Sources = append(m.Sources, Source{"card", s.Title, strings.ReplaceAll(s.URL, "{card}", f.Card), s.Date})
	}
	for _, k := range f.Sources {
		s, ok := file.Sources[k]
		if !ok {
			return nil, fmt.Errorf("unknown source %q", k)
		}
		m.Sources = append(m.Sources, Source{k, s.Title, s.URL, s.Date})
	}
	if err := m.loadProfiles(f, routes); err != nil {
		return nil, err
	}
	if err := m.loadPrices(f); err != nil {
		return nil, err
	}
	m.Aliases = m.spellings(f.FirstPartyAliases)
	m.borders = m.findBorders()
	return m, nil
}

func (m *Model) loadProfiles(f *fileModel, routes map[string]*route) error {
	add := func(prefix, name string, pageOnly bool) error {
		r, ok := routes[name]
		if !ok {
			return fmt.Errorf("profile %s: unknown route %q", prefix, name)
		}
		conf := f.Confidence[prefix]
		if conf == "" {
			conf = "high"
		}
		m.Profiles = append(m.Profiles, Profile{prefix, conf, pageOnly, r})
		return nil
	}
	known := 0
	for _, prefix := range prefixOrder {
		if name, ok := f.Profiles[prefix]; ok {
			known++
			if err := add(prefix, name, false); err != nil {
				return err
			}
		}
	}
	if known != len(f.Profiles) {
		return fmt.Errorf("a prefix of %v is not known", f.Profiles)
	}
	if f.Page == nil {
		return nil
	}
	m.Page = &Page{f.Page.Row, f.Page.ID, f.Page.Name, f.Page.Profiles, f.Page.Deprecated}
	for _, prefix := range m.Page.Prefixes {
		_, aws := f.Profiles[prefix]
		name, borrowed := f.Page.Borrowed[prefix]
		if aws == borrowed {
			return fmt.Errorf("the page's %s cell needs a route, AWS's or a borrowed one", prefix)
		}
		if borrowed {
			if err := add(prefix, name, true); err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(m.Profiles, func(a, b Profile) int {
		return slices.Index(prefixOrder, a.Prefix) - slices.Index(prefixOrder, b.Prefix)
	})
	return nil
}

func (m *Model) loadPrices(f *fileModel) error {
	batch := int64(50)
	if f.NoBatch {
		batch = 0
	}
	for i, row := range f.Prices {
		p := Price{Rates: row.rates(), BatchPercent: batch}
		if p.Input == 0 || p.Output == 0 {
			return errors.New("a price row needs input and output")
		}
		if row.Long != nil {
			p.LongOver, p.Long = row.Long.Over, row.Long.rates()
		}
		local := p
		local.Rates, local.Long = p.Rates.percent(100+f.Premium), p.Long.percent(100+f.Premium)
		for _, r := range []Rates{p.Rates, p.Long} {
			for _, v := range r.each() {
				if v%10_000 != 0 { // premium, then batch: each divides by 100
					return fmt.Errorf("%d nanodollars a million tokens does not divide exactly", v)
				}
			}
		}
		if last := i == len(f.Prices)-1; last != row.Until.IsZero() {
			return errors.New("every price row but the last needs until")
		}
		m.PriceRows = append(m.PriceRows, PriceRow{row.Until.Time, p, local, local})
	}
	if len(m.PriceRows) == 0 {
		return errors.New("no price")
	}
	return nil
}

func (r fileRates) rates() Rates {
	return Rates{Nanodollars(r.Input), Nanodollars(r.CacheWrite5m), Nanodollars(r.CacheWrite1h), Nanodollars(r.CacheRead), Nanodollars(r.Output)}
}

// spellings lists every other way to write the bare id: with and without ":0",
// without "-v1", without the date, the page's own, and the first-party names.
func (m *Model) spellings(firstParty []string) []string {
	var out []string
	add := func(s string) {
		if s != "" && s != m.ID && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	stem := "anthropic." + m.FirstPartyID
	if strings.Contains(m.ID, "-v1") {
		add(stem + "-v1:0")
		add(stem + "-v1")
	}
	add(stem)
	for _, a := range firstParty {
		if !strings.HasSuffix(a, "-latest") {
			add("anthropic." + a)
		}
	}
	add(m.MantleID)
	add(m.FirstPartyID)
	for _, a := range firstParty {
		add(a)
	}
	return out
}

func (m *Model) findBorders() []time.Time {
	l := m.Lifecycle
	all := []time.Time{l.Start, l.Legacy, l.Extended, l.End, m.ContextBeta.Withdrawn}
	for _, r := range m.PriceRows {
		all = append(all, r.Until)
	}
	all = slices.DeleteFunc(all, time.Time.IsZero)
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}
