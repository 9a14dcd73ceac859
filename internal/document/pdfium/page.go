package pdfium

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf16"
)

// Page is a page of the instance's document. It is closed before the next is
// opened, or the memory of all of them adds up.
type Page struct {
	instance *Instance
	at       uint64
	number   int
}

// Page opens a page, counted from zero.
func (i *Instance) Page(ctx context.Context, n int) (*Page, error) {
	at, err := i.call(ctx, "FPDF_LoadPage", i.document, uint64(n))
	if err != nil {
		return nil, err
	}
	if at == 0 {
		return nil, fmt.Errorf("page %d: %w", n+1, ErrInvalid)
	}
	return &Page{i, at, n}, nil
}

// Close gives the page's memory back.
func (p *Page) Close(ctx context.Context) error {
	_, err := p.instance.call(ctx, "FPDF_ClosePage", p.at)
	return err
}

// Size is the page's width and height in points.
func (p *Page) Size(ctx context.Context) (width, height float64, err error) {
	w, err := p.instance.call(ctx, "FPDF_GetPageWidthF", p.at)
	if err != nil {
		return 0, 0, err
	}
	h, err := p.instance.call(ctx, "FPDF_GetPageHeightF", p.at)
	return float64(math.Float32frombits(uint32(w))), float64(math.Float32frombits(uint32(h))), err
}

// Flatten makes annotations and the values of form fields part of the page: they
// are in neither its text nor its picture otherwise.
func (p *Page) Flatten(ctx context.Context) error {
	i := p.instance
	n, err := i.call(ctx, "FPDFPage_GetAnnotCount", p.at)
	if err != nil || int32(n) <= 0 {
		return err
	}
	const forDisplay, flattened = 0, 1
	done, err := i.call(ctx, "FPDFPage_Flatten", p.at, forDisplay)
	if err != nil || done != flattened {
		return err
	}
	if err := p.Close(ctx); err != nil {
		return err
	}
	again, err := i.Page(ctx, p.number)
	if err != nil {
		return err
	}
	*p = *again
	return nil
}

// Text is the page's text as PDFium gives it.
func (p *Page) Text(ctx context.Context) (string, error) {
	i := p.instance
	text, err := i.call(ctx, "FPDFText_LoadPage", p.at)
	if err != nil {
		return "", err
	}
	if text == 0 {
		return "", fmt.Errorf("text of page %d: %w", p.number+1, ErrInvalid)
	}
	count, err := i.call(ctx, "FPDFText_CountChars", text)
	if err != nil {
		return "", err
	}
	var units []uint16
	if n := int32(count); n > 0 {
		// A character beyond the BMP takes two units; the last is a zero.
		buffer, err := i.allocate(ctx, (2*uint64(n)+1)*2)
		if err != nil {
			return "", err
		}
		written, err := i.call(ctx, "FPDFText_GetText", text, 0, uint64(n), buffer)
		if err != nil {
			return "", err
		}
		raw, ok := i.module.Memory().Read(uint32(buffer), uint32(written)*2)
		if !ok {
			return "", i.failed(ctx, fmt.Errorf("text of %d units outside the memory", written))
		}
		units = make([]uint16, 0, written)
		for ; len(raw) > 2; raw = raw[2:] { // without the last
			units = append(units, binary.LittleEndian.Uint16(raw))
		}
		if _, err := i.call(ctx, "free", buffer); err != nil {
			return "", err
		}
	}
	if _, err := i.call(ctx, "FPDFText_ClosePage", text); err != nil {
		return "", err
	}
	return string(utf16.Decode(units)), nil
}

// Render draws the page on white. The pixels are
// four bytes each: blue, green, red and one that means nothing.
func (p *Page) Render(ctx context.Context, width, height int) ([]byte, error) {
	i := p.instance
	const opaque = 0
	bitmap, err := i.call(ctx, "FPDFBitmap_Create", uint64(width), uint64(height), opaque)
	if err != nil {
		return nil, err
	}
	if bitmap == 0 {
		i.full = true
		return nil, i.failed(ctx, ErrMemory)
	}
	if _, err := i.call(ctx, "FPDFBitmap_FillRect", bitmap, 0, 0, uint64(width), uint64(height), 0xffffffff); err != nil {
		return nil, err
	}
	const upright, annotations = 0, 1 // annotations are for pages that could not be flattened
	if _, err := i.call(ctx, "FPDF_RenderPageBitmap", bitmap, p.at, 0, 0, uint64(width), uint64(height), upright, annotations); err != nil {
		return nil, err
	}
	buffer, err := i.call(ctx, "FPDFBitmap_GetBuffer", bitmap)
	if err != nil {
		return nil, err
	}
	stride, err := i.call(ctx, "FPDFBitmap_GetStride", bitmap)
	if err != nil {
		return nil, err
	}
	raw, ok := i.module.Memory().Read(uint32(buffer), uint32(stride)*uint32(height))
	if !ok || int(stride) < 4*width {
		return nil, i.failed(ctx, fmt.Errorf("a bitmap of %d by %d outside the memory", stride, height))
	}
	pixels := make([]byte, 0, 4*width*height)
	for ; len(raw) > 0; raw = raw[stride:] {
		pixels = append(pixels, raw[:4*width]...)
	}
	_, err = i.call(ctx, "FPDFBitmap_Destroy", bitmap)
	return pixels, err
}
