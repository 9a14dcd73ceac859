// Package pdftest writes small PDFs for tests, with text, tables, charts and
// fonts.
//
// Invariant: every file is one that the PDF specification (ISO 32000-1) allows,
// unless the test itself put something else into an object.
//
// Non-goal: anything that a test here does not need.
package pdftest

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
)

// File is a PDF under construction. Object 1 is the catalog and 2 the page tree.
type File struct {
	objects []object
	pages   []string
}

type object struct {
	dict   string
	stream []byte // nil: the object is dict alone
}

// New gives an empty file.
func New() *File { return &File{objects: make([]object, 2)} }

// Object adds an object and gives its number.
func (f *File) Object(format string, args ...any) int {
	f.objects = append(f.objects, object{dict: fmt.Sprintf(format, args...)})
	return len(f.objects)
}

// Stream adds a stream. The dictionary's entries come without brackets and
// without Length.
func (f *File) Stream(entries string, data []byte) int {
	f.objects = append(f.objects, object{dict: entries, stream: append([]byte{}, data...)})
	return len(f.objects)
}

// Deflated adds a stream compressed with FlateDecode.
func (f *File) Deflated(entries string, data []byte) int {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(data) // a Buffer takes everything
	_ = w.Close()
	return f.Stream(entries+" /Filter /FlateDecode", b.Bytes())
}

// A4 is the usual page, in points.
const A4Width, A4Height = 595, 842

// Page is one page to add.
type Page struct {
	Width, Height float64        // 0: A4
	Content       string         // drawing operators
	Fonts         map[string]int // names in Content: objects
	Entries       string         // further entries of the page's dictionary
	Resources     string         // further entries of its resources
}

// Page adds a page and gives its object's number.
func (f *File) Page(p Page) int {
	if p.Width == 0 {
		p.Width, p.Height = A4Width, A4Height
	}
	var fonts strings.Builder
	for name, number := range p.Fonts {
		fmt.Fprintf(&fonts, "/%s %d 0 R ", name, number)
	}
	content := f.Deflated("", []byte(p.Content))
	n := f.Object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %g %g] /Contents %d 0 R /Resources << /Font << %s>> %s >> %s >>",
		p.Width, p.Height, content, fonts.String(), p.Resources, p.Entries)
	f.pages = append(f.pages, fmt.Sprintf("%d 0 R", n))
	return n
}

// PageAgain adds a page that the file has already.
func (f *File) PageAgain(n int) { f.pages = append(f.pages, fmt.Sprintf("%d 0 R", n)) }

// Bytes is the finished file.
func (f *File) Bytes() []byte { return f.write("", nil) }

func (f *File) write(trailer string, seal func(number int, data []byte) []byte) []byte {
	objects := append([]object{
		{dict: "<< /Type /Catalog /Pages 2 0 R >>"},
		{dict: fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s] >>", len(f.pages), strings.Join(f.pages, " "))},
	}, f.objects[2:]...)
	for i, o := range f.objects[:2] {
		if o.dict != "" {
			objects[i] = o
		}
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	at := make([]int, len(objects))
	for i, o := range objects {
		at[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n", i+1)
		if o.stream == nil {
			b.WriteString(o.dict)
		} else {
			data := o.stream
			if seal != nil {
				data = seal(i+1, data)
			}
			fmt.Fprintf(&b, "<< %s /Length %d >>\nstream\n%s\nendstream", o.dict, len(data), data)
		}
		b.WriteString("\nendobj\n")
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, trailer, start)
	return b.Bytes()
}

// SetCatalog and SetPages replace the first two objects, for files that lie.
func (f *File) SetCatalog(dict string) { f.objects[0] = object{dict: dict} }
func (f *File) SetPages(dict string)   { f.objects[1] = object{dict: dict} }
