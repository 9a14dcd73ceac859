package activity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
)

// tendLoop looks after the files: each minute, when much was written, and when
// the disk ceases to work and when it works again.
func (s *Store) tendLoop(ctx context.Context) {
	every := time.NewTimer(tendEvery)
	defer every.Stop()
	for {
		if err := s.Tend(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Error("activity log: its files cannot be looked after", "error", err)
		}
		if s.Trouble() != nil {
			every.Reset(troubleEvery)
		} else {
			every.Reset(tendEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		case <-s.tend:
		}
	}
}

// Tend writes records that could not be written, closes the segments of days
// that are over, drops those past their time, and makes room.
func (s *Store) Tend(ctx context.Context) error {
	s.tidying.Lock()
	defer s.tidying.Unlock()
	s.written.Store(0)
	now := s.o.Now()
	s.catchLater()
	s.probe()
	s.countStrangers()
	return errors.Join(s.sealPast(DayOf(now)), s.dropOld(now), s.makeRoom(ctx, DayOf(now)))
}

// probe sees whether the disk works again where no call may try: with Required
// they are denied, and a load balancer sends none.
func (s *Store) probe() {
	if s.unsaved.now() != nil { // what was to be saved then is lost for good: something new has to be
		if f, err := s.hold(DayOf(s.o.Now())); err == nil {
			sum := sha256.Sum256(nil)
			if _, err := f.file.Append(kindBlob, sum[:]); err == nil {
				signal(s.dirty)
			}
			f.release()
		}
	}
	if s.trouble.now() == nil {
		return
	}
	path := filepath.Join(s.dir, "probe"+newSuffix)
	f, _, err := segment.Open(path, segment.Options{Wrap: s.o.wrap})
	if err == nil {
		_, err = f.Append(kindBlob, make([]byte, probeBytes))
		err = errors.Join(err, f.Sync(f.End()), f.Close(), os.Remove(path))
	}
	if err != nil {
		os.Remove(path) // it may not be there
		s.trouble.failed("probe", err, s.o.Now())
		return
	}
	s.lateMu.Lock()
	defer s.lateMu.Unlock()
	if len(s.late) == 0 {
		s.trouble.over()
	}
}

// probeBytes: room for a call's record.
const probeBytes = 64 << 10

// sealPast closes segments that no call holds any more, and moves the marks of
// the others.
func (s *Store) sealPast(today Day) error {
	var errs []error
	s.mu.Lock()
	for d, f := range s.days {
		f.mu.Lock()
		calls := f.calls
		f.mu.Unlock()
		// Under the Store's lock: nobody may open the segment again until it is
		// closed.
		if d != today && calls == 0 {
			errs = append(errs, f.seal())
			delete(s.days, d)
		}
	}
	s.mu.Unlock()
	for _, f := range s.openDays() {
		errs = append(errs, f.mark())
		f.release()
	}
	return errors.Join(errs...)
}

// dropOld drops the days that ended Retention days ago.
func (s *Store) dropOld(now time.Time) error {
	days, err := daysIn(s.dir)
	if err != nil {
		return err
	}
	for _, d := range days {
		if d+1+Day(s.o.Retention) > DayOf(now) || s.held(d) {
			continue
		}
		if s.o.BeforeDrop != nil {
			if err := s.o.BeforeDrop(d); err != nil {
				return fmt.Errorf("%s is kept for now: %w", d, err)
			}
		}
		if err := s.forget(d, true); err != nil {
			return err
		}
		if err := s.unheld(d, func() error {
			return errors.Join(os.RemoveAll(s.path(d)+".cut"), os.RemoveAll(s.path(d)))
		}); errors.Is(err, errHeld) {
			continue
		} else if err != nil {
			return err
		}
		s.o.Log.Info("activity log: a day is past its time and was dropped", "day", d, "retention_days", s.o.Retention)
	}
	return nil
}

func (s *Store) held(d Day) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.days[d] != nil
}

var errHeld = errors.New("a call has come for the day just now")

// unheld does what no writer of the day may meet.
func (s *Store) unheld(d Day, f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.days[d] != nil {
		return errHeld
	}
	return f()
}

// makeRoom warns at 80 % of MaxBytes, and drops requests and answers of the
// oldest days when it is full. When today's alone fill it, no more are kept.
func (s *Store) makeRoom(ctx context.Context, today Day) error {
	total, err := s.size()
	if err != nil {
		return err
	}
	defer func() { s.room.Store(s.o.MaxBytes - total) }()
	if total > s.o.MaxBytes/5*4 {
		if !s.warned.Swap(true) {
			s.o.Log.Warn("activity log: little room is left; then requests and answers of the oldest days are dropped, their records are kept",
				"bytes", total, "max_bytes", s.o.MaxBytes)
		}
	} else {
		s.warned.Store(false)
	}
	days, err := daysIn(s.dir)
	if err != nil {
		return err
	}
	for _, d := range days {
		if total <= s.o.MaxBytes {
			break
		}
		if d >= today || s.held(d) || s.stripped[d] {
			continue
		}
		if s.o.BeforeStrip != nil {
			s.o.BeforeStrip(d)
		}
		freed, err := s.strip(ctx, d)
		if errors.Is(err, errHeld) {
			continue
		}
		if err != nil {
			return err
		}
		s.stripped[d] = true
		if total -= freed; freed > 0 {
			s.o.Log.Warn("activity log: full; requests and answers of a day were dropped, its records are kept", "day", d, "bytes", freed, "max_bytes", s.o.MaxBytes)
		}
	}
	if full := total > s.o.MaxBytes; s.full.Swap(full) != full {
		if full {
			s.o.Log.Error("activity log: full; requests and answers are not kept until a day ends or there is more room", "bytes", total, "max_bytes", s.o.MaxBytes)
		} else {
			s.o.Log.Info("activity log: requests and answers are kept again")
		}
	}
	return nil
}

