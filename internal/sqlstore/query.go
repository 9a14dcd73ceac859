package sqlstore

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// where collects conditions.
type where struct {
	ctx   context.Context
	ix    *Index
	parts []string
	args  []any
	none  bool // a name is asked for that nothing has
	err   error
}

func (w *where) is(condition string, args ...any) {
	w.parts = append(w.parts, condition)
	w.args = append(w.args, args...)
}

// named asks that one of the columns has a name. Empty: any.
func (w *where) named(text string, columns ...string) {
	if text == "" || w.err != nil {
		return
	}
	id, ok, err := w.ix.find(w.ctx, text)
	w.err = err
	w.none = w.none || !ok
	args := make([]any, len(columns))
	for i := range args {
		args[i] = id
	}
	w.is("("+strings.Join(columns, " = ? OR ")+" = ?)", args...)
}

func (w *where) String() string { return strings.Join(w.parts, " AND ") }

// Calls is of activity.Index.
func (ix *Index) Calls(ctx context.Context, d activity.Day, f activity.Filter, yield func(activity.Ref) bool) error {
	w := &where{ctx: ctx, ix: ix}
	w.is("id >= ? AND id < ?", idRange(d)...)
	if !f.Since.IsZero() {
		w.is("time >= ?", f.Since.UnixMilli())
	}
	if !f.Until.IsZero() {
		w.is("time <= ?", f.Until.UnixMilli())
	}
	if f.RequestID != "" {
		w.is("request = ?", digest(f.RequestID))
	}
	w.named(f.Key, "key")
	w.named(f.Model, "model", "ref")
	w.named(f.Region, "region")
	w.named(f.Operation, "operation")
	w.named(f.Session, "session")
	if f.MinStatus > 0 {
		w.is("status >= ?", f.MinStatus)
	}
	if f.MaxStatus > 0 {
		w.is("status <= ?", f.MaxStatus)
	}
	if f.MinCost > 0 {
		w.is("cost >= ?", int64(f.MinCost))
	}
	if f.MaxCost > 0 {
		w.is("cost <= ?", int64(f.MaxCost))
	}
	if w.err != nil || w.none {
		return w.err
	}
	rows, err := ix.db.QueryContext(ctx, "SELECT id FROM call WHERE "+w.String()+" ORDER BY id DESC", w.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if !yield(activity.RefOf(id)) {
			return nil
		}
	}
	return rows.Err()
}

const figureSums = `SUM(calls), SUM(failed), SUM(partial), SUM(input), SUM(output), SUM(cache_read), SUM(cache_write_5m), SUM(cache_write_1h), SUM(took),
	SUM(billed), SUM(billed_premium), SUM(billed_saved), SUM(would_cost), SUM(would_premium), SUM(would_saved)`

// Slots is of activity.Index. It reads figures and marks in one transaction.
func (ix *Index) Slots(ctx context.Context, q activity.UsageQuery, yield func(activity.Slot, activity.Figures)) (map[activity.Day]int64, error) {
	kind, err := q.Kind()
	if err != nil {
		return nil, err
	}
	w := &where{ctx: ctx, ix: ix}
	w.is("kind = ?", int64(kind))
	first, end := q.Hours()
	if first > 0 {
		w.is("hour >= ?", first)
	}
	if end > 0 {
		w.is("hour < ?", end)
	}
	w.named(q.Key, "key")
	w.named(q.Model, "model", "profile")
	w.named(q.Region, "region")
	w.named(q.Endpoint, "endpoint")
	w.named(q.Session, "value")
	w.named(q.Tag, "value")
	if w.err != nil {
		return nil, w.err
	}
	tx, err := ix.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	at, err := marks(ctx, tx)
	if err != nil || w.none {
		return at, err
	}
	columns, of := slotColumns(&q)
	group := ""
	if len(columns) > 0 {
		group = " GROUP BY " + strings.Join(columns, ", ")
	}
	query := "SELECT " + strings.Join(append(columns, figureSums), ", ") + " FROM slot WHERE " + w.String() + group
	rows, err := tx.QueryContext(ctx, query, w.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	type line struct {
		ids [8]int64
		f   activity.Figures
	}
	var lines []line
	for rows.Next() {
		var l line
		var sums [15]sql.NullInt64 // NULL: there was nothing to sum
		dest := make([]any, 0, len(columns)+len(sums))
		for i := range columns {
			dest = append(dest, &l.ids[i])
		}
		for i := range sums {
			dest = append(dest, &sums[i])
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		if !sums[0].Valid {
			continue
		}
		l.f = figuresFrom(sums)
		lines = append(lines, l)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, l := range lines {
		s := activity.Slot{Kind: kind}
		for i, set := range of {
			if err := set(ctx, tx, ix, &s, l.ids[i]); err != nil {
				return nil, err
			}
		}
		yield(s, l.f)
	}
	return at, nil
}

func figuresFrom(n [15]sql.NullInt64) activity.Figures {
	money := func(i int) catalog.Nanodollars { return catalog.Nanodollars(n[i].Int64) }
	return activity.Figures{Calls: n[0].Int64, Failed: n[1].Int64, Partial: n[2].Int64, Input: n[3].Int64, Output: n[4].Int64, CacheRead: n[5].Int64,
		CacheWrite5m: n[6].Int64, CacheWrite1h: n[7].Int64, Took: time.Duration(n[8].Int64),
		Billed: money(9), BilledPremium: money(10), BilledSaved: money(11), WouldCost: money(12), WouldPremium: money(13), WouldSaved: money(14)}
}

// setter puts a column's number into a Slot.
type setter func(ctx context.Context, tx *sql.Tx, ix *Index, s *activity.Slot, id int64) error

// slotColumns are the columns that must be told apart, and what they set.
func slotColumns(q *activity.UsageQuery) (columns []string, of []setter) {
	text := func(into func(*activity.Slot) *string) setter {
		return func(ctx context.Context, tx *sql.Tx, ix *Index, s *activity.Slot, id int64) (err error) {
			*into(s), err = ix.text(ctx, tx, id)
			return err
		}
	}
	add := func(column string, set setter) {
		columns, of = append(columns, column), append(of, set)
	}
	if q.Timed() {
		add("hour", func(_ context.Context, _ *sql.Tx, _ *Index, s *activity.Slot, hour int64) error {
			s.Hour = hour
			return nil
		})
	}
	seen := map[string]bool{}
	for _, d := range q.By {
		column, set := "", setter(nil)
		switch d {
		case activity.ByKey:
			column, set = "key", text(func(s *activity.Slot) *string { return &s.Key })
		case activity.ByModel:
			column, set = "model", text(func(s *activity.Slot) *string { return &s.Model })
		case activity.ByProfile:
			column, set = "profile", text(func(s *activity.Slot) *string { return &s.Profile })
		case activity.ByRegion:
			column, set = "region", text(func(s *activity.Slot) *string { return &s.Region })
		case activity.ByEndpoint:
			column, set = "endpoint", text(func(s *activity.Slot) *string { return &s.Endpoint })
		case activity.BySession, activity.ByTag:
			column, set = "value", text(func(s *activity.Slot) *string { return &s.Value })
		default:
			continue // the time, above
		}
		if !seen[column] {
			seen[column] = true
			add(column, set)
		}
	}
	return columns, of
}
