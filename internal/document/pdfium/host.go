package pdfium

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/emscripten"
)

// What Emscripten's C library answers for a system call that fails.
const (
	noEntry     = -44
	noSuchCall  = -52
	wasiBadFile = 8
)

// hostFunctions are PDFium's imports beside invoke_* and longjmp, which wazero
// supplies. There is no file system, no clock and no environment: a call that
// asks for one fails as on a machine that has none.
var hostFunctions = map[string]api.GoModuleFunc{
	"env.emscripten_date_now":    tick,
	"env.emscripten_resize_heap": resizeHeap,
	"env._emscripten_memcpy_js":  copyMemory,
	"env._abort_js":              abort,
	"env.__assert_fail":          abort,

	"env._tzset_js":     timeZone,
	"env._localtime_js": epoch,
	"env._gmtime_js":    epoch,

	"env.__syscall_openat":      answer(noEntry),
	"env.__syscall_stat64":      answer(noEntry),
	"env.__syscall_lstat64":     answer(noEntry),
	"env.__syscall_newfstatat":  answer(noEntry),
	"env.__syscall_fstat64":     answer(noSuchCall),
	"env.__syscall_fcntl64":     answer(noSuchCall),
	"env.__syscall_ioctl":       answer(noSuchCall),
	"env.__syscall_getdents64":  answer(noSuchCall),
	"env.__syscall_ftruncate64": answer(noSuchCall),
	"env.__syscall_unlinkat":    answer(noSuchCall),
	"env.__syscall_rmdir":       answer(noSuchCall),

	"wasi_snapshot_preview1.fd_close":          answer(wasiBadFile),
	"wasi_snapshot_preview1.fd_read":           answer(wasiBadFile),
	"wasi_snapshot_preview1.fd_write":          answer(wasiBadFile),
	"wasi_snapshot_preview1.fd_seek":           answer(wasiBadFile),
	"wasi_snapshot_preview1.fd_sync":           answer(wasiBadFile),
	"wasi_snapshot_preview1.environ_get":       answer(0),
	"wasi_snapshot_preview1.environ_sizes_get": noEnvironment,
}

// instantiateHost gives PDFium its imports, with the types that it declares:
// fd_seek here takes five i32, where WASI's has an i64.
func instantiateHost(ctx context.Context, r wazero.Runtime, pdfium wazero.CompiledModule) error {
	builders := map[string]wazero.HostModuleBuilder{}
	builder := func(module string) wazero.HostModuleBuilder {
		if builders[module] == nil {
			builders[module] = r.NewHostModuleBuilder(module)
		}
		return builders[module]
	}
	e, err := emscripten.NewFunctionExporterForModule(pdfium)
	if err != nil {
		return err
	}
	e.ExportFunctions(builder("env"))
	for _, f := range pdfium.ImportedFunctions() {
		module, name, _ := f.Import()
		if host, ok := hostFunctions[module+"."+name]; ok {
			builder(module).NewFunctionBuilder().
				WithGoModuleFunction(host, f.ParamTypes(), f.ResultTypes()).Export(name)
		}
	}
	for _, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tick stands behind the metering counter. It also answers PDFium when it asks
// for the time, which is always the epoch.
func tick(ctx context.Context, _ api.Module, stack []uint64) {
	i := instanceOf(ctx)
	if err := context.Cause(ctx); err != nil {
		panic(err)
	}
	if i.steps -= stepsPerTick; i.steps < 0 {
		panic(ErrSteps)
	}
	stack[0] = 0
}

// resizeHeap grows by a fifth at a time where it can, so that a document that
// asks often does not ask too often.
func resizeHeap(ctx context.Context, m api.Module, stack []uint64) {
	const page = 1 << 16
	memory := m.Memory()
	size, wanted := uint64(memory.Size()), uint64(uint32(stack[0]))
	stack[0] = 1
	if wanted <= size {
		return
	}
	for _, to := range []uint64{max(wanted, size+size/5), wanted} {
		if _, ok := memory.Grow(uint32((to - size + page - 1) / page)); ok {
			return
		}
	}
	instanceOf(ctx).full = true
	stack[0] = 0
}

func copyMemory(_ context.Context, m api.Module, stack []uint64) {
	to, from, n := uint32(stack[0]), uint32(stack[1]), uint32(stack[2])
	source, ok := m.Memory().Read(from, n)
	if !ok || !m.Memory().Write(to, source) {
		panic(fmt.Errorf("memcpy of %d bytes from %d to %d", n, from, to))
	}
}

var errAbort = errors.New("abort")

func abort(context.Context, api.Module, []uint64) { panic(errAbort) }

func answer(code int32) api.GoModuleFunc {
	return func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = api.EncodeI32(code) }
}

func noEnvironment(_ context.Context, m api.Module, stack []uint64) {
	write(m, stack[0], make([]byte, 4))
	write(m, stack[1], make([]byte, 4))
	stack[0] = 0
}

// timeZone is UTC: seconds west of it, whether it has summer time, two names.
func timeZone(_ context.Context, m api.Module, stack []uint64) {
	write(m, stack[0], make([]byte, 4))
	write(m, stack[1], make([]byte, 4))
	write(m, stack[2], []byte("UTC\x00"))
	write(m, stack[3], []byte("UTC\x00"))
}

// epoch fills a struct tm with a Thursday, 1 January 1970.
func epoch(_ context.Context, m api.Module, stack []uint64) {
	var tm [44]byte
	tm[12], tm[20], tm[24] = 1, 70, 4 // tm_mday, tm_year, tm_wday
	write(m, stack[2], tm[:])
}

func write(m api.Module, at uint64, data []byte) {
	if !m.Memory().Write(uint32(at), data) {
		panic(fmt.Errorf("an address outside the memory: %d", at))
	}
}
