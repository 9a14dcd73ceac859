package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func scriptedServer(t *testing.T, change func(*serveOptions)) *server {
	t.Helper()
	scenario := filepath.Join(t.TempDir(), "slow.yaml")
	if err := os.WriteFile(scenario, []byte("rules:\n- answer: {frame_delay: 5ms}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := &serveOptions{Listen: "127.0.0.1:0", Log: "off", Metrics: "loopback", dataOption: dataOption{Data: filepath.Join(t.TempDir(), "data")},
		answerOptions: answerOptions{Region: "us-west-2", Upstream: "scripted:" + scenario}}
	if change != nil {
		change(o)
	}
	s, err := startServer(o, console{strings.NewReader(""), io.Discard, io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// balancer is what stands before servers: it asks readyz, and sends calls where
// it has heard yes.
type balancer struct {
	mu    sync.Mutex
	ready []string
}

func (b *balancer) look(urls ...string) {
	var ready []string
	for _, u := range urls {
		if resp, err := http.Get(u + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				ready = append(ready, u)
			}
		}
	}
	b.mu.Lock()
	b.ready = ready
	b.mu.Unlock()
}

func (b *balancer) pick(n int64) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready[int(n)%len(b.ready)]
}

// TestDrain: streams run through two servers without a pause; one leaves. No call
// is refused and no stream is cut.
func TestDrain(t *testing.T) {
	const delay = 500 * time.Millisecond
	stays := scriptedServer(t, func(o *serveOptions) { o.InsecureSkipAuth = true })
	defer stays.shutdown()
	leaves := scriptedServer(t, func(o *serveOptions) { o.InsecureSkipAuth, o.DrainDelay, o.DrainTimeout = true, delay, time.Minute })
	b := &balancer{}
	b.look(stays.URL, leaves.URL)
	if len(b.ready) != 2 {
		t.Fatalf("ready: %v", b.ready)
	}
	ctx, stop := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- leaves.wait(ctx) }()

	var n, through atomic.Int64
	over := make(chan struct{})
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				u := b.pick(n.Add(1))
				if err := streamOnce(u); err != nil {
					t.Errorf("%s: %v", u, err)
					return
				}
				if u == leaves.URL {
					through.Add(1)
				}
			}
		})
	}
	for through.Load() < 8 && !t.Failed() { // it is busy
		b.look(stays.URL, leaves.URL)
	}
	stop()
	for gone := false; !gone; {
		b.look(stays.URL, leaves.URL)
		select {
		case err := <-left:
			if gone = true; err != nil {
				t.Error(err)
			}
		default:
		}
	}
	if len(b.ready) != 1 || b.ready[0] != stays.URL {
		t.Errorf("ready: %v", b.ready)
	}
	close(over)
	calls.Wait()
}

func streamOnce(u string) error {
	body := `{"model":"global.anthropic.claude-opus-4-6-v1","stream":true,"max_tokens":64,"messages":[{"role":"user","content":"one two three four five six"}]}`
	resp, err := http.Post(u+"/anthropic/v1/messages", "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !bytes.Contains(got, []byte("event: message_stop"))) {
		err = fmt.Errorf("%d %s", resp.StatusCode, got)
	}
	return err
}

// TestMetricsServed: to this machine, and to others where the operator says so.
func TestMetricsServed(t *testing.T) {
	for _, test := range []struct {
		who, forwarded string
		status         int
	}{{"loopback", "", 200}, {"loopback", "203.0.113.9", 403}, {"all", "203.0.113.9", 200}, {"off", "", 404}} {
		s := scriptedServer(t, func(o *serveOptions) { o.InsecureSkipAuth, o.Metrics = true, test.who })
		if err := streamOnce(s.URL); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(http.MethodGet, s.URL+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.forwarded != "" {
			req.Header.Set("X-Forwarded-For", test.forwarded)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != test.status || test.status == 200 != bytes.Contains(got, []byte(`outcrop_calls_total{error="",model="anthropic.claude-opus-4-6-v1"`)) {
			t.Errorf("%s from %q: %d %.300s", test.who, test.forwarded, resp.StatusCode, got)
		}
		_ = s.shutdown()
	}
}
