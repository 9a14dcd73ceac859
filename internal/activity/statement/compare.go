package statement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Statement is both sides: There first, then Here, then Report.
type Statement struct {
	Catalog *catalog.Catalog
	// From and Until bound what may be missing on a side; zero: the hours that the
	// logs span.
	From, Until time.Time

	there map[string]*Call
	here  []side
}

// side is what is kept of a record of ours.
type side struct {
	id, requestID        string
	time                 time.Time
	ref, model           string
	region, wall, status string
	endpoint             catalog.Endpoint
	usage                messages.Usage
	cost                 catalog.Nanodollars
	delivered, notLogged bool
}

// There takes a record of the logs.
func (s *Statement) There(c Call) {
	if s.there == nil {
		s.there = map[string]*Call{}
	}
	s.there[c.RequestID] = &c
}

// Span is the time that is compared.
func (s *Statement) Span() (from, until time.Time) {
	from, until = s.From, s.Until
	var first, last time.Time
	for _, c := range s.there {
		if first.IsZero() || c.Time.Before(first) {
			first = c.Time
		}
		if c.Time.After(last) {
			last = c.Time
		}
	}
	if from.IsZero() {
		from = first.Truncate(time.Hour)
	}
	if until.IsZero() && !last.IsZero() {
		until = last.Truncate(time.Hour).Add(time.Hour)
	}
	return from, until
}

// Here takes a record of our activity log. Those that AWS does not know, or does
// not log, are left out.
func (s *Statement) Here(r *activity.Record) {
	switch r.Operation {
	case "CountTokens", "CountMessageTokens": // the service logs no counts
		return
	default:
	}
	one := side{requestID: r.RequestID, time: r.Time, ref: r.Ref, model: r.ModelID, region: cmp.Or(r.Served, r.Region), wall: r.Wall, status: r.ErrorCode,
		usage: r.Usage, cost: r.Billed + r.WouldCost}
	for _, e := range []catalog.Endpoint{catalog.Global, catalog.Geo, catalog.InRegion} {
		if e.String() == r.Endpoint {
			one.endpoint = e
		}
	}
	if r.Interrupted {
		one.status = "interrupted"
	}
	if m, ok := s.Catalog.Lookup(r.ModelID); ok && r.Operation == "CreateMessage" && one.endpoint == catalog.InRegion {
		one.notLogged = m.MantleID == r.RouteID // bedrock-mantle has no invocation logging
	}
	if r.UpstreamRequestID != "" {
		one.id = r.UpstreamRequestID
		s.here = append(s.here, one)
	}
	if r.Deliver != nil {
		one.id, one.region, one.delivered, one.notLogged = r.RequestID, r.Region, true, false
		s.here = append(s.here, one)
	}
}

// Line is a call that is not the same on both sides.
type Line struct {
	ID      string // of the logs
	Here    string // ours, where it is another
	Time    time.Time
	Region  string
	Model   string // as called
	Status  string // how it failed, if it did
	Reasons []string
	Tokens  []ClassLine            // where they differ, or all of a side
	Cost    [2]catalog.Nanodollars // here and there, by our book
	Priced  bool                   // false: the book does not know the model
}

// ClassLine is tokens of one class, here and there.
type ClassLine struct {
	Class       string
	Here, There int64
	Cost        [2]catalog.Nanodollars
}

// Report is what the two sides have and have not in common.
type Report struct {
	From, Until time.Time
	Matched     int
	Different   []Line // matched, and not the same
	OnlyHere    []Line
	OnlyThere   []Line
	Totals      []ClassLine // of everything that was compared

	FailedThere int // refusals that only the logs have: attempts that were left for another
	Elsewhere   int // records of the logs that are of no Claude model
	NotLogged   int // calls of ours that went to bedrock-mantle, which logs nothing
	Unsplit     int // calls whose cache writes the logs do not split by time to live
	Repriced    int // calls that cost another amount in their record than by today's book
}

// Same says that nothing has to be explained.
func (r *Report) Same() bool { return len(r.Different)+len(r.OnlyHere)+len(r.OnlyThere) == 0 }

// Report compares. Both sides are priced by the book of the call's day.
func (s *Statement) Report() *Report {
	rep := &Report{}
	rep.From, rep.Until = s.Span()
	within := func(t time.Time) bool { return !t.Before(rep.From) && t.Before(rep.Until) }
	regions := map[bool]map[string]bool{false: {}, true: {}} // that have logs: AWS's, and those that we have delivered
	for _, c := range s.there {
		regions[c.Ours][c.Region] = true
	}
	totals := newTotals()
	matched := map[string]bool{}
	for i := range s.here {
		h := &s.here[i]
		c := s.there[h.id]
		if c == nil || c.Ours != h.delivered {
			switch {
			case !regions[h.delivered][h.region] || !within(h.time) || h.status != "" && !used(h.usage):
			case h.notLogged:
				rep.NotLogged++
			default:
				l := s.line(h, nil)
				totals.add(l.Tokens)
				rep.OnlyHere = append(rep.OnlyHere, l)
			}
			continue
		}
		matched[h.id] = true
		rep.Matched++
		if !c.Split {
			rep.Unsplit++
		}
		l := s.line(h, c)
		if len(l.Reasons) == 0 && l.Priced && h.cost != l.Cost[0] {
			rep.Repriced++
		}
		totals.add(l.Tokens)
		if len(l.Reasons) > 0 {
			l.Tokens = slices.DeleteFunc(l.Tokens, func(t ClassLine) bool { return t.Here == t.There })
			rep.Different = append(rep.Different, l)
		}
	}
	for id, c := range s.there {
		switch {
		case matched[id] || !within(c.Time):
		case !s.isClaude(c):
			rep.Elsewhere++
		case c.ErrorCode != "" && !used(c.Usage):
			rep.FailedThere++
		default:
			l := s.line(nil, c)
			totals.add(l.Tokens)
			rep.OnlyThere = append(rep.OnlyThere, l)
		}
	}
	for _, lines := range [][]Line{rep.Different, rep.OnlyHere, rep.OnlyThere} {
		slices.SortFunc(lines, func(a, b Line) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID)) })
	}
	rep.Totals = totals
	return rep
}

