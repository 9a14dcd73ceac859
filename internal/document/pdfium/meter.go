package pdfium

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Work is counted in steps: one for each turn of a loop and one for each call of
// a function that calls others. Nothing else in WebAssembly repeats, so a bound
// on steps is a bound on time, and the same on every machine.
//
// wazero's own check (WithCloseOnContextDone) leaves the compiled code at every
// turn of every loop, which made a page 3 times slower; a counter leaves it once
// in stepsPerTick, some half a millisecond. Leaving it now and then is needed all
// the same: Go's garbage collector stops the whole process until compiled
// WebAssembly comes back.
const stepsPerTick = 1 << 16

// The counter's host function is an import that PDFium has already, because one
// more would renumber every function. It has the type () -> f64.
const tickModule, tickName = "env", "emscripten_date_now"

// meter returns the module with a counter in front of each loop and of each
// function that calls; when it runs out the tick import is called.
func meter(module []byte) ([]byte, error) {
	if len(module) < 8 || string(module[:8]) != "\x00asm\x01\x00\x00\x00" {
		return nil, errors.New("not a WebAssembly module")
	}
	m := &metering{tick: -1}
	r := &wasmReader{data: module, at: 8}
	out := append(make([]byte, 0, len(module)+len(module)/4), module[:8]...)
	for r.at < len(r.data) && r.err == nil {
		id := r.byte()
		body := r.bytes(int(r.u32()))
		if r.err != nil {
			break
		}
		var err error
		switch id {
		case 2:
			err = m.imports(body)
		case 6:
			body, err = m.addGlobal(body)
		case 10:
			body, err = m.code(body)
		default: // every other section stands as it is
		}
		if err != nil {
			return nil, err
		}
		out = append(out, id)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	if r.err != nil {
		return nil, r.err
	}
	if m.count == nil {
		return nil, errors.New("the module has no globals or no code")
	}
	return out, nil
}

type metering struct {
	tick    int64 // index of the tick import
	globals int   // imported ones
	counter uint64
	count   []byte // the instructions that count one step
}

func (m *metering) imports(section []byte) error {
	r := &wasmReader{data: section}
	function := int64(0)
	for range r.u32() {
		module, name := r.bytes(int(r.u32())), r.bytes(int(r.u32()))
		switch kind := r.byte(); kind {
		case 0: // function
			r.u32()
			if string(module) == tickModule && string(name) == tickName {
				m.tick = function
			}
			function++
		case 1: // table
			r.byte()
			r.limits()
		case 2: // memory
			r.limits()
		case 3: // global
			r.byte()
			r.byte()
			m.globals++
		default:
			return fmt.Errorf("an import of kind %d", kind)
		}
		if r.err != nil {
			break
		}
	}
	if r.err == nil && m.tick < 0 {
		return fmt.Errorf("the module does not import %s.%s", tickModule, tickName)
	}
	return r.err
}

func (m *metering) addGlobal(section []byte) ([]byte, error) {
	r := &wasmReader{data: section}
	n := r.u32()
	if r.err != nil {
		return nil, r.err
	}
	m.counter = uint64(m.globals) + uint64(n)
	out := binary.AppendUvarint(nil, uint64(n)+1)
	out = append(out, section[r.at:]...)
	out = append(out, 0x7f, 1) // mutable i32
	return append(out, concat(i32Const(stepsPerTick), op(0x0b))...), nil
}

func (m *metering) code(section []byte) ([]byte, error) {
	if m.tick < 0 || m.counter == 0 {
		return nil, errors.New("code before imports and globals")
	}
	get, set := op(0x23, m.counter), op(0x24, m.counter)
	m.count = concat(
		get, i32Const(1), op(0x6b), set, // counter -= 1
		get, op(0x45), // counter == 0
		op(0x04), op(0x40), // if
		op(0x10, uint64(m.tick)), op(0x1a), // call tick, drop
		i32Const(stepsPerTick), set,
		op(0x0b), // end
	)
	r := &wasmReader{data: section}
	n := r.u32()
	out := binary.AppendUvarint(make([]byte, 0, len(section)+len(section)/4), uint64(n))
	var body []byte
	for range n {
		function := r.bytes(int(r.u32()))
		if r.err != nil {
			return nil, r.err
		}
		var err error
		if body, err = m.function(body[:0], function); err != nil {
			return nil, err
		}
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out, r.err
}

func (m *metering) function(dst, body []byte) ([]byte, error) {
	r := &wasmReader{data: body}
	for range r.u32() { // locals
		r.u32()
		r.byte()
		if r.err != nil {
			return nil, r.err
		}
	}
	head := r.at
	var loops []int // where the body of each loop begins
	calls := false
	for r.at < len(r.data) && r.err == nil {
		switch r.instruction() {
		case 0x03:
			loops = append(loops, r.at)
		case 0x10, 0x11:
			calls = true
		default: // runs once each time it is reached
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	dst = append(dst, body[:head]...)
	if calls {
		dst = append(dst, m.count...)
	}
	from := head
	for _, at := range loops {
		dst = append(dst, body[from:at]...)
		dst = append(dst, m.count...)
		from = at
	}
	return append(dst, body[from:]...), nil
}

func op(code byte, immediates ...uint64) []byte {
	b := []byte{code}
	for _, v := range immediates {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// i32Const writes a small positive constant: signed LEB128, so a group whose top
// bit is set needs one more.
func i32Const(v uint32) []byte {
	b := []byte{0x41}
	for v >= 0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
