package pdftest

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// Lines draws lines of Latin text downwards from (x, y).
func Lines(font string, size, x, y float64, lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "BT /%s %g Tf %g TL %g %g Td\n", font, size, size*1.3, x, y)
	for _, l := range lines {
		fmt.Fprintf(&b, "(%s) Tj T*\n", strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(l))
	}
	b.WriteString("ET\n")
	return b.String()
}

// Hex draws a string of character codes, two bytes each.
func Hex(font string, size, x, y float64, codes []uint16) string {
	var b strings.Builder
	fmt.Fprintf(&b, "BT /%s %g Tf %g %g Td <", font, size, x, y)
	for _, c := range codes {
		fmt.Fprintf(&b, "%04X", c)
	}
	b.WriteString("> Tj ET\n")
	return b.String()
}

// UTF16 gives the codes of a string for fonts encoded so.
func UTF16(s string) []uint16 { return utf16.Encode([]rune(s)) }

// Table draws a ruled table whose upper left corner is (x, y).
func Table(font string, x, y, column, row float64, cells [][]string) string {
	var b strings.Builder
	for r, line := range cells {
		for c, text := range line {
			left, bottom := x+float64(c)*column, y-float64(r+1)*row
			fmt.Fprintf(&b, "%g %g %g %g re S\n", left, bottom, column, row)
			b.WriteString(Lines(font, row*0.5, left+4, bottom+row*0.3, text))
		}
	}
	return b.String()
}

// Bars draws a bar chart in red with its lower left corner at (x, y), each bar
// under its label.
func Bars(font string, x, y, width, height float64, labels []string, values []float64) string {
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	step := width / float64(len(values))
	var b strings.Builder
	for i, v := range values {
		left, h := x+float64(i)*step, height*v/top
		fmt.Fprintf(&b, "0.8 0.1 0.1 rg %g %g %g %g re f 0 g\n", left, y, step*0.8, h)
		b.WriteString(Lines(font, 9, left, y-12, labels[i]))
		b.WriteString(Lines(font, 9, left, y+h+3, fmt.Sprint(v)))
	}
	return b.String()
}
