// Package eventstream reads and writes application/vnd.amazon.eventstream, the
// framing of AWS's streamed answers, and its readable text form.
//
// Invariant: what is read whole is checked whole (both CRCs, all lengths, every
// header), and encoding a message's headers and payload again gives its bytes
// again.
//
// Non-goal: what the events mean.
package eventstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Limits that Reader holds a frame to: those of AWS's own SDKs.
const (
	MaxPayload = 24 << 20
	MaxHeaders = 128 << 10
)

const (
	preludeSize = 12 // total length, header length, CRC of the two
	overhead    = preludeSize + 4
	readSize    = 32 << 10
)

// What is wrong with a frame; errors from Next wrap one of these or come from
// the reader underneath.
var (
	ErrPreludeCRC = errors.New("checksum of the prelude does not match")
	ErrMessageCRC = errors.New("checksum of the message does not match")
	ErrTooLarge   = errors.New("frame larger than the limit")
	ErrMalformed  = errors.New("malformed frame")
)

// Message is one frame. All of it aliases the Reader's buffer and is valid
// until the following Next.
type Message struct {
	Headers []Header
	Payload []byte
	Raw     []byte // the whole frame as it came
}

// Header is the value of a String header. Of two headers with one name the
// later counts, as in AWS's SDK. The strings of Bedrock's streams come without
// an allocation.
func (m *Message) Header(name string) (string, bool) {
	for i := len(m.Headers) - 1; i >= 0; i-- {
		if m.Headers[i].Name == name {
			return m.Headers[i].Text()
		}
	}
	return "", false
}

// Reader reads frames from a byte stream through one buffer of its own.
type Reader struct {
	r          io.Reader
	buf        []byte
	start, end int   // unread bytes of buf
	offset     int64 // in the stream, of buf[start]
	msg        Message
	readErr    error // from r, to be given when the buffered frames are out
	err        error // final
}

// NewReader allocates its buffer on the first read.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Reset makes the Reader read from r as if new. It keeps its buffer unless a
// large frame has grown it.
func (r *Reader) Reset(src io.Reader) {
	buf, headers := r.buf, r.msg.Headers[:0]
	if len(buf) > 2*readSize {
		buf = nil
	}
	clear(headers[:cap(headers)])
	*r = Reader{r: src, buf: buf, msg: Message{Headers: headers}}
}

// Next returns the next frame. The error is io.EOF only on a frame border and
// io.ErrUnexpectedEOF inside a frame. After an error each call returns it
// again. In the steady state nothing is allocated.
func (r *Reader) Next() (*Message, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := r.next(); err != nil {
		r.err = err
		return nil, err
	}
	return &r.msg, nil
}

// FrameBuffered reports whether the following Next will return without reading
// from the stream. A relay that flushes when it is false flushes once for all
// frames of one read.
func (r *Reader) FrameBuffered() bool {
	if r.err != nil {
		return true
	}
	b := r.buf[r.start:r.end]
	if len(b) < preludeSize {
		return r.readErr != nil
	}
	total, headers := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	return int64(total) <= int64(len(b)) || r.readErr != nil || checkLengths(total, headers) != nil
}

func checkLengths(total, headers uint32) error {
	switch {
	case total < overhead:
		return fmt.Errorf("%w: length of %d bytes; the least is %d", ErrMalformed, total, overhead)
	case headers > total-overhead:
		return fmt.Errorf("%w: %d bytes of headers in a frame of %d", ErrMalformed, headers, total)
	case headers > MaxHeaders:
		return fmt.Errorf("%w: %d bytes of headers", ErrTooLarge, headers)
	case total-overhead-headers > MaxPayload:
		return fmt.Errorf("%w: %d bytes of payload", ErrTooLarge, total-overhead-headers)
	}
	return nil
}

func (r *Reader) next() error {
	if err := r.fill(preludeSize); err != nil {
		return err
	}
	prelude := r.buf[r.start:]
	total, headerLen := binary.BigEndian.Uint32(prelude), binary.BigEndian.Uint32(prelude[4:])
	// The checksum first: lengths that did not survive the way say nothing.
	sum := crc32.ChecksumIEEE(prelude[:8])
	if sum != binary.BigEndian.Uint32(prelude[8:]) {
		return r.fault(ErrPreludeCRC)
	}
	if err := checkLengths(total, headerLen); err != nil {
		return r.fault(err)
	}
	if err := r.fill(int(total)); err != nil {
		return err
	}
	raw := r.buf[r.start : r.start+int(total) : r.start+int(total)]
	body := raw[:total-4]
	if crc32.Update(sum, crc32.IEEETable, body[8:]) != binary.BigEndian.Uint32(raw[total-4:]) {
		return r.fault(ErrMessageCRC)
	}
	headers, err := parseHeaders(r.msg.Headers, body[preludeSize:preludeSize+headerLen])
	if err != nil {
		return r.fault(fmt.Errorf("%w: %v", ErrMalformed, err))
	}
	payload := body[preludeSize+headerLen:]
	r.msg = Message{Headers: headers, Payload: payload[:len(payload):len(payload)], Raw: raw}
	r.start += int(total)
	r.offset += int64(total)
	return nil
}

func (r *Reader) fault(err error) error {
	return fmt.Errorf("eventstream: frame at byte %d: %w", r.offset, err)
}

// fill reads until n unread bytes are buffered. The buffer grows with what has
// arrived, not with what a length promises.
func (r *Reader) fill(n int) error {
	for empty := 0; r.end-r.start < n; {
		if r.readErr != nil {
			if r.readErr == io.EOF && r.end > r.start {
				return io.ErrUnexpectedEOF
			}
			return r.readErr
		}
		r.makeRoom()
		got, err := r.r.Read(r.buf[r.end:])
		if got < 0 || got > len(r.buf)-r.end {
			return errors.New("eventstream: reader returned an impossible count")
		}
		r.end += got
		r.readErr = err
		if got > 0 {
			empty = 0
		} else if empty++; empty == 100 && err == nil {
			return io.ErrNoProgress
		}
	}
	return nil
}

// makeRoom leaves place for a read at the end of the buffer.
func (r *Reader) makeRoom() {
	switch {
	case r.start == r.end:
		r.start, r.end = 0, 0
		if r.buf == nil {
			r.buf = make([]byte, readSize)
		}
	case r.start > 0 && len(r.buf)-r.end < readSize/2:
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if len(r.buf)-r.end < readSize/2 {
		grown := make([]byte, 2*len(r.buf))
		r.end = copy(grown, r.buf[:r.end])
		r.buf = grown
	}
}
