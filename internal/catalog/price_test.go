package catalog

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// The price list as published, in dollars a million tokens: input, cache write
// 5 minutes and 1 hour (as 5 minutes where it is not offered), cache read,
// output; and what a regional id adds.
var priceList = []struct {
	model, day string
	short      [5]string
	long       [5]string // with over
	over       int64
	premium    int64
	batch      bool
}{
	{model: "claude-opus-4-6", short: [5]string{"5", "6.25", "10", "0.50", "25"}, premium: 10, batch: true},
	{model: "claude-opus-4-6", day: "2026-02-10", short: [5]string{"5", "6.25", "10", "0.50", "25"}, long: [5]string{"10", "12.50", "20", "1", "37.50"}, over: 200_000, premium: 10, batch: true},
	{model: "claude-sonnet-4-5", short: [5]string{"3", "3.75", "6", "0.30", "15"}, long: [5]string{"6", "7.50", "12", "0.60", "22.50"}, over: 200_000, premium: 10, batch: true},
	{model: "claude-sonnet-4", short: [5]string{"3", "3.75", "3.75", "0.30", "15"}, long: [5]string{"6", "7.50", "7.50", "0.60", "22.50"}, over: 200_000, batch: true},
	{model: "claude-3-7-sonnet", short: [5]string{"3", "3.75", "3.75", "0.30", "15"}, batch: true},
	{model: "claude-opus-4-5", short: [5]string{"5", "6.25", "10", "0.50", "25"}, premium: 10, batch: true},
	{model: "claude-opus-4-1", short: [5]string{"15", "18.75", "18.75", "1.50", "75"}, batch: true},
	{model: "claude-opus-4", short: [5]string{"15", "18.75", "18.75", "1.50", "75"}, batch: true},
	{model: "claude-haiku-4-5", short: [5]string{"1", "1.25", "2", "0.10", "5"}, premium: 10, batch: true},
	{model: "claude-3-5-haiku", short: [5]string{"0.80", "1", "1", "0.08", "4"}, batch: true},
	{model: "claude-3-haiku", short: [5]string{"0.25", "0.30", "0.30", "0.03", "1.25"}, batch: true},
	{model: "claude-sonnet-4-6", short: [5]string{"3", "3.75", "6", "0.30", "15"}, premium: 10, batch: true},
	{model: "claude-opus-4-7", short: [5]string{"5", "6.25", "10", "0.50", "25"}, premium: 10, batch: true},
	{model: "claude-opus-4-8", short: [5]string{"5", "6.25", "10", "0.50", "25"}, premium: 10, batch: true},
	{model: "claude-sonnet-5", short: [5]string{"2", "2.50", "4", "0.20", "10"}, premium: 10, batch: true},
	{model: "claude-opus-5", short: [5]string{"5", "6.25", "10", "0.50", "25"}, premium: 10, batch: true},
	{model: "claude-fable-5", short: [5]string{"10", "12.50", "20", "1", "50"}, premium: 10, batch: true},
	{model: "claude-fable-5-1", short: [5]string{"10", "12.50", "20", "0.25", "50"}, premium: 10, batch: true},
	{model: "claude-opus-5-5", short: [5]string{"4", "5", "8", "0.20", "20"}, premium: 10},
	{model: "claude-sonnet-5-5", short: [5]string{"2", "2.50", "4", "0.10", "10"}, premium: 10},
	{model: "claude-sonnet-5-5", day: "2026-10-06", short: [5]string{"2", "2.50", "4", "0.20", "10"}, premium: 10},
	{model: "claude-haiku-5-5", short: [5]string{"0.10", "0.125", "0.20", "0.01", "0.50"}, long: [5]string{"0.50", "0.625", "1", "0.05", "2.50"}, over: 100_000, premium: 10},
	{model: "claude-mythos-5", short: [5]string{"10", "12.50", "20", "1", "50"}, premium: 10, batch: true},
	{model: "claude-mythos-5-1", short: [5]string{"10", "12.50", "20", "0.25", "50"}, premium: 10, batch: true},
}

