package catalog

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Nanodollars is an exact amount of money, 1e-9 of a US dollar.
type Nanodollars int64

// USD writes the amount in dollars, exactly, with at least two decimals.
func (n Nanodollars) USD() string {
	sign, u := "", uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	const least = 2 // places
	var room [32]byte
	b := append(room[:0], sign...)
	b = strconv.AppendUint(b, u/1e9, 10)
	point := len(b)
	b = strconv.AppendUint(b, 1e9+u%1e9, 10) // its leading 1 stands where the point goes
	b[point] = '.'
	for len(b) > point+1+least && b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return string(b)
}

// Rates are nanodollars per million tokens, by class. CacheWrite1h is 0 where
// the model does not offer it.
type Rates struct {
	Input, CacheWrite5m, CacheWrite1h, CacheRead, Output Nanodollars
}

// Price is what one model costs on one kind of endpoint.
type Price struct {
	Rates
	// A prompt of more than LongOver tokens (fresh, cached and stored together)
	// puts the whole request on the Long rates. 0: there is no such tier.
	LongOver int64
	Long     Rates
	Own      Own // what the operator has set
	// BatchPercent of each rate is what a batch line costs; 0: no batch.
	BatchPercent int64
}

// Batch is the price of the same call as a line of a batch job.
func (p Price) Batch() (Price, bool) {
	if p.BatchPercent == 0 {
		return Price{}, false
	}
	// Load has checked that the division is exact.
	p.Rates, p.Long = p.Rates.percent(p.BatchPercent), p.Long.percent(p.BatchPercent)
	p.BatchPercent = 0
	return p, true
}

func (r Rates) percent(n int64) Rates {
	f := func(v Nanodollars) Nanodollars { return v * Nanodollars(n) / 100 }
	return Rates{f(r.Input), f(r.CacheWrite5m), f(r.CacheWrite1h), f(r.CacheRead), f(r.Output)}
}

func (r Rates) each() [5]Nanodollars {
	return [5]Nanodollars{r.Input, r.CacheWrite5m, r.CacheWrite1h, r.CacheRead, r.Output}
}

// RatesFor says which rates a prompt of that many tokens is billed at.
func (p Price) RatesFor(promptTokens int64) Rates {
	if p.long(promptTokens) {
		return p.Long
	}
	return p.Rates
}

func (p Price) long(promptTokens int64) bool { return p.LongOver > 0 && promptTokens > p.LongOver }

// Owned says whether a rate that the operator has set is part of the cost of u.
func (p Price) Owned(u messages.Usage) bool {
	long, rates := p.long(u.PromptTokens()), p.RatesFor(u.PromptTokens())
	for class, tokens := range TokensOf(u) {
		if class == 2 && rates.CacheWrite1h == 0 {
			class = 1 // as in Cost
		}
		if tokens > 0 && p.Own.Has(class, long) {
			return true
		}
	}
	return false
}

// TokensOf counts by class, in the order of Classes. Writes that the upstream has
// not split are of five minutes, which is the default.
func TokensOf(u messages.Usage) [5]int64 {
	w5, w1 := u.CacheCreation.Ephemeral5m, u.CacheCreation.Ephemeral1h
	if rest := u.CacheCreationInputTokens - w5 - w1; rest > 0 {
		w5 += rest
	}
	return [5]int64{u.InputTokens, w5, w1, u.CacheReadInputTokens, u.OutputTokens}
}

// Cost is the price of u: summed exactly, rounded half to even once. Counts
// below zero are an upstream's fault and cost nothing; an amount past the range
// of int64 is math.MaxInt64.
func Cost(u messages.Usage, p Price) Nanodollars {
	r := p.RatesFor(u.PromptTokens())
	if r.CacheWrite1h == 0 {
		r.CacheWrite1h = r.CacheWrite5m // what the model would have done instead
	}
	var s sum
	for class, tokens := range TokensOf(u) {
		s.add(tokens, *r.at(class))
	}
	return s.perMillion()
}

// Part is what the tokens of one class cost, within a call of u. Rounded each by
// itself, parts may miss the Cost of u by some nanodollars.
func (p Price) Part(u messages.Usage, class int) Nanodollars {
	r := p.RatesFor(u.PromptTokens())
	if r.CacheWrite1h == 0 {
		r.CacheWrite1h = r.CacheWrite5m
	}
	var s sum
	s.add(TokensOf(u)[class], *r.at(class))
	return s.perMillion()
}

// sum is an exact 128-bit total of tokens x (nanodollars per million).
type sum struct{ hi, lo uint64 }

func (s *sum) add(tokens int64, rate Nanodollars) {
	if tokens <= 0 || rate <= 0 {
		return
	}
	hi, lo := bits.Mul64(uint64(tokens), uint64(rate))
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry) // five products below 2^126 fit
}

func (s sum) perMillion() Nanodollars {
	const m = 1_000_000
	if s.hi >= m {
		return math.MaxInt64
	}
	q, rem := bits.Div64(s.hi, s.lo, m)
	if rem > m/2 || rem == m/2 && q&1 == 1 {
		q++
	}
	if q > math.MaxInt64 {
		return math.MaxInt64
	}
	return Nanodollars(q)
}

// usd is a price per million tokens as the data file has it: decimal dollars.
type usd Nanodollars

func (u *usd) UnmarshalJSON(b []byte) error {
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("price %s: %w", b, err)
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return fmt.Errorf("price %s is no number", b)
	}
	r.Mul(r, big.NewRat(1e9, 1))
	if !r.IsInt() || r.Sign() <= 0 || !r.Num().IsInt64() {
		return fmt.Errorf("price %s is not a positive whole number of nanodollars", b)
	}
	*u = usd(r.Num().Int64())
	return nil
}
