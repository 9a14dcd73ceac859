package document

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/document/pdftest"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// endless draws a form that draws a form twice that draws a form twice, and so on:
// 2^40 of them.
func endless() []byte {
	f := pdftest.New()
	font := f.Helvetica()
	inner := f.Deflated("/Type /XObject /Subtype /Form /BBox [0 0 100 100] "+fmt.Sprintf("/Resources << /Font << /F %d 0 R >> >>", font), []byte(pdftest.Lines("F", 9, 1, 1, "x")))
	for range 40 {
		inner = f.Deflated(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 100 100] /Resources << /XObject << /X %d 0 R >> >>", inner), []byte("/X Do /X Do"))
	}
	f.Page(pdftest.Page{Content: "/X Do", Resources: fmt.Sprintf("/XObject << /X %d 0 R >>", inner)})
	return f.Bytes()
}

// selfish is a form that draws itself.
func selfish() []byte {
	f := pdftest.New()
	font := f.Helvetica()
	x := f.Deflated(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 100 100] /Resources << /XObject << /X %d 0 R >> >>", font+1), []byte("/X Do /X Do"))
	f.Page(pdftest.Page{Fonts: map[string]int{"F": font}, Content: "/X Do", Resources: fmt.Sprintf("/XObject << /X %d 0 R >>", x)})
	return f.Bytes()
}

func encrypted() []byte {
	f := pdftest.New()
	f.Page(pdftest.Page{Fonts: map[string]int{"F": f.Helvetica()}, Content: pdftest.Lines("F", 12, 50, 700, "secret")})
	return f.Encrypted("user", "owner")
}

// treeLoop is a page tree that is its own child.
func treeLoop() []byte {
	f := pdftest.New()
	f.SetPages("<< /Type /Pages /Count 5 /Kids [2 0 R 2 0 R 2 0 R] >>")
	return f.Bytes()
}

// manyPages says that it has more pages than there are.
func manyPages(n int) []byte {
	f := pdftest.New()
	p := f.Page(pdftest.Page{})
	f.SetPages(fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%d 0 R] >>", n, p))
	return f.Bytes()
}

// nested has arrays in arrays where the catalog expects a name.
func nested(depth int) []byte {
	f := pdftest.New()
	f.Page(pdftest.Page{})
	f.SetCatalog("<< /Type /Catalog /Pages 2 0 R /PageMode " + strings.Repeat("[", depth) + strings.Repeat("]", depth) + " >>")
	return f.Bytes()
}

// states saves the graphics state over and over, and never restores it.
func states(n int) []byte {
	f := pdftest.New()
	f.Page(pdftest.Page{Content: strings.Repeat("q ", n)})
	return f.Bytes()
}

// inflated is a content stream of many zeros in few bytes.
func inflated(n int) []byte {
	f := pdftest.New()
	f.Page(pdftest.Page{Content: strings.Repeat("\x00", n)})
	return f.Bytes()
}

// picture is an image of so many pixels on each side, all black.
func picture(side int) []byte {
	f := pdftest.New()
	x := f.Deflated(fmt.Sprintf("/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8", side, side), make([]byte, min(3*side*side, 100<<20)))
	f.Page(pdftest.Page{Content: "q 500 0 0 500 50 50 cm /X Do Q", Resources: fmt.Sprintf("/XObject << /X %d 0 R >>", x)})
	return f.Bytes()
}

// words is a page with a lot of text, from one form drawn many times.
func words(times int) []byte {
	f := pdftest.New()
	font := f.Helvetica()
	x := f.Deflated(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 600 900] /Resources << /Font << /F %d 0 R >> >>", font),
		[]byte(pdftest.Lines("F", 5, 1, 800, strings.Repeat("many words ", 100))))
	f.Page(pdftest.Page{Content: strings.Repeat("/X Do ", times), Resources: fmt.Sprintf("/XObject << /X %d 0 R >>", x)})
	return f.Bytes()
}

// curves fills a large shape over and over: all work, little memory.
func curves() []byte {
	return pages(1, strings.Repeat("0 0 m 600 800 0 800 600 0 c 600 600 l f\n", 200_000))
}

func page(width, height string) []byte {
	f := pdftest.New()
	p := f.Object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %s %s] >>", width, height)
	f.PageAgain(p)
	return f.Bytes()
}

