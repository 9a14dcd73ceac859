package grammar

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// schemas that are followed, with some values that must be writable and some
// that must not.
var schemas = []struct {
	name, schema string
	yes, no      []string
}{
	{"anything", `true`, []string{`null`, `{"a": [1, {"b":"c"}]}`, `-1.5`, `""`}, []string{``, `01`, `{a:1}`, `[1,]`}},
	{"anything, spelled out", `{}`, []string{`1`, `[]`, `{}`}, nil},
	{"an object", `{"type":"object"}`, []string{`{}`, `{"a": null}`}, []string{`[]`}},
	{"a tool without arguments", `{"type":"object","properties":{}}`, []string{`{}`}, []string{`{"a":1}`}},
	{"required and optional", `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"type":"boolean"}},"required":["b"],"additionalProperties":false}`,
		[]string{`{"b":""}`, `{"a": 1, "b": "x", "c": true}`, `{"a":1,"b":"x"}`, `{"b":"x","c":false}`}, []string{`{}`, `{"a":1}`, `{"b":"x",}`, `{,"b":"x"}`, `{"b":"x","a":1}`, `{"b":"x","d":1}`}},
	{"all optional", `{"type":"object","properties":{"a":{},"b":{},"c":{}}}`, []string{`{}`, `{"b":1}`, `{"a":1,"c":2}`}, []string{`{"c":1,"a":1}`}},
	{"names that need escapes", `{"properties":{"a\"b\\":{"const":1},"漢字":{"const":2},"a/b~c":{"const":3},"\u0000\n":{"const":4}},"required":["a\"b\\"]}`,
		[]string{`{"a\"b\\": 1, "漢字": 2}`, `{"a\"b\\": 1, "a/b~c": 3, "\u0000\n": 4}`}, nil},
	{"required but not described", `{"type":"object","properties":{"a":{"type":"null"}},"required":["a","z"],"additionalProperties":{"type":"integer"}}`, []string{`{"a":null,"z":1}`}, []string{`{"a":null}`, `{"a":null,"z":"x"}`}},
	{"a map", `{"type":"object","additionalProperties":{"type":"integer"},"minProperties":1,"maxProperties":3}`, []string{`{"a":1}`, `{"a":1,"b":2,"c":3}`}, []string{`{}`, `{"a":"b"}`, `{"a":1,"b":2,"c":3,"d":4}`}},
	{"a map by name", `{"type":"object","propertyNames":{"enum":["x","y"]},"additionalProperties":{"type":"boolean"}}`, []string{`{"x":true}`}, []string{`{"z":true}`}},
	{"a map by pattern", `{"type":"object","patternProperties":{"^k_[a-z]+$":{"type":"integer"}},"additionalProperties":false}`, []string{`{}`, `{"k_a":1}`}, []string{`{"a":1}`}},
	{"a pattern that names nothing here", `{"type":"object","properties":{"a":{"type":"null"}},"patternProperties":{"^x-":{"type":"integer"}},"propertyNames":{"type":"string"}}`, []string{`{"a":null}`}, nil},
	{"one of three members", `{"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"minProperties":1,"maxProperties":1}`, []string{`{"a":1}`, `{"b":2}`, `{"c":3}`}, []string{`{}`, `{"a":1,"b":2}`}},
	{"at least two members", `{"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"minProperties":2}`, []string{`{"a":1,"c":3}`, `{"a":1,"b":2,"c":3}`}, []string{`{"a":1}`}},
	{"a member that may not be", `{"type":"object","properties":{"a":false,"b":{"const":1}}}`, []string{`{}`, `{"b":1}`}, []string{`{"a":1}`}},
	{"no other members", `{"allOf":[{"properties":{"a":{"const":1}}},{"properties":{"b":{"const":2}}}],"unevaluatedProperties":false}`, []string{`{"a":1,"b":2}`}, nil},

	{"an array", `{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}`, []string{`[1]`, `[1, 2,3]`}, []string{`[]`, `[1,2,3,4]`, `["a"]`, `[1 ,2]`}},
	{"any array", `{"type":"array"}`, []string{`[]`, `[1,"a",[]]`}, nil},
	{"an empty array", `{"type":"array","maxItems":0}`, []string{`[]`}, []string{`[1]`}},
	{"one element", `{"type":"array","minItems":1,"maxItems":1}`, []string{`[1]`}, []string{`[]`, `[1,2]`}},
	{"items that can't be", `{"type":"array","items":false}`, []string{`[]`}, []string{`[1]`}},
	{"a pair", `{"type":"array","prefixItems":[{"type":"number"},{"type":"string"}],"minItems":2,"items":false}`, []string{`[1,"a"]`}, []string{`[1]`, `[1,"a",2]`}},
	{"a tuple and more", `{"type":"array","prefixItems":[{"const":1},{"const":2}],"items":{"const":3},"minItems":1,"maxItems":4}`, []string{`[1]`, `[1,2]`, `[1,2,3,3]`}, []string{`[]`, `[1,3]`, `[1,2,3,3,3]`}},
	{"a tuple, open", `{"type":"array","prefixItems":[{"const":1}],"minItems":3}`, []string{`[1,null,"x"]`}, []string{`[1]`}},
	{"a short tuple", `{"type":"array","prefixItems":[{"const":1},{"const":2},{"const":3}],"maxItems":2}`, []string{`[]`, `[1,2]`}, []string{`[1,2,3]`}},
	{"a set", `{"type":"array","items":{"enum":["a","b","c"]},"uniqueItems":true,"minItems":1}`, []string{`["a"]`, `["a","c"]`}, []string{`[]`, `["a","a"]`}},
	{"a set of one", `{"type":"array","items":{"type":"string"},"uniqueItems":true,"maxItems":1}`, []string{`[]`, `["a"]`}, []string{`["a","a"]`}},

	{"a string", `{"type":"string"}`, []string{`""`, `"a\"\\\n漢🙂"`}, []string{`"a`, "\"\n\"", `"\x"`, `"\u0041"`, "\"\x7f\x00\""}},
	{"lengths", `{"type":"string","minLength":2,"maxLength":4}`, []string{`"ab"`, `"漢字🙂é"`, `"\"\""`}, []string{`"a"`, `"abcde"`}},
	{"a length without end", `{"type":"string","maxLength":100000}`, []string{`""`, `"abc"`}, nil},
	{"an enum", `{"enum":["red","green","grey",null,1,1.50,{"a":[1]},"re","\u00e9\/"]}`, []string{`"red"`, `"re"`, `"grey"`, `null`, `1.50`, `{"a":[1]}`, `"é/"`}, []string{`"gre"`, `"blue"`, `2`}},
	{"an enum of one type", `{"type":["string","integer"],"enum":["a",null,1,1.5]}`, []string{`"a"`, `1`}, []string{`null`, `1.5`}},
	{"a constant", `{"const":"漢字"}`, []string{`"漢字"`}, []string{`"漢"`}},
	{"both enum and const", `{"enum":[1,2],"const":2.0}`, []string{`2.0`}, []string{`1`}},
	{"a pattern", `{"type":"string","pattern":"^[A-Z]{2}-\\d+$"}`, []string{`"AB-1"`, `"ZZ-0123"`}, []string{`"A-1"`, `"AB-"`, `"AB-1x"`}},
	{"a pattern anywhere", `{"type":"string","pattern":"a+b"}`, []string{`"aab"`}, []string{`"b"`}},
	{"a pattern of alternatives", `{"type":"string","pattern":"^(cat|dog)s?$|^fish$"}`, []string{`"cat"`, `"dogs"`, `"fish"`}, []string{`"fishs"`}},
	{"a pattern within limits", `{"type":"string","pattern":"^[a-z][a-z0-9-]*$","minLength":3,"maxLength":5}`, []string{`"a-1"`, `"abcde"`}, []string{`"ab"`, `"abcdef"`, `"1ab"`}},
	{"a pattern with a long limit", `{"type":"string","pattern":"^[a-z]*$","maxLength":4000}`, []string{`""`, `"abc"`}, nil},
	{"what a string must escape", `{"type":"string","pattern":"^[^a]\\\\.$"}`, []string{`"\"\\b"`, `"\\\\\t"`}, []string{`"a\\b"`}},
	{"characters by number", `{"type":"string","pattern":"^[\\u4e00-\\u9fa5]{2}$"}`, []string{`"漢字"`}, []string{`"ab"`}},
	{"space and its opposite", `{"type":"string","pattern":"^\\S+\\s\\S+$"}`, []string{`"a b"`, `"漢\t字"`}, []string{`"ab"`, "\"a\u00a0b c\""}},

	{"an integer", `{"type":"integer"}`, []string{`0`, `-7`, `123456789012345`}, []string{`-0`, `01`, `1.0`, `+1`, `--1`}},
	{"a number", `{"type":"number"}`, []string{`0`, `-0.5`, `3.141592`, `10`}, []string{`.5`, `1.`, `00`, `-0`, `-0.0`}},
	{"zero to ten", `{"type":"integer","minimum":0,"maximum":10}`, []string{`0`, `9`, `10`}, []string{`11`, `-1`, `00`, `100`}},
	{"a percentage", `{"type":"number","minimum":0,"maximum":100}`, []string{`0`, `0.5`, `99.99`, `100`, `100.0`}, []string{`100.1`, `-1`, `101`}},
	{"a probability", `{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}`, []string{`0.5`, `0.000001`}, []string{`0`, `1`, `0.0`, `1.0`}},
	{"a latitude", `{"type":"number","minimum":-90,"maximum":90}`, []string{`-90`, `-12.5`, `0`, `0.25`, `90`}, []string{`-90.1`, `91`}},
	{"a narrow range", `{"type":"number","minimum":-0.25,"maximum":0.125}`, []string{`-0.25`, `0`, `0.125`, `-0.1`}, []string{`0.126`, `-0.3`, `1`}},
	{"years", `{"type":"integer","minimum":1987,"maximum":2031}`, []string{`1987`, `1999`, `2000`, `2031`}, []string{`1986`, `2032`, `987`}},
	{"limits of both kinds", `{"type":"integer","minimum":3,"exclusiveMinimum":3,"maximum":9,"exclusiveMaximum":12}`, []string{`4`, `9`}, []string{`3`, `10`}},
	{"no upper limit", `{"type":"integer","minimum":17}`, []string{`17`, `20`, `100`}, []string{`16`, `9`}},
	{"below zero", `{"type":"number","maximum":-3}`, []string{`-3`, `-3.5`, `-100`}, []string{`-2.9`, `3`}},
	{"tens", `{"type":"integer","multipleOf":10,"minimum":-20,"maximum":30}`, []string{`0`, `10`, `-20`, `30`}, []string{`5`, `40`, `00`}},
	{"cents", `{"type":"number","multipleOf":0.01,"minimum":0}`, []string{`0`, `1.5`, `1.25`}, []string{`1.255`}},
	{"threes", `{"type":"integer","multipleOf":3,"minimum":1,"maximum":30}`, []string{`3`, `30`}, []string{`1`, `0`}},
	{"halves that are whole", `{"type":"integer","multipleOf":0.5,"minimum":0,"maximum":2}`, []string{`0`, `1`, `2`}, nil},
	{"halves", `{"type":"number","multipleOf":0.5,"minimum":0,"maximum":2}`, []string{`0.0`, `0.5`, `2.0`}, []string{`0.7`}},

	{"null or text", `{"type":["string","null"]}`, []string{`null`, `"a"`}, []string{`1`}},
	{"integers are numbers", `{"type":["integer","number"]}`, []string{`1.5`, `1`}, nil},
	{"a type by its keywords", `{"minLength":3}`, []string{`"abc"`}, []string{`"ab"`, `1`}},
	{"any of", `{"anyOf":[{"type":"integer"},{"type":"null"}]}`, []string{`1`, `null`}, []string{`"a"`}},
	{"any of, beside a base", `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"additionalProperties":false,"anyOf":[{"required":["a"]},{"required":["b"]}]}`,
		[]string{`{"a":1}`, `{"b":1}`, `{"a":1,"b":2}`}, []string{`{}`}},
	{"one of, told apart by type", `{"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}},{"type":"null"}]}`, []string{`"a"`, `["a"]`, `null`}, nil},
	{"one of, told apart by a constant", `{"oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},{"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]}]}`,
		[]string{`{"kind":"a","x":1}`, `{"kind":"b"}`}, []string{`{"kind":"b","x":1}`}},
	{"one of, told apart by members", `{"oneOf":[{"properties":{"a":{"type":"integer"}},"required":["a"],"type":"object"},{"properties":{"b":{"type":"integer"}},"required":["b"],"type":"object"}]}`, []string{`{"a":1}`, `{"b":1}`}, nil},
	{"one of references", `{"$defs":{"A":{"properties":{"k":{"enum":["x","y"]}},"required":["k"]},"B":{"properties":{"k":{"const":"z"}},"required":["k"]}},"type":"object","oneOf":[{"$ref":"#/$defs/A"},{"$ref":"#/$defs/B"}]}`, []string{`{"k":"y"}`, `{"k":"z"}`}, nil},
	{"all of one", `{"allOf":[{"type":"integer","minimum":3}],"description":"x"}`, []string{`3`}, []string{`2`}},
	{"all of several", `{"allOf":[{"type":"integer","minimum":3},{"minimum":5,"maximum":7},{"type":["number","string"]}]}`, []string{`5`, `7`}, []string{`3`}},
	{"all of objects", `{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"a":{"maximum":5},"b":{"const":1}},"required":["b"]}]}`, []string{`{"a":5,"b":1}`}, []string{`{"a":6,"b":1}`, `{"a":5}`}},
	{"a closed part", `{"allOf":[{"type":"object","properties":{"a":{"const":1}},"additionalProperties":false},{"properties":{"a":true,"b":{"const":2}}}]}`, []string{`{"a":1}`, `{}`}, []string{`{"a":1,"b":2}`}},
	{"a reference", `{"$defs":{"p":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}},"type":"array","items":{"$ref":"#/$defs/p"}}`, []string{`[]`, `[{"x":1}]`}, []string{`[{}]`}},
	{"a reference by path", `{"properties":{"a/b":{"type":"integer"},"c":{"$ref":"#/properties/a~1b"},"d":{"$ref":"#/anyThing/0"},"e":{"$ref":"#/%24defs/q"}},"$defs":{"q":{"const":1}},"anyThing":[{"const":"z"}]}`, []string{`{"a/b":1,"c":2,"d":"z","e":1}`}, nil},
	{"a reference with neighbours", `{"$defs":{"n":{"type":"integer"}},"$ref":"#/$defs/n","minimum":3,"maximum":4}`, []string{`3`, `4`}, []string{`5`}},
	{"a tree", `{"type":"object","properties":{"value":{"type":"integer"},"children":{"type":"array","items":{"$ref":"#"}}},"required":["value"],"additionalProperties":false}`,
		[]string{`{"value":1}`, `{"value":1,"children":[{"value":2,"children":[]}]}`}, []string{`{"children":[]}`}},
	{"a list with an end", `{"$defs":{"node":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["next"]}},"$ref":"#/$defs/node"}`, []string{`{"next":null}`, `{"next":{"next":null}}`}, nil},
	{"what means nothing to a reader", `{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"https://example.com/s","title":"t","description":"d","default":1,"examples":[1],"deprecated":true,"x-order":3,"nullable":true,"type":"integer","format":"int32"}`, []string{`1`}, nil},
}

