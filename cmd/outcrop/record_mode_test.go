package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/recording"
)

// Prompts and answers are for who has asked.
func TestRecordingIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes there")
	}
	part, err := os.CreateTemp(t.TempDir(), "part")
	if err != nil {
		t.Fatal(err)
	}
	tape, err := recording.NewTape(part)
	if err != nil {
		t.Fatal(err)
	}
	tape.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/model/m/invoke", strings.NewReader("{}")))
	c := &recordCmd{Output: filepath.Join(t.TempDir(), "r.txtar")}
	if err := c.keep(tape, part, "scripted", console{Out: io.Discard, Err: new(bytes.Buffer)}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(c.Output); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
