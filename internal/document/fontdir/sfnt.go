package fontdir

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"slices"
	"unicode/utf16"
)

var be = binary.BigEndian

// table is an entry of an OpenType font's directory.
type table struct {
	tag, offset, length uint32
}

const (
	tagOS2  = 0x4f532f32
	tagName = 0x6e616d65
	tagTTC  = 0x74746366

	mostFaces  = 64
	mostTables = 64
)

// offsets gives where the faces of a file begin.
func offsets(r io.ReaderAt) []uint32 {
	head := read(r, 0, 12)
	if head == nil {
		return nil
	}
	if be.Uint32(head) != tagTTC {
		return []uint32{0}
	}
	list := read(r, 12, 4*min(be.Uint32(head[8:]), mostFaces))
	at := make([]uint32, 0, mostFaces)
	for ; len(list) > 0; list = list[4:] {
		at = append(at, be.Uint32(list))
	}
	return at
}

// directory gives the tables of the face that begins at an offset.
func directory(r io.ReaderAt, at uint32) (version uint32, tables []table) {
	head := read(r, at, 12)
	if head == nil {
		return 0, nil
	}
	n := uint32(be.Uint16(head[4:]))
	if n > mostTables {
		return 0, nil
	}
	for list := read(r, at+12, 16*n); len(list) > 0; list = list[16:] {
		tables = append(tables, table{be.Uint32(list), be.Uint32(list[8:]), be.Uint32(list[12:])})
	}
	return be.Uint32(head), tables
}

// parse gives the faces of a file that say which scripts they have.
func parse(r io.ReaderAt, path string) []face {
	var faces []face
	for index, at := range offsets(r) {
		_, tables := directory(r, at)
		f := face{path: path, index: index}
		for _, t := range tables {
			switch t.tag {
			case tagOS2:
				// usWeightClass, fsSelection and ulCodePageRange1 of version 1 and later.
				if b := read(r, t.offset, min(t.length, 86)); len(b) >= 82 && be.Uint16(b) >= 1 {
					f.weight = int(be.Uint16(b[4:]))
					f.italic = be.Uint16(b[62:])&1 != 0
					f.codePages = be.Uint32(b[78:])
				}
			case tagName:
				f.names = nameList(read(r, t.offset, min(t.length, 1<<16)))
			default: // of no use here
			}
		}
		if f.codePages != 0 {
			faces = append(faces, f)
		}
	}
	return faces
}

// nameList gives the family, full and PostScript names for Windows.
func nameList(b []byte) []string {
	if len(b) < 6 {
		return nil
	}
	var names []string
	strings := int(be.Uint16(b[4:]))
	records := b[6:]
	for range be.Uint16(b[2:]) {
		if len(records) < 12 {
			break
		}
		rec := records[:12]
		records = records[12:]
		id, length, at := be.Uint16(rec[6:]), int(be.Uint16(rec[8:])), strings+int(be.Uint16(rec[10:]))
		if be.Uint16(rec) != 3 || (id != 1 && id != 4 && id != 6 && id != 16) || at+length > len(b) {
			continue
		}
		units := make([]uint16, length/2)
		for i := range units {
			units[i] = be.Uint16(b[at+2*i:])
		}
		if n := plain(string(utf16.Decode(units))); n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// load gives the face as a file of its own: from a collection, its tables alone.
func (f *face) load() []byte {
	file, err := os.Open(f.path)
	if err != nil {
		return nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() > mostBytes {
		return nil
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(file, data); err != nil {
		return nil
	}
	return single(data, f.index)
}

func single(data []byte, index int) []byte {
	r := bytes.NewReader(data)
	at := offsets(r)
	if index >= len(at) {
		return nil
	}
	if len(at) == 1 && at[0] == 0 {
		return data
	}
	version, tables := directory(r, at[index])
	out := be.AppendUint32(make([]byte, 0, len(data)), version)
	out = be.AppendUint16(out, uint16(len(tables)))
	out = append(out, make([]byte, 6)...) // for a binary search that FreeType does not make
	body := uint32(len(out) + 16*len(tables))
	var parts [][]byte
	for _, t := range tables {
		b := read(r, t.offset, t.length)
		if b == nil && t.length > 0 {
			return nil
		}
		b = append(b, make([]byte, -len(b)&3)...)
		out = be.AppendUint32(out, t.tag)
		out = be.AppendUint32(out, 0)
		out = be.AppendUint32(out, body)
		out = be.AppendUint32(out, t.length)
		body += uint32(len(b))
		parts = append(parts, b)
	}
	for _, b := range parts {
		out = append(out, b...)
	}
	return out
}

// read gives n bytes, or nil where the file has fewer.
func read(r io.ReaderAt, at, n uint32) []byte {
	if n > mostBytes {
		return nil
	}
	b := make([]byte, n)
	if got, _ := r.ReadAt(b, int64(at)); got < len(b) {
		return nil
	}
	return b
}
