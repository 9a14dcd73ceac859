package activity_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/segment"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/sqlstore"
)

const crashDir = "OUTCROP_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := crashChild(dir, os.Getenv("OUTCROP_TEST_CRASH_RUN"), os.Getenv("OUTCROP_TEST_CRASH_MODE")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// content is what the call with an id sends and gets: of all sizes, with
// pictures that come again.
func content(id string) (body []byte, events []string) {
	h := fnv.New64a()
	io.WriteString(h, id)
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	body = fmt.Appendf(nil, `{"id":%q,"text":%q`, id, strings.Repeat("word ", r.IntN(400)))
	if r.IntN(4) == 0 {
		picture := bytes.Repeat(fmt.Appendf(nil, "PICTURE%d", r.IntN(5)), 2000)
		body = append(append(append(body, `,"data":"`...), picture...), '"')
	}
	body = append(body, '}')
	n := r.IntN(60)
	if r.IntN(10) == 0 {
		n = 3000 // spills
	}
	for i := range n {
		events = append(events, fmt.Sprintf(`{"type":"content_block_delta","delta":{"text":"%x %d"}}`, r.Uint64(), i))
	}
	return body, events
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// crashChild makes calls until it is killed, and says on standard output which
// ones have been opened and which ones were answered.
func crashChild(dir, run, mode string) error {
	ctx := context.Background()
	ix, err := sqlstore.OpenIndex(ctx, filepath.Join(dir, "index.db"))
	if err != nil {
		return err
	}
	var d activity.Durability
	if err := d.UnmarshalText([]byte(mode)); err != nil {
		return err
	}
	s, err := activity.OpenStore(dir, activity.Options{Durability: d, Required: true, Now: time.Now, Log: quiet(), Index: ix})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", run, g, i)
				body, events := content(id)
				rec := activity.Record{RequestID: id, Time: time.Now(), KeyID: "AKIA", Operation: "InvokeModel"}
				e, err := s.Open(ctx, activity.Opening{Record: &rec, Body: body})
				if err != nil {
					panic(err)
				}
				os.Stdout.WriteString("open " + id + "\n")
				for _, data := range events {
					e.Frame("content_block_delta", []byte(data))
				}
				rec.Status, rec.Usage = 200, messages.Usage{OutputTokens: int64(len(events))}
				if err := e.Close(&rec); err != nil {
					panic(err)
				}
				os.Stdout.WriteString("done " + id + "\n")
			}
		})
	}
	wg.Wait()
	return nil
}

// Killed at any moment and started again: each call that was answered has one
// record, whole; each that was let in has one too; no other is shown, neither
// from the segments nor through the index.
func TestCrash(t *testing.T) {
	calls := 500
	if os.Getenv("OUTCROP_TEST_LONG") != "" {
		calls = 5000
	}
	for _, mode := range []string{"default", "power"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			opened, done := map[string]bool{}, map[string]bool{}
			beside := &follower{dir: dir, a: activity.NewArchive(dir, nil), at: map[activity.Day]int64{}, seen: map[string]int{}}
			runs := 0
			for ; len(done) < calls; runs++ {
				before := len(done)
				stop := beside.start(t)
				crashRun(t, dir, runs, mode, rand.IntN(100), opened, done)
				stop()
				beside.check(t)
				if len(done) == before && runs > 200 {
					t.Fatal("the child answers nothing")
				}
			}
			ix, err := sqlstore.OpenIndex(t.Context(), filepath.Join(dir, "index.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer ix.Close()
			s, err := activity.OpenStore(dir, activity.Options{Now: time.Now, Log: quiet(), Index: ix})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			beside.look(t)
			beside.check(t)
			interrupted := 0
			seen := map[string]int{}
			a := activity.NewArchive(dir, nil)
			days, err := a.Days()
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range days {
				if _, err := a.Walk(t.Context(), d, 0, func(ref activity.Ref, r *activity.Record) error {
					seen[r.RequestID]++
					if r.Interrupted {
						interrupted++
					}
					return checkCrashed(a, ref, r, done[r.RequestID])
				}); err != nil {
					t.Fatal(err)
				}
			}
			indexed := map[string]int{}
			if err := activity.NewArchive(dir, ix).Find(t.Context(), activity.Filter{Key: "AKIA"}, func(_ activity.Ref, r *activity.Record) bool {
				indexed[r.RequestID]++
				return true
			}); err != nil {
				t.Fatal(err)
			}
			for id := range opened {
				if seen[id] != 1 || indexed[id] != 1 {
					t.Errorf("%s, answered %v: %d records, %d in the index", id, done[id], seen[id], indexed[id])
				}
			}
			if !maps.Equal(beside.seen, seen) {
				t.Errorf("%d records, %d for who reads beside", len(seen), len(beside.seen))
			}
			if len(indexed) != len(seen) {
				t.Errorf("%d records, %d through the index", len(seen), len(indexed))
			}
			for id, n := range seen {
				if n != 1 {
					t.Errorf("%s: %d records", id, n)
				}
			}
			// A call that was let in may have been killed before it could say so.
			if extra := len(seen) - len(opened); extra > 8*runs {
				t.Errorf("%d records of calls that nobody made", extra)
			}
			t.Logf("%d kills, %d calls answered, %d interrupted", runs, len(done), interrupted)
		})
	}
}

