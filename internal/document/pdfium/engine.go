// Package pdfium runs PDFium as WebAssembly: pages of a PDF as text and pixels.
//
// Invariant: a file sees nothing but its own instance. An Instance reads one
// document and is closed; it has no files, no clock and no environment, its
// memory and its work are bounded, and whatever goes wrong inside is an error
// here.
//
// Non-goal: what a bound should be, and what to tell a client. That is package
// document's.
package pdfium

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

//go:embed pdfium.wasm
var module []byte

// What a document may be refused for. Anything else that an Instance returns is
// the context's error or a *Fault.
var (
	ErrInvalid  = errors.New("not a PDF that PDFium can open")
	ErrPassword = errors.New("the PDF asks for a password")
	ErrMemory   = errors.New("the PDF needs more memory than it may have")
	ErrSteps    = errors.New("the PDF needs more work than it may have")
)

// Fault is a trap inside the sandbox: PDFium's abort, a bad address, a stack
// that ran out.
type Fault struct{ Cause error }

func (f *Fault) Error() string { return "PDFium stopped: " + f.Cause.Error() }
func (f *Fault) Unwrap() error { return f.Cause }

// Config bounds every instance of an Engine.
type Config struct {
	// CacheDir keeps the compiled module between runs; whoever can write there
	// can run code as this process. Empty: compiled anew in each process.
	CacheDir    string
	MemoryPages uint32 // of 64 KiB
	Steps       int64  // loop turns and calls that an instance may make
}

// Engine is PDFium compiled. Its methods may be used from several goroutines.
type Engine struct {
	config  Config
	cache   wazero.CompilationCache
	runtime wazero.Runtime
	pdfium  wazero.CompiledModule
	bridge  wazero.CompiledModule
}

// Open compiles PDFium, or takes it from the cache.
func Open(ctx context.Context, c Config) (*Engine, error) {
	metered, err := meter(module)
	if err != nil {
		return nil, fmt.Errorf("metering PDFium: %w", err)
	}
	e, err := compile(ctx, c, metered)
	if err != nil && c.CacheDir != "" {
		// wazero refuses a damaged file and leaves it there.
		if err := forget(c.CacheDir); err != nil {
			return nil, fmt.Errorf("PDFium's cache: %w", err)
		}
		e, err = compile(ctx, c, metered)
	}
	return e, err
}

// forget empties the part of a folder that wazero made.
func forget(dir string) error {
	made, err := filepath.Glob(filepath.Join(dir, "wazero-*"))
	for _, m := range made {
		err = errors.Join(err, os.RemoveAll(m))
	}
	return err
}

func compile(ctx context.Context, c Config, metered []byte) (_ *Engine, err error) {
	e := &Engine{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if c.CacheDir == "" {
		e.cache = wazero.NewCompilationCache()
	} else if e.cache, err = wazero.NewCompilationCacheWithDir(c.CacheDir); err != nil {
		return nil, fmt.Errorf("PDFium's cache: %w", err)
	}
	e.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCompilationCache(e.cache).
		WithMemoryLimitPages(c.MemoryPages))
	workers := experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	if e.pdfium, err = e.runtime.CompileModule(workers, metered); err != nil {
		return nil, fmt.Errorf("compiling PDFium: %w", err)
	}
	if err = instantiateHost(ctx, e.runtime, e.pdfium); err != nil {
		return nil, fmt.Errorf("PDFium's imports: %w", err)
	}
	if err = instantiateFonts(ctx, e.runtime); err != nil {
		return nil, fmt.Errorf("PDFium's fonts: %w", err)
	}
	if e.bridge, err = e.runtime.CompileModule(ctx, fontBridge()); err != nil {
		return nil, fmt.Errorf("PDFium's font bridge: %w", err)
	}
	return e, nil
}

// Close gives everything back. No Instance may be in use.
func (e *Engine) Close() error {
	ctx := context.Background()
	var err error
	if e.runtime != nil {
		err = e.runtime.Close(ctx)
	}
	if e.cache != nil {
		err = errors.Join(err, e.cache.Close(ctx))
	}
	return err
}

// Instance is one sandbox with one document in it. It is used by one goroutine
// at a time and is dead after its first error.
type Instance struct {
	engine *Engine
	module api.Module
	bridge api.Module
	steps  int64 // left
	full   bool  // a growth was refused
	err    error

	fonts   Fonts
	faces   []loadedFace
	missing []Want

	document, pages uint64
}

