//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// small makes the folder of a server that can be filled, and what fills and
// empties it: a file system of its own where the test may mount one, else an
// activity log whose file is /dev/full.
func small(t *testing.T) (data string, mounted bool, fill, empty func()) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=24m,mode=0700")
	if err != nil {
		t.Logf("NO FILE SYSTEM OF ITS OWN (%v): /dev/full stands for the log's file", err)
		today := func() string {
			return filepath.Join(data, activityFolder, time.Now().UTC().Format(time.DateOnly)+".seg")
		}
		return data, false, func() {
				if err := os.Symlink("/dev/full", today()); err != nil {
					t.Fatal(err)
				}
			}, func() {
				if err := os.Remove(today()); err != nil {
					t.Fatal(err)
				}
			}
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(data, "filler")
	return data, true, func() {
			f, err := os.Create(filler)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for b := make([]byte, 64<<10); len(b) > 0; b = b[:len(b)/2] { // to the last page
				for err = nil; err == nil; {
					_, err = f.Write(b)
				}
				if !errors.Is(err, syscall.ENOSPC) {
					t.Fatal(err)
				}
			}
		}, func() {
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		}
}

// claude is an upstream that counts its calls.
func claude(t *testing.T) (url string, calls *atomic.Int64) {
	calls = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, calls
}

// TestFullDisk is the whole server on a disk that fills up and has room again: it
// serves on, unless the log is required, and says so.
func TestFullDisk(t *testing.T) {
	for _, required := range []bool{false, true} {
		name := "default"
		if required {
			name = "required"
		}
		t.Run(name, func(t *testing.T) {
			data, mounted, fill, empty := small(t)
			upstream, asked := claude(t)
			s := scriptedServer(t, func(o *serveOptions) {
				o.InsecureSkipAuth, o.Data, o.Upstream, o.ActivityRequired = true, data, upstream, required
				o.UpstreamCan = []string{"images", "tools"}
			})
			stopped := false
			defer func() {
				if !stopped {
					s.shutdown()
				}
			}()
			c := caller{t, s.URL, ""}
			body := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"` + strings.Repeat("Long. ", 10_000) + `"}]}`
			call := func() int {
				status, _ := c.do("POST", "/model/global.anthropic.claude-opus-4-6-v1:0/invoke", body)
				return status
			}
			health := func() string {
				_, said := c.do("GET", "/healthz", "")
				var h struct {
					Log string `json:"activity_log"`
				}
				if err := json.Unmarshal([]byte(said), &h); err != nil {
					t.Fatalf("%v: %s", err, said)
				}
				return h.Log
			}
			readyz := func() int {
				status, _ := c.do("GET", "/readyz", "")
				return status
			}
			answered := 0
			if mounted { // else the log's file must not be there yet
				if got := call(); got != 200 {
					t.Fatalf("before: %d", got)
				}
				answered++
			}
			if got := health(); got != "ok" {
				t.Fatalf("before: %s", got)
			}
			fill()
			for i := range 5 {
				got := call()
				switch {
				case got == 200:
					answered++
				case !required || got != 503:
					t.Fatalf("call %d on a full disk: %d", i, got)
				}
			}
			if got := int(asked.Load()); got != answered {
				t.Errorf("the model was asked %d times for %d answers", got, answered)
			}
			if required && answered > 1 || !required && answered < 5 {
				t.Errorf("%d answers", answered)
			}
			if got := health(); !strings.HasPrefix(got, "cannot be written") {
				t.Errorf("healthz: %s", got)
			}
			if got, want := readyz(), map[bool]int{false: 200, true: 503}[required]; got != want {
				t.Errorf("readyz %d, want %d", got, want)
			}
			empty()
			deadline, tick := time.After(30*time.Second), time.NewTicker(50*time.Millisecond)
			defer tick.Stop()
			for health() != "ok" || readyz() != 200 {
				select {
				case <-tick.C:
				case <-deadline:
					t.Fatalf("it does not recover: %s", health())
				}
			}
			if got := call(); got != 200 {
				t.Errorf("after: %d", got)
			}
			answered++
			stopped = true
			if err := s.shutdown(); err != nil {
				t.Error(err)
			}
			out, _ := runs(t, &logsListCmd{logOption: logOption{Data: data}, JSON: true})
			kept, whole := 0, 0
			for line := range strings.Lines(out) {
				var l struct {
					Outcrop struct {
						Status  int
						Content string
					}
				}
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatal(err)
				}
				if l.Outcrop.Status == 200 {
					kept++
				}
				if l.Outcrop.Content == "kept" {
					whole++
				}
			}
			if kept != answered || whole == 0 || whole > answered-4 && !required {
				t.Errorf("%d records of %d answers, %d with their contents\n%s", kept, answered, whole, out)
			}
		})
	}
}
