package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Policy says whose rules hold. The zero Policy is the default: what the page
// promises, and what AWS has today.
type Policy struct {
	Strict   bool // AWS as it is today, alone
	PageOnly bool // the page's table, alone; wins over Strict
	Mantle   bool // the call came in on the bedrock-mantle surface
	// MantleHere: a bare id on the bedrock-mantle surface stays in its Region, as
	// mantle promises; it does not go by a geographic profile.
	MantleHere bool
	Counts     bool      // the call counts tokens, which AWS does by a model's own id
	Now        time.Time // lifecycle and prices; zero: the day of the data

	// Idle: the account has not used the model for 15 days, so that AWS refuses
	// a legacy one. Read under Strict.
	Idle bool
	// Own looks up what an account made itself, an application inference
	// profile or provisioned throughput, and gives the id or ARN that it was
	// made from. nil: there are none.
	Own func(arn string) (madeFrom string, ok bool)
	// OwnAccount, if set, is the only account whose own things may be named.
	OwnAccount string
	// OwnHere: what Own finds exists on this server alone, so that the calls go
	// to what it was made from, and not to its ARN.
	OwnHere bool
	// Theirs looks up what stands in the AWS accounts that calls are made with,
	// whoever calls: it is called by its ARN. nil: there is none.
	Theirs func(arn string) (madeFrom string, ok bool)
}

// Endpoint is the kind of route; it decides the Wall and the premium.
type Endpoint uint8

const (
	Global   Endpoint = iota + 1 // any Region
	Geo                          // the destinations of a geographic profile
	InRegion                     // one Region
)

func (e Endpoint) String() string {
	switch e {
	case Global:
		return "global"
	case Geo:
		return "geographic"
	case InRegion:
		return "in-Region"
	default:
		return "unknown"
	}
}

// Resolution is where a call may go, best first. It is shared: read only.
type Resolution struct {
	Ref        string // as the caller wrote it
	Model      *Model
	Profile    string // the prefix that was chosen; "" in-Region
	Account    string // of an ARN that names one
	Candidates []Candidate
	RuledOut   []RuledOut
	Warning    string // ASCII, for a header; "" for none
	Source     string // "aws"; "page" where AWS today would refuse
	Confidence string // high, medium, low: how sure the routes are

	from, until time.Time
}

// Candidate is one way to make the call.
type Candidate struct {
	ID       string // the id to call
	Mantle   bool   // at bedrock-mantle, not bedrock-runtime
	Region   string // the Region to call it in
	Endpoint Endpoint
	Wall     Wall // no Region outside it may see the call
	Reach    Wall // the Regions that AWS may take this one to; inside Wall
	Price    Price
	Reason   string
}

// RuledOut is a way that was looked at and not taken.
type RuledOut struct{ ID, Region, Reason string }

// Resolve finds the ways to answer a call for ref that came in for region. The
// error is a *messages.Error in AWS's own words.
func (c *Catalog) Resolve(ref, region string, p Policy) (*Resolution, error) {
	if e, ok := c.refs[ref]; ok {
		return c.resolveEntry(e, ref, region, p)
	}
	if strings.HasPrefix(ref, "arn:") {
		return c.resolveARN(ref, region, p, 0)
	}
	return nil, c.unknownRef(ref, p)
}

// Lookup finds the model that ref names, whatever the Region and the rules.
func (c *Catalog) Lookup(ref string) (*Model, bool) {
	if e, ok := c.refs[ref]; ok {
		return e.model, true
	}
	if a, ok := parseARN(ref); ok && (a.kind == "foundation-model" || a.kind == "inference-profile") {
		if e, ok := c.refs[a.name]; ok && (e.prefix == "") == (a.kind == "foundation-model") {
			return e.model, true
		}
	}
	return nil, false
}

func (c *Catalog) at(p Policy) time.Time {
	if p.Now.IsZero() {
		return c.asOf
	}
	return p.Now
}

// strict: AWS's own rules, and nothing of the page's.
func (p Policy) strict() bool { return p.Strict && !p.PageOnly }

