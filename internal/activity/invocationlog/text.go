package invocationlog

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/activity"
)

// Contains says whether the text stands in what was asked or answered, as people
// read it: without JSON's escapes, put together from its events, and whether in
// capitals or not.
func Contains(x *activity.Exchange, text string) bool {
	text = strings.ToLower(text)
	if in(x.Input, text) {
		return true
	}
	if len(x.Events) == 0 {
		return false
	}
	m, err := Message(x.Events)
	if err != nil { // an answer of another form is searched as it came
		for _, e := range x.Events {
			if in(e.Data, text) {
				return true
			}
		}
		return false
	}
	return in(m, text)
}

func in(raw []byte, lower string) bool {
	return bytes.Contains(bytes.ToLower(unescape(raw)), []byte(lower))
}

// unescape replaces the escapes of JSON's strings, wherever they stand.
func unescape(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			out = append(out, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b', 'f':
			out = append(out, ' ')
		case 'u':
			r, n := unicodeEscape(raw[i-1:])
			if n == 0 {
				out = append(out, raw[i])
				continue
			}
			out = utf8.AppendRune(out, r)
			i += n - 2
		default:
			out = append(out, raw[i])
		}
	}
	return out
}

// unicodeEscape reads \uXXXX, or two of them that are one character, and gives
// their length, 0 if there is none.
func unicodeEscape(b []byte) (rune, int) {
	unit := func(b []byte) rune {
		if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
			return -1
		}
		var r rune
		for _, c := range b[2:6] {
			d := strings.IndexByte("0123456789abcdef", c|0x20)
			if d < 0 {
				return -1
			}
			r = r<<4 | rune(d)
		}
		return r
	}
	r := unit(b)
	switch {
	case r < 0:
		return 0, 0
	case utf16.IsSurrogate(r):
		if low := unit(b[6:]); low >= 0 {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return utf8.RuneError, 6
	default:
		return r, 6
	}
}
