package scripted

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// fits checks v against the keywords that the schemas of this test use; it says
// why not, "" if it does.
func fits(root, s schema, v any) string {
	if ref, ok := s["$ref"].(string); ok {
		if why := fits(root, lookup(root, ref), v); why != "" {
			return why
		}
	}
	parts := func(key string) (n, good int) {
		list, _ := s[key].([]any)
		for _, part := range list {
			if fits(root, part.(schema), v) == "" {
				good++
			}
		}
		return len(list), good
	}
	if n, good := parts("allOf"); good < n {
		return "allOf"
	}
	if n, good := parts("anyOf"); n > 0 && good == 0 {
		return "anyOf"
	}
	if n, good := parts("oneOf"); n > 0 && good != 1 {
		return "oneOf"
	}
	if c, ok := s["const"]; ok && fmt.Sprint(c) != fmt.Sprint(v) {
		return "const"
	}
	if e, ok := s["enum"].([]any); ok && !slices.ContainsFunc(e, func(x any) bool { return fmt.Sprint(x) == fmt.Sprint(v) }) {
		return "enum"
	}
	types := []any{s["type"]}
	if list, ok := s["type"].([]any); ok {
		types = list
	}
	if s["type"] != nil && !slices.ContainsFunc(types, func(t any) bool { return isA(t, v) }) {
		return fmt.Sprintf("%v is no %v", v, s["type"])
	}
	switch v := v.(type) {
	case schema:
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				return fmt.Sprintf("no %v", name)
			}
		}
		props, _ := s["properties"].(schema)
		for name, x := range v {
			sub, known := props[name].(schema)
			if !known && s["additionalProperties"] == false {
				return name + " is one too many"
			}
			if why := fits(root, sub, x); why != "" {
				return name + ": " + why
			}
		}
	case []any:
		if n := number(s, "minItems", 0); float64(len(v)) < n {
			return "too few items"
		}
		if n := number(s, "maxItems", math.Inf(1)); float64(len(v)) > n {
			return "too many items"
		}
		prefix, _ := s["prefixItems"].([]any)
		for i, x := range v {
			sub, _ := s["items"].(schema)
			if i < len(prefix) {
				sub = prefix[i].(schema)
			}
			if why := fits(root, sub, x); why != "" {
				return fmt.Sprintf("%d: %s", i, why)
			}
		}
	case float64:
		if v < number(s, "minimum", math.Inf(-1)) || v > number(s, "maximum", math.Inf(1)) ||
			v <= number(s, "exclusiveMinimum", math.Inf(-1)) || v >= number(s, "exclusiveMaximum", math.Inf(1)) {
			return fmt.Sprintf("%v is out of bounds", v)
		}
		if m := number(s, "multipleOf", 0); m > 0 && v/m != math.Trunc(v/m) {
			return fmt.Sprintf("%v is no multiple of %v", v, m)
		}
	case string:
		if n := float64(utf8.RuneCountInString(v)); n < number(s, "minLength", 0) || n > number(s, "maxLength", math.Inf(1)) {
			return fmt.Sprintf("%q is too long or too short", v)
		}
	}
	return ""
}

func isA(t, v any) bool {
	switch v := v.(type) {
	case nil:
		return t == "null"
	case bool:
		return t == "boolean"
	case string:
		return t == "string"
	case float64:
		return t == "number" || t == "integer" && v == math.Trunc(v)
	case []any:
		return t == "array"
	default:
		return t == "object"
	}
}

