package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/activity"
)

// Index is the index of the activity log. One process may fill it, any number
// may read it.
type Index struct {
	db   *sql.DB
	path string

	adding sync.Mutex       // of Add, Reset and Drop: there is one writer
	ids    map[string]int64 // of names, for the writer alone
	calls  *sql.Stmt        // of a full batch
	slots  *sql.Stmt
}

var _ activity.Index = (*Index)(nil)

// OpenIndex opens or makes the index for the process that fills it. A file that
// is damaged is set aside, as path + ".damaged", and begun anew.
func OpenIndex(ctx context.Context, path string) (*Index, error) {
	ix, err := openIndex(ctx, path)
	if err == nil || !damaged(err) {
		return ix, err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, path+".damaged"+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return openIndex(ctx, path)
}

func openIndex(ctx context.Context, path string) (_ *Index, err error) {
	db, err := openDB(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
			err = fmt.Errorf("index %s: %w", path, err)
		}
	}()
	if err := migrate(ctx, db, "index"); err != nil {
		return nil, err
	}
	ix := newIndex(db, path)
	if ix.calls, err = db.PrepareContext(ctx, insertCalls(callRows)); err != nil {
		return nil, err
	}
	if ix.slots, err = db.PrepareContext(ctx, upsertSlot()); err != nil {
		return nil, err
	}
	return ix, nil
}

// ReadIndex opens the index beside the process that fills it.
func ReadIndex(ctx context.Context, path string) (_ *Index, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := openDB(path, "query_only(true)")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
			err = fmt.Errorf("index %s: %w", path, err)
		}
	}()
	p, err := provider(db, "index")
	if err != nil {
		return nil, err
	}
	if err := checkVersion(ctx, p, true); err != nil {
		return nil, err
	}
	return newIndex(db, path), nil
}

func newIndex(db *sql.DB, path string) *Index {
	return &Index{db: db, path: path, ids: map[string]int64{}}
}

// Close closes the file.
func (ix *Index) Close() error { return ix.db.Close() }

// Marks is of activity.Index.
func (ix *Index) Marks(ctx context.Context) (map[activity.Day]int64, error) { return marks(ctx, ix.db) }

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func marks(ctx context.Context, db querier) (map[activity.Day]int64, error) {
	rows, err := db.QueryContext(ctx, "SELECT day, mark FROM segment")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	m := map[activity.Day]int64{}
	for rows.Next() {
		var day, mark int64
		if err := rows.Scan(&day, &mark); err != nil {
			return nil, err
		}
		m[activity.Day(day)] = mark
	}
	return m, rows.Err()
}

// keepFigures is how long hourly figures outlive their records: long enough to
// compare a month with that of the year before.
const keepFigures = 400 // days

// within runs f in one transaction of the writer. It needs adding.
func (ix *Index) within(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := ix.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

type statement struct {
	text string
	args []any
}

func (ix *Index) run(ctx context.Context, statements ...statement) error {
	ix.adding.Lock()
	defer ix.adding.Unlock()
	clear(ix.ids)
	return ix.within(ctx, func(tx *sql.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(ctx, s.text, s.args...); err != nil {
				return fmt.Errorf("%s: %w", s.text, err)
			}
		}
		return nil
	})
}

func idRange(d activity.Day) []any {
	return []any{activity.Ref{Day: d}.ID(), activity.Ref{Day: d + 1}.ID()}
}

func hourRange(d activity.Day) []any { return []any{int64(d) * 24, int64(d)*24 + 24} }

// Reset is of activity.Index.
func (ix *Index) Reset(ctx context.Context, d activity.Day) error {
	return ix.run(ctx,
		statement{"DELETE FROM call WHERE id >= ? AND id < ?", idRange(d)},
		statement{"DELETE FROM slot WHERE kind IN (0, 1, 2) AND grain IN (0, 1) AND hour >= ? AND hour < ?", hourRange(d)},
		statement{"DELETE FROM segment WHERE day = ?", []any{int64(d)}})
}

// Drop is of activity.Index. Names that nothing uses any more go too: a session
// or a tag must not outlive its records.
func (ix *Index) Drop(ctx context.Context, d activity.Day) error {
	return ix.run(ctx,
		statement{"DELETE FROM call WHERE id >= ? AND id < ?", idRange(d)},
		statement{"DELETE FROM slot WHERE kind IN (1, 2) AND grain IN (0, 1) AND hour >= ? AND hour < ?", hourRange(d)},
		statement{"DELETE FROM slot WHERE hour < ?", []any{(int64(d) - keepFigures) * 24}},
		statement{"DELETE FROM segment WHERE day = ?", []any{int64(d)}},
		statement{`DELETE FROM name WHERE id <> 0 AND id NOT IN (
			SELECT key FROM call UNION SELECT model FROM call UNION SELECT ref FROM call UNION SELECT region FROM call
			UNION SELECT operation FROM call UNION SELECT session FROM call
			UNION SELECT key FROM slot UNION SELECT model FROM slot UNION SELECT profile FROM slot UNION SELECT region FROM slot
			UNION SELECT endpoint FROM slot UNION SELECT value FROM slot)`, nil})
}