// size is what the folder's segments take.
func (s *Store) size() (int64, error) {
	list, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, f := range list {
		if !strings.Contains(f.Name(), segmentSuffix) {
			continue
		}
		info, err := f.Info()
		if err != nil && !isMissing(err) {
			return 0, err
		}
		if err == nil {
			total += info.Size()
		}
	}
	return total, nil
}

// newSuffix is that of a segment that is not yet in its place.
const newSuffix = ".new"

// strip makes a day's segment anew with its records alone. Their order stays.
func (s *Store) strip(ctx context.Context, d Day) (freed int64, err error) {
	a := NewArchive(s.dir, nil)
	before, err := a.End(d)
	if err != nil {
		return 0, err
	}
	tmp := filepath.Join(s.dir, d.String()+newSuffix)
	if err := os.Remove(tmp); err != nil && !isMissing(err) {
		return 0, err
	}
	out, _, err := segment.Open(tmp, segment.Options{Wrap: s.o.wrap})
	if err != nil {
		return 0, err
	}
	defer os.Remove(tmp)
	defer out.Close()
	var meta []byte
	_, err = a.walk(ctx, d, 0, func(row Row, _ segment.Entry) error {
		if row.Record.Content == Kept {
			row.Record.Content = Dropped
		}
		meta = appendClose(meta[:0], head{}, &row.Record)
		_, err := out.Append(kindClose, meta)
		return err
	})
	if err != nil {
		return 0, err
	}
	after := out.End()
	if after >= before {
		return 0, nil // there was nothing to drop
	}
	if err := errors.Join(out.Mark(after), out.Sync(after), out.Close()); err != nil {
		return 0, err
	}
	// Who reads in between finds the day in the old segment or in the new one,
	// never through an index of the other.
	s.indexing.Lock()
	defer s.indexing.Unlock()
	if s.o.Index != nil {
		if err := s.o.Index.Reset(ctx, d); err != nil {
			return 0, err
		}
	}
	err = s.unheld(d, func() error {
		if now, err := a.End(d); err != nil || now != before {
			return errors.Join(err, errHeld)
		}
		return os.Rename(tmp, s.path(d))
	})
	signal(s.grown)
	return before - after, err
}

// late is a record that could not be written when its call was over.
type late struct {
	day     *dayFile // nil: its segment could not even be opened
	on      Day
	opening int64
	meta    []byte
}

// maxLate bounds their memory.
const maxLate = 10_000

// later keeps the record of an Entry in memory until the disk takes it. Its
// answer is lost.
func (s *Store) later(e *Entry, meta []byte) {
	h, rest, err := decodeHead(meta)
	if err != nil {
		return // unreachable: it was made just now
	}
	var r Record
	if rec, _, err := cutSized(rest); err != nil || decodeRecord(rec, &r) != nil {
		return // unreachable
	}
	if r.Content == Kept {
		r.Content = Lost
	}
	s.lateMu.Lock()
	defer s.lateMu.Unlock()
	if len(s.late) == maxLate {
		s.o.Log.Error("activity log: a record is lost", "id", r.RequestID)
		return
	}
	l := late{day: e.day, on: DayOf(s.o.Now()), opening: e.at.opening, meta: appendClose(nil, h, &r)}
	if l.day != nil {
		l.day.mu.Lock()
		l.day.calls++
		l.day.mu.Unlock()
	}
	s.late = append(s.late, l)
	e.at.opening = 0 // it stays open until then
}

// catchLater writes what later has kept.
func (s *Store) catchLater() {
	s.lateMu.Lock()
	defer s.lateMu.Unlock()
	for len(s.late) > 0 {
		l := &s.late[0]
		if l.day == nil {
			var err error
			if l.day, err = s.hold(l.on); err != nil {
				s.trouble.failed("records of before", err, s.o.Now())
				return
			}
		}
		if _, err := l.day.file.Append(kindClose, l.meta); err != nil {
			s.trouble.failed("records of before", err, s.o.Now())
			return
		}
		l.day.mu.Lock()
		delete(l.day.open, l.opening)
		l.day.calls--
		l.day.mu.Unlock()
		s.late[0] = late{}
		s.late = s.late[1:]
		signal(s.dirty)
		signal(s.grown)
	}
}
