package document

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/document/docform"
	"github.com/outcrop-dev/outcrop/internal/document/pdfium"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// The words of the service for what the model's own checks refuse; AWS puts the
// path of the field in front of them.
var (
	errNotValid = &messages.Error{Kind: messages.ModelRejected, Message: "The PDF specified was not valid."}
	errPassword = &messages.Error{Kind: messages.ModelRejected, Message: "The PDF specified is password protected."}
)

// errTooMuch is ours: the service bounds this in ways that it does not document.
var errTooMuch = &messages.Error{Kind: messages.InvalidRequest, Message: "The PDF specified takes more work to read than this server allows. Reduce the document and retry your request."}

func refusal(ctx context.Context, err error) error {
	var already *messages.Error
	var fault *pdfium.Fault
	switch {
	case errors.As(err, &already):
		return err
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case errors.Is(err, pdfium.ErrPassword):
		return errPassword
	case errors.Is(err, pdfium.ErrInvalid):
		return errNotValid.WithCause(err)
	case errors.Is(err, pdfium.ErrMemory), errors.Is(err, pdfium.ErrSteps):
		return errTooMuch.WithHint("%v", err)
	case errors.As(err, &fault): // the sandbox held; the file is not one to read
		return errNotValid.WithHint("PDFium stopped while it read the file").WithCause(err)
	default:
		return messages.Errorf(messages.Internal, "The PDF reader failed.").WithCause(err)
	}
}

// PageCount is the number of pages of a PDF.
func (r *Reader) PageCount(ctx context.Context, data []byte) (int, error) {
	instance, end, err := r.open(ctx, data, nil)
	if err != nil {
		return 0, err
	}
	defer end()
	return instance.Pages(), nil
}

// pdfText is the text of each page, annotations and form fields with it.
func (r *Reader) pdfText(ctx context.Context, data []byte) ([]string, error) {
	instance, end, err := r.open(ctx, data, nil)
	if err != nil {
		return nil, err
	}
	defer end()
	left := r.options.TextBytes
	pages := make([]string, instance.Pages())
	for n := range pages {
		text, err := pageText(ctx, instance, n)
		if err != nil {
			return nil, refusal(ctx, err)
		}
		if left -= int64(len(text)); left < 0 {
			return nil, errTooMuch.WithHint("its text has more than %d bytes", r.options.TextBytes)
		}
		pages[n] = text
	}
	return pages, nil
}

func pageText(ctx context.Context, instance *pdfium.Instance, n int) (string, error) {
	page, err := instance.Page(ctx, n)
	if err != nil {
		return "", err
	}
	if err := page.Flatten(ctx); err != nil {
		return "", err
	}
	text, err := page.Text(ctx)
	if err != nil {
		return "", err
	}
	return cleaned.Replace(text), page.Close(ctx)
}

// cleaned takes out what PDFium leaves in: its own line ends, zeros for glyphs
// that have no character, and U+FFFE where it joined a word that a hyphen broke
// over two lines. The hyphen comes back, since nobody knows if it was the
// author's.
var cleaned = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "", "\ufffe", "-", "\uffff", "")

// What package docform names, under the names that readers of documents know.
type (
	Pictures = docform.Pictures
	Page     = docform.Page
)

// LongEdge is what Claude sees of an image: a longer one is scaled down.
const LongEdge = docform.LongEdge

// mostScale keeps a stamp-sized page from becoming a poster: 288 dots an inch.
const mostScale = 4

// Render draws each page so that its longer edge has at most longEdge pixels; 0
// is LongEdge, which is also the most.
func (r *Reader) Render(ctx context.Context, data []byte, longEdge int) (*Pictures, error) {
	if longEdge <= 0 || longEdge > LongEdge {
		longEdge = LongEdge
	}
	instance, end, err := r.open(ctx, data, r.fonts)
	if err != nil {
		return nil, err
	}
	defer end()
	left := r.options.ImageBytes
	pages := make([]Page, instance.Pages())
	for n := range pages {
		if pages[n], err = renderPage(ctx, instance, n, longEdge); err != nil {
			return nil, refusal(ctx, err)
		}
		if left -= int64(len(pages[n].PNG)); left < 0 {
			return nil, errTooMuch.WithHint("its rendered pages have more than %d bytes", r.options.ImageBytes)
		}
	}
	return &Pictures{Pages: pages, Missing: families(instance.Missing())}, nil
}

func renderPage(ctx context.Context, instance *pdfium.Instance, n, longEdge int) (Page, error) {
	page, err := instance.Page(ctx, n)
	if err != nil {
		return Page{}, err
	}
	w, h, err := page.Size(ctx)
	if err != nil {
		return Page{}, err
	}
	width, height, ok := fit(w, h, longEdge)
	if !ok {
		return Page{}, errNotValid.WithHint("page %d is %g by %g points", n+1, w, h)
	}
	if err := page.Flatten(ctx); err != nil {
		return Page{}, err
	}
	pixels, err := page.Render(ctx, width, height)
	if err != nil {
		return Page{}, err
	}
	if err := page.Close(ctx); err != nil {
		return Page{}, err
	}
	data, err := encodePNG(pixels, width, height)
	return Page{PNG: data, Width: width, Height: height}, err
}

func fit(w, h float64, longEdge int) (width, height int, ok bool) {
	if !(w > 0 && h > 0) || math.IsInf(w, 0) || math.IsInf(h, 0) { // not for NaN either
		return 0, 0, false
	}
	scale := min(float64(longEdge)/max(w, h), mostScale)
	pixels := func(points float64) int { return max(1, min(longEdge, int(math.Round(points*scale)))) }
	return pixels(w), pixels(h), true
}

// families lists each family once. A name may be in any encoding.
func families(wants []pdfium.Want) []string {
	var list []string
	for _, w := range wants {
		family := strings.ToValidUTF8(w.Family, "\ufffd")
		if !slices.Contains(list, family) {
			list = append(list, family)
		}
	}
	return list
}
