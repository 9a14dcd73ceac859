package grammar

import "unicode/utf8"

// prune cuts off what has no finite end and tells whether anything is left.
func (g *Grammar) prune() bool {
	ends := make([]bool, len(g.rules))
	for changed := true; changed; {
		changed = false
		for i := len(g.rules) - 1; i >= 0; i-- { // rules are made before what they refer to
			if !ends[i] {
				_, ends[i] = trim(g.rules[i].body, ends)
				changed = changed || ends[i]
			}
		}
	}
	for i := range g.rules {
		g.rules[i].body, _ = trim(g.rules[i].body, ends)
	}
	return ends[0]
}

// trim leaves of e what can end, given the rules that can.
func trim(e Expr, ends []bool) (Expr, bool) {
	switch e := e.(type) {
	case Text:
		return e, true
	case Class:
		return e, len(e) > 0
	case Ref:
		return e, ends[e]
	case Seq:
		out := make(Seq, 0, len(e))
		for _, part := range e {
			part, ok := trim(part, ends)
			if !ok {
				return Alt{}, false
			}
			if part != empty {
				out = append(out, part)
			}
		}
		if len(out) == 1 {
			return out[0], true
		}
		return out, true
	case Alt:
		out := make(Alt, 0, len(e))
		for _, part := range e {
			if part, ok := trim(part, ends); ok {
				out = append(out, part)
			}
		}
		if len(out) == 1 {
			return out[0], true
		}
		return out, len(out) > 0
	case Repeat:
		of, ok := trim(e.Of, ends)
		if !ok || e.Max == 0 {
			return empty, e.Min == 0
		}
		if of == empty || e.Min == 1 && e.Max == 1 {
			return of, true
		}
		return Repeat{of, e.Min, e.Max}, true
	default: // a rule that was never defined
		return Alt{}, false
	}
}

// sweep drops the rules that the root does not need.
func (g *Grammar) sweep() {
	to := map[Ref]Ref{}
	var kept []rule
	var visit func(Ref) Ref
	visit = func(r Ref) Ref {
		if n, ok := to[r]; ok {
			return n
		}
		to[r] = Ref(len(kept))
		kept = append(kept, g.rules[r])
		kept[to[r]].body = mapRefs(g.rules[r].body, visit)
		return to[r]
	}
	visit(0)
	g.rules = kept
}

// nullable tells which rules admit the empty string.
func (g *Grammar) nullable() []bool {
	null := make([]bool, len(g.rules))
	for changed := true; changed; {
		changed = false
		for i := len(g.rules) - 1; i >= 0; i-- {
			if !null[i] && isNullable(g.rules[i].body, null) {
				null[i], changed = true, true
			}
		}
	}
	return null
}

func isNullable(e Expr, null []bool) bool {
	switch e := e.(type) {
	case Text:
		return e == ""
	case Ref:
		return null[e]
	case Seq:
		for _, part := range e {
			if !isNullable(part, null) {
				return false
			}
		}
		return true
	case Alt:
		for _, part := range e {
			if isNullable(part, null) {
				return true
			}
		}
		return false
	case Repeat:
		return e.Min == 0 || isNullable(e.Of, null)
	default:
		return false
	}
}

// lefts calls f with each rule that e may begin with.
func lefts(e Expr, null []bool, f func(Ref)) {
	switch e := e.(type) {
	case Ref:
		f(e)
	case Seq:
		for _, part := range e {
			lefts(part, null, f)
			if !isNullable(part, null) {
				return
			}
		}
	case Alt:
		for _, part := range e {
			lefts(part, null, f)
		}
	case Repeat:
		lefts(e.Of, null, f)
	default:
	}
}

// leftRecursion finds a rule that can begin with itself: llama.cpp refuses those.
func (g *Grammar) leftRecursion() (at string, found bool) {
	const (
		unseen = iota
		open
		done
	)
	null := g.nullable()
	state := make([]int, len(g.rules))
	var visit func(Ref) bool
	visit = func(r Ref) bool {
		switch state[r] {
		case open:
			return true
		case done:
			return false
		}
		state[r] = open
		hit := false
		lefts(g.rules[r].body, null, func(l Ref) {
			if !hit && visit(l) {
				hit = true
				at = max(at, g.rules[l].at)
			}
		})
		state[r] = done
		return hit
	}
	for r := range g.rules {
		if visit(Ref(r)) {
			return at, true
		}
	}
	return "", false
}

// ways is the most characters that may be next at one place, alternatives that
// begin alike counted each. The grammar has no left recursion.
func (g *Grammar) ways() (most int, at string) {
	null := g.nullable()
	memo := make([]int, len(g.rules))
	var into func(Expr) int
	run := func(parts []Expr) int {
		n := 0
		for _, part := range parts {
			n += into(part)
			if !isNullable(part, null) {
				break
			}
		}
		return n
	}
	into = func(e Expr) int {
		n := 0
		switch e := e.(type) {
		case Text:
			n = min(len(e), 1)
		case Class:
			n = 1
		case Ref:
			if memo[e] == 0 {
				memo[e] = into(g.rules[e].body)
			}
			n = memo[e]
		case Seq:
			n = run(e)
		case Alt:
			for _, part := range e {
				n += into(part)
			}
		case Repeat:
			n = into(e.Of)
		default:
		}
		return min(n, maxWays+1)
	}
	var inside func(Expr) int
	inside = func(e Expr) int {
		n := 0
		switch e := e.(type) {
		case Seq:
			for i, part := range e {
				n = max(n, run(e[i:]), inside(part))
			}
		case Alt:
			n = into(e)
			for _, part := range e {
				n = max(n, inside(part))
			}
		case Repeat:
			n = inside(e.Of)
		default:
			n = into(e)
		}
		return n
	}
	for _, r := range g.rules {
		if n := inside(r.body); n > most {
			most, at = n, r.at
		}
	}
	return most, at
}

// elements is the size of the grammar as llama.cpp writes it out.
func (g *Grammar) elements() int {
	n := 0
	for _, r := range g.rules {
		n += elements(r.body) + 1
	}
	return n
}

func elements(e Expr) int {
	n := 0
	switch e := e.(type) {
	case Text:
		n = utf8.RuneCountInString(string(e))
	case Class:
		n = 2 * len(e)
	case Ref:
		n = 1
	case Seq:
		for _, part := range e {
			n += elements(part)
		}
	case Alt:
		for _, part := range e {
			n += elements(part) + 1
		}
	case Repeat:
		n = (elements(e.Of) + 3) * (max(e.Min, e.Max) + 1)
	default:
	}
	return min(n, maxElements+1)
}
