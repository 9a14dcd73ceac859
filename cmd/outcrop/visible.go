package main

import (
	"io"
	"strings"
	"unicode"
)

// visible passes text on without what a terminal would obey: models, callers and
// other people's servers have written it.
type visible struct{ w io.Writer }

func (v visible) Write(b []byte) (int, error) {
	if len(b) == 0 { // tabwriter says nothing too
		return 0, nil
	}
	if _, err := io.WriteString(v.w, strings.Map(harmless, string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

func harmless(r rune) rune {
	switch {
	case r == '\n' || r == '\t' || !unicode.IsControl(r):
		return r
	default:
		return '·'
	}
}

// cell is text that stays within its cell of a table.
func cell(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '·'
		}
		return r
	}, s)
}
