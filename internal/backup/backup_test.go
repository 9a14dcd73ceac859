package backup

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
	head, err := Restore(t.Context(), &out, to)
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
