package activity

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Durability is what a record outlives once its call has been answered.
type Durability uint8

const (
	// Default: the death of the process at any moment. What the machine loses
	// when its power fails is the last ten milliseconds.
	Default Durability = iota
	// Power: the loss of power too. Each answer waits for the disk.
	Power
	// Relaxed: an orderly stop. Records are queued; nobody waits.
	Relaxed
)

// UnmarshalText reads a flag's value.
func (d *Durability) UnmarshalText(text []byte) error {
	switch string(text) {
	case "default":
		*d = Default
	case "power":
		*d = Power
	case "relaxed":
		*d = Relaxed
	default:
		return fmt.Errorf("%q is none of default, power, relaxed", text)
	}
	return nil
}

func (d Durability) String() string {
	switch d {
	case Default:
		return "default"
	case Power:
		return "power"
	case Relaxed:
		return "relaxed"
	default:
		return fmt.Sprintf("Durability(%d)", uint8(d))
	}
}

// Options of a Store.
type Options struct {
	Durability Durability
	// Required: a call whose opening cannot be written is denied, and an answer
	// whose record cannot be is not finished. Otherwise the trouble is logged
	// and the call goes on.
	Required  bool
	Retention int   // days that are kept after their end; 0: 30
	MaxBytes  int64 // of all segments; 0: 10 GiB
	Now       func() time.Time
	Log       *slog.Logger
	Index     Index // may be nil

	// BeforeDrop is called before a day is dropped, while it can still be read.
	// An error puts the drop off.
	BeforeDrop func(Day) error
	// BeforeStrip is called before a day loses its requests and answers to make
	// room, while they can still be read.
	BeforeStrip func(Day)

	wrap  func(segment.Disk) segment.Disk
	still bool // nothing happens in the background
}

const (
	defaultRetention = 30
	defaultMaxBytes  = 10 << 30
)

// syncEvery is how long the default mode lets the disk lag behind.
const syncEvery = 10 * time.Millisecond

// tendEvery is how often a Store looks after its files, troubleEvery how often
// while they cannot be written.
const (
	tendEvery    = time.Minute
	troubleEvery = 5 * time.Second
)

// Store is the writing side of the activity log. There may be one on a folder.
type Store struct {
	o   Options
	dir string

	mu     sync.Mutex
	days   map[Day]*dayFile
	closed bool

	queue     *queue // Relaxed alone
	strangers strangers
	trouble   trouble
	unsaved   trouble      // of syncs, in the background
	full      atomic.Bool  // no bodies are kept: today's alone fill MaxBytes
	written   atomic.Int64 // bytes since the files were last looked at
	room      atomic.Int64 // of MaxBytes, that was left then
	warned    atomic.Bool  // that 80 % of MaxBytes are used

	dirty, grown, tend chan struct{} // signals, of capacity 1
	stop               context.CancelFunc
	tending            sync.WaitGroup

	tidying  sync.Mutex // held by who changes the files of past days
	stripped map[Day]bool
	indexing sync.Mutex // held by who fills the index
	rows     []Row      // memory of a batch
	lateMu   sync.Mutex
	late     []late
}

// OpenStore opens the log in a folder, which it makes. What a crash has left
// open is closed as interrupted before it returns.
func OpenStore(dir string, o Options) (*Store, error) {
	if o.Retention <= 0 {
		o.Retention = defaultRetention
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("activity log: %w", err)
	}
	s := &Store{o: o, dir: dir, days: map[Day]*dayFile{}, stripped: map[Day]bool{},
		dirty: make(chan struct{}, 1), grown: make(chan struct{}, 1), tend: make(chan struct{}, 1)}
	s.trouble.log, s.trouble.begun, s.unsaved.log, s.unsaved.begun = o.Log, s.tend, o.Log, s.tend
	if err := s.recover(); err != nil {
		s.closeFiles()
		return nil, fmt.Errorf("activity log: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if o.Durability == Relaxed {
		s.queue = newQueue()
		s.tending.Go(func() { s.queue.run(s) })
	}
	if o.still {
		return s, nil
	}
	s.tending.Go(func() { s.syncLoop(ctx) })
	s.tending.Go(func() { s.tendLoop(ctx) })
	if o.Index != nil {
		s.tending.Go(func() { s.indexLoop(ctx) })
	}
	return s, nil
}

// Dir is the Store's folder.
func (s *Store) Dir() string { return s.dir }

// Close writes what is queued, brings the index up to date and closes the files.
// No call may be under way.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.countStrangers()
	if s.queue != nil {
		s.queue.close()
	}
	s.stop()
	s.tending.Wait()
	s.catchLater()
	if n := len(s.late); n > 0 {
		s.o.Log.Error("activity log: records are lost, since they cannot be written", "records", n)
	}
	if s.o.Index != nil {
		if err := s.CatchUp(context.Background()); err != nil {
			s.o.Log.Error("activity log: the index is behind; the next start makes it again", "error", err)
		}
	}
	return s.closeFiles()
}

func (s *Store) closeFiles() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for d, f := range s.days {
		errs = append(errs, f.seal())
		delete(s.days, d)
	}
	return errors.Join(errs...)
}

// Trouble is why the log cannot be written, nil while it can.
func (s *Store) Trouble() error { return errors.Join(s.trouble.now(), s.unsaved.now()) }

// Size is what the log takes on the disk, without its index.
func (s *Store) Size() (int64, error) { return s.size() }

// signal wakes who listens; one that is pending is enough.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// denied is what a caller is told where the log is required.
func (s *Store) denied(err error) error {
	return messages.Errorf(messages.Unavailable, "The activity log cannot be written, and this server answers no call without a record.").
		WithHint("make room in %s, or serve without activity.required", s.dir).WithCause(err)
}

// syncLoop is the default mode's: what was written goes to the disk together,
// syncEvery after the first of it. In power mode others may have synced it then.
func (s *Store) syncLoop(ctx context.Context) {
	wait := time.NewTimer(syncEvery)
	defer wait.Stop()
	ends := map[Day]int64{} // of what is to be synced
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.dirty:
		}
		clear(ends)
		for _, f := range s.openDays() {
			if end := f.file.End(); f.file.Synced() < end {
				ends[f.day] = end
			}
			f.release()
		}
		if len(ends) == 0 {
			continue
		}
		wait.Reset(syncEvery)
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		for _, f := range s.openDays() { // those that are no more have been synced
			if end := ends[f.day]; end == 0 { // it has been opened since
			} else if err := f.file.Sync(end); err != nil {
				s.unsaved.failed("sync", err, s.o.Now())
			} else {
				s.unsaved.over()
				_ = f.file.Ahead(s.room.Load() - s.written.Load()) // without, a sync costs more
			}
			f.release()
		}
	}
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
