package bedrock

import (
	"errors"
	"io"
	"sync/atomic"
	"time"
)

var errIdle = errors.New("nothing has come for the idle timeout")

// watched closes a body when a Read of it takes too long.
type watched struct {
	io.ReadCloser
	limit time.Duration
	timer *time.Timer
	fired atomic.Bool
}

func watch(rc io.ReadCloser, limit time.Duration) *watched {
	w := &watched{ReadCloser: rc, limit: limit}
	w.timer = time.AfterFunc(limit, func() {
		w.fired.Store(true)
		w.ReadCloser.Close()
	})
	w.timer.Stop()
	return w
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.limit)
	n, err := w.ReadCloser.Read(p)
	w.timer.Stop()
	if err != nil && err != io.EOF && w.fired.Load() {
		err = errIdle
	}
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	return w.ReadCloser.Close()
}
