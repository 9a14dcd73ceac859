package pdfium

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Fonts supplies what a document uses without embedding it. PDFium brings the
// Latin faces itself; it asks here for every other.
type Fonts interface {
	// Face gives a font file with one face in it, or nil. It may be called from
	// several goroutines, and the data is not written to.
	Face(Want) []byte
}

// Want says what a document asks for.
type Want struct {
	Family  string  // as the document names it
	Charset Charset // never a Latin one
	Weight  int     // 400 is regular, 700 is bold
	Italic  bool
}

// Charset is a script in the numbers of Windows' LOGFONT, which PDFium uses.
type Charset byte

const (
	ansi, standard, symbol Charset = 0, 1, 2 // PDFium's own faces have these

	ShiftJIS Charset = 128
	Hangul   Charset = 129
	GB2312   Charset = 134
	Big5     Charset = 136
)

// FPDF_SYSFONTINFO is a version, then these functions in this order. Each takes
// the struct's own address first.
var fontFunctions = []struct {
	name    string
	params  int
	results int
	f       func(*Instance, []uint64) uint64
}{
	{"Release", 1, 0, nothing},
	{"EnumFonts", 2, 0, nothing},
	{"MapFont", 7, 1, (*Instance).mapFont},
	{"GetFont", 2, 1, nothing},
	{"GetFontData", 5, 1, (*Instance).fontData},
	{"GetFaceName", 4, 1, nothing},
	{"GetFontCharset", 2, 1, (*Instance).fontCharset},
	{"DeleteFont", 2, 0, nothing},
}

const fontModule = "fonts"

func nothing(*Instance, []uint64) uint64 { return 0 }

type loadedFace struct {
	data    []byte
	charset Charset
}

// mapFont (self, weight, italic, charset, pitch, family, exact) gives a handle.
func (i *Instance) mapFont(args []uint64) uint64 {
	family, _ := i.cString(uint32(args[5]))
	w := Want{Family: family, Charset: Charset(args[3]), Weight: int(int32(args[1])), Italic: args[2] != 0}
	if w.Charset == ansi || w.Charset == standard || w.Charset == symbol {
		return 0
	}
	if i.fonts != nil {
		if data := i.fonts.Face(w); data != nil {
			i.faces = append(i.faces, loadedFace{data, w.Charset})
			return uint64(len(i.faces))
		}
	}
	i.missing = append(i.missing, w)
	return 0
}

// fontData (self, font, table, buffer, size) copies a table, or the whole file
// for table 0, and gives its length. PDFium asks for nothing but the file, and
// for the tag of collections to know whether it is one: it never is.
func (i *Instance) fontData(args []uint64) uint64 {
	face := i.face(args[1])
	if face == nil || args[2] != 0 {
		return 0
	}
	n := uint64(len(face.data))
	if args[3] != 0 && args[4] >= n {
		write(i.module, args[3], face.data)
	}
	return n
}

func (i *Instance) fontCharset(args []uint64) uint64 {
	if face := i.face(args[1]); face != nil {
		return uint64(face.charset)
	}
	return uint64(standard)
}

func (i *Instance) face(handle uint64) *loadedFace {
	if handle == 0 || handle > uint64(len(i.faces)) {
		return nil
	}
	return &i.faces[handle-1]
}

func (i *Instance) cString(at uint32) (string, bool) {
	const longest = 256
	m := i.module.Memory()
	if at >= m.Size() {
		return "", false
	}
	b, _ := m.Read(at, min(longest, m.Size()-at))
	s, _, ok := bytes.Cut(b, []byte{0})
	return string(s), ok
}

// Missing lists the faces that the pages drawn so far asked for and nobody had:
// their characters are not drawn. Each is asked for once, on the first page that
// uses it.
func (i *Instance) Missing() []Want { return i.missing }

// instantiateFonts defines the host's side of the callbacks.
func instantiateFonts(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(fontModule)
	for _, f := range fontFunctions {
		call := func(ctx context.Context, _ api.Module, stack []uint64) {
			for n := range stack[:f.params] {
				stack[n] = uint64(uint32(stack[n])) // wazero leaves the upper half of an i32 as it was
			}
			if result := f.f(instanceOf(ctx), stack[:f.params]); f.results == 1 {
				stack[0] = result
			}
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(call), i32s(f.params), i32s(f.results)).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func i32s(n int) []api.ValueType {
	return bytes.Repeat([]byte{api.ValueTypeI32}, n)
}

// fontBridge is a module that puts the callbacks into PDFium's table of
// functions, since C calls them by their place there and only WebAssembly can
// write to a table. Its one export appends them and gives the place of the first.
func fontBridge() []byte {
	n := uint64(len(fontFunctions))
	types, imports, funcs := op(byte(n+1)), op(byte(n+1)), []byte{}
	imports = append(imports, concat(name("pdfium"), name("__indirect_function_table"), op(0x01), op(0x70), op(0, 0))...)
	for at, f := range fontFunctions {
		types = append(types, concat(op(0x60), vector(i32s(f.params)), vector(i32s(f.results)))...)
		imports = append(imports, concat(name(fontModule), name(f.name), op(0, uint64(at)))...)
		funcs = append(funcs, byte(at))
	}
	types = append(types, concat(op(0x60), vector(nil), vector(i32s(1)))...)
	body := concat(
		op(1, 1), op(0x7f), // one local, i32
		op(0xd0), op(0x70), i32Const(uint32(n)), op(0xfc, 15, 0), op(0x21, 0), // local 0 = table.grow 0 (null, n)
		op(0x20, 0), i32Const(0), i32Const(uint32(n)), op(0xfc, 12, 0, 0), // table.init 0 (local 0, 0, n)
		op(0x20, 0), op(0x0b),
	)
	return concat([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, types),
		section(2, imports),
		section(3, op(1, n)), // one function, of the last type
		section(7, concat(op(1), name("install"), op(0, n))), // the function after the imports
		section(9, concat(op(1), op(1, 0), vector(funcs))),   // a passive segment of functions
		section(10, concat(op(1), vector(body))),
	)
}

func section(id byte, body []byte) []byte { return concat(op(id), vector(body)) }
func name(s string) []byte                { return vector([]byte(s)) }

// vector puts a length in front, as the format has it for names, bodies and
// lists of bytes.
func vector(b []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}

// installFonts makes PDFium ask the instance for fonts.
func (i *Instance) installFonts(ctx context.Context) error {
	self := func(name string) api.Module {
		if name == "pdfium" {
			return i.module
		}
		return nil
	}
	bridge, err := i.engine.runtime.InstantiateModule(experimental.WithImportResolver(i.context(ctx), self),
		i.engine.bridge, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return i.failed(ctx, fmt.Errorf("the font bridge: %w", err))
	}
	i.bridge = bridge
	first, err := bridge.ExportedFunction("install").Call(i.context(ctx))
	if err != nil {
		return i.failed(ctx, err)
	}
	info, err := i.allocate(ctx, uint64(4*(1+len(fontFunctions))))
	if err != nil {
		return err
	}
	const version = 1
	words := []uint32{version}
	for at := range fontFunctions {
		words = append(words, uint32(first[0])+uint32(at))
	}
	for at, w := range words {
		if !i.module.Memory().WriteUint32Le(uint32(info)+uint32(4*at), w) {
			return i.failed(ctx, errors.New("malloc gave an address outside the memory"))
		}
	}
	_, err = i.call(ctx, "FPDF_SetSystemFontInfo", info)
	return err
}