// callColumns is the number of columns of call; callRows is how many rows go in
// with one statement.
const (
	callColumns = 11
	callRows    = 20
)

func insertCalls(rows int) string {
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", callColumns), ",") + ")"
	return "INSERT INTO call (id, request, status, cost, key, model, ref, time, region, operation, session) VALUES " +
		strings.TrimSuffix(strings.Repeat(one+",", rows), ",")
}

// slotColumns is the number of columns of slot that are its key.
const slotColumns = 9

// upsertSlot adds figures to a slot.
func upsertSlot() string {
	key, sums := "kind, grain, hour, value, key, model, profile, region, endpoint", figures()
	set := make([]string, len(sums))
	for i, f := range sums {
		set[i] = f + " = slot." + f + " + excluded." + f
	}
	return "INSERT INTO slot (" + key + ", " + strings.Join(sums, ", ") + ") VALUES (" + strings.TrimSuffix(strings.Repeat("?, ", slotColumns+len(sums)), ", ") +
		") ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(set, ", ")
}

// Add is of activity.Index.
func (ix *Index) Add(ctx context.Context, d activity.Day, rows []activity.Row, mark int64) error {
	ix.adding.Lock()
	defer ix.adding.Unlock()
	fresh := map[string]int64{}
	err := ix.within(ctx, func(tx *sql.Tx) error {
		n := &namer{ctx: ctx, tx: tx, ix: ix, fresh: fresh}
		for batch := range slices.Chunk(rows, callRows) {
			if err := ix.addCalls(ctx, tx, n, d, batch); err != nil {
				return err
			}
		}
		if err := ix.addSlots(ctx, tx, n, d, rows); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO segment (day, mark) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET mark = excluded.mark", int64(d), mark)
		return err
	})
	if err != nil {
		return err
	}
	if len(ix.ids) >= maxNames {
		clear(ix.ids)
	}
	maps.Copy(ix.ids, fresh)
	return nil
}

func (ix *Index) addCalls(ctx context.Context, tx *sql.Tx, n *namer, d activity.Day, rows []activity.Row) error {
	args := make([]any, 0, callRows*callColumns)
	for i := range rows {
		r := &rows[i].Record
		args = append(args, activity.Ref{Day: d, Offset: rows[i].Offset}.ID(), digest(r.RequestID), int64(r.Status), int64(r.Billed+r.WouldCost),
			n.id(r.KeyID), n.id(r.ModelID), n.id(r.Ref), r.Time.UnixMilli(), n.id(r.Region), n.id(r.Operation), n.id(r.Client.Session))
	}
	if n.err != nil {
		return n.err
	}
	var err error
	if len(rows) == callRows {
		_, err = tx.StmtContext(ctx, ix.calls).ExecContext(ctx, args...)
	} else {
		_, err = tx.ExecContext(ctx, insertCalls(len(rows)), args...)
	}
	return err
}

func (ix *Index) addSlots(ctx context.Context, tx *sql.Tx, n *namer, d activity.Day, rows []activity.Row) error {
	hours, days := map[activity.Slot]activity.Figures{}, map[activity.Slot]activity.Figures{}
	for i := range rows {
		activity.RollUp(hours, d, &rows[i].Record)
	}
	for s, f := range hours {
		s.Hour = int64(d) * 24
		sum := days[s]
		sum.Add(f)
		days[s] = sum
	}
	insert := tx.StmtContext(ctx, ix.slots)
	for grain, slots := range []map[activity.Slot]activity.Figures{hours, days} {
		for s, f := range slots {
			args := []any{int64(s.Kind), int64(grain), s.Hour, n.id(s.Value), n.id(s.Key), n.id(s.Model), n.id(s.Profile), n.id(s.Region), n.id(s.Endpoint)}
			if n.err != nil {
				return n.err
			}
			if _, err := insert.ExecContext(ctx, append(args, figureFields(&f)...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// digest stands for a request id. Different ids may share one, so that who looks
// for an id has to compare it.
func digest(id string) int64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return int64(h.Sum64())
}
