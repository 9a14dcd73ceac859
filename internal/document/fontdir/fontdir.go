// Package fontdir finds fonts of the host for what a PDF names without embedding.
//
// Invariant: a face that is given has the script that was asked for, by its own
// word (the code pages of its OS/2 table); the same folders give the same face.
//
// Non-goal: Latin text, which PDFium has faces for.
package fontdir

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/document/pdfium"
)

const (
	mostFiles = 20_000
	mostBytes = 64 << 20 // of one file; the largest collections of CJK faces have some 30
)

// Dir is what the fonts in some folders are.
type Dir struct {
	paths []string
	once  sync.Once
	faces []face
}

// New looks at nothing yet: the folders are read when a document first asks.
func New(paths []string) *Dir { return &Dir{paths: paths} }

// face is one face of a font file.
type face struct {
	path      string
	index     int
	names     []string // plain spellings
	codePages uint32
	weight    int
	italic    bool
}

// script ties a charset to its bit of ulCodePageRange1 and to the words that
// fonts of all of Chinese, Japanese and Korean end their names with.
type script struct {
	bit   uint
	marks []string
}

var scripts = map[pdfium.Charset]script{
	pdfium.ShiftJIS: {17, []string{"jp", "j"}},
	pdfium.GB2312:   {18, []string{"sc", "cn", "gb"}},
	pdfium.Hangul:   {19, []string{"kr", "k"}},
	pdfium.Big5:     {20, []string{"tc", "tw", "hk"}},
	238:             {1, nil},  // central European
	204:             {2, nil},  // Cyrillic
	161:             {3, nil},  // Greek
	162:             {4, nil},  // Turkish
	177:             {5, nil},  // Hebrew
	178:             {6, nil},  // Arabic
	186:             {7, nil},  // Baltic
	163:             {8, nil},  // Vietnamese
	222:             {16, nil}, // Thai
}

// Face gives the face that fits best as a file of its own, or nil.
func (d *Dir) Face(w pdfium.Want) []byte {
	s, ok := scripts[w.Charset]
	if !ok {
		return nil
	}
	d.once.Do(d.scan)
	family := plain(w.Family)
	var best *face
	most := 0
	for i := range d.faces {
		f := &d.faces[i]
		if f.codePages>>s.bit&1 == 0 {
			continue
		}
		if score := f.score(w, family, s); best == nil || score > most {
			best, most = f, score
		}
	}
	if best == nil {
		return nil
	}
	return best.load()
}

func (f *face) score(w pdfium.Want, family string, s script) int {
	score := -abs(f.weight-w.Weight) / 10
	if family != "" && slices.Contains(f.names, family) {
		score += 1000
	}
	for _, n := range f.names {
		if slices.ContainsFunc(s.marks, func(m string) bool {
			return strings.HasSuffix(n, "cjk"+m) || strings.HasSuffix(n, "sans"+m) || strings.HasSuffix(n, "serif"+m)
		}) {
			score += 200
			break
		}
	}
	if f.italic != w.Italic {
		score -= 50
	}
	if slices.ContainsFunc(f.names, func(n string) bool { return strings.Contains(n, "mono") }) {
		score -= 20
	}
	return score
}

func abs(n int) int { return max(n, -n) }

// plain is a font's name as two spellings of it share it.
func plain(name string) string {
	if before, after, ok := strings.Cut(name, "+"); ok && len(before) == 6 {
		name = after // the mark of a subset
	}
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '_' || r == ',' {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// scan passes over what cannot be read: a page says itself which face it misses.
func (d *Dir) scan() {
	files := 0
	for _, root := range d.paths {
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return nil
			}
			switch strings.ToLower(filepath.Ext(path)) {
			case ".ttf", ".otf", ".ttc", ".otc":
			default:
				return nil
			}
			if files++; files > mostFiles {
				return filepath.SkipAll
			}
			f, err := os.Open(path)
			if err != nil {
				return nil
			}
			defer f.Close()
			d.faces = append(d.faces, parse(f, path)...)
			return nil
		})
	}
}
