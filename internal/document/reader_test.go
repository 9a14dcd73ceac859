package document

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/document/pdftest"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// cache is shared by the package's Readers, so that PDFium is compiled once.
var cache string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "outcrop-document-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cache = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func newReader(t testing.TB, o Options) *Reader {
	t.Helper()
	o.CacheDir = cache
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// report is a page with words, a table and a chart.
func report() []byte {
	f := pdftest.New()
	fonts := map[string]int{"F": f.Helvetica()}
	f.Page(pdftest.Page{Fonts: fonts, Content: pdftest.Lines("F", 14, 50, 780, "Sales of the year", "An exam-", "ple of a well-", "known kind") +
		pdftest.Table("F", 50, 600, 100, 24, [][]string{{"Region", "Q1", "Q2"}, {"North", "12", "34"}, {"South", "56", "78"}}) +
		pdftest.Bars("F", 50, 200, 400, 200, []string{"spring", "summer", "autumn"}, []float64{3, 7, 5})})
	f.Page(pdftest.Page{Fonts: fonts, Content: pdftest.Lines("F", 14, 50, 780, "Second page")})
	return f.Bytes()
}

const reportText = "Sales of the year\nAn exam-ple of a well-known kind\n" +
	"Region Q1 Q2\nNorth 12 34\nSouth 56 78\n" +
	"spring\n3\nsummer\n7\nautumn\n5"

// boxes is a font whose every glyph is a filled box.
var boxes = pdftest.TrueType{Family: "Boxes", CodePages: 0xf << 17, Runes: []rune("繁體中文简体字日本語テスト한국어𠮷")}

const eastern = "繁體中文简体字日本語テスト한국어"

func embedded() []byte {
	f := pdftest.New()
	fonts := map[string]int{"F": f.Embedded(boxes)}
	f.Page(pdftest.Page{Fonts: fonts, Content: pdftest.Hex("F", 20, 50, 700, boxes.Glyphs(eastern)) + pdftest.Hex("F", 20, 50, 650, boxes.Glyphs("𠮷字"))})
	return f.Bytes()
}

// named uses the four collections by name on two pages, nothing embedded.
func named() []byte {
	f := pdftest.New()
	fonts := map[string]int{
		"G": f.Named("SimSun", "GB1", "UniGB-UTF16-H"), "C": f.Named("PMingLiU", "CNS1", "UniCNS-UTF16-H"),
		"J": f.Named("MS-Mincho", "Japan1", "UniJIS-UTF16-H"), "K": f.Named("HYSMyeongJo-Medium", "Korea1", "UniKS-UTF16-H"),
	}
	page := pdftest.Page{Fonts: fonts, Content: pdftest.Hex("G", 20, 50, 700, pdftest.UTF16("简体字")) + pdftest.Hex("C", 20, 50, 650, pdftest.UTF16("繁體")) +
		pdftest.Hex("J", 20, 50, 600, pdftest.UTF16("日本語テスト")) + pdftest.Hex("K", 20, 50, 550, pdftest.UTF16("한국어"))}
	f.Page(page)
	f.Page(page)
	return f.Bytes()
}

// form has a text field with a value and a note, both drawn by annotations.
func form() []byte {
	f := pdftest.New()
	font := f.Helvetica()
	look := func(text string) int {
		return f.Stream(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 200 20] /Resources << /Font << /F %d 0 R >> >>", font),
			[]byte(pdftest.Lines("F", 12, 2, 5, text)))
	}
	field := f.Object("<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Ada Lovelace) /F 4 /Rect [50 600 250 620] /AP << /N %d 0 R >> >>", look("Ada Lovelace"))
	note := f.Object("<< /Type /Annot /Subtype /FreeText /F 4 /Rect [50 500 250 520] /Contents (checked) /AP << /N %d 0 R >> >>", look("checked"))
	f.Page(pdftest.Page{Fonts: map[string]int{"F": font}, Content: pdftest.Lines("F", 12, 50, 640, "Name:"),
		Entries: fmt.Sprintf("/Annots [%d 0 R %d 0 R]", field, note)})
	f.SetCatalog(fmt.Sprintf("<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%d 0 R] >> >>", field))
	return f.Bytes()
}

func ownerOnly() []byte {
	f := pdftest.New()
	f.Page(pdftest.Page{Fonts: map[string]int{"F": f.Helvetica()}, Content: pdftest.Lines("F", 12, 50, 700, "Do not print")})
	return f.Encrypted("", "owner")
}

