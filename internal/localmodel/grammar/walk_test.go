package grammar

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// walker writes random strings that a grammar admits.
type walker struct {
	g     *Grammar
	rnd   *rand.Rand
	short []int // the length of the shortest string of each rule
	out   []byte
	left  int // characters until only the shortest way on is taken
}

func newWalker(g *Grammar, rnd *rand.Rand) *walker {
	w := &walker{g: g, rnd: rnd, short: make([]int, len(g.rules))}
	for i := range w.short {
		w.short[i] = math.MaxInt32
	}
	for changed := true; changed; {
		changed = false
		for i := len(g.rules) - 1; i >= 0; i-- {
			if n := w.length(g.rules[i].body); n < w.short[i] {
				w.short[i], changed = n, true
			}
		}
	}
	return w
}

func (w *walker) length(e Expr) int {
	n := 0
	switch e := e.(type) {
	case Text:
		n = len(e)
	case Class:
		n = 1
	case Ref:
		n = w.short[e]
	case Seq:
		for _, part := range e {
			n = min(n+w.length(part), math.MaxInt32)
		}
	case Alt:
		n = math.MaxInt32
		for _, part := range e {
			n = min(n, w.length(part))
		}
	case Repeat:
		if e.Min > 0 {
			n = min(e.Min*w.length(e.Of), math.MaxInt32)
		}
	}
	return n
}

func (w *walker) string(length int) string {
	w.out, w.left = nil, length
	w.write(Ref(0))
	return string(w.out)
}

func (w *walker) write(e Expr) {
	tight := len(w.out) > w.left
	switch e := e.(type) {
	case Text:
		w.out = append(w.out, e...)
	case Class:
		r := e[w.rnd.IntN(len(e))]
		switch w.rnd.IntN(4) {
		case 0:
			w.out = append(w.out, string(r.Lo)...)
		case 1:
			w.out = append(w.out, string(r.Hi)...)
		default:
			w.out = append(w.out, string(r.Lo+rune(w.rnd.IntN(int(min(r.Hi-r.Lo, 100))+1)))...)
		}
	case Ref:
		w.write(w.g.rules[e].body)
	case Seq:
		for _, part := range e {
			w.write(part)
		}
	case Alt:
		pick := e[w.rnd.IntN(len(e))]
		if tight {
			for _, part := range e {
				if w.length(part) < w.length(pick) {
					pick = part
				}
			}
		}
		w.write(pick)
	case Repeat:
		n := e.Min
		if !tight {
			n += w.rnd.IntN(6)
			if w.rnd.IntN(8) == 0 && e.Max >= 0 {
				n = e.Max
			}
		}
		if e.Max >= 0 {
			n = min(n, e.Max)
		}
		for i := range n {
			if i >= e.Min && len(w.out) > w.left {
				break
			}
			w.write(e.Of)
		}
	}
}

// admits tells whether a grammar admits s.
func admits(g *Grammar, s string) bool {
	memo := map[[2]int][]int{}
	var ends func(e Expr, at int) []int
	each := func(starts []int, e Expr) (out []int) {
		seen := map[int]bool{}
		for _, at := range starts {
			for _, end := range ends(e, at) {
				if !seen[end] {
					seen[end] = true
					out = append(out, end)
				}
			}
		}
		return out
	}
	ends = func(e Expr, at int) []int {
		switch e := e.(type) {
		case Text:
			if strings.HasPrefix(s[at:], string(e)) {
				return []int{at + len(e)}
			}
		case Class:
			for i, c := range s[at:] {
				if i > 0 {
					break
				}
				for _, r := range e {
					if r.Lo <= c && c <= r.Hi {
						return []int{at + len(string(c))}
					}
				}
			}
		case Ref:
			key := [2]int{int(e), at}
			if out, ok := memo[key]; ok {
				return out
			}
			out := ends(g.rules[e].body, at)
			memo[key] = out
			return out
		case Seq:
			out := []int{at}
			for _, part := range e {
				out = each(out, part)
			}
			return out
		case Alt:
			var out []int
			for _, part := range e {
				out = append(out, ends(part, at)...)
			}
			return out
		case Repeat:
			seen := map[int]bool{}
			var out []int
			front := []int{at}
			for n := 0; len(front) > 0 && (e.Max < 0 || n <= e.Max); n++ {
				var next []int
				for _, f := range front {
					if n >= e.Min {
						if seen[f] {
							continue
						}
						seen[f] = true
						out = append(out, f)
					}
					next = append(next, f)
				}
				front = each(next, e.Of)
			}
			return out
		}
		return nil
	}
	for _, end := range ends(Ref(0), 0) {
		if end == len(s) {
			return true
		}
	}
	return false
}

// validator is the judge: another's reading of JSON Schema.
func validator(schema string) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) { return regexp.Compile(modern(s)) })
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("schema.json")
}

// walk holds n random strings of g against the schema.
func walk(g *Grammar, judge *jsonschema.Schema, seed uint64, n int) error {
	w := newWalker(g, rand.New(rand.NewPCG(seed, 1)))
	for i := range n {
		s := w.string(i * 3)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(s))
		if err != nil || !json.Valid([]byte(s)) || strings.Contains(s, "\n") {
			return fmt.Errorf("%s\nis no JSON in one line: %v\n%s", s, err, g)
		}
		if err := judge.Validate(v); err != nil {
			return fmt.Errorf("%s\n%w\n%s", s, err, g)
		}
		if i < 10 && len(s) < 200 && !admits(g, s) {
			return fmt.Errorf("the test's own reader does not admit %s\n%s", s, g)
		}
	}
	return nil
}
