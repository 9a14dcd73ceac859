package activity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
)

// Kinds of a segment's entries. Numbers are in the payload big endian or as
// uvarints.
const (
	kindOpen  byte = 1 // a call was admitted: length and record, then the pieces of its request
	kindClose byte = 2 // it is over: head, length and record, then frames
	kindBlob  byte = 3 // SHA-256, then the bytes
	kindPart  byte = 4 // head, then frames that came before those of the close
)

// head begins parts and closes.
type head struct {
	opening int64 // offset of the call's opening, 0 if there is none
	part    int64 // offset of the part before, 0 if there is none
}

func appendClose(dst []byte, h head, r *Record) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.opening))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.part))
	return appendSized(dst, r)
}

// putHead fills in the head of a close that was made without one.
func putHead(p []byte, h head) {
	binary.BigEndian.PutUint64(p, uint64(h.opening))
	binary.BigEndian.PutUint64(p[8:], uint64(h.part))
}

// appendSized appends a record after its length, which takes two bytes up to
// 16 KiB.
func appendSized(dst []byte, r *Record) []byte {
	at := len(dst)
	dst = appendRecord(append(dst, 0, 0), r)
	n := len(dst) - at - 2
	if n >= 1<<14 {
		dst = append(dst, 0, 0, 0)
		copy(dst[at+5:], dst[at+2:at+2+n])
		putFixedUvarint(dst[at:at+5], n)
		return dst
	}
	putFixedUvarint(dst[at:at+2], n)
	return dst
}

// putFixedUvarint writes a uvarint of exactly len(b) bytes.
func putFixedUvarint(b []byte, n int) {
	for i := range b {
		b[i] = byte(n&0x7f) | 0x80
		n >>= 7
	}
	b[len(b)-1] &= 0x7f
}

func decodeHead(p []byte) (h head, rest []byte, err error) {
	if len(p) < 16 {
		return h, nil, errRecord
	}
	return head{int64(binary.BigEndian.Uint64(p)), int64(binary.BigEndian.Uint64(p[8:]))}, p[16:], nil
}

// cutSized gives a record's bytes and what follows them.
func cutSized(p []byte) (rec, rest []byte, err error) {
	size, n := binary.Uvarint(p)
	if n <= 0 || size > uint64(len(p)-n) {
		return nil, nil, errRecord
	}
	return p[n : n+int(size)], p[n+int(size):], nil
}

func decodeOpening(p []byte, r *Record) (pieces []byte, err error) {
	rec, pieces, err := cutSized(p)
	if err != nil {
		return nil, err
	}
	return pieces, decodeRecord(rec, r)
}

// Opening is a call that was admitted.
type Opening struct {
	Record *Record // what is known of it
	Body   []byte  // the request, in the dialect in which it came; not changed before Open returns
	Policy Policy  // of the caller's key
}

// Entry is a call that is under way. It is used by one goroutine at a time. The
// nil Entry, and that of a key whose policy is None, keep nothing.
type Entry struct {
	s     *Store // nil: nothing is kept
	day   *dayFile
	at    head // at.opening 0: the opening could not be written
	whole bool // request and answer are kept
	lost  bool // a part of them could not be written
	tryAt int  // after a failure: how much of the answer waits before the next try
	*scratch
}

// scratch is the memory of an Entry, used again by others.
type scratch struct {
	meta   []byte
	frames frames
}

// frameRoom is how much of an answer waits in memory; more of it goes to the
// segment in parts. frameMost is how much waits if it cannot be written.
const (
	frameRoom = 64 << 10
	frameMost = 4 << 20
)

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// drop gives the scratch back, unless it has grown out of measure.
func (e *Entry) drop() {
	sc := e.scratch
	e.scratch = nil
	if cap(sc.frames.buf) > 2*frameRoom || cap(sc.frames.last) > 2*frameRoom {
		return
	}
	sc.frames.buf, sc.frames.last = sc.frames.buf[:0], sc.frames.last[:0]
	scratches.Put(sc)
}

