// Package sqlstoretest is what every implementation of a store must pass.
//
// Invariant: it knows the interfaces alone; each test opens a store of its own.
//
// Not a goal: speed.
package sqlstoretest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Index holds an activity.Index to its contract. open gives an empty one.
func Index(t *testing.T, open func(t *testing.T) activity.Index) {
	t.Run("agrees with the segments", func(t *testing.T) { agrees(t, open(t)) })
	t.Run("reset and drop", func(t *testing.T) { forgets(t, open(t)) })
	t.Run("all or nothing", func(t *testing.T) { allOrNothing(t, open(t)) })
}

var start = time.Date(2026, 10, 30, 22, 15, 0, 0, time.UTC)

// Record makes the n-th of a random, repeatable sequence, over four days.
func Record(r *rand.Rand, n int) activity.Record {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	rec := activity.Record{
		RequestID: fmt.Sprintf("request-%d", n), Time: start.Add(time.Duration(r.Int64N(int64(76 * time.Hour)))), Duration: time.Duration(r.IntN(1e9)),
		Operation: pick("InvokeModel", "Converse", "CreateMessage"), Account: "123456789012", Principal: "arn:aws:iam::123456789012:user/test", KeyID: pick("AKIA1", "AKIA2", "key-3"),
		Region: pick("us-east-1", "eu-west-1"), Ref: pick("global.a", "us.a", "b"), Endpoint: pick("global", "geographic"),
		Status: []int{200, 200, 200, 400, 429, 503}[r.IntN(6)], Partial: r.IntN(20) == 0,
		Usage: messages.Usage{InputTokens: r.Int64N(1000), OutputTokens: r.Int64N(1000), CacheReadInputTokens: r.Int64N(1000),
			CacheCreationInputTokens: 700, CacheCreation: messages.CacheCreation{Ephemeral1h: r.Int64N(700)}},
	}
	rec.ModelID = map[string]string{"global.a": "model-a", "us.a": "model-a", "b": "model-b"}[rec.Ref]
	if r.IntN(2) == 0 {
		rec.Client.Session = pick("s1", "s2", "s3", "s4")
	}
	if r.IntN(2) == 0 {
		rec.Metadata = map[string]string{"team": pick("red", "blue"), "stage": "test"}
	}
	cost := catalog.Nanodollars(r.Int64N(1e7))
	rec.Premium, rec.CacheSaved = cost/11, cost/3-1000
	if rec.Region == "us-east-1" {
		rec.Billed = cost
	} else {
		rec.WouldCost = cost
	}
	return rec
}

