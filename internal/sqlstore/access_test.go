package sqlstore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/access/accesstest"
)

func openAccess(t *testing.T, path string) *Access {
	t.Helper()
	a, err := OpenAccess(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func TestAccessStore(t *testing.T) {
	accesstest.Store(t, func(t *testing.T) access.Store { return openAccess(t, filepath.Join(t.TempDir(), "access.db")) })
}

// What was stored is there for the process that comes next, and a transaction
// that fails has stored nothing.
func TestAccessIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.db")
	here := access.Scope{Account: "123456789012", Region: "us-east-1"}
	now := time.UnixMilli(1795262400123).UTC()
	first := openAccess(t, path)
	p := access.Profile{ID: "abcdefghijkl", Name: "a", MadeFrom: "arn", Models: []string{"arn"}, Created: now, Tags: []access.Tag{{Key: "a", Value: "1"}}}
	if err := errors.Join(
		first.PutAgreement(t.Context(), here, "model", access.Agreement{Granted: true, At: now}),
		first.AddProfile(t.Context(), here, p),
	); err != nil {
		t.Fatal(err)
	}
	// Two tags of one key cannot be, so the old ones stay.
	if err := first.PutTags(t.Context(), here, p.ID, []access.Tag{{Key: "b"}, {Key: "b"}}); err == nil {
		t.Error("a tag twice")
	}
	other := p
	other.ID, other.Tags = "mnopqrstuvwx", []access.Tag{{Key: "b"}, {Key: "b"}}
	if err := first.AddProfile(t.Context(), here, other); err == nil {
		t.Error("a tag twice")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := openAccess(t, path)
	v, err := second.Settings(t.Context(), here)
	if err != nil || !v.Agreements["model"].Granted || !v.Agreements["model"].At.Equal(now) {
		t.Errorf("%+v, %v", v, err)
	}
	all, err := second.Profiles(t.Context(), here)
	if err != nil || len(all) != 1 || len(all[0].Tags) != 1 || all[0].Tags[0].Key != "a" {
		t.Errorf("%+v, %v", all, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// A damaged file is no reason to give back what was withdrawn.
func TestAccessDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.db")
	if err := os.WriteFile(path, []byte("this is no database, and it is long enough to have a header of one hundred bytes, so that it must be read"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err := OpenAccess(t.Context(), path); err == nil {
		a.Close()
		t.Error("a damaged file was opened")
	}
}

func TestAccessOfALaterVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.db")
	a := openAccess(t, path)
	if _, err := a.db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if _, err := OpenAccess(t.Context(), path); !errors.Is(err, ErrVersion) {
		t.Errorf("%v", err)
	}
}
