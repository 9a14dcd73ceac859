package llama

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
)

// Context is one sequence's memory and the buffers to extend it. One goroutine
// uses it at a time; only Abort may be called from elsewhere.
type Context struct {
	m    *Model
	ptr  uintptr
	mem  uintptr
	size int
	stop *atomic.Uint64
	pin  runtime.Pinner
}

// ErrAborted is Decode's answer to Abort.
var ErrAborted = errors.New("decoding was aborted")

// NewContext makes a context for size tokens, fed at most chunk tokens a call.
func (m *Model) NewContext(size, chunk, threads int) (*Context, error) {
	c := &Context{m: m, stop: new(atomic.Uint64)}
	c.pin.Pin(c.stop)
	p := m.lib.f.contextDefaults().P
	p.NCtx, p.NBatch, p.NUbatch = uint32(size), uint32(chunk), uint32(chunk)
	p.NOutputsMax = 1
	p.NThreads, p.NThreadsBatch = int32(threads), int32(threads)
	p.OffloadKQV, p.OpOffload = false, false
	// The abort callback is strlen itself, over a word that is 0 or 1: length 0
	// is false, length 1 is true. It is asked before each node of the graph, where
	// a callback into Go would cost more than it saves.
	p.Abort, p.AbortData = m.lib.strlen, addressOf(c.stop)
	if c.ptr = m.lib.f.newContext(m.ptr, p); c.ptr == 0 {
		c.pin.Unpin()
		return nil, m.lib.log.fail(fmt.Sprintf("no context of %d tokens can be made", size))
	}
	c.mem = m.lib.f.memory(c.ptr)
	c.size = int(m.lib.f.nCtx(c.ptr))
	return c, nil
}

// Close frees the context.
func (c *Context) Close() {
	c.m.lib.f.freeContext(c.ptr)
	c.pin.Unpin()
}

// Size is the number of tokens that fit.
func (c *Context) Size() int { return c.size }

// Abort makes the running Decode and later ones give up, until Rearm.
func (c *Context) Abort() { c.stop.Store(1) }

// Rearm takes Abort back.
func (c *Context) Rearm() { c.stop.Store(0) }

// Truncate forgets everything from position n on. It reports false where the
// model's memory cannot be cut; then everything is forgotten.
func (c *Context) Truncate(n int) bool {
	if n > 0 && c.m.lib.f.seqRemove(c.mem, 0, int32(n), -1) {
		return true
	}
	c.m.lib.f.memoryClear(c.mem, false)
	return n <= 0
}

// Decode appends tokens to the context; afterwards a Sampler can give the next
// one. After an error the caller truncates to what it knows to be whole.
func (c *Context) Decode(tokens []Token) error {
	rc := c.m.lib.f.decode(c.ptr, batch{NTokens: int32(len(tokens)), Token: &tokens[0]})
	runtime.KeepAlive(tokens)
	switch rc {
	case 0:
		return nil
	case 1:
		return errors.New("the context is full")
	case 2:
		return ErrAborted
	default:
		return c.m.lib.log.fail(fmt.Sprintf("llama_decode answered %d", rc))
	}
}

// Sampling says how the next token is chosen. Temperature 0 takes the likeliest
// token and reads nothing else.
type Sampling struct {
	Temperature float64
	TopP        float64 // 0 or 1: off
	TopK        int     // 0: off
	Seed        uint32
}

// Sampler is a chain of the C library's samplers.
type Sampler struct {
	m   *Model
	ptr uintptr
}

// NewSampler builds the chain in llama.cpp's own order: top_k, top_p, temperature.
func (m *Model) NewSampler(s Sampling) *Sampler {
	f := &m.lib.f
	chain := f.newChain(chainParams{NoPerf: true})
	if s.Temperature <= 0 {
		f.chainAdd(chain, f.newGreedy())
		return &Sampler{m, chain}
	}
	if s.TopK > 0 {
		f.chainAdd(chain, f.newTopK(int32(s.TopK)))
	}
	if s.TopP > 0 && s.TopP < 1 {
		f.chainAdd(chain, f.newTopP(float32(s.TopP), 1))
	}
	f.chainAdd(chain, f.newTemp(float32(s.Temperature)))
	// 0xFFFFFFFF means "any seed" to the C library.
	f.chainAdd(chain, f.newDist(min(s.Seed, 0xFFFFFFFE)))
	return &Sampler{m, chain}
}

// Sample gives the token that follows what c holds.
func (s *Sampler) Sample(c *Context) Token { return s.m.lib.f.sample(s.ptr, c.ptr, -1) }

// Close frees the chain and what is in it.
func (s *Sampler) Close() { s.m.lib.f.freeSampler(s.ptr) }
