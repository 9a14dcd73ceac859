package activity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
)

// dayFile is a segment that is open for writing. Its calls hold it.
type dayFile struct {
	day  Day
	file *segment.File

	mu    sync.Mutex
	calls int
	open  map[int64]struct{} // offsets of openings whose call is not over
	ahead map[int64]int      // openings that are being written, each at an offset from here on

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
	f := &dayFile{day: d, open: map[int64]struct{}{}, ahead: map[int64]int{}, blobs: map[[32]byte]int64{}}
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
	s.disindex(f.day, file.End())
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
	whole := len(f.open)+len(f.ahead) == 0
	f.mu.Unlock()
	var err error
	if whole {
		err = f.file.Mark(f.file.End())
	}
	return errors.Join(err, f.file.Sync(f.file.End()), f.file.Close())
}

// opening writes the opening of a call. The mark cannot pass it from before it is
// written until the call is over.
func (f *dayFile) opening(parts ...[]byte) (at int64, err error) {
	f.mu.Lock()
	from := f.file.End()
	f.ahead[from]++
	f.mu.Unlock()
	at, err = f.file.Append(kindOpen, parts...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.open[at] = struct{}{}
	}
	if f.ahead[from]--; f.ahead[from] == 0 {
		delete(f.ahead, from)
	}
	return at, err
}

// mark moves the mark to the oldest call that is open, or to the end.
func (f *dayFile) mark() error {
	f.mu.Lock()
	at := f.file.End()
	for o := range f.open {
		at = min(at, o)
	}
	for o := range f.ahead {
		at = min(at, o)
	}
	f.mu.Unlock()
	return f.file.Mark(at)
}

// recover looks at each segment that was not closed in order.
func (s *Store) recover() error {
	halves, err := filepath.Glob(filepath.Join(s.dir, "*"+newSuffix)) // of strip
	if err != nil {
		return err
	}
	for _, h := range halves {
		if err := os.Remove(h); err != nil {
			return err
		}
	}
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
