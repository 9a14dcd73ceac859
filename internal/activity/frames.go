package activity

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Event is one event of an answer, or the whole of an answer that was not
// streamed.
type Event struct {
	Name string
	Data []byte
}

// eventNames are stored by their place here, so new ones go to the end.
var eventNames = [...]string{
	"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop", "ping", "message", "count",
	"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "converse", "error",
}

// frames are the events of an answer as they are stored: each as what differs
// from the one before it, which of a token's event is little more than the token.
//
//	name number (or 0 and the name) | bytes shared at the front | at the back | length and bytes between
type frames struct {
	buf  []byte
	last []byte
}

func (f *frames) add(name string, data []byte) {
	n := slices.Index(eventNames[:], name) + 1
	f.buf = binary.AppendUvarint(f.buf, uint64(n))
	if n == 0 {
		f.buf = binary.AppendUvarint(f.buf, uint64(len(name)))
		f.buf = append(f.buf, name...)
	}
	front := sharedFront(f.last, data)
	back := sharedBack(f.last[front:], data[front:])
	middle := data[front : len(data)-back]
	f.buf = binary.AppendUvarint(f.buf, uint64(front))
	f.buf = binary.AppendUvarint(f.buf, uint64(back))
	f.buf = binary.AppendUvarint(f.buf, uint64(len(middle)))
	f.buf = append(f.buf, middle...)
	f.last = append(f.last[:0], data...)
}

func sharedFront(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for i+8 <= n && binary.LittleEndian.Uint64(a[i:]) == binary.LittleEndian.Uint64(b[i:]) {
		i += 8
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func sharedBack(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for i+8 <= n && binary.LittleEndian.Uint64(a[len(a)-i-8:]) == binary.LittleEndian.Uint64(b[len(b)-i-8:]) {
		i += 8
	}
	for i < n && a[len(a)-i-1] == b[len(b)-i-1] {
		i++
	}
	return i
}

var errFrames = errors.New("the stored answer cannot be read")

// decodeFrames appends the events of one run of frames.
func decodeFrames(dst []Event, b []byte) ([]Event, error) {
	var last []byte
	broken := false
	number := func() int {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<31 {
			broken = true
			return 0
		}
		b = b[n:]
		return int(v)
	}
	take := func(n int) []byte {
		if n > len(b) {
			broken = true
			return nil
		}
		out := b[:n:n]
		b = b[n:]
		return out
	}
	for len(b) > 0 && !broken {
		var e Event
		if n := number(); n > len(eventNames) {
			return dst, errFrames
		} else if n > 0 {
			e.Name = eventNames[n-1]
		} else {
			e.Name = string(take(number()))
		}
		front, back := number(), number()
		middle := take(number())
		if broken || front+back > len(last) {
			return dst, errFrames
		}
		e.Data = make([]byte, 0, front+len(middle)+back)
		e.Data = append(e.Data, last[:front]...)
		e.Data = append(e.Data, middle...)
		e.Data = append(e.Data, last[len(last)-back:]...)
		last = e.Data
		dst = append(dst, e)
	}
	if broken {
		return dst, errFrames
	}
	return dst, nil
}
