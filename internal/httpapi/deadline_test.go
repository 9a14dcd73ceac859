package httpapi_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// bounded keeps the write deadlines that it was given.
type bounded struct {
	sink
	deadlines []time.Time
}

func (b *bounded) SetWriteDeadline(at time.Time) error {
	b.deadlines = append(b.deadlines, at)
	return nil
}

// TestWriteDeadlines: HTTP/1 lifts the deadline of the answer before and sets one
// for a whole stream, which its end is written under too; HTTP/2, which resets a
// stream when it passes, has none between writes.
func TestWriteDeadlines(t *testing.T) {
	for proto := 1; proto <= 2; proto++ {
		s := newSetupOver(t, &repeated{frames: 50})
		st := streams[0]
		r := s.request(t, "http://outcrop.test", st.path, st.body)
		r.ProtoMajor, r.RequestURI, r.Host, r.Body = proto, st.path, "outcrop.test", io.NopCloser(strings.NewReader(st.body))
		w := &bounded{sink: sink{header: http.Header{}}}
		s.ServeHTTP(w, r)
		if w.status != 200 || w.bytes == 0 {
			t.Fatalf("HTTP/%d: status %d, %d bytes", proto, w.status, w.bytes)
		}
		d := w.deadlines
		switch proto {
		case 1:
			if len(d) != 2 || !d[0].IsZero() || d[1].IsZero() {
				t.Errorf("HTTP/1: deadlines %v, want none, then one", d)
			}
		default:
			if len(d) == 0 || len(d)%2 != 0 || !d[len(d)-1].IsZero() {
				t.Errorf("HTTP/2: deadlines %v, want each lifted", d)
			}
		}
	}
}
