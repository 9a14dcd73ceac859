package activity

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
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

	wrap  func(segment.Disk) segment.Disk
	still bool // nothing happens in the background
}

const (
	defaultRetention = 30
	defaultMaxBytes  = 10 << 30
)

// syncEvery is how long the default mode lets the disk lag behind.
const syncEvery = 10 * time.Millisecond

// tendEvery is how often a Store looks after its files.
const tendEvery = time.Minute

// Store is the writing side of the activity log. There may be one on a folder.
type Store struct {
	o   Options
	dir string

	mu     sync.Mutex
	days   map[Day]*dayFile
	closed bool

	queue   *queue // Relaxed alone
	trouble trouble
	unsaved trouble      // of syncs, in the background
	full    atomic.Bool  // no bodies are kept: today's alone fill MaxBytes
	written atomic.Int64 // bytes since the files were last looked at
	warned  atomic.Bool  // that 80 % of MaxBytes are used

	dirty, grown, tend chan struct{} // signals, of capacity 1
	stop               context.CancelFunc
	tending            sync.WaitGroup

	tidying  sync.Mutex // held by who changes the files of past days
	stripped map[Day]bool
	indexing sync.Mutex // held by who fills the index
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
	s.trouble.log, s.unsaved.log = o.Log, o.Log
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
	if s.queue != nil {
		s.queue.close()
	}
	s.stop()
	s.tending.Wait()
	s.catchLater()
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

// signal wakes who listens; one that is pending is enough.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// dayFile is a segment that is open for writing. Its calls hold it.
type dayFile struct {
	day  Day
	file *segment.File

	mu    sync.Mutex
	calls int
	open  map[int64]struct{} // offsets of openings whose call is not over

	blobMu sync.Mutex // held while a blob is written, so that none is twice
	blobs  map[[32]byte]int64
}

// maxBlobs bounds the memory of a day's digests. One that is not remembered is
// stored again.
const maxBlobs = 1 << 16

func (s *Store) path(d Day) string { return filepath.Join(s.dir, segmentName(d)) }

// hold gives the segment of a day, until release.
func (s *Store) hold(d Day) (*dayFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.days[d]
	if f == nil {
		var err error
		if f, err = s.openDay(d); err != nil {
			return nil, err
		}
		s.days[d] = f
	}
	f.mu.Lock()
	f.calls++
	f.mu.Unlock()
	return f, nil
}

func (f *dayFile) release() {
	f.mu.Lock()
	f.calls--
	f.mu.Unlock()
}

func (s *Store) openDay(d Day) (*dayFile, error) {
	f := &dayFile{day: d, open: map[int64]struct{}{}, blobs: map[[32]byte]int64{}}
	left, err := s.mend(f)
	if err != nil {
		return nil, err
	}
	if left > 0 {
		s.o.Log.Warn("activity log: calls were interrupted", "day", d, "calls", left)
	}
	return f, nil
}

// mend opens a day's segment and closes what a crash has left open in it.
func (s *Store) mend(f *dayFile) (interrupted int, err error) {
	type opened struct {
		rec  Record
		kept bool
		part int64
	}
	left := map[int64]*opened{}
	var order []int64
	path := s.path(f.day)
	file, cut, err := segment.Open(path, segment.Options{Wrap: s.o.wrap, Seen: func(e segment.Entry) error {
		switch e.Kind {
		case kindOpen:
			o := &opened{}
			pieces, err := decodeOpening(e.Payload, &o.rec)
			if err != nil {
				return fmt.Errorf("%s at %d: %w", path, e.Offset, err)
			}
			o.kept = len(pieces) > 0
			left[e.Offset] = o
			order = append(order, e.Offset)
		case kindPart:
			h, _, err := decodeHead(e.Payload)
			if err != nil {
				return fmt.Errorf("%s at %d: %w", path, e.Offset, err)
			}
			if o := left[h.opening]; o != nil {
				o.part = e.Offset
			}
		case kindClose:
			h, _, err := decodeHead(e.Payload)
			if err != nil {
				return fmt.Errorf("%s at %d: %w", path, e.Offset, err)
			}
			delete(left, h.opening)
		case kindBlob:
		default:
			return fmt.Errorf("%s at %d: an entry of kind %d; a later version has written here", path, e.Offset, e.Kind)
		}
		return nil
	}})
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	f.file = file
	if cut > 0 {
		s.o.Log.Warn("activity log: a torn end was cut", "file", path, "bytes", cut, "kept_in", path+".cut")
	}
	for _, at := range order {
		o := left[at]
		if o == nil {
			continue
		}
		o.rec.Interrupted, o.rec.Partial = true, o.part > 0
		o.rec.Status, o.rec.ErrorCode, o.rec.Error = 500, "Interrupted", "The server stopped before the call was over."
		if o.kept || o.part > 0 {
			o.rec.Content = Kept
		}
		if _, err := file.Append(kindClose, appendClose(nil, head{at, o.part}, &o.rec)); err != nil {
			return 0, err
		}
		interrupted++
	}
	return interrupted, f.remember(path)
}

// remember finds the blobs that the segment holds already.
func (f *dayFile) remember(path string) error {
	if f.file.End() == segment.Start {
		return nil
	}
	r, err := segment.OpenReader(path)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = r.Walk(segment.Start, func(kind byte) bool { return kind == kindBlob }, func(e segment.Entry) error {
		if len(e.Payload) >= 32 && len(f.blobs) < maxBlobs {
			f.blobs[[32]byte(e.Payload)] = e.Offset
		}
		return nil
	})
	return err
}

// seal closes the file, and marks it whole where no call is open.
func (f *dayFile) seal() error {
	f.mu.Lock()
	whole := len(f.open) == 0
	f.mu.Unlock()
	var err error
	if whole {
		err = f.file.Mark(f.file.End())
	}
	return errors.Join(err, f.file.Sync(f.file.End()), f.file.Close())
}

// mark moves the mark to the oldest call that is open, or to the end.
func (f *dayFile) mark() error {
	f.mu.Lock()
	at := f.file.End()
	for o := range f.open {
		at = min(at, o)
	}
	f.mu.Unlock()
	return f.file.Mark(at)
}

// recover looks at each segment that was not closed in order.
func (s *Store) recover() error {
	days, err := daysIn(s.dir)
	if err != nil {
		return err
	}
	for _, d := range days {
		_, whole, err := segment.Marked(s.path(d))
		if err != nil {
			return err
		}
		if whole {
			continue
		}
		f, err := s.openDay(d)
		if err != nil {
			return err
		}
		if err := f.seal(); err != nil {
			return err
		}
	}
	return nil
}

// trouble is the last failure to write, logged at most every ten seconds.
type trouble struct {
	log    *slog.Logger
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
	t.bad.Store(true)
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

// denied is what a caller is told where the log is required.
func (s *Store) denied(err error) error {
	return messages.Errorf(messages.Unavailable, "The activity log cannot be written, and this server answers no call without a record.").
		WithHint("make room in %s, or serve without activity.required", s.dir).WithCause(err)
}

// syncLoop is the default mode's: what was written goes to the disk together,
// syncEvery after the first of it.
func (s *Store) syncLoop(ctx context.Context) {
	wait := time.NewTimer(syncEvery)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.dirty:
		}
		wait.Reset(syncEvery)
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		for _, f := range s.openDays() {
			if err := f.file.Sync(f.file.End()); err != nil {
				s.unsaved.failed("sync", err, s.o.Now())
			} else {
				s.unsaved.over()
			}
			f.release()
		}
	}
}

// openDays holds each segment that is open.
func (s *Store) openDays() []*dayFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	fs := make([]*dayFile, 0, len(s.days))
	for _, f := range s.days {
		f.mu.Lock()
		f.calls++
		f.mu.Unlock()
		fs = append(fs, f)
	}
	return fs
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