func (c *Catalog) compute(e *entry, ref, region string, p Policy) (*Resolution, error) {
	m := e.model
	if _, ok := c.regions.index[region]; !ok {
		return nil, invalid("Region %q is not one where Amazon Bedrock offers Claude", region)
	}
	onMantle := p.Mantle && !p.PageOnly && e.prefix == "" && m.mantle.Contains(region)
	spelled := e.aws && !p.Mantle || onMantle && ref == m.MantleID // as AWS spells it, there
	if p.strict() && !spelled {
		if p.Mantle {
			return nil, messages.Errorf(messages.NotFound, "The model '%s' does not exist", ref)
		}
		if f, ok := m.Profile(e.prefix); ok && f.PageOnly {
			return nil, invalid("strict: AWS has no %s. profile of %s", e.prefix, m.Name)
		}
		return nil, invalid("strict: AWS spells it %s", join(e.prefix, m.ID))
	}
	now := c.at(p)
	r := &Resolution{Ref: ref, Model: m, Source: "aws", Confidence: "high"}
	if err := r.lifecycle(e, now, p); err != nil {
		return nil, err
	}
	var err error
	switch {
	case onMantle:
		r.stay(m.MantleID, c.only(region), now, "served by bedrock-mantle in the caller's Region")
		r.Candidates[0].Mantle = true
	case e.prefix != "":
		err = c.prefixed(r, e.prefix, region, now, p)
	default:
		err = c.bare(r, region, now, p)
	}
	if err != nil {
		return nil, err
	}
	if !spelled || m.Lifecycle.Stage(now) == Retired {
		r.Source = "page"
	}
	r.until = farFuture
	for _, b := range m.borders {
		if now.Before(b) {
			r.until = b
			break
		}
		r.from = b
	}
	return r, nil
}

var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func invalid(hint string, args ...any) error {
	return messages.Errorf(messages.InvalidRequest, "The provided model identifier is invalid.").WithHint(hint, args...)
}

// lifecycle refuses what is gone, and warns of what goes.
func (r *Resolution) lifecycle(e *entry, now time.Time, p Policy) error {
	m, l := e.model, e.model.Lifecycle
	switch l.Stage(now) {
	case Legacy:
		if p.strict() && p.Idle {
			return messages.Errorf(messages.NotFound, "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model in the last 15 days. Please upgrade to an active model on Amazon Bedrock")
		}
		r.Warning = fmt.Sprintf("%s is legacy on Amazon Bedrock and ends on %s", m.Name, l.End.Format(time.DateOnly))
	case Retired:
		if p.strict() || m.Page == nil || e.prefix != "" && !m.Page.Has(e.prefix) {
			return messages.Errorf(messages.NotFound, "This model version has reached the end of its life. Please refer to the AWS documentation for more details.")
		}
		on := "on "
		if l.EndApproximate {
			on = "by "
		}
		r.Warning = fmt.Sprintf("%s reached its end of life on Amazon Bedrock %s%s; AWS would refuse this call", m.Name, on, l.End.Format(time.DateOnly))
	default: // Active
	}
	return nil
}

// allowed says whether p knows the profile.
func (p Policy) allowed(m *Model, f Profile) bool {
	switch {
	case p.PageOnly:
		return m.Page.Has(f.Prefix)
	case p.Strict:
		return !f.PageOnly
	default:
		return true
	}
}

func (c *Catalog) prefixed(r *Resolution, prefix, region string, now time.Time, p Policy) error {
	f, ok := r.Model.Profile(prefix)
	if !ok || !p.allowed(r.Model, f) {
		return invalid("%s has no %s. profile", r.Model.Name, prefix)
	}
	if _, ok := f.Destinations(region); !ok {
		return invalid("%s. can be called from %s, not from %s", prefix, f.route.sources, region)
	}
	c.take(r, f, region, now)
	return nil
}

// stay is the one candidate that leaves its Region to nobody.
func (r *Resolution) stay(id string, own Wall, now time.Time, reason string) {
	r.Candidates = []Candidate{{
		ID: id, Region: own.Regions()[0], Endpoint: InRegion, Wall: own, Reach: own,
		Price: r.Model.PriceAt(now, InRegion), Reason: reason,
	}}
}

// only is the Wall of a single Region.
func (c *Catalog) only(region string) Wall {
	return Wall{bits: 1 << c.regions.index[region], table: c.regions}
}

