package localmodel

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/localmodel/enginetest"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var paint = object{"name": "paint", "description": "Paints a wall.", "input_schema": object{
	"type": "object", "properties": object{"colour": object{"enum": []string{"red", "green"}}}, "required": []string{"colour"}, "additionalProperties": false,
}}

var clock = object{"name": "get_time", "description": "Get the current time in a time zone.", "input_schema": object{
	"type": "object", "properties": object{"timezone": object{"type": "string"}}, "required": []string{"timezone"},
}}

// calling is a request that has to call a tool.
func calling(members ...any) object {
	return hello(append([]any{"tools", []object{paint}, "tool_choice", object{"type": "any"}}, members...)...)
}

// willing is one whose model calls it of its own will.
func willing(members ...any) object {
	return hello(append([]any{"tools", []object{paint}, "messages", []object{
		{"role": "user", "content": "go"}, {"role": "assistant", "content": enginetest.CallPrefill},
	}}, members...)...)
}

func TestToolUse(t *testing.T) {
	e := tiny(t, nil)
	a0 := ask(t, e, calling())
	a := a0
	if a.Reason != "tool_use" || len(a.Content) != 1 || a.Usage.Output < 5 {
		t.Fatalf("%+v", a)
	}
	c := a.Content[0]
	var input struct{ Colour string }
	if err := json.Unmarshal(c.Input, &input); err != nil || input.Colour != "red" && input.Colour != "green" {
		t.Errorf("input %s: %v", c.Input, err)
	}
	if c.Type != "tool_use" || c.Name != "paint" || !strings.HasPrefix(c.ID, "toolu_") {
		t.Errorf("%+v", c)
	}
	a = ask(t, e, willing())
	if a.Reason != "tool_use" || len(a.Content) != 2 || a.Content[0].Text != enginetest.CallText || a.Content[1].Name != "paint" {
		t.Errorf("%+v", a)
	}
	// A call that max_tokens cuts off has no input: half of it is no JSON.
	a = ask(t, e, calling("max_tokens", a0.Usage.Output-1))
	if a.Reason != "max_tokens" || len(a.Content) != 1 || string(a.Content[0].Input) != "{}" {
		t.Errorf("%+v", a)
	}
	if a = ask(t, e, calling("max_tokens", 1)); a.Reason != "max_tokens" || len(a.Content) != 0 || a.Usage.Output != 1 {
		t.Errorf("%+v", a)
	}
	if a = ask(t, e, calling("tool_choice", object{"type": "none"})); a.text() != enginetest.Answer || a.Reason != "end_turn" {
		t.Errorf("%+v", a)
	}
}

func TestToolUseStreams(t *testing.T) {
	e := tiny(t, nil)
	whole := ask(t, e, willing())
	s := open(t, e, willing("stream", true))
	var events []string
	var input strings.Builder
	for {
		name, v, err := s.next()
		if err != nil {
			break
		}
		if i, ok := v["index"]; ok {
			name += " " + string('0'+rune(i.(float64)))
		}
		switch {
		case strings.HasPrefix(name, "content_block_start"):
			b := v["content_block"].(object)
			name += " " + b["type"].(string)
			if b["type"] == "tool_use" && (b["name"] != "paint" || len(b["input"].(object)) != 0 || !strings.HasPrefix(b["id"].(string), "toolu_")) {
				t.Errorf("%v", b)
			}
		case strings.HasPrefix(name, "content_block_delta"):
			d := v["delta"].(object)
			name += " " + d["type"].(string)
			if d["type"] == "input_json_delta" {
				input.WriteString(d["partial_json"].(string))
			}
		case name == "message_delta" && v["delta"].(object)["stop_reason"] != "tool_use":
			t.Errorf("%v", v)
		}
		if len(events) == 0 || events[len(events)-1] != name {
			events = append(events, name)
		}
	}
	want := []string{"message_start", "content_block_start 0 text", "content_block_delta 0 text_delta", "content_block_stop 0",
		"content_block_start 1 tool_use", "content_block_delta 1 input_json_delta", "content_block_stop 1", "message_delta", "message_stop"}
	if !slices.Equal(events, want) {
		t.Errorf("got %q", events)
	}
	var compact bytes.Buffer // the encoder drops space, a stream has it
	if err := json.Compact(&compact, []byte(input.String())); err != nil || compact.String() != string(whole.Content[1].Input) {
		t.Errorf("streamed %q, whole %s", input.String(), whole.Content[1].Input)
	}
}

func TestToolsAreCounted(t *testing.T) {
	e := tiny(t, nil)
	for _, r := range []object{calling(), willing(), hello("output_format", object{"type": "json_schema", "schema": object{"type": "boolean"}})} {
		a, c := ask(t, e, r), post(t, e, "/v1/messages/count_tokens", r)
		if bare := post(t, e, "/v1/messages/count_tokens", hello()).Count; c.Count != a.Usage.Input || c.Count < bare+50 {
			t.Errorf("%d tokens counted, %d used, %d without tools", c.Count, a.Usage.Input, bare)
		}
	}
}

