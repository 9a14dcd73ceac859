package document

import (
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlText is what a reader of the page would read, a block a line. It goes by
// tokens and not by a tree, so that nesting costs nothing.
func htmlText(source string) (string, error) {
	z := html.NewTokenizer(strings.NewReader(source))
	var w htmlWriter
	var skip atom.Atom // the element whose content is not text
	depth := 0         // of elements of that name inside it
	for {
		kind := z.Next()
		switch kind {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return "", errNotText.WithCause(err)
			}
			return w.String(), nil
		case html.TextToken:
			if skip == 0 {
				w.text(string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			switch {
			case skip != 0:
				if t.DataAtom == skip && kind == html.StartTagToken {
					depth++
				}
			case hidden[t.DataAtom]:
				if kind == html.StartTagToken {
					skip, depth = t.DataAtom, 1
				}
			default:
				w.start(t)
			}
		case html.EndTagToken:
			t := z.Token()
			switch {
			case skip != 0:
				if t.DataAtom == skip {
					if depth--; depth == 0 {
						skip = 0
					}
				}
			default:
				w.end(t.DataAtom)
			}
		case html.CommentToken, html.DoctypeToken: // not shown
		default:
			return "", errNotText.WithHint("an unknown token in html: %v", kind)
		}
	}
}

// hidden elements hold programs, styles and drawings.
var hidden = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Template: true, atom.Noscript: true,
	atom.Svg: true, atom.Iframe: true, atom.Object: true, atom.Canvas: true,
}

var blocks = map[atom.Atom]bool{
	atom.Address: true, atom.Article: true, atom.Aside: true, atom.Blockquote: true, atom.Body: true,
	atom.Caption: true, atom.Dd: true, atom.Details: true, atom.Div: true, atom.Dl: true, atom.Dt: true,
	atom.Fieldset: true, atom.Figcaption: true, atom.Figure: true, atom.Footer: true, atom.Form: true,
	atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true, atom.H6: true,
	atom.Head: true, atom.Header: true, atom.Hr: true, atom.Html: true, atom.Li: true, atom.Main: true,
	atom.Nav: true, atom.Ol: true, atom.Option: true, atom.P: true, atom.Pre: true, atom.Section: true,
	atom.Summary: true, atom.Table: true, atom.Tbody: true, atom.Tfoot: true, atom.Thead: true,
	atom.Title: true, atom.Tr: true, atom.Ul: true,
}

// htmlWriter joins white space as a browser does. What separates two texts is
// held back until the second one comes.
type htmlWriter struct {
	b    strings.Builder
	pre  int // depth of pre and textarea
	gap  gap
	tabs int  // cells since the last text
	cell int  // of the table row
	row  bool // something stands in the row
}

type gap uint8

const (
	none gap = iota
	space
	newline
	tab    // to the next cell
	bullet // from a list's mark to its text
)

func (w *htmlWriter) String() string { return strings.TrimSpace(w.b.String()) }

func (w *htmlWriter) text(s string) {
	if w.pre > 0 {
		if s != "" {
			w.separate()
			w.b.WriteString(s)
		}
		return
	}
	for s != "" {
		n := strings.IndexAny(s, " \t\n\f\r")
		switch n {
		case 0:
			w.gap = max(w.gap, space)
			s = s[1:]
			continue
		case -1:
			n = len(s)
		default: // a word, then white space
		}
		w.separate()
		w.b.WriteString(s[:n])
		s = s[n:]
	}
}

func (w *htmlWriter) separate() {
	if w.b.Len() > 0 {
		switch w.gap {
		case none:
		case space:
			w.b.WriteByte(' ')
		case newline:
			w.b.WriteByte('\n')
		case tab: // below
		case bullet:
			w.b.WriteByte(' ')
		default:
			panic("document: a gap of no kind")
		}
		w.b.WriteString(strings.Repeat("\t", w.tabs))
	}
	w.gap, w.tabs, w.row = none, 0, true
}

// breakLine begins a block. The first block of a table cell stays beside the
// cell before it, and that of a list item beside its mark.
func (w *htmlWriter) breakLine() {
	if w.gap != tab && w.gap != bullet {
		w.gap = newline
	}
}

func (w *htmlWriter) newRow() {
	w.gap, w.tabs, w.cell, w.row = newline, 0, 0, false
}

func (w *htmlWriter) start(t html.Token) {
	switch t.DataAtom {
	case atom.Br:
		w.breakLine()
	case atom.Table, atom.Tr:
		w.newRow()
	case atom.Td, atom.Th:
		if w.cell++; w.cell > 1 {
			w.tabs++
			if w.row {
				w.gap = tab
			}
		}
	case atom.Img:
		for _, a := range t.Attr {
			if a.Key == "alt" {
				w.text(a.Val)
			}
		}
	case atom.Pre, atom.Textarea:
		w.breakLine()
		w.pre++
	case atom.Li:
		w.gap = newline
		w.text("-")
		w.gap = bullet
	default:
		if blocks[t.DataAtom] {
			w.breakLine()
		}
	}
}

func (w *htmlWriter) end(a atom.Atom) {
	switch a {
	case atom.Pre, atom.Textarea:
		w.pre = max(0, w.pre-1)
		w.breakLine()
	case atom.Table, atom.Tr:
		w.newRow()
	default:
		if blocks[a] {
			w.breakLine()
		}
	}
}
