package activity

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A segment is one UTC day's append-only file: a magic line, then entries
//
//	length uint32 | crc uint32 | kind byte | payload
//
// big endian, the length of kind and payload, CRC-32C of the same. An entry is
// one write, so a crash leaves at most a torn tail, which Recover cuts.
const (
	segmentMagic = "outcrop-activity-1\n"
	entryHead    = 8
	maxEntry     = 256 << 20
)

// Entry kinds.
const (
	entryOpen  byte = 1 // a call was admitted: JSON of an Opening
	entryClose byte = 2 // a call is over: a Record with its bodies
	entryBlob  byte = 3 // bytes that bodies refer to: SHA-256, then the bytes
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

var errTorn = errors.New("torn entry")

// beginEntry reserves the head; endEntry fills it.
func beginEntry(dst []byte, kind byte) []byte {
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0, kind)
}

func endEntry(dst []byte, start int) []byte {
	body := dst[start+entryHead:]
	binary.BigEndian.PutUint32(dst[start:], uint32(len(body)))
	binary.BigEndian.PutUint32(dst[start+4:], crc32.Checksum(body, crcTable))
	return dst
}

// parseEntry checks the entry at the start of b.
func parseEntry(b []byte) (kind byte, payload []byte, err error) {
	if len(b) < entryHead+1 {
		return 0, nil, errTorn
	}
	n := binary.BigEndian.Uint32(b)
	if n < 1 || n > maxEntry || uint64(len(b)) < uint64(entryHead)+uint64(n) {
		return 0, nil, errTorn
	}
	body := b[entryHead : entryHead+n]
	if crc32.Checksum(body, crcTable) != binary.BigEndian.Uint32(b[4:]) {
		return 0, nil, errTorn
	}
	return body[0], body[1:], nil
}

// walk calls f for each whole entry of the file from offset on, in order, and
// gives the end of the last one. payload is valid until f returns.
func walk(file *os.File, offset int64, f func(kind byte, payload []byte, at, length int64) error) (end int64, err error) {
	if offset == 0 {
		magic := make([]byte, len(segmentMagic))
		if _, err := file.ReadAt(magic, 0); errors.Is(err, io.EOF) {
			return 0, nil // empty, or torn within the magic: nothing is in it
		} else if err != nil {
			return 0, err
		}
		if string(magic) != segmentMagic {
			return 0, fmt.Errorf("%s is not an activity segment", file.Name())
		}
		offset = int64(len(segmentMagic))
	}
	r := bufio.NewReaderSize(io.NewSectionReader(file, offset, 1<<62), 256<<10)
	var buf []byte
	for {
		head, err := r.Peek(entryHead)
		if len(head) < entryHead {
			if err != nil && !errors.Is(err, io.EOF) {
				return offset, err
			}
			return offset, nil
		}
		n := int64(binary.BigEndian.Uint32(head)) + entryHead
		if n <= entryHead || n > maxEntry+entryHead {
			return offset, nil // torn
		}
		if int64(cap(buf)) < n {
			buf = make([]byte, n)
		}
		buf = buf[:n]
		if _, err := io.ReadFull(r, buf); errors.Is(err, io.ErrUnexpectedEOF) {
			return offset, nil
		} else if err != nil {
			return offset, err
		}
		kind, payload, err := parseEntry(buf)
		if err != nil {
			return offset, nil
		}
		if f != nil {
			if err := f(kind, payload, offset, n); err != nil {
				return offset, err
			}
		}
		offset += n
	}
}
