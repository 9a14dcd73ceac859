// Package document reads documents for upstreams that cannot: PDF as text and as
// pictures of its pages, and txt, md, csv and html as text.
//
// Invariant: a document is read whole or refused with a *messages.Error that says
// why. Reading one takes bounded memory and work, and one document cannot touch
// another.
//
// Non-goal: where the text goes. The words around a document, citations and which
// mode an API asks for are the translation's.
package document

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/outcrop-dev/outcrop/internal/document/fontdir"
	"github.com/outcrop-dev/outcrop/internal/document/pdfium"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Options bound a Reader. The zero value of each number picks its default.
type Options struct {
	// CacheDir keeps PDFium compiled between runs (18 MB); whoever can write
	// there can run code as this process. Empty: compiled once a process.
	CacheDir string
	// Fonts are files or folders of the host's fonts, for Chinese, Japanese,
	// Korean and other scripts that a PDF names without embedding. Ones that do
	// not exist are passed over.
	Fonts []string

	Instances   int   // documents at a time; others wait: the processors, at most 4
	MemoryLimit int64 // of one instance: 256 MiB
	Steps       int64 // of work on one document, loop turns and calls: 2 billion, some 10 s
	PageSteps   int64 // more for each page of it: 60 million, a page scanned in colour
	Bytes       int64 // of one document: 4.5 MB, AWS's limit in Converse
	Pages       int   // of one PDF: 100, AWS's limit for Claude
	TextBytes   int64 // of one document's text: 16 MiB
	ImageBytes  int64 // of one document's rendered pages: 64 MiB
}

// AWS's documentation says 4.5 MB; the larger reading refuses nothing that the
// service takes.
const defaultBytes = 4_718_592

func (o Options) withDefaults() Options {
	fill := func(n *int64, value int64) {
		if *n <= 0 {
			*n = value
		}
	}
	if o.Instances <= 0 {
		o.Instances = min(runtime.GOMAXPROCS(0), 4)
	}
	if o.Pages <= 0 {
		o.Pages = 100
	}
	fill(&o.MemoryLimit, 256<<20)
	fill(&o.Steps, 2_000_000_000)
	fill(&o.PageSteps, 60_000_000)
	fill(&o.Bytes, defaultBytes)
	fill(&o.TextBytes, 16<<20)
	fill(&o.ImageBytes, 64<<20)
	return o
}

// Reader reads documents. Its methods may be used from several goroutines.
type Reader struct {
	options Options
	fonts   *fontdir.Dir
	slots   chan struct{}       // holds one value for each document being read
	engine  chan *pdfium.Engine // holds the engine, nil until its first use
	closed  chan struct{}
}

// New makes a Reader. PDFium is compiled, or taken from the cache, when the first
// PDF comes or Prepare is called.
func New(o Options) (*Reader, error) {
	o = o.withDefaults()
	if o.MemoryLimit < 32<<20 || o.MemoryLimit > 2<<30 {
		return nil, fmt.Errorf("a memory limit of %d bytes: PDFium takes 32 MiB to 2 GiB", o.MemoryLimit)
	}
	if o.CacheDir != "" {
		if err := os.MkdirAll(o.CacheDir, 0o700); err != nil {
			return nil, fmt.Errorf("the folder for compiled PDFium: %w", err)
		}
	}
	for _, f := range o.Fonts {
		if _, err := os.Stat(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("fonts: %w", err)
		}
	}
	r := &Reader{
		options: o,
		fonts:   fontdir.New(o.Fonts),
		slots:   make(chan struct{}, o.Instances),
		engine:  make(chan *pdfium.Engine, 1),
		closed:  make(chan struct{}),
	}
	r.engine <- nil
	return r, nil
}

// Prepare does what the first PDF would otherwise wait for.
func (r *Reader) Prepare(ctx context.Context) error {
	_, err := r.pdfium(ctx)
	return err
}

// Close waits for the documents being read and gives everything back. It is
// called once.
func (r *Reader) Close() error {
	close(r.closed)
	for range cap(r.slots) {
		r.slots <- struct{}{}
	}
	if e := <-r.engine; e != nil {
		return e.Close()
	}
	return nil
}

var errClosed = &messages.Error{Kind: messages.Unavailable, Message: "The server is shutting down."}

func (r *Reader) pdfium(ctx context.Context) (*pdfium.Engine, error) {
	var e *pdfium.Engine
	select {
	case e = <-r.engine:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-r.closed:
		return nil, errClosed
	}
	defer func() { r.engine <- e }()
	if e != nil {
		return e, nil
	}
	const page = 1 << 16
	// Whoever comes first compiles for all, so its own end does not stop it.
	opened, err := pdfium.Open(context.WithoutCancel(ctx), pdfium.Config{
		CacheDir:    r.options.CacheDir,
		MemoryPages: uint32(r.options.MemoryLimit / page),
		Steps:       r.options.Steps,
	})
	if err != nil {
		return nil, messages.Errorf(messages.Internal, "The server could not start its PDF reader.").WithCause(err)
	}
	e = opened
	return e, nil
}

// open waits for a slot and gives the document in a sandbox of its own, with the
// function that ends both.
func (r *Reader) open(ctx context.Context, data []byte, fonts pdfium.Fonts) (*pdfium.Instance, func(), error) {
	if err := r.checkSize(data); err != nil {
		return nil, nil, err
	}
	select { // a select with several ready cases picks any: closed comes first
	case <-r.closed:
		return nil, nil, errClosed
	default:
	}
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	case <-r.closed:
		return nil, nil, errClosed
	}
	release := func() { <-r.slots }
	engine, err := r.pdfium(ctx)
	if err != nil {
		release()
		return nil, nil, err
	}
	instance, err := engine.Start(ctx, data, fonts)
	if err != nil {
		release()
		return nil, nil, refusal(ctx, err)
	}
	end := func() {
		instance.Close()
		release()
	}
	switch pages := instance.Pages(); {
	case pages <= 0:
		err = errNotValid.WithHint("the file has no pages")
	case pages > r.options.Pages:
		err = messages.Errorf(messages.ModelRejected, "A maximum of %d PDF pages may be provided.", r.options.Pages).
			WithHint("the file has %d", pages)
	default:
		instance.Allow(r.options.PageSteps * int64(pages))
		return instance, end, nil
	}
	end()
	return nil, nil, err
}

func (r *Reader) checkSize(data []byte) error {
	if int64(len(data)) <= r.options.Bytes {
		return nil
	}
	return messages.Errorf(messages.InvalidRequest, "The maximum document size is %s. Reduce the size of your document and retry your request.", megabytes(r.options.Bytes)).
		WithHint("the document has %d bytes, the limit is %d", len(data), r.options.Bytes)
}

func megabytes(n int64) string { return fmt.Sprintf("%.3g MB", float64(n)/(1<<20)) }
