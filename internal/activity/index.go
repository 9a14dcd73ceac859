package activity

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
)

// Index answers questions about records without reading the segments. It is
// filled from them, off the path of calls, and may be lost: what it does not
// have yet is read from the segments, and a start fills it again.
type Index interface {
	// Marks says up to which offset each day is in the index.
	Marks(ctx context.Context) (map[Day]int64, error)
	// Add takes more records of a day, and moves its mark, all or nothing.
	Add(ctx context.Context, day Day, rows []Row, mark int64) error
	// Reset forgets a day: its records, figures and mark.
	Reset(ctx context.Context, day Day) error
	// Drop forgets the records of a day, and what its figures say of sessions
	// and tags. The other figures stay.
	Drop(ctx context.Context, day Day) error
	// Calls yields the records of a day that a filter takes, newest first.
	Calls(ctx context.Context, day Day, f Filter, yield func(Ref) bool) error
	// Slots yields the figures that answer a question, and says up to which
	// offset of each day they reach. What a question does not ask by may be
	// summed up already and empty.
	Slots(ctx context.Context, q UsageQuery, yield func(Slot, Figures)) (marks map[Day]int64, err error)
}

// Row is a record and its place.
type Row struct {
	Offset int64
	Record Record
}

// indexEvery is the least time between two batches: enough for a batch to be
// worth its commit. Until then who asks reads the segment.
const indexEvery = time.Second

// indexAgain is the time after a failure.
const indexAgain = 10 * time.Second

// indexBatch is how many records go in together.
const indexBatch = 2000

// indexLoop fills the index as the segments grow.
func (s *Store) indexLoop(ctx context.Context) {
	wait := time.NewTimer(indexEvery)
	defer wait.Stop()
	for {
		if err := s.CatchUp(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Error("activity log: the index cannot be written; it is tried again", "error", err)
			signal(s.grown)
			wait.Reset(indexAgain)
		} else {
			wait.Reset(indexEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-s.grown:
		}
	}
}

// CatchUp brings the index up to what was written before the call.
func (s *Store) CatchUp(ctx context.Context) error {
	if s.o.Index == nil {
		return nil
	}
	s.indexing.Lock()
	defer s.indexing.Unlock()
	marks, err := s.o.Index.Marks(ctx)
	if err != nil {
		return err
	}
	days, err := daysIn(s.dir)
	if err != nil {
		return err
	}
	for _, d := range days {
		if err := s.catchUp(ctx, d, marks[d]); err != nil {
			return err
		}
		delete(marks, d)
	}
	for d := range marks { // dropped while the index was away
		if err := s.o.Index.Drop(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) catchUp(ctx context.Context, d Day, mark int64) error {
	a := NewArchive(s.dir, nil)
	end, err := s.end(d)
	if err != nil || end == mark {
		return err
	}
	if mark > end { // power has failed, and the segment has lost its last entries
		if err := s.o.Index.Reset(ctx, d); err != nil {
			return err
		}
		mark = 0
	}
	rows := s.rows[:0]
	defer func() { s.rows = rows }()
	add := func(mark int64) error {
		err := s.o.Index.Add(ctx, d, rows, mark)
		clear(rows)
		rows = rows[:0]
		return err
	}
	end, err = a.walk(ctx, d, mark, func(row Row, e segment.Entry) error {
		if rows = append(rows, row); len(rows) < indexBatch {
			return nil
		}
		return add(e.End())
	})
	if err != nil {
		return err
	}
	if end <= mark {
		return nil
	}
	return add(end)
}

// disindex forgets what the index has of a day whose segment ends before that: power
// has failed, and the last entries are lost. It is called before others are written
// in their place, among which the index's mark would be no entry's.
func (s *Store) disindex(d Day, end int64) {
	if s.o.Index == nil {
		return
	}
	marks, err := s.o.Index.Marks(context.Background())
	if err == nil && marks[d] > end {
		err = s.o.Index.Reset(context.Background(), d)
	}
	if err != nil {
		s.o.Log.Error("activity log: the index cannot be read", "error", err)
	}
}

// end is where a day's segment ends: Archive.End, where nothing has to be read.
func (s *Store) end(d Day) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.days[d]; f != nil {
		return f.file.End(), nil
	}
	info, err := os.Stat(s.path(d)) // a segment that nobody writes is cut to its end
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// forget drops or resets a day in the index. Without one there is nothing to do.
func (s *Store) forget(d Day, drop bool) error {
	if s.o.Index == nil {
		return nil
	}
	s.indexing.Lock()
	defer s.indexing.Unlock()
	if drop {
		return s.o.Index.Drop(context.Background(), d)
	}
	return s.o.Index.Reset(context.Background(), d)
}

var errStop = errors.New("stop")
