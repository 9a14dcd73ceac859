package document

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/document/docform"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Format is a document's format, spelled as Converse does.
type Format = docform.Format

const (
	PDF  = docform.PDF
	Txt  = docform.Txt
	MD   = docform.MD
	CSV  = docform.CSV
	HTML = docform.HTML
	Doc  = docform.Doc
	Docx = docform.Docx
	XLS  = docform.XLS
	XLSX = docform.XLSX
)

// Formats lists those that Text reads.
func Formats() []Format { return []Format{PDF, Txt, MD, CSV, HTML} }

// Refused lists the formats of the service that are refused by name.
func Refused() []Format { return []Format{Doc, Docx, XLS, XLSX} }

var errNotText = &messages.Error{Kind: messages.ModelRejected, Message: "The document source bytes could not be parsed as the specified format. If using a text-based format, try source.text instead of source.bytes."}

// Text is the document's text: one element for each page of a PDF, one element
// for any other format.
func (r *Reader) Text(ctx context.Context, format Format, data []byte) ([]string, error) {
	switch format {
	case PDF:
		return r.pdfText(ctx, data)
	case Txt, MD, CSV, HTML:
		if err := r.checkSize(data); err != nil {
			return nil, err
		}
		text, err := decode(data)
		if err != nil {
			return nil, err
		}
		if format == HTML {
			if text, err = htmlText(text); err != nil {
				return nil, err
			}
		}
		return []string{text}, nil
	default:
		if slices.Contains(Refused(), format) {
			return nil, messages.Errorf(messages.InvalidRequest, "Documents of the format %s are not supported here. Use %s.", format, list()).
				WithHint("a model on Amazon Bedrock reads %s; save the document as PDF for the others", format)
		}
		return nil, messages.Errorf(messages.InvalidRequest, "Unsupported document format: %q. Use %s.", string(format), list())
	}
}

func list() string {
	var names []string
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// decode reads UTF-8, and UTF-16 that says so. Another encoding would be a guess,
// and a wrong guess is text that nobody wrote.
func decode(data []byte) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xef, 0xbb, 0xbf}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return decode16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return decode16(data[2:], binary.BigEndian)
	}
	if !utf8.Valid(data) {
		return "", errNotText.WithHint("the document is not in UTF-8")
	}
	return string(data), nil
}

func decode16(data []byte, order binary.ByteOrder) (string, error) {
	if len(data)%2 != 0 {
		return "", errNotText.WithHint("the document begins as UTF-16 and has half a character at its end")
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units)), nil
}
