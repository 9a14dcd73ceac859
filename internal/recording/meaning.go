package recording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Meaning is a Call in a form in which equal calls are equal: the order of keys,
// spaces, escapes, the spelling of numbers and the order of betas are gone.
type Meaning struct {
	call Call
	body any
	key  string
}

// Meaning reads the call's body.
func (c Call) Meaning() (*Meaning, error) {
	dec := json.NewDecoder(bytes.NewReader(redact(c.Body)))
	dec.UseNumber()
	var body any
	if err := dec.Decode(&body); err != nil {
		return nil, err
	}
	if top, ok := body.(map[string]any); ok { // who asks, and for whose bill: no answer depends on it
		delete(top, "metadata")
		delete(top, "requestMetadata")
	}
	c.Header = Meaningful(c.Header)
	m := &Meaning{call: c, body: canonical(body)}
	key, err := json.Marshal([]any{c.Operation, c.Model, c.Converse, c.Header, m.body})
	if err != nil {
		return nil, err
	}
	m.key = string(key)
	return m, nil
}

// Key is equal for equal calls.
func (m *Meaning) Key() string { return m.key }

func canonical(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = canonical(v[k])
		}
		return v
	case []any:
		for i := range v {
			v[i] = canonical(v[i])
		}
		return v
	case json.Number:
		return number(string(v))
	default: // string, bool, null
		return v
	}
}

// number spells a JSON number as digits and a power of ten: 1, 1.0 and 10e-1 are
// 1e0. No exponent makes it long.
func number(s string) json.Number {
	sign := ""
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		sign, s = "-", rest
	}
	mantissa, power := s, new(big.Int)
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		if _, ok := power.SetString(strings.TrimPrefix(s[i+1:], "+"), 10); !ok {
			return json.Number(sign + s)
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	power.Sub(power, big.NewInt(int64(len(fraction))))
	digits := strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	power.Add(power, big.NewInt(int64(len(digits)-len(short))))
	if short == "" {
		return "0"
	}
	return json.Number(sign + short + "e" + power.String())
}

// Diff says where asked differs from m, which was recorded.
func (m *Meaning) Diff(asked *Meaning) []string {
	d := new(differ)
	d.text("operation", m.call.Operation, asked.call.Operation)
	d.text("model", m.call.Model, asked.call.Model)
	if m.call.Converse != asked.call.Converse {
		d.say("what is counted", dialect(m.call.Converse), dialect(asked.call.Converse))
	}
	for _, name := range meaningful {
		d.text("header "+name, m.call.Header.Get(name), asked.call.Header.Get(name))
	}
	d.values("", m.body, asked.body)
	return d.found
}

func dialect(converse bool) string {
	if converse {
		return "a Converse request"
	}
	return "a Messages request"
}

// Nearest finds the recording that differs least: its index, and how.
func Nearest(recorded []*Meaning, asked *Meaning) (at int, diff []string) {
	at = -1
	least := 0
	for i, m := range recorded {
		d := m.Diff(asked)
		weight := 2 * len(d)
		switch a, b := m.call.Operation, asked.call.Operation; {
		case a == b:
			if slices.ContainsFunc(d, func(s string) bool { return strings.HasPrefix(s, "stream: ") }) {
				weight--
			}
		case strings.HasPrefix(a, b), strings.HasPrefix(b, a): // the same call, streamed: likelier than another text
			weight--
		default:
			weight += 4
		}
		if at < 0 || weight < least {
			at, diff, least = i, d, weight
		}
	}
	return at, diff
}

type differ struct{ found []string }

func (d *differ) say(path, recorded, asked string) {
	d.found = append(d.found, fmt.Sprintf("%s: recorded %s, asked %s", path, recorded, asked))
}

func (d *differ) text(path, recorded, asked string) {
	if recorded == asked {
		return
	}
	from := 0
	for from < len(recorded) && from < len(asked) && recorded[from] == asked[from] {
		from++
	}
	d.say(path, excerpt(recorded, from), excerpt(asked, from))
}

// excerpt is what stands around the place where two texts part.
func excerpt(s string, at int) string {
	const before, after = 24, 48
	if s == "" {
		return "nothing"
	}
	start, end := max(0, at-before), min(len(s), at+after)
	for start > 0 && !utf8.RuneStart(s[start]) {
		start--
	}
	for end < len(s) && !utf8.RuneStart(s[end]) {
		end++
	}
	text := strconv.Quote(s[start:end])
	if start > 0 {
		text = "…" + text
	}
	if end < len(s) {
		text += "…"
	}
	return text
}

func (d *differ) values(path string, a, b any) {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			all := map[string]bool{}
			for k := range a {
				all[k] = true
			}
			for k := range b {
				all[k] = true
			}
			for _, k := range slices.Sorted(maps.Keys(all)) {
				at := k
				if path != "" {
					at = path + "." + k
				}
				va, hasA := a[k]
				vb, hasB := b[k]
				switch {
				case hasA && hasB:
					d.values(at, va, vb)
				case hasA:
					d.say(at, brief(va), "nothing")
				default:
					d.say(at, "nothing", brief(vb))
				}
			}
			return
		}
	case []any:
		if b, ok := b.([]any); ok {
			for i := range min(len(a), len(b)) {
				d.values(fmt.Sprintf("%s[%d]", path, i), a[i], b[i])
			}
			if len(a) != len(b) {
				d.say(path, fmt.Sprintf("%d entries", len(a)), strconv.Itoa(len(b)))
			}
			return
		}
	case string:
		if b, ok := b.(string); ok {
			d.text(path, a, b)
			return
		}
	default:
		if a == b { // numbers, booleans, null
			return
		}
	}
	d.say(path, brief(a), brief(b))
}

func brief(v any) string {
	switch v := v.(type) {
	case string:
		return excerpt(v, 0)
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
		return v.String()
	case map[string]any:
		return "an object"
	case []any:
		return fmt.Sprintf("%d entries", len(v))
	default:
		return fmt.Sprint(v)
	}
}
