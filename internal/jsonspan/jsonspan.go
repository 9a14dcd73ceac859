// Package jsonspan finds, reads and replaces the top-level members of a JSON
// object without decoding it.
//
// Invariant: a document that Scan accepts means the same to every JSON parser
// as far as its top level goes. Keys that parsers disagree on (duplicates,
// case variants, escapes, invalid UTF-8) are refused, because a policy that
// reads one value while the model reads another is no policy.
//
// Non-goal: anything below the top level. A caller who reads a nested object
// scans its value again; values are checked as JSON but not for their keys.
package jsonspan

import "bytes"

// Limits that Scan and ScanArray hold a document to.
const (
	MaxDepth    = 1000   // levels of nesting, the outermost included
	MaxMembers  = 1000   // members of a scanned object
	MaxElements = 100000 // elements of a scanned array; the Messages API takes as many messages
)

// Member is one member of the outermost object. Offsets are into the scanned
// data.
type Member struct {
	Key        []byte // between the quotes; aliases the data
	KeyStart   int    // of the key's opening quote
	Start, End int    // of the value, without the space around it
	fold       uint32 // of Key; equal for case variants
}

// Value is the member's value as it stands in the scanned data.
func (m Member) Value(data []byte) []byte { return data[m.Start:m.End:m.End] }

// Members are the members of one object in the order of the document.
type Members []Member

// Get finds a member by its exact key.
func (m Members) Get(key string) (Member, bool) {
	for i := range m {
		if string(m[i].Key) == key {
			return m[i], true
		}
	}
	return Member{}, false
}

// Span is one element of an array, without the space around it.
type Span struct{ Start, End int }

// Value is the element as it stands in the scanned data.
func (s Span) Value(data []byte) []byte { return data[s.Start:s.End:s.End] }

// Scan checks data as one JSON object and appends its members to dst. It
// allocates nothing when dst has room. known may be nil. The error is a
// *SyntaxError.
func Scan(dst Members, data []byte, known *Keys) (Members, error) {
	first := len(dst)
	i := space(data, 0)
	if i == len(data) {
		return dst, eof(data)
	}
	if data[i] != '{' {
		return dst, fault(i, "not a JSON object")
	}
	i = space(data, i+1)
	if i < len(data) && data[i] == '}' {
		return dst, trailing(data, i+1)
	}
	for {
		m := Member{KeyStart: i}
		var err *SyntaxError
		if i, err = m.scanKey(data, i); err != nil {
			return dst[:first], err
		}
		if err := known.check(&m); err != nil {
			return dst[:first], err
		}
		for j := first; j < len(dst); j++ {
			if dst[j].fold == m.fold && bytes.EqualFold(dst[j].Key, m.Key) {
				return dst[:first], repeated(&dst[j], &m)
			}
		}
		if len(dst)-first == MaxMembers {
			return dst[:first], fault(m.KeyStart, "more than 1000 members in one object")
		}
		if i, err = colon(data, i); err != nil {
			return dst[:first], err
		}
		m.Start = i
		if i, err = skip(data, i, 1); err != nil {
			return dst[:first], err
		}
		m.End = i
		dst = append(dst, m)
		i = space(data, i)
		switch {
		case i == len(data):
			return dst[:first], eof(data)
		case data[i] == ',':
			i = space(data, i+1)
		case data[i] == '}':
			if err := trailing(data, i+1); err != nil {
				return dst[:first], err
			}
			return dst, nil
		default:
			return dst[:first], fault(i, "expected ',' or '}' after a value")
		}
	}
}

// ScanArray checks data as one JSON array and appends the spans of its
// elements to dst. The error is a *SyntaxError.
func ScanArray(dst []Span, data []byte) ([]Span, error) {
	first := len(dst)
	i := space(data, 0)
	if i == len(data) {
		return dst, eof(data)
	}
	if data[i] != '[' {
		return dst, fault(i, "not a JSON array")
	}
	i = space(data, i+1)
	if i < len(data) && data[i] == ']' {
		return dst, trailing(data, i+1)
	}
	for {
		if len(dst)-first == MaxElements {
			return dst[:first], fault(i, "more than 100000 elements in one array")
		}
		end, err := skip(data, i, 1)
		if err != nil {
			return dst[:first], err
		}
		dst = append(dst, Span{i, end})
		i = space(data, end)
		switch {
		case i == len(data):
			return dst[:first], eof(data)
		case data[i] == ',':
			i = space(data, i+1)
		case data[i] == ']':
			if err := trailing(data, i+1); err != nil {
				return dst[:first], err
			}
			return dst, nil
		default:
			return dst[:first], fault(i, "expected ',' or ']' after an element")
		}
	}
}

// trailing returns an error interface so that a nil one stays nil.
func trailing(data []byte, i int) error {
	if i = space(data, i); i < len(data) {
		return fault(i, "data after the end of the JSON value")
	}
	return nil
}
