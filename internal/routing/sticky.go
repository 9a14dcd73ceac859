package routing

import (
	"hash/maphash"
	"time"
)

// Prefix names what a prompt cache may hold of a call. Zero: nothing.
type Prefix uint64

// PrefixOf names a conversation by the parts of a body that stay from turn to
// turn: the model, tools, system, the first message. A prompt that grows has the
// same Prefix in each turn.
func (h *Health) PrefixOf(parts ...[]byte) Prefix {
	var sum maphash.Hash
	sum.SetSeed(h.seed)
	for _, p := range parts {
		sum.Write(p)
		sum.WriteByte(0) // no JSON value holds one
	}
	return Prefix(max(sum.Sum64(), 1))
}

// held is where a cached prefix lies, and until when.
type held struct {
	account, region string
	until           time.Time
}

// hold needs the mutex.
func (h *Health) hold(p Prefix, r Route, until, now time.Time) {
	if len(h.sticky) >= maxSticky {
		for k, v := range h.sticky {
			if !now.Before(v.until) {
				delete(h.sticky, k)
			}
		}
		for k := range h.sticky { // all in use: any quarter of them makes room
			if len(h.sticky) < maxSticky-maxSticky/4 {
				break
			}
			delete(h.sticky, k)
		}
	}
	h.sticky[p] = held{r.account, r.candidate.Region, until}
}

// lies finds the route to a held prefix; -1: none. It needs the mutex.
func (h *Health) lies(p Prefix, routes []Route, now time.Time) int {
	v, ok := h.sticky[p]
	if !ok || !now.Before(v.until) {
		return -1
	}
	for i, r := range routes {
		if r.account == v.account && r.candidate.Region == v.region {
			return i
		}
	}
	return -1
}
