package grammar

import (
	"encoding/json"
	"regexp"
	"slices"
)

// The punctuation of JSON, with the one space that models were trained to write.
func (b *Builder) space() Ref {
	return b.shared("space", func() Expr { return Optional(Text(" ")) })
}
func (b *Builder) comma() Expr { return Seq{Text(","), b.space()} }
func (b *Builder) colon() Expr { return Seq{Text(":"), b.space()} }

// list is elements with commas between them.
func (b *Builder) list(element Expr, atLeast, atMost int) Expr {
	if atMost == 0 {
		return empty
	}
	more := Repeat{b.rule("more", "", Seq{b.comma(), element}), max(atLeast-1, 0), atMost}
	if atMost > 0 {
		more.Max--
	}
	all := Seq{element, more}
	if atLeast == 0 {
		return Optional(all)
	}
	return all
}

// anything is any JSON value.
func (b *Builder) anything() Ref {
	return b.shared("value", func() Expr {
		value := b.memo["value"]
		return Alt{
			b.rule("object", "", Seq{Text("{"), b.list(Seq{b.anyString(), b.colon(), value}, 0, -1), Text("}")}),
			b.rule("array", "", Seq{Text("["), b.list(value, 0, -1), Text("]")}),
			b.anyString(), b.anyNumber(), Text("true"), Text("false"), Text("null"),
		}
	})
}

func (s *schema) properties() ([]member, error) {
	m, ok := s.get("properties")
	if !ok {
		return nil, nil
	}
	return membersOf(m.raw, m.at)
}

func (s *schema) required() ([]string, error) {
	m, ok := s.get("required")
	if !ok {
		return nil, nil
	}
	var names []string
	return names, m.decode(&names, "a list of names")
}

// limits reads a pair of counts; the upper one is below 0 where none stands.
func (s *schema) limits(lower, upper string) (low, high int, err error) {
	high = -1
	if m, ok := s.get(lower); ok {
		if low, err = m.count(); err != nil {
			return 0, 0, err
		}
		if low > maxRepeat {
			return 0, 0, m.refuse("more than %d is not supported", maxRepeat)
		}
	}
	if m, ok := s.get(upper); ok {
		if high, err = m.count(); err != nil {
			return 0, 0, err
		}
		high = min(high, maxRepeat)
	}
	return low, high, nil
}

// object writes the members that a schema names, in its order. Other members,
// where it lets them in, are written only if it names none.
func (c *compiler) object(s *schema) (Expr, error) {
	named, err := s.properties()
	if err != nil {
		return nil, err
	}
	required, err := s.required()
	if err != nil {
		return nil, err
	}
	if m, ok := s.get("unevaluatedProperties"); ok && string(m.raw) != "true" && string(m.raw) != "false" {
		return nil, m.refuse("a schema is not supported")
	}
	extra, err := s.extra()
	if err != nil {
		return nil, err
	}
	low, high, err := s.limits("minProperties", "maxProperties")
	if err != nil {
		return nil, err
	}
	if len(named) == 0 && len(required) == 0 {
		return c.mapping(s, extra, low, high)
	}
	var parts []part
	for _, key := range required {
		if !slices.ContainsFunc(named, func(m member) bool { return m.key == key }) {
			named = append(named, member{key: key, raw: extra.raw, at: extra.at})
		}
	}
	if err := c.checkNames(s, named); err != nil {
		return nil, err
	}
	for _, m := range named {
		sub, err := m.schema()
		if err != nil {
			return nil, err
		}
		value, err := c.compile(sub)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{
			e:        c.b.rule("member", m.at, Seq{Text(quoted(m.key)), c.b.colon(), value}),
			optional: !slices.Contains(required, m.key),
		})
	}
	return c.b.rule("object", s.at, Seq{Text("{"), c.b.parts(s.at, parts, low, high), Text("}")}), nil
}

// extra is the schema of the members that s does not name.
func (s *schema) extra() (member, error) {
	m, ok := s.get("additionalProperties")
	if u, closed := s.get("unevaluatedProperties"); closed && string(u.raw) == "false" && !ok {
		return u, nil
	}
	if !ok {
		return member{raw: json.RawMessage("true"), at: s.at}, nil
	}
	return m, nil
}

// checkNames refuses what says something of the names that stand in a schema.
func (c *compiler) checkNames(s *schema, named []member) error {
	if m, ok := s.get("propertyNames"); ok {
		sub, err := m.schema()
		if err != nil {
			return err
		}
		t, typed := sub.get("type")
		anyName := sub.always == nil && !sub.without("type").asserts() && (!typed || string(t.raw) == `"string"`)
		if !anyName && (sub.always == nil || !*sub.always) {
			return m.refuse("not supported beside named properties")
		}
	}
	m, ok := s.get("patternProperties")
	if !ok {
		return nil
	}
	patterns, err := membersOf(m.raw, m.at)
	if err != nil {
		return err
	}
	for _, p := range patterns {
		re, err := regexp.Compile(p.key)
		if err != nil || slices.ContainsFunc(named, func(m member) bool { return re.MatchString(m.key) }) {
			return p.refuse("not supported beside a property whose name it fits")
		}
	}
	return nil
}