func TestHostile(t *testing.T) {
	const (
		notValid = "The PDF specified was not valid."
		tooMuch  = "The PDF specified takes more work to read than this server allows. Reduce the document and retry your request."
		read     = "" // it is read
	)
	// Small limits, so that a bomb meets them soon.
	r := newReader(t, Options{Steps: 50_000_000, PageSteps: 1, MemoryLimit: 64 << 20})
	for name, c := range map[string]struct {
		data         []byte
		text, render string
	}{
		"nothing":                      {nil, notValid, notValid},
		"not a PDF":                    {[]byte("hello"), notValid, notValid},
		"a header alone":               {[]byte("%PDF-1.7\n"), notValid, notValid},
		"zeros":                        {make([]byte, 1<<20), notValid, notValid},
		"a password":                   {encrypted(), "The PDF specified is password protected.", "The PDF specified is password protected."},
		"no pages":                     {pdftest.New().Bytes(), notValid, notValid},
		"a page tree in a loop":        {treeLoop(), notValid, notValid},
		"101 pages":                    {pages(101, ""), "A maximum of 100 PDF pages may be provided.", "A maximum of 100 PDF pages may be provided."},
		"a billion pages, it says":     {manyPages(1e9), read, read},
		"fewer pages than it says":     {manyPages(50), notValid, notValid},
		"4.5 MB and a byte":            {make([]byte, 4_718_593), "The maximum document size is 4.5 MB. Reduce the size of your document and retry your request.", "The maximum document size is 4.5 MB. Reduce the size of your document and retry your request."},
		"forms without end":            {endless(), tooMuch, tooMuch},
		"a form in itself":             {selfish(), tooMuch, tooMuch},
		"100,000 nested arrays":        {nested(1e5), read, read},
		"a million saved states":       {states(1e6), tooMuch, tooMuch},
		"a stream of 100 MB":           {inflated(100 << 20), tooMuch, tooMuch},
		"a picture of 100 megapixels":  {picture(10_000), read, tooMuch},
		"a picture of 64 kilopixels":   {picture(256), read, read},
		"a drawing without end":        {curves(), tooMuch, tooMuch},
		"text without end":             {words(20_000), tooMuch, tooMuch},
		"a page without area":          {page("0", "0"), read, read},
		"a page as large as a country": {page("1e30", "1e30"), read, read},
		"a page of no number":          {page("nan", "(x)"), read, read},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Text(t.Context(), PDF, c.data)
			expect(t, "text", err, c.text)
			_, err = r.Render(t.Context(), c.data, 0)
			expect(t, "picture", err, c.render)
			if got, err := r.Text(t.Context(), PDF, report()); err != nil || got[0] != reportText {
				t.Errorf("a good file afterwards: %q, %v", got, err)
			}
		})
	}
}

func expect(t testing.TB, what string, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	var e *messages.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v is not an error for a client", what, err)
		return
	}
	if e.Message != want || (e.Kind != messages.ModelRejected && e.Kind != messages.InvalidRequest) {
		t.Errorf("%s: kind %d, %q, hint %q, cause %v\nwant %q", what, e.Kind, e.Message, e.Hint, e.Cause, want)
	}
}

// TestTruncated cuts a file at every 7th byte: it is read or refused, and the
// Reader goes on.
func TestTruncated(t *testing.T) {
	r := newReader(t, Options{Steps: 50_000_000, PageSteps: 1, MemoryLimit: 64 << 20})
	whole := report()
	for n := 0; n < len(whole); n += 7 {
		got, err := r.Text(t.Context(), PDF, whole[:n])
		if err != nil {
			expect(t, fmt.Sprintf("%d bytes", n), err, errNotValid.Message)
		} else if len(got) == 0 {
			t.Errorf("%d bytes: neither pages nor an error", n)
		}
	}
}

// TestMutants changes bytes at random, the same ones every time.
func TestMutants(t *testing.T) {
	r := newReader(t, Options{Steps: 50_000_000, PageSteps: 1, MemoryLimit: 64 << 20})
	random := rand.New(rand.NewPCG(1, 2))
	files := map[string][]byte{"report": report(), "embedded": embedded(), "form": form(), "picture": picture(8)}
	for n := range 25 {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			whole := files[name]
			data := slices.Clone(whole)
			for range 1 + random.IntN(20) {
				at := random.IntN(len(data))
				switch random.IntN(3) {
				case 0:
					data[at] = byte(random.Uint32())
				case 1:
					data[at] ^= 1 << random.IntN(8)
				default: // digits are lengths, counts, offsets and references
					data[at] = '0' + byte(random.IntN(10))
				}
			}
			_, err := r.Render(t.Context(), data, 200)
			var e *messages.Error
			if err != nil && (!errors.As(err, &e) || e.Kind == messages.Internal) {
				t.Fatalf("mutant %d of %s: %v", n, name, err)
			}
		}
	}
}

func TestTextLimit(t *testing.T) {
	r := newReader(t, Options{TextBytes: 20})
	_, err := r.Text(t.Context(), PDF, report())
	expect(t, "text", err, errTooMuch.Message)
}

func TestPictureLimit(t *testing.T) {
	r := newReader(t, Options{ImageBytes: 1000})
	_, err := r.Render(t.Context(), report(), 0)
	expect(t, "pictures", err, errTooMuch.Message)
}

// TestStepsAreCounted: the bound is the document's and not the clock's, so the
// same file is refused at the same number every time.
func TestStepsAreCounted(t *testing.T) {
	for _, c := range []struct {
		steps int64
		want  string
	}{{1, errTooMuch.Message}, {500_000, errTooMuch.Message}, {100_000_000, ""}} {
		_, err := newReader(t, Options{Steps: c.steps, PageSteps: 1}).Render(t.Context(), report(), 0)
		expect(t, fmt.Sprint(c.steps, " steps"), err, c.want)
	}
}

func FuzzPDF(f *testing.F) {
	for _, data := range [][]byte{report(), embedded(), named(), form(), encrypted(), ownerOnly(), selfish(), treeLoop(), picture(8), nested(10)} {
		f.Add(data)
	}
	r := newReader(f, Options{Steps: 50_000_000, PageSteps: 1, MemoryLimit: 64 << 20})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, err := range []error{
			second(r.Text(t.Context(), PDF, data)),
			second(r.Render(t.Context(), data, 300)),
		} {
			var e *messages.Error
			if err != nil && (!errors.As(err, &e) || e.Kind == messages.Internal) {
				t.Fatal(err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
