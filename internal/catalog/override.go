package catalog

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Override is a price of the operator's own: what the account has agreed with
// AWS. A member that is empty means every one; the last entry that fits a rate
// holds, and a discount is always of the list price.
type Override struct {
	Model    string `json:"model"`    // any id that the catalog knows
	Endpoint string `json:"endpoint"` // global, geographic, in-Region
	Class    string `json:"class"`    // of tokens: see Classes
	Prompt   string `json:"prompt"`   // short, long: the tier of models that have a second one
	From     string `json:"from"`     // the first day
	Until    string `json:"until"`    // the day that ends it
	USD      Amount `json:"usd"`      // a million tokens; or
	Discount Amount `json:"discount_percent"`
}

// Amount is a decimal number, as it was written.
type Amount string

// UnmarshalJSON reads a number, or a number in quotes.
func (a *Amount) UnmarshalJSON(b []byte) error {
	*a = Amount(strings.Trim(string(b), `"`))
	_, err := a.rat()
	return err
}

func (a Amount) rat() (*big.Rat, error) {
	// An exponent may ask for gigabytes of digits: the float tells first.
	f, err := strconv.ParseFloat(string(a), 64)
	if err != nil || strings.Trim(string(a), "0123456789.eE+-") != "" || math.Abs(f) > 1e12 || len(a) > 40 {
		return nil, fmt.Errorf("%q is no number of dollars or percent", string(a))
	}
	if math.Abs(f) < 1e-12 {
		return new(big.Rat), nil
	}
	r, ok := new(big.Rat).SetString(string(a))
	if !ok {
		return nil, fmt.Errorf("%q is no number", string(a))
	}
	return r, nil
}

// Classes of tokens that have a price of their own, in the order of Rates.
func Classes() []string {
	return []string{"input", "cache_write_5m", "cache_write_1h", "cache_read", "output"}
}

// Own says which rates are the operator's: a bit for each class, those of the
// short prompts first.
type Own uint16

func ownBit(class int, long bool) Own {
	if long {
		class += len(Classes())
	}
	return 1 << class
}

// Has says whether the rate of a class, by its place in Classes, is the operator's.
func (o Own) Has(class int, long bool) bool { return o&ownBit(class, long) != 0 }

// grid is what rates are multiples of, in nanodollars a million tokens: half of
// one, for a batch, and a tenth more, in a Region, stay exact.
const grid = 100

// scope is what an Override fits.
type scope struct {
	endpoints []Endpoint
	classes   []int
	tiers     []bool // long
	from      time.Time
	until     time.Time // zero: it stands
}

func (o *Override) scope() (s scope, err error) {
	s = scope{endpoints: []Endpoint{Global, Geo, InRegion}, classes: []int{0, 1, 2, 3, 4}, tiers: []bool{false, true}}
	for _, d := range []struct {
		text string
		to   *time.Time
	}{{o.From, &s.from}, {o.Until, &s.until}} {
		if d.text == "" {
			continue
		}
		if *d.to, err = time.Parse(time.DateOnly, d.text); err != nil {
			return s, fmt.Errorf("%q is no day such as 2026-11-22", d.text)
		}
	}
	if !s.until.IsZero() && !s.from.Before(s.until) {
		return s, fmt.Errorf("until %s is not after from %s", o.Until, o.From)
	}
	if o.Endpoint != "" {
		i := slices.IndexFunc(s.endpoints, func(e Endpoint) bool { return e.String() == o.Endpoint })
		if i < 0 {
			return s, fmt.Errorf("endpoint %q: want global, geographic or in-Region", o.Endpoint)
		}
		s.endpoints = s.endpoints[i : i+1]
	}
	if o.Class != "" {
		i := slices.Index(Classes(), o.Class)
		if i < 0 {
			return s, fmt.Errorf("class %q: want one of %s", o.Class, strings.Join(Classes(), ", "))
		}
		s.classes = []int{i}
	}
	switch o.Prompt {
	case "":
	case "short":
		s.tiers = s.tiers[:1]
	case "long":
		s.tiers = s.tiers[1:]
	default:
		return s, fmt.Errorf("prompt %q: want short or long", o.Prompt)
	}
	return s, nil
}

// split puts a border between the rows that hold before a day and those that hold
// from it on.
func split(rows []PriceRow, at time.Time) []PriceRow {
	if at.IsZero() {
		return rows
	}
	for i, row := range rows {
		if row.Until.Equal(at) {
			break
		}
		if row.Until.IsZero() || at.Before(row.Until) {
			row.Until = at
			return slices.Insert(rows, i, row)
		}
	}
	return rows
}