func (s *Statement) isClaude(c *Call) bool {
	_, ok := s.Catalog.Lookup(c.ModelID)
	return ok || strings.Contains(c.ModelID, "anthropic") || strings.Contains(c.ModelID, ":application-inference-profile/") || strings.Contains(c.ModelID, ":provisioned-model/")
}

// way is what a call is priced by.
type way struct {
	model    *catalog.Model
	endpoint catalog.Endpoint
}

func (w way) price(at time.Time) catalog.Price {
	if w.model == nil || w.endpoint == 0 {
		return catalog.Price{}
	}
	return w.model.PriceAt(at, w.endpoint)
}

func (s *Statement) wayOf(c *Call) (w way) {
	if r, err := s.Catalog.Resolve(c.ModelID, c.Region, catalog.Policy{Now: c.Time}); err == nil {
		return way{r.Model, r.Candidates[0].Endpoint}
	}
	return w
}

// line puts the two sides of a call together; one of them may be nil.
func (s *Statement) line(h *side, c *Call) Line {
	var l Line
	var here, there messages.Usage
	var hereWay, thereWay way
	if h != nil {
		l = Line{ID: h.id, Time: h.time, Region: h.region, Model: h.ref, Status: h.status}
		if h.requestID != h.id {
			l.Here = h.requestID
		}
		here = h.usage
		hereWay.endpoint = h.endpoint
		hereWay.model, _ = s.Catalog.Lookup(h.model)
	}
	if c != nil {
		there = c.Usage
		thereWay = s.wayOf(c)
		if h == nil {
			l = Line{ID: c.RequestID, Time: c.Time, Region: c.Region, Model: c.ModelID, Status: c.ErrorCode}
		} else if thereWay.model == nil {
			thereWay = hereWay // an application profile or provisioned throughput: only we know of what
		}
		if !c.Split && h != nil { // as ours are, as far as they reach
			there.CacheCreation.Ephemeral1h = min(here.CacheCreation.Ephemeral1h, there.CacheCreationInputTokens)
			there.CacheCreation.Ephemeral5m = there.CacheCreationInputTokens - there.CacheCreation.Ephemeral1h
		}
	}
	prices := [2]catalog.Price{hereWay.price(l.Time), thereWay.price(l.Time)}
	l.Priced = (h == nil || prices[0] != catalog.Price{}) && (c == nil || prices[1] != catalog.Price{})
	l.Cost = [2]catalog.Nanodollars{catalog.Cost(here, prices[0]), catalog.Cost(there, prices[1])}
	differ := false
	for i, class := range catalog.Classes() {
		t := ClassLine{Class: class, Here: catalog.TokensOf(here)[i], There: catalog.TokensOf(there)[i]}
		t.Cost = [2]catalog.Nanodollars{prices[0].Part(here, i), prices[1].Part(there, i)}
		differ = differ || t.Here != t.There
		l.Tokens = append(l.Tokens, t)
	}
	if h == nil || c == nil {
		return l
	}
	if differ {
		l.Reasons = append(l.Reasons, "tokens")
	}
	if hereWay.model != nil && hereWay.model != thereWay.model {
		l.Reasons = append(l.Reasons, "the model is "+c.ModelID)
	} else if hereWay.endpoint != thereWay.endpoint && hereWay.endpoint != 0 {
		l.Reasons = append(l.Reasons, fmt.Sprintf("the endpoint is %s, not %s", thereWay.endpoint, hereWay.endpoint))
	}
	if h.region != c.Region {
		l.Reasons = append(l.Reasons, "the Region is "+c.Region)
	}
	if ran := c.InferenceRegion; ran != "" && h.wall != "" && h.wall != "anywhere" && !slices.Contains(strings.Fields(h.wall), ran) {
		l.Reasons = append(l.Reasons, "it ran in "+ran+", outside of the wall "+h.wall)
	}
	return l
}

type totals []ClassLine

func newTotals() totals {
	var t totals
	for _, class := range catalog.Classes() {
		t = append(t, ClassLine{Class: class})
	}
	return t
}

func (t totals) add(lines []ClassLine) {
	for i, l := range lines {
		t[i].Here += l.Here
		t[i].There += l.There
		t[i].Cost[0] += l.Cost[0]
		t[i].Cost[1] += l.Cost[1]
	}
}
