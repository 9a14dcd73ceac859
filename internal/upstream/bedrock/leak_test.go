package bedrock

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/gateway"
)

// Whatever becomes of a call, nothing of it stays behind: no goroutine, no timer, no
// body that holds its connection.
func TestNothingStaysBehind(t *testing.T) {
	frames := chunks(events1...)
	replies := map[string]func(http.ResponseWriter, *http.Request, seen){
		"whole":   plain(answer1),
		"stream":  streamed(frames, nil),
		"cut":     streamed(frames[:4], abort),
		"damaged": streamed([][]byte{frames[0], []byte("no frame at all, but long enough to be one")}, nil),
		"silent":  streamed(frames[:4], silent),
		"throttled": func(w http.ResponseWriter, _ *http.Request, _ seen) {
			fail(w, 429, "ThrottlingException", "Slow down.")
		},
		"wordy": func(w http.ResponseWriter, _ *http.Request, _ seen) {
			w.WriteHeader(500)
			io.WriteString(w, strings.Repeat("<html>", 100_000))
		},
		"expired": func(w http.ResponseWriter, _ *http.Request, _ seen) {
			fail(w, 403, "ExpiredTokenException", "The security token included in the request is expired")
		},
		"short": func(w http.ResponseWriter, _ *http.Request, _ seen) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"id":`)
		},
	}
	for name, reply := range replies {
		t.Run(name, func(t *testing.T) {
			f := serve(t, reply)
			before := runtime.NumGoroutine()
			u := connect(t, f, func(o *Options) { o.FirstContent, o.Idle = time.Hour, time.Hour })
			for _, stream := range []bool{false, true} {
				if name == "silent" && !stream {
					continue // TestNoWholeAnswer
				}
				for _, way := range []string{"to its end", "one frame", "left"} {
					ctx, leave := context.Background(), func() {}
					if way == "left" {
						ctx, leave = context.WithCancel(ctx)
					}
					if s, err := u.Send(ctx, route(t, opus46), request(t, helloBody, stream)); err == nil {
						switch way {
						case "to its end":
							if name != "silent" {
								pull(s)
							}
						case "one frame":
							s.Next()
						default:
							leave()
							s.Next()
						}
						s.Close()
						s.Close()
						if _, err := s.Next(); stream && err == nil {
							t.Errorf("%s: a closed stream has frames", way)
						}
					}
					leave()
				}
			}
			if name != "silent" {
				u.CountTokens(t.Context(), route(t, opus46), requestIn(t, gateway.Messages, helloBody, false))
			}
			u.Close()
			settled(t, before)
		})
	}
}

// settled waits until there are no more goroutines than before.
func settled(t *testing.T, before int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for runtime.NumGoroutine() > before {
		select {
		case <-deadline:
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		default:
			runtime.Gosched()
		}
	}
}
