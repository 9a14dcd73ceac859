// Package docform says what a document may be: its format, and its pages as
// pictures. Package document reads them; who only names them imports no PDF
// engine.
//
// Invariant: a value here holds no open file and no engine.
//
// Non-goal: reading.
package docform

// Format is a document's format, spelled as Converse does.
type Format string

const (
	PDF  Format = "pdf"
	Txt  Format = "txt"
	MD   Format = "md"
	CSV  Format = "csv"
	HTML Format = "html"
	Doc  Format = "doc"
	Docx Format = "docx"
	XLS  Format = "xls"
	XLSX Format = "xlsx"
)

// Pictures are the pages of a PDF as a reader sees them.
type Pictures struct {
	Pages []Page
	// Missing names the fonts that the document neither embeds nor finds on the
	// host: their characters are not in the pictures. Text has them.
	Missing []string
}

// Page is a picture of a page.
type Page struct {
	PNG           []byte
	Width, Height int
}

// LongEdge is what Claude sees of an image: a longer one is scaled down.
const LongEdge = 1568
