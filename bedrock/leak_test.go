package bedrock_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/bedrock"
)

// A caller who stops reading leaves nothing behind, however he stops, once the
// stream is closed or its context is over.
func TestNothingLeaks(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, c *bedrock.Client){
		"closed after an event": func(t *testing.T, c *bedrock.Client) {
			s := c.Messages.NewStreaming(t.Context(), hello(opus46))
			if !s.Next() {
				t.Error(s.Err())
			}
			s.Close()
		},
		"closed unread": func(t *testing.T, c *bedrock.Client) {
			c.Messages.NewStreaming(t.Context(), hello(opus46)).Close()
		},
		"closed twice": func(t *testing.T, c *bedrock.Client) {
			s := c.Messages.NewStreaming(t.Context(), hello(opus46))
			s.Close()
			s.Close()
		},
		"never closed, the context over": func(t *testing.T, c *bedrock.Client) {
			ctx, cancel := context.WithCancel(t.Context())
			s := c.Messages.NewStreaming(ctx, hello(opus46))
			s.Next()
			cancel()
		},
		"a deadline while reading": func(t *testing.T, c *bedrock.Client) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			s := c.Messages.NewStreaming(ctx, hello(opus46))
			for s.Next() {
			}
			if !errors.Is(s.Err(), context.DeadlineExceeded) {
				t.Error(s.Err())
			}
		},
		"gone idle": func(t *testing.T, c *bedrock.Client) {
			s := c.Messages.NewStreaming(t.Context(), hello(opus46))
			for s.Next() {
			}
			if !errors.Is(s.Err(), bedrock.ErrTruncated) {
				t.Error(s.Err())
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			hang := func(_ int, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", frameType)
				w.Write(framed(helloEvents[:3]...))
				w.(http.Flusher).Flush()
				<-r.Context().Done() // until the client leaves
			}
			f := serve(t, hang)
			transport := &http.Transport{}
			idle := time.Hour
			if name == "gone idle" {
				idle = 20 * time.Millisecond
			}
			stop(t, connect(t, f, bedrock.WithIdleTimeout(idle), bedrock.WithHTTPClient(&http.Client{Transport: transport})))
			transport.CloseIdleConnections()
			f.Close()
			goleak.VerifyNone(t, before)
		})
	}
}

// The stream has no goroutine of its own: one that is held open costs none but
// the connection's.
func TestAStreamIsNoGoroutine(t *testing.T) {
	c := from(t, frameType, bytesBody(framed(helloEvents...)))
	before := runtime.NumGoroutine()
	s := c.Messages.NewStreaming(t.Context(), hello(opus46))
	defer s.Close()
	if !s.Next() {
		t.Fatal(s.Err())
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}
