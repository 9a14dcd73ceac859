package grammar

import (
	"math"
	"regexp/syntax"
	"slices"
	"strings"
)

// unescaped are the characters that stand in a JSON string as they are. No
// surrogates: half of one is no text.
var unescaped = Class{{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0xD7FF}, {0xE000, 0x10FFFF}}

// char is one character of any string. \u is left out: the only characters that
// need it are controls, and it could write half a surrogate.
func (b *Builder) char() Ref {
	return b.shared("char", func() Expr {
		return Alt{unescaped, Seq{Text(`\`), Class{{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}}}}
	})
}

func (b *Builder) anyString() Ref {
	return b.shared("string", func() Expr { return Seq{Text(`"`), Repeat{b.char(), 0, -1}, Text(`"`)} })
}

func (c *compiler) text(s *schema) (Expr, error) {
	low, high, err := s.limits("minLength", "maxLength")
	if err != nil {
		return nil, err
	}
	m, ok := s.get("pattern")
	var pattern string
	if ok {
		if err := m.decode(&pattern, "a string"); err != nil {
			return nil, err
		}
		if err := checkPattern(pattern); err != nil {
			return nil, m.refuse("%v", err)
		}
	}
	if f, has := s.get("format"); has {
		var name string
		if err := f.decode(&name, "a string"); err != nil {
			return nil, err
		}
		// An unknown format asserts nothing.
		if p, known := formats[name]; known && ok {
			return nil, f.refuse("not supported beside a pattern")
		} else if known && low == 0 && high < 0 {
			return c.b.shared("format-"+name, func() Expr {
				e, _ := c.pattern(f, p, 0, -1) // the formats are in this package
				return Seq{Text(`"`), e, Text(`"`)}
			}), nil
		} else if known {
			m, ok, pattern = f, true, p
		}
	}
	switch {
	case high >= 0 && low > high:
		return Alt{}, nil
	case ok:
		e, err := c.pattern(m, pattern, low, high)
		if err != nil {
			return nil, err
		}
		return Seq{Text(`"`), e, Text(`"`)}, nil
	case low == 0 && high < 0:
		return c.b.anyString(), nil
	default:
		return Seq{Text(`"`), Repeat{c.b.char(), low, high}, Text(`"`)}, nil
	}
}

// pattern writes the strings that a regular expression fits from end to end,
// which fit it wherever it may be looked for. Each state of its automaton is a
// rule, once for each length that still matters.
func (c *compiler) pattern(m member, pattern string, low, high int) (Expr, error) {
	re, err := syntax.Parse(modern(pattern), syntax.Perl)
	if err != nil {
		return nil, m.refuse("not a regular expression that is supported: %v", err)
	}
	re = re.Simplify()
	prog, err := syntax.Compile(re)
	if err != nil {
		return nil, m.refuse("not a regular expression that is supported: %v", err)
	}
	shortest, longest := lengths(re)
	if shortest >= low {
		low = 0
	}
	if longest <= high {
		high = -1
	}
	if high >= 0 {
		high = min(high, max(low, shortest, maxStates/len(prog.Inst)))
	}
	most := max(low, high, 1)
	if len(prog.Inst)*(most+1) > 2*maxStates+len(prog.Inst) {
		return nil, m.refuse("too long together with its limits")
	}
	a := automaton{c, prog, low, high, most, m, map[[2]int]Ref{}, nil}
	return a.from(prog.Start, 0), a.err
}

// maxStates is what an automaton that counts may come to. Strings are cut
// shorter than the schema allows before they take more.
const maxStates = 10_000

// lengths of what re fits, in characters.
func lengths(re *syntax.Regexp) (shortest, longest int) {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune), len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1, 1
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText:
		return 0, 0
	case syntax.OpCapture:
		return lengths(re.Sub[0])
	case syntax.OpQuest:
		_, longest = lengths(re.Sub[0])
		return 0, longest
	case syntax.OpPlus:
		shortest, _ = lengths(re.Sub[0])
		return shortest, math.MaxInt32
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			s, l := lengths(sub)
			shortest, longest = shortest+s, min(longest+l, math.MaxInt32)
		}
		return shortest, longest
	case syntax.OpAlternate:
		shortest = math.MaxInt32
		for _, sub := range re.Sub {
			s, l := lengths(sub)
			shortest, longest = min(shortest, s), max(longest, l)
		}
		return shortest, longest
	default:
		return 0, math.MaxInt32
	}
}

type automaton struct {
	c               *compiler
	prog            *syntax.Prog
	low, high, most int
	m               member
	memo            map[[2]int]Ref
	err             error
}

// from is what may follow in state pc after n characters.
func (a *automaton) from(pc, n int) Expr {
	if a.err != nil {
		return empty
	}
	n = min(n, a.most)
	key := [2]int{pc, n}
	if r, ok := a.memo[key]; ok {
		return r
	}
	r := a.c.b.declare("state", a.m.at)
	a.memo[key] = r
	var out Alt
	seen := map[[2]int]bool{}
	var visit func(pc int, ended bool)
	visit = func(pc int, ended bool) {
		e := 0
		if ended {
			e = 1
		}
		if seen[[2]int{pc, e}] {
			return
		}
		seen[[2]int{pc, e}] = true
		switch i := &a.prog.Inst[pc]; i.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			visit(int(i.Out), ended)
			visit(int(i.Arg), ended)
		case syntax.InstCapture, syntax.InstNop:
			visit(int(i.Out), ended)
		case syntax.InstEmptyWidth:
			switch syntax.EmptyOp(i.Arg) {
			case syntax.EmptyBeginText:
				if n == 0 {
					visit(int(i.Out), ended)
				}
			case syntax.EmptyEndText:
				visit(int(i.Out), true)
			default:
				a.err = a.m.refuse("a word boundary is not supported")
			}
		case syntax.InstMatch:
			if n >= a.low {
				out = append(out, empty)
			}
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if err := a.c.spend(a.m.at, 1+len(i.Rune)/8); err != nil {
				a.err = err
				return
			}
			if one := class(i); one != nil && !ended && (a.high < 0 || n < a.high) {
				out = append(out, Seq{one, a.from(int(i.Out), n+1)})
			}
		case syntax.InstFail:
		default:
			a.err = a.m.refuse("not a regular expression that is supported")
		}
	}
	visit(pc, false)
	a.c.b.define(r, out)
	return r
}

// spaces are the characters beyond ASCII on which regular expressions disagree:
// \S and the dot let some of them through that ECMA 262 does not.
var spaces = []rune{0x85, 0xA0, 0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200A,
	0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF}

// class is how a JSON string writes one character of an instruction; nil: it
// cannot.
func class(i *syntax.Inst) Expr {
	var ranges Class
	switch i.Op {
	case syntax.InstRuneAny:
		ranges = Class{{0, 0x10FFFF}}
	case syntax.InstRuneAnyNotNL:
		ranges = Class{{0, '\n' - 1}, {'\n' + 1, 0x10FFFF}}
	default:
		if len(i.Rune) == 1 {
			ranges = Class{{i.Rune[0], i.Rune[0]}}
		}
		for k := 0; k+1 < len(i.Rune); k += 2 {
			ranges = append(ranges, Range{i.Rune[k], i.Rune[k+1]})
		}
	}
	var out Alt
	for _, esc := range []struct {
		c    rune
		text Text
	}{{'"', `\"`}, {'\\', `\\`}, {'\n', `\n`}, {'\t', `\t`}} {
		if slices.ContainsFunc(ranges, func(r Range) bool { return r.Lo <= esc.c && esc.c <= r.Hi }) {
			out = append(out, esc.text)
		}
	}
	plain := ranges.and(unescaped)
	for _, s := range spaces {
		plain = plain.and(Class{{0, s - 1}, {s + 1, 0x10FFFF}})
	}
	if len(plain) > 0 {
		out = append(out, plain)
	}
	switch len(out) {
	case 0:
		return nil
	case 1:
		return out[0]
	default:
		return out
	}
}

func (c Class) and(d Class) Class {
	var out Class
	for _, x := range c {
		for _, y := range d {
			if lo, hi := max(x.Lo, y.Lo), min(x.Hi, y.Hi); lo <= hi {
				out = append(out, Range{lo, hi})
			}
		}
	}
	return out
}

type patternError string

func (e patternError) Error() string { return string(e) }

// checkPattern refuses what Go and ECMA 262 read in two ways. What Go does not
// read at all, syntax.Parse refuses.
func checkPattern(p string) error {
	for i := 0; i < len(p); i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			if strings.IndexByte(`AzQECaG`, p[i]) >= 0 {
				return patternError("\\" + p[i:i+1] + " is not supported")
			}
		case strings.HasPrefix(p[i:], "[:"), strings.HasPrefix(p[i:], "[^]"), strings.HasPrefix(p[i:], "[]"):
			return patternError(p[i:i+2] + " is not supported")
		case strings.HasPrefix(p[i:], "(?") && !strings.HasPrefix(p[i:], "(?:") && !strings.HasPrefix(p[i:], "(?<"):
			return patternError(p[i:min(i+3, len(p))] + " is not supported")
		}
	}
	return nil
}

// modern writes \uXXXX as Go reads it.
func modern(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] == '\\' && i+1 < len(p) {
			if p[i+1] == 'u' && i+6 <= len(p) && strings.Trim(p[i+2:i+6], "0123456789abcdefABCDEF") == "" {
				b.WriteString(`\x{` + p[i+2:i+6] + `}`)
				i += 5
				continue
			}
			b.WriteString(p[i : i+2])
			i++
			continue
		}
		b.WriteByte(p[i])
	}
	return b.String()
}