func TestSchemasAreRefused(t *testing.T) {
	e := tiny(t, nil)
	bad := object{"name": "x", "input_schema": object{"type": "object", "properties": object{"a/b": object{"not": object{}}}}}
	a := post(t, e, "/v1/messages", hello("tools", []object{bad}))
	if a.Status != http.StatusBadRequest || a.Error.Message != "tools.0.input_schema/properties/a~1b/not: the embedded model cannot be held to this schema: not supported" {
		t.Errorf("%d %+v", a.Status, a.Error)
	}
}

// What the real model writes under a schema is valid for it, however it is drawn.
func TestRealModelFollowsSchemas(t *testing.T) {
	e := tiny(t, func(o *Options) { o.Weights = enginetest.Weights(t) })
	for name, c := range map[string]struct{ schema, question string }{
		"a person":      {`{"type":"object","properties":{"name":{"type":"string","maxLength":40},"born":{"type":"integer","minimum":1000,"maximum":2030},"alive":{"type":"boolean"}},"required":["name","born","alive"],"additionalProperties":false}`, "Who was Ada Lovelace?"},
		"a date":        {`{"type":"object","properties":{"on":{"type":"string","format":"date"},"at":{"type":["string","null"],"pattern":"^[0-2][0-9]:[0-5][0-9]$"}},"required":["on","at"]}`, "When did the Berlin Wall fall?"},
		"a list":        {`{"type":"array","items":{"type":"string","minLength":1,"maxLength":20},"minItems":3,"maxItems":3}`, "Name three fruits."},
		"a choice":      {`{"oneOf":[{"type":"object","properties":{"kind":{"const":"city"},"country":{"type":"string","maxLength":30}},"required":["kind","country"]},{"type":"object","properties":{"kind":{"const":"river"},"length_km":{"type":"number","minimum":0}},"required":["kind","length_km"]}]}`, "What is the Danube?"},
		"a tree":        {`{"$defs":{"node":{"type":"object","properties":{"name":{"enum":["a","b","c"]},"children":{"type":"array","maxItems":2,"items":{"$ref":"#/$defs/node"}}},"required":["name"]}},"$ref":"#/$defs/node"}`, "Write a small tree."},
		"coordinates":   {`{"type":"object","properties":{"lat":{"type":"number","minimum":-90,"maximum":90},"lon":{"type":"number","minimum":-180,"maximum":180}},"required":["lat","lon"]}`, "Where is Paris?"},
		"in Chinese":    {`{"type":"object","properties":{"首都":{"enum":["北京","東京","巴黎"]}},"required":["首都"]}`, "法國的首都在哪裡？"},
		"names at will": {`{"type":"object","additionalProperties":{"type":"integer","minimum":0,"maximum":99},"propertyNames":{"maxLength":12},"minProperties":1,"maxProperties":3}`, "How many apples and pears are in the basket?"},
	} {
		t.Run(name, func(t *testing.T) {
			judge := judgeOf(t, c.schema)
			for seed := range 2 {
				a := ask(t, e, hello("max_tokens", 150, "temperature", 1, "seed", seed, "messages", []object{{"role": "user", "content": c.question}},
					"output_config", object{"format": object{"type": "json_schema", "schema": json.RawMessage(c.schema)}}))
				t.Logf("%s, %d tokens: %s", a.Reason, a.Usage.Output, a.text())
				if err := judge(a.text()); a.Reason == "end_turn" && err != nil {
					t.Error(err)
				} else if a.Reason != "end_turn" && name != "a tree" {
					t.Errorf("it ends with %s", a.Reason)
				}
				if seed > 0 || !strings.HasPrefix(c.schema, `{"type":"object"`) {
					continue
				}
				a = ask(t, e, hello("max_tokens", 150, "temperature", 1, "seed", seed, "messages", []object{{"role": "user", "content": c.question}},
					"tools", []object{weather, {"name": "note", "input_schema": json.RawMessage(c.schema)}}, "tool_choice", object{"type": "tool", "name": "note"}))
				if a.Reason != "tool_use" || len(a.Content) != 1 || a.Content[0].Name != "note" {
					t.Fatalf("%+v", a)
				}
				if err := judge(string(a.Content[0].Input)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	a := ask(t, e, hello("messages", []object{{"role": "user", "content": "What is the weather in Paris?"}}, "tools", []object{weather, clock}, "tool_choice", object{"type": "any"}))
	if a.Reason != "tool_use" || a.Content[0].Name != "get_weather" || !strings.Contains(string(a.Content[0].Input), "Paris") {
		t.Errorf("%s %+v", a.Reason, a.Content)
	}
}

// judgeOf holds texts against a schema.
func judgeOf(t *testing.T, schema string) func(string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) error {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			return errors.New(text + " is no JSON")
		}
		return s.Validate(v)
	}
}
