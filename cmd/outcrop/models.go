package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
)

type modelsCmd struct {
	ByProvider string `placeholder:"NAME" help:"Only this provider's models, as aws bedrock list-foundation-models has it."`
	Region     string `placeholder:"REGION" help:"Only what can be called from this Region."`
	Strict     bool   `help:"Only what AWS has today, in its spelling."`
	Page       bool   `help:"The page's table, cell by cell: whole, whatever else is named."`
	JSON       bool   `name:"json" help:"Print JSON, with sources, Regions, limits and every price."`
	bookOptions
}

func (modelsCmd) Help() string {
	return `Examples:

  outcrop models --page
  outcrop models --region eu-west-1
  outcrop models --json | jq -r '.[] | select(.lifecycle.stage=="ACTIVE") | .id'

Prices are dollars per million tokens, input/output, of the global profile; "+10%"
is what a geographic or in-Region id costs more, * a price of your own; price list has
every class. The ten models of the page come
first, in its order and spelling; --strict prints AWS's.`
}

func (c *modelsCmd) Run(con console) error {
	cat, err := c.catalog()
	if err != nil {
		return err
	}
	if c.Page {
		return c.page(cat, con)
	}
	rows, err := c.rows(cat, time.Now())
	if err != nil {
		return err
	}
	if c.JSON {
		return con.writeJSON(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(con.Err, "outcrop: no model fits; every model here is Anthropic's")
		return nil
	}
	w := table(con.Out)
	fmt.Fprintln(w, "ID\tNAME\tPROFILES\tIN REGION\tCONTEXT\tOUTPUT\t$/MTOK\tLIFECYCLE")
	for _, r := range rows {
		var prefixes []string
		for _, p := range r.Profiles {
			prefixes = append(prefixes, p.Prefix)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Name, orDash(strings.Join(prefixes, " ")), r.inRegion(c.Region),
			r.window(), tokens(r.MaxOutput), r.price(), r.Lifecycle)
	}
	return w.Flush()
}

func (c *modelsCmd) page(cat *catalog.Catalog, con console) error {
	rows := cat.PageTable(time.Now())
	if c.JSON {
		type row struct {
			Name       string          `json:"name"`
			ID         string          `json:"id"`
			Deprecated bool            `json:"deprecated"`
			Cells      map[string]bool `json:"cells"`
		}
		out := make([]row, 0, len(rows))
		for _, r := range rows {
			cells := map[string]bool{}
			for i, prefix := range catalog.PagePrefixes() {
				cells[prefix] = r.Cells[i]
			}
			out = append(out, row{r.Name, r.ID, r.Deprecated, cells})
		}
		return con.writeJSON(out)
	}
	w := table(con.Out)
	fmt.Fprintf(w, "MODEL\tBASE BEDROCK MODEL ID\t%s\n", strings.Join(catalog.PagePrefixes(), "\t"))
	for _, r := range rows {
		name := r.Name
		if r.Deprecated {
			name += " ⚠️"
		}
		fmt.Fprintf(w, "%s\t%s", name, r.ID)
		for _, yes := range r.Cells {
			fmt.Fprintf(w, "\t%s", map[bool]string{true: "Yes", false: "No"}[yes])
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// modelRow is a model as models prints it. Money is dollars per million tokens.
type modelRow struct {
	ID               string       `json:"id"`
	Name             string       `json:"name"`
	AWSID            string       `json:"aws_id"`
	FirstPartyID     string       `json:"first_party_id"`
	MantleID         string       `json:"mantle_id,omitempty"`
	Profiles         []profileRow `json:"profiles"`
	InRegion         []string     `json:"in_region"`
	Context          int64        `json:"context"`
	ContextBeta      *raisedRow   `json:"context_with_beta,omitempty"`
	MaxOutput        int64        `json:"max_output"`
	MaxOutputBeta    *raisedRow   `json:"max_output_with_beta,omitempty"`
	InputModalities  []string     `json:"input_modalities"`
	OutputModalities []string     `json:"output_modalities"`
	APIs             []string     `json:"apis"`
	APIVersions      []string     `json:"api_versions"`
	Lifecycle        lifeRow      `json:"lifecycle"`
	Price            priceRow     `json:"price"`
	RegionalPrice    priceRow     `json:"regional_price"`
	PremiumPercent   int64        `json:"regional_premium_percent"`
	ByInvitation     bool         `json:"by_invitation,omitempty"`
	Sources          []sourceRow  `json:"sources"`
}

type profileRow struct {
	ID         string   `json:"id"`
	Prefix     string   `json:"prefix"`
	Regions    []string `json:"regions"` // it can be called from
	Source     string   `json:"source"`
	Confidence string   `json:"confidence"`
}

type raisedRow struct {
	Beta   string `json:"beta"`
	Tokens int64  `json:"tokens"`
}

type sourceRow struct {
	Title string `json:"title"`
	URL   string `json:"url"`
	Date  string `json:"date"`
}

type priceRow struct {
	ratesRow
	Own  []string  `json:"own,omitempty"` // classes whose price is the operator's
	Over int64     `json:"long_over,omitempty"`
	Long *ratesRow `json:"long,omitempty"`
}

type ratesRow struct {
	Input        string `json:"input"`
	CacheWrite5m string `json:"cache_write_5m,omitempty"`
	CacheWrite1h string `json:"cache_write_1h,omitempty"`
	CacheRead    string `json:"cache_read,omitempty"`
	Output       string `json:"output"`
}

type lifeRow struct {
	Stage      string `json:"stage"`
	Start      string `json:"start,omitempty"`
	Legacy     string `json:"legacy,omitempty"`
	End        string `json:"end,omitempty"`
	Deprecated bool   `json:"deprecated_on_page"`
}

// rows is what the control plane lists, in one Region or in all of them.
func (c *modelsCmd) rows(cat *catalog.Catalog, now time.Time) ([]modelRow, error) {
	regions := cat.Regions()
	if c.Region != "" {
		if !slices.Contains(regions, c.Region) {
			meant := near(c.Region, regions)
			if meant == "" {
				meant = ": " + strings.Join(regions, " ")
			}
			return nil, misuse("--region %q is not one where Amazon Bedrock offers Claude%s", c.Region, meant)
		}
		regions = []string{c.Region}
	}
	policy := catalog.Policy{Strict: c.Strict, Now: now}
	seen := map[*catalog.Model]*modelRow{}
	for _, region := range regions {
		for _, f := range cat.FoundationModels(region, catalog.ModelFilter{Provider: c.ByProvider}, policy) {
			if seen[f.Model] == nil {
				seen[f.Model] = newModelRow(f, policy)
			}
		}
		for _, p := range cat.InferenceProfiles(region, policy) {
			if r := seen[p.Model]; r != nil {
				r.add(p, region)
			}
		}
	}
	rows := []modelRow{}
	for _, m := range cat.Models() {
		if r := seen[m]; r != nil {
			r.sortProfiles(m)
			rows = append(rows, *r)
		}
	}
	return rows, nil
}

func newModelRow(f catalog.FoundationModel, p catalog.Policy) *modelRow {
	m := f.Model
	r := &modelRow{
		ID: f.ID, Name: m.Name, AWSID: m.ID, FirstPartyID: m.FirstPartyID, MantleID: m.MantleID,
		Profiles: []profileRow{}, InRegion: append([]string{}, m.InRegion...),
		Context: m.Context, ContextBeta: raised(m.ContextBeta, m.Context, m.ContextWindow, p), MaxOutput: m.MaxOutput, MaxOutputBeta: raised(m.MaxOutputBeta, m.MaxOutput, m.OutputLimit, p),
		InputModalities: m.InputModalities, OutputModalities: m.OutputModalities, APIVersions: append([]string{}, m.APIVersions...),
		Lifecycle: lifeRow{f.Stage.String(), date(m.Lifecycle.Start), date(m.Lifecycle.Legacy), date(m.Lifecycle.End), f.Deprecated},
		Price:     newPriceRow(m.PriceAt(p.Now, catalog.Global)), RegionalPrice: newPriceRow(m.PriceAt(p.Now, catalog.InRegion)),
		PremiumPercent: m.PremiumPercent, ByInvitation: m.Gated, APIs: []string{}, Sources: []sourceRow{},
	}
	if m.Page != nil && f.ID == m.Page.ID {
		r.Name = m.Page.Name
	}
	for _, a := range m.APIs {
		r.APIs = append(r.APIs, a.String())
	}
	for _, s := range m.Sources {
		r.Sources = append(r.Sources, sourceRow{s.Title, s.URL, s.Date})
	}
	return r
}

func (r *modelRow) add(p catalog.InferenceProfile, region string) {
	for i := range r.Profiles {
		if r.Profiles[i].Prefix == p.Prefix {
			r.Profiles[i].Regions = append(r.Profiles[i].Regions, region)
			return
		}
	}
	r.Profiles = append(r.Profiles, profileRow{p.ID, p.Prefix, []string{region}, p.Source, p.Confidence})
}

// sortProfiles puts them in the catalog's order, which is that of the page's
// columns; Regions came first here.
func (r *modelRow) sortProfiles(m *catalog.Model) {
	at := func(p profileRow) int {
		return slices.IndexFunc(m.Profiles, func(q catalog.Profile) bool { return q.Prefix == p.Prefix })
	}
	slices.SortFunc(r.Profiles, func(a, b profileRow) int { return at(a) - at(b) })
}

// raised is a limit that a beta lifts: to what, under this policy.
func raised(r catalog.Raised, base int64, limit func([]string, catalog.Policy) int64, p catalog.Policy) *raisedRow {
	if n := limit([]string{r.Beta}, p); n > base {
		return &raisedRow{r.Beta, n}
	}
	return nil
}

func newPriceRow(p catalog.Price) priceRow {
	row := priceRow{ratesRow: newRatesRow(p.Rates)}
	for class, name := range catalog.Classes() {
		if p.Own.Has(class, false) || p.Own.Has(class, true) {
			row.Own = append(row.Own, name)
		}
	}
	if p.LongOver > 0 {
		long := newRatesRow(p.Long)
		row.Over, row.Long = p.LongOver, &long
	}
	return row
}

func newRatesRow(r catalog.Rates) ratesRow {
	usd := func(n catalog.Nanodollars) string {
		if n == 0 {
			return ""
		}
		return n.USD()
	}
	return ratesRow{usd(r.Input), usd(r.CacheWrite5m), usd(r.CacheWrite1h), usd(r.CacheRead), usd(r.Output)}
}

// inRegion says where the model is offered on demand: here, or in how many.
func (r *modelRow) inRegion(region string) string {
	switch n := len(r.InRegion); {
	case region != "" && slices.Contains(r.InRegion, region):
		return "yes"
	case n == 0 || region != "":
		return "-"
	case n == 1:
		return r.InRegion[0]
	default:
		return fmt.Sprintf("%d Regions", n)
	}
}

func (r *modelRow) window() string {
	if r.ContextBeta != nil {
		return fmt.Sprintf("%s (%s beta)", tokens(r.Context), tokens(r.ContextBeta.Tokens))
	}
	return tokens(r.Context)
}

func (r *modelRow) price() string {
	s := r.Price.Input + "/" + r.Price.Output
	if r.Price.Long != nil {
		s += fmt.Sprintf(" (>%s %s/%s)", tokens(r.Price.Over), r.Price.Long.Input, r.Price.Long.Output)
	}
	if len(r.Price.Own)+len(r.RegionalPrice.Own) > 0 { // the premium is the list's
		return s + fmt.Sprintf("*, %s/%s* in a Region", r.RegionalPrice.Input, r.RegionalPrice.Output)
	}
	if r.PremiumPercent > 0 {
		s += fmt.Sprintf(" +%d%%", r.PremiumPercent)
	}
	return s
}

func (l lifeRow) String() string {
	s := strings.ToLower(l.Stage)
	switch {
	case l.Stage == catalog.Retired.String():
		s = "retired"
		if l.End != "" {
			s += " " + l.End
		}
	case l.Stage == catalog.Legacy.String() && l.End != "":
		s += ", ends " + l.End
	}
	if l.Deprecated {
		s += " ⚠️"
	}
	return s
}

// tokens writes a count as the model cards do.
func tokens(n int64) string {
	switch {
	case n > 0 && n%1_000_000 == 0:
		return strconv.FormatInt(n/1_000_000, 10) + "M"
	case n > 0 && n%1000 == 0:
		return strconv.FormatInt(n/1000, 10) + "K"
	default:
		return strconv.FormatInt(n, 10)
	}
}

func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