// exactCost works in rationals of dollars, by the list alone.
func exactCost(u messages.Usage, list [5]string, percent, batch int64) *big.Rat {
	tokens := [5]int64{u.InputTokens, u.CacheCreation.Ephemeral5m, u.CacheCreation.Ephemeral1h, u.CacheReadInputTokens, u.OutputTokens}
	sum := new(big.Rat)
	for i, n := range tokens {
		p, ok := new(big.Rat).SetString(list[i])
		if !ok {
			panic(list[i])
		}
		sum.Add(sum, p.Mul(p, big.NewRat(n, 1)))
	}
	return sum.Mul(sum, big.NewRat((100+percent)*batch*1000, 100*100)) // nanodollars: 1e9 / 1e6
}

// halfEven rounds a positive number.
func halfEven(r *big.Rat) int64 {
	q, rem := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	switch c := rem.Lsh(rem, 1).Cmp(r.Denom()); {
	case c > 0, c == 0 && q.Bit(0) == 1:
		q.Add(q, big.NewInt(1))
	}
	return q.Int64()
}

func usage(in, w5, w1, read, out int64) messages.Usage {
	return messages.Usage{
		InputTokens: in, CacheCreationInputTokens: w5 + w1, CacheReadInputTokens: read, OutputTokens: out,
		CacheCreation: messages.CacheCreation{Ephemeral5m: w5, Ephemeral1h: w1},
	}
}

func TestCostOfEveryPriceRow(t *testing.T) {
	c := loaded(t)
	rows := map[string]int{}
	for _, tt := range priceList {
		m, ok := c.Lookup(tt.model)
		if !ok {
			t.Fatalf("no model %s", tt.model)
		}
		rows[m.ID]++
		now := today
		if tt.day != "" {
			now = on(tt.day)
		}
		for _, e := range []Endpoint{Global, Geo, InRegion} {
			premium := tt.premium
			if e == Global {
				premium = 0
			}
			price := m.PriceAt(now, e)
			if price.LongOver != tt.over {
				t.Errorf("%s: long prompts begin at %d, want %d", tt.model, price.LongOver, tt.over)
			}
			batch, ok := price.Batch()
			if ok != tt.batch {
				t.Errorf("%s: batch %v", tt.model, ok)
			}
			for _, n := range []int64{0, 1, 3, 7, 999, 33_333, tt.over / 4, tt.over/4 + 1, 250_001} {
				u := usage(n, n, n, n, n+1)
				list := tt.short
				if tt.over > 0 && 4*n > tt.over {
					list = tt.long
				}
				if got, want := Cost(u, price), halfEven(exactCost(u, list, premium, 100)); int64(got) != want {
					t.Errorf("%s %s %d tokens each: %d, want %d", tt.model, e, n, got, want)
				}
				if got, want := Cost(u, batch), halfEven(exactCost(u, list, premium, 50)); ok && int64(got) != want {
					t.Errorf("%s %s batch %d tokens each: %d, want %d", tt.model, e, n, got, want)
				}
			}
		}
	}
	for _, m := range c.Models() {
		if rows[m.ID] != len(m.PriceRows) {
			t.Errorf("%s: %d price rows, %d tested", m.ID, len(m.PriceRows), rows[m.ID])
		}
	}
}

