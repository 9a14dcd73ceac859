package grammar

import (
	"math/big"
	"strings"
)

// Numbers are written with at most so many digits before the point, and behind
// it as many as their limits have or these: every reader keeps them exact.
const (
	wholeDigits    = 15
	fractionDigits = 6
)

// maxMultiples is how many multiples of an odd number are listed.
const maxMultiples = 1000

var ten = big.NewInt(10)

func power(n int) *big.Int { return new(big.Int).Exp(ten, big.NewInt(int64(n)), nil) }

func (b *Builder) anyNumber() Ref {
	return b.shared("number", func() Expr { return b.anyDigits(fractionDigits) })
}

func (b *Builder) anyInteger() Ref {
	return b.shared("integer", func() Expr { return b.anyDigits(0) })
}

func (b *Builder) anyDigits(scale int) Expr {
	most := new(big.Int).Sub(power(wholeDigits+scale), big.NewInt(1))
	return b.signed(new(big.Int).Neg(most), most, scale)
}

func (b *Builder) digit() Ref {
	return b.shared("digit", func() Expr { return Class{{'0', '9'}} })
}

// bound is a limit of numbers; v nil: none.
type bound struct {
	v    *big.Rat
	open bool
	m    member
}

func (s *schema) bound(inclusive, exclusive string, tighter int) (out bound, err error) {
	for _, key := range []string{inclusive, exclusive} {
		m, ok := s.get(key)
		if !ok {
			continue
		}
		v, err := m.number()
		if err != nil {
			return out, err
		}
		if out.v != nil {
			if d := v.Cmp(out.v) * tighter; d < 0 || d == 0 && out.open {
				continue
			}
		}
		out = bound{v, key == exclusive, m}
	}
	return out, nil
}

func (c *compiler) number(s *schema, whole bool) (Expr, error) {
	low, err := s.bound("minimum", "exclusiveMinimum", 1)
	if err != nil {
		return nil, err
	}
	high, err := s.bound("maximum", "exclusiveMaximum", -1)
	if err != nil {
		return nil, err
	}
	multiple, stepped := s.get("multipleOf")
	if !stepped && low.v == nil && high.v == nil {
		if whole {
			return c.b.anyInteger(), nil
		}
		return c.b.anyNumber(), nil
	}
	// Every number is a whole multiple of unit.
	scale := 0
	unit := big.NewRat(1, 1)
	switch {
	case stepped:
		if unit, err = multiple.number(); err != nil {
			return nil, err
		}
		if unit.Sign() <= 0 {
			return nil, multiple.refuse("it should be above 0")
		}
		if whole {
			unit = new(big.Rat).SetInt(unit.Num()) // in lowest terms, so no smaller whole number is a multiple
		}
		scale = decimals(unit)
	case !whole:
		scale = fractionDigits
		for _, l := range []bound{low, high} {
			if l.v != nil {
				scale = max(scale, decimals(l.v))
			}
		}
		unit.SetFrac(big.NewInt(1), power(scale))
	}
	most := new(big.Int).Quo(new(big.Int).Mul(power(wholeDigits), unit.Denom()), unit.Num())
	most.Sub(most, big.NewInt(1))
	lo, hi := new(big.Int).Neg(most), most
	if low.v != nil {
		if n := multiples(low, unit, 1); n.Cmp(lo) > 0 {
			lo = n
		}
	}
	if high.v != nil {
		if n := multiples(high, unit, -1); n.Cmp(hi) < 0 {
			hi = n
		}
	}
	for _, l := range []bound{low, high} {
		if l.v != nil && (lo.Cmp(most) > 0 || hi.Cmp(new(big.Int).Neg(most)) < 0) {
			return nil, l.m.refuse("numbers of more than %d digits are not supported", wholeDigits)
		}
	}
	if lo.Cmp(hi) > 0 {
		return Alt{}, nil
	}
	zeros := len(unit.Num().String()) - 1
	switch {
	case unit.Num().Cmp(power(zeros)) == 0 && unit.Denom().Cmp(power(scale)) == 0:
		return c.tens(lo, hi, scale, zeros), nil
	case new(big.Int).Sub(hi, lo).Cmp(big.NewInt(maxMultiples)) < 0 && low.v != nil && high.v != nil:
		if err := c.spend(multiple.at, int(new(big.Int).Sub(hi, lo).Int64())); err != nil {
			return nil, err
		}
		var texts []string
		for n := lo; n.Cmp(hi) <= 0; n = new(big.Int).Add(n, big.NewInt(1)) {
			texts = append(texts, new(big.Rat).Mul(new(big.Rat).SetInt(n), unit).FloatString(scale))
		}
		return trie(texts), nil
	default:
		return nil, multiple.refuse("supported for powers of ten, or between limits that leave at most %d values", maxMultiples)
	}
}

// decimals is how many digits behind the point v needs: a JSON number needs no
// more than it has.
func decimals(v *big.Rat) int {
	n := 0
	for ; n < 2*maxExponent; n++ {
		if new(big.Int).Mod(power(n), v.Denom()).Sign() == 0 {
			break
		}
	}
	return n
}

