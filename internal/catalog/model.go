package catalog

import (
	"slices"
	"time"
)

// API is a way in to a model.
type API uint8

const (
	Invoke   API = iota + 1 // InvokeModel, plain and streamed
	Converse                // Converse, plain and streamed
	Messages                // /anthropic/v1/messages on bedrock-runtime
	Mantle                  // /anthropic/v1/messages on bedrock-mantle
	Count                   // CountTokens on bedrock-runtime
	apiEnd
)

var apiNames = [...]string{Invoke: "invoke", Converse: "converse", Messages: "messages", Mantle: "mantle", Count: "count"}

// APIs lists every API, in order.
func APIs() []API { return []API{Invoke, Converse, Messages, Mantle, Count} }

func (a API) String() string {
	if a < Invoke || a >= apiEnd {
		return "unknown"
	}
	return apiNames[a]
}

func apiNamed(s string) (API, bool) {
	for _, a := range APIs() {
		if apiNames[a] == s {
			return a, true
		}
	}
	return 0, false
}

// Model is one Claude model. It is shared: read only.
type Model struct {
	ID           string   // AWS's id: anthropic.claude-opus-4-6-v1
	Name         string   // AWS's name: Claude 3.7 Sonnet
	FirstPartyID string   // the id in a response's model field
	MantleID     string   // the id on bedrock-mantle; "" where it is not served there
	Aliases      []string // every other spelling of the bare id
	Page         *Page    // nil: not in the page's table

	Lifecycle Lifecycle
	Gated     bool // by invitation alone

	Context        int64 // tokens, without any beta
	ContextBeta    Raised
	MaxOutput      int64
	MaxOutputBeta  Raised
	CacheMinTokens int64 // the shortest prefix that is cached; 0: unknown
	CacheTTLs      []string
	Burndown       int // quota tokens per output token; 0: unknown
	RetentionMin   string

	InputModalities  []string
	OutputModalities []string

	APIs               []API // generation APIs; CountTokens is a feature
	APIVersions        []string
	InRegion           []string   // Regions that have it on demand
	Profiles           []Profile  // in the order of the page's columns, then the later ones
	PremiumPercent     int64      // on every rate of a geographic or in-Region id
	MarketplaceProduct string     // AWS Marketplace's id
	Sources            []Source   // where all this is from
	PriceRows          []PriceRow // by date, newest last; global rates

	borders          []time.Time // when an answer about this model changes
	inRegion, mantle Wall
	cat              *Catalog
	number           int // its place in the catalog
}

// Page is the model's row in the page's table.
type Page struct {
	Row        int    // from 1
	ID         string // as the page prints it
	Name       string
	Prefixes   []string // the cells that say Yes
	Deprecated bool     // the page's warning mark
}

// Has reports whether the page's cell for prefix says Yes.
func (p *Page) Has(prefix string) bool { return p != nil && slices.Contains(p.Prefixes, prefix) }

// Raised is a limit that a beta lifts. Withdrawn: AWS took the beta back.
type Raised struct {
	Beta      string
	Tokens    int64
	Withdrawn time.Time
}

// PriceRow is a price and the day that ends it (zero: it stands).
type PriceRow struct {
	Until    time.Time
	Global   Price
	Geo      Price // geographic ids
	InRegion Price
}

// Source is where a fact stands in public, and when it was read there.
type Source struct{ Key, Title, URL, Date string }

// Lifecycle holds the dates that AWS gives a model; zero: not known.
type Lifecycle struct {
	Start, Legacy, Extended, End time.Time
	EndNotBefore                 time.Time
	EndApproximate               bool // End is the day by which it was seen to be gone
}

// Stage is where a model stands in its life.
type Stage uint8

const (
	Active Stage = iota + 1
	Legacy
	Retired
)

func (s Stage) String() string {
	switch s {
	case Active:
		return "ACTIVE"
	case Legacy:
		return "LEGACY"
	case Retired:
		return "EOL"
	default:
		return "unknown"
	}
}

// Stage at a moment.
func (l Lifecycle) Stage(now time.Time) Stage {
	switch {
	case !l.End.IsZero() && !now.Before(l.End):
		return Retired
	case !l.Legacy.IsZero() && !now.Before(l.Legacy):
		return Legacy
	default:
		return Active
	}
}

// Profile is one prefix of one model.
type Profile struct {
	Prefix     string // global, us, eu, jp, au, apac, us-gov
	Confidence string // high, medium, low
	PageOnly   bool   // AWS has no such profile today; the page lists it
	route      *route
}

// Sources lists the Regions that it can be called from.
func (p Profile) Sources() []string { return p.route.sources.Regions() }

// Destinations is the Wall of a call from region; false: region is no source.
func (p Profile) Destinations(region string) (Wall, bool) { return p.route.to(region) }

// route is a named group: source Region -> destination set.
type route struct {
	name    string
	sources Wall
	wallOf  []Wall // by Region number; the zero Wall where it is no source
}

func (r *route) to(region string) (Wall, bool) {
	i, ok := r.sources.table.index[region]
	if !ok || r.sources.bits&(1<<i) == 0 {
		return Wall{}, false
	}
	return r.wallOf[i], true
}

// Profile finds a prefix of the model.
func (m *Model) Profile(prefix string) (Profile, bool) {
	for _, p := range m.Profiles {
		if p.Prefix == prefix {
			return p, true
		}
	}
	return Profile{}, false
}

// MantleRegions lists the Regions whose bedrock-mantle endpoint has the model.
func (m *Model) MantleRegions() []string { return m.mantle.Regions() }

// Serves reports whether AWS offers the model through that API.
func (m *Model) Serves(a API) bool { return slices.Contains(m.APIs, a) }

// AcceptsVersion reports whether the model takes that anthropic_version there.
func (m *Model) AcceptsVersion(version string, a API) bool {
	return slices.Contains(m.APIVersions, version) && slices.Contains(m.cat.versions[version], a)
}

// ContextWindow is the number of tokens that prompt and answer may have, given
// the betas of the request.
func (m *Model) ContextWindow(betas []string, p Policy) int64 {
	return m.ContextBeta.lift(m.Context, betas, m.cat.at(p), p)
}

// OutputLimit is the largest max_tokens, given the betas of the request.
func (m *Model) OutputLimit(betas []string, p Policy) int64 {
	return m.MaxOutputBeta.lift(m.MaxOutput, betas, m.cat.at(p), p)
}

func (r Raised) lift(base int64, betas []string, now time.Time, p Policy) int64 {
	if r.Beta == "" || !slices.Contains(betas, r.Beta) {
		return base
	}
	if p.Strict && !r.Withdrawn.IsZero() && !now.Before(r.Withdrawn) {
		return base
	}
	return r.Tokens
}

// PriceAt is the price on that day, for that kind of endpoint.
func (m *Model) PriceAt(now time.Time, e Endpoint) Price {
	for i := range m.PriceRows {
		if row := &m.PriceRows[i]; row.Until.IsZero() || now.Before(row.Until) {
			return *row.at(e)
		}
	}
	return Price{} // unreachable: Load holds the last row open
}
