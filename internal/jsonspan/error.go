package jsonspan

import (
	"fmt"
	"strconv"
)

// SyntaxError says why a document was refused, in words fit for the client
// that sent it.
type SyntaxError struct {
	Offset int    // of the byte at fault
	Reason string // a clause without a full stop
	Key    string // of the top-level member at fault, when the refusal is about a key; cut to 64 bytes
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s (at byte %d)", e.Reason, e.Offset)
}

func fault(offset int, reason string) *SyntaxError {
	return &SyntaxError{Offset: offset, Reason: reason}
}

func eof(data []byte) *SyntaxError { return fault(len(data), "unexpected end of JSON") }

func keyFault(m *Member, reason string) *SyntaxError {
	return &SyntaxError{Offset: m.KeyStart, Reason: reason, Key: short(m.Key)}
}

func repeated(first, again *Member) *SyntaxError {
	if string(first.Key) == string(again.Key) {
		return keyFault(again, "duplicate key "+strconv.Quote(short(again.Key)))
	}
	return variant(again, first.Key)
}

func variant(m *Member, of []byte) *SyntaxError {
	return keyFault(m, fmt.Sprintf("key %q differs from %q only in case", short(m.Key), short(of)))
}

// short bounds what a hostile key can put into an answer or a log.
func short(key []byte) string {
	if len(key) <= 64 {
		return string(key)
	}
	return string(key[:61]) + "..."
}
