package grammar

import (
	"fmt"
	"slices"
	"strconv"
)

// Expr is a part of a rule: Text, Class, Ref, Seq, Alt or Repeat.
type Expr interface{ expr() }

type (
	// Text is a run of characters.
	Text string
	// Class is one character of any of its ranges.
	Class []Range
	// Ref is a rule.
	Ref int
	// Seq is one part after the other.
	Seq []Expr
	// Alt is one of its parts. Without parts it admits nothing at all.
	Alt []Expr
	// Repeat is a part Min to Max times; Max below 0 is no limit.
	Repeat struct {
		Of       Expr
		Min, Max int
	}
)

// Range is from a first to a last character, both in it.
type Range struct{ Lo, Hi rune }

func (Text) expr()   {}
func (Class) expr()  {}
func (Ref) expr()    {}
func (Seq) expr()    {}
func (Alt) expr()    {}
func (Repeat) expr() {}

// empty is the empty string.
var empty = Text("")

// Optional is e or nothing.
func Optional(e Expr) Expr { return Repeat{e, 0, 1} }

// maxRepeat is llama.cpp's: beyond it a lower limit is an error and an upper one
// is no limit (MAX_REPETITION_THRESHOLD, src/llama-grammar.cpp).
const maxRepeat = 2000

// What a request may cost: elements after repetitions are written out, and the
// ways into a rule, which is the number of stacks that each token is held
// against and what llama.cpp's search for left recursion walks.
const (
	maxElements = 200_000
	maxWays     = 1_000
)

type rule struct {
	name string
	at   string // the pointer of the schema it was made for
	body Expr
}

// Builder collects rules.
type Builder struct {
	rules []rule
	names map[string]int
	memo  map[string]Ref
}

// NewBuilder has no rules yet.
func NewBuilder() *Builder {
	return &Builder{names: map[string]int{}, memo: map[string]Ref{}}
}

// declare makes a rule whose body comes later.
func (b *Builder) declare(name, at string) Ref {
	n := b.names[name]
	b.names[name] = n + 1
	if n > 0 {
		name += "-" + strconv.Itoa(n)
	}
	b.rules = append(b.rules, rule{name: name, at: at})
	return Ref(len(b.rules) - 1)
}

func (b *Builder) define(r Ref, e Expr) { b.rules[r].body = e }

// rule names an expression.
func (b *Builder) rule(name, at string, e Expr) Ref {
	r := b.declare(name, at)
	b.define(r, e)
	return r
}

// shared makes the rule of this name on first use.
func (b *Builder) shared(name string, make func() Expr) Ref {
	if r, ok := b.memo[name]; ok {
		return r
	}
	r := b.declare(name, "")
	b.memo[name] = r
	b.define(r, make())
	return r
}

// Grammar is a whole grammar; rule 0 is its root.
type Grammar struct{ rules []rule }

// Grammar gives the grammar of e. Alternatives that can't be finished are cut
// off, since a model in one of them could write nothing more.
func (b *Builder) Grammar(e Expr) (*Grammar, error) {
	g := &Grammar{rules: append([]rule{{name: "root", body: e}}, slices.Clone(b.rules)...)}
	for i := range g.rules {
		g.rules[i].body = shift(g.rules[i].body)
	}
	if !g.prune() {
		return nil, &Unsupported{"", "no value fits it"}
	}
	g.sweep()
	if at, ok := g.leftRecursion(); ok {
		return nil, &Unsupported{at, "it refers to itself without anything between"}
	}
	if ways, at := g.ways(); ways > maxWays {
		return nil, &Unsupported{at, fmt.Sprintf("it begins in more than %d ways", maxWays)}
	}
	if n := g.elements(); n > maxElements {
		return nil, &Unsupported{"", fmt.Sprintf("the whole schema needs %d elements of a grammar, more than %d", n, maxElements)}
	}
	return g, nil
}

// shift makes room for the root in front.
func shift(e Expr) Expr {
	return mapRefs(e, func(r Ref) Ref { return r + 1 })
}

func mapRefs(e Expr, f func(Ref) Ref) Expr {
	all := func(es []Expr) []Expr {
		out := make([]Expr, len(es))
		for i := range es {
			out[i] = mapRefs(es[i], f)
		}
		return out
	}
	switch e := e.(type) {
	case Ref:
		return f(e)
	case Seq:
		return Seq(all(e))
	case Alt:
		return Alt(all(e))
	case Repeat:
		return Repeat{mapRefs(e.Of, f), e.Min, e.Max}
	case Text, Class:
		return e
	default:
		panic(fmt.Sprintf("unknown expression %T", e)) // Expr is sealed
	}
}
