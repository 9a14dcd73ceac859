package chat

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Answer turns the bytes of sampled tokens into text that may be sent: never a
// stop sequence or the start of one, never part of a character.
type Answer struct {
	stops [][]byte
	held  []byte // may yet become a stop sequence
	cut   []byte // the start of a character
}

// NewAnswer starts an answer that ends before any of stops.
func NewAnswer(stops []string) *Answer {
	a := &Answer{}
	for _, s := range stops {
		a.stops = append(a.stops, []byte(s))
	}
	return a
}

// Push adds the bytes of a token. Once stop is not empty, the answer is over and
// text is the last of it.
func (a *Answer) Push(piece []byte) (text, stop string) {
	from := len(a.held)
	a.held = append(a.held, piece...)
	for end := from + 1; end <= len(a.held); end++ {
		if s := a.stopAt(end); s != nil {
			out := a.held[:end-len(s)]
			a.held = nil
			return a.whole(out) + a.End(), string(s)
		}
	}
	keep := a.pending()
	out := a.held[:len(a.held)-keep]
	text = a.whole(out)
	a.held = append(a.held[:0], a.held[len(out):]...)
	return text, ""
}

// End gives what was held back for a stop sequence that did not come. The first
// bytes of a character that max_tokens cut have no text and are left out.
func (a *Answer) End() string {
	text := a.whole(a.held)
	a.held, a.cut = nil, nil
	return text
}

// stopAt is the longest stop sequence that ends at end.
func (a *Answer) stopAt(end int) []byte {
	var longest []byte
	for _, s := range a.stops {
		if len(s) > len(longest) && bytes.HasSuffix(a.held[:end], s) {
			longest = s
		}
	}
	return longest
}

// pending is the length of the longest end of held that starts a stop sequence.
func (a *Answer) pending() int {
	n := 0
	for _, s := range a.stops {
		for k := min(len(s)-1, len(a.held)); k > n; k-- {
			if bytes.HasSuffix(a.held, s[:k]) {
				n = k
				break
			}
		}
	}
	return n
}

// whole keeps back an unfinished character; bytes that begin none become U+FFFD.
func (a *Answer) whole(b []byte) string {
	a.cut = append(a.cut, b...)
	n := len(a.cut)
	for back := 1; back < utf8.UTFMax && back <= n; back++ {
		if c := a.cut[n-back]; utf8.RuneStart(c) {
			if !utf8.FullRune(a.cut[n-back:]) {
				n -= back
			}
			break
		}
	}
	text := strings.ToValidUTF8(string(a.cut[:n]), "\uFFFD")
	a.cut = append(a.cut[:0], a.cut[n:]...)
	return text
}
