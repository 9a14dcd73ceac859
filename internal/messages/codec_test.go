package messages

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// asAny decodes for comparison: numbers keep their spelling.
func asAny(t *testing.T, raw []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return v
}

// thereAndBack decodes raw into v and wants the same JSON out of it again.
func thereAndBack(t *testing.T, raw []byte, v interface {
	json.Marshaler
	json.Unmarshaler
}) {
	t.Helper()
	if err := v.UnmarshalJSON(raw); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	out, err := v.MarshalJSON()
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if got, want := asAny(t, out), asAny(t, raw); !reflect.DeepEqual(got, want) {
		t.Fatalf("in:  %s\nout: %s", raw, out)
	}
}

// Requests whose bytes a careless codec would lose.
var requests = []string{
	`{"messages":[]}`,
	`{"messages":[{"role":"user","content":"a <b> & 'c' \u2028 é 😀"}],"max_tokens":1}`,
	`{"messages":[{"role":"user","content":[]}],"system":[],"tools":[],"stop_sequences":[]}`,
	`{"messages":[{"role":"user","content":""}],"system":"","model":"","tool_choice":null,"stop_sequences":null,"system2":{"a":1}}`,
	`{"messages":[{"role":"user","content":null},{"role":"user"},{"content":"x"}]}`,
	`{"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"},"new":[1,2.50,1e3]}],"name":"x"}]}`,
	`{"messages":[{"role":"user","content":[{"type":"text"},{"type":"thinking","thinking":"t"},{"type":"tool_use","id":"a"},{"type":"document"},{"type":"image","source":null}]}]}`,
	`{"messages":[{"role":"user","content":[{"type":"document","title":"","context":null,"source":{"type":"base64","media_type":"application/pdf","data":"AA==","page_limit":3},"citations":{"enabled":true}}]}]}`,
	`{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","is_error":false,"content":""},{"type":"tool_result","tool_use_id":"y"},{"type":"tool_result","content":[{"type":"search_result","source":"s"}],"is_error":true}]}]}`,
	`{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"i","name":"n","input":{"Type":"x","big":123456789012345678901234567890}},{"type":"redacted_thinking","data":"ZA=="}]}]}`,
	`{"messages":[{"role":"user","content":[{"type":"tomorrow","x":{"type":"text"}},{"Type":"text","text":"not a text block"},{"kind":"none"}]}]}`,
	`{"messages":[{"Role":"system","role":"user","Content":"other","content":"mine"}],"Messages":[]}`,
	`{"messages":[],"tools":[{"name":"t","description":"","input_schema":{"type":"object"},"strict":true,"defer_loading":false},{"type":"bash_20250124","name":"bash"}],"tool_choice":{"type":"tool","name":"t","disable_parallel_tool_use":true}}`,
	`{"messages":[],"temperature":0.0,"top_p":1E-2,"top_k":0,"stream":false,"thinking":{"type":"enabled","budget_tokens":1024},"anthropic_beta":["a"]}`,
}

var answers = []string{
	`{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"hi","citations":[{"type":"char_location"}]}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2}}`,
	`{"id":"m","content":[],"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0,"ephemeral_1d_input_tokens":7},"output_tokens":0,"service_tier":"standard","server_tool_use":{"web_search_requests":0}}}`,
	`{"id":"m","content":[],"stop_details":{"type":"refusal"},"context_management":null,"usage":null}`,
	`{"id":"m","content":[],"stop_sequence":"###","usage":{"cache_creation":{"ephemeral_5m_input_tokens":3,"later":{}},"cache_read_input_tokens":5}}`,
}