type instanceKey struct{}

func instanceOf(ctx context.Context) *Instance {
	i, _ := ctx.Value(instanceKey{}).(*Instance)
	return i
}

// Start makes a sandbox and loads the document into it. The fonts are for drawing:
// text comes without them, and sooner.
func (e *Engine) Start(ctx context.Context, data []byte, fonts Fonts) (*Instance, error) {
	i := &Instance{engine: e, steps: e.config.Steps, fonts: fonts}
	ictx := experimental.WithMemoryAllocator(i.context(ctx), allocator())
	m, err := e.runtime.InstantiateModule(ictx, e.pdfium, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, i.failed(ctx, err)
	}
	i.module = m
	if err := i.load(ctx, data); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// Close throws the sandbox away.
func (i *Instance) Close() {
	if i.err == nil {
		i.err = errors.New("the document is closed")
	}
	for _, m := range []api.Module{i.bridge, i.module} {
		if m != nil {
			_ = m.Close(context.Background()) // nothing in it can fail: no files, no listeners
		}
	}
	i.bridge, i.module = nil, nil
}

func (i *Instance) load(ctx context.Context, data []byte) error {
	for _, f := range []string{"emscripten_stack_init", "__wasm_call_ctors", "FPDF_InitLibrary"} {
		if _, err := i.call(ctx, f); err != nil {
			return err
		}
	}
	if err := i.installFonts(ctx); err != nil {
		return err
	}
	at, err := i.allocate(ctx, uint64(len(data)))
	if err != nil {
		return err
	}
	if !i.module.Memory().Write(uint32(at), data) {
		return i.failed(ctx, errors.New("malloc gave an address outside the memory"))
	}
	// The bytes stay: PDFium reads from them as long as the document is open.
	if i.document, err = i.call(ctx, "FPDF_LoadMemDocument64", at, uint64(len(data)), 0); err != nil {
		return err
	}
	if i.document == 0 {
		reason, err := i.call(ctx, "FPDF_GetLastError")
		switch {
		case err != nil:
			return err
		case reason == 4: // FPDF_ERR_PASSWORD
			return ErrPassword
		case reason == 5: // FPDF_ERR_SECURITY: an encryption that PDFium does not know
			return ErrPassword
		default:
			return ErrInvalid
		}
	}
	i.pages, err = i.call(ctx, "FPDF_GetPageCount", i.document)
	return err
}

// Pages is the number of pages that the document says it has.
func (i *Instance) Pages() int { return int(int32(i.pages)) }

// Allow adds to the work that the instance may do.
func (i *Instance) Allow(steps int64) { i.steps += steps }

func (i *Instance) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, instanceKey{}, i)
}

// call runs an exported function: all of them here take integers (floats as
// their bits) and give at most one.
func (i *Instance) call(ctx context.Context, name string, args ...uint64) (uint64, error) {
	if i.err != nil {
		return 0, i.err
	}
	if err := context.Cause(ctx); err != nil {
		return 0, i.failed(ctx, err)
	}
	f := i.module.ExportedFunction(name)
	if f == nil {
		return 0, i.failed(ctx, fmt.Errorf("PDFium has no %s", name))
	}
	results, err := f.Call(i.context(ctx), args...)
	if err != nil {
		return 0, i.failed(ctx, err)
	}
	if len(results) == 0 {
		return 0, nil
	}
	return results[0], nil
}

// failed marks the instance dead and says why.
func (i *Instance) failed(ctx context.Context, err error) error {
	switch {
	case i.err != nil:
	case context.Cause(ctx) != nil:
		i.err = context.Cause(ctx)
	case errors.Is(err, ErrSteps):
		i.err = ErrSteps
	case i.full: // PDFium aborts when malloc fails
		i.err = ErrMemory
	default:
		i.err = &Fault{err}
	}
	return i.err
}

// allocate takes n bytes of the instance's memory.
func (i *Instance) allocate(ctx context.Context, n uint64) (uint64, error) {
	at, err := i.call(ctx, "malloc", max(n, 1))
	if err != nil {
		return 0, err
	}
	if at == 0 {
		i.full = true
		return 0, i.failed(ctx, ErrMemory)
	}
	return at, nil
}
