package grammar

import (
	"bytes"
	"encoding/json"
	"slices"
)

// flat is s without $ref and allOf: what they add is merged in.
func (c *compiler) flat(s *schema) (*schema, error) {
	if err := c.enter(s.at); err != nil {
		return nil, err
	}
	defer c.leave()
	if m, ok := s.get("$ref"); ok {
		target, err := c.resolve(m)
		if err != nil {
			return nil, err
		}
		if s, err = c.merge(s.without("$ref"), target); err != nil {
			return nil, err
		}
	}
	if m, ok := s.get("allOf"); ok {
		subs, err := m.schemas()
		if err != nil {
			return nil, err
		}
		s = s.without("allOf")
		for _, sub := range subs {
			if s, err = c.merge(s, sub); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// merge is a schema for what fits both a and b. It may narrow more than that.
func (c *compiler) merge(a, b *schema) (*schema, error) {
	b, err := c.flat(b)
	switch {
	case err != nil:
		return nil, err
	case a.always != nil && *a.always, b.always != nil && !*b.always:
		return b, nil
	case b.always != nil, a.always != nil:
		return a, nil
	}
	b = b.sealed()
	if b, err = c.closeOver(a, b); err != nil {
		return nil, err
	}
	if a, err = c.closeOver(b, a); err != nil {
		return nil, err
	}
	for _, x := range [][2]*schema{{a, b}, {b, a}} {
		if m, ok := x[0].get("prefixItems"); ok && x[1].has("items", "additionalItems") && !x[1].has("prefixItems") {
			return nil, m.refuse("not supported beside the items of another part")
		}
	}
	out := &schema{at: a.at, members: slices.Clone(a.members)}
	size := 0
	for _, m := range a.members {
		size += len(m.raw)
	}
	if err := c.spend(a.at, size/64); err != nil {
		return nil, err
	}
	for _, m := range b.members {
		i := slices.IndexFunc(out.members, func(o member) bool { return o.key == m.key })
		if i < 0 {
			out.members = append(out.members, m)
		} else if out.members[i], err = both(out.members[i], m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sealed is s with additionalProperties and items in place of what speaks of
// the unevaluated: that sees what s itself lets in, and nothing of the schema
// that s stands in.
func (s *schema) sealed() *schema {
	for _, pair := range [][2]string{{"unevaluatedProperties", "additionalProperties"}, {"unevaluatedItems", "items"}} {
		m, ok := s.get(pair[0])
		if !ok {
			continue
		}
		s = s.without(pair[0])
		if !s.has(pair[1]) {
			m.key = pair[1]
			s.members = append(s.members, m)
		}
	}
	return s
}

// closeOver forbids the properties of b that a does not let in: its
// additionalProperties speaks of all that a itself does not name.
func (c *compiler) closeOver(a, b *schema) (*schema, error) {
	extra, ok := a.get("additionalProperties")
	if !ok || string(extra.raw) == "true" {
		return b, nil
	}
	if m, ok := b.get("patternProperties"); ok {
		return nil, m.refuse("not supported beside the additionalProperties of another part")
	}
	if !b.has("properties") {
		return b, nil
	}
	own, err := a.properties()
	if err != nil {
		return nil, err
	}
	theirs, err := b.properties()
	if err != nil {
		return nil, err
	}
	kept := []byte{'{'}
	for _, p := range theirs {
		if !slices.ContainsFunc(own, func(o member) bool { return o.key == p.key }) {
			if string(extra.raw) != "false" {
				return nil, extra.refuse("a schema here beside the property %s of another part is not supported", p.at)
			}
			p.raw = json.RawMessage("false")
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(append(append(kept, quoted(p.key)...), ':'), p.raw...)
	}
	out := b.without("properties")
	m, _ := b.get("properties")
	m.raw = append(kept, '}')
	out.members = append(out.members, m)
	return out, nil
}

// both is one keyword for what fits a and b.
func both(a, b member) (member, error) {
	if keywords[a.key] <= annotation || same(a.raw, b.raw) {
		return a, nil
	}
	switch a.key {
	case "type":
		return bothTypes(a, b)
	case "required":
		var x, y []string
		if err := a.decode(&x, "a list of names"); err != nil {
			return a, err
		}
		if err := b.decode(&y, "a list of names"); err != nil {
			return a, err
		}
		return a.with(append(x, y...)), nil
	case "properties":
		return bothProperties(a, b)
	case "items", "propertyNames":
		if a.raw[0] != '[' && b.raw[0] != '[' {
			return a.with(map[string][]json.RawMessage{"allOf": {a.raw, b.raw}}), nil
		}
	case "additionalProperties", "unevaluatedProperties", "uniqueItems":
		// closeOver has seen to the properties, and true of uniqueItems wins.
		strict := "false"
		if a.key == "uniqueItems" {
			strict = "true"
		}
		switch {
		case string(a.raw) == strict:
			return a, nil
		case string(b.raw) == strict:
			return b, nil
		}
	case "minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties",
		"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties":
		x, err := a.number()
		if err != nil {
			return a, err
		}
		y, err := b.number()
		if err != nil {
			return a, err
		}
		lower := a.key[:3] == "min" || a.key == "exclusiveMinimum"
		if (x.Cmp(y) < 0) == lower {
			return b, nil
		}
		return a, nil
	}
	return a, b.refuse("not supported beside another %s, at %s", a.key, a.at)
}

func (m member) with(v any) member {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // lists and objects of valid JSON
	}
	m.raw = raw
	return m
}

func bothTypes(a, b member) (member, error) {
	x, err := (&schema{members: []member{a}}).types()
	if err != nil {
		return a, err
	}
	y, err := (&schema{members: []member{b}}).types()
	if err != nil {
		return a, err
	}
	var out []string
	for _, t := range []string{"object", "array", "string", "boolean", "null", "number", "integer"} {
		if fitsType(t, x) && fitsType(t, y) {
			out = append(out, t)
		}
	}
	return a.with(append([]string{}, out...)), nil
}

func fitsType(t string, names []string) bool {
	return slices.Contains(names, t) || t == "integer" && slices.Contains(names, "number")
}

func bothProperties(a, b member) (member, error) {
	x, err := membersOf(a.raw, a.at)
	if err != nil {
		return a, err
	}
	y, err := membersOf(b.raw, b.at)
	if err != nil {
		return a, err
	}
	for _, m := range y {
		i := slices.IndexFunc(x, func(o member) bool { return o.key == m.key })
		switch {
		case i < 0:
			x = append(x, m)
		case !same(x[i].raw, m.raw):
			x[i] = x[i].with(map[string][]json.RawMessage{"allOf": {x[i].raw, m.raw}})
		}
	}
	out := []byte{'{'}
	for i, m := range x {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, quoted(m.key)...), ':'), m.raw...)
	}
	a.raw = append(out, '}')
	return a, nil
}

func same(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// excludes tells whether nothing that is written for a fits b. When in doubt it
// says no.
func (c *compiler) excludes(a, b *schema) (bool, error) {
	if err := c.enter(a.at); err != nil {
		return false, err
	}
	defer c.leave()
	a, err := c.flat(a)
	if err != nil {
		return false, err
	}
	if b, err = c.flat(b); err != nil {
		return false, err
	}
	if a.always != nil || b.always != nil {
		return a.always != nil && !*a.always || b.always != nil && !*b.always, nil
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if m, ok := a.get(key); ok {
			return c.all(m, func(sub *schema) (bool, error) { return c.excludes(sub, b) })
		}
		if m, ok := b.get(key); ok {
			return c.all(m, func(sub *schema) (bool, error) { return c.excludes(a, sub) })
		}
	}
	x, err := a.values()
	if err != nil {
		return false, err
	}
	y, err := b.values()
	if err != nil {
		return false, err
	}
	if x != nil && y != nil {
		return !slices.ContainsFunc(x, func(v json.RawMessage) bool {
			return slices.ContainsFunc(y, func(w json.RawMessage) bool { return maybeEqual(v, w) })
		}), nil
	}
	written, err := a.typesOrValues(x)
	if err != nil {
		return false, err
	}
	// b without a type lets every type in.
	let := allTypes
	if b.has("type") || y != nil {
		if let, err = b.typesOrValues(y); err != nil {
			return false, err
		}
	}
	var shared []string
	for _, t := range written {
		if fitsType(t, let) || t == "number" && slices.Contains(let, "integer") {
			shared = append(shared, t)
		}
	}
	switch {
	case len(shared) == 0:
		return true, nil
	case len(shared) == 1 && shared[0] == "object":
		return c.excludesObject(a, b)
	default:
		return false, nil
	}
}

func (c *compiler) all(m member, f func(*schema) (bool, error)) (bool, error) {
	subs, err := m.schemas()
	if err != nil {
		return false, err
	}
	for _, sub := range subs {
		if ok, err := f(sub); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// excludesObject looks for a property that tells the objects of a from those of b.
func (c *compiler) excludesObject(a, b *schema) (bool, error) {
	if !a.has("properties", "required") {
		return false, nil // a writes any members
	}
	mine, err := a.properties()
	if err != nil {
		return false, err
	}
	theirs, err := b.properties()
	if err != nil {
		return false, err
	}
	written, err := a.required()
	if err != nil {
		return false, err
	}
	wanted, err := b.required()
	if err != nil {
		return false, err
	}
	named := func(list []member, key string) *member {
		if i := slices.IndexFunc(list, func(m member) bool { return m.key == key }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	free := len(mine) == 0 && len(written) == 0
	for _, key := range wanted {
		if !free && named(mine, key) == nil && !slices.Contains(written, key) {
			return true, nil // a never writes what b wants
		}
	}
	extra, _ := b.get("additionalProperties")
	for _, key := range written {
		m, t := named(mine, key), named(theirs, key)
		if t == nil {
			if string(extra.raw) == "false" && !b.has("patternProperties") {
				return true, nil // a always writes what b does not let in
			}
			continue
		}
		if m == nil {
			continue
		}
		x, err := m.schema()
		if err != nil {
			return false, err
		}
		y, err := t.schema()
		if err != nil {
			return false, err
		}
		if apart, err := c.excludes(x, y); apart || err != nil {
			return apart, err
		}
	}
	return false, nil
}
