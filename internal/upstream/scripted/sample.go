package scripted

import (
	"encoding/json"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// sampleOf makes a small instance of a JSON schema: what a tool call must carry
// to be valid. Patterns are not solved; such a string stays empty.
func sampleOf(schema json.RawMessage) json.RawMessage {
	var root map[string]any
	if err := json.Unmarshal(schema, &root); err != nil {
		return json.RawMessage(`{}`)
	}
	v := instance(root, root, 0)
	if _, ok := v.(map[string]any); !ok {
		v = map[string]any{}
	}
	raw, err := messages.Marshal(v)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return raw
}

const maxSchemaDepth = 16

func instance(root, s map[string]any, depth int) any {
	if depth > maxSchemaDepth {
		return nil
	}
	sub := func(v any) any {
		m, _ := v.(map[string]any)
		return instance(root, m, depth+1)
	}
	if ref, ok := s["$ref"].(string); ok {
		return instance(root, lookup(root, ref), depth+1)
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
	for _, k := range []string{"anyOf", "oneOf", "allOf"} {
		if v, ok := s[k].([]any); ok && len(v) > 0 {
			return sub(v[0])
		}
	}
	t, _ := s["type"].(string)
	if list, ok := s["type"].([]any); ok && len(list) > 0 {
		t, _ = list[0].(string)
	}
	if t == "" && s["properties"] != nil {
		t = "object"
	}
	switch t {
	case "object", "":
		props, _ := s["properties"].(map[string]any)
		out := map[string]any{}
		required, _ := s["required"].([]any)
		for _, name := range required {
			if name, ok := name.(string); ok {
				out[name] = sub(props[name])
			}
		}
		return out
	case "array":
		out := []any{}
		if n, ok := s["minItems"].(float64); ok {
			for range min(int(n), 64) {
				out = append(out, sub(s["items"]))
			}
		}
		return out
	case "integer", "number":
		if n, ok := s["minimum"].(float64); ok {
			return n
		}
		if n, ok := s["exclusiveMinimum"].(float64); ok {
			return n + 1
		}
		if n, ok := s["maximum"].(float64); ok && n < 0 {
			return n
		}
		return 0
	case "boolean":
		return true
	case "null":
		return nil
	default:
		return sampleString(s)
	}
}

func sampleString(s map[string]any) string {
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

func lookup(root map[string]any, ref string) map[string]any {
	at := any(root)
	for part := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(ref, "#"), "/"), "/") {
		if part == "" {
			continue
		}
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")]
	}
	m, _ := at.(map[string]any)
	return m
}
