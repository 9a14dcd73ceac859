package localmodel

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Options says what to run. The zero value of each number picks its default.
type Options struct {
	EngineDir string        // the folder of llama.cpp's libraries
	Weights   string        // a GGUF file
	Slots     int           // answers at a time: 2
	Queue     int           // requests that may wait for one: 16; negative: none
	Context   int           // most tokens of a conversation: the model's own window
	Threads   int           // of one answer: by the number of processors
	IdleAfter time.Duration // give the memory back after so long without a request: 10 minutes; negative: never
	Log       *slog.Logger

	// Self is the command line of this binary's child mode: the running
	// executable with the argument engine-child.
	Self []string
	// RuntimeDir is where the folder of the private socket is made:
	// XDG_RUNTIME_DIR is for the command line to read, the default is the
	// system's folder for temporary files.
	RuntimeDir string
}

const (
	defaultSlots = 2
	defaultQueue = 16
	defaultIdle  = 10 * time.Minute
)

// Engine is a model that runs while it is needed.
type Engine struct {
	opt       Options
	token     string // on windows, what tells us from others on the loopback
	transport *http.Transport
	nurse     chan func() // runs on the thread that children are tied to
	gone      chan struct{}
	procs     sync.WaitGroup

	mu       sync.Mutex
	proc     *process // starting or running; nil: none
	closed   bool
	fails    int // in a row
	restAt   time.Time
	fault    error // why the last process failed
	inflight int
	idle     *time.Timer
}

// Info is what a running engine says of itself.
type Info struct {
	Model   string // the weights' own name
	Context int    // most tokens of a conversation
	Engine  string // llama.cpp's version
}

// ErrClosed is the answer of an engine after Close.
var ErrClosed = errors.New("the engine is closed")

// New checks the options; it starts nothing yet.
func New(o Options) (*Engine, error) {
	if _, err := os.Stat(o.EngineDir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(o.Weights); err != nil {
		return nil, err
	}
	if len(o.Self) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		o.Self = []string{self, ChildCommand}
	}
	if o.Slots <= 0 {
		o.Slots = defaultSlots
	}
	switch {
	case o.Queue == 0:
		o.Queue = defaultQueue
	case o.Queue < 0:
		o.Queue = 0
	}
	if o.IdleAfter == 0 {
		o.IdleAfter = defaultIdle
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.RuntimeDir == "" {
		o.RuntimeDir = os.TempDir()
	}
	e := &Engine{opt: o, nurse: make(chan func()), gone: make(chan struct{})}
	if runtime.GOOS == "windows" {
		e.token = rand.Text()
	}
	// A connection a request: a kept one may be a dead process's.
	e.transport = &http.Transport{DialContext: e.dial, DisableKeepAlives: true, DisableCompression: true}
	go e.nursery()
	return e, nil
}

// BaseURL is the address that Client answers to.
func (e *Engine) BaseURL() string { return "http://embedded-model" }

// Client sends requests to the engine, starting it if need be. Its errors are
// *messages.Error.
func (e *Engine) Client() *http.Client { return &http.Client{Transport: e} }

// Start starts the engine if it is not running and says what it runs.
func (e *Engine) Start(ctx context.Context) (Info, error) {
	p, err := e.hold(ctx)
	if err != nil {
		return Info{}, err
	}
	defer e.drop()
	return p.info, nil
}

// RoundTrip implements http.RoundTripper.
func (e *Engine) RoundTrip(r *http.Request) (*http.Response, error) {
	if e.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+e.token)
	}
	res, err := e.transport.RoundTrip(r)
	if own := (*messages.Error)(nil); err == nil {
		res.Body = &body{res.Body, e}
	} else if r.Context().Err() == nil && !errors.As(err, &own) {
		err = messages.Errorf(messages.ModelFailed, "The embedded model stopped before it answered.").WithCause(err)
	}
	return res, err
}

// body notes that an answer came to its end: the engine works.
type body struct {
	io.ReadCloser
	e *Engine
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.e.mu.Lock()
		b.e.fails = 0
		b.e.mu.Unlock()
	}
	return n, err
}