// Open writes that a call was admitted. An error, of the kind that a client may
// see, denies it; without Options.Required there is none.
func (s *Store) Open(_ context.Context, o Opening) (*Entry, error) {
	if o.Policy == None {
		return &Entry{}, nil
	}
	e := &Entry{s: s, whole: o.Policy == Full && !s.full.Load(), scratch: scratches.Get().(*scratch)}
	day := DayOf(o.Record.Time)
	if o.Record.Time.IsZero() {
		day = DayOf(s.o.Now())
	}
	var err error
	if s.o.Required {
		if err = s.unsaved.now(); err == nil && s.queue != nil {
			err = s.trouble.now()
		}
	}
	if err == nil {
		e.day, err = s.hold(day)
	}
	if err == nil {
		e.meta = appendSized(e.meta[:0], o.Record)
		if s.queue != nil {
			s.queue.put(job{e, kindOpen, bytes.Clone(e.meta), bytes.Clone(o.Body)})
			return e, nil
		}
		err = e.writeOpening(e.meta, o.Body)
	}
	if err == nil {
		return e, nil
	}
	s.trouble.failed("opening", err, s.o.Now())
	if s.o.Required {
		e.leave()
		e.drop()
		return nil, s.denied(err)
	}
	e.whole, e.lost = false, true
	return e, nil
}

// writeOpening stores the long strings of the body apart.
func (e *Entry) writeOpening(meta, body []byte) error {
	if !e.whole {
		body = nil
	}
	var room [4]span
	blobs := findBlobs(room[:0], body)
	parts := make([][]byte, 0, 8)
	if len(blobs) == 0 {
		if e.whole {
			meta = appendPiece(meta, pieceBytes, int64(len(body)))
		}
		parts = append(parts, meta, body)
	} else {
		parts = append(parts, meta)
		from := 0
		for _, b := range blobs {
			at, err := e.writeBlob(body[b.start:b.end])
			if err != nil {
				return err
			}
			parts = append(parts, appendPiece(nil, pieceBytes, int64(b.start-from)), body[from:b.start], appendPiece(nil, pieceBlob, at))
			from = b.end
		}
		parts = append(parts, appendPiece(nil, pieceBytes, int64(len(body)-from)), body[from:])
	}
	at, err := e.day.opening(parts...)
	if err != nil {
		return err
	}
	e.at.opening = at
	e.s.wrote(int64(len(meta) + len(body)))
	return nil
}

// writeBlob gives the offset of a blob of the day, which it writes if it is new.
func (e *Entry) writeBlob(b []byte) (int64, error) {
	sum := sha256.Sum256(b)
	d := e.day
	d.blobMu.Lock()
	defer d.blobMu.Unlock()
	if at, ok := d.blobs[sum]; ok {
		return at, nil
	}
	at, err := d.file.Append(kindBlob, sum[:], b)
	if err != nil {
		return 0, err
	}
	if len(d.blobs) < maxBlobs {
		d.blobs[sum] = at
	}
	e.s.wrote(int64(len(b)))
	return at, nil
}

// Frame keeps one event of the answer as it passes; data may change afterwards.
func (e *Entry) Frame(event string, data []byte) {
	if e == nil || !e.whole {
		return
	}
	f := &e.frames
	f.add(event, data)
	if len(f.buf) < max(frameRoom, e.tryAt) {
		return
	}
	if e.s.queue != nil {
		e.s.queue.put(job{e, kindPart, nil, bytes.Clone(f.buf)})
	} else if err := e.writePart(f.buf); err != nil {
		if e.tryAt = 2 * len(f.buf); e.tryAt <= frameMost {
			return
		}
		e.s.trouble.failed("answer", err, e.s.o.Now())
		e.whole, e.lost = false, true
	}
	f.buf, f.last, e.tryAt = f.buf[:0], f.last[:0], 0
}