func TestSchemas(t *testing.T) {
	for _, c := range schemas {
		t.Run(c.name, func(t *testing.T) {
			g, err := Compile(json.RawMessage(c.schema))
			if err != nil {
				t.Fatal(err)
			}
			judge, err := validator(c.schema)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range c.yes {
				if !admits(g, s) {
					t.Errorf("%s cannot be written\n%s", s, g)
				}
			}
			for _, s := range c.no {
				if admits(g, s) {
					t.Errorf("%s can be written\n%s", s, g)
				}
			}
			if err := walk(g, judge, 1, 200); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	for name := range formats {
		for _, limits := range []string{``, `,"maxLength":2083,"minLength":1`, `,"minLength":12`} {
			schema := fmt.Sprintf(`{"type":"string","format":%q%s}`, name, limits)
			g, err := Compile(json.RawMessage(schema))
			if err != nil {
				if limits == `,"minLength":12` && strings.Contains(err.Error(), "no value fits") {
					continue // a date has ten characters
				}
				t.Errorf("%s: %v", schema, err)
				continue
			}
			judge, err := validator(schema)
			if err != nil {
				t.Fatal(err)
			}
			if err := walk(g, judge, 2, 300); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	for schema, want := range map[string]string{
		`[]`:                                `it should be an object`,
		`"string"`:                          `it should be an object`,
		`{"type":"object"`:                  `it should be an object`,
		`{"type":"text"}`:                   `/type: no type is called "text"`,
		`{"type":5}`:                        `/type: it should be a type or a list of types`,
		`{"type":1,"type":2}`:               `/type: it stands there twice`,
		`false`:                             `no value fits it`,
		`{"type":[]}`:                       `no value fits it`,
		`{"not":{}}`:                        `/not: not supported`,
		`{"if":{}}`:                         `/if: not supported`,
		`{"items":{"not":{}}}`:              `/items/not: not supported`,
		`{"contains":{}}`:                   `/contains: not supported`,
		`{"dependentRequired":{"a":["b"]}}`: `/dependentRequired: not supported`,
		`{"properties":{"a/b~":{"type":"object","$dynamicRef":"#x"}}}`: `/properties/a~1b~0/$dynamicRef: not supported`,
		`{"properties":{"a":5}}`:                                                   `/properties/a: it should be an object`,
		`{"properties":[]}`:                                                        `/properties: it should be an object`,
		`{"required":"a"}`:                                                         `/required: it should be a list of names`,
		`{"required":["a"],"additionalProperties":false}`:                          `no value fits it`,
		`{"type":"object","minProperties":2}`:                                      `/minProperties: more than 1 is not supported`,
		`{"patternProperties":{"a":{},"b":{}}}`:                                    `/patternProperties: only one pattern`,
		`{"properties":{"ab":{}},"patternProperties":{"^a":{}}}`:                   `/patternProperties/^a: not supported beside a property`,
		`{"properties":{"ab":{}},"propertyNames":{"maxLength":1}}`:                 `/propertyNames: not supported beside named properties`,
		`{"type":"object","unevaluatedProperties":{"type":"string"}}`:              `/unevaluatedProperties: a schema is not supported`,
		`{"type":"array","uniqueItems":true}`:                                      `/uniqueItems: supported only where the items have an enum`,
		`{"type":"array","minItems":2001}`:                                         `/minItems: more than 2000 is not supported`,
		`{"type":"array","minItems":-1}`:                                           `/minItems: it should be a count`,
		`{"type":"array","minItems":3,"maxItems":2}`:                               `no value fits it`,
		`{"type":"string","minLength":1.5}`:                                        `/minLength: it should be a count`,
		`{"type":"string","minLength":3,"maxLength":2}`:                            `no value fits it`,
		`{"type":"string","pattern":"(?=a)"}`:                                      `/pattern: (?= is not supported`,
		`{"type":"string","pattern":"(?i)a"}`:                                      `/pattern: (?i is not supported`,
		`{"type":"string","pattern":"\\bword\\b"}`:                                 `/pattern: a word boundary is not supported`,
		`{"type":"string","pattern":"(a)\\1"}`:                                     `/pattern: not a regular expression that is supported`,
		`{"type":"string","pattern":"\\Aa\\z"}`:                                    `/pattern: \A is not supported`,
		`{"type":"string","pattern":"[[:alpha:]]"}`:                                `/pattern: [: is not supported`,
		`{"type":"string","pattern":5}`:                                            `/pattern: it should be a string`,
		`{"type":"string","pattern":"a$b"}`:                                        `no value fits it`,
		`{"type":"string","pattern":"^[a-z]{3}$","minLength":4}`:                   `no value fits it`,
		`{"type":"string","pattern":"a","format":"date"}`:                          `/format: not supported beside a pattern`,
		`{"enum":["a"],"minLength":1}`:                                             `/minLength: not supported beside enum or const`,
		`{"enum":5}`:                                                               `/enum: it should be a list of values`,
		`{"enum":[]}`:                                                              `no value fits it`,
		`{"type":"integer","minimum":"3"}`:                                         `/minimum: it should be a number`,
		`{"type":"integer","minimum":0.2,"maximum":0.8}`:                           `no value fits it`,
		`{"type":"integer","minimum":1e30}`:                                        `/minimum: numbers of more than 15 digits are not supported`,
		`{"type":"integer","maximum":1e999999999}`:                                 `/maximum: the number is too long`,
		`{"type":"integer","exclusiveMinimum":true}`:                               `/exclusiveMinimum: it should be a number`,
		`{"type":"integer","multipleOf":7}`:                                        `/multipleOf: supported for powers of ten`,
		`{"type":"integer","multipleOf":0}`:                                        `/multipleOf: it should be above 0`,
		`{"$ref":"https://example.com/s"}`:                                         `/$ref: only a JSON pointer into this schema`,
		`{"$ref":"#anchor"}`:                                                       `/$ref: only a JSON pointer into this schema`,
		`{"$ref":"#/$defs/gone"}`:                                                  `/$ref: nothing stands at #/$defs/gone`,
		`{"$ref":"#"}`:                                                             `no value fits it`,
		`{"anyOf":[{"$ref":"#"},{"type":"null"}]}`:                                 `it refers to itself without anything between`,
		`{"type":"object","properties":{"next":{"$ref":"#"}},"required":["next"]}`: `no value fits it`,
		`{"type":"object","properties":{"next":{"$ref":"#","minProperties":1}}}`:   `it lies deeper than 64 levels`,
		`{"properties":{"a":{"$id":"x","type":"string"}}}`:                         `/properties/a/$id: supported at the root alone`,
		`{"anyOf":[]}`: `/anyOf: it should not be empty`,
		`{"oneOf":[{"type":"integer"},{"type":"number"}]}`:                                                                      `/oneOf: a value may fit both its schemas 0 and 1`,
		`{"oneOf":[{"type":"object","properties":{"a":{}}},{"type":"object","properties":{"b":{}}}]}`:                           `/oneOf: a value may fit both`,
		`{"allOf":[{"pattern":"a"},{"pattern":"b"}]}`:                                                                           `/allOf/1/pattern: not supported beside another pattern`,
		`{"allOf":[{"additionalProperties":{"type":"string"}},{"properties":{"a":{}}}]}`:                                        `/allOf/0/additionalProperties: a schema here beside the property`,
		`{"allOf":[{"prefixItems":[{}]},{"items":{"type":"string"}}]}`:                                                          `/allOf/0/prefixItems: not supported beside the items of another part`,
		strings.Repeat(`{"items":`, 100) + `{}` + strings.Repeat(`}`, 100):                                                      `it lies deeper than 64 levels`,
		`{"prefixItems":[` + strings.Repeat(`{"type":"string","pattern":"^[a-z]+x[a-z]+$","maxLength":2000},`, 2000) + `true]}`: `/pattern: the schema spreads out too far`,
		wide(): `it begins in more than 1000 ways`,
	} {
		_, err := Compile(json.RawMessage(schema))
		var u *Unsupported
		if !errors.As(err, &u) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s\n got %v\nwant %s", schema, err, want)
		}
	}
}

// wide doubles its ways with each definition.
func wide() string {
	var b strings.Builder
	b.WriteString(`{"$defs":{`)
	for i := range 25 {
		fmt.Fprintf(&b, `"d%d":{"anyOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	b.WriteString(`"d25":{"type":"null"}},"$ref":"#/$defs/d0"}`)
	return b.String()
}

func TestString(t *testing.T) {
	g, err := Compile(json.RawMessage(`{"type":"object","properties":{"a-b":{"enum":["x]","^\"y"]},"n":{"type":"array","items":{"type":"boolean"},"maxItems":4}},"required":["a-b"]}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = `root ::= object
object ::= "{" rest "}"
rest ::= member rest-1
member ::= "\"a\-b\"" ":" space "\"" ("x\]\"" | "\x5E\\\"y\"")
space ::= " "?
rest-1 ::= "," space member-1 | ""
member-1 ::= "\"n\"" ":" space array
array ::= "\[" (("true" | "false") more{0,3})? "\]"
more ::= "," space ("true" | "false")
`
	if got := g.String(); got != want {
		t.Errorf("got\n%s", got)
	}
}

// Whatever the schema, what is compiled is followed.
func FuzzCompile(f *testing.F) {
	for _, c := range schemas {
		f.Add([]byte(c.schema), uint64(1))
	}
	f.Add([]byte(wide()), uint64(1))
	f.Fuzz(func(t *testing.T, schema []byte, seed uint64) {
		if len(schema) > 4096 {
			return
		}
		g, err := Compile(schema)
		if err != nil {
			return
		}
		judge, err := validator(string(schema))
		if err != nil {
			return // keywords that we pass over may be malformed
		}
		if err := walk(g, judge, seed, 20); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	for _, name := range []string{"required and optional", "a tree", "a latitude", "a pattern within limits"} {
		for _, c := range schemas {
			if c.name == name {
				b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						g, err := Compile(json.RawMessage(c.schema))
						if err != nil {
							b.Fatal(err)
						}
						_ = g.String()
					}
				})
			}
		}
	}
}
