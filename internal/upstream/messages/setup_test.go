package messages_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	anthropic "github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/upstream/messages"
)

const hello = `{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["x"],"max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`

var loaded = sync.OnceValues(func() (*catalog.Catalog, error) { return catalog.Load() })

func route(t testing.TB) routing.Route {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Resolve("global.anthropic.claude-opus-4-6-v1", "us-west-2", catalog.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	r, ok := routing.New(res.Model, res.Candidates[0], routing.Here())
	if !ok {
		t.Fatal("no route")
	}
	return r
}

func request(t testing.TB, body string, stream bool) gateway.Request {
	t.Helper()
	b, err := gateway.NewBody(gateway.Messages, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return gateway.Request{Body: b, Head: &gateway.Head{Version: "bedrock-2023-05-31"}, Stream: stream}
}

// serve is an upstream over a server that answers by h.
func serve(t testing.TB, h http.HandlerFunc, opts messages.Options) *messages.Upstream {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	opts.Name, opts.URL = "test", server.URL
	u, err := messages.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// says is a handler of one fixed answer.
func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("request-id", "req_up")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// sseOf writes events, each one its data.
func sseOf(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString("event: " + anthropic.EventType([]byte(e)) + "\ndata: " + e + "\n\n")
	}
	return b.String()
}

// read gives the frames of a stream as "event data" and the error that ended it.
func read(s gateway.Stream) (frames []string, err error) {
	defer s.Close()
	for {
		f, err := s.Next()
		if err != nil {
			return frames, err
		}
		frames = append(frames, f.Event+" "+string(f.Data))
	}
}