// take makes the profile's candidates: the caller's Region, then every other
// source Region whose destinations all lie inside the caller's Wall.
func (c *Catalog) take(r *Resolution, f Profile, region string, now time.Time) {
	wall, _ := f.Destinations(region)
	first := Candidate{
		ID: join(f.Prefix, r.Model.ID), Region: region, Endpoint: Geo, Wall: wall, Reach: wall,
		Reason: "the caller's Region",
	}
	next := "another source Region, with all its destinations inside the wall"
	if wall.Anywhere() {
		first.Endpoint, next = Global, "another source Region; a global profile has no wall"
	}
	first.Price = r.Model.PriceAt(now, first.Endpoint)
	if f.PageOnly {
		r.Source = "page"
	}
	r.Profile, r.Confidence = f.Prefix, f.Confidence
	r.Candidates = append(make([]Candidate, 0, f.route.sources.Len()), first)
	for i, other := range c.regions.names {
		if other == region || f.route.sources.bits&(1<<i) == 0 {
			continue
		}
		to := f.route.wallOf[i]
		if !to.Within(wall) {
			extra := to
			extra.bits &^= wall.bits
			r.RuledOut = append(r.RuledOut, RuledOut{first.ID, other, "from there the profile also reaches " + extra.String()})
			continue
		}
		k := first
		k.Region, k.Reach, k.Reason = other, to, next
		r.Candidates = append(r.Candidates, k)
	}
}

// bare is the page's rule for an id without prefix: in the caller's Region
// where the model is offered there on demand, else by that Region's narrowest
// geographic profile, never by the global one.
func (c *Catalog) bare(r *Resolution, region string, now time.Time, p Policy) error {
	m := r.Model
	if m.inRegion.Contains(region) {
		r.stay(m.ID, c.only(region), now, "offered on demand in the caller's Region")
		for _, f := range m.Profiles {
			r.RuledOut = append(r.RuledOut, RuledOut{join(f.Prefix, m.ID), region, "an id without prefix stays in its Region where it can"})
		}
		return nil
	}
	refused := messages.Errorf(messages.InvalidRequest, "Invocation of model ID %s with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.", r.Ref)
	if p.strict() && !p.Counts {
		return refused
	}
	best, width := Profile{}, 0
	for _, f := range m.Profiles {
		to, ok := f.Destinations(region)
		if ok && !to.Anywhere() && p.allowed(m, f) && (width == 0 || to.Len() < width) {
			best, width = f, to.Len()
		}
	}
	if p.Counts && (width == 0 || p.strict() || p.Mantle && p.MantleHere) && m.calledFrom(region, p) {
		r.stay(m.ID, c.only(region), now, "tokens are counted in the caller's Region, by the model's own id")
		return nil
	}
	if width == 0 || p.strict() {
		return refused.WithHint("no geographic profile of %s can be called from %s", m.Name, region)
	}
	r.RuledOut = append(r.RuledOut, RuledOut{m.ID, region, "not offered on demand in " + region})
	c.take(r, best, region, now)
	for _, f := range m.Profiles {
		to, ok := f.Destinations(region)
		var why string
		switch {
		case f.Prefix == best.Prefix:
			continue
		case !ok:
			why = region + " is none of its source Regions"
		case to.Anywhere():
			why = "an id without prefix never goes global"
		case !p.allowed(m, f):
			why = "not in the page's table"
		default:
			why = "wider than " + best.Prefix + "."
		}
		r.RuledOut = append(r.RuledOut, RuledOut{join(f.Prefix, m.ID), region, why})
	}
	r.Source = "page"
	return nil
}

// calledFrom says that a profile of the model can be called from the Region, which
// is where the model is offered at all.
func (m *Model) calledFrom(region string, p Policy) bool {
	return slices.ContainsFunc(m.Profiles, func(f Profile) bool {
		_, ok := f.Destinations(region)
		return ok && p.allowed(m, f)
	})
}

func join(prefix, id string) string {
	if prefix == "" {
		return id
	}
	return prefix + "." + id
}

func (c *Catalog) unknownRef(ref string, p Policy) error {
	if p.Mantle && p.strict() {
		return messages.Errorf(messages.NotFound, "The model '%s' does not exist", ref)
	}
	if prefix, rest, ok := strings.Cut(ref, "."); ok && slices.Contains(c.prefixes, prefix) {
		if inner, ok := c.refs[rest]; ok {
			return invalid("%s has no %s. profile", inner.model.Name, prefix)
		}
	}
	return invalid("no Claude model on Amazon Bedrock has this id")
}