// multiples is the first multiple of unit from a bound on upwards (side 1) or
// downwards (-1), in units.
func multiples(l bound, unit *big.Rat, side int64) *big.Int {
	q := new(big.Rat).Quo(l.v, unit)
	n, exact := new(big.Int), q.IsInt()
	n.Div(q.Num(), q.Denom()) // rounds down
	if side > 0 && !exact {
		n.Add(n, big.NewInt(1))
	}
	if l.open && exact {
		n.Add(n, big.NewInt(side))
	}
	return n
}

// tens writes n / 10^scale * 10^zeros for each n from lo to hi.
func (c *compiler) tens(lo, hi *big.Int, scale, zeros int) Expr {
	if zeros == 0 {
		return c.b.signed(lo, hi, scale)
	}
	var out Alt
	tail := Text(strings.Repeat("0", zeros))
	if lo.Sign() <= 0 && hi.Sign() >= 0 {
		out = append(out, Text("0"))
	}
	if hi.Sign() > 0 {
		out = append(out, Seq{c.b.magnitude(larger(lo, big.NewInt(1)), hi, 0), tail})
	}
	if lo.Sign() < 0 {
		out = append(out, Seq{Text("-"), c.b.magnitude(larger(new(big.Int).Neg(hi), big.NewInt(1)), new(big.Int).Neg(lo), 0), tail})
	}
	return out
}

func larger(a, b *big.Int) *big.Int {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

func (b *Builder) signed(lo, hi *big.Int, scale int) Expr {
	var out Alt
	if hi.Sign() >= 0 {
		out = append(out, b.magnitude(larger(lo, new(big.Int)), hi, scale))
	}
	if lo.Sign() < 0 {
		out = append(out, Seq{Text("-"), b.magnitude(larger(new(big.Int).Neg(hi), big.NewInt(1)), new(big.Int).Neg(lo), scale)})
	}
	return out
}

// magnitude writes n / 10^scale for each n from lo to hi, none below 0. Zeros at
// the end of a fraction may be left out.
func (b *Builder) magnitude(lo, hi *big.Int, scale int) Expr {
	var out Alt
	full := 0 // numbers of digits before the point that may be any digits, up to now
	first := 0
	flush := func() {
		if full > 0 {
			out = append(out, Seq{Class{{'1', '9'}}, Repeat{b.digit(), first - 1, full - 1}, b.fraction(scale)})
		}
		full = 0
	}
	for n := scale + 1; n <= len(hi.String()) || n == scale+1; n++ {
		least := power(n - 1)
		if n == scale+1 {
			least = new(big.Int)
		}
		most := new(big.Int).Sub(power(n), big.NewInt(1))
		from, to := larger(lo, least), most
		if hi.Cmp(most) < 0 {
			to = hi
		}
		switch {
		case from.Cmp(to) > 0:
		case n > scale+1 && from.Cmp(least) == 0 && to.Cmp(most) == 0:
			if full == 0 {
				first = n - scale
			}
			full = n - scale
		default:
			flush()
			d := digits{b, n, scale}
			out = append(out, d.between(pad(from, n), pad(to, n), 0))
		}
	}
	flush()
	return out
}

func pad(v *big.Int, n int) string {
	s := v.String()
	return strings.Repeat("0", max(n-len(s), 0)) + s
}

// fraction is a point and up to scale digits, or nothing.
func (b *Builder) fraction(scale int) Expr {
	if scale == 0 {
		return empty
	}
	return Optional(Seq{Text("."), Repeat{b.digit(), 1, scale}})
}

// digits writes numbers of n digits, scale of them behind the point.
type digits struct {
	b        *Builder
	n, scale int
}

// between writes the digits from the i-th on. A limit that no longer binds is "".
func (d digits) between(lo, hi string, i int) Expr {
	if lo != "" && strings.Trim(lo[i:], "0") == "" {
		lo = ""
	}
	if hi != "" && strings.Trim(hi[i:], "9") == "" {
		hi = ""
	}
	point := d.n - d.scale
	switch {
	case i == d.n:
		return empty
	case lo == "" && hi == "" && i > point:
		return Repeat{d.b.digit(), 0, d.n - i}
	case lo == "" && hi == "":
		return Seq{Repeat{d.b.digit(), point - i, point - i}, d.b.fraction(d.scale)}
	}
	a, z := byte('0'), byte('9')
	if lo != "" {
		a = lo[i]
	}
	if hi != "" {
		z = hi[i]
	}
	var out Alt
	if lo != "" && hi != "" && a == z {
		out = append(out, Seq{Text(rune(a)), d.between(lo, hi, i+1)})
	} else {
		if lo != "" {
			out = append(out, Seq{Text(rune(a)), d.between(lo, "", i+1)})
			a++
		}
		if hi != "" {
			out = append(out, Seq{Text(rune(z)), d.between("", hi, i+1)})
			z--
		}
		if a <= z {
			out = append(out, Seq{Class{{rune(a), rune(z)}}, d.between("", "", i+1)})
		}
	}
	switch {
	case i < point:
		return out
	case i > point && lo == "":
		return Optional(out)
	case i > point:
		return out
	case lo == "":
		return Optional(Seq{Text("."), out})
	default:
		return Seq{Text("."), out}
	}
}
