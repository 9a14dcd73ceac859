package llama

import (
	"reflect"
	"unsafe"
)

type symbol struct {
	name string
	fn   any
}

// symbols pairs each function field with the C name in its tag.
func (f *functions) symbols() []symbol {
	v := reflect.ValueOf(f).Elem()
	out := make([]symbol, v.NumField())
	for i := range out {
		field := v.Type().Field(i)
		ptr := reflect.NewAt(field.Type, v.Field(i).Addr().UnsafePointer())
		out[i] = symbol{field.Tag.Get("sym"), ptr.Interface()}
	}
	return out
}

func goString(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// cString ends s with a zero. A zero inside s would cut it, so callers that
// take foreign text pass a length instead.
func cString(s string) *byte {
	b := append([]byte(s), 0)
	return &b[0]
}

// addressOf gives the address of pinned memory as C keeps it.
func addressOf[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
