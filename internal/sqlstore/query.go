package sqlstore

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/activity"
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

// Slots is of activity.Index. It reads figures and marks in one transaction.
func (ix *Index) Slots(ctx context.Context, q activity.UsageQuery, yield func(activity.Slot, activity.Figures)) (map[activity.Day]int64, error) {
	kind, err := q.Kind()
	if err != nil {
		return nil, err
	}
	w := &where{ctx: ctx, ix: ix}
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
	parts, err := slotParts(ctx, tx, &q, kind)
	if err != nil {
		return nil, err
	}
	query, args := sumSlots(&q, kind, parts, w)
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	s, f := activity.Slot{Kind: kind}, activity.Figures{}
	dest := append(slotFields(&q, &s), figureFields(&f)...)
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		yield(s, f)
	}
	return at, rows.Err()
}

// figures are the columns of Figures, in the order of figureFields.
func figures() []string {
	return []string{"calls", "failed", "partial", "input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "took",
		"billed", "billed_premium", "billed_saved", "would_cost", "would_premium", "would_saved"}
}

func figureFields(f *activity.Figures) []any {
	return []any{&f.Calls, &f.Failed, &f.Partial, &f.Input, &f.Output, &f.CacheRead, &f.CacheWrite5m, &f.CacheWrite1h, (*int64)(&f.Took),
		(*int64)(&f.Billed), (*int64)(&f.BilledPremium), (*int64)(&f.BilledSaved), (*int64)(&f.WouldCost), (*int64)(&f.WouldPremium), (*int64)(&f.WouldSaved)}
}

// asked lists the columns that a question tells apart, each once.
func asked(q *activity.UsageQuery) (columns []string) {
	if q.Timed() {
		columns = append(columns, "hour")
	}
	of := map[activity.Dimension]string{activity.ByKey: "key", activity.ByModel: "model", activity.ByProfile: "profile", activity.ByRegion: "region",
		activity.ByEndpoint: "endpoint", activity.BySession: "value", activity.ByTag: "value"}
	for _, d := range q.By {
		if c := of[d]; c != "" && !slices.Contains(columns, c) {
			columns = append(columns, c)
		}
	}
	return columns
}

// slotFields are where the values of asked go.
func slotFields(q *activity.UsageQuery, s *activity.Slot) (dest []any) {
	of := map[string]any{"hour": &s.Hour, "key": &s.Key, "model": &s.Model, "profile": &s.Profile, "region": &s.Region, "endpoint": &s.Endpoint, "value": &s.Value}
	for _, c := range asked(q) {
		dest = append(dest, of[c])
	}
	return dest
}

// sumSlots sums by number first, and then says the names of what is left.
func sumSlots(q *activity.UsageQuery, kind activity.SlotKind, parts []slotPart, w *where) (query string, args []any) {
	columns := asked(q)
	inner := slices.Clone(columns)
	var outer []string
	joins := ""
	for _, c := range columns {
		if c == "hour" {
			outer = append(outer, "g.hour")
			continue
		}
		outer = append(outer, "n_"+c+".text")
		joins += " JOIN name AS n_" + c + " ON n_" + c + ".id = g." + c
	}
	for _, f := range figures() {
		inner = append(inner, "SUM("+f+") AS "+f)
		outer = append(outer, "g."+f)
	}
	group := ""
	if len(columns) > 0 {
		group = " GROUP BY " + strings.Join(columns, ", ")
	}
	from, args := slotRanges(parts, int64(kind), w)
	return "SELECT " + strings.Join(outer, ", ") + " FROM (SELECT " + strings.Join(inner, ", ") + " FROM (" + from + ") AS s" + group +
		" HAVING COUNT(*) > 0) AS g" + joins, args
}

// slotPart is a range of slots of one grain.
type slotPart struct{ grain, first, end int64 }

const noEnd = 1 << 40

// slotParts takes whole days from the slots of days, and from those of hours what
// is left: at both ends, on days in which a month of the zone begins, or
// everything where hours must be told apart.
func slotParts(ctx context.Context, db querier, q *activity.UsageQuery, kind activity.SlotKind) ([]slotPart, error) {
	first, end := q.Hours()
	if end == 0 {
		end = noEnd
	}
	if q.Daily() {
		return wholeDays(nil, first, end), nil
	}
	// Months of a zone: of the time that there is.
	var lo, hi sql.NullInt64
	rows, err := db.QueryContext(ctx, "SELECT MIN(hour), MAX(hour) FROM slot WHERE kind = ? AND grain = 1", int64(kind))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&lo, &hi); err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	first, end = max(first, lo.Int64), min(end, hi.Int64+24)
	borders, ok := q.Borders(first, end)
	if !ok {
		return []slotPart{{0, first, end}}, nil
	}
	var parts []slotPart
	for _, at := range borders {
		// An hour more on both sides: where clocks change at midnight, the month
		// may begin next to it.
		from, to := (at-1)/24*24, (at+1)/24*24+24
		if from > first {
			parts = wholeDays(parts, first, min(from, end))
		}
		if from, to = max(from, first), min(to, end); from < to {
			parts = append(parts, slotPart{0, from, to})
			first = to
		}
	}
	return wholeDays(parts, first, end), nil
}

// wholeDays takes days from those of days, and what is left of the hours.
func wholeDays(parts []slotPart, first, end int64) []slotPart {
	dayFirst, dayEnd := (first+23)/24*24, end/24*24
	if end == noEnd {
		dayEnd = noEnd
	}
	if dayFirst >= dayEnd {
		return append(parts, slotPart{0, first, end})
	}
	return append(parts, slotPart{1, dayFirst, dayEnd}, slotPart{0, first, dayFirst}, slotPart{0, dayEnd, end})
}

func slotRanges(parts []slotPart, kind int64, w *where) (query string, args []any) {
	var selects []string
	for _, p := range parts {
		if p.first >= p.end {
			continue
		}
		s := "SELECT * FROM slot WHERE kind = ? AND grain = ? AND hour >= ? AND hour < ?"
		args = append(append(args, kind, p.grain, p.first, p.end), w.args...)
		if len(w.parts) > 0 {
			s += " AND " + w.String()
		}
		selects = append(selects, s)
	}
	if len(selects) == 0 {
		return "SELECT * FROM slot WHERE kind < 0", nil
	}
	return strings.Join(selects, " UNION ALL "), args
}
