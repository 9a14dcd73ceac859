package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/limit"
)

// startFrom starts a server as outcrop serve --config does.
func startFrom(t *testing.T, config string) *server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "outcrop.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	quiet := console{strings.NewReader(""), io.Discard, io.Discard}
	var c cli
	parser, err := newParser(&c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"serve", "--config", file}); err != nil {
		t.Fatal(err)
	}
	s, err := startServer(&c.Serve.serveOptions, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// billedAWS answers each call with 100 tokens in and 180 out: half a cent of
// Claude Opus 4.6.
func billedAWS(t *testing.T) (url string, asked *atomic.Int64) {
	asked = new(atomic.Int64)
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet { // the server warms its connection
			return
		}
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"m","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":"end_turn","usage":{"input_tokens":100,"output_tokens":180}}`)
	}))
	t.Cleanup(aws.Close)
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIALIMITS", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	return aws.URL, asked
}

// TestSpendOutlivesARestart: what a key has spent is not forgotten, neither of
// the day nor of the month, and a limit that is raised counts at once.
func TestSpendOutlivesARestart(t *testing.T) {
	aws, asked := billedAWS(t)
	dir := t.TempDir()
	config := fmt.Sprintf("upstream: bedrock\nbedrock_endpoint: %s\nlisten: 127.0.0.1:0\ndata: %s/data\nlog: \"off\"\nlimit_usd_per_month: 0.08\n", aws, dir)
	s := startFrom(t, config)
	key, secret, err := s.Data.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: "team", Settings: identity.Settings{Limits: limit.Limits{Day: 50_000_000}}})
	if err != nil {
		t.Fatal(err)
	}
	call := func() (*http.Response, string) {
		t.Helper()
		body := `{"model":"global.anthropic.claude-opus-4-6-v1","max_tokens":900,"messages":[{"role":"user","content":"hi"}]}`
		req, err := http.NewRequest(http.MethodPost, s.URL+"/anthropic/v1/messages", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Api-Key", secret.Reveal())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(raw)
	}
	// 900 tokens may cost 2.25 cents: with half a cent each the sixth call is the
	// last for which five cents have room.
	run := func(want int, words string) {
		t.Helper()
		for n := 0; ; n++ {
			resp, said := call()
			if resp.StatusCode == http.StatusOK && n < want {
				continue
			}
			if n != want || resp.StatusCode != http.StatusTooManyRequests || !strings.Contains(said, `"type":"billing_error"`) || !strings.Contains(said, words) ||
				resp.Header.Get("X-Should-Retry") != "false" || resp.Header.Get("Retry-After") == "" {
				t.Fatalf("after %d calls, want %d: %d %v %s", n, want, resp.StatusCode, resp.Header, said)
			}
			return
		}
	}
	run(6, "spend limit reached (daily; resets ")
	if err := s.shutdown(); err != nil {
		t.Fatal(err)
	}
	s = startFrom(t, config)
	run(0, "$0.03 of it is spent or reserved")
	if _, err := s.Data.Update(key.ID, func(set *identity.Settings) error { set.Limits.Day = limit.None; return nil }); err != nil {
		t.Fatal(err)
	}
	run(6, "spend limit reached (monthly; resets ") // the server's own: eight cents
	if err := s.shutdown(); err != nil {
		t.Fatal(err)
	}
	s = startFrom(t, config)
	defer s.shutdown()
	run(0, "$0.06 of it is spent or reserved")
	if asked.Load() != 12 {
		t.Errorf("AWS was asked %d times", asked.Load())
	}
}

// What a key's policy keeps out of the activity log is in none of its files.
func TestActivityPolicyOfAKey(t *testing.T) {
	s := startFrom(t, fmt.Sprintf("upstream: scripted\nlisten: 127.0.0.1:0\ndata: %s/data\nlog: \"off\"\n", t.TempDir()))
	defer s.shutdown()
	for i, policy := range []activity.Policy{activity.Full, activity.Metadata, activity.None} {
		k, secret, err := s.Data.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: "k", Settings: identity.Settings{Activity: policy}})
		if err != nil {
			t.Fatal(err)
		}
		word := fmt.Sprintf("secretword%d", i)
		for _, body := range []string{`{"model":"global.anthropic.claude-opus-4-6-v1","max_tokens":9,"messages":[{"role":"user","content":"` + word + `"}]}`, `{"model":"` + word + `"}`} {
			req, err := http.NewRequest(http.MethodPost, s.URL+"/anthropic/v1/messages", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Api-Key", secret.Reveal())
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		records, kept := 0, 0
		if err := s.archive.Scan(t.Context(), activity.Filter{Key: k.ID}, nil, func(x *activity.Exchange) bool {
			records++
			if x.Input != nil {
				kept++
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if want := [][2]int{{2, 1}, {2, 0}, {0, 0}}[i]; records != want[0] || kept != want[1] {
			t.Errorf("%s: %d records, %d with contents", policy, records, kept)
		}
	}
}

// A key of whose calls nothing is kept may have the server's limit of money: that
// a restart forgets what it has spent is said.
func TestForgottenSpendIsSaid(t *testing.T) {
	data, err := datadir.Open(filepath.Join(t.TempDir(), "data"), datadir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	var ids []string
	for _, settings := range []identity.Settings{{Activity: activity.None}, {Activity: activity.None, Limits: limit.Limits{Day: limit.None}}, {Activity: activity.Metadata}} {
		k, _, err := data.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: "k", Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, k.ID)
	}
	var said bytes.Buffer
	s := &server{Data: data, archive: activity.NewArchive(t.TempDir(), nil)}
	if _, err := s.openLimits(&limitOptions{LimitUSDPerDay: 1e9}, slog.New(slog.NewTextHandler(&said, nil))); err != nil {
		t.Fatal(err)
	}
	if text := said.String(); !strings.Contains(text, ids[0]) || strings.Contains(text, ids[1]) || strings.Contains(text, ids[2]) {
		t.Errorf("%s", text)
	}
}