func checkCrashed(a *activity.Archive, ref activity.Ref, r *activity.Record, done bool) error {
	if done && r.Interrupted {
		return fmt.Errorf("%s was answered and is interrupted", r.RequestID)
	}
	x, err := a.Exchange(ref)
	if err != nil {
		return fmt.Errorf("%s: %w", r.RequestID, err)
	}
	body, events := content(r.RequestID)
	if !bytes.Equal(x.Input, body) {
		return fmt.Errorf("%s: the request is not what was sent", r.RequestID)
	}
	if len(x.Events) > len(events) || !r.Interrupted && len(x.Events) != len(events) {
		return fmt.Errorf("%s: %d events of %d", r.RequestID, len(x.Events), len(events))
	}
	for i, e := range x.Events {
		if string(e.Data) != events[i] {
			return fmt.Errorf("%s: event %d is not what was sent", r.RequestID, i)
		}
	}
	return nil
}

// follower reads beside the children, as `outcrop logs --follow` does, whatever
// they are doing when they are killed.
type follower struct {
	dir  string
	a    *activity.Archive
	at   map[activity.Day]int64
	seen map[string]int
}

func (f *follower) start(t *testing.T) (stop func()) {
	var reading sync.WaitGroup
	over := make(chan struct{})
	reading.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				f.look(t)
			}
		}
	})
	return func() {
		close(over)
		reading.Wait()
	}
}

func (f *follower) look(t *testing.T) {
	days, err := f.a.Days()
	if err != nil {
		t.Error(err)
	}
	for _, d := range days {
		next, err := f.a.Walk(t.Context(), d, f.at[d], func(_ activity.Ref, r *activity.Record) error {
			f.seen[r.RequestID]++
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		f.at[d] = max(f.at[d], next)
	}
}

// check sees whether any offset is after what the dead have left: the follower's
// or a mark.
func (f *follower) check(t *testing.T) {
	t.Helper()
	for d, at := range f.at {
		path := filepath.Join(f.dir, d.String()+".seg")
		r, err := segment.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		end, err := r.Walk(segment.Start, nil, nil)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		mark, _, err := segment.Marked(path)
		if passed, endErr := f.a.End(d); err != nil || endErr != nil || passed != end || at > end || mark > end {
			t.Errorf("the entries end at %d: who passes over ends at %d, who follows is at %d, the mark at %d, %v, %v", end, passed, at, mark, err, endErr)
		}
	}
}

// crashRun starts a child, lets it answer so many calls, and kills it.
func crashRun(t *testing.T, dir string, run int, mode string, after int, opened, done map[string]bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashDir+"="+dir, fmt.Sprintf("OUTCROP_TEST_CRASH_RUN=%d", run), "OUTCROP_TEST_CRASH_MODE="+mode)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n, killed := 0, false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		what, id, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "open":
			opened[id] = true
		case "done":
			done[id] = true
			n++
		default:
			t.Errorf("the child says %q", lines.Text())
		}
		if n >= after && !killed {
			killed = true
			cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); err == nil || !killed {
		t.Fatalf("the child ended by itself: %v\n%s", err, &complaints)
	}
}

// Power that fails may take entries that the index has already. What a start then
// writes in their place is found, too.
func TestIndexAheadOfSegment(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	open := func() (*activity.Store, *sqlstore.Index) {
		ix, err := sqlstore.OpenIndex(ctx, filepath.Join(dir, "index.db"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := activity.OpenStore(dir, activity.Options{Now: time.Now, Log: quiet(), Index: ix})
		if err != nil {
			t.Fatal(err)
		}
		return s, ix
	}
	s, ix := open()
	var entries []*activity.Entry
	ids := []string{"a", "b", "c", "d"}
	for _, id := range ids {
		e, err := s.Open(ctx, activity.Opening{Record: &activity.Record{RequestID: id, Time: time.Now()}})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	for i := 1; i <= 2; i++ { // the others are under way; the first holds the mark
		if err := entries[i].Close(&activity.Record{RequestID: ids[i], Time: time.Now(), Status: 200}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Close(), ix.Close()); err != nil {
		t.Fatal(err)
	}
	a := activity.NewArchive(dir, nil)
	days, err := a.Days()
	if err != nil || len(days) != 1 {
		t.Fatal(days, err)
	}
	var lost int64
	if _, err := a.Walk(ctx, days[0], 0, func(ref activity.Ref, r *activity.Record) error {
		lost = ref.Offset // in the end that of c
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, days[0].String()+"*"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	if err := os.Truncate(segments[0], lost); err != nil {
		t.Fatal(err)
	}
	s, ix = open()
	defer ix.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	if err := activity.NewArchive(dir, ix).Find(ctx, activity.Filter{}, func(_ activity.Ref, r *activity.Record) bool {
		found[r.RequestID]++
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if want := (map[string]int{"a": 1, "b": 1, "c": 1, "d": 1}); !maps.Equal(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
}
