package chat

import "unicode/utf8"

// Shortest writes each character in as few bytes as it needs. llama.cpp's
// grammars let a model that writes byte by byte take more of them (E0 82 80 for
// U+0080) and count a character all the same; in UTF-8 that is none.
type Shortest struct{ part []byte }

// Append adds what is whole of piece, and of the pieces before it, to dst.
func (s *Shortest) Append(dst, piece []byte) []byte {
	for _, c := range piece {
		if c&0xC0 != 0x80 || len(s.part) == 0 {
			dst = append(dst, s.part...)
			if s.part = s.part[:0]; c < 0xC0 {
				dst = append(dst, c)
				continue
			}
		}
		s.part = append(s.part, c)
		lead := s.part[0]
		n := 2
		switch {
		case lead >= 0xF0:
			n = 4
		case lead >= 0xE0:
			n = 3
		}
		if len(s.part) < n {
			continue
		}
		r := rune(lead) & (0x7F >> n)
		for _, c := range s.part[1:] {
			r = r<<6 | rune(c&0x3F)
		}
		dst = utf8.AppendRune(dst, r)
		s.part = s.part[:0]
	}
	return dst
}
