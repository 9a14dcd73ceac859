package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/identity"
)

// Where the keys lie the last administrator can be revoked too, and it is said
// what that means.
func TestRevokeTheLastAdministrator(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f, err := datadir.Open(dir, datadir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	first, _, err := f.FirstKey()
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := f.Create(identity.NewKey{Kind: identity.AccessKeyKind, Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	revoke := func(id string) string {
		t.Helper()
		var said bytes.Buffer
		if code := run(t.Context(), []string{"key", "revoke", "--data", dir, id}, console{strings.NewReader(""), &said, &said}); code != 0 {
			t.Fatal(code, said.String())
		}
		return said.String()
	}
	if said := revoke(first.AccessKeyID); !strings.Contains(said, "no administrator is left: ") {
		t.Error(said)
	}
	if said := revoke(other.ID); !strings.Contains(said, "no access key is left: ") {
		t.Error(said)
	}
}
