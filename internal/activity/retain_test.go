package activity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a clock that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

func callAt(t testing.TB, s *Store, id string, at time.Time, body []byte) {
	t.Helper()
	r := started(id)
	r.Time = at
	e, err := s.Open(context.Background(), Opening{Record: r, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	e.Frame("message", []byte(`{"id":"`+id+`"}`))
	r.Status = 200
	if err := e.Close(r); err != nil {
		t.Fatal(err)
	}
}

func kept(t testing.TB, dir string) (days []string) {
	t.Helper()
	ds, err := NewArchive(dir, nil).Days()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range ds {
		days = append(days, d.String())
	}
	return days
}

// A record is kept for the whole of its time, and its day goes at the midnight
// at which the last of it is past it; whichever month, leap day or clock change
// is between.
func TestRetention(t *testing.T) {
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Skipf("SKIPPED: no time zones here: %v", err)
	}
	for _, c := range []struct {
		day  string
		days int
		gone string // the first moment without it
	}{
		{"2026-11-22", 30, "2026-12-23T00:00:00Z"},
		{"2026-01-31", 30, "2026-03-03T00:00:00Z"},
		{"2028-02-01", 30, "2028-03-03T00:00:00Z"}, // a leap year
		{"2026-12-31", 1, "2027-01-02T00:00:00Z"},
		{"2026-10-24", 1, "2026-10-26T00:00:00Z"}, // the clocks of Europe go back
		{"2026-03-28", 1, "2026-03-30T00:00:00Z"},
	} {
		t.Run(c.day, func(t *testing.T) {
			day, _ := ParseDay(c.day)
			gone, _ := time.Parse(time.RFC3339, c.gone)
			now := &clock{at: day.Time().Add(25 * time.Hour).In(madrid)}
			dir := t.TempDir()
			s := openStore(t, dir, Options{still: true, Retention: c.days, Now: now.now})
			callAt(t, s, "first", day.Time(), []byte("{}"))
			callAt(t, s, "last", day.Time().Add(24*time.Hour-1), []byte("{}"))
			os.WriteFile(filepath.Join(dir, c.day+".seg.cut"), []byte("x"), 0o600)
			for _, step := range []struct {
				at   time.Time
				want int
			}{{gone.Add(-time.Nanosecond), 1}, {gone, 0}} {
				now.set(step.at.In(madrid))
				if err := s.Tend(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := kept(t, dir); len(got) != step.want {
					t.Errorf("at %s: %v", step.at, got)
				}
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestRetentionOrder(t *testing.T) {
	now := &clock{at: noon}
	dir := t.TempDir()
	var dropped []Day
	veto := errors.New("not yet")
	s := openStore(t, dir, Options{still: true, Retention: 2, Now: now.now, BeforeDrop: func(d Day) error {
		if veto != nil {
			return veto
		}
		if _, err := NewArchive(dir, nil).Walk(context.Background(), d, 0, func(Ref, *Record) error { return nil }); err != nil {
			t.Errorf("before the drop: %v", err)
		}
		dropped = append(dropped, d)
		return nil
	}})
	for i := range 5 {
		callAt(t, s, fmt.Sprint(i), noon.AddDate(0, 0, -i), []byte("{}"))
	}
	if err := s.Tend(t.Context()); !errors.Is(err, veto) {
		t.Errorf("%v", err)
	}
	if got := kept(t, dir); len(got) != 5 {
		t.Errorf("kept %v against a veto", got)
	}
	veto = nil
	if err := s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(kept(t, dir)); got != "[2026-11-20 2026-11-21 2026-11-22]" {
		t.Errorf("kept %s", got)
	}
	if fmt.Sprint(dropped) != "[2026-11-18 2026-11-19]" {
		t.Errorf("dropped %v", dropped)
	}
	// A call of a day that is over, which is still under way, holds its segment.
	old := started("slow")
	old.Time = noon.AddDate(0, 0, -2)
	e, _ := s.Open(t.Context(), Opening{Record: old, Body: []byte("{}")})
	now.set(noon.AddDate(0, 0, 10))
	if err := s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(kept(t, dir)); got != "[2026-11-20]" {
		t.Errorf("kept %s under a call", got)
	}
	if err := e.Close(old); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := kept(t, dir); len(got) != 0 {
		t.Errorf("kept %v", got)
	}
}

// A call belongs to the day in which it began, however long it takes.
func TestMidnight(t *testing.T) {
	now := &clock{at: noon.Add(12*time.Hour - time.Second)}
	dir := t.TempDir()
	s := openStore(t, dir, Options{still: true, Now: now.now})
	r := started("late")
	r.Time = now.now()
	e, _ := s.Open(t.Context(), Opening{Record: r, Body: []byte("{}")})
	now.set(noon.Add(13 * time.Hour))
	if err := s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	callAt(t, s, "early", now.now(), []byte("{}"))
	e.Frame("message", []byte("{}"))
	if err := e.Close(r); err != nil {
		t.Fatal(err)
	}
	if err := s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(kept(t, dir)); got != "[2026-11-22 2026-11-23]" {
		t.Errorf("days %s", got)
	}
	if x := get(t, dir, "late"); x.Ref.Day.String() != "2026-11-22" || len(x.Events) != 1 {
		t.Errorf("%+v", x)
	}
	// Its segment was closed at the second Tend; a late comer opens it again.
	callAt(t, s, "later still", noon, []byte("{}"))
	s.Close()
	if n := len(records(t, dir)); n != 3 {
		t.Errorf("%d records", n)
	}
}

func TestMaxBytes(t *testing.T) {
	now := &clock{at: noon}
	dir := t.TempDir()
	var said bytes.Buffer
	const most = 1 << 20
	s := openStore(t, dir, Options{still: true, MaxBytes: most, Now: now.now, Log: slog.New(slog.NewTextHandler(&said, nil))})
	body := bytes.Repeat([]byte("some text "), 5000) // 50 kB
	n := 0
	fillDay := func(at time.Time, calls int) {
		for range calls {
			callAt(t, s, fmt.Sprint(n), at, body)
			n++
		}
		if err := s.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	contents := func() (of [4]int) {
		for _, r := range records(t, dir) {
			of[r.Content]++
		}
		return of
	}
	for i := range 4 {
		fillDay(noon.AddDate(0, 0, i-4), 4)
	}
	if said.Len() > 0 {
		t.Errorf("at 80 %% or less: %s", &said)
	}
	fillDay(noon.AddDate(0, 0, -4), 1)
	if got := strings.Count(said.String(), "little room"); got != 1 {
		t.Errorf("over 80 %%: %s", &said)
	}
	fillDay(noon, 7)
	if got := contents(); got[Dropped] != 5 || got[Kept] != 19 {
		t.Errorf("over the limit: %v", got)
	}
	if !strings.Contains(said.String(), "were dropped") || !strings.Contains(said.String(), "day=2026-11-18") {
		t.Errorf("it is not said: %s", &said)
	}
	if x := get(t, dir, "0"); x.Record.Content != Dropped || x.Input != nil || x.Record.KeyID != "AKIA" {
		t.Errorf("%+v", x)
	}
	if x := get(t, dir, "17"); !bytes.Equal(x.Input, body) {
		t.Error("a request that had room")
	}
	// Today alone is too much.
	fillDay(noon, 20)
	said.Reset()
	fillDay(noon, 1)
	if x := get(t, dir, fmt.Sprint(n-1)); x.Input != nil || x.Record.Content != NotKept || x.Record.Status != 200 {
		t.Errorf("while it is full: %+v", x.Record)
	}
	if size, _ := s.size(); size > 2*most {
		t.Errorf("%d bytes", size)
	}
	now.set(noon.AddDate(0, 0, 1))
	fillDay(now.now(), 1)
	fillDay(now.now(), 1)
	if x := get(t, dir, fmt.Sprint(n-1)); !bytes.Equal(x.Input, body) {
		t.Errorf("the next day: %+v", x.Record)
	}
	if got := contents(); got[Kept] != 1 || len(records(t, dir)) != n {
		t.Errorf("in the end: %v of %d", got, n)
	}
}

// The days and hours of a place are those of its clocks.
func TestUsageZones(t *testing.T) {
	load := func(name string) *time.Location {
		l, err := time.LoadLocation(name)
		if err != nil {
			t.Skipf("SKIPPED: no time zones here: %v", err)
		}
		return l
	}
	dir := t.TempDir()
	s := openStore(t, dir, Options{Retention: 10_000})
	// One call in each hour around both changes of New York's clocks in 2026, and
	// around the end of a leap February.
	for _, from := range []string{"2026-03-07T00:00:00Z", "2026-10-31T00:00:00Z", "2028-02-28T00:00:00Z"} {
		at, _ := time.Parse(time.RFC3339, from)
		for h := range 72 {
			callAt(t, s, fmt.Sprintf("%s+%d", from, h), at.Add(time.Duration(h)*time.Hour+30*time.Minute), nil)
		}
	}
	s.Close()
	a := NewArchive(dir, nil)
	ask := func(q UsageQuery) (out []string) {
		lines, err := a.Usage(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			out = append(out, fmt.Sprintf("%s %d", strings.Join(l.By, " "), l.Calls))
		}
		return out
	}
	day := func(s string) time.Time { d, _ := ParseDay(s); return d.Time() }
	ny := load("America/New_York")
	local := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, ny) }
	for name, c := range map[string]struct {
		q    UsageQuery
		want []string
	}{
		"UTC":     {UsageQuery{By: []Dimension{ByDay}, Until: day("2026-04-01")}, []string{"2026-03-07 24", "2026-03-08 24", "2026-03-09 24"}},
		"spring":  {UsageQuery{By: []Dimension{ByDay}, Zone: ny, Since: local(2026, 3, 8), Until: local(2026, 3, 9)}, []string{"2026-03-08 23"}},
		"autumn":  {UsageQuery{By: []Dimension{ByDay}, Zone: ny, Since: local(2026, 11, 1), Until: local(2026, 11, 2)}, []string{"2026-11-01 25"}},
		"months":  {UsageQuery{By: []Dimension{ByMonth}, Since: day("2026-10-01"), Until: day("2026-12-01")}, []string{"2026-10 24", "2026-11 48"}},
		"leap":    {UsageQuery{By: []Dimension{ByDay}, Since: day("2028-01-01")}, []string{"2028-02-28 24", "2028-02-29 24", "2028-03-01 24"}},
		"nothing": {UsageQuery{Since: day("2029-01-01")}, nil},
		"all":     {UsageQuery{}, []string{" 216"}},
	} {
		if got := ask(c.q); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	// The hour that comes twice is two hours.
	hours := ask(UsageQuery{By: []Dimension{ByHour}, Zone: ny, Since: local(2026, 11, 1), Until: local(2026, 11, 1).Add(3 * time.Hour)})
	if want := []string{"2026-11-01T00:00-04:00 1", "2026-11-01T01:00-04:00 1", "2026-11-01T01:00-05:00 1"}; !slices.Equal(hours, want) {
		t.Errorf("hours %q", hours)
	}
	// Nothing bounds the question: the zone had minutes of its own long ago.
	if got, want := ask(UsageQuery{By: []Dimension{ByMonth}, Zone: ny}), []string{"2026-03 72", "2026-10 28", "2026-11 44", "2028-02 53", "2028-03 19"}; !slices.Equal(got, want) {
		t.Errorf("months of New York: %q", got)
	}
	// Where days cut an hour of UTC in two, the calls themselves are read: those
	// of 18:30 UTC are of the next day in India.
	kolkata := load("Asia/Kolkata")
	inIndia := func(y int, m time.Month, d, h int) time.Time { return time.Date(y, m, d, h, 0, 0, 0, kolkata) }
	var read, of int64
	days := ask(UsageQuery{By: []Dimension{ByDay}, Zone: kolkata, Since: inIndia(2028, 2, 29, 0), Until: inIndia(2028, 3, 3, 0), Progress: func(done, total int64) {
		if done < read || done > total {
			t.Errorf("read %d of %d after %d", done, total, read)
		}
		read, of = done, total
	}})
	if want := []string{"2028-02-29 24", "2028-03-01 24", "2028-03-02 6"}; !slices.Equal(days, want) || read != of || of == 0 {
		t.Errorf("days of India %q, read %d of %d", days, read, of)
	}
	if got, want := ask(UsageQuery{By: []Dimension{ByHour}, Zone: kolkata, Since: inIndia(2028, 3, 1, 0), Until: inIndia(2028, 3, 1, 2)}), []string{"2028-03-01T00:00+05:30 1", "2028-03-01T01:00+05:30 1"}; !slices.Equal(got, want) {
		t.Errorf("hours of India %q", got)
	}
	// Lord Howe Island's clocks go forward by half an hour.
	lord := load("Australia/Lord_Howe")
	if got, want := ask(UsageQuery{By: []Dimension{ByMonth}, Zone: lord, Until: day("2026-04-01")}), []string{"2026-03 72"}; !slices.Equal(got, want) {
		t.Errorf("Lord Howe %q", got)
	}
	if q := (UsageQuery{By: []Dimension{ByDay}, Zone: lord}); !q.CutsHours() {
		t.Error("Lord Howe Island's winter days do not cut hours")
	}
	if q := (UsageQuery{By: []Dimension{ByDay}, Zone: load("Europe/Madrid")}); q.CutsHours() {
		t.Error("Madrid's days cut hours")
	}
	if _, err := a.Usage(t.Context(), UsageQuery{By: []Dimension{BySession, ByTag}}); err == nil {
		t.Error("session and tag together are answered")
	}
}
