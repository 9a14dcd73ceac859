package grammar

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxSteps bounds the work on a schema: a subschema looked at is a step, merged
// ones each time; so are a value that is listed, a state of a pattern and 64 bytes
// that are merged.
const maxSteps = 100_000

// compiler turns one schema document into rules of a Builder.
type compiler struct {
	b     *Builder
	root  json.RawMessage
	refs  map[string]Ref
	seen  map[string][]member // what stands at a place that a $ref goes through
	depth int
	steps int
}

// Schema adds the rules of a JSON schema and gives the expression of its values.
// Between members and elements it admits one space or none.
func (b *Builder) Schema(raw json.RawMessage) (Expr, error) {
	s, err := parse(raw, "")
	if err != nil {
		return nil, err
	}
	c := &compiler{b: b, root: raw, refs: map[string]Ref{}, seen: map[string][]member{}}
	return c.compile(s)
}

// Compile is the grammar of a schema.
func Compile(raw json.RawMessage) (*Grammar, error) {
	b := NewBuilder()
	e, err := b.Schema(raw)
	if err != nil {
		return nil, err
	}
	return b.Grammar(e)
}

func (c *compiler) enter(at string) error {
	if c.depth++; c.depth > maxDepth {
		return &Unsupported{at, "it lies deeper than " + strconv.Itoa(maxDepth) + " levels"}
	}
	return c.spend(at, 1)
}

func (c *compiler) spend(at string, steps int) error {
	if c.steps += steps; c.steps > maxSteps {
		return &Unsupported{at, "the schema spreads out too far: more than " + strconv.Itoa(maxSteps) + " parts"}
	}
	return nil
}

func (c *compiler) leave() { c.depth-- }

func (c *compiler) compile(s *schema) (Expr, error) {
	if err := c.enter(s.at); err != nil {
		return nil, err
	}
	defer c.leave()
	if s.always != nil {
		if *s.always {
			return c.b.anything(), nil
		}
		return Alt{}, nil
	}
	if m, ok := s.get("$ref"); ok && !s.without("$ref").asserts() {
		return c.ref(m)
	}
	if m, ok := s.get("allOf"); ok && !s.without("allOf").asserts() {
		subs, err := m.schemas()
		if err == nil && len(subs) == 1 {
			return c.compile(subs[0])
		}
	}
	s, err := c.flat(s)
	if err != nil {
		return nil, err
	}
	if s.always != nil {
		return c.compile(s)
	}
	for _, m := range s.members {
		if keywords[m.key] == refused {
			return nil, m.refuse("not supported")
		}
		if m.key == "$id" && m.at != "/$id" {
			return nil, m.refuse("supported at the root alone")
		}
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if m, ok := s.get(key); ok {
			return c.union(s.without(key), m)
		}
	}
	if s.has("enum", "const") {
		return c.literals(s)
	}
	return c.types(s)
}

// ref is the rule of the schema that m points to.
func (c *compiler) ref(m member) (Expr, error) {
	target, err := c.resolve(m)
	if err != nil {
		return nil, err
	}
	if r, ok := c.refs[target.at]; ok {
		return r, nil
	}
	r := c.b.declare("ref", m.at)
	c.refs[target.at] = r
	e, err := c.compile(target)
	if err != nil {
		return nil, err
	}
	c.b.define(r, e)
	return r, nil
}

// resolve finds what a $ref points to: a place in this schema.
func (c *compiler) resolve(m member) (*schema, error) {
	var ref string
	if err := m.decode(&ref, "a string"); err != nil {
		return nil, err
	}
	pointer, ok := strings.CutPrefix(ref, "#")
	pointer, err := url.PathUnescape(pointer)
	if !ok || err != nil || pointer != "" && pointer[0] != '/' {
		return nil, m.refuse("only a JSON pointer into this schema is supported, like #/$defs/name")
	}
	raw, at := c.root, ""
	if pointer != "" {
		for _, token := range strings.Split(pointer[1:], "/") {
			next, ok := c.step(raw, at, strings.NewReplacer("~1", "/", "~0", "~").Replace(token))
			if !ok {
				return nil, m.refuse("nothing stands at %s", ref)
			}
			raw, at = next, at+"/"+token
		}
	}
	return parse(raw, at)
}

// step goes into a member of an object or an element of an array.
func (c *compiler) step(raw json.RawMessage, at, token string) (json.RawMessage, bool) {
	members, known := c.seen[at]
	if !known {
		members, _ = membersOf(raw, "")
		c.seen[at] = members
	}
	if members != nil {
		i := slices.IndexFunc(members, func(m member) bool { return m.key == token })
		if i < 0 {
			return nil, false
		}
		return members[i].raw, true
	}
	var list []json.RawMessage
	i, err := strconv.Atoi(token)
	if err != nil || json.Unmarshal(raw, &list) != nil || i < 0 || i >= len(list) {
		return nil, false
	}
	return list[i], true
}

// union is what fits s and one of the schemas of m.
func (c *compiler) union(s *schema, m member) (Expr, error) {
	subs, err := m.schemas()
	if err != nil {
		return nil, err
	}
	out := make(Alt, len(subs))
	for i := range subs {
		if s.asserts() {
			if subs[i], err = c.merge(s, subs[i]); err != nil {
				return nil, err
			}
		}
		if out[i], err = c.compile(subs[i]); err != nil {
			return nil, err
		}
	}
	if m.key == "anyOf" {
		return out, nil
	}
	for i := range subs {
		for j := range subs {
			if i == j {
				continue
			}
			apart, err := c.excludes(subs[i], subs[j])
			if err != nil {
				return nil, err
			}
			if !apart {
				return nil, m.refuse("a value may fit both its schemas %d and %d; use anyOf, or a member with different constants", min(i, j), max(i, j))
			}
		}
	}
	return out, nil
}

// types is what fits a schema without combinations.
func (c *compiler) types(s *schema) (Expr, error) {
	names, err := s.types()
	if err != nil {
		return nil, err
	}
	var out Alt
	for _, name := range names {
		var e Expr
		var err error
		switch name {
		case "object":
			e, err = c.object(s)
		case "array":
			e, err = c.array(s)
		case "string":
			e, err = c.text(s)
		case "number", "integer":
			e, err = c.number(s, name == "integer")
		case "boolean":
			e = Alt{Text("true"), Text("false")}
		case "null":
			e = Text("null")
		default:
			m, _ := s.get("type")
			err = m.refuse("no type is called %q", name)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if len(out) == 1 {
		return out[0], nil
	}
	return out, nil
}

var allTypes = []string{"object", "array", "string", "number", "boolean", "null"}

// types gives the types that a value may have. Where a schema does not say, they
// are those that its keywords speak of: another one would fit too, and can hardly
// be what is wanted.
func (s *schema) types() ([]string, error) {
	var names []string
	if m, ok := s.get("type"); ok {
		if m.raw[0] == '"' {
			names = []string{""}
			if err := m.decode(&names[0], "a string"); err != nil {
				return nil, err
			}
		} else if err := m.decode(&names, "a type or a list of types"); err != nil {
			return nil, err
		}
		if slices.Contains(names, "number") {
			names = slices.DeleteFunc(names, func(n string) bool { return n == "integer" })
		}
		return names, nil
	}
	for _, t := range allTypes {
		if slices.ContainsFunc(s.members, func(m member) bool { return typeOf[m.key] == t }) {
			names = append(names, t)
		}
	}
	if names == nil {
		return allTypes, nil
	}
	return names, nil
}
