package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/sqlstore/sqlstoretest"
)

func open(t testing.TB, path string) *Index {
	t.Helper()
	ix, err := OpenIndex(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ix.Close() })
	return ix
}

func TestIndexContract(t *testing.T) {
	sqlstoretest.Index(t, func(t *testing.T) activity.Index { return open(t, filepath.Join(t.TempDir(), "index.db")) })
}

// A path is not a URL.
func TestOddPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20é")
	os.Mkdir(dir, 0o700)
	path := filepath.Join(dir, "index.db")
	ix := open(t, path)
	if err := ix.Add(t.Context(), 1, nil, 7); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	r, err := ReadIndex(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if m, err := r.Marks(t.Context()); err != nil || m[1] != 7 {
		t.Errorf("beside the writer: %v, %v", m, err)
	}
	if err := r.Reset(t.Context(), 1); err == nil {
		t.Error("a reader has written")
	}
}

func TestDamagedIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	os.WriteFile(path, []byte("this is no database, whatever its name may say, and it is long enough"), 0o600)
	ix := open(t, path)
	if m, err := ix.Marks(t.Context()); err != nil || len(m) != 0 {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}

// An index of before forgets what the segments still have, and keeps the figures
// that are older than they are.
func TestIndexOfVersionOne(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "index.db")
	db, err := openDB(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p, err := provider(db, "index")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(ctx, 1); err != nil {
		t.Fatal(err)
	}
	old := activity.Slot{Hour: 100*24 + 23, Key: "AKIA"}
	kept := activity.Slot{Hour: 101 * 24, Key: "AKIA"}
	for _, s := range []activity.Slot{old, kept} {
		for grain, hour := range []int64{s.Hour, s.Hour / 24 * 24} {
			args := append([]any{0, grain, hour, 0, 0, 0, 0, 0, 0}, figureFields(&activity.Figures{Calls: 7})...)
			if _, err := db.ExecContext(ctx, upsertSlot(), args...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := db.ExecContext(ctx, "INSERT INTO segment (day, mark) VALUES (101, 9); INSERT INTO call VALUES (?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)", activity.Ref{Day: 101}.ID()); err != nil {
		t.Fatal(err)
	}
	ix := open(t, path)
	hours := map[int64]int64{}
	m, err := ix.Slots(ctx, activity.UsageQuery{By: []activity.Dimension{activity.ByHour}}, func(s activity.Slot, f activity.Figures) { hours[s.Hour] += f.Calls })
	if err != nil || len(m) != 0 || len(hours) != 1 || hours[old.Hour] != 7 {
		t.Errorf("marks %v, figures %v, %v", m, hours, err)
	}
	if err := ix.Calls(ctx, 101, activity.Filter{}, func(r activity.Ref) bool { t.Errorf("%v is left", r); return true }); err != nil {
		t.Error(err)
	}
}

func TestVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	if _, err := ReadIndex(t.Context(), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reading what is not there: %v", err)
	}
	open(t, path).Close()
	open(t, path).Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenIndex(t.Context(), path); !errors.Is(err, ErrVersion) {
		t.Errorf("a later version's file: %v", err)
	}
	if _, err := ReadIndex(t.Context(), path); !errors.Is(err, ErrVersion) {
		t.Errorf("reading a later version's file: %v", err)
	}
}
