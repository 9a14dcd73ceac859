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
