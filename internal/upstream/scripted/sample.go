package scripted

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// sampleOf makes a small instance of a JSON schema: what a tool call must carry
// to be valid. It does not solve pattern, not, uniqueItems and contains; the
// subset that the service takes for structured output has none of them.
func sampleOf(of json.RawMessage) json.RawMessage {
	var root schema
	if err := json.Unmarshal(of, &root); err != nil {
		return json.RawMessage(`{}`)
	}
	v := (&sampler{root: root, left: maxSchemaNodes}).instance(root, 0)
	if _, ok := v.(schema); !ok {
		v = schema{}
	}
	raw, err := messages.Marshal(v)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return raw
}

// A schema may refer to itself, more than once: depth and size are bounded.
const (
	maxSchemaDepth = 16
	maxSchemaNodes = 10_000
)

type schema = map[string]any

type sampler struct {
	root schema
	left int // schemas that may still be looked at
}

func (p *sampler) spent(depth int) bool {
	p.left--
	return depth > maxSchemaDepth || p.left < 0
}

// instance makes a value of s. What combines schemas is merged first: all of
// allOf, the first of anyOf and of oneOf.
func (p *sampler) instance(s schema, depth int) any {
	if p.spent(depth) {
		return nil
	}
	s = p.whole(s, depth)
	sub := func(v any) any {
		m, _ := v.(schema)
		return p.instance(m, depth+1)
	}
	if v, ok := s["const"]; ok {
		return v
	}
	if v, ok := s["enum"].([]any); ok && len(v) > 0 {
		return v[0]
	}
	if v, ok := s["default"]; ok {
		return v
	}
	t, _ := s["type"].(string)
	if list, ok := s["type"].([]any); ok && len(list) > 0 {
		t, _ = list[0].(string)
	}
	switch t {
	case "object", "":
		props, _ := s["properties"].(schema)
		out := schema{}
		required, _ := s["required"].([]any)
		for _, name := range required {
			if name, ok := name.(string); ok {
				out[name] = sub(props[name])
			}
		}
		return out
	case "array":
		out := []any{}
		prefix, _ := s["prefixItems"].([]any)
		for i := range int(min(number(s, "minItems", 0), 64)) {
			if i < len(prefix) {
				out = append(out, sub(prefix[i]))
			} else {
				out = append(out, sub(s["items"]))
			}
		}
		return out
	case "integer":
		return sampleNumber(s, 1)
	case "number":
		return sampleNumber(s, 0)
	case "boolean":
		return true
	case "null":
		return nil
	default:
		return sampleString(s)
	}
}

// whole resolves $ref and merges what s is combined of.
func (p *sampler) whole(s schema, depth int) schema {
	for _, key := range []string{"$ref", "allOf", "anyOf", "oneOf"} {
		v, ok := s[key]
		if !ok || p.spent(depth) {
			continue
		}
		rest := maps.Clone(s)
		delete(rest, key)
		var parts []any
		switch v := v.(type) {
		case string:
			parts = []any{lookup(p.root, v)}
		case []any:
			parts = v
			if key != "allOf" && len(v) > 0 {
				parts = v[:1]
			}
		}
		for _, part := range parts {
			if part, ok := part.(schema); ok {
				rest = merge(rest, p.whole(part, depth+1))
			}
		}
		s = rest
	}
	return s
}

func merge(a, b schema) schema {
	out := maps.Clone(a)
	for k, v := range b {
		switch old := out[k].(type) {
		case schema: // properties, $defs
			if v, ok := v.(schema); ok {
				both := maps.Clone(old)
				maps.Copy(both, v)
				out[k] = both
				continue
			}
		case []any:
			if v, ok := v.([]any); ok && k == "required" {
				out[k] = slices.Concat(old, v)
				continue
			}
		}
		out[k] = v
	}
	return out
}

func number(s schema, key string, otherwise float64) float64 {
	if n, ok := s[key].(float64); ok {
		return n
	}
	return otherwise
}

// sampleNumber finds the multiple of step, 0 for any number, that is nearest to 0
// within the bounds.
func sampleNumber(s schema, step float64) any {
	if n := number(s, "multipleOf", 0); n > 0 {
		step = n
	}
	low, high := number(s, "minimum", math.Inf(-1)), number(s, "maximum", math.Inf(1))
	over, under := number(s, "exclusiveMinimum", math.Inf(-1)), number(s, "exclusiveMaximum", math.Inf(1))
	v := 0.0
	switch {
	case max(low, over) > 0 || over == 0:
		v = max(low, over)
		if step > 0 {
			v = math.Ceil(v/step) * step
		}
		if v <= over {
			v += cmp.Or(step, min(1, (min(high, under)-v)/2))
		}
	case min(high, under) < 0 || under == 0:
		v = min(high, under)
		if step > 0 {
			v = math.Floor(v/step) * step
		}
		if v >= under {
			v -= cmp.Or(step, min(1, (v-max(low, over))/2))
		}
	}
	return v
}

func sampleString(s schema) string {
	switch f, _ := s["format"].(string); f {
	case "date":
		return "2026-01-02"
	case "date-time":
		return "2026-01-02T03:04:05Z"
	case "time":
		return "03:04:05Z"
	case "email":
		return "someone@example.com"
	case "uri", "url":
		return "https://example.com/"
	case "uuid":
		return "123e4567-e89b-42d3-a456-426614174000"
	}
	v := "text"
	if n, ok := s["minLength"].(float64); ok && len(v) < int(n) {
		v = strings.Repeat("x", min(int(n), 1<<16))
	}
	if n, ok := s["maxLength"].(float64); ok && len(v) > int(n) {
		v = v[:max(int(n), 0)]
	}
	return v
}

func lookup(root schema, ref string) schema {
	at := any(root)
	for part := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(ref, "#"), "/"), "/") {
		if part == "" {
			continue
		}
		m, ok := at.(schema)
		if !ok {
			return nil
		}
		at = m[strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")]
	}
	m, _ := at.(schema)
	return m
}
