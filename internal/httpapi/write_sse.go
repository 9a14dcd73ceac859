package httpapi

import (
	"net/http"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

// sseWriter answers a streamed Messages call. The timer and the caller's
// goroutine write under one mutex.
type sseWriter struct {
	x     *exchange
	meter *gateway.Meter

	mu    sync.Mutex
	begun bool
	buf   []byte
	kept  *[]byte
	ping  *pinger
}

func (w *sseWriter) Begin(meta gateway.Meta, m *gateway.Meter) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meter, w.begun, w.kept = m, true, w.x.room()
	w.buf = *w.kept
	w.x.announce(meta)
	w.x.set("Content-Type", "text/event-stream; charset=utf-8")
	w.x.set("Cache-Control", "no-cache")
	w.x.promiseCost(meta, m)
	w.x.begin(http.StatusOK)
	w.ping = newPinger(&w.mu, func() error {
		w.buf = sse.AppendEvent(w.buf, messages.EventPing, []byte(pingEvent))
		return w.send()
	})
	return nil
}

func (w *sseWriter) Frame(f gateway.Frame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = sse.AppendEvent(w.buf, f.Event, f.Data)
	return nil
}

func (w *sseWriter) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) == 0 {
		return nil
	}
	w.ping.reset()
	return w.send()
}

// End implements gateway.Ender.
func (w *sseWriter) End() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.x.sendLast(w.buf)
	w.buf = w.buf[:0]
	return err
}

// send needs the mutex.
func (w *sseWriter) send() error {
	err := w.x.send(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *sseWriter) fail(e *messages.Error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.begun {
		return false
	}
	w.buf = sse.AppendEvent(w.buf, messages.EventError, e.AppendError(nil, w.x.requestID))
	_ = w.send() // the client may be gone
	return true
}

func (w *sseWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ping.stop()
	w.x.giveBack(w.kept, w.buf)
	w.kept, w.buf = nil, nil
}
