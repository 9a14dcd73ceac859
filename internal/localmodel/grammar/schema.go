package grammar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Unsupported names the keyword of a schema that no grammar can follow.
type Unsupported struct {
	Pointer string // JSON pointer into the schema; empty: the whole of it
	Reason  string
}

func (e *Unsupported) Error() string {
	if e.Pointer == "" {
		return e.Reason
	}
	return e.Pointer + ": " + e.Reason
}

// schema is one schema object; always is set where it is true or false.
type schema struct {
	at      string
	always  *bool
	members []member
}

// member keeps the place it came from through every merge.
type member struct {
	key string
	raw json.RawMessage
	at  string
}

func (s *schema) get(key string) (member, bool) {
	for _, m := range s.members {
		if m.key == key {
			return m, true
		}
	}
	return member{}, false
}

func (s *schema) has(keys ...string) bool {
	return slices.ContainsFunc(s.members, func(m member) bool { return slices.Contains(keys, m.key) })
}

// without is s less some keywords.
func (s *schema) without(keys ...string) *schema {
	out := &schema{at: s.at, always: s.always}
	for _, m := range s.members {
		if !slices.Contains(keys, m.key) {
			out.members = append(out.members, m)
		}
	}
	return out
}

// asserts tells whether any keyword of s can make a value invalid.
func (s *schema) asserts() bool {
	return slices.ContainsFunc(s.members, func(m member) bool { return keywords[m.key] > annotation })
}

func (m member) refuse(format string, args ...any) error {
	return &Unsupported{m.at, fmt.Sprintf(format, args...)}
}

func (m member) decode(v any, want string) error {
	if err := json.Unmarshal(m.raw, v); err != nil || string(m.raw) == "null" {
		return m.refuse("it should be %s", want)
	}
	return nil
}

func (m member) schema() (*schema, error) { return parse(m.raw, m.at) }

// schemas reads a list of them.
func (m member) schemas() ([]*schema, error) {
	var raws []json.RawMessage
	if err := m.decode(&raws, "a list of schemas"); err != nil {
		return nil, err
	}
	if len(raws) == 0 {
		return nil, m.refuse("it should not be empty")
	}
	out := make([]*schema, len(raws))
	for i, raw := range raws {
		var err error
		if out[i], err = parse(raw, m.at+"/"+strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// count reads a limit on a length.
func (m member) count() (int, error) {
	v, err := m.number()
	if err != nil {
		return 0, err
	}
	if !v.IsInt() || v.Sign() < 0 {
		return 0, m.refuse("it should be a count")
	}
	if !v.Num().IsInt64() || v.Num().Int64() > 1<<31-1 {
		return 1<<31 - 1, nil
	}
	return int(v.Num().Int64()), nil
}

// maxDepth is deeper than any schema that a person reads.
const maxDepth = 64

func parse(raw json.RawMessage, at string) (*schema, error) {
	raw = bytes.TrimSpace(raw)
	switch string(raw) {
	case "true", "false":
		b := string(raw) == "true"
		return &schema{at: at, always: &b}, nil
	}
	members, err := membersOf(raw, at)
	if err != nil {
		return nil, err
	}
	return &schema{at: at, members: members}, nil
}

// membersOf reads an object in its own order.
func membersOf(raw json.RawMessage, at string) ([]member, error) {
	wrong := &Unsupported{at, "it should be an object"}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, wrong
	}
	var out []member
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, wrong
		}
		m := member{key: key.(string), at: at + "/" + escapePointer(key.(string))}
		if seen[m.key] {
			return nil, m.refuse("it stands there twice")
		}
		seen[m.key] = true
		if err := d.Decode(&m.raw); err != nil {
			return nil, wrong
		}
		out = append(out, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, wrong
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, wrong
	}
	return out, nil
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func escapePointer(key string) string { return pointerEscapes.Replace(key) }

// keyword says what is done about a member of a schema. What JSON Schema does
// not know is an annotation to it, and so it is here.
type keyword uint8

const (
	annotation keyword = iota
	handled
	refused
)

var keywords = map[string]keyword{
	"$ref": handled, "allOf": handled, "anyOf": handled, "oneOf": handled,
	"type": handled, "enum": handled, "const": handled,
	"properties": handled, "required": handled, "additionalProperties": handled, "unevaluatedProperties": handled,
	"patternProperties": handled, "propertyNames": handled, "minProperties": handled, "maxProperties": handled,
	"items": handled, "prefixItems": handled, "additionalItems": handled, "unevaluatedItems": handled,
	"minItems": handled, "maxItems": handled, "uniqueItems": handled,
	"minLength": handled, "maxLength": handled, "pattern": handled, "format": handled,
	"minimum": handled, "maximum": handled, "exclusiveMinimum": handled, "exclusiveMaximum": handled, "multipleOf": handled,

	"not": refused, "if": refused, "then": refused, "else": refused,
	"dependentRequired": refused, "dependentSchemas": refused, "dependencies": refused,
	"contains": refused, "minContains": refused, "maxContains": refused,
	"$dynamicRef": refused, "$recursiveRef": refused,
}

// The keywords that speak of one type of value, by that type.
var typeOf = map[string]string{
	"properties": "object", "required": "object", "additionalProperties": "object", "unevaluatedProperties": "object",
	"patternProperties": "object", "propertyNames": "object", "minProperties": "object", "maxProperties": "object",
	"items": "array", "prefixItems": "array", "additionalItems": "array", "unevaluatedItems": "array",
	"minItems": "array", "maxItems": "array", "uniqueItems": "array",
	"minLength": "string", "maxLength": "string", "pattern": "string", "format": "string",
	"minimum": "number", "maximum": "number", "exclusiveMinimum": "number", "exclusiveMaximum": "number", "multipleOf": "number",
}