func TestPDFText(t *testing.T) {
	r := newReader(t, Options{})
	for name, c := range map[string]struct {
		data []byte
		want []string
	}{
		"words, a table and a chart":       {report(), []string{reportText, "Second page"}},
		"embedded eastern font":            {embedded(), []string{eastern + "\n𠮷字"}},
		"eastern fonts by name":            {named(), []string{"简体字\n繁體\n日本語テスト\n한국어", "简体字\n繁體\n日本語テスト\n한국어"}},
		"form field and note":              {form(), []string{"Name:\nAda Lovelace checked"}},
		"encrypted, opens without asking":  {ownerOnly(), []string{"Do not print"}},
		"bytes before and after the file":  {slices.Concat([]byte("junk\n"), report(), []byte("\nmore junk")), []string{reportText, "Second page"}},
		"cross references that are wrong":  {bytes.Replace(report(), []byte("startxref\n"), []byte("startxref\n9"), 1), []string{reportText, "Second page"}},
		"a page with nothing on it":        {pages(1, ""), []string{""}},
		"as many pages as there may be":    {pages(100, ""), make([]string, 100)},
		"glyphs that are no character":     {noUnicode(), []string{"ab"}},
		"one line above the other's start": {superscript(), []string{"E = mc2"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.Text(t.Context(), PDF, c.data)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func pages(n int, content string) []byte {
	f := pdftest.New()
	first := f.Page(pdftest.Page{Fonts: map[string]int{"F": f.Helvetica()}, Content: content})
	for range n - 1 {
		f.PageAgain(first)
	}
	return f.Bytes()
}

// prose is a page of some 3,000 characters.
func prose() string {
	lines := make([]string, 50)
	for i := range lines {
		lines[i] = fmt.Sprintf("Line %d: the quick brown fox jumps over the lazy dog again.", i)
	}
	return pdftest.Lines("F", 11, 50, 790, lines...)
}

func noUnicode() []byte {
	f := pdftest.New()
	f.Page(pdftest.Page{Fonts: map[string]int{"F": f.Helvetica()}, Content: "BT /F 12 Tf 50 700 Td (a\\000b) Tj ET"})
	return f.Bytes()
}

func superscript() []byte {
	f := pdftest.New()
	f.Page(pdftest.Page{Fonts: map[string]int{"F": f.Helvetica()}, Content: "BT /F 12 Tf 50 700 Td (E = mc) Tj /F 7 Tf 5 Ts (2) Tj ET"})
	return f.Bytes()
}

func TestPageCount(t *testing.T) {
	r := newReader(t, Options{})
	for _, want := range []int{1, 2, 100} {
		got, err := r.PageCount(t.Context(), pages(want, ""))
		if err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
}

func decodePNG(t *testing.T, p Page) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(p.PNG))
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != p.Width || b.Dy() != p.Height {
		t.Fatalf("the picture is %v, the page says %d by %d", b, p.Width, p.Height)
	}
	return img
}

// ink counts the pixels of a part of the page, in points from its lower left
// corner, that are not white.
func ink(img image.Image, x, y, w, h float64) int {
	scale := float64(img.Bounds().Dy()) / pdftest.A4Height
	n := 0
	for py := int((pdftest.A4Height - y - h) * scale); py < int((pdftest.A4Height-y)*scale); py++ {
		for px := int(x * scale); px < int((x+w)*scale); px++ {
			if r, g, b, _ := img.At(px, py).RGBA(); r&g&b < 0xf000 {
				n++
			}
		}
	}
	return n
}

func TestRender(t *testing.T) {
	pictures, err := newReader(t, Options{}).Render(t.Context(), report(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if p := pictures.Pages; len(p) != 2 || p[0].Height != LongEdge || p[0].Width != 1108 {
		t.Fatalf("got %d pages, the first %d by %d", len(p), p[0].Width, p[0].Height)
	}
	img := decodePNG(t, pictures.Pages[0])
	scale := float64(LongEdge) / pdftest.A4Height
	at := func(x, y float64) color.RGBA {
		return color.RGBAModel.Convert(img.At(int(x*scale), int((pdftest.A4Height-y)*scale))).(color.RGBA)
	}
	red, white := color.RGBA{204, 26, 26, 255}, color.RGBA{255, 255, 255, 255}
	for _, c := range []struct {
		where string
		x, y  float64
		want  color.RGBA
	}{
		{"the middle bar, high up", 230, 390, red},
		{"the first bar, low", 70, 230, red},
		{"above the first bar", 70, 390, white},
		{"between two bars", 175, 210, white},
		{"the margin", 10, 10, white},
	} {
		if got := at(c.x, c.y); got != c.want {
			t.Errorf("%s: %v, want %v", c.where, got, c.want)
		}
	}
	if ink(img, 50, 770, 200, 30) == 0 {
		t.Error("the first line is not drawn")
	}
}

func TestRenderForm(t *testing.T) {
	pictures, err := newReader(t, Options{}).Render(t.Context(), form(), 0)
	if err != nil {
		t.Fatal(err)
	}
	img := decodePNG(t, pictures.Pages[0])
	for name, y := range map[string]float64{"field": 600, "note": 500} {
		if ink(img, 50, y, 200, 20) == 0 {
			t.Errorf("the %s is not drawn", name)
		}
	}
}

func TestRenderSizes(t *testing.T) {
	r := newReader(t, Options{})
	for _, c := range []struct {
		width, height float64
		entries       string
		longEdge      int
		wantW, wantH  int
	}{
		{595, 842, "", 0, 1108, 1568},
		{595, 842, "", 5000, 1108, 1568}, // never more than the model sees
		{595, 842, "", 421, 298, 421},
		{842, 595, "", 0, 1568, 1108},
		{595, 842, "/Rotate 90", 0, 1568, 1108},
		{100, 50, "", 0, 400, 200}, // a label does not become a poster
		{14400, 14400, "", 0, 1568, 1568},
		{14400, 3, "", 0, 1568, 1},
		{1e6, 1e6, "", 0, 1212, 1568}, // PDFium takes it for US Letter
		{0.01, 0.01, "", 0, 1, 1},
	} {
		f := pdftest.New()
		f.Page(pdftest.Page{Width: c.width, Height: c.height, Entries: c.entries})
		got, err := r.Render(t.Context(), f.Bytes(), c.longEdge)
		if err != nil {
			t.Errorf("%g by %g: %v", c.width, c.height, err)
			continue
		}
		p := got.Pages[0]
		decodePNG(t, p)
		if p.Width != c.wantW || p.Height != c.wantH {
			t.Errorf("%g by %g %s at %d: %d by %d, want %d by %d", c.width, c.height, c.entries, c.longEdge, p.Width, p.Height, c.wantW, c.wantH)
		}
	}
}

func TestEasternPictures(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/boxes.ttf", boxes.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	all := []string{"SimSun", "PMingLiU", "MS-Mincho", "HYSMyeongJo-Medium"}
	for name, c := range map[string]struct {
		data    []byte
		fonts   []string
		lines   []float64 // baselines where something is drawn
		missing []string
	}{
		"embedded":                   {embedded(), nil, []float64{700, 650}, nil},
		"by name, the host has one":  {named(), []string{dir}, []float64{700, 650, 600, 550}, nil},
		"by name, the host has none": {named(), []string{dir + "/absent"}, nil, all},
	} {
		t.Run(name, func(t *testing.T) {
			pictures, err := newReader(t, Options{Fonts: c.fonts}).Render(t.Context(), c.data, 0)
			if err != nil {
				t.Fatal(err)
			}
			for n, p := range pictures.Pages {
				img := decodePNG(t, p)
				for _, y := range []float64{700, 650, 600, 550} {
					drawn := ink(img, 50, y, 40, 18) > 100
					if want := slices.Contains(c.lines, y); drawn != want {
						t.Errorf("page %d, the line at %g is drawn: %v, want %v", n+1, y, drawn, want)
					}
				}
			}
			got, want := slices.Sorted(slices.Values(pictures.Missing)), slices.Sorted(slices.Values(c.missing))
			if !slices.Equal(got, want) {
				t.Errorf("%q are missing, want %q", got, want)
			}
		})
	}
}

// TestConcurrent has more readers than instances, with good and bad files among
// them: each answer is the one for its own file.
func TestConcurrent(t *testing.T) {
	r := newReader(t, Options{Instances: 2})
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() {
			switch n % 3 {
			case 0:
				word := fmt.Sprintf("file %d", n)
				got, err := r.Text(t.Context(), PDF, pages(3, pdftest.Lines("F", 12, 50, 700, word)))
				if err != nil || !slices.Equal(got, []string{word, word, word}) {
					t.Errorf("%q, %v", got, err)
				}
			case 1:
				if _, err := r.Text(t.Context(), PDF, []byte("%PDF-1.7 not one")); messages.AsError(err).Message != errNotValid.Message {
					t.Error(err)
				}
			default:
				got, err := r.Render(t.Context(), report(), 200)
				if err != nil || len(got.Pages) != 2 {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestCancelled(t *testing.T) {
	r := newReader(t, Options{Instances: 1})
	reason := errors.New("the client left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if _, err := r.Text(ctx, PDF, report()); !errors.Is(err, reason) {
		t.Errorf("before it begins: %v", err)
	}

	// While it waits for the only slot.
	r.slots <- struct{}{}
	if _, err := r.Render(ctx, report(), 0); !errors.Is(err, reason) {
		t.Errorf("in the queue: %v", err)
	}
	<-r.slots

	// In the middle of a document that would go on for long.
	for _, turns := range []int{3, 20, 100} {
		ctx := &ending{Context: t.Context(), turns: turns}
		if _, err := r.Text(ctx, PDF, endless()); !errors.Is(err, context.Canceled) {
			t.Errorf("after %d looks at the context: %v", turns, err)
		}
	}
	if got, err := r.Text(t.Context(), PDF, report()); err != nil || len(got) != 2 {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// ending is a context that ends after so many looks at it: no clock takes part.
type ending struct {
	context.Context
	turns int
}

func (e *ending) Err() error {
	if e.turns--; e.turns < 0 {
		return context.Canceled
	}
	return nil
}

func TestClose(t *testing.T) {
	r, err := New(Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Text(t.Context(), PDF, report()); messages.AsError(err).Kind != messages.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"a cache that is a file": {Options{CacheDir: file}, "compiled PDFium"},
		"too little memory":      {Options{MemoryLimit: 1 << 20}, "memory limit"},
		"too much memory":        {Options{MemoryLimit: 3 << 30}, "memory limit"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
