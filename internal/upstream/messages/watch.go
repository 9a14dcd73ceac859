package messages

import (
	"context"
	"errors"
	"io"
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

// watcher ends a request whose upstream is silent.
type watcher struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func watch(ctx context.Context) (context.Context, *watcher) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watcher{ctx: ctx, cancel: cancel, timer: time.AfterFunc(headTimeout, func() { cancel(errSlow) })}
}

// over watches a body.
func (w *watcher) over(body io.ReadCloser) io.ReadCloser {
	w.ReadCloser = body
	w.timer.Reset(idleTimeout)
	return w
}

func (w *watcher) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && context.Cause(w.ctx) == errSlow {
		return n, errSlow
	}
	w.timer.Reset(idleTimeout)
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