// Figures that a reader can check by hand.
func TestCost(t *testing.T) {
	c := loaded(t)
	price := func(model string, e Endpoint) Price {
		m, ok := c.Lookup(model)
		if !ok {
			t.Fatal(model)
		}
		return m.PriceAt(today, e)
	}
	tests := []struct {
		name  string
		u     messages.Usage
		price Price
		usd   string
	}{
		{"the page's Hello, world: 10 in, 12 out", usage(10, 0, 0, 0, 12), price("claude-opus-4-6", Global), "0.00035"},
		{"the same in a Region", usage(10, 0, 0, 0, 12), price("claude-opus-4-6", Geo), "0.000385"},
		{"nothing", usage(0, 0, 0, 0, 0), price("claude-opus-4-6", Geo), "0.00"},
		{"one cached token of the cheapest model", usage(0, 0, 0, 1, 0), price("claude-haiku-5-5", Global), "0.00000001"},
		{"the last short prompt", usage(50_000, 25_000, 0, 25_000, 1000), price("claude-haiku-5-5", Global), "0.008875"},
		{"one token more", usage(50_001, 25_000, 0, 25_000, 1000), price("claude-haiku-5-5", Global), "0.0443755"},
		{"writes that nobody split are for five minutes", messages.Usage{CacheCreationInputTokens: 1_000_000}, price("claude-opus-4-5", Global), "6.25"},
		{"writes that are split in part", messages.Usage{CacheCreationInputTokens: 1_000_000, CacheCreation: messages.CacheCreation{Ephemeral1h: 400_000}}, price("claude-opus-4-5", Global), "7.75"},
		{"an hour where there is none", usage(0, 0, 1_000_000, 0, 0), price("claude-opus-4-1", Global), "18.75"},
		{"a faulty count", usage(-5, 0, 0, 0, 1), price("claude-opus-4-5", Global), "0.000025"},
	}
	for _, tt := range tests {
		if got := Cost(tt.u, tt.price).USD(); got != tt.usd {
			t.Errorf("%s: $%s, want $%s", tt.name, got, tt.usd)
		}
	}
}

// Half a nanodollar goes to the even neighbour, once for a whole record.
func TestCostRoundsHalfEven(t *testing.T) {
	half := Price{Rates: Rates{Input: 500_000, Output: 500_000}} // half a nanodollar a token
	for tokens, want := range map[int64]Nanodollars{1: 0, 2: 1, 3: 2, 5: 2, 7: 4} {
		if got := Cost(usage(tokens, 0, 0, 0, 0), half); got != want {
			t.Errorf("%d half nanodollars: %d, want %d", tokens, got, want)
		}
	}
	if got := Cost(usage(1, 0, 0, 0, 1), half); got != 1 {
		t.Errorf("two halves: %d, want 1: they are rounded together", got)
	}
	if got := Cost(usage(math.MaxInt64, 0, 0, 0, math.MaxInt64), Price{Rates: Rates{Input: math.MaxInt64, Output: math.MaxInt64}}); got != math.MaxInt64 {
		t.Errorf("too much: %d", got)
	}
}

