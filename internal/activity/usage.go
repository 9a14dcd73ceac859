package activity

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// Figures are sums over calls. Money that was paid and money that would have
// been never meet.
type Figures struct {
	Calls, Failed, Partial  int64
	Input, Output           int64
	CacheRead               int64
	CacheWrite5m            int64
	CacheWrite1h            int64
	Took                    time.Duration
	Billed, BilledPremium   catalog.Nanodollars
	BilledSaved             catalog.Nanodollars
	WouldCost, WouldPremium catalog.Nanodollars
	WouldSaved              catalog.Nanodollars
}

// Add adds b.
func (f *Figures) Add(b Figures) {
	f.Calls += b.Calls
	f.Failed += b.Failed
	f.Partial += b.Partial
	f.Input += b.Input
	f.Output += b.Output
	f.CacheRead += b.CacheRead
	f.CacheWrite5m += b.CacheWrite5m
	f.CacheWrite1h += b.CacheWrite1h
	f.Took += b.Took
	f.Billed += b.Billed
	f.BilledPremium += b.BilledPremium
	f.BilledSaved += b.BilledSaved
	f.WouldCost += b.WouldCost
	f.WouldPremium += b.WouldPremium
	f.WouldSaved += b.WouldSaved
}

// figuresOf is what one call adds.
func figuresOf(r *Record) Figures {
	u := r.Usage
	w1 := u.CacheCreation.Ephemeral1h
	f := Figures{Calls: 1, Input: u.InputTokens, Output: u.OutputTokens, CacheRead: u.CacheReadInputTokens,
		CacheWrite5m: max(u.CacheCreationInputTokens-w1, u.CacheCreation.Ephemeral5m), CacheWrite1h: w1,
		Took: r.Duration, Billed: r.Billed, WouldCost: r.WouldCost}
	if r.Status >= 400 {
		f.Failed = 1
	}
	if r.Partial {
		f.Partial = 1
	}
	if r.WouldCost != 0 {
		f.WouldPremium, f.WouldSaved = r.Premium, r.CacheSaved
	} else {
		f.BilledPremium, f.BilledSaved = r.Premium, r.CacheSaved
	}
	return f
}

// SlotKind says what a Slot's Value is. A call is in one PlainSlot, and in one
// for its session and one for each of its tags, so that kinds are never added up
// together.
type SlotKind uint8

const (
	PlainSlot SlotKind = iota
	SessionSlot
	TagSlot // name=value
)

// Slot is one hour of calls that have the same of everything that usage is asked
// by.
type Slot struct {
	Hour     int64 // since 1970, UTC
	Key      string
	Model    string
	Profile  string // the model as the caller named it
	Region   string
	Endpoint string
	Kind     SlotKind
	Value    string
}

// RollUp adds a record of a day to the slots that it belongs to.
func RollUp(slots map[Slot]Figures, d Day, r *Record) {
	f := figuresOf(r)
	add := func(s Slot) {
		sum := slots[s]
		sum.Add(f)
		slots[s] = sum
	}
	hour := r.Time.Unix() / 3600
	if hour/24 != int64(d) { // a clock that jumped: figures go with their segment
		hour = int64(d) * 24
	}
	s := Slot{Hour: hour, Key: r.KeyID, Model: r.ModelID, Profile: r.Ref, Region: r.Region, Endpoint: r.Endpoint}
	add(s)
	if r.Client.Session != "" {
		s.Kind, s.Value = SessionSlot, r.Client.Session
		add(s)
	}
	for k, v := range r.Metadata {
		s.Kind, s.Value = TagSlot, k+"="+v
		add(s)
	}
}

// Dimension is what usage is asked by.
type Dimension uint8

const (
	ByHour Dimension = iota
	ByDay
	ByMonth
	ByKey
	ByModel
	ByProfile
	ByRegion
	ByEndpoint
	BySession
	ByTag
)

var dimensionNames = [...]string{"hour", "day", "month", "key", "model", "profile", "region", "endpoint", "session", "tag"}

func (d Dimension) String() string {
	if int(d) < len(dimensionNames) {
		return dimensionNames[d]
	}
	return "unknown"
}

// Dimensions lists every Dimension.
func Dimensions() []Dimension {
	ds := make([]Dimension, len(dimensionNames))
	for i := range ds {
		ds[i] = Dimension(i)
	}
	return ds
}

// UnmarshalText reads a flag's value.
func (d *Dimension) UnmarshalText(text []byte) error {
	i := slices.Index(dimensionNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is none of %s", text, strings.Join(dimensionNames[:], ", "))
	}
	*d = Dimension(i)
	return nil
}

// UsageQuery is a question about sums. Filters that are empty take everything.
type UsageQuery struct {
	Since, Until time.Time // whole hours: the one of Since is in, the one of Until is not
	By           []Dimension
	Key          string
	Model        string // the catalog's id, or the name that the caller used
	Region       string
	Endpoint     string
	Session      string
	Tag          string         // name=value
	Zone         *time.Location // of hours, days and months; nil: UTC
}

