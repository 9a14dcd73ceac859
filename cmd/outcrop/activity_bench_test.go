package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// nowhere is a ResponseWriter that keeps nothing.
type nowhere struct {
	header http.Header
	status int
}

func (n *nowhere) Header() http.Header              { return n.header }
func (n *nowhere) WriteHeader(status int)           { n.status = status }
func (n *nowhere) Write(b []byte) (int, error)      { return len(b), nil }
func (n *nowhere) Flush()                           {}
func (n *nowhere) SetWriteDeadline(time.Time) error { return nil }
func (n *nowhere) SetReadDeadline(time.Time) error  { return nil }

// BenchmarkActivity is a call through the whole server, without a network: signed,
// routed, answered by a script, metered, and logged in each mode or not at all.
// The loads differ in what can be shared, a sync of the disk and a batch of the
// index: sixteen callers at once that keep the machine busy, and 16 and 64 whose
// model takes 20 ms. cpu-ns/op is the process's CPU, index and all. p50-ns says
// something of the slow loads alone; the others' is a queue for the CPU.
func BenchmarkActivity(b *testing.B) {
	text := strings.Repeat("abcdefghijklmnop", 128)
	scenario := filepath.Join(b.TempDir(), "answer.yaml")
	if err := os.WriteFile(scenario, []byte("rules:\n- answer: {content: [{text: "+text+"}]}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	body := []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":100000,"messages":[{"role":"user","content":"` + strings.Repeat("Hello, world. ", 150) + `"}]}`)
	slow := filepath.Join(b.TempDir(), "slow.yaml")
	if err := os.WriteFile(slow, []byte("rules:\n- answer: {delay: 20ms, content: [{text: "+text+"}]}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, load := range []struct {
		name, call, scenario string
		callers              int
	}{
		{"invoke", "invoke", scenario, 16},
		{"stream", "invoke-with-response-stream", scenario, 16},
		{"slow-16", "invoke", slow, 16},
		{"slow-64", "invoke", slow, 64},
	} {
		for _, mode := range []string{"off", "default", "power", "relaxed"} {
			b.Run(load.name+"/"+mode, func(b *testing.B) {
				o := &serveOptions{Listen: "127.0.0.1:0", Log: "off", Metrics: "loopback", dataOption: dataOption{Data: filepath.Join(b.TempDir(), "data")},
					answerOptions: answerOptions{Region: "us-west-2", Upstream: "scripted:" + load.scenario}}
				if o.ActivityOff = mode == "off"; !o.ActivityOff {
					if err := o.ActivityDurability.UnmarshalText([]byte(mode)); err != nil {
						b.Fatal(err)
					}
				}
				s, err := startServer(o, console{strings.NewReader(""), io.Discard, io.Discard})
				if err != nil {
					b.Fatal(err)
				}
				key, _, err := s.Data.FirstKey()
				if err != nil {
					b.Fatal(err)
				}
				path := "/model/global.anthropic.claude-opus-4-6-v1:0/" + load.call
				signed, err := http.NewRequest(http.MethodPost, s.URL+path, bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				signed.Header.Set("Content-Type", "application/json")
				sum := sha256.Sum256(body)
				if err := new(sigv4.Signer).Sign(signed, hex.EncodeToString(sum[:]), key, "us-west-2", "bedrock", time.Now()); err != nil {
					b.Fatal(err)
				}
				var n atomic.Int64
				var failed atomic.Int64
				one := func() {
					r := signed.Clone(signed.Context())
					r.RequestURI, r.Host, r.RemoteAddr, r.Body = path, signed.URL.Host, "127.0.0.1:1", io.NopCloser(bytes.NewReader(body))
					w := &nowhere{header: http.Header{}}
					s.http.Handler.ServeHTTP(w, r)
					n.Add(1)
					if w.status != 200 {
						failed.Store(int64(w.status))
					}
				}
				for range 50 {
					one()
				}
				b.ReportAllocs()
				b.SetParallelism(max(load.callers/runtime.GOMAXPROCS(0), 1))
				cpu := processCPU(b)
				b.ResetTimer()
				var mu sync.Mutex
				var took []time.Duration
				b.RunParallel(func(p *testing.PB) {
					mine := make([]time.Duration, 0, b.N)
					for p.Next() {
						begun := time.Now()
						one()
						mine = append(mine, time.Since(begun))
					}
					mu.Lock()
					took = append(took, mine...)
					mu.Unlock()
				})
				b.StopTimer()
				if err := s.shutdown(); err != nil { // with what it still has to write and to index
					b.Fatal(err)
				}
				b.ReportMetric(float64(processCPU(b)-cpu)/float64(b.N), "cpu-ns/op")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
				if status := failed.Load(); status != 0 {
					b.Fatalf("status %d", status)
				}
				if kept := records(b, o.Data); !o.ActivityOff && kept != int(n.Load()) {
					b.Fatalf("%d records of %d calls", kept, n.Load())
				}
			})
		}
	}
}

// records counts what the log of a data folder has.
func records(b *testing.B, data string) (n int) {
	b.Helper()
	a := activity.NewArchive(activityDir(data), nil)
	days, err := a.Days()
	if err != nil {
		b.Fatal(err)
	}
	for _, d := range days {
		if _, err := a.Walk(b.Context(), d, 0, func(activity.Ref, *activity.Record) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	return n
}
