package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/sse"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// surfaces that stream, with a reader of their first event.
var streams = []struct {
	name, path, body string
	first            func(io.Reader) error
}{
	{"invoke", "/model/global.anthropic.claude-opus-4-6-v1:0/invoke-with-response-stream",
		`{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"one two three four five six"}]}`,
		func(r io.Reader) error { _, err := eventstream.NewReader(r).Next(); return err }},
	{"messages", "/anthropic/v1/messages",
		`{"model":"global.anthropic.claude-opus-4-6-v1","stream":true,"max_tokens":64,"messages":[{"role":"user","content":"one two three four five six"}]}`,
		func(r io.Reader) error { _, err := sse.NewReader(r).Next(); return err }},
	{"converse", "/model/global.anthropic.claude-opus-4-6-v1:0/converse-stream",
		`{"messages":[{"role":"user","content":[{"text":"one two three four five six"}]}],"inferenceConfig":{"maxTokens":64}}`,
		func(r io.Reader) error { _, err := eventstream.NewReader(r).Next(); return err }},
}

func (s *setup) request(t testing.TB, base, path, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	s.sign(t, req, []byte(body))
	return req
}

// TestFirstFrameArrivesWhileHeld: the first frame is at the client while the
// upstream is still held before its second.
func TestFirstFrameArrivesWhileHeld(t *testing.T) {
	for _, st := range streams {
		t.Run(st.name, func(t *testing.T) {
			release := make(chan struct{})
			scenario := scripted.Scenario{Rules: []scripted.Rule{{Answer: scripted.Answer{Before: func(frame int) error {
				if frame > 0 {
					<-release
				}
				return nil
			}}}}}
			s := newSetup(t, scenario)
			server := httptest.NewServer(s.Server)
			defer server.Close()
			resp, err := http.DefaultTransport.RoundTrip(s.request(t, server.URL, st.path, st.body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if err := st.first(resp.Body); err != nil {
				t.Fatalf("first frame: %v", err)
			}
			close(release) // only now may the second come
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestClientLeavesCancelsUpstream: when the client leaves, the upstream's context
// ends before another frame is read.
func TestClientLeavesCancelsUpstream(t *testing.T) {
	for _, st := range streams {
		t.Run(st.name, func(t *testing.T) {
			held, left := make(chan struct{}), make(chan struct{})
			frames := make(chan int, 100)
			up := &watched{hold: 1, held: held, left: left, frames: frames}
			s := newSetupOver(t, up)
			server := httptest.NewServer(s.Server)
			defer server.Close()
			ctx, leave := context.WithCancel(t.Context())
			resp, err := http.DefaultTransport.RoundTrip(s.request(t, server.URL, st.path, st.body).WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			if err := st.first(resp.Body); err != nil {
				t.Fatal(err)
			}
			<-held // the upstream waits for its second frame
			leave()
			resp.Body.Close()
			<-left // its context has ended
			if n := len(frames); n != 1 {
				t.Fatalf("%d frames were read, want 1", n)
			}
			for range 2000 { // the record follows the answer
				if recs := s.Records.Records(); len(recs) == 1 {
					if r := recs[0]; r.ErrorCode != "ClientDisconnected" || !r.Partial {
						t.Fatalf("record: %+v", r)
					}
					return
				}
				time.Sleep(time.Millisecond)
			}
			t.Fatal("no record")
		})
	}
}
