package delivery

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
)

var noon = time.Date(2026, 11, 22, 12, 34, 56, 789e6, time.UTC)

// bucketInMemory is a Destination that fails when it is told to.
type bucketInMemory struct {
	mu      sync.Mutex
	objects map[string][]byte
	puts    int
	err     error
	after   int // puts that still work before err
}

var errDown = errors.New("the store is down")

func (b *bucketInMemory) Put(_ context.Context, key string, body []byte, _ string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		if b.after == 0 {
			return b.err
		}
		b.after--
	}
	if b.objects == nil {
		b.objects = map[string][]byte{}
	}
	b.puts++
	b.objects[key] = body
	return nil
}

func (b *bucketInMemory) fail(err error, after int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.after = err, after
}

func unzip(t *testing.T, z []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(z))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// ids are the request ids in a bucket, with how often each stands there.
func (b *bucketInMemory) ids(t *testing.T) map[string]int {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	return idsIn(t, b.objects)
}

func idsIn(t *testing.T, objects map[string][]byte) map[string]int {
	t.Helper()
	ids := map[string]int{}
	for key, z := range objects {
		if strings.Contains(key, "/data/") || strings.HasSuffix(key, "-check") {
			continue
		}
		for line := range bytes.Lines(unzip(t, z)) {
			var l struct{ RequestID string }
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			ids[l.RequestID]++
		}
	}
	return ids
}

type world struct {
	t     *testing.T
	dir   string
	now   atomic.Pointer[time.Time]
	store *activity.Store
	queue *Queue
	said  bytes.Buffer
}

func newWorld(t *testing.T, to map[string]Destination) *world {
	w := &world{t: t, dir: t.TempDir()}
	w.at(noon)
	w.open(to)
	return w
}

func (w *world) at(t time.Time) { w.now.Store(&t) }

func (w *world) clock() time.Time { return *w.now.Load() }

// open starts both sides, again if need be.
func (w *world) open(to map[string]Destination) {
	w.t.Helper()
	if w.store != nil {
		w.store.Close()
	}
	log := slog.New(slog.NewTextHandler(&w.said, nil))
	w.queue = New(Options{Archive: activity.NewArchive(w.dir, nil), Dir: filepath.Join(w.dir, "delivery"), Destinations: to, Now: w.clock, Log: log})
	var err error
	w.store, err = activity.OpenStore(w.dir, activity.Options{Now: w.clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Retention: 30, BeforeDrop: w.queue.Drop, BeforeStrip: w.queue.Strip, MaxBytes: 4 << 20})
	if err != nil {
		w.t.Fatal(err)
	}
	store := w.store
	w.t.Cleanup(func() { store.Close() })
}

func (w *world) call(id string, at time.Time, d *activity.Delivery, body string) {
	w.t.Helper()
	r := &activity.Record{RequestID: id, Time: at, Account: "123456789012", Region: "us-east-1", Operation: "InvokeModel", Ref: "m", Deliver: d}
	e, err := w.store.Open(context.Background(), activity.Opening{Record: r, Body: []byte(body)})
	if err != nil {
		w.t.Fatal(err)
	}
	e.Frame("message", []byte(`{"id":"msg","content":[]}`))
	r.Status = 200
	if err := e.Close(r); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) flush() error { return w.queue.Flush(w.t.Context()) }

var toLogs = &activity.Delivery{Bucket: "logs", Prefix: "p/"}

