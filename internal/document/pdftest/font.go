package pdftest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// Helvetica is one of the 14 fonts that every reader has.
func (f *File) Helvetica() int {
	return f.Object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
}

// Embedded adds a TrueType font, as word processors write it: codes are glyph
// numbers, and a ToUnicode map says what they mean.
func (f *File) Embedded(t TrueType) int {
	data := t.Bytes()
	file := f.Deflated(fmt.Sprintf("/Length1 %d", len(data)), data)
	var m strings.Builder
	m.WriteString("/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n" +
		"/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n" +
		"1 begincodespacerange <0000> <FFFF> endcodespacerange\n")
	for i, r := range t.Runes {
		fmt.Fprintf(&m, "1 beginbfchar <%04X> <", i+1)
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&m, "%04X", u)
		}
		m.WriteString("> endbfchar\n")
	}
	m.WriteString("endcmap end end")
	unicode := f.Deflated("", []byte(m.String()))
	descriptor := f.descriptor(t.Family, fmt.Sprintf("/FontFile2 %d 0 R", file))
	cid := f.Object("<< /Type /Font /Subtype /CIDFontType2 /BaseFont /%s /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "+
		"/CIDToGIDMap /Identity /DW 1000 /FontDescriptor %d 0 R >>", t.Family, descriptor)
	return f.Object("<< /Type /Font /Subtype /Type0 /BaseFont /%s /Encoding /Identity-H /DescendantFonts [%d 0 R] /ToUnicode %d 0 R >>", t.Family, cid, unicode)
}

// Named adds a font by name alone, in one of Adobe's character collections
// (GB1, CNS1, Japan1, Korea1) and with a predefined encoding.
func (f *File) Named(family, collection, encoding string) int {
	descriptor := f.descriptor(family, "")
	cid := f.Object("<< /Type /Font /Subtype /CIDFontType2 /BaseFont /%s /CIDSystemInfo << /Registry (Adobe) /Ordering (%s) /Supplement 2 >> "+
		"/DW 1000 /FontDescriptor %d 0 R >>", family, collection, descriptor)
	return f.Object("<< /Type /Font /Subtype /Type0 /BaseFont /%s /Encoding /%s /DescendantFonts [%d 0 R] >>", family, encoding, cid)
}

func (f *File) descriptor(family, file string) int {
	return f.Object("<< /Type /FontDescriptor /FontName /%s /Flags 4 /FontBBox [0 -120 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 700 /StemV 80 %s >>", family, file)
}

// TrueType is a font whose glyphs are filled boxes, one for each rune in order,
// from glyph 1 on.
type TrueType struct {
	Family    string
	CodePages uint32 // OS/2 ulCodePageRange1: 17 Japanese, 18 simplified Chinese, 19 Korean, 20 traditional Chinese
	Runes     []rune // of the basic plane
}

// Glyphs gives the codes of a string in an embedded font.
func (t TrueType) Glyphs(s string) []uint16 {
	var codes []uint16
	for _, r := range s {
		codes = append(codes, uint16(slices.Index(t.Runes, r)+1))
	}
	return codes
}

// Bytes is the font file.
func (t TrueType) Bytes() []byte {
	be := binary.BigEndian
	u16 := func(values ...int) []byte {
		var b []byte
		for _, v := range values {
			b = be.AppendUint16(b, uint16(v))
		}
		return b
	}
	glyphs := len(t.Runes) + 1

	// One contour of four points: flags on-curve with two-byte coordinates.
	box := u16(1, 100, 0, 900, 800, 3, 0)
	box = append(box, 1, 1, 1, 1)
	box = append(box, u16(100, 800, 0, -800, 0, 0, 800, 0)...)
	var glyf, loca []byte
	for range glyphs {
		loca = be.AppendUint32(loca, uint32(len(glyf)))
		glyf = append(glyf, box...)
		for len(glyf)%4 != 0 {
			glyf = append(glyf, 0)
		}
	}
	loca = be.AppendUint32(loca, uint32(len(glyf)))

	head := u16(1, 0, 1, 0, 0, 0, 0x5f0f, 0x3cf5, 3, 1000)
	head = append(head, make([]byte, 16)...) // dates
	head = append(head, u16(100, 0, 900, 800, 0, 8, 2, 1, 0)...)
	hhea := append(u16(1, 0, 880, -120, 0, 1000, 100, 100, 900, 1, 0, 0, 0, 0, 0, 0, 0), u16(1)...)
	maxp := u16(1, 0, glyphs, 4, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0)
	hmtx := u16(1000, 100)
	for range glyphs - 1 {
		hmtx = append(hmtx, u16(100)...)
	}

	// cmap: one table, format 12.
	type pair struct{ r, g uint32 }
	var pairs []pair
	for i, r := range t.Runes {
		pairs = append(pairs, pair{uint32(r), uint32(i + 1)})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return int(a.r) - int(b.r) })
	cmap := append(u16(0, 1, 3, 10, 0, 12), u16(12, 0)...)
	cmap = be.AppendUint32(cmap, uint32(16+12*len(pairs)))
	cmap = append(cmap, 0, 0, 0, 0)
	cmap = be.AppendUint32(cmap, uint32(len(pairs)))
	for _, p := range pairs {
		cmap = be.AppendUint32(be.AppendUint32(be.AppendUint32(cmap, p.r), p.r), p.g)
	}

	var family []byte
	for _, u := range utf16.Encode([]rune(t.Family)) {
		family = be.AppendUint16(family, u)
	}
	name := u16(0, 3, 6+3*12)
	for _, id := range []int{1, 4, 6} {
		name = append(name, u16(3, 1, 0x409, id, len(family), 0)...)
	}
	name = append(name, family...)

	os2 := u16(4, 1000, 400, 5, 0)
	os2 = append(os2, make([]byte, 52)...) // sub- and superscripts, class, panose, Unicode ranges, vendor
	os2 = append(os2, u16(0x40, 0x20, 0xffff, 880, -120, 0, 880, 120)...)
	os2 = be.AppendUint32(os2, t.CodePages)
	os2 = append(os2, make([]byte, 4)...)
	os2 = append(os2, u16(500, 700, 0, 0x20, 1)...)
	post := append(u16(3, 0), make([]byte, 28)...)

	tables := []struct {
		tag  string
		data []byte
	}{{"OS/2", os2}, {"cmap", cmap}, {"glyf", glyf}, {"head", head}, {"hhea", hhea}, {"hmtx", hmtx},
		{"loca", loca}, {"maxp", maxp}, {"name", name}, {"post", post}}
	file := append([]byte{0, 1, 0, 0}, u16(len(tables), 128, 3, 32)...)
	at := len(file) + 16*len(tables)
	var body []byte
	for _, table := range tables {
		file = append(file, table.tag...)
		file = be.AppendUint32(file, 0)
		file = be.AppendUint32(file, uint32(at+len(body)))
		file = be.AppendUint32(file, uint32(len(table.data)))
		body = append(body, table.data...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
	}
	return append(file, body...)
}
