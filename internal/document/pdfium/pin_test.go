package pdfium

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestPinned: what stands here is what pin.txt says, with nothing beside it.
func TestPinned(t *testing.T) {
	text, err := os.ReadFile("pin.txt")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), "\n")
	if head != "@embedpdf/pdfium 2.15.1" {
		t.Errorf("pin.txt is for %q: the imports and calls here were tried with 2.15.1", head)
	}
	names := ""
	for line := range strings.Lines(rest) {
		f := strings.Fields(line)
		data, err := os.ReadFile(f[2])
		if err != nil {
			t.Fatal(err)
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(data)); sum != f[0] {
			t.Errorf("%s has the sha256 %s, pin.txt says %s", f[2], sum, f[0])
		}
		names += f[2] + " "
	}
	if names != "pdfium.wasm LICENSE.embedpdf LICENSE.pdfium " {
		t.Errorf("pin.txt lists %s", names)
	}
}
