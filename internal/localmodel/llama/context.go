package llama

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
)

// Stop makes Decode give up at the next node of its graph.
type Stop struct {
	word atomic.Uint64
	pin  runtime.Pinner
}

// NewStop makes a Stop for the contexts of one slot.
func NewStop() *Stop {
	s := new(Stop)
	s.pin.Pin(s)
	return s
}

// Release ends a Stop that no context uses any more.
func (s *Stop) Release() { s.pin.Unpin() }

// Set makes the running Decode and later ones give up, until Clear. It may be
// called from any goroutine.
func (s *Stop) Set() { s.word.Store(1) }

// Clear takes Set back.
func (s *Stop) Clear() { s.word.Store(0) }

// ErrStopped is Decode's answer to Stop.Set.
var ErrStopped = errors.New("decoding was stopped")

// Context is one sequence's memory and the buffers to extend it. One goroutine
// uses it at a time.
type Context struct {
	m    *Model
	ptr  uintptr
	mem  uintptr
	size int
}

// NewContext makes a context for size tokens, fed at most chunk tokens a call.
func (m *Model) NewContext(size, chunk, threads int, stop *Stop) (*Context, error) {
	p := m.lib.f.contextDefaults().P
	p.NCtx, p.NBatch, p.NUbatch = uint32(size), uint32(chunk), uint32(chunk)
	p.NOutputsMax = 1
	p.NThreads, p.NThreadsBatch = int32(threads), int32(threads)
	p.OffloadKQV, p.OpOffload = false, false
	// The abort callback is strlen itself, over a word that is 0 or 1: length 0
	// is false, length 1 is true. It is asked before each node of the graph, where
	// a callback into Go would cost more than it saves.
	p.Abort, p.AbortData = m.lib.strlen, addressOf(&stop.word)
	c := &Context{m: m, ptr: m.lib.f.newContext(m.ptr, p)}
	if c.ptr == 0 {
		return nil, m.lib.log.fail(fmt.Sprintf("no context of %d tokens can be made", size))
	}
	c.mem = m.lib.f.memory(c.ptr)
	c.size = int(m.lib.f.nCtx(c.ptr))
	return c, nil
}

// Close frees the context.
func (c *Context) Close() { c.m.lib.f.freeContext(c.ptr) }

// CopyTo gives to, an empty and larger context, what c holds; the logits stay.
func (c *Context) CopyTo(to *Context) error {
	f := &c.m.lib.f
	state := make([]byte, f.stateSize(c.ptr, 0))
	if len(state) == 0 {
		return nil
	}
	n := f.stateGet(c.ptr, &state[0], uintptr(len(state)), 0)
	if n == 0 || f.stateSet(to.ptr, &state[0], n, 0) == 0 {
		return c.m.lib.log.fail("a context cannot be enlarged")
	}
	return nil
}

// Size is the number of tokens that fit.
func (c *Context) Size() int { return c.size }

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
		return ErrStopped
	default:
		return c.m.lib.log.fail(fmt.Sprintf("llama_decode answered %d", rc))
	}
}
