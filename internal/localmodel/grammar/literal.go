package grammar

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

func quoted(s string) []byte { return jsonspan.AppendString(nil, s) }

// values lists the values of enum and const, nil where neither stands.
func (s *schema) values() ([]json.RawMessage, error) {
	var out []json.RawMessage
	if m, ok := s.get("enum"); ok {
		out = []json.RawMessage{}
		if err := m.decode(&out, "a list of values"); err != nil {
			return nil, err
		}
	}
	if m, ok := s.get("const"); ok {
		if out != nil && !slices.ContainsFunc(out, func(v json.RawMessage) bool { return maybeEqual(v, m.raw) }) {
			return []json.RawMessage{}, nil
		}
		out = []json.RawMessage{m.raw}
	}
	return out, nil
}

// literals is what fits a schema with an enum or a const.
func (c *compiler) literals(s *schema) (Expr, error) {
	values, err := s.values()
	if err != nil {
		return nil, err
	}
	types := append([]string{"integer"}, allTypes...)
	if s.has("type") {
		if types, err = s.types(); err != nil {
			return nil, err
		}
	}
	if err := c.spend(s.at, len(values)); err != nil {
		return nil, err
	}
	var texts []string
	for _, v := range values {
		t := typeOfValue(v)
		if !fitsType(t, types) {
			continue
		}
		general := t
		if t == "integer" {
			general = "number"
		}
		for _, m := range s.members {
			if typeOf[m.key] == general && m.key != "format" { // a format asserts nothing beside a given text
				return nil, m.refuse("not supported beside enum or const")
			}
		}
		texts = append(texts, spell(v))
	}
	return trie(texts), nil
}

// spell writes a value as JSON without needless escapes or space.
func spell(raw json.RawMessage) string {
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return string(quoted(s))
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return string(raw)
	}
	return b.String()
}

func typeOfValue(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		if v, err := (member{raw: raw}).number(); err == nil && v.IsInt() {
			return "integer"
		}
		return "number"
	}
}

// typesOrValues are the types of what is written for s.
func (s *schema) typesOrValues(values []json.RawMessage) ([]string, error) {
	if values == nil {
		return s.types()
	}
	out := []string{}
	for _, v := range values {
		if t := typeOfValue(v); !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out, nil
}

// maybeEqual is false for values that JSON Schema tells apart for certain.
func maybeEqual(a, b json.RawMessage) bool {
	x, y := typeOfValue(a), typeOfValue(b)
	switch {
	case x != y:
		return false
	case x == "object" || x == "array":
		return true
	case x == "integer" || x == "number":
		v, err := (member{raw: a}).number()
		w, werr := (member{raw: b}).number()
		return err != nil || werr != nil || v.Cmp(w) == 0
	default:
		return spell(a) == spell(b)
	}
}

// trie admits the texts, letter by letter where they begin alike, so that a long
// enum does not hold each token against all of its values.
func trie(texts []string) Expr {
	if len(texts) == 0 {
		return Alt{}
	}
	n := len(texts[0])
	for _, t := range texts[1:] {
		n = min(n, len(t))
		for i := range n {
			if t[i] != texts[0][i] {
				n = i
				break
			}
		}
	}
	for n > 0 && n < len(texts[0]) && !utf8.RuneStart(texts[0][n]) {
		n--
	}
	head := Text(texts[0][:n])
	var firsts []rune
	groups := map[rune][]string{}
	ends := false
	for _, t := range texts {
		if t = t[n:]; t == "" {
			ends = true
			continue
		}
		r, _ := utf8.DecodeRuneInString(t)
		if groups[r] == nil {
			firsts = append(firsts, r)
		}
		groups[r] = append(groups[r], t)
	}
	if len(firsts) == 0 {
		return head
	}
	var tails Alt
	for _, r := range firsts {
		tails = append(tails, trie(groups[r]))
	}
	if ends {
		tails = append(tails, empty)
	}
	if head == "" {
		return tails
	}
	return Seq{head, tails}
}

// maxExponent keeps a number like 1e999999999 from being written out.
const maxExponent = 100

// number reads a JSON number exactly.
func (m member) number() (*big.Rat, error) {
	text := string(bytes.TrimSpace(m.raw))
	if json.Valid(m.raw) && (text[0] == '-' || text[0] >= '0' && text[0] <= '9') {
		mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
		if e := strings.TrimLeft(exponent, "+-0"); len(mantissa) > maxExponent || len(e) > 2 {
			return nil, m.refuse("the number is too long")
		}
		if v, ok := new(big.Rat).SetString(text); ok {
			return v, nil
		}
	}
	return nil, m.refuse("it should be a number")
}
