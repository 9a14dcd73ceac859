package activity

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
)

// ErrNoRecord: no record has that place or id.
var ErrNoRecord = errors.New("no such record")

const segmentSuffix = ".seg"

func segmentName(d Day) string { return d.String() + segmentSuffix }

// daysIn lists the days that have a segment, oldest first. A folder that is not
// there has none.
func daysIn(dir string) ([]Day, error) {
	list, err := os.ReadDir(dir)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var days []Day
	for _, f := range list {
		if name, ok := strings.CutSuffix(f.Name(), segmentSuffix); ok && f.Type().IsRegular() {
			if d, err := ParseDay(name); err == nil {
				days = append(days, d)
			}
		}
	}
	slices.Sort(days)
	return days, nil
}

// Archive is the reading side of the activity log. It may be used beside a Store
// that is at work, in another process too.
type Archive struct {
	dir   string
	index Index // may be nil
}

// NewArchive reads the log in a folder. The index may be nil: then everything is
// read from the segments.
func NewArchive(dir string, index Index) *Archive { return &Archive{dir: dir, index: index} }

// Days lists the days that are kept, oldest first.
func (a *Archive) Days() ([]Day, error) { return daysIn(a.dir) }

func (a *Archive) path(d Day) string { return filepath.Join(a.dir, segmentName(d)) }

// End is where the last record of a day's segment, or what belongs to one, ends
// now.
func (a *Archive) End(d Day) (int64, error) {
	r, err := segment.OpenReader(a.path(d))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return r.End()
}

// walk gives each record of a day that stands at from or later, in order.
func (a *Archive) walk(ctx context.Context, d Day, from int64, f func(Row, segment.Entry) error) (end int64, err error) {
	r, err := segment.OpenReader(a.path(d))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return r.Walk(max(from, segment.Start), wantClose, func(e segment.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		row := Row{Offset: e.Offset}
		if _, _, err := decodeClose(e.Payload, &row.Record); err != nil {
			return fmt.Errorf("%s at %d: %w", a.path(d), e.Offset, err)
		}
		return f(row, e)
	})
}

func wantClose(kind byte) bool { return kind == kindClose }

func decodeClose(p []byte, r *Record) (h head, frames []byte, err error) {
	h, p, err = decodeHead(p)
	if err != nil {
		return h, nil, err
	}
	rec, frames, err := cutSized(p)
	if err != nil {
		return h, nil, err
	}
	return h, frames, decodeRecord(rec, r)
}

// Walk gives each record of a day from an offset on, in order, and returns the
// offset to go on from.
func (a *Archive) Walk(ctx context.Context, d Day, from int64, f func(Ref, *Record) error) (next int64, err error) {
	return a.walk(ctx, d, from, func(row Row, _ segment.Entry) error {
		return f(Ref{d, row.Offset}, &row.Record)
	})
}

// Exchange is a call as it was: its record, request and answer.
type Exchange struct {
	Ref    Ref
	Record Record
	Input  []byte  // nil: not kept
	Events []Event // of the answer, in order; nil: not kept, or there was none
}

// Record reads the record at a place.
func (a *Archive) Record(ref Ref) (*Record, error) {
	r, err := segment.OpenReader(a.path(ref.Day))
	if isMissing(err) {
		return nil, ErrNoRecord
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	rec := new(Record)
	_, _, err = closeAt(r, ref.Offset, rec)
	return rec, err
}

func closeAt(r *segment.Reader, offset int64, rec *Record) (h head, frames []byte, err error) {
	e, _, err := r.At(offset, nil)
	if errors.Is(err, segment.ErrTorn) || err == nil && e.Kind != kindClose {
		return h, nil, ErrNoRecord
	}
	if err != nil {
		return h, nil, err
	}
	return decodeClose(e.Payload, rec)
}

// Exchange reads the call whose record is at a place.
func (a *Archive) Exchange(ref Ref) (*Exchange, error) {
	r, err := segment.OpenReader(a.path(ref.Day))
	if isMissing(err) {
		return nil, ErrNoRecord
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	x := &Exchange{Ref: ref}
	h, last, err := closeAt(r, ref.Offset, &x.Record)
	if err != nil {
		return nil, err
	}
	if err := x.read(r, h, last); err != nil {
		return nil, fmt.Errorf("%s at %d: %w", a.path(ref.Day), ref.Offset, err)
	}
	return x, nil
}

// read finds request and answer, which is in parts if it was long.
func (x *Exchange) read(r *segment.Reader, h head, last []byte) error {
	if x.Record.Content != Kept {
		return nil
	}
	if h.opening != 0 {
		e, _, err := r.At(h.opening, nil)
		if err != nil {
			return err
		}
		var was Record
		pieces, err := decodeOpening(e.Payload, &was)
		if err != nil {
			return err
		}
		if len(pieces) > 0 {
			if x.Input, err = joinBody(pieces, blobsOf(r)); err != nil {
				return err
			}
		}
	}
	runs := [][]byte{last}
	for at := h.part; at != 0; {
		e, _, err := r.At(at, nil)
		if err != nil {
			return err
		}
		before, run, err := decodeHead(e.Payload)
		if err != nil {
			return err
		}
		if e.Kind != kindPart || before.part >= at {
			return errFrames
		}
		runs, at = append(runs, run), before.part
	}
	for _, run := range slices.Backward(runs) {
		var err error
		if x.Events, err = decodeFrames(x.Events, run); err != nil {
			return err
		}
	}
	return nil
}

func blobsOf(r *segment.Reader) func([]byte, int64) ([]byte, error) {
	return func(dst []byte, offset int64) ([]byte, error) {
		e, _, err := r.At(offset, nil)
		if err != nil {
			return nil, err
		}
		if e.Kind != kindBlob || len(e.Payload) < 32 {
			return nil, errBody
		}
		return append(dst, e.Payload[32:]...), nil
	}
}
