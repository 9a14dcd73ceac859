package fontdir

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/document/pdfium"
	"github.com/outcrop-dev/outcrop/internal/document/pdftest"
)

const (
	japanese    = 1 << 17
	simplified  = 1 << 18
	korean      = 1 << 19
	traditional = 1 << 20
	all         = japanese | simplified | korean | traditional
)

func font(family string, codePages uint32) []byte {
	return pdftest.TrueType{Family: family, CodePages: codePages, Runes: []rune("中文")}.Bytes()
}

// collection puts fonts into one file.
func collection(fonts ...[]byte) []byte {
	be := binary.BigEndian
	out := append([]byte("ttcf"), 0, 1, 0, 0)
	out = be.AppendUint32(out, uint32(len(fonts)))
	at := len(out) + 4*len(fonts)
	var body []byte
	for _, f := range fonts {
		start := uint32(at + len(body))
		out = be.AppendUint32(out, start)
		f = bytes.Clone(f)
		for n := range int(be.Uint16(f[4:])) {
			entry := f[12+16*n:]
			be.PutUint32(entry[8:], be.Uint32(entry[8:])+start) // offsets count from the file's beginning
		}
		body = append(body, f...)
	}
	return append(out, body...)
}

func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFace(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"a/ming.ttf":   font("PMingLiU", traditional),
		"b/cjk.ttc":    collection(font("Noto Sans CJK JP", all), font("Noto Sans CJK KR", all), font("Noto Sans CJK SC", all), font("Noto Sans CJK TC", all)),
		"c/latin.ttf":  font("Latin", 1),
		"c/broken.ttf": font("Broken", all)[:200],
		"c/empty.otf":  nil,
		"c/notes.txt":  font("Notes", all),
		"d/thai.TTF":   font("Sarabun", 1<<16),
	})
	for _, c := range []struct {
		family  string
		charset pdfium.Charset
		want    string // the face's name; empty: none
	}{
		{"PMingLiU", pdfium.Big5, "PMingLiU"},
		{"ABCDEF+pming-liu", pdfium.Big5, "PMingLiU"},
		{"SimSun", pdfium.GB2312, "Noto Sans CJK SC"},
		{"MingLiU_HKSCS", pdfium.Big5, "Noto Sans CJK TC"},
		{"MS-Mincho", pdfium.ShiftJIS, "Noto Sans CJK JP"},
		{"", pdfium.Hangul, "Noto Sans CJK KR"},
		{"\xcb\xce\xcc\xe5", pdfium.GB2312, "Noto Sans CJK SC"},
		{"PMingLiU", pdfium.GB2312, "Noto Sans CJK SC"}, // the right name with the wrong script
		{"Angsana", 222, "Sarabun"},
		{"David", 177, ""},  // Hebrew, which none has
		{"Unknown", 99, ""}, // no charset
	} {
		got := New([]string{dir + "/absent", dir}).Face(pdfium.Want{Family: c.family, Charset: c.charset, Weight: 400})
		if c.want == "" {
			if got != nil {
				t.Errorf("%q in %d: a face", c.family, c.charset)
			}
			continue
		}
		if got == nil {
			t.Errorf("%q in %d: none, want %s", c.family, c.charset, c.want)
			continue
		}
		faces := parse(bytes.NewReader(got), "")
		if len(faces) != 1 || faces[0].names[0] != plain(c.want) {
			t.Errorf("%q in %d: %+v, want %s", c.family, c.charset, faces, c.want)
		}
	}
}

// TestSingle: a face taken out of a collection is the font that went in, byte
// for byte, but for the order of its tables.
func TestSingle(t *testing.T) {
	want := font("B", korean)
	got := single(collection(font("A", japanese), want), 1)
	if !bytes.Equal(tables(t, got), tables(t, want)) {
		t.Error("the tables differ")
	}
	if single(got, 1) != nil {
		t.Error("a second face of a file with one")
	}
}

func tables(t *testing.T, font []byte) []byte {
	t.Helper()
	_, list := directory(bytes.NewReader(font), 0)
	var b []byte
	for _, e := range list {
		b = binary.BigEndian.AppendUint32(b, e.tag)
		b = append(b, font[e.offset:e.offset+e.length]...)
	}
	return b
}

func FuzzParse(f *testing.F) {
	f.Add(font("A", all))
	f.Add(collection(font("A", all), font("B", korean)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, face := range parse(bytes.NewReader(data), "") {
			single(data, face.index)
		}
	})
}