// holds says whether a row, which begins at start, is in the time of the scope.
func (s *scope) holds(row PriceRow, start time.Time) bool {
	return !start.Before(s.from) && (s.until.IsZero() || !row.Until.IsZero() && !row.Until.After(s.until))
}

// rate is what becomes of a list price.
func (o *Override) rate(list Nanodollars) (Nanodollars, error) {
	if o.USD != "" {
		r, err := o.USD.rat()
		if err != nil {
			return 0, err
		}
		r.Mul(r, big.NewRat(1e9/grid, 1))
		if !r.IsInt() || r.Sign() <= 0 || !r.Num().IsInt64() || r.Num().Int64() > 1e16 {
			return 0, fmt.Errorf("usd %s: want more than 0, with no more than seven decimals; discount_percent: 100 makes a class free", o.USD)
		}
		return Nanodollars(r.Num().Int64() * grid), nil
	}
	r, err := o.Discount.rat()
	if err != nil {
		return 0, err
	}
	if r.Sign() <= 0 || r.Cmp(big.NewRat(100, 1)) > 0 {
		return 0, fmt.Errorf("discount_percent %s: want more than 0, and no more than 100", o.Discount)
	}
	r.Sub(big.NewRat(100, 1), r)
	r.Mul(r, big.NewRat(int64(list), 100*grid))
	// Half to even, once.
	q, rem := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	if c := rem.Lsh(rem, 1).Cmp(r.Denom()); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	return Nanodollars(q.Int64() * grid), nil
}

func (r *Rates) at(class int) *Nanodollars {
	return [...]*Nanodollars{&r.Input, &r.CacheWrite5m, &r.CacheWrite1h, &r.CacheRead, &r.Output}[class]
}

// override puts the operator's prices in the place of the list's.
func (c *Catalog) override(own []Override) error {
	list := map[*Model][]PriceRow{}
	for i := range own {
		if err := c.overrideOne(&own[i], list); err != nil {
			return fmt.Errorf("prices[%d]: %w", i, err)
		}
	}
	for m := range list {
		m.borders = m.findBorders()
		for _, row := range m.PriceRows {
			for _, p := range []Price{row.Global, row.Geo, row.InRegion} {
				if p.CacheWrite1h == 0 && p.CacheWrite5m != 0 && p.Own.Has(2, false) || p.Long.CacheWrite1h == 0 && p.Long.CacheWrite5m != 0 && p.Own.Has(2, true) {
					return fmt.Errorf("prices: %s: a cache write of an hour cannot be free where one of five minutes is not", m.ID)
				}
			}
		}
	}
	return nil
}

// overrideOne needs what was published, and keeps it in list.
func (c *Catalog) overrideOne(o *Override, list map[*Model][]PriceRow) error {
	if (o.USD == "") == (o.Discount == "") {
		return errors.New("want either usd or discount_percent")
	}
	if o.USD != "" && o.Class == "" {
		return errors.New("usd needs a class: no model asks the same for every one")
	}
	s, err := o.scope()
	if err != nil {
		return err
	}
	models := c.models
	if o.Model != "" {
		m, ok := c.Lookup(o.Model)
		if !ok {
			return fmt.Errorf("model %q: no Claude model on Amazon Bedrock has this id", o.Model)
		}
		models = []*Model{m}
	}
	fits := false
	for _, m := range models {
		if list[m] == nil {
			list[m] = slices.Clone(m.PriceRows)
		}
		for _, border := range []time.Time{s.from, s.until} {
			m.PriceRows, list[m] = split(m.PriceRows, border), split(list[m], border)
		}
		var start time.Time
		for i := range m.PriceRows {
			began := start
			if start = m.PriceRows[i].Until; !s.holds(m.PriceRows[i], began) {
				continue
			}
			for _, e := range s.endpoints {
				p, was := m.PriceRows[i].at(e), list[m][i].at(e)
				for _, long := range s.tiers {
					if long && was.LongOver == 0 {
						continue
					}
					fits = true
					to, from := &p.Rates, &was.Rates
					if long {
						to, from = &p.Long, &was.Long
					}
					for _, class := range s.classes {
						if *from.at(class) == 0 && o.USD == "" {
							continue // not offered
						}
						if *to.at(class), err = o.rate(*from.at(class)); err != nil {
							return err
						}
						p.Own |= ownBit(class, long)
					}
				}
			}
		}
	}
	if !fits {
		return fmt.Errorf("prompt %q: the model has one price for all prompts then", o.Prompt)
	}
	return nil
}

func (r *PriceRow) at(e Endpoint) *Price {
	switch e {
	case Global:
		return &r.Global
	case Geo:
		return &r.Geo
	default: // InRegion: the dearest of the list
		return &r.InRegion
	}
}
