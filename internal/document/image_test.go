package document

import (
	"bytes"
	"fmt"
	"image/color"
	"image/png"
	"testing"
)

func TestEncodePNG(t *testing.T) {
	const side = 32
	for _, colours := range []int{1, 16, 256, 257, side * side} {
		t.Run(fmt.Sprint(colours, " colours"), func(t *testing.T) {
			pixels := make([]byte, 0, 4*side*side)
			want := make([]color.RGBA, 0, side*side)
			for i := range side * side {
				n := i % colours
				r, g, b := byte(n), byte(n>>4), byte(n*7)
				pixels = append(pixels, b, g, r, byte(i)) // the fourth means nothing
				want = append(want, color.RGBA{r, g, b, 0xff})
			}
			data, err := encodePNG(pixels, side, side)
			if err != nil {
				t.Fatal(err)
			}
			img, err := png.Decode(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if _, few := img.ColorModel().(color.Palette); few != (colours <= 256) {
				t.Errorf("a palette: %v", few)
			}
			for i, w := range want {
				if got := color.RGBAModel.Convert(img.At(i%side, i/side)); got != w {
					t.Fatalf("pixel %d: %v, want %v", i, got, w)
				}
			}
		})
	}
}