// dial connects to the running process, starting one if need be. A process that
// refuses is dead though its burial has not been heard of yet: the following
// one is asked, once.
func (e *Engine) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	for try := 0; ; try++ {
		p, err := e.hold(ctx)
		if err != nil {
			return nil, err
		}
		c, err := p.dial(ctx)
		if err == nil {
			return &conn{Conn: c, p: p, drop: sync.OnceFunc(e.drop)}, nil
		}
		e.drop()
		if try > 0 || ctx.Err() != nil {
			return nil, err
		}
		p.kill()
		select {
		case <-p.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// conn keeps the engine from idling out while a request runs over it. It breaks
// when the process dies, and the socket may still take callers for a moment then:
// whoever hears of the break hears of it after the burial, so that a next request
// gets the next process.
type conn struct {
	net.Conn
	p    *process
	drop func()
}

// burial is how long the end of a process may take to be noticed.
const burial = time.Second

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mourn(err)
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.mourn(err)
	return n, err
}

func (c *conn) mourn(err error) {
	if err == nil || errors.Is(err, net.ErrClosed) {
		return
	}
	late := time.NewTimer(burial)
	defer late.Stop()
	select {
	case <-c.p.done:
	case <-late.C:
	}
}

func (c *conn) Close() error {
	defer c.drop()
	return c.Conn.Close()
}

// hold gives a process that answers and keeps it from idling out until drop.
func (e *Engine) hold(ctx context.Context) (*process, error) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, messages.Errorf(messages.Unavailable, "The embedded model is shutting down.").WithCause(ErrClosed)
	}
	if e.proc == nil {
		if wait := time.Until(e.restAt); wait > 0 {
			defer e.mu.Unlock()
			err := unavailable(e.fault)
			err.RetryAfter = wait
			return nil, err
		}
		e.proc = e.launch()
	}
	p := e.proc
	e.inflight++
	if e.idle != nil {
		e.idle.Stop()
	}
	e.mu.Unlock()
	select {
	case <-p.ready:
	case <-ctx.Done():
		e.drop()
		return nil, ctx.Err()
	}
	if p.err != nil {
		e.drop()
		return nil, unavailable(p.err)
	}
	return p, nil
}

func unavailable(cause error) *messages.Error {
	return messages.Errorf(messages.Unavailable, "The embedded model cannot be started.").WithCause(cause).
		WithHint("the server's log says why; `outcrop fetch` puts back what is missing")
}

func (e *Engine) drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inflight--
	if e.inflight > 0 || e.opt.IdleAfter < 0 || e.closed {
		return
	}
	if e.idle == nil {
		e.idle = time.AfterFunc(e.opt.IdleAfter, e.rest)
	} else {
		e.idle.Reset(e.opt.IdleAfter)
	}
}

// rest ends an idle process, and with it everything it holds.
func (e *Engine) rest() {
	e.mu.Lock()
	p := e.proc
	if e.inflight > 0 || p == nil {
		e.mu.Unlock()
		return
	}
	e.proc = nil
	e.mu.Unlock()
	e.opt.Log.Info("the embedded model is idle and gives its memory back")
	p.end()
}

// buried notes that p is gone; it runs once for every process that started.
func (e *Engine) buried(p *process, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.proc != p {
		return // it was told to go
	}
	e.proc = nil
	e.fault = err
	e.fails++
	wait := backoff(e.fails)
	e.restAt = time.Now().Add(wait)
	e.opt.Log.Warn("the embedded model stopped; the next request starts it again", "error", err, "rest", wait)
}

// backoff is how long an engine rests after n failures in a row: the first
// crash costs its own requests and nothing more.
func backoff(n int) time.Duration {
	if n <= 1 {
		return 0
	}
	return min(30*time.Second, 250*time.Millisecond<<min(n-2, 16))
}

// Close ends the process and waits for it.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		<-e.gone
		return nil
	}
	e.closed = true
	p := e.proc
	e.proc = nil
	if e.idle != nil {
		e.idle.Stop()
	}
	e.mu.Unlock()
	if p != nil {
		p.end()
	}
	e.procs.Wait()
	close(e.nurse)
	<-e.gone
	return nil
}