func TestSamples(t *testing.T) {
	property := func(s string) string {
		return `{"type":"object","properties":{"p":` + s + `},"required":["p"],"additionalProperties":false}`
	}
	schemas := []string{
		`{"type":"object"}`,
		`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["a"],"additionalProperties":false}`,
		`{"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/node"}},"required":["v"]}},"$ref":"#/$defs/node"}`,
		`{"definitions":{"a/b~c":{"type":"boolean"}},"type":"object","properties":{"p":{"$ref":"#/definitions/a~1b~0c"}},"required":["p"]}`,
		`{"type":"object","properties":{"kind":{"const":"x"},"n":{"type":"integer"}},"required":["kind"],"anyOf":[{"required":["n"]},{"required":["kind"]}]}`,
		`{"type":"object","allOf":[{"properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"number","minimum":2}},"required":["b"]}]}`,
	}
	for _, p := range []string{
		`{"type":"string"}`, `{"type":"string","minLength":9}`, `{"type":"string","maxLength":2}`, `{"type":"string","minLength":3,"maxLength":3}`,
		`{"type":"string","enum":["é","b"]}`, `{"enum":[3,"x"]}`, `{"const":null}`, `{"const":{"a":[1]}}`, `{"type":["null","string"]}`, `{"type":["integer","string"]}`,
		`{"type":"string","format":"date-time"}`, `{"type":"boolean"}`, `{"type":"null"}`, `{"type":"string","default":"d"}`,
		`{"type":"integer"}`, `{"type":"integer","minimum":1.5}`, `{"type":"integer","minimum":3,"maximum":3}`, `{"type":"integer","maximum":-2}`,
		`{"type":"integer","exclusiveMinimum":0}`, `{"type":"integer","exclusiveMinimum":4.5}`, `{"type":"integer","exclusiveMaximum":0}`, `{"type":"integer","exclusiveMaximum":-7}`,
		`{"type":"integer","multipleOf":7,"minimum":8}`, `{"type":"integer","multipleOf":5,"maximum":-3}`, `{"type":"integer","minimum":-5,"maximum":5}`,
		`{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}`, `{"type":"number","exclusiveMinimum":-1,"exclusiveMaximum":0}`, `{"type":"number","multipleOf":0.5,"minimum":0.7}`, `{"type":"number","maximum":-0.5}`,
		`{"type":"array","items":{"type":"string"}}`, `{"type":"array","items":{"type":"integer","minimum":1},"minItems":3}`, `{"type":"array","minItems":2,"maxItems":2,"prefixItems":[{"type":"string"},{"type":"boolean"}]}`,
		`{"type":"object","properties":{"q":{"type":"array","items":{"type":"object","properties":{"r":{"type":"null"}},"required":["r"]},"minItems":1}},"required":["q"]}`,
		`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `{"oneOf":[{"type":"integer","minimum":2},{"type":"string"}]}`, `{"allOf":[{"type":"integer"},{"minimum":4},{"maximum":4}]}`,
		`{"anyOf":[{"allOf":[{"type":"string"},{"minLength":6}]}]}`, `{}`,
	} {
		schemas = append(schemas, property(p))
	}
	for _, raw := range schemas {
		var root schema
		if err := json.Unmarshal([]byte(raw), &root); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		sample := sampleOf(json.RawMessage(raw))
		var v any
		if err := json.Unmarshal(sample, &v); err != nil {
			t.Fatalf("%v: %s", err, sample)
		}
		if why := fits(root, root, v); why != "" {
			t.Errorf("%s\n%s: %s", raw, sample, why)
		}
	}
}

// A schema of no use, or a hostile one, gives an object all the same, soon.
func TestSamplesOfHostileSchemas(t *testing.T) {
	many := `"a"`
	props := `"a":{"$ref":"#"}`
	for i := range 50 {
		many += fmt.Sprintf(`,"a%d"`, i)
		props += fmt.Sprintf(`,"a%d":{"$ref":"#"}`, i)
	}
	for name, raw := range map[string]string{
		"none":             ``,
		"not an object":    `[]`,
		"a string":         `{"type":"string"}`,
		"a ref to itself":  `{"$ref":"#"}`,
		"refs to itself":   `{"allOf":[` + strings.Repeat(`{"$ref":"#"},`, 50) + `{"$ref":"#"}]}`,
		"requires itself":  `{"type":"object","properties":{` + props + `},"required":[` + many + `]}`,
		"arrays of arrays": `{"type":"object","required":["a"],"properties":{"a":{"$ref":"#/x"}},"x":{"type":"array","minItems":1000000000,"items":{"$ref":"#/x"}}}`,
		"long strings":     `{"type":"object","required":["a"],"properties":{"a":{"type":"string","minLength":1e300}}}`,
		"a bad ref":        `{"type":"object","required":["a"],"properties":{"a":{"$ref":"http://elsewhere"}}}`,
		"wrong types":      `{"type":7,"required":"a","properties":[],"allOf":{},"enum":5,"minItems":"x"}`,
	} {
		if sample := sampleOf(json.RawMessage(raw)); !json.Valid(sample) || sample[0] != '{' || len(sample) > 8<<20 {
			t.Errorf("%s: %.80s", name, sample)
		}
	}
}

func FuzzSample(f *testing.F) {
	f.Add([]byte(`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`))
	f.Add([]byte(`{"type":"integer","minimum":1,"multipleOf":0}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if sample := sampleOf(raw); !json.Valid(sample) || sample[0] != '{' {
			t.Fatalf("%s", sample)
		}
	})
}