func (e *Entry) writePart(frames []byte) error {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(e.at.opening))
	binary.BigEndian.PutUint64(b[8:], uint64(e.at.part))
	at, err := e.day.file.Append(kindPart, b[:], frames)
	if err != nil {
		return err
	}
	e.at.part = at
	e.s.wrote(int64(len(frames)))
	return nil
}

// Close writes the record of a call that is over, before the last byte of its
// answer leaves. An error, which there is with Options.Required alone, means
// that the answer must not be finished. Close is called once.
func (e *Entry) Close(r *Record) error {
	if e == nil || e.s == nil {
		return nil
	}
	s := e.s
	defer e.drop()
	switch {
	case e.lost:
		r.Content = Lost
	case e.whole:
		r.Content = Kept
	default:
		r.Content = NotKept
	}
	if s.queue != nil {
		s.queue.put(job{e, kindClose, appendClose(nil, head{}, r), bytes.Clone(e.frames.buf)})
		return nil
	}
	e.meta = appendClose(e.meta[:0], e.at, r)
	at, err := e.writeClose(e.meta, e.frames.buf)
	if err == nil && s.o.Durability == Power {
		err = e.day.file.Sync(at + 1)
	}
	if err != nil {
		s.trouble.failed("record "+r.RequestID, err, s.o.Now())
		if s.o.Required {
			err = s.denied(err)
		} else {
			err = nil
		}
	} else if e.lost && s.o.Required {
		err = s.denied(errLost)
	}
	e.leave()
	return err
}

var errLost = errors.New("a part of the answer could not be written")

func (e *Entry) writeClose(meta, frames []byte) (at int64, err error) {
	if e.day == nil { // its segment could not be opened then; it may be now
		if e.day, err = e.s.hold(DayOf(e.s.o.Now())); err != nil {
			e.s.later(e, meta)
			return 0, err
		}
	}
	if at, err = e.day.file.Append(kindClose, meta, frames); err != nil {
		e.s.later(e, meta)
		return 0, err
	}
	if e.at.opening != 0 && e.s.trouble.over() { // a short record alone may fit where no call does
		signal(e.s.tend)
	}
	e.s.wrote(int64(len(meta) + len(frames)))
	signal(e.s.grown)
	return at, nil
}

// leave gives the segment back.
func (e *Entry) leave() {
	d := e.day
	if d == nil {
		return
	}
	if e.at.opening != 0 {
		d.mu.Lock()
		delete(d.open, e.at.opening)
		d.mu.Unlock()
	}
	d.release()
	e.day = nil
}

// wrote counts, and wakes those who look after what was written.
func (s *Store) wrote(n int64) {
	signal(s.dirty)
	if s.written.Add(n) > s.o.MaxBytes/100 {
		signal(s.tend)
	}
}

// Record records a call that was never opened: a denied one. It is a Log. Of
// callers who are not known it keeps so many, and counts the others.
func (s *Store) Record(r Record) {
	if r.Time.IsZero() {
		r.Time = s.o.Now()
	}
	if r.Principal == "" {
		kept, first := s.strangers.take(s.o.Now())
		if first {
			s.o.Log.Warn("activity log: more callers without credentials are refused than are recorded; the others are counted")
		}
		if !kept {
			return
		}
		shorten(&r)
	}
	s.record(r)
}

func (s *Store) record(r Record) {
	r.Content = NotKept
	e := &Entry{s: s, scratch: scratches.Get().(*scratch)}
	defer e.drop()
	var err error
	if e.day, err = s.hold(DayOf(r.Time)); err == nil {
		if s.queue != nil {
			s.queue.put(job{e, kindClose, appendClose(nil, head{}, &r), nil})
			return
		}
		e.meta = appendClose(e.meta[:0], head{}, &r)
		_, err = e.writeClose(e.meta, nil)
		e.leave()
	} else {
		s.later(e, appendClose(nil, head{}, &r))
	}
	if err != nil {
		s.trouble.failed("record "+r.RequestID, err, s.o.Now())
	}
}
