package grammar

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"
)

// inventor makes random schemas, of keywords that meet in unlikely ways.
type inventor struct{ rnd *rand.Rand }

func (v inventor) pick(s ...any) any  { return s[v.rnd.IntN(len(s))] }
func (v inventor) chance(of int) bool { return v.rnd.IntN(of) == 0 }

func (v inventor) schema(depth int) any {
	if v.chance(20) {
		return v.chance(2)
	}
	s := map[string]any{}
	if !v.chance(5) {
		s["type"] = v.pick("object", "array", "string", "integer", "number", "object", []any{"string", "null"}, []any{"number", "object"}, "boolean")
	}
	for range 1 + v.rnd.IntN(4) {
		v.keyword(s, depth)
	}
	return s
}

func (v inventor) schemas(depth int) (out []any) {
	for range 1 + v.rnd.IntN(3) {
		out = append(out, v.schema(depth))
	}
	return out
}

func (v inventor) names() any {
	return v.pick([]any{"a"}, []any{"b"}, []any{"a", "c"}, []any{"z"}, []any{})
}

func (v inventor) keyword(s map[string]any, depth int) {
	sub := func() any {
		if depth <= 0 {
			return v.pick(true, map[string]any{"type": "integer"}, map[string]any{"const": "x"}, map[string]any{"type": "string"}, map[string]any{"$ref": "#/$defs/d"})
		}
		return v.schema(depth - 1)
	}
	list := func() []any {
		if depth <= 0 {
			return []any{sub(), sub()}
		}
		return v.schemas(depth - 1)
	}
	n := v.rnd.IntN(5)
	switch v.rnd.IntN(24) {
	case 0, 1, 2:
		ps := map[string]any{}
		for _, name := range []string{"a", "b", "c"} {
			if !v.chance(3) {
				ps[name] = sub()
			}
		}
		s["properties"] = ps
	case 3, 4:
		s["required"] = v.names()
	case 5:
		s["additionalProperties"] = v.pick(false, sub())
	case 6:
		s["unevaluatedProperties"] = false
	case 7:
		s["patternProperties"] = map[string]any{"^[ax]": sub()}
	case 8:
		s["propertyNames"] = v.pick(true, map[string]any{"maxLength": 3}, map[string]any{"enum": []any{"a", "q"}})
	case 9:
		s["minProperties"] = n
	case 10:
		s["maxProperties"] = n
	case 11:
		s["items"] = sub()
	case 12:
		s["prefixItems"] = list()
	case 13:
		s["minItems"] = n
	case 14:
		s["maxItems"] = n
	case 15:
		s["uniqueItems"] = true
	case 16:
		s["enum"] = v.pick([]any{"a", "b", nil, 1}, []any{1, 2.5, "x"}, []any{[]any{1}, "b"})
	case 17:
		s[v.pick("minLength", "maxLength").(string)] = n
	case 18:
		s[v.pick("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum").(string)] = v.pick(-12, -1.5, 0, 0.25, 3, 10, 99.5, 1234)
	case 19:
		s["multipleOf"] = v.pick(1, 10, 0.1, 0.5, 3)
	case 20:
		s["pattern"] = v.pick("^[a-c]*$", "x", "^\\d{2,}$", "a|b")
	case 21:
		s[v.pick("anyOf", "oneOf").(string)] = list()
	case 22:
		s["allOf"] = list()
	default:
		s["$ref"] = v.pick("#", "#/$defs/d", "#/$defs/e")
	}
}

// Schemas of parts that meet by chance: what is compiled is followed.
func TestRandomSchemas(t *testing.T) {
	compiled, refusals := 0, map[string]int{}
	for seed := range uint64(4000) {
		v := inventor{rand.New(rand.NewPCG(seed, 2))}
		root, ok := v.schema(2).(map[string]any)
		if !ok {
			continue
		}
		root["$defs"] = map[string]any{"d": v.schema(1), "e": v.schema(1)}
		text, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Compile(text)
		if err != nil {
			var u *Unsupported
			if !errors.As(err, &u) {
				t.Fatalf("%s: %v", text, err)
			}
			refusals[u.Reason]++
			continue
		}
		judge, err := validator(string(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		compiled++
		if err := walk(g, judge, seed, 15); err != nil {
			t.Fatalf("seed %d: %s\n%v", seed, text, err)
		}
	}
	if compiled < 1500 {
		t.Errorf("only %d schemas were compiled", compiled)
	}
	t.Logf("%d compiled, %d kinds of refusals", compiled, len(refusals))
}