func store(t *testing.T, dir string, ix activity.Index) *activity.Store {
	t.Helper()
	s, err := activity.OpenStore(dir, activity.Options{Index: ix, Retention: 1000, Now: func() time.Time { return start }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// agrees: with the index, full, half filled or empty, every answer is what the
// segments alone give.
func agrees(t *testing.T, ix activity.Index) {
	ctx, dir := t.Context(), t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	n := 0
	more := func(count int, ix activity.Index) {
		s := store(t, dir, ix)
		for range count {
			rec := Record(r, n)
			if n%10 == 0 { // of no model: a record without usage
				rec.Operation, rec.Ref, rec.ModelID = "outcrop:ListKeys", "", ""
			}
			s.Record(rec)
			n++
		}
		s.Close()
	}
	check := func(stage string) {
		t.Helper()
		with, without := activity.NewArchive(dir, ix), activity.NewArchive(dir, nil)
		for i := range 60 {
			f := randomFilter(r, n)
			a, b := found(t, with, f), found(t, without, f)
			if !slices.Equal(a, b) {
				t.Fatalf("%s, filter %d %+v: %d records with the index, %d without", stage, i, f, len(a), len(b))
			}
		}
		for i := range 60 {
			q := randomQuery(r)
			a, errA := with.Usage(ctx, q)
			b, errB := without.Usage(ctx, q)
			if !reflect.DeepEqual(a, b) || fmt.Sprint(errA) != fmt.Sprint(errB) {
				t.Fatalf("%s, query %d %+v:\n%v %v\n%v %v", stage, i, q, a, errA, b, errB)
			}
		}
	}
	more(500, nil)
	sums, err := activity.NewArchive(dir, nil).Usage(ctx, activity.UsageQuery{})
	if err != nil || len(sums) != 1 || sums[0].Calls != 450 {
		t.Errorf("450 calls of models are %+v, %v", sums, err)
	}
	check("empty index")
	more(0, ix)
	check("full index")
	more(300, nil)
	check("half an index")
	more(100, ix)
	check("full again")
	marks, err := ix.Marks(ctx)
	if err != nil || len(marks) != 5 {
		t.Errorf("marks of %d days, %v", len(marks), err)
	}
}

func found(t *testing.T, a *activity.Archive, f activity.Filter) (ids []string) {
	t.Helper()
	if err := a.Find(t.Context(), f, func(_ activity.Ref, r *activity.Record) bool {
		ids = append(ids, r.RequestID)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

func randomFilter(r *rand.Rand, n int) (f activity.Filter) {
	when := func() time.Time { return start.Add(time.Duration(r.Int64N(int64(80*time.Hour))) - time.Hour) }
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	for _, set := range []func(){
		func() { f.Since = when() }, func() { f.Until = when() },
		func() { f.Key = pick("AKIA1", "AKIA2", "nobody") }, func() { f.Model = pick("model-a", "us.a", "b", "model-c") },
		func() { f.Region = "eu-west-1" }, func() { f.Operation = "Converse" }, func() { f.Session = pick("s1", "s9") },
		func() { f.MinStatus = []int{400, 429}[r.IntN(2)] }, func() { f.MaxStatus = []int{429, 499}[r.IntN(2)] },
		func() { f.MinCost = 5e6 }, func() { f.MaxCost = 2e6 },
		func() { f.RequestID = fmt.Sprintf("request-%d", r.IntN(n+2)) },
	} {
		if r.IntN(6) == 0 {
			set()
		}
	}
	return f
}

func randomQuery(r *rand.Rand) (q activity.UsageQuery) {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	zone := func() {
		if l, err := time.LoadLocation(pick("Europe/Madrid", "America/New_York", "Pacific/Auckland", "Pacific/Kiritimati", "Asia/Kolkata")); err == nil {
			q.Zone = l
		}
	}
	for _, set := range []func(){
		zone, zone, func() { q.By = append(q.By, activity.ByMonth) },
		func() { q.Since = start.Add(time.Duration(r.IntN(60)) * time.Hour) }, func() { q.Until = start.Add(time.Duration(r.IntN(80)) * time.Hour) },
		func() { q.Key = pick("AKIA1", "nobody") }, func() { q.Model = pick("model-a", "us.a") }, func() { q.Region = "eu-west-1" },
		func() { q.Endpoint = "global" }, func() { q.Session = pick("s1", "s9") }, func() { q.Tag = pick("team=red", "team=pink") },
		func() { q.By = append(q.By, activity.Dimension(r.IntN(len(activity.Dimensions())))) },
		func() { q.By = append(q.By, activity.Dimension(r.IntN(len(activity.Dimensions())))) },
		func() { q.By = append(q.By, activity.ByDay) },
	} {
		if r.IntN(4) == 0 {
			set()
		}
	}
	return q
}

func rowsOf(r *rand.Rand, d activity.Day, count int) (rows []activity.Row) {
	for i := range count {
		rec := Record(r, i)
		rec.Time = d.Time().Add(time.Duration(i) * time.Minute)
		rec.Client.Session, rec.Metadata = "session of "+d.String(), map[string]string{"team": "red"}
		rows = append(rows, activity.Row{Offset: int64(100 + i), Record: rec})
	}
	return rows
}

func forgets(t *testing.T, ix activity.Index) {
	ctx := t.Context()
	r := rand.New(rand.NewPCG(3, 4))
	first := activity.DayOf(start)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for d := first; d < first+3; d++ {
		must(ix.Add(ctx, d, rowsOf(r, d, 100), 1000))
	}
	calls := func(d activity.Day) (n int) {
		must(ix.Calls(ctx, d, activity.Filter{}, func(activity.Ref) bool { n++; return true }))
		return n
	}
	sums := func(q activity.UsageQuery) (n int64) {
		_, err := ix.Slots(ctx, q, func(_ activity.Slot, f activity.Figures) { n += f.Calls })
		must(err)
		return n
	}
	plain, sessions := activity.UsageQuery{}, activity.UsageQuery{By: []activity.Dimension{activity.BySession}}
	must(ix.Drop(ctx, first))
	if calls(first) != 0 || calls(first+1) != 100 || sums(plain) != 300 || sums(sessions) != 200 {
		t.Errorf("after Drop: %d and %d calls, %d in the figures, %d by session", calls(first), calls(first+1), sums(plain), sums(sessions))
	}
	must(ix.Reset(ctx, first+1))
	if calls(first+1) != 0 || calls(first+2) != 100 || sums(plain) != 200 || sums(sessions) != 100 {
		t.Errorf("after Reset: %d and %d calls, %d in the figures, %d by session", calls(first+1), calls(first+2), sums(plain), sums(sessions))
	}
	marks, err := ix.Marks(ctx)
	if want := (map[activity.Day]int64{first + 2: 1000}); err != nil || !maps.Equal(marks, want) {
		t.Errorf("marks %v, %v", marks, err)
	}
	must(ix.Add(ctx, first+1, rowsOf(r, first+1, 10), 50))
	if calls(first+1) != 10 || sums(plain) != 210 {
		t.Errorf("filled again: %d calls, %d in the figures", calls(first+1), sums(plain))
	}
	stopped := 0
	must(ix.Calls(ctx, first+2, activity.Filter{}, func(activity.Ref) bool { stopped++; return stopped < 3 }))
	if stopped != 3 {
		t.Errorf("a reader that stops at 3 was given %d", stopped)
	}
}

func allOrNothing(t *testing.T, ix activity.Index) {
	ctx := t.Context()
	r := rand.New(rand.NewPCG(5, 6))
	d := activity.DayOf(start)
	rows := rowsOf(r, d, 50)
	if err := ix.Add(ctx, d, rows, 500); err != nil {
		t.Fatal(err)
	}
	again := append(rowsOf(r, d, 70)[50:], rows[0]) // the last one is there already
	again[0].Record.KeyID = "a name that is new"
	if err := ix.Add(ctx, d, again, 900); err == nil {
		t.Fatal("a record went in twice")
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := ix.Add(gone, d, rowsOf(r, d, 80)[70:], 900); err == nil {
		t.Fatal("Add after its context has ended")
	}
	n := 0
	if err := ix.Calls(ctx, d, activity.Filter{}, func(activity.Ref) bool { n++; return true }); err != nil || n != 50 {
		t.Errorf("%d calls, %v", n, err)
	}
	var f activity.Figures
	marks, err := ix.Slots(ctx, activity.UsageQuery{}, func(_ activity.Slot, g activity.Figures) { f.Add(g) })
	if err != nil || f.Calls != 50 || marks[d] != 500 {
		t.Errorf("%d calls in the figures up to %d, %v", f.Calls, marks[d], err)
	}
	if err := ix.Add(ctx, d, again[:20], 900); err != nil {
		t.Errorf("after a failure: %v", err)
	}
}