// mapping writes an object whose names the schema leaves open.
func (c *compiler) mapping(s *schema, value member, low, high int) (Expr, error) {
	key := &schema{at: s.at, members: []member{{key: "type", raw: json.RawMessage(`"string"`)}}}
	if m, ok := s.get("propertyNames"); ok {
		names, err := m.schema()
		if err != nil {
			return nil, err
		}
		if key, err = c.merge(key, names); err != nil {
			return nil, err
		}
	}
	m, patterned := s.get("patternProperties")
	if patterned {
		patterns, err := membersOf(m.raw, m.at)
		if err != nil {
			return nil, err
		}
		if len(patterns) != 1 || s.has("propertyNames") {
			return nil, m.refuse("only one pattern is supported, without propertyNames")
		}
		value = patterns[0]
		pattern := member{key: "pattern", at: value.at}.with(value.key)
		key.members = append(key.members, pattern)
	}
	// An empty list of properties means that there are none.
	if s.has("properties") && !s.has("additionalProperties") && !patterned {
		high = 0
	}
	if low > 1 {
		m, _ := s.get("minProperties")
		return nil, m.refuse("more than 1 is not supported without named properties: names could be repeated")
	}
	sub, err := value.schema()
	if err != nil {
		return nil, err
	}
	e, err := c.compile(sub)
	if err != nil {
		return nil, err
	}
	k, err := c.compile(key)
	if err != nil {
		return nil, err
	}
	if high >= 0 && low > high {
		return Alt{}, nil
	}
	pair := c.b.rule("member", value.at, Seq{k, c.b.colon(), e})
	return c.b.rule("object", s.at, Seq{Text("{"), c.b.list(pair, low, high), Text("}")}), nil
}

// part is a member or an element that may be left out.
type part struct {
	e        Expr
	optional bool
}

// parts is some of the parts in their order, low to high of them, with commas.
func (b *Builder) parts(at string, all []part, low, high int) Expr {
	if high < 0 {
		high = len(all)
	}
	most := max(low, 1) // from here on it makes no difference how many there are
	if high < len(all) {
		most = max(most, high)
	}
	memo := map[[2]int]Ref{}
	var from func(i, n int) Expr
	from = func(i, n int) Expr {
		if i == len(all) {
			if n < low {
				return Alt{}
			}
			return empty
		}
		key := [2]int{i, n}
		if r, ok := memo[key]; ok {
			return r
		}
		r := b.declare("rest", at)
		memo[key] = r
		var out Alt
		if n < high {
			one := all[i].e
			if n > 0 {
				one = Seq{b.comma(), one}
			}
			out = append(out, Seq{one, from(i+1, min(n+1, most))})
		}
		if all[i].optional {
			out = append(out, from(i+1, n))
		}
		b.define(r, out)
		return r
	}
	return from(0, 0)
}

// array writes the elements that a schema describes. After prefixItems others
// are written only if it describes them too.
func (c *compiler) array(s *schema) (Expr, error) {
	low, high, err := s.limits("minItems", "maxItems")
	if err != nil {
		return nil, err
	}
	items, described := s.get("items")
	first, ok := s.get("prefixItems")
	if !ok && described && items.raw[0] == '[' { // before draft 2020-12
		first, ok = items, true
		items, described = s.get("additionalItems")
	}
	if m, has := s.get("unevaluatedItems"); has && !described {
		items, described = m, true
	}
	rest := &schema{at: s.at, always: new(bool)}
	*rest.always = true
	if described {
		if rest, err = items.schema(); err != nil {
			return nil, err
		}
	}
	var prefix []*schema
	if ok && string(first.raw) != "[]" {
		if prefix, err = first.schemas(); err != nil {
			return nil, err
		}
		if most := max(len(prefix), low); !described && (high < 0 || high > most) {
			high = most
		}
	}
	if m, ok := s.get("uniqueItems"); ok && string(m.raw) != "false" && (high < 0 || high > 1) {
		return c.distinct(s, m, rest, len(prefix) > 0, low, high)
	}
	element, err := c.compile(rest)
	if err != nil {
		return nil, err
	}
	if high >= 0 && low > high {
		return Alt{}, nil
	}
	body := c.b.list(element, low, high)
	if len(prefix) > 0 {
		more := Repeat{c.b.rule("more", s.at, Seq{c.b.comma(), element}), max(low-len(prefix), 0), high}
		if high >= 0 {
			more.Max = max(high-len(prefix), 0)
		}
		body = more
		for i := len(prefix) - 1; i >= 0; i-- {
			e, err := c.compile(prefix[i])
			if err != nil {
				return nil, err
			}
			if i > 0 {
				e = Seq{c.b.comma(), e}
			}
			switch {
			case high >= 0 && i >= high:
				body = empty
			case i >= low:
				body = Optional(Seq{e, body})
			default:
				body = Seq{e, body}
			}
		}
	}
	return c.b.rule("array", s.at, Seq{Text("["), body, Text("]")}), nil
}

// distinct writes each of a few values at most once, in the order of the schema.
func (c *compiler) distinct(s *schema, m member, element *schema, prefixed bool, low, high int) (Expr, error) {
	element, err := c.flat(element)
	if err != nil {
		return nil, err
	}
	values, err := element.values()
	if err != nil {
		return nil, err
	}
	if values == nil || prefixed || len(values) > 100 {
		return nil, m.refuse("supported only where the items have an enum")
	}
	var parts []part
	for i, v := range values {
		if slices.ContainsFunc(values[:i], func(w json.RawMessage) bool { return maybeEqual(v, w) }) {
			continue
		}
		one := element.without("enum", "const")
		one.members = append(one.members, member{key: "const", raw: v, at: m.at})
		e, err := c.compile(one)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{e, true})
	}
	return c.b.rule("array", s.at, Seq{Text("["), c.b.parts(s.at, parts, low, high), Text("]")}), nil
}
