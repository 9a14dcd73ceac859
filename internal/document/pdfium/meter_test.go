package pdfium

import (
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// program is a module with each way to take long: spin loops for ever, fib calls
// itself without a loop, count loops n times, add does neither.
func program() []byte {
	i32 := func(n int) []byte { return vector(i32s(n)) }
	function := func(code ...[]byte) []byte { return vector(concat(append([][]byte{op(0)}, code...)...)) }
	get, end := op(0x20, 0), op(0x0b)
	return concat([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, concat(op(3),
			op(0x60), i32(0), vector([]byte{api.ValueTypeF64}),
			op(0x60), i32(0), i32(0),
			op(0x60), i32(1), i32(1))),
		section(2, concat(op(1), name(tickModule), name(tickName), op(0, 0))),
		section(3, concat(op(4), op(1, 2, 2, 2))),
		section(6, concat(op(1), []byte{0x7f, 1}, i32Const(7), end)),
		section(7, concat(op(4), name("spin"), op(0, 1), name("fib"), op(0, 2), name("count"), op(0, 3), name("add"), op(0, 4))),
		section(10, concat(op(4),
			function(op(0x03), op(0x40), op(0x0c, 0), end, end),
			function( // n < 2 ? n : fib(n-1) + fib(n-2)
				get, i32Const(2), op(0x48), op(0x04), op(0x7f), get, op(0x05),
				get, i32Const(1), op(0x6b), op(0x10, 2),
				get, i32Const(2), op(0x6b), op(0x10, 2), op(0x6a), end, end),
			function( // do n-- while n; the global with it
				op(0x03), op(0x40), get, i32Const(1), op(0x6b), op(0x22, 0), op(0x0d, 0), end,
				op(0x23, 0), end),
			function(get, get, op(0x6a), end))))
}

func TestMeter(t *testing.T) {
	metered, err := meter(program())
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	for _, c := range []struct {
		call   string
		arg    uint64
		most   int // ticks, then it is stopped
		ticks  int
		result uint64
		err    error
	}{
		{"spin", 0, 3, 4, 0, enough},
		{"fib", 27, 1 << 20, 635_621 / stepsPerTick, 196_418, nil}, // 2 fib(28) - 1 calls
		{"fib", 60, 5, 6, 0, enough},
		{"count", 10 * stepsPerTick, 1 << 20, 10, 7, nil},
		{"count", stepsPerTick - 1, 1 << 20, 0, 7, nil},
		{"add", 4, 1 << 20, 0, 8, nil},
	} {
		ctx := t.Context()
		r := wazero.NewRuntime(ctx)
		ticks := 0
		_, err := r.NewHostModuleBuilder(tickModule).NewFunctionBuilder().WithFunc(func() float64 {
			if ticks++; ticks > c.most {
				panic(enough)
			}
			return 0
		}).Export(tickName).Instantiate(ctx)
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.Instantiate(ctx, metered)
		if err != nil {
			t.Fatal(err)
		}
		args := []uint64{c.arg}
		if c.call == "spin" {
			args = nil
		}
		got, err := m.ExportedFunction(c.call).Call(ctx, args...)
		if !errors.Is(err, c.err) {
			t.Errorf("%s(%d): %v, want %v", c.call, c.arg, err, c.err)
		}
		if err == nil && got[0] != c.result {
			t.Errorf("%s(%d) = %d, want %d", c.call, c.arg, got[0], c.result)
		}
		if ticks != c.ticks {
			t.Errorf("%s(%d): %d ticks, want %d", c.call, c.arg, ticks, c.ticks)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestMeterRefuses(t *testing.T) {
	whole := program() // its code comes last, and no shorter file has all of it
	for n := range whole {
		if _, err := meter(whole[:n]); err == nil {
			t.Errorf("%d bytes of %d are taken", n, len(whole))
		}
	}
	simd := concat([]byte("\x00asm\x01\x00\x00\x00"),
		section(2, concat(op(1), name(tickModule), name(tickName), op(0, 0))),
		section(6, op(0)),
		section(10, concat(op(1), vector(concat(op(0), op(0xfd, 12), op(0x0b))))))
	for what, module := range map[string][]byte{
		"an instruction that nobody counted": simd,
		"no import to tick with":             concat([]byte("\x00asm\x01\x00\x00\x00"), section(2, op(0))),
		"text":                               []byte("(module)"),
	} {
		if _, err := meter(module); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
