// Package segment is an append-only file of checked entries, for one writer and
// any number of readers.
//
// Invariant: whatever moment the writer dies at, the file holds every entry that
// Append has returned for, each once, and after them at most the torn remains of
// one that it has not, and zeros; Open cuts those. No reader takes either for an
// entry, nor any offset after them for the end.
//
// Not a goal: what an entry means.
package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A file is a head, then entries:
//
//	head:  magic (16 bytes) | mark uint64 | CRC-32C of the mark uint32 | 0 uint32
//	entry: length uint32 | crc uint32 | kind byte | payload
//
// big endian; length is that of kind and payload, crc the CRC-32C of the same.
// A length of 0 ends the entries: while a writer is at work zeros follow them, so
// that most syncs find the length of the file and its place on the disk as they
// were. The size of a file says nothing of where its entries end. An entry that
// is written in several pieces gets its beginning last.
//
// The mark is an offset before which everything has been found whole. It and the
// zeros are all that is ever written over; a mark that is torn counts as none.
const (
	magic    = "outcrop-segment1"
	headSize = 32
	prefix   = 8 // length and crc

	// MaxEntry is the length of the longest payload. A longer length is a torn one.
	MaxEntry = 256 << 20
)

var table = crc32.MakeTable(crc32.Castagnoli)

var (
	// ErrNotSegment: the file is something else.
	ErrNotSegment = errors.New("not an activity segment")
	// ErrTorn: no whole entry begins there.
	ErrTorn = errors.New("torn entry")
)

// Entry is one entry of a segment.
type Entry struct {
	Kind    byte
	Payload []byte // valid until the function that was given it returns
	Offset  int64
	Length  int64 // in the file
}

// End is the offset of what follows the entry.
func (e Entry) End() int64 { return e.Offset + e.Length }

// Start is the offset of the first entry of a segment.
const Start int64 = headSize

func appendHead(dst []byte, mark int64) []byte {
	dst = append(dst, magic...)
	at := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(mark))
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[at:at+8], table))
	return append(dst, 0, 0, 0, 0)
}

// parseHead gives the mark, Start where there is none, and 0 for a head that is
// cut short or lost: a segment that was being made when power failed.
func parseHead(head []byte) (mark int64, err error) {
	if bytes.Equal(head, zeros[:len(head)]) {
		return 0, nil
	}
	if n := min(len(head), len(magic)); string(head[:n]) != magic[:n] {
		return 0, ErrNotSegment
	}
	if len(head) < headSize {
		return 0, nil
	}
	m := head[len(magic):]
	mark = int64(binary.BigEndian.Uint64(m))
	if crc32.Checksum(m[:8], table) != binary.BigEndian.Uint32(m[8:]) || mark < Start {
		return Start, nil
	}
	return mark, nil
}

// sizeOf reads an entry's length in the file from its prefix.
func sizeOf(p []byte) (int64, bool) {
	n := binary.BigEndian.Uint32(p)
	return prefix + int64(n), n >= 1 && n <= MaxEntry+1
}

// check says whether the bytes of a whole entry are what was written.
func check(b []byte) bool {
	return crc32.Checksum(b[prefix:], table) == binary.BigEndian.Uint32(b[4:])
}
