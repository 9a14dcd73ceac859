package chat

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A Piece of a prompt is either one control token, written by the template, or
// text in which control tokens mean nothing.
type Piece struct {
	Text    string
	Control bool
}

// Marker stands for content i while a template is rendered: content itself does
// not go through it, so it can neither close its own turn nor open another.
func Marker(i int) string { return "\uE0F0" + strconv.Itoa(i) + "\uE0F1" }

var marker = regexp.MustCompile("\uE0F0([0-9]+)\uE0F1")

// Lay puts the contents into a template that was rendered with their markers,
// and splits what the template wrote at the control tokens. A template that
// loses, repeats or reorders a content is an error.
func Lay(rendered string, contents, controls []string) ([]Piece, error) {
	var out []Piece
	text := func(s string) {
		if last := len(out) - 1; last >= 0 && !out[last].Control {
			out[last].Text += s
		} else if s != "" {
			out = append(out, Piece{Text: s})
		}
	}
	split := func(s string) {
		for s != "" {
			at, token := firstOf(s, controls)
			text(s[:at])
			if token == "" {
				return
			}
			out = append(out, Piece{token, true})
			s = s[at+len(token):]
		}
	}
	next := 0
	for _, m := range marker.FindAllStringSubmatchIndex(rendered, -1) {
		if i, err := strconv.Atoi(rendered[m[2]:m[3]]); err != nil || i != next || i >= len(contents) {
			return nil, fmt.Errorf("the chat template puts message %s where message %d belongs", rendered[m[2]:m[3]], next)
		}
		next++
	}
	if next != len(contents) {
		return nil, fmt.Errorf("the chat template leaves out message %d of %d", next+1, len(contents))
	}
	at := 0
	for i, m := range marker.FindAllStringIndex(rendered, -1) {
		split(rendered[at:m[0]])
		text(contents[i])
		at = m[1]
	}
	split(rendered[at:])
	return out, nil
}

// firstOf finds the leftmost control token in s, the longest at that place.
func firstOf(s string, controls []string) (at int, token string) {
	at = len(s)
	for _, c := range controls {
		if i := strings.Index(s[:min(len(s), at+len(c))], c); i >= 0 && (i < at || i == at && len(c) > len(token)) {
			at, token = i, c
		}
	}
	return at, token
}

// Plain renders turns for a model without a template that the engine knows.
func Plain(turns []Turn) string {
	var b strings.Builder
	for _, t := range turns {
		name := t.Role
		switch t.Role {
		case "system":
			name = "System"
		case "user":
			name = "User"
		case "assistant":
			name = "Assistant"
		}
		b.WriteString(name + ": " + t.Text + "\n\n")
	}
	b.WriteString("Assistant:")
	return b.String()
}