func TestLayout(t *testing.T) {
	logs, other := &bucketInMemory{}, &bucketInMemory{}
	w := newWorld(t, map[string]Destination{"logs": logs, "other": other})
	if !w.queue.Has("logs") || w.queue.Has("elsewhere") {
		t.Error("Has")
	}
	large := `{"text":"` + strings.Repeat("word ", 25_000) + `"}`
	w.call("a", noon, toLogs, `{"q":1}`)
	w.call("b", noon.Add(time.Minute), toLogs, large)
	w.call("c", noon.Add(time.Hour), toLogs, `{"q":3}`)
	w.call("d", noon, &activity.Delivery{Bucket: "other", NoText: true}, `{"q":4}`)
	w.call("e", noon, nil, `{"q":5}`)
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for k := range logs.objects {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	const base = "p/AWSLogs/123456789012/BedrockModelInvocationLogs/us-east-1/2026/11/22/"
	if len(keys) != 3 || !strings.HasPrefix(keys[0], base+"12/20261122T123456789Z_") || !strings.HasSuffix(keys[0], ".json.gz") ||
		keys[1] != base+"12/data/b_input.json.gz" || !strings.HasPrefix(keys[2], base+"13/20261122T133456789Z_") {
		t.Fatalf("%q", keys)
	}
	if got := unzip(t, logs.objects[keys[1]]); string(got) != large {
		t.Errorf("a large body: %d bytes", len(got))
	}
	lines := strings.Split(strings.TrimSpace(string(unzip(t, logs.objects[keys[0]]))), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"inputBodyJson":{"q":1}`) || strings.Contains(lines[1], "inputBodyJson") ||
		!strings.Contains(lines[1], `"inputBodyS3Path":"s3://logs/`+keys[1]+`"`) {
		t.Errorf("%q", lines)
	}
	if got := other.ids(t); len(got) != 1 || got["d"] != 1 {
		t.Errorf("the other bucket: %v", got)
	}
	for _, z := range other.objects {
		if strings.Contains(string(unzip(t, z)), "BodyJson") {
			t.Error("text where it is switched off")
		}
	}
	if err := w.queue.Check(t.Context(), "logs", "p/", "123456789012"); err != nil || logs.objects["p/AWSLogs/123456789012/BedrockModelInvocationLogs/amazon-bedrock-logs-permission-check"] == nil && len(logs.objects) != 4 {
		t.Errorf("the check: %v, %d objects", err, len(logs.objects))
	}
	if err := w.queue.Check(t.Context(), "elsewhere", "", "1"); err == nil {
		t.Error("a bucket that nobody has named is checked")
	}
	puts := logs.puts
	if err := w.flush(); err != nil || logs.puts != puts {
		t.Errorf("delivered again: %v", err)
	}
}

// Whatever fails, whenever the process dies, and whatever happens to the
// segments: each record is in the bucket, and in one object alone.
func TestAtLeastOnce(t *testing.T) {
	logs := &bucketInMemory{}
	to := map[string]Destination{"logs": logs}
	w := newWorld(t, to)
	want := 0
	yesterday := noon.AddDate(0, 0, -1)
	more := func(n int) {
		for range n {
			at := noon
			if want%3 == 0 {
				at = yesterday
			}
			w.call(fmt.Sprint(want), at, toLogs, `{"text":"`+strings.Repeat("word ", want%7*5000)+`"}`)
			want++
		}
	}
	for round := range 12 {
		more(20)
		logs.fail(errDown, round%5)
		if err := w.flush(); err == nil && round%5 == 0 {
			t.Fatal("a store that is down")
		}
		if round%4 == 3 {
			w.open(to) // a new process: it knows what the files say
		}
		if round%6 == 5 { // the segment of yesterday is made anew, without bodies
			if err := w.store.Tend(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if round%2 == 1 {
			logs.fail(nil, 0)
			if err := w.flush(); err != nil {
				t.Fatal(err)
			}
			got := logs.ids(t)
			for i := range want {
				if got[fmt.Sprint(i)] != 1 {
					t.Fatalf("round %d: record %d is there %d times", round, i, got[fmt.Sprint(i)])
				}
			}
		}
	}
	if d, _ := activity.NewArchive(w.dir, nil).Get(t.Context(), "0"); d.Record.Content != activity.Dropped {
		t.Errorf("the test makes no segment anew: %s", d.Record.Content)
	}
}

// A crash between the delivery and the note of it delivers again, to the same
// object.
func TestCrashBeforeNote(t *testing.T) {
	logs := &bucketInMemory{}
	w := newWorld(t, map[string]Destination{"logs": logs})
	w.call("a", noon, toLogs, "{}")
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(w.dir, "delivery", "logs.json")); err != nil {
		t.Fatal(err)
	}
	w.call("b", noon, toLogs, "{}")
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if got := logs.ids(t); len(logs.objects) != 1 || got["a"] != 1 || got["b"] != 1 {
		t.Errorf("%d objects, %v", len(logs.objects), got)
	}
}

func dead(t *testing.T, w *world, bucket string) map[string]int {
	t.Helper()
	objects := map[string][]byte{}
	root := filepath.Join(w.dir, "delivery", "dead", bucket)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		objects[filepath.ToSlash(rel)], err = os.ReadFile(p)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return idsIn(t, objects)
}

func TestGiveUp(t *testing.T) {
	logs := &bucketInMemory{}
	w := newWorld(t, map[string]Destination{"logs": logs})
	w.call("a", noon, toLogs, "{}")
	logs.fail(errDown, 0)
	for _, hours := range []int{0, 12, 23} {
		w.at(noon.Add(time.Duration(hours) * time.Hour))
		if err := w.flush(); !errors.Is(err, errDown) {
			t.Errorf("after %d hours: %v", hours, err)
		}
	}
	if got := dead(t, w, "logs"); len(got) != 0 {
		t.Errorf("given up too soon: %v", got)
	}
	w.at(noon.Add(24 * time.Hour))
	if err := w.flush(); err != nil {
		t.Errorf("after a day: %v", err)
	}
	if got := dead(t, w, "logs"); got["a"] != 1 || !strings.Contains(w.said.String(), "dead letters") {
		t.Errorf("dead letters %v, said %s", got, &w.said)
	}
	logs.fail(nil, 0)
	w.call("b", noon, toLogs, "{}")
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if got := logs.ids(t); len(got) != 1 || got["b"] != 1 {
		t.Errorf("after it: %v", got)
	}
}

// A key of S3 may be no name of a file, and such a letter must hold up nothing.
func TestDeadLetterOfLongName(t *testing.T) {
	logs := &bucketInMemory{}
	w := newWorld(t, map[string]Destination{"logs": logs})
	w.call("a", noon, &activity.Delivery{Bucket: "logs", Prefix: strings.Repeat("p", 300)}, "{}")
	logs.fail(errDown, 0)
	if err := w.flush(); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	w.at(noon.Add(24 * time.Hour))
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if got := dead(t, w, "logs"); got["a"] != 1 {
		t.Errorf("dead letters %v", got)
	}
}

// Before a day goes, what it holds is delivered or kept as dead letters, also
// for a bucket that nobody names any more.
func TestDrop(t *testing.T) {
	up, down := &bucketInMemory{}, &bucketInMemory{}
	down.fail(errDown, 0)
	w := newWorld(t, map[string]Destination{"up": up, "down": down})
	for _, name := range []string{"up", "down", "gone"} {
		for i := range 3 {
			w.call(fmt.Sprintf("%s-%d", name, i), noon, &activity.Delivery{Bucket: name}, "{}")
		}
	}
	down.fail(nil, 0)
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	down.fail(errDown, 0)
	w.call("up-3", noon, &activity.Delivery{Bucket: "up"}, "{}")
	w.call("down-3", noon, &activity.Delivery{Bucket: "down"}, "{}")
	w.at(noon.AddDate(0, 0, 31))
	for range 3 { // a background sync may hold the segment once
		if err := w.store.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if days, _ := activity.NewArchive(w.dir, nil).Days(); len(days) != 0 {
		t.Fatalf("days %v", days)
	}
	if got := up.ids(t); len(got) != 4 {
		t.Errorf("up: %v", got)
	}
	if got := down.ids(t); len(got) != 3 {
		t.Errorf("down: %v", got)
	}
	if up, down, gone := dead(t, w, "up"), dead(t, w, "down"), dead(t, w, "gone"); len(up) != 0 || len(down) != 1 || down["down-3"] != 1 || len(gone) != 3 {
		t.Errorf("dead letters: up %v, down %v, gone %v", up, down, gone)
	}
}

// Run delivers by itself, and tries again soon after a failure.
// A day that has to make room is delivered before, with what was said.
func TestStrip(t *testing.T) {
	up, down := &bucketInMemory{}, &bucketInMemory{}
	down.fail(errDown, 0)
	w := newWorld(t, map[string]Destination{"up": up, "down": down})
	body := `{"text":"` + strings.Repeat("word ", 100<<10) + `"}`
	for i := range 5 {
		w.call(fmt.Sprintf("up-%d", i), noon, &activity.Delivery{Bucket: "up"}, body)
		w.call(fmt.Sprintf("down-%d", i), noon, &activity.Delivery{Bucket: "down"}, body)
	}
	w.at(noon.AddDate(0, 0, 1))
	for range 3 { // a background sync may hold the segment once
		if err := w.store.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if size, err := w.store.Size(); err != nil || size > 1<<20 {
		t.Fatalf("nothing was dropped: %d bytes, %v", size, err)
	}
	bodies := func(b *bucketInMemory) (n int) {
		for key := range b.objects {
			if strings.Contains(key, "/data/") {
				n++
			}
		}
		return n
	}
	if ids := up.ids(t); len(ids) != 5 || bodies(up) != 5 {
		t.Errorf("up: %v, %d bodies", ids, bodies(up))
	}
	if !strings.Contains(w.said.String(), "lose their requests and answers") {
		t.Errorf("not said: %s", &w.said)
	}
	down.fail(nil, 0)
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if ids := down.ids(t); len(ids) != 5 || bodies(down) != 0 {
		t.Errorf("down: %v, %d bodies", ids, bodies(down))
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &bucketInMemory{}
		logs.fail(errDown, 0)
		w := newWorld(t, map[string]Destination{"logs": logs})
		w.call("a", noon, toLogs, "{}")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.queue.Run(ctx); close(done) }()
		time.Sleep(10 * time.Second)
		if got := w.queue.Failing(); !slices.Equal(got, []string{"logs"}) {
			t.Errorf("failing: %v", got)
		}
		logs.fail(nil, 0)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := logs.ids(t); got["a"] != 1 {
			t.Errorf("%v", got)
		}
		if got := w.queue.Failing(); got != nil {
			t.Errorf("failing: %v", got)
		}
		w.call("b", noon, toLogs, "{}")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := logs.ids(t); got["b"] != 1 {
			t.Errorf("%v", got)
		}
		cancel()
		<-done
		w.store.Close()
	})
}

func TestFolder(t *testing.T) {
	f := Folder(filepath.Join(t.TempDir(), "new"))
	for _, body := range []string{"one", "two"} {
		if err := f.Put(t.Context(), "a/b.gz", []byte(body), ""); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(string(f), "a", "b.gz")); err != nil || string(got) != body {
			t.Errorf("%q, %v", got, err)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(string(f), "a")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	for _, key := range []string{"../x", "/etc/x", "a/../../x", ""} {
		if err := f.Put(t.Context(), key, nil, ""); err == nil {
			t.Errorf("%q is a key", key)
		}
	}
	if k := (place{}).bodyKey("../../x", "input"); strings.Contains(k, "..") {
		t.Errorf("%s", k)
	}
}
