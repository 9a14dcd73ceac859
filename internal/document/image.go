package document

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
)

// encodePNG takes PDFium's pixels (blue, green, red, unused). Most pages have few
// colours: a palette makes them a third of the size and spares the search for a
// filter in each line, which costs more than drawing the page.
func encodePNG(pixels []byte, width, height int) ([]byte, error) {
	bounds := image.Rect(0, 0, width, height)
	var img image.Image
	if p := paletted(pixels, bounds); p != nil {
		img = p
	} else {
		for i := 0; i+3 < len(pixels); i += 4 {
			pixels[i], pixels[i+2], pixels[i+3] = pixels[i+2], pixels[i], 0xff
		}
		img = &image.RGBA{Pix: pixels, Stride: 4 * width, Rect: bounds}
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	err := encoder.Encode(&b, img)
	return b.Bytes(), err
}

// paletted gives nil for more than 256 colours.
func paletted(pixels []byte, bounds image.Rectangle) *image.Paletted {
	const (
		slots = 1 << 10 // four for each colour, so that a search is short
		empty = 1 << 24 // no colour
	)
	var colours [slots]uint32
	var places [slots]uint8
	for i := range colours {
		colours[i] = empty
	}
	img := image.NewPaletted(bounds, nil)
	last, place := uint32(empty), uint8(0)
	for i := range img.Pix {
		c := binary.LittleEndian.Uint32(pixels[4*i:]) & 0xffffff
		if c != last {
			at := c * 2654435761 >> 22 // Knuth's multiplicative hash, ten bits
			for colours[at] != c && colours[at] != empty {
				at = (at + 1) % slots
			}
			if colours[at] == empty {
				if len(img.Palette) == 256 {
					return nil
				}
				colours[at], places[at] = c, uint8(len(img.Palette))
				img.Palette = append(img.Palette, color.RGBA{uint8(c >> 16), uint8(c >> 8), uint8(c), 0xff})
			}
			last, place = c, places[at]
		}
		img.Pix[i] = place
	}
	return img
}
