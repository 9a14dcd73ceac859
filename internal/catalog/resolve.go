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
	Strict   bool      // AWS as it is today, alone
	PageOnly bool      // the page's table, alone; wins over Strict
	Now      time.Time // lifecycle and prices; zero: the day of the data

	// Idle: the account has not used the model for 15 days, so that AWS refuses
	// a legacy one. Read under Strict.
	Idle bool
	// Own looks up what an account made itself, an application inference
	// profile or provisioned throughput, and gives the id or ARN that it was
	// made from. nil: there are none.
	Own func(arn string) (madeFrom string, ok bool)
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
	Region   string // the Region to call it in
	Endpoint Endpoint
	Wall     Wall // no Region outside it may see the call
	Reach    Wall // the Regions that AWS may take this one to; inside Wall
	Price    Price
	Reason   string
}

// RuledOut is a way that was looked at and not taken.
type RuledOut struct{ ID, Region, Reason string }

const invalidIdentifier = "The provided model identifier is invalid."

// Resolve finds the ways to answer a call for ref that came in for region. The
// error is a *messages.Error in AWS's own words.
func (c *Catalog) Resolve(ref, region string, p Policy) (*Resolution, error) {
	if e, ok := c.refs[ref]; ok {
		return c.resolveEntry(e, ref, region, p)
	}
	if strings.HasPrefix(ref, "arn:") {
		return c.resolveARN(ref, region, p, 0)
	}
	return nil, c.unknownRef(ref)
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

func (c *Catalog) compute(e *entry, ref, region string, p Policy) (*Resolution, error) {
	if _, ok := c.regions.index[region]; !ok {
		return nil, messages.Errorf(messages.InvalidRequest, invalidIdentifier).WithHint("Region %q is not one where Amazon Bedrock offers Claude", region)
	}
	if p.Strict && !p.PageOnly && !e.aws {
		return nil, messages.Errorf(messages.InvalidRequest, invalidIdentifier).WithHint("strict: AWS spells it %s", join(e.prefix, e.model.ID))
	}
	now := c.at(p)
	r := &Resolution{Ref: ref, Model: e.model, Source: "aws", Confidence: "high"}
	if err := r.lifecycle(e, now, p); err != nil {
		return nil, err
	}
	var err error
	if e.prefix == "" {
		err = c.bare(r, region, now, p)
	} else {
		err = c.prefixed(r, e.prefix, region, now, p)
	}
	if err != nil {
		return nil, err
	}
	if !e.aws || r.Model.Lifecycle.Stage(now) == Retired {
		r.Source = "page"
	}
	r.until = farFuture
	for _, b := range e.model.borders {
		if now.Before(b) {
			r.until = b
			break
		}
		r.from = b
	}
	return r, nil
}

var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// lifecycle refuses what is gone, and warns of what goes.
func (r *Resolution) lifecycle(e *entry, now time.Time, p Policy) error {
	m, l := e.model, e.model.Lifecycle
	onPage := m.Page != nil && (e.prefix == "" || m.Page.Has(e.prefix))
	switch l.Stage(now) {
	case Active:
	case Legacy:
		if p.Strict && p.Idle && !p.PageOnly {
			return messages.Errorf(messages.NotFound, "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model in the last 15 days. Please upgrade to an active model on Amazon Bedrock")
		}
		r.Warning = fmt.Sprintf("%s is legacy on Amazon Bedrock and ends on %s", m.Name, l.End.Format(time.DateOnly))
	case Retired:
		if p.Strict && !p.PageOnly || !onPage {
			return messages.Errorf(messages.NotFound, "This model version has reached the end of its life. Please refer to the AWS documentation for more details.")
		}
		on := "on "
		if l.EndApproximate {
			on = "by "
		}
		r.Warning = fmt.Sprintf("%s reached its end of life on Amazon Bedrock %s%s; AWS would refuse this call", m.Name, on, l.End.Format(time.DateOnly))
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
		return messages.Errorf(messages.InvalidRequest, invalidIdentifier).WithHint("%s has no %s. profile", r.Model.Name, prefix)
	}
	if _, ok := f.Destinations(region); !ok {
		return messages.Errorf(messages.InvalidRequest, invalidIdentifier).WithHint("%s. can be called from %s, not from %s", prefix, f.route.sources, region)
	}
	c.take(r, f, region, now)
	return nil
}

// take makes the profile's candidates: the caller's Region, then every other
// source Region whose destinations all lie inside the caller's Wall.
func (c *Catalog) take(r *Resolution, f Profile, region string, now time.Time) {
	wall, _ := f.Destinations(region)
	e := Geo
	if wall.Anywhere() {
		e = Global
	}
	if f.PageOnly {
		r.Source = "page"
	}
	r.Profile, r.Confidence = f.Prefix, f.Confidence
	id, price := join(f.Prefix, r.Model.ID), r.Model.PriceAt(now, e)
	r.Candidates = make([]Candidate, 0, f.route.sources.Len())
	r.Candidates = append(r.Candidates, Candidate{id, region, e, wall, wall, price, "the caller's Region"})
	for i, other := range c.regions.names {
		if other == region || f.route.sources.bits&(1<<i) == 0 {
			continue
		}
		to := f.route.wallOf[i]
		if !to.Within(wall) {
			r.RuledOut = append(r.RuledOut, RuledOut{id, other, "from there the profile also reaches " + outside(to, wall)})
			continue
		}
		reason := "another source Region, with all its destinations inside the wall"
		if e == Global {
			reason = "another source Region; a global profile has no wall"
		}
		r.Candidates = append(r.Candidates, Candidate{id, other, e, wall, to, price, reason})
	}
}

func outside(to, wall Wall) string {
	to.bits &^= wall.bits
	return to.String()
}

// bare is the page's rule for an id without prefix: in the caller's Region
// where the model is offered there on demand, else by that Region's narrowest
// geographic profile, never by the global one.
func (c *Catalog) bare(r *Resolution, region string, now time.Time, p Policy) error {
	m := r.Model
	if m.inRegion.Contains(region) {
		own := Wall{bits: 1 << c.regions.index[region], table: c.regions}
		r.Candidates = []Candidate{{m.ID, region, InRegion, own, own, m.PriceAt(now, InRegion), "offered on demand in the caller's Region"}}
		for _, f := range m.Profiles {
			r.RuledOut = append(r.RuledOut, RuledOut{join(f.Prefix, m.ID), region, "an id without prefix stays in its Region where it can"})
		}
		return nil
	}
	refused := messages.Errorf(messages.InvalidRequest, "Invocation of model ID %s with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.", r.Ref)
	if p.Strict && !p.PageOnly {
		return refused
	}
	var best Profile
	var width int
	for _, f := range m.Profiles {
		to, ok := f.Destinations(region)
		if !ok || to.Anywhere() || !p.allowed(m, f) {
			continue
		}
		if width == 0 || to.Len() < width {
			best, width = f, to.Len()
		}
	}
	if width == 0 {
		return refused.WithHint("no geographic profile of %s can be called from %s", m.Name, region)
	}
	r.RuledOut = append(r.RuledOut, RuledOut{m.ID, region, "not offered on demand in " + region})
	c.take(r, best, region, now)
	for _, f := range m.Profiles {
		to, ok := f.Destinations(region)
		why := "wider than " + best.Prefix + "."
		switch {
		case f.Prefix == best.Prefix:
			continue
		case !ok:
			why = region + " is none of its source Regions"
		case to.Anywhere():
			why = "an id without prefix never goes global"
		}
		r.RuledOut = append(r.RuledOut, RuledOut{join(f.Prefix, m.ID), region, why})
	}
	r.Source = "page"
	return nil
}

func join(prefix, id string) string {
	if prefix == "" {
		return id
	}
	return prefix + "." + id
}

func (c *Catalog) unknownRef(ref string) error {
	e := messages.Errorf(messages.InvalidRequest, invalidIdentifier)
	if prefix, rest, ok := strings.Cut(ref, "."); ok && slices.Contains(c.prefixes, prefix) {
		if inner, ok := c.refs[rest]; ok {
			return e.WithHint("%s has no %s. profile", inner.model.Name, prefix)
		}
	}
	return e
}