func TestRoundTrip(t *testing.T) {
	for _, raw := range requests {
		thereAndBack(t, []byte(raw), new(Params))
	}
	for _, raw := range answers {
		thereAndBack(t, []byte(raw), new(Message))
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"not an object":          `[]`,
		"null":                   `null`,
		"messages of numbers":    `{"messages":[1]}`,
		"null for a turn":        `{"messages":[null]}`,
		"null for a block":       `{"messages":[{"role":"user","content":[null]}]}`,
		"a type that is no text": `{"messages":[{"role":"user","content":[{"type":5}]}]}`,
		"null for a stop":        `{"messages":[],"stop_sequences":["a",null]}`,
		"content of a number":    `{"messages":[{"role":"user","content":5}]}`,
		"text of a number":       `{"messages":[{"role":"user","content":[{"type":"text","text":5}]}]}`,
	} {
		if err := new(Params).UnmarshalJSON([]byte(raw)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var p Params
	err := p.UnmarshalJSON([]byte(`{"messages":[{"role":"user","content":[{"type":"image","source":7}]}]}`))
	if err == nil || !strings.Contains(err.Error(), "image: source") {
		t.Errorf("the error does not say where: %v", err)
	}
}

// A key in another case is another member: it neither sets the field nor is lost.
func TestCaseVariantsAreOtherMembers(t *testing.T) {
	b, err := DecodeBlock([]byte(`{"type":"text","Text":"evil","text":"good"}`))
	if err != nil {
		t.Fatal(err)
	}
	text := b.(Text)
	if text.Text != "good" || string(text.Rest.Members["Text"]) != `"evil"` {
		t.Fatalf("%+v", text)
	}
}

// What code makes, rather than a caller, has every required member.
func TestMadeByHand(t *testing.T) {
	for _, test := range []struct {
		v    json.Marshaler
		want string
	}{
		{Text{}, `{"type":"text","text":""}`},
		{Thinking{Thinking: "t"}, `{"type":"thinking","thinking":"t","signature":""}`},
		{ToolUse{ID: "i", Name: "n", Input: json.RawMessage(`{"a": 1}`)}, `{"type":"tool_use","id":"i","name":"n","input":{"a":1}}`},
		{ToolResult{ToolUseID: "i", Content: TextContent("x")}, `{"type":"tool_result","tool_use_id":"i","content":"x"}`},
		{ToolResult{ToolUseID: "i", IsError: true}, `{"type":"tool_result","tool_use_id":"i","is_error":true}`},
		{Unknown{Type: "x", Raw: json.RawMessage(`{"type":"x"}`)}, `{"type":"x"}`},
		{Usage{InputTokens: 1}, `{"input_tokens":1,"output_tokens":0}`},
		{Message{ID: "m", Type: "message", Role: "assistant", Model: "c"},
			`{"id":"m","type":"message","role":"assistant","model":"c","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}`},
		{Params{Messages: []Turn{{Role: "user", Content: TextContent("<")}}}, `{"messages":[{"role":"user","content":"<"}]}`},
	} {
		out, err := test.v.MarshalJSON()
		if err != nil || string(out) != test.want {
			t.Errorf("%T: %s, %v; want %s", test.v, out, err, test.want)
		}
	}
}

// A field that was empty and then is set is written as it was set.
func TestSetAfterDecode(t *testing.T) {
	var p Params
	if err := p.UnmarshalJSON([]byte(`{"model":"","messages":[],"tools":[]}`)); err != nil {
		t.Fatal(err)
	}
	p.Model, p.Tools = "m", []Tool{{Name: "t"}}
	out, err := p.MarshalJSON()
	if want := `{"model":"m","messages":[],"tools":[{"name":"t"}]}`; err != nil || string(out) != want {
		t.Fatalf("%s, %v", out, err)
	}
}

func TestPlainTextAndLastUser(t *testing.T) {
	var p Params
	if err := p.UnmarshalJSON([]byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"},{"type":"text","text":"b"}]},{"role":"assistant","content":"c"}]}`)); err != nil {
		t.Fatal(err)
	}
	if got := p.LastUser().Content.PlainText(); got != "a\nb" {
		t.Errorf("%q", got)
	}
	if got := (&Params{}).LastUser(); got.Role != "" {
		t.Errorf("%+v", got)
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, raw := range append(requests, answers...) {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, v := range []interface {
			json.Marshaler
			json.Unmarshaler
		}{new(Params), new(Message)} {
			if v.UnmarshalJSON(raw) != nil {
				continue
			}
			out, err := v.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := asAny(t, out), asAny(t, raw); !reflect.DeepEqual(got, want) {
				t.Fatalf("%T\nin:  %q\nout: %q", v, raw, out)
			}
		}
	})
}