// Kind is the kind of Slot that answers the question.
func (q *UsageQuery) Kind() (SlotKind, error) {
	session := q.Session != "" || slices.Contains(q.By, BySession)
	tag := q.Tag != "" || slices.Contains(q.By, ByTag)
	switch {
	case session && tag:
		return 0, fmt.Errorf("usage is kept by session and by tag, not by both together")
	case session:
		return SessionSlot, nil
	case tag:
		return TagSlot, nil
	default:
		return PlainSlot, nil
	}
}

// Timed says that hours must be told apart.
func (q *UsageQuery) Timed() bool {
	return slices.ContainsFunc(q.By, func(d Dimension) bool { return d <= ByMonth })
}

// Daily says that the hours of a day of UTC may be taken together.
func (q *UsageQuery) Daily() bool {
	return !q.Timed() || !slices.Contains(q.By, ByHour) && q.zone() == time.UTC
}

// Hours are the bounds of Slot.Hour: from first on, before end; 0: no bound.
func (q *UsageQuery) Hours() (first, end int64) {
	if !q.Since.IsZero() {
		first = q.Since.Unix() / 3600
	}
	if !q.Until.IsZero() {
		end = (q.Until.Unix() + 3599) / 3600
	}
	return first, end
}

// Match says whether the question is about s.
func (q *UsageQuery) Match(s Slot) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	kind, err := q.Kind()
	first, end := q.Hours()
	return err == nil && s.Kind == kind && s.Hour >= first && (end == 0 || s.Hour < end) &&
		is(q.Key, s.Key) && (is(q.Model, s.Model) || q.Model == s.Profile) && is(q.Region, s.Region) &&
		is(q.Endpoint, s.Endpoint) && (kind != SessionSlot || is(q.Session, s.Value)) && (kind != TagSlot || is(q.Tag, s.Value))
}

// Usage is one line of an answer: the values of what was asked by, and the sums.
type Usage struct {
	By []string
	Figures
}

// Usage answers a question, in the order of its lines' values.
func (a *Archive) Usage(ctx context.Context, q UsageQuery) ([]Usage, error) {
	if _, err := q.Kind(); err != nil {
		return nil, err
	}
	if err := q.checkZone(); err != nil {
		return nil, err
	}
	lines := map[string]*Usage{}
	add := func(s Slot, f Figures) {
		by := q.valuesOf(s)
		key := strings.Join(by, "\x00")
		line := lines[key]
		if line == nil {
			line = &Usage{By: by}
			lines[key] = line
		}
		line.Add(f)
	}
	var marks map[Day]int64
	if a.index != nil {
		var err error
		if marks, err = a.index.Slots(ctx, q, add); err != nil {
			return nil, err
		}
	}
	fresh := map[Slot]Figures{}
	err := a.days(Filter{Since: q.Since.Truncate(time.Hour), Until: q.Until}, func(d Day) error {
		_, err := a.walk(ctx, d, marks[d], func(row Row, _ segment.Entry) error {
			RollUp(fresh, d, &row.Record)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	for s, f := range fresh {
		if q.Match(s) {
			add(s, f)
		}
	}
	out := make([]Usage, 0, len(lines))
	for _, l := range lines {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Usage) int { return slices.CompareFunc(a.By, b.By, cmp.Compare) })
	return out, nil
}

func (q *UsageQuery) zone() *time.Location {
	if q.Zone == nil {
		return time.UTC
	}
	return q.Zone
}

// checkZone refuses days whose ends cut an hour of UTC in two: the figures are
// by the hour.
func (q *UsageQuery) checkZone() error {
	if !q.Timed() {
		return nil
	}
	for _, t := range []time.Time{q.Since, q.Until} {
		if _, offset := t.In(q.zone()).Zone(); offset%3600 != 0 {
			return fmt.Errorf("usage is kept by the hour of UTC, and %s is not whole hours away from it", q.zone())
		}
	}
	return nil
}

func (q *UsageQuery) valuesOf(s Slot) []string {
	by := make([]string, len(q.By))
	for i, d := range q.By {
		by[i] = q.valueOf(s, d)
	}
	return by
}

func (q *UsageQuery) valueOf(s Slot, d Dimension) string {
	at := time.Unix(s.Hour*3600, 0).In(q.zone())
	switch d {
	case ByHour:
		return at.Format("2006-01-02T15:04Z07:00")
	case ByDay:
		return at.Format(time.DateOnly)
	case ByMonth:
		return at.Format("2006-01")
	case ByKey:
		return s.Key
	case ByModel:
		return s.Model
	case ByProfile:
		return s.Profile
	case ByRegion:
		return s.Region
	case ByEndpoint:
		return s.Endpoint
	case BySession, ByTag:
		return s.Value
	default:
		return ""
	}
}
