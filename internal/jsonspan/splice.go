package jsonspan

import (
	"bytes"
	"slices"
)

// Edit sets the member Key to Value, which must be JSON, or drops the member
// when Value is nil. Dropping what is not there is no change. Of two edits of
// one key the later counts.
type Edit struct {
	Key   string
	Value []byte
}

// Splice appends data with the edits made to dst. A member is replaced where
// it stands or appended as the last one; the rest of data keeps every byte,
// space included. m must be what Scan found in data, and dst must not overlap
// data. Nothing is allocated when dst has room for data and the edits.
func Splice(dst, data []byte, m Members, edits ...Edit) []byte {
	size := len(data)
	for i := range edits {
		size += len(edits[i].Key) + len(edits[i].Value) + len(`,"":`)
	}
	dst = slices.Grow(dst, size)

	open := bytes.IndexByte(data, '{') + 1 // only space can stand before it
	tail := open
	dst = append(dst, data[:open]...)
	if len(m) > 0 {
		dst = append(dst, data[open:m[0].KeyStart]...)
		tail = m[len(m)-1].End
	}
	empty := true
	for i := range m {
		e := find(edits, m[i].Key)
		if e != nil && e.Value == nil {
			continue
		}
		if !empty { // the comma and the space before this member
			dst = append(dst, data[m[i-1].End:m[i].KeyStart]...)
		}
		empty = false
		if e == nil {
			dst = append(dst, data[m[i].KeyStart:m[i].End]...)
			continue
		}
		dst = append(dst, data[m[i].KeyStart:m[i].Start]...)
		dst = append(dst, e.Value...)
	}
	for i := range edits {
		e := &edits[i]
		if e.Value == nil || overtaken(edits[i+1:], e.Key) {
			continue
		}
		if _, ok := m.Get(e.Key); ok {
			continue
		}
		if !empty {
			dst = append(dst, ',')
		}
		empty = false
		dst = AppendString(dst, e.Key)
		dst = append(dst, ':')
		dst = append(dst, e.Value...)
	}
	return append(dst, data[tail:]...)
}

func find(edits []Edit, key []byte) *Edit {
	for i := len(edits) - 1; i >= 0; i-- {
		if edits[i].Key == string(key) {
			return &edits[i]
		}
	}
	return nil
}

func overtaken(later []Edit, key string) bool {
	for i := range later {
		if later[i].Key == key {
			return true
		}
	}
	return false
}
