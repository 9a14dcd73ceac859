package llama

import (
	"errors"
	"math"
	"slices"
	"unsafe"
)

// Sampling says how the next token is chosen. Temperature 0 takes the likeliest
// token and reads nothing else.
type Sampling struct {
	Temperature float64
	TopP        float64 // 0 or 1: off
	TopK        int     // 0: off
	Seed        uint32
	Grammar     string // GBNF with a rule root; empty: anything may be written
}

// ErrGrammar says that a grammar was not understood.
var ErrGrammar = errors.New("llama.cpp does not accept the grammar")

// ErrNoToken says that no token of the vocabulary goes on as the grammar wants.
var ErrNoToken = errors.New("no token of the model fits the grammar")

// Sampler is a chain of the C library's samplers.
type Sampler struct {
	m       *Model
	ptr     uintptr
	grammar uintptr // 0: none
	short   uintptr
	data    []candidate
	array   candidates
}

// NewSampler builds the chain in llama.cpp's own order: top_k, top_p, temperature.
func (m *Model) NewSampler(s Sampling) (*Sampler, error) {
	f := &m.lib.f
	out := &Sampler{m: m}
	if s.Grammar != "" {
		if out.grammar = f.newGrammar(m.vocab, s.Grammar, "root"); out.grammar == 0 {
			return nil, ErrGrammar
		}
		out.short = f.newTopK(shortlist)
	}
	out.ptr = f.newChain(chainParams{NoPerf: true})
	if s.Temperature <= 0 {
		f.chainAdd(out.ptr, f.newGreedy())
		return out, nil
	}
	if s.TopK > 0 {
		f.chainAdd(out.ptr, f.newTopK(int32(s.TopK)))
	}
	if s.TopP > 0 && s.TopP < 1 {
		f.chainAdd(out.ptr, f.newTopP(float32(s.TopP), 1))
	}
	f.chainAdd(out.ptr, f.newTemp(float32(s.Temperature)))
	// 0xFFFFFFFF means "any seed" to the C library.
	f.chainAdd(out.ptr, f.newDist(min(s.Seed, 0xFFFFFFFE)))
	return out, nil
}

// Sample gives the token that follows what c holds. Under a grammar it is chosen
// freely first, for one token is quickly held against it. If it does not fit, the
// choice is made again among the likeliest that do: the whole vocabulary costs
// half as much as the model itself (8 ms for 49,152 tokens).
func (s *Sampler) Sample(c *Context) (Token, error) {
	f := &s.m.lib.f
	token := f.sample(s.ptr, c.ptr, -1)
	if s.grammar == 0 {
		return token, nil
	}
	ok := !slices.Contains(s.m.mute, token)
	if ok {
		s.data = append(s.data[:0], candidate{ID: token})
		s.array = candidates{Data: &s.data[0], Size: 1, Selected: -1}
		f.apply(s.grammar, &s.array)
		ok = s.data[0].Logit == 0
	}
	for _, likeliest := range []bool{true, false} {
		if !ok {
			token, ok = s.choose(c, likeliest)
		}
	}
	if !ok {
		return 0, ErrNoToken
	}
	// A token that the grammar does not let through would be a C++ exception here.
	f.accept(s.grammar, token)
	return token, nil
}

// shortlist is how many of the likeliest tokens are held against a grammar
// before all of them are.
const shortlist = 256

// choose gives a token that the grammar lets through; false: there is none.
func (s *Sampler) choose(c *Context, likeliest bool) (Token, bool) {
	f := &s.m.lib.f
	none := float32(math.Inf(-1))
	s.data = s.data[:0]
	for i, logit := range unsafe.Slice(f.logits(c.ptr, -1), f.nTokens(s.m.vocab)) {
		s.data = append(s.data, candidate{ID: Token(i), Logit: logit})
	}
	// To a grammar a control token is its name, and none of it is in the text.
	for _, token := range s.m.mute {
		s.data[token].Logit = none
	}
	s.array = candidates{Data: &s.data[0], Size: uintptr(len(s.data)), Selected: -1}
	if likeliest {
		f.apply(s.short, &s.array)
	}
	f.apply(s.grammar, &s.array)
	s.array.Sorted = false // the grammar has struck out some
	f.apply(s.ptr, &s.array)
	chosen := unsafe.Slice(s.array.Data, s.array.Size)[s.array.Selected]
	return chosen.ID, chosen.Logit > none
}

// Close frees the samplers.
func (s *Sampler) Close() {
	s.m.lib.f.freeSampler(s.ptr)
	if s.grammar != 0 {
		s.m.lib.f.freeSampler(s.grammar)
		s.m.lib.f.freeSampler(s.short)
	}
}
