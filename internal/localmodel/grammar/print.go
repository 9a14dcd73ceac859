package grammar

import (
	"fmt"
	"strings"
)

// String is the grammar in GBNF.
func (g *Grammar) String() string {
	var b strings.Builder
	for _, r := range g.rules {
		b.WriteString(r.name)
		b.WriteString(" ::= ")
		g.write(&b, r.body, false)
		b.WriteByte('\n')
	}
	return b.String()
}

// write puts parentheses around what is more than one symbol where one has to
// stand.
func (g *Grammar) write(b *strings.Builder, e Expr, single bool) {
	switch e := e.(type) {
	case Text:
		if single && len(e) > 1 {
			b.WriteByte('(')
			defer b.WriteByte(')')
		}
		b.WriteByte('"')
		for _, c := range string(e) {
			writeChar(b, c)
		}
		b.WriteByte('"')
	case Class:
		b.WriteByte('[')
		for _, r := range e {
			writeChar(b, r.Lo)
			if r.Hi > r.Lo {
				b.WriteByte('-')
				writeChar(b, r.Hi)
			}
		}
		b.WriteByte(']')
	case Ref:
		b.WriteString(g.rules[e].name)
	case Seq:
		if single {
			b.WriteByte('(')
			defer b.WriteByte(')')
		}
		if len(e) == 0 {
			b.WriteString(`""`)
		}
		for i, part := range e {
			if i > 0 {
				b.WriteByte(' ')
			}
			_, alt := part.(Alt)
			g.write(b, part, alt)
		}
	case Alt:
		if single {
			b.WriteByte('(')
			defer b.WriteByte(')')
		}
		for i, part := range e {
			if i > 0 {
				b.WriteString(" | ")
			}
			g.write(b, part, false)
		}
	case Repeat:
		_, nested := e.Of.(Repeat)
		if nested {
			b.WriteByte('(')
		}
		g.write(b, e.Of, true)
		if nested {
			b.WriteByte(')')
		}
		switch {
		case e.Min == 0 && e.Max < 0:
			b.WriteByte('*')
		case e.Min == 1 && e.Max < 0:
			b.WriteByte('+')
		case e.Min == 0 && e.Max == 1:
			b.WriteByte('?')
		case e.Max < 0:
			fmt.Fprintf(b, "{%d,}", e.Min)
		case e.Min == e.Max:
			fmt.Fprintf(b, "{%d}", e.Min)
		default:
			fmt.Fprintf(b, "{%d,%d}", e.Min, e.Max)
		}
	default:
		panic(fmt.Sprintf("unknown expression %T", e)) // Expr is sealed
	}
}

// writeChar writes what is plain ASCII as it is. A backslash, a bracket or a
// hyphen would mean something in one of the places where characters stand.
func writeChar(b *strings.Builder, c rune) {
	switch {
	case c == '"' || c == '\\' || c == '[' || c == ']' || c == '-':
		b.WriteByte('\\')
		b.WriteRune(c)
	case c >= ' ' && c < 0x7f && c != '^':
		b.WriteRune(c)
	case c < 0x100:
		fmt.Fprintf(b, `\x%02X`, c)
	case c < 0x10000:
		fmt.Fprintf(b, `\u%04X`, c)
	default:
		fmt.Fprintf(b, `\U%08X`, c)
	}
}
