package jsonspan

import (
	"bytes"
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Keys are the names that a reader of the object looks for. A document may
// hold other keys, but no case variant of these.
type Keys struct{ byFold []knownKey }

type knownKey struct {
	fold uint32
	name []byte
}

// NewKeys panics when two names differ only in case: no document could hold
// both.
func NewKeys(names ...string) *Keys {
	k := &Keys{}
	for _, name := range names {
		fold, _ := foldSum([]byte(name))
		k.byFold = append(k.byFold, knownKey{fold, []byte(name)})
	}
	slices.SortFunc(k.byFold, func(a, b knownKey) int { return cmp.Compare(a.fold, b.fold) })
	for i := range k.byFold {
		for j := i + 1; j < len(k.byFold) && k.byFold[j].fold == k.byFold[i].fold; j++ {
			if bytes.EqualFold(k.byFold[i].name, k.byFold[j].name) {
				panic("jsonspan: names " + string(k.byFold[i].name) + " and " + string(k.byFold[j].name))
			}
		}
	}
	return k
}

func (k *Keys) check(m *Member) *SyntaxError {
	if k == nil {
		return nil
	}
	lo, hi := 0, len(k.byFold)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if k.byFold[mid].fold < m.fold {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for ; lo < len(k.byFold) && k.byFold[lo].fold == m.fold; lo++ {
		name := k.byFold[lo].name
		if string(name) != string(m.Key) && bytes.EqualFold(name, m.Key) {
			return variant(m, name)
		}
	}
	return nil
}

// foldSum is FNV-1a over the key with each rune replaced by the least rune of
// its simple case folding, as encoding/json compares names (K, k and U+212A
// are one). ok is false for invalid UTF-8.
func foldSum(key []byte) (sum uint32, ok bool) {
	sum = 2166136261
	for i := 0; i < len(key); {
		c := key[i]
		if c < utf8.RuneSelf {
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			sum = (sum ^ uint32(c)) * 16777619
			i++
			continue
		}
		r, n := utf8.DecodeRune(key[i:])
		if r == utf8.RuneError && n == 1 {
			return 0, false
		}
		for {
			next := unicode.SimpleFold(r)
			if next <= r { // the orbit is ascending and wraps to its least rune
				r = next
				break
			}
			r = next
		}
		for ; r >= 0x80; r >>= 8 {
			sum = (sum ^ uint32(r&0xff)) * 16777619
		}
		sum = (sum ^ uint32(r)) * 16777619
		i += n
	}
	return sum, true
}
