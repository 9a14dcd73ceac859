package pdfium

import (
	"errors"
	"fmt"
)

// wasmReader walks the binary format as far as metering needs it: the first
// error stays and every later read gives zero.
type wasmReader struct {
	data []byte
	at   int
	err  error
}

var errShort = errors.New("the WebAssembly module ends too early")

func (r *wasmReader) byte() byte {
	if r.err != nil || r.at >= len(r.data) {
		r.fail(errShort)
		return 0
	}
	r.at++
	return r.data[r.at-1]
}

func (r *wasmReader) bytes(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.data)-r.at {
		r.fail(errShort)
		return nil
	}
	r.at += n
	return r.data[r.at-n : r.at : r.at]
}

func (r *wasmReader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return uint32(v)
		}
	}
	r.fail(errors.New("an integer of more than five bytes"))
	return 0
}

// skipLEB passes an integer of any width and sign.
func (r *wasmReader) skipLEB() {
	for range 10 {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail(errors.New("an integer of more than ten bytes"))
}

func (r *wasmReader) limits() {
	flags := r.byte()
	r.u32()
	if flags&1 != 0 {
		r.u32()
	}
}

func (r *wasmReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// instruction passes one instruction with its immediates and gives its opcode.
// What PDFium's module does not use (SIMD, threads, exceptions, tail calls) is
// an error: a loop or call that is overlooked would be work without a bound.
func (r *wasmReader) instruction() byte {
	code := r.byte()
	switch {
	case code == 0x02, code == 0x03, code == 0x04: // block, loop, if
		r.skipLEB() // block type
	case code == 0x0c, code == 0x0d, // br, br_if
		code == 0x10,                 // call
		code >= 0x20 && code <= 0x26, // locals, globals, tables
		code == 0xd2:                 // ref.func
		r.u32()
	case code == 0x0e: // br_table
		n := r.u32()
		for i := uint32(0); i <= n && r.err == nil; i++ {
			r.u32()
		}
	case code == 0x11: // call_indirect
		r.u32()
		r.u32()
	case code == 0x1c: // select with types
		for n := r.u32(); n > 0 && r.err == nil; n-- {
			r.byte()
		}
	case code >= 0x28 && code <= 0x3e: // loads and stores
		r.u32()
		r.u32()
	case code == 0x3f, code == 0x40, code == 0xd0: // memory.size, memory.grow, ref.null
		r.byte()
	case code == 0x41, code == 0x42: // i32.const, i64.const
		r.skipLEB()
	case code == 0x43: // f32.const
		r.bytes(4)
	case code == 0x44: // f64.const
		r.bytes(8)
	case code == 0xfc:
		r.extended()
	case code <= 0x01, code == 0x05, code == 0x0b, code == 0x0f, // unreachable, nop, else, end, return
		code == 0x1a, code == 0x1b, // drop, select
		code >= 0x45 && code <= 0xc4, // comparisons, arithmetic, conversions, sign extension
		code == 0xd1:                 // ref.is_null
	default:
		r.fail(fmt.Errorf("unknown instruction %#x", code))
	}
	return code
}

func (r *wasmReader) extended() {
	switch sub := r.u32(); {
	case sub <= 7: // saturating conversions
	case sub == 9, sub == 11, sub == 13, sub >= 15 && sub <= 17: // data.drop, memory.fill, elem.drop, table.*
		r.u32()
	case sub == 8, sub == 10, sub == 12, sub == 14: // memory.init, memory.copy, table.init, table.copy
		r.u32()
		r.u32()
	default:
		r.fail(fmt.Errorf("unknown instruction 0xfc %d", sub))
	}
}
