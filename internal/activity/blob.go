package activity

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Images and documents stand in a body as long strings of base64, and come again
// with each turn of a conversation. They are stored once a day, by their digest.
const (
	minBlob  = 8 << 10
	blobStep = minBlob / 2 // so that one probe at least falls into a blob
	blobLook = 64          // text has a space or an escape within as many bytes
)

// span is a part of a body.
type span struct{ start, end int }

// findBlobs appends the parts that are stored apart: the insides of long JSON
// strings without spaces. Which they are decides on room alone, since a body is
// put together again from its parts, whatever they are.
func findBlobs(dst []span, body []byte) []span {
	for at := blobStep; at+blobLook <= len(body); {
		if !base64Run(body[at : at+blobLook]) {
			at += blobStep
			continue
		}
		end := len(body)
		if n := bytes.IndexByte(body[at:], '"'); n >= 0 {
			end = at + n
		}
		start := bytes.LastIndexByte(body[:at], '"') + 1
		if len(dst) > 0 {
			start = max(start, dst[len(dst)-1].end)
		}
		if end-start >= minBlob {
			dst = append(dst, span{start, end})
		}
		at = end + blobStep
	}
	return dst
}

func base64Run(b []byte) bool {
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return true
}

// A stored body is a run of pieces: 0, length, bytes; or 1, the offset of the
// blob's entry.
const (
	pieceBytes = 0
	pieceBlob  = 1
)

func appendPiece(dst []byte, kind byte, n int64) []byte {
	return binary.AppendUvarint(append(dst, kind), uint64(n))
}

var errBody = errors.New("the stored request cannot be read")

// joinBody puts a body together; blob gives the bytes of one.
func joinBody(pieces []byte, blob func(dst []byte, offset int64) ([]byte, error)) ([]byte, error) {
	body := []byte{}
	for len(pieces) > 0 {
		kind := pieces[0]
		v, n := binary.Uvarint(pieces[1:])
		if n <= 0 {
			return nil, errBody
		}
		pieces = pieces[1+n:]
		switch kind {
		case pieceBytes:
			if v > uint64(len(pieces)) {
				return nil, errBody
			}
			body = append(body, pieces[:v]...)
			pieces = pieces[v:]
		case pieceBlob:
			var err error
			if body, err = blob(body, int64(v)); err != nil {
				return nil, err
			}
		default:
			return nil, errBody
		}
	}
	return body, nil
}
