// Package sse reads and writes text/event-stream, as the HTML standard has it
// (section "Interpreting an event stream").
//
// Invariant: an event is given only when the blank line that ends it has come;
// a stream that ends before that is an error, not a shorter stream.
//
// Non-goal: reconnection. Ids, retry times and comments are skipped.
package sse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
)

// MaxEvent bounds what is held of one event, its lines together.
const MaxEvent = 32 << 20

const readSize = 32 << 10

// ErrTooLarge is what Next wraps for an event over MaxEvent.
var ErrTooLarge = errors.New("event larger than the limit")

// Event is one event of the stream. Both parts alias the Reader's buffers and
// are valid until the following Next.
type Event struct {
	Name []byte // empty when the stream gives none
	Data []byte // the data lines, joined with \n
}

// Reader reads events from a byte stream through one buffer of its own.
type Reader struct {
	r       io.Reader
	buf     []byte
	limit   int
	begun   bool  // the place of a byte order mark is past
	readErr error // from r, to be given when the buffered events are out
	err     error // final

	// Offsets in buf: start <= at <= seen <= end.
	start int // of the pending event; what is before it may be overwritten
	at    int // of the line being read
	seen  int // at to seen holds no line end
	end   int

	// The pending event. Its data lines are joined in place: a line's value
	// moves down to the end of the value before.
	data, dataEnd int
	hasData       bool
	name          []byte
	fields        bool // name or data, so that the end of the stream would lose something
	afterCR       bool // a line feed that comes next belongs to the line before
	ready         bool // the pending event is whole

	event Event
}

// NewReader allocates its buffer on the first read.
func NewReader(r io.Reader) *Reader { return &Reader{r: r, limit: MaxEvent} }

// Reset makes the Reader read from src as if new. It keeps its buffers unless
// a large event has grown them.
func (r *Reader) Reset(src io.Reader) {
	buf, name, other := r.buf, r.name[:0], r.event.Name[:0]
	if len(buf) > 2*readSize {
		buf = nil
	}
	*r = Reader{r: src, limit: MaxEvent, buf: buf, name: name, event: Event{Name: other}}
}

// Next returns the next event that has data. The error is io.EOF only between
// events and io.ErrUnexpectedEOF inside one or inside a line. After an error
// each call returns it again. In the steady state nothing is allocated.
func (r *Reader) Next() (*Event, error) {
	for r.err == nil && !r.EventBuffered() {
		r.err = r.read()
	}
	if r.err != nil {
		return nil, r.err
	}
	r.event.Name, r.name = r.name, r.event.Name[:0] // two name buffers, in turn
	r.event.Data = r.buf[r.data:r.dataEnd:r.dataEnd]
	r.ready, r.hasData, r.fields = false, false, false
	r.start = r.at
	return &r.event, nil
}

// EventBuffered reports whether the following Next will return without reading
// from the stream. A relay that flushes when it is false flushes once for all
// events of one read.
func (r *Reader) EventBuffered() bool {
	for !r.ready && r.line() {
	}
	return r.ready || r.err != nil
}

// line takes one whole line out of the buffer. It leaves the last event given
// as it is.
func (r *Reader) line() bool {
	if r.afterCR && r.at < r.end {
		r.afterCR = false
		if r.buf[r.at] == '\n' {
			r.at++
			r.seen = r.at
			r.settle()
		}
	}
	r.seen += lineEnd(r.buf[r.seen:r.end])
	if r.seen == r.end {
		return false
	}
	line := r.buf[r.at:r.seen]
	if !r.begun {
		if len(line) >= 3 && string(line[:3]) == "\ufeff" {
			r.at, line = r.at+3, line[3:]
		}
		r.begun = true
	}
	r.afterCR = r.buf[r.seen] == '\r'
	if len(line) == 0 {
		r.ready = r.hasData
		if !r.ready { // without data the standard has no event
			r.fields, r.name = false, r.name[:0]
		}
	} else {
		r.field(line)
	}
	r.seen++
	r.at = r.seen
	r.settle()
	return true
}

// settle gives up the bytes of lines that left nothing pending.
func (r *Reader) settle() {
	if !r.hasData {
		r.start = r.at
	}
}

func (r *Reader) field(line []byte) {
	name, value := line, line[len(line):]
	for i, c := range line {
		if c == ':' {
			name, value = line[:i], line[i+1:]
			if len(value) > 0 && value[0] == ' ' {
				value = value[1:]
			}
			break
		}
	}
	switch string(name) {
	case "data":
		at := r.at + len(line) - len(value)
		if r.hasData {
			r.buf[r.dataEnd] = '\n' // over the end of an earlier line
			r.dataEnd++
		} else {
			r.data, r.dataEnd = at, at
		}
		r.dataEnd += copy(r.buf[r.dataEnd:], value)
		r.hasData, r.fields = true, true
	case "event":
		r.name = append(r.name[:0], value...)
		r.fields = true
	default: // a comment (no name), id, retry, or a field that the standard says to skip
	}
}

// lineEnd is the offset of the first carriage return or line feed, or len(b).
func lineEnd(b []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		cr, lf := w^ones*'\r', w^ones*'\n'
		// The lowest high bit is exact: borrows go upwards.
		if hit := (((cr - ones) &^ cr) | ((lf - ones) &^ lf)) & highs; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for i < len(b) && b[i] != '\r' && b[i] != '\n' {
		i++
	}
	return i
}

// read gets more bytes, or the error that ends the stream.
func (r *Reader) read() error {
	for range 100 {
		if r.readErr != nil {
			if r.readErr == io.EOF && (r.at < r.end || r.fields) {
				return io.ErrUnexpectedEOF
			}
			return r.readErr
		}
		if r.end-r.start > r.limit {
			return fmt.Errorf("sse: %w of %d bytes", ErrTooLarge, r.limit)
		}
		r.makeRoom()
		n, err := r.r.Read(r.buf[r.end:])
		if n < 0 || n > len(r.buf)-r.end {
			return errors.New("sse: reader returned an impossible count")
		}
		r.end += n
		r.readErr = err
		if n > 0 {
			return nil
		}
	}
	return io.ErrNoProgress
}

// makeRoom leaves place for a read at the end of the buffer.
func (r *Reader) makeRoom() {
	if r.start > 0 && (r.start == r.end || len(r.buf)-r.end < readSize/2) {
		n := r.start
		copy(r.buf, r.buf[n:r.end])
		r.start, r.at, r.seen, r.end = 0, r.at-n, r.seen-n, r.end-n
		r.data, r.dataEnd = r.data-n, r.dataEnd-n
	}
	if len(r.buf)-r.end < readSize/2 {
		grown := slices.Grow(r.buf[:r.end], max(readSize, len(r.buf)))
		r.buf = grown[:cap(grown)]
	}
}
