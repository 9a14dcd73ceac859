package jsonspan

import (
	"encoding/binary"
	"math/bits"
)

func space(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

// scanKey reads the key at i and returns the offset after its closing quote.
func (m *Member) scanKey(data []byte, i int) (int, *SyntaxError) {
	if i == len(data) {
		return i, eof(data)
	}
	if data[i] != '"' {
		return i, fault(i, "expected a key in double quotes")
	}
	end := plain(data, i+1)
	if end == len(data) {
		return end, eof(data)
	}
	m.Key = data[i+1 : end : end]
	switch {
	case data[end] == '\\':
		return end, keyFault(m, "escape sequence in a key")
	case data[end] < ' ':
		return end, fault(end, "control character in a key")
	}
	var ok bool
	if m.fold, ok = foldSum(m.Key); !ok {
		return end, keyFault(m, "key is not valid UTF-8")
	}
	return end + 1, nil
}

func colon(data []byte, i int) (int, *SyntaxError) {
	i = space(data, i)
	if i == len(data) {
		return i, eof(data)
	}
	if data[i] != ':' {
		return i, fault(i, "expected ':' after a key")
	}
	return space(data, i+1), nil
}

// skip checks the value that starts at i and returns the offset after it.
// depth is the number of containers around it. Containers below are kept as
// one bit each, not on the call stack, so that nesting costs nothing.
func skip(data []byte, i, depth int) (int, *SyntaxError) {
	var objects [(MaxDepth + 63) / 64]uint64 // bit d: the container at depth d is an object
	outer := depth
	var err *SyntaxError
	for {
		if i == len(data) {
			return i, eof(data)
		}
		switch c := data[i]; c {
		case '"':
			if i, err = str(data, i); err != nil {
				return i, err
			}
		case '{', '[':
			if depth == MaxDepth {
				return i, fault(i, "nested deeper than 1000 levels")
			}
			start := i
			i = space(data, i+1)
			if i < len(data) && data[i] == c+2 { // '{'+2 == '}' and '['+2 == ']'
				i++
				break
			}
			bit := uint64(1) << (depth % 64)
			objects[depth/64] &^= bit
			depth++
			if c == '{' {
				objects[(depth-1)/64] |= bit
				if i, err = key(data, i); err != nil {
					return start, err
				}
			}
			continue
		case 't':
			i, err = literal(data, i, "true")
		case 'f':
			i, err = literal(data, i, "false")
		case 'n':
			i, err = literal(data, i, "null")
		default:
			i, err = number(data, i)
		}
		if err != nil {
			return i, err
		}
		// A value has ended: close what it closes.
		for {
			if depth == outer {
				return i, nil
			}
			i = space(data, i)
			if i == len(data) {
				return i, eof(data)
			}
			inObject := objects[(depth-1)/64]&(1<<((depth-1)%64)) != 0
			if data[i] == ',' {
				i = space(data, i+1)
				if inObject {
					if i, err = key(data, i); err != nil {
						return i, err
					}
				}
				break
			}
			switch {
			case inObject && data[i] != '}':
				return i, fault(i, "expected ',' or '}' after a value")
			case !inObject && data[i] != ']':
				return i, fault(i, "expected ',' or ']' after an element")
			}
			i++
			depth--
		}
	}
}

// key checks a nested key and its colon and returns the offset of the value.
func key(data []byte, i int) (int, *SyntaxError) {
	if i == len(data) {
		return i, eof(data)
	}
	if data[i] != '"' {
		return i, fault(i, "expected a key in double quotes")
	}
	i, err := str(data, i)
	if err != nil {
		return i, err
	}
	return colon(data, i)
}

// str checks the string whose opening quote is at i.
func str(data []byte, i int) (int, *SyntaxError) {
	i++
	for {
		i = plain(data, i)
		if i == len(data) {
			return i, eof(data)
		}
		switch data[i] {
		case '"':
			return i + 1, nil
		case '\\':
			if i+1 == len(data) {
				return i, eof(data)
			}
			switch data[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				for j := i + 2; j < i+6; j++ {
					if j >= len(data) {
						return j, eof(data)
					}
					if _, ok := hexDigit(data[j]); !ok {
						return i, fault(i, "invalid \\u escape in a string")
					}
				}
				i += 6
			default:
				return i, fault(i, "invalid escape in a string")
			}
		default:
			return i, fault(i, "control character in a string")
		}
	}
}

// plain returns the offset of the first quote, backslash or control character
// at or after i, or len(data). Eight bytes at a time: text is where a body's
// bytes are.
func plain(data []byte, i int) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for i+8 <= len(data) {
		w := binary.LittleEndian.Uint64(data[i:])
		q := w ^ ones*'"'
		b := w ^ ones*'\\'
		// Each term has the high bit of the bytes it looks for; borrows can
		// raise false ones only above a true one, so the lowest is exact.
		hit := ((q - ones) &^ q) | ((b - ones) &^ b) | ((w - ones*' ') &^ w)
		if hit &= highs; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
		i += 8
	}
	for i < len(data) && data[i] != '"' && data[i] != '\\' && data[i] >= ' ' {
		i++
	}
	return i
}

func literal(data []byte, i int, want string) (int, *SyntaxError) {
	for j := range len(want) {
		if i+j == len(data) {
			return i, eof(data)
		}
		if data[i+j] != want[j] {
			return i, fault(i, "expected a JSON value")
		}
	}
	return i + len(want), nil
}

func number(data []byte, i int) (int, *SyntaxError) {
	start := i
	if data[i] == '-' {
		i++
	}
	switch {
	case i == len(data):
		return i, eof(data)
	case data[i] == '0':
		i++
	case digit(data[i]):
		i = digits(data, i)
	case i == start:
		return i, fault(i, "expected a JSON value")
	default:
		return start, fault(start, "invalid number")
	}
	if i < len(data) && data[i] == '.' {
		i++
		if i == len(data) {
			return i, eof(data)
		}
		if !digit(data[i]) {
			return start, fault(start, "invalid number")
		}
		i = digits(data, i)
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		if i == len(data) {
			return i, eof(data)
		}
		if !digit(data[i]) {
			return start, fault(start, "invalid number")
		}
		i = digits(data, i)
	}
	return i, nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func digits(data []byte, i int) int {
	for i < len(data) && digit(data[i]) {
		i++
	}
	return i
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case digit(c):
		return rune(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10, true
	}
	return 0, false
}
