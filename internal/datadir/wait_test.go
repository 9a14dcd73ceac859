package datadir

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/identity"
)

// While a change waits for another process, the front door stays open.
func TestDoorWhileAChangeWaits(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "data"), Options{})
	other, err := os.OpenFile(f.file("keys.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := tryLock(other); err != nil {
		t.Fatal(err)
	}
	changed := make(chan error, 1)
	go func() { changed <- f.Revoke("AKIA") }()
	for began := time.Now(); time.Since(began) < 200*time.Millisecond; {
		if _, err := f.APIKey(t.Context(), [sha256.Size]byte{}); !errors.Is(err, identity.ErrNoKey) { // looks at the folder each time
			t.Fatal(err)
		}
	}
	select {
	case err := <-changed:
		t.Fatalf("the change has not waited, or a caller has: %v", err)
	default:
	}
	other.Close()
	if err := <-changed; !errors.Is(err, identity.ErrNoKey) {
		t.Fatal(err)
	}
}
