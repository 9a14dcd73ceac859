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

// ModelCall says that an operation asks a model, if only for the number of its
// tokens. Of the others there is a record and no usage.
func ModelCall(operation string) bool {
	switch operation {
	case "InvokeModel", "InvokeModelWithResponseStream", "Converse", "ConverseStream", "CountTokens", "CreateMessage", "CountMessageTokens":
		return true
	default:
		return false
	}
}

// RollUp adds a record of a day to the slots that it belongs to. A change of what
// it adds needs a migration that makes the index forget: see those of sqlstore.
func RollUp(slots map[Slot]Figures, d Day, r *Record) {
	if !ModelCall(r.Operation) {
		return
	}
	f := figuresOf(r)
	add := func(s Slot) {
		sum := slots[s]
		sum.Add(f)
		slots[s] = sum
	}
	s := Slot{Hour: figuredAt(d, r).Unix() / 3600, Key: r.KeyID, Model: r.ModelID, Profile: r.Ref, Region: r.Region, Endpoint: r.Endpoint}
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

// figuredAt is when a record of a day counts: figures go with their segment,
// though a clock has jumped.
func figuredAt(d Day, r *Record) time.Time {
	if DayOf(r.Time) != d {
		return d.Time()
	}
	return r.Time
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

	// Progress, if there is one, is told how many bytes of how many have been
	// read, where the index does not have everything.
	Progress func(done, total int64)
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

// Borders lists the hours between from and to at which a day of UTC must be taken
// apart: there months begin elsewhere. ok is false where that does not do, and
// hours must be told apart.
func (q *UsageQuery) Borders(from, to int64) (hours []int64, ok bool) {
	if slices.Contains(q.By, ByHour) || slices.Contains(q.By, ByDay) || !slices.Contains(q.By, ByMonth) {
		return nil, false
	}
	t := time.Unix(from*3600, 0).In(q.zone())
	for y, m := t.Year(), t.Month(); ; m++ {
		at := time.Date(y, m, 1, 0, 0, 0, 0, q.zone()).Unix() / 3600
		if at > to {
			return hours, true
		}
		if at >= from {
			hours = append(hours, at)
		}
	}
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
	first, end := q.Hours()
	return s.Hour >= first && (end == 0 || s.Hour < end) && q.fits(s)
}

// fits is Match at any hour.
func (q *UsageQuery) fits(s Slot) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	kind, err := q.Kind()
	return err == nil && s.Kind == kind &&
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
	lines := map[string]*Usage{}
	addAt := func(s Slot, f Figures, at time.Time) {
		by := q.valuesOf(s, at)
		key := strings.Join(by, "\x00")
		line := lines[key]
		if line == nil {
			line = &Usage{By: by}
			lines[key] = line
		}
		line.Add(f)
	}
	add := func(s Slot, f Figures) { addAt(s, f, time.Unix(s.Hour*3600, 0)) }
	cuts := q.CutsHours()
	var marks map[Day]int64
	if a.index != nil && !cuts {
		var err error
		if marks, err = a.index.Slots(ctx, q, add); err != nil {
			return nil, err
		}
	}
	fresh := map[Slot]Figures{}
	span := Filter{Since: q.Since.Truncate(time.Hour), Until: q.Until}
	if cuts {
		span.Since = q.Since
	}
	progress, err := a.progress(q.Progress, span, marks)
	if err != nil {
		return nil, err
	}
	err = a.days(span, func(d Day) error {
		_, err := a.walk(ctx, d, marks[d], func(row Row, e segment.Entry) error {
			progress(d, e.End())
			if !cuts {
				RollUp(fresh, d, &row.Record)
				return nil
			}
			at := figuredAt(d, &row.Record)
			if at.Before(q.Since) || !q.Until.IsZero() && !at.Before(q.Until) {
				return nil
			}
			clear(fresh)
			RollUp(fresh, d, &row.Record)
			for s, f := range fresh {
				if q.fits(s) {
					addAt(s, f, at)
				}
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if cuts {
		clear(fresh)
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

// CutsHours says that hours, days or months are asked for whose ends cut an hour
// of UTC in two, in India or on Lord Howe Island. Figures are kept by the hour,
// so that the calls themselves are read, as long as they are kept.
func (q *UsageQuery) CutsHours() bool {
	if !q.Timed() || q.zone() == time.UTC {
		return false
	}
	from, to := q.Since, q.Until
	if from.IsZero() { // before there were records; years ago zones had other minutes
		from = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if to.Before(from) {
		to = from
	}
	for t := from; ; t = t.AddDate(0, 1, 0) { // every change of the clocks is between two
		if _, offset := t.In(q.zone()).Zone(); offset%3600 != 0 {
			return true
		}
		if t.After(to) && t.After(from.AddDate(1, 0, 0)) {
			return false
		}
	}
}

// progress gives what tells report how far a reading of the segments has come:
// everything of a day before an offset, and all newer days.
func (a *Archive) progress(report func(done, total int64), span Filter, marks map[Day]int64) (func(Day, int64), error) {
	if report == nil {
		return func(Day, int64) {}, nil
	}
	before, total := map[Day]int64{}, int64(0)
	err := a.days(span, func(d Day) error {
		end, err := a.End(d)
		before[d] = total - marks[d]
		total += max(end-marks[d], 0)
		return err
	})
	return func(d Day, at int64) { report(min(before[d]+at, total), total) }, err
}

func (q *UsageQuery) valuesOf(s Slot, at time.Time) []string {
	by := make([]string, len(q.By))
	at = at.In(q.zone())
	for i, d := range q.By {
		by[i] = q.valueOf(s, at, d)
	}
	return by
}

func (q *UsageQuery) valueOf(s Slot, at time.Time, d Dimension) string {
	switch d {
	case ByHour:
		at = at.Add(-time.Duration(at.Minute())*time.Minute - time.Duration(at.Second())*time.Second)
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
