package activity

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// trouble is the last failure to write, logged at most every ten seconds.
type trouble struct {
	log    *slog.Logger
	begun  chan struct{} // signalled when there is trouble where there was none
	mu     sync.Mutex
	err    error
	said   time.Time
	unsaid int
	bad    atomic.Bool
}

func (t *trouble) now() error {
	if !t.bad.Load() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

func (t *trouble) failed(what string, err error, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
	if !t.bad.Swap(true) {
		signal(t.begun)
	}
	if now.Sub(t.said).Abs() < 10*time.Second {
		t.unsaid++
		return
	}
	t.log.Error("activity log: cannot write", "what", what, "error", err, "not_said_before", t.unsaid)
	t.said, t.unsaid = now, 0
}

// over says whether there was any.
func (t *trouble) over() bool {
	if !t.bad.Load() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bad.Store(false)
	t.err, t.said = nil, time.Time{}
	t.log.Info("activity log: can write again", "not_said_before", t.unsaid)
	t.unsaid = 0
	return true
}
