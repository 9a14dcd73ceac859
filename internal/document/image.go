package document

import (
	"bytes"
	"image"
	"image/png"
)

// encodePNG takes PDFium's pixels (blue, green, red, unused). A page without
// colour becomes a grey picture, a third of the size.
func encodePNG(pixels []byte, width, height int) ([]byte, error) {
	var img image.Image
	bounds := image.Rect(0, 0, width, height)
	if grey(pixels) {
		g := image.NewGray(bounds)
		for i := range g.Pix {
			g.Pix[i] = pixels[4*i]
		}
		img = g
	} else {
		for i := 0; i < len(pixels); i += 4 {
			pixels[i], pixels[i+2], pixels[i+3] = pixels[i+2], pixels[i], 0xff
		}
		img = &image.RGBA{Pix: pixels, Stride: 4 * width, Rect: bounds}
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	err := encoder.Encode(&b, img)
	return b.Bytes(), err
}

func grey(pixels []byte) bool {
	for i := 0; i+3 < len(pixels); i += 4 {
		if pixels[i] != pixels[i+1] || pixels[i] != pixels[i+2] {
			return false
		}
	}
	return true
}
