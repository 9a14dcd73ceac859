package worker

import (
	"context"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/localmodel/chat"
	"github.com/outcrop-dev/outcrop/internal/localmodel/llama"
)

// chunk is how many tokens of a prompt go into one call. Kept prefixes are whole
// chunks from the start, so a token's state comes from a call of the same shape
// whether it was kept or not: with temperature 0 the cache cannot change an answer.
const chunk = 64

// smallest is the first context size of a slot; it doubles as an answer needs
// it, since memory is claimed whole when a context is made and max_tokens is
// seldom used up.
const smallest = 1024

// slot is one sequence with a context of its own. Slots share the weights and
// nothing else, so each runs on its caller's thread: one thread that waits for
// no other beats two behind llama.cpp's spinning barriers on a busy machine.
type slot struct {
	model   *llama.Model
	window  int // most tokens a context may hold
	threads int
	stop    *llama.Stop

	ctx  *llama.Context
	kept []llama.Token // whole chunks at the start of ctx

	since atomic.Int64 // unix ms at which the running C call began; 0: none
}

// prefix is how much of prompt need not be read again. At least one token is, for
// the logits.
func (s *slot) prefix(prompt []llama.Token) int {
	n := 0
	for n < len(s.kept) && n < len(prompt)-1 && s.kept[n] == prompt[n] {
		n++
	}
	return n - n%chunk
}

// outcome is how an answer ended.
type outcome struct {
	stop   string // the stop sequence, as Answer found it
	full   bool   // max_tokens or the end of the window
	called bool   // with a whole call of a tool
	output int    // tokens behind the prompt, the end token not among them
	reused int
}

// run answers prompt and hands each stretch of the answer to out as it comes. It
// returns within one node of the graph when ctx ends.
func (s *slot) run(ctx context.Context, prompt []llama.Token, r *chat.Request, stops []string, seed uint32, out sink) (o outcome, err error) {
	left := make(chan struct{})
	release := context.AfterFunc(ctx, func() { s.stop.Set(); close(left) })
	defer func() {
		if !release() {
			<-left // the stop must not hit the next request
		}
		s.stop.Clear()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	if o.reused, err = s.read(ctx, prompt); err != nil {
		return o, err
	}
	w := &writer{s: s, ctx: ctx, r: r, seed: seed, prompt: prompt, at: len(prompt), o: &o}
	return o, w.answer(stops, out)
}

// fit makes room for n tokens in all and keeps what is there.
func (s *slot) fit(n int) error {
	if s.ctx != nil && s.ctx.Size() >= n {
		return nil
	}
	size := max(smallest, 1<<bits.Len(uint(n-1)))
	c, err := s.model.NewContext(min(size, s.window), chunk, s.threads, s.stop)
	if err != nil {
		return err
	}
	if s.ctx != nil {
		if err := s.ctx.CopyTo(c); err != nil {
			c.Close()
			return err
		}
		s.ctx.Close()
	}
	s.ctx = c
	return nil
}

func (s *slot) close() {
	if s.ctx != nil {
		s.ctx.Close()
	}
	s.ctx, s.kept = nil, nil
}

// read feeds the prompt, from the end of the kept prefix on.
func (s *slot) read(ctx context.Context, prompt []llama.Token) (reused int, err error) {
	reused = s.prefix(prompt)
	if s.ctx != nil && !s.ctx.Truncate(reused) {
		reused = 0
	}
	s.kept = append(s.kept[:0:0], prompt[:reused]...)
	return reused, s.feed(ctx, reused, prompt[reused:], true)
}

// feed decodes tokens behind the first at ones, in chunks.
func (s *slot) feed(ctx context.Context, at int, tokens []llama.Token, keep bool) error {
	if err := s.fit(at + len(tokens)); err != nil {
		return err
	}
	for len(tokens) > 0 {
		if err := ctx.Err(); err != nil {
			return err // the stop is on its way
		}
		n := min(chunk, len(tokens))
		if err := s.busy(func() error { return s.ctx.Decode(tokens[:n]) }); err != nil {
			return err
		}
		if keep && n == chunk {
			s.kept = append(s.kept, tokens[:n]...)
		}
		tokens = tokens[n:]
	}
	return nil
}

// busy notes that a C call runs.
func (s *slot) busy(call func() error) error {
	s.since.Store(time.Now().UnixMilli())
	defer s.since.Store(0)
	return call()
}

// stuck tells whether a C call has run longer than any call should.
func (s *slot) stuck(limit time.Duration) error {
	since := s.since.Load()
	if d := time.Since(time.UnixMilli(since)); since != 0 && d > limit {
		return fmt.Errorf("a call into the engine has run for %s", d.Round(time.Second))
	}
	return nil
}
