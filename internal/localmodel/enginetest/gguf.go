package enginetest

import (
	"bytes"
	"encoding/binary"
	"io"
)

// gguf collects a file of GGUF version 3 (ggml/include/gguf.h): header, values,
// tensor list, padding, tensor data.
type gguf struct {
	values  bytes.Buffer
	nValues uint64
	infos   bytes.Buffer
	nInfos  uint64
	data    bytes.Buffer
}

// gguf_type
const (
	typeUint32 = 4
	typeInt32  = 5
	typeFloat  = 6
	typeBool   = 7
	typeString = 8
	typeArray  = 9
)

const alignment = 32

func put(b *bytes.Buffer, v any) {
	if err := binary.Write(b, binary.LittleEndian, v); err != nil {
		panic(err) // a value without a fixed size: a fault of this package
	}
}

func putString(b *bytes.Buffer, s string) {
	put(b, uint64(len(s)))
	b.WriteString(s)
}

func (g *gguf) key(name string, kind uint32) {
	g.nValues++
	putString(&g.values, name)
	put(&g.values, kind)
}

func (g *gguf) text(k, v string) {
	g.key(k, typeString)
	putString(&g.values, v)
}

func (g *gguf) number(k string, v uint32) {
	g.key(k, typeUint32)
	put(&g.values, v)
}

func (g *gguf) real(k string, v float32) {
	g.key(k, typeFloat)
	put(&g.values, v)
}

func (g *gguf) flag(k string, v bool) {
	g.key(k, typeBool)
	put(&g.values, v)
}

func (g *gguf) array(k string, kind uint32, n int) {
	g.key(k, typeArray)
	put(&g.values, kind)
	put(&g.values, uint64(n))
}

func (g *gguf) texts(k string, vs []string) {
	g.array(k, typeString, len(vs))
	for _, v := range vs {
		putString(&g.values, v)
	}
}

func (g *gguf) reals(k string, vs []float32) {
	g.array(k, typeFloat, len(vs))
	put(&g.values, vs)
}

func (g *gguf) numbers(k string, vs []int32) {
	g.array(k, typeInt32, len(vs))
	put(&g.values, vs)
}

// tensor adds 32-bit floats; dims begin with the row length.
func (g *gguf) tensor(name string, vs []float32, dims ...int) {
	const f32 = 0 // ggml_type
	g.nInfos++
	putString(&g.infos, name)
	put(&g.infos, uint32(len(dims)))
	for _, d := range dims {
		put(&g.infos, uint64(d))
	}
	put(&g.infos, uint32(f32))
	put(&g.infos, uint64(g.data.Len()))
	put(&g.data, vs)
	pad(&g.data, g.data.Len())
}

func pad(b *bytes.Buffer, n int) {
	b.Write(make([]byte, (alignment-n%alignment)%alignment))
}

func (g *gguf) write(w io.Writer) error {
	var head bytes.Buffer
	head.WriteString("GGUF")
	put(&head, uint32(3))
	put(&head, g.nInfos)
	put(&head, g.nValues)
	head.Write(g.values.Bytes())
	head.Write(g.infos.Bytes())
	pad(&head, head.Len())
	if _, err := w.Write(head.Bytes()); err != nil {
		return err
	}
	_, err := w.Write(g.data.Bytes())
	return err
}
