package activity

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// Filter takes records. Its zero members take every one.
type Filter struct {
	Since, Until time.Time // Record.Time from Since on, before Until
	RequestID    string
	Key          string
	Model        string // the catalog's id, or the name that the caller used
	Region       string
	Operation    string
	Session      string
	MinStatus    int
	MaxStatus    int
	MinCost      catalog.Nanodollars // of what was billed or would have been
	MaxCost      catalog.Nanodollars
}

// Match says whether the filter takes r.
func (f *Filter) Match(r *Record) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	cost := r.Billed + r.WouldCost
	return (f.Since.IsZero() || !r.Time.Before(f.Since)) && (f.Until.IsZero() || r.Time.Before(f.Until)) &&
		is(f.RequestID, r.RequestID) && is(f.Key, r.KeyID) && is(f.Region, r.Region) &&
		is(f.Operation, r.Operation) && is(f.Session, r.Client.Session) &&
		(is(f.Model, r.ModelID) || f.Model == r.Ref) &&
		r.Status >= f.MinStatus && (f.MaxStatus == 0 || r.Status <= f.MaxStatus) &&
		cost >= f.MinCost && (f.MaxCost == 0 || cost <= f.MaxCost)
}

// spans says whether a day can hold what the filter takes.
func (f *Filter) spans(d Day) bool {
	return (f.Since.IsZero() || d >= DayOf(f.Since)) && (f.Until.IsZero() || d.Time().Before(f.Until))
}

// Find gives the records that a filter takes, newest first, until f returns
// false. Each is a whole Record.
func (a *Archive) Find(ctx context.Context, filter Filter, f func(Ref, *Record) bool) error {
	var marks map[Day]int64
	if a.index != nil {
		var err error
		if marks, err = a.index.Marks(ctx); err != nil {
			return err
		}
	}
	err := a.days(filter, func(d Day) error {
		// What the index does not have yet is newer than what it has.
		var tail []Row
		_, err := a.walk(ctx, d, marks[d], func(row Row, _ segment.Entry) error {
			if filter.Match(&row.Record) {
				tail = append(tail, row)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, row := range slices.Backward(tail) {
			if !f(Ref{d, row.Offset}, &row.Record) {
				return errStop
			}
		}
		if marks[d] == 0 {
			return nil
		}
		return a.findIndexed(ctx, d, marks[d], filter, f)
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// findIndexed reads what the index has of a day before its mark.
func (a *Archive) findIndexed(ctx context.Context, d Day, mark int64, filter Filter, f func(Ref, *Record) bool) error {
	r, err := segment.OpenReader(a.path(d))
	if err != nil {
		return err
	}
	defer r.Close()
	var inner error
	err = a.index.Calls(ctx, d, filter, func(ref Ref) bool {
		if ref.Offset >= mark {
			return true // it has been indexed since
		}
		// The index compares ids by their digests, and a segment may have been
		// made anew under it.
		rec := new(Record)
		_, _, err := closeAt(r, ref.Offset, rec)
		switch {
		case errors.Is(err, ErrNoRecord):
		case err != nil:
			inner = err
		case filter.Match(rec) && !f(ref, rec):
			inner = errStop
		}
		return inner == nil
	})
	return errors.Join(err, inner)
}

// days calls f for each day that the filter spans, newest first. One that was
// dropped meanwhile is passed over.
func (a *Archive) days(filter Filter, f func(Day) error) error {
	days, err := a.Days()
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(days) {
		if !filter.spans(d) {
			continue
		}
		if err := f(d); err != nil && !isMissing(err) {
			return err
		}
	}
	return nil
}

// Get finds the call with a request id.
func (a *Archive) Get(ctx context.Context, requestID string) (*Exchange, error) {
	var at *Ref
	err := a.Find(ctx, Filter{RequestID: requestID}, func(ref Ref, _ *Record) bool {
		at = &ref
		return false
	})
	if err != nil {
		return nil, err
	}
	if at == nil {
		return nil, ErrNoRecord
	}
	return a.Exchange(*at)
}

// Scan gives the calls that a filter takes, with what was asked and answered,
// newest first, until f returns false. progress, if there is one, is told how
// many bytes of how many are behind.
func (a *Archive) Scan(ctx context.Context, filter Filter, progress func(done, total int64), f func(*Exchange) bool) error {
	ends := map[Day]int64{}
	before := map[Day]int64{} // bytes of newer days
	var total int64
	if err := a.days(filter, func(d Day) (err error) {
		before[d] = total
		ends[d], err = a.End(d)
		total += ends[d]
		return err
	}); err != nil {
		return err
	}
	var inner error
	err := a.Find(ctx, filter, func(ref Ref, _ *Record) bool {
		if progress != nil {
			progress(before[ref.Day]+max(ends[ref.Day]-ref.Offset, 0), total)
		}
		x, err := a.Exchange(ref)
		if errors.Is(err, ErrNoRecord) {
			return true // its segment was made anew just now
		}
		if err != nil {
			inner = err
			return false
		}
		return f(x)
	})
	return errors.Join(err, inner)
}
