package httpapi_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// sink is a ResponseWriter that keeps nothing.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header               { return s.header }
func (s *sink) WriteHeader(status int)            { s.status = status }
func (s *sink) Write(b []byte) (int, error)       { s.bytes += len(b); return len(b), nil }
func (s *sink) Flush()                            {}
func (s *sink) SetWriteDeadline(time.Time) error  { return nil }
func (s *sink) SetReadDeadline(t time.Time) error { return nil }

// whole runs one call through the whole server, without a network.
func whole(b testing.TB, answerBytes int, path, body string) func() {
	text := strings.Repeat("abcdefghijklmnop", answerBytes/16)
	s := newSetup(b, scripted.Scenario{Rules: []scripted.Rule{{Answer: scripted.Answer{Content: []scripted.Block{{Text: &text}}}}}})
	signed := s.request(b, "http://outcrop.test", path, body)
	return func() {
		r := signed.Clone(signed.Context())
		r.RequestURI = path
		r.Host = "outcrop.test"
		r.Body = io.NopCloser(strings.NewReader(body))
		w := &sink{header: http.Header{}}
		s.ServeHTTP(w, r)
		if w.status != 200 || w.bytes < answerBytes {
			b.Fatalf("status %d, %d bytes", w.status, w.bytes)
		}
	}
}

const benchBody = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":100000,"messages":[{"role":"user","content":"Hello, world"}]}`

func BenchmarkInvoke(b *testing.B) {
	call := whole(b, 2048, "/model/global.anthropic.claude-opus-4-6-v1:0/invoke", benchBody)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// BenchmarkConverse is the same call, translated there and back.
func BenchmarkConverse(b *testing.B) {
	call := whole(b, 2048, "/model/global.anthropic.claude-opus-4-6-v1:0/converse", streams[2].body)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

const benchFrames = 50

func BenchmarkStream(b *testing.B) {
	stream(b, "/model/global.anthropic.claude-opus-4-6-v1:0/invoke-with-response-stream", benchBody)
}

func BenchmarkConverseStream(b *testing.B) {
	stream(b, streams[2].path, streams[2].body)
}

func stream(b *testing.B, path, body string) {
	call := whole(b, benchFrames*16, path, body)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchFrames, "ns/frame")
}

// TestRelayAllocations holds the relay to less than one allocation a frame, the
// scripted upstream's own left out: it makes its frames before the stream starts.
func TestRelayAllocations(t *testing.T) {
	for _, st := range streams {
		few, many := relayAllocs(t, st.path, st.body, 10), relayAllocs(t, st.path, st.body, 1010)
		if per := (many - few) / 1000; per > 1 {
			t.Errorf("%s: %.2f allocations a frame, want at most 1", st.name, per)
		}
	}
}

func relayAllocs(t *testing.T, path, body string, frames int) float64 {
	s := newSetupOver(t, &repeated{frames: frames})
	signed := s.request(t, "http://outcrop.test", path, body)
	return testing.AllocsPerRun(20, func() {
		r := signed.Clone(signed.Context())
		r.RequestURI, r.Host, r.Body = path, "outcrop.test", io.NopCloser(strings.NewReader(body))
		w := &sink{header: http.Header{}}
		s.ServeHTTP(w, r)
		if w.status != 200 {
			t.Fatalf("status %d", w.status)
		}
	})
}
