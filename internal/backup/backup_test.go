package backup

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
	_ "modernc.org/sqlite"
)

func put(t *testing.T, folder, name, content string) {
	t.Helper()
	path := filepath.Join(folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	tmp := path + ".x" // another file of the same name, as the activity log makes
	if err := os.WriteFile(tmp, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

// folder has a bit of everything, and a database with a row that is in its WAL
// alone.
func folder(t *testing.T) (dir string, db *sql.DB) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range map[string]string{"keys.age": "sealed", "key.txt": "AGE-SECRET-KEY", "lock": "", "keys.lock": "", "server.json": "{}", "activity/2026-11-22.seg": "one ",
		"activity/2026-11-21.seg": "old", "activity/probe.new": "x", "delivery/logs.json": "{}", "pdfium/a/b": "compiled", ".outcrop-backup-1/0.db": "half"} {
		put(t, dir, name, content)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(dir, "index.db"))+"?_pragma=journal_mode(wal)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec("CREATE TABLE a (n INTEGER); INSERT INTO a VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	return dir, db
}

func options() Options {
	return Options{Version: "test", Now: time.Now, KeyName: "key.txt", Skip: []string{"server.json", "pdfium"}}
}

// restored writes a backup and restores it: its files, with slashes.
func restored(t *testing.T, dir string, o Options) (to string, files map[string]string) {
	t.Helper()
	var out bytes.Buffer
	if err := Write(t.Context(), &out, dir, o); err != nil {
		t.Fatal(err)
	}
	to = filepath.Join(t.TempDir(), "to")
	head, err := Restore(t.Context(), &out, to, 1<<30)
	if err != nil || head.Version != "test" || head.KeyFile != (o.KeyFile != "") {
		t.Fatalf("%+v, %v", head, err)
	}
	files = map[string]string{}
	err = filepath.WalkDir(to, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := filepath.Rel(to, path)
		raw, err := os.ReadFile(path)
		files[filepath.ToSlash(name)] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return to, files
}

func TestWhatGoesIn(t *testing.T) {
	dir, _ := folder(t)
	var last, of int64
	o := options()
	o.Progress = func(done, total int64) { last, of = done, total }
	to, files := restored(t, dir, o)
	want := []string{"activity/2026-11-21.seg", "activity/2026-11-22.seg", "delivery/logs.json", "index.db", "keys.age"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) || last != of || of == 0 {
		t.Errorf("%q, %d of %d", got, last, of)
	}
	db, err := sql.Open("sqlite", filepath.Join(to, "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT n FROM a").Scan(&n); err != nil || n != 7 {
		t.Errorf("the database has %d, %v", n, err)
	}
	elsewhere := filepath.Join(t.TempDir(), "key")
	put(t, filepath.Dir(elsewhere), "key", "ANOTHER")
	o.KeyFile = elsewhere
	if _, files := restored(t, dir, o); files["key.txt"] != "ANOTHER" {
		t.Errorf("the key file: %q", files["key.txt"])
	}
}

// A data folder, or the activity log in it, may stand on another disk.
func TestLinks(t *testing.T) {
	dir, _ := folder(t)
	disk := filepath.Join(t.TempDir(), "disk")
	link := filepath.Join(t.TempDir(), "data")
	for _, err := range []error{os.Rename(filepath.Join(dir, "activity"), disk), os.Symlink(disk, filepath.Join(dir, "activity")), os.Symlink(dir, link)} {
		if err != nil {
			t.Skip("no links here: ", err)
		}
	}
	_, files := restored(t, link, options())
	want := []string{"activity/2026-11-21.seg", "activity/2026-11-22.seg", "delivery/logs.json", "index.db", "keys.age"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for name, to := range map[string]string{"to nowhere": "gone", "to a file": filepath.Join(dir, "keys.age"), "of a link": ""} {
		at := filepath.Join(dir, "more")
		if to == "" {
			at, to = filepath.Join(disk, "more"), disk
		}
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
		if err := Write(t.Context(), new(bytes.Buffer), link, options()); err == nil || !strings.Contains(err.Error(), "more: of links") {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
	}
}

// What is appended while a backup is written stays out, a segment that is dropped
// or made anew after it was opened is in as it was, and one that changes between
// the index and its own turn begins the look again.
func TestUnderWriters(t *testing.T) {
	dir, _ := folder(t)
	o := options()
	written := false
	o.Progress = func(int64, int64) {
		if written {
			return
		}
		written = true
		f, err := os.OpenFile(filepath.Join(dir, "activity", "2026-11-22.seg"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("two ")
		f.Close()
		put(t, dir, "activity/2026-11-21.seg", "small")
	}
	if _, files := restored(t, dir, o); files["activity/2026-11-22.seg"] != "one " || files["activity/2026-11-21.seg"] != "old" || !written {
		t.Errorf("%q", files)
	}

	looks := 0
	o = options()
	o.copied = func() {
		if looks++; looks < tries {
			put(t, dir, "activity/2026-11-21.seg", strings.Repeat("s", looks))
		}
	}
	if _, files := restored(t, dir, o); looks != tries || files["activity/2026-11-21.seg"] != strings.Repeat("s", tries-1) {
		t.Errorf("%d looks, %q", looks, files)
	}
	o.copied = func() { put(t, dir, "activity/2026-11-21.seg", "again") }
	if err := Write(t.Context(), new(bytes.Buffer), dir, o); !errors.Is(err, errMoved) {
		t.Errorf("a folder that does not keep still: %v", err)
	}
	o.copied = func() { os.Remove(filepath.Join(dir, "activity", "2026-11-21.seg")) }
	if _, files := restored(t, dir, o); files["activity/2026-11-22.seg"] == "" {
		t.Errorf("a day that is dropped meanwhile: %q", files)
	}
}

// opened gives the entries of a restored segment, which must be all that is in it.
func opened(t *testing.T, path string) (all []string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, cut, err := segment.Open(path, segment.Options{Seen: func(e segment.Entry) error {
		all = append(all, string(e.Payload))
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if cut != 0 || info.Size() != f.End() {
		t.Errorf("%d bytes, of which %d are entries and %d were cut", info.Size(), f.End(), cut)
	}
	return all
}

const today = "activity/2026-11-22.seg"

// halting shows the folder with half of each write done.
type halting struct {
	segment.Disk
	half func()
}

func (d *halting) WriteAt(b []byte, at int64) (int, error) {
	if d.half != nil {
		n := len(b) / 2
		if _, err := d.Disk.WriteAt(b[:n], at); err != nil {
			return 0, err
		}
		d.half()
	}
	return d.Disk.WriteAt(b, at)
}

// An entry that is half written inside the zeros ahead stays out, and so do they.
func TestSegmentHalfWritten(t *testing.T) {
	dir, _ := folder(t)
	put(t, dir, today, "")
	disk := &halting{}
	f, _, err := segment.Open(filepath.Join(dir, today), segment.Options{Wrap: func(d segment.Disk) segment.Disk { disk.Disk = d; return disk }})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := []string{"one", "two"}
	for _, e := range want {
		if _, err := f.Append(1, []byte(e)); err != nil {
			t.Fatal(err)
		}
	}
	look := func(torn string) {
		t.Helper()
		o, told := options(), ""
		o.Torn = func(name string) { told += name }
		to, _ := restored(t, dir, o)
		if got := opened(t, filepath.Join(to, today)); !slices.Equal(got, want) || told != torn {
			t.Errorf("%.40q, torn %q", got, told)
		}
	}
	look("")
	if err := f.Ahead(1 << 20); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, today)); err != nil || info.Size() <= f.End() {
		t.Fatalf("no zeros ahead: %v", err)
	}
	look("")
	looks := 0
	for _, long := range []string{strings.Repeat("short", 9), strings.Repeat("long", 1<<20)} { // in one write, and in several
		disk.half = func() { looks++; look(today) }
		if _, err := f.Append(1, []byte("head "), []byte(long)); err != nil {
			t.Fatal(err)
		}
		disk.half = nil
		want = append(want, "head "+long)
		look("")
	}
	if looks < 3 {
		t.Errorf("%d looks", looks)
	}
}

// Beside a server at work: what was answered before a backup is in it, each once.
func TestSegmentUnderAWriter(t *testing.T) {
	dir, _ := folder(t)
	put(t, dir, today, "")
	f, _, err := segment.Open(filepath.Join(dir, today), segment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var answered atomic.Int64
	rounds, ended := make(chan struct{}, 10), make(chan error, 1)
	go func() {
		n := 0
		for range rounds {
			for range 2000 {
				_, err := f.Append(1, fmt.Append(nil, n), make([]byte, n%64*8))
				if n++; err == nil && n%8 == 0 {
					err = f.Ahead(1 << 20)
				}
				if err != nil {
					ended <- err
					return
				}
				answered.Store(int64(n))
			}
		}
		ended <- nil
	}()
	before := 0
	o := options()
	o.copied = func() { // the segments are next
		more := answered.Load() + 20 // before the round, which may be over at once
		rounds <- struct{}{}
		for answered.Load() < more && len(ended) == 0 {
			runtime.Gosched()
		}
		before = int(answered.Load())
	}
	for range 10 {
		to, _ := restored(t, dir, o)
		all := opened(t, filepath.Join(to, today))
		if len(all) < before {
			t.Errorf("%d entries of %d", len(all), before)
		}
		for n, e := range all {
			if strings.TrimRight(e, "\x00") != fmt.Sprint(n) {
				t.Fatalf("entry %d: %.40q", n, e)
			}
		}
	}
	close(rounds)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