// A sum of many small records is exact: at list prices a token costs whole
// nanodollars, so records add up to the cost of all their tokens; at any price
// each is within half a nanodollar.
func TestManySmallRecordsAddUp(t *testing.T) {
	c := loaded(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, m := range c.Models() {
		for _, e := range []Endpoint{Global, Geo} {
			p := m.PriceAt(today, e)
			listed := e == Global
			if batch, ok := p.Batch(); ok && rng.IntN(2) == 0 {
				p, listed = batch, false
			}
			p.LongOver = 0
			var sum Nanodollars
			var all messages.Usage
			const records = 2000
			for range records {
				u := usage(rng.Int64N(50), rng.Int64N(5), 0, rng.Int64N(20), rng.Int64N(9))
				sum += Cost(u, p)
				all.InputTokens += u.InputTokens
				all.CacheCreationInputTokens += u.CacheCreationInputTokens
				all.CacheReadInputTokens += u.CacheReadInputTokens
				all.OutputTokens += u.OutputTokens
			}
			whole := true
			for _, r := range p.each() {
				whole = whole && r%1_000_000 == 0
			}
			diff := sum - Cost(all, p)
			if whole && diff != 0 || diff > records/2 || -diff > records/2 {
				t.Errorf("%s %s: off by %d nanodollars", m.ID, e, diff)
			}
			if listed && !whole {
				t.Errorf("%s: list prices are not whole nanodollars a token: %v", m.ID, p.each())
			}
		}
	}
}

// A million small calls, of every model, kind of endpoint, tier and day: each
// costs what exact arithmetic over its five products gives, rounded once.
func TestMillionSmallCalls(t *testing.T) {
	calls := 1_000_000
	if testing.Short() {
		calls = 20_000
	}
	c := loaded(t)
	var prices []Price
	for _, m := range c.Models() {
		for _, row := range m.PriceRows {
			for _, p := range []Price{row.Global, row.Geo, row.InRegion} {
				prices = append(prices, p)
				if batch, ok := p.Batch(); ok {
					prices = append(prices, batch)
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(11, 22))
	million, twice := big.NewInt(1_000_000), big.NewInt(2)
	total, exact, product, want, rem := new(big.Int), new(big.Int), new(big.Int), new(big.Int), new(big.Int)
	for i := range calls {
		p := prices[rng.IntN(len(prices))]
		u := usage(rng.Int64N(2000), rng.Int64N(300), rng.Int64N(300), rng.Int64N(3000), rng.Int64N(800))
		if i%50 == 0 {
			u.InputTokens += 100_000 * rng.Int64N(4) // the long tier
		}
		rates := p.Rates
		if prompt := u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens; p.LongOver > 0 && prompt > p.LongOver {
			rates = p.Long
		}
		if rates.CacheWrite1h == 0 {
			rates.CacheWrite1h = rates.CacheWrite5m
		}
		want.SetInt64(0)
		for _, part := range [][2]int64{{u.InputTokens, int64(rates.Input)}, {u.CacheCreation.Ephemeral5m, int64(rates.CacheWrite5m)},
			{u.CacheCreation.Ephemeral1h, int64(rates.CacheWrite1h)}, {u.CacheReadInputTokens, int64(rates.CacheRead)}, {u.OutputTokens, int64(rates.Output)}} {
			product.SetInt64(part[0])
			want.Add(want, product.Mul(product, rem.SetInt64(part[1])))
		}
		exact.Add(exact, want)
		want.QuoRem(want, million, rem)
		if c := rem.Mul(rem, twice).Cmp(million); c > 0 || c == 0 && want.Bit(0) == 1 {
			want.Add(want, big.NewInt(1))
		}
		got := Cost(u, p)
		if !want.IsInt64() || int64(got) != want.Int64() {
			t.Fatalf("call %d: %d, want %s: %+v at %+v", i, got, want, u, p)
		}
		total.Add(total, want)
	}
	// Each rounding is at most half a nanodollar off, and half to even leans to
	// no side: the sum stays within four standard deviations of a uniform error.
	off := new(big.Int).Sub(exact, total.Mul(total, million))
	bound := int64(4 * 0.2887 * math.Sqrt(float64(calls)) * 1e6)
	if off.CmpAbs(big.NewInt(bound)) > 0 {
		t.Errorf("%d calls are %s millionths of a nanodollar off, more than %d", calls, off, bound)
	}
}

func TestUSD(t *testing.T) {
	for n, want := range map[Nanodollars]string{
		0: "0.00", 1: "0.000000001", 10: "0.00000001", 1_000_000_000: "1.00", 1_500_000_000: "1.50",
		-1: "-0.000000001", 123_456_789_012: "123.456789012", math.MaxInt64: "9223372036.854775807", math.MinInt64: "-9223372036.854775808",
	} {
		if got := n.USD(); got != want {
			t.Errorf("%d: %s, want %s", int64(n), got, want)
		}
	}
}

func TestCostAllocates(t *testing.T) {
	p := Price{Rates: Rates{1e9, 2e9, 3e9, 4e9, 5e9}}
	if n := testing.AllocsPerRun(100, func() { Cost(usage(1, 2, 3, 4, 5), p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleCost() {
	price := Price{Rates: Rates{Input: 5_000_000_000, Output: 25_000_000_000}}
	fmt.Println(Cost(messages.Usage{InputTokens: 10, OutputTokens: 12}, price).USD())
	// Output: 0.00035
}
