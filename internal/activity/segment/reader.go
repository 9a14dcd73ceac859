package segment

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// Reader is the reading side of a segment, beside a writer that may be at work.
type Reader struct {
	at    io.ReaderAt
	name  string
	close func() error
}

// OpenReader opens a segment for reading.
func OpenReader(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &Reader{at: f, name: path, close: f.Close}, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.close() }

// Marked gives the mark, and whether it is the end: then the segment is whole.
func Marked(path string) (mark int64, atEnd bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	if mark, err = (&Reader{at: f, name: path}).mark(); err != nil {
		return 0, false, err
	}
	return mark, mark == info.Size(), nil
}

func (r *Reader) mark() (int64, error) {
	var head [headSize]byte
	n, err := r.at.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	mark, err := parseHead(head[:n])
	if err != nil {
		return 0, fmt.Errorf("%s: %w", r.name, err)
	}
	if mark > Start {
		var last [1]byte
		if _, err := r.at.ReadAt(last[:], mark-1); errors.Is(err, io.EOF) {
			return Start, nil // the file has lost what was marked
		} else if err != nil {
			return 0, err
		}
	}
	return mark, nil
}

// At reads the entry at an offset into buf, which grows if it must; the payload
// is a part of what is returned. ErrTorn: none begins there.
func (r *Reader) At(offset int64, buf []byte) (Entry, []byte, error) {
	if offset < Start {
		return Entry{}, buf, ErrTorn
	}
	if cap(buf) < 4<<10 {
		buf = make([]byte, 4<<10)
	}
	buf = buf[:cap(buf)]
	n, err := r.at.ReadAt(buf, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return Entry{}, buf, err
	}
	if n < prefix {
		return Entry{}, buf, ErrTorn
	}
	size, ok := sizeOf(buf)
	if !ok {
		return Entry{}, buf, ErrTorn
	}
	if size > int64(n) {
		if size <= int64(cap(buf)) {
			return Entry{}, buf, ErrTorn // the file ends within it
		}
		var last [1]byte // a torn length asks for no memory
		if _, err := r.at.ReadAt(last[:], offset+size-1); errors.Is(err, io.EOF) {
			return Entry{}, buf, ErrTorn
		} else if err != nil {
			return Entry{}, buf, err
		}
		got := buf[:n]
		buf = make([]byte, size)
		copy(buf, got)
		if _, err := r.at.ReadAt(buf[n:], offset+int64(n)); errors.Is(err, io.EOF) {
			return Entry{}, buf, ErrTorn
		} else if err != nil {
			return Entry{}, buf, err
		}
	}
	whole := buf[:size]
	if !check(whole) {
		return Entry{}, buf, ErrTorn
	}
	return Entry{Kind: whole[prefix], Payload: whole[prefix+1:], Offset: offset, Length: size}, buf, nil
}

// End is where the last whole entry ends.
func (r *Reader) End() (int64, error) {
	return r.Walk(0, func(byte) bool { return false }, nil)
}

// Committed gives the end of the last whole entry of a file that is open, and
// whether anything but zeros follows: an entry that is being written, or was when
// its writer died.
func Committed(f *os.File) (end int64, torn bool, err error) {
	r := &Reader{at: f, name: f.Name()}
	for was := int64(0); ; was = end {
		info, err := f.Stat()
		if err != nil {
			return 0, false, err
		}
		if end, err = r.Walk(was, func(byte) bool { return false }, nil); err != nil {
			return 0, false, err
		}
		if end == 0 && info.Size() > headSize {
			return 0, false, fmt.Errorf("%s: %w", r.name, ErrNotSegment)
		}
		blank, err := onlyZeros(io.NewSectionReader(f, end, max(info.Size()-end, 0)))
		if err != nil || blank || end == was || end == 0 { // else what follows may be whole by now
			return end, err == nil && !blank, err
		}
	}
}

// Walk gives seen each entry from an offset on, in order, and returns the end of
// the last whole one. From 0 it begins at the mark. Entries whose kind want
// refuses are passed over unread: that another entry follows says that the writer
// was done with them, and the last one is looked at.
//
// What follows need be no entry: a length that is read while it is written may
// have some bytes of it and some of before, and lead into the middle of a payload.
// So where the last one is torn the one before it has to be whole, or all that
// were passed over are looked at.
func (r *Reader) Walk(from int64, want func(kind byte) bool, seen func(Entry) error) (end int64, err error) {
	end, over, err := r.walk(from, want, seen)
	if err != nil || over.last == 0 {
		return end, err
	}
	for _, at := range []int64{over.last, over.before} {
		e, _, err := r.At(at, nil)
		if !errors.Is(err, ErrTorn) {
			return e.End(), err
		}
	}
	end, _, err = r.walk(over.first, nil, func(e Entry) error {
		if seen == nil || !want(e.Kind) {
			return nil
		}
		return seen(e)
	})
	return end, err
}

// over are the offsets of entries that were passed over after the last one that
// was read; 0: there are none, or not so many.
type over struct{ first, before, last int64 }

// walk is Walk, but for what it has passed over at the end.
func (r *Reader) walk(from int64, want func(kind byte) bool, seen func(Entry) error) (end int64, passed over, err error) {
	if from == 0 {
		if from, err = r.mark(); err != nil || from == 0 {
			return 0, over{}, err
		}
	}
	in := bufio.NewReaderSize(io.NewSectionReader(r.at, from, 1<<62), 64<<10)
	var buf []byte
	for end = from; ; {
		p, err := in.Peek(prefix + 1)
		if errors.Is(err, io.EOF) {
			return end, passed, nil
		}
		if err != nil {
			return end, passed, err
		}
		size, ok := sizeOf(p)
		if !ok {
			return end, passed, nil
		}
		if kind := p[prefix]; want != nil && !want(kind) {
			if size <= int64(in.Buffered()) {
				in.Discard(int(size)) // cannot fail: they are here
			} else {
				in.Reset(io.NewSectionReader(r.at, end+size, 1<<62))
			}
			if passed.before, passed.last = passed.last, end; passed.first == 0 {
				passed.first = end
			}
			end += size
			continue
		}
		// Grown as the file has it, so that a torn length asks for no memory.
		if buf, err = readInto(in, buf[:0], size); errors.Is(err, io.ErrUnexpectedEOF) {
			return end, passed, nil
		} else if err != nil {
			return end, passed, err
		}
		if !check(buf) {
			return end, passed, nil
		}
		passed = over{}
		if seen != nil {
			if err := seen(Entry{Kind: buf[prefix], Payload: buf[prefix+1:], Offset: end, Length: size}); err != nil {
				return end, passed, err
			}
		}
		end += size
	}
}

func readInto(in *bufio.Reader, buf []byte, size int64) ([]byte, error) {
	const step = 1 << 20
	for int64(len(buf)) < size {
		n := int(min(size-int64(len(buf)), max(step, int64(cap(buf)-len(buf)))))
		at := len(buf)
		if cap(buf) < at+n {
			buf = append(make([]byte, 0, max(2*cap(buf), at+n)), buf...)
		}
		buf = buf[:at+n]
		if _, err := io.ReadFull(in, buf[at:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return buf, err
		}
	}
	return buf, nil
}
