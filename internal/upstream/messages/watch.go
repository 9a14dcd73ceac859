package messages

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// How long an upstream may be silent: before its answer begins (a model may have
// to be loaded, and an answer that is not streamed is made whole first), and
// within it. The clients' own limit is 600 s.
const (
	headTimeout = 10 * time.Minute
	idleTimeout = 5 * time.Minute
)

var errSlow = errors.New("the upstream was silent for too long")

// watcher ends a request whose upstream is silent. Its timer finds out when it
// fires whether it was: it is not set at every read.
type watcher struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	made   time.Time
	until  atomic.Int64 // when silence is too long, in nanoseconds since made; 0: the answer has not begun
}

func watch(ctx context.Context) (context.Context, *watcher) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watcher{ctx: ctx, cancel: cancel, made: time.Now()}
	w.timer = time.AfterFunc(headTimeout, w.fire)
	return ctx, w
}

func (w *watcher) fire() {
	if left := time.Duration(w.until.Load()) - time.Since(w.made); left <= 0 {
		w.cancel(errSlow)
	} else if w.ctx.Err() == nil {
		w.timer.Reset(left)
	}
}

func (w *watcher) hear() { w.until.Store(int64(time.Since(w.made) + idleTimeout)) }

// over watches a body.
func (w *watcher) over(body io.ReadCloser) io.ReadCloser {
	w.ReadCloser = body
	w.hear()
	w.timer.Reset(idleTimeout)
	return w
}

func (w *watcher) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && context.Cause(w.ctx) == errSlow {
		return n, errSlow
	}
	w.hear()
	return n, err
}

func (w *watcher) Close() error {
	w.stop()
	return w.ReadCloser.Close()
}

func (w *watcher) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

func (u *Upstream) slow(err error) error {
	return messages.Errorf(messages.ModelTimeout, "The upstream %s was silent for too long.", u.opts.Name).WithCause(err)
}
