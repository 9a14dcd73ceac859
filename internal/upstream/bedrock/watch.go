package bedrock

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// watch cuts an attempt off when it takes too long. Its timer is the only thing
// beside the reading goroutine. A read says until when it may take, and no more:
// the timer looks at that when it fires, and sets itself anew for what is left.
// Setting it at every read would cost more than the read's frame does.
type watch struct {
	parent, ctx context.Context
	cancel      context.CancelCauseFunc
	idle        time.Duration
	timer       *time.Timer
	made        time.Time
	content     atomic.Bool  // it has begun
	until       atomic.Int64 // when the read is too late, in nanoseconds since made; 0: nothing is read
}

// Reasons to cut an attempt off.
var (
	errNoContent = errors.New("no content came in time")
	errSilent    = errors.New("the stream fell silent")
	errClosed    = errors.New("closed")
)

// endWait is how long the end of a stream is waited for when all has come.
const endWait = 2 * time.Second

// never is where there is no limit: a century.
const never = 100 * 365 * 24 * time.Hour

func newWatch(parent context.Context, o Options) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(parent)
	w := &watch{parent: parent, ctx: ctx, cancel: cancel, idle: limit(o.Idle), made: time.Now()}
	w.timer = time.AfterFunc(limit(o.FirstContent), w.fire)
	return ctx, w
}

func limit(d time.Duration) time.Duration {
	if d <= 0 {
		return never
	}
	return d
}

func (w *watch) fire() {
	if !w.content.Load() {
		w.cancel(errNoContent)
		return
	}
	for again := true; again && w.ctx.Err() == nil; {
		until, left := w.until.Load(), w.idle
		if until != 0 { // else nothing is read, and the next read has all of it
			left = time.Duration(until) - time.Since(w.made)
		}
		if left <= 0 {
			w.cancel(errSilent)
			return
		}
		w.timer.Reset(left)
		again = w.until.Load() != until // the last read may have set the timer in between
	}
}

// begun: content has come; from now on silence is what is watched.
func (w *watch) begun() {
	w.content.Store(true)
	w.timer.Reset(w.idle)
}

// arm begins one read. The last, which waits for the end, may take less than
// the timer is set for.
func (w *watch) arm(last bool) {
	d := w.idle
	if last {
		d = endWait
	}
	w.until.Store(int64(time.Since(w.made) + d))
	if last {
		w.timer.Reset(d)
	}
}

func (w *watch) disarm() { w.until.Store(0) }

// why gives the reason of an error that cutting off has caused.
func (w *watch) why(err error) error {
	switch cause := context.Cause(w.ctx); {
	case w.parent.Err() != nil:
		return w.parent.Err()
	case cause == errNoContent:
		return messages.Errorf(messages.ModelTimeout, "The model sent no content in time.").WithCause(&routing.Fault{MayBill: true, Err: cause})
	case cause == errSilent:
		return messages.Errorf(messages.ModelTimeout, "The model's stream fell silent.").WithCause(&routing.Fault{MayBill: true, Err: cause})
	default:
		return err
	}
}

// end lets go of the attempt and gives the reason of its error, if it had one.
func (w *watch) end(err error) error {
	w.timer.Stop()
	if err != nil {
		err = w.why(err)
	}
	w.cancel(errClosed)
	return err
}
