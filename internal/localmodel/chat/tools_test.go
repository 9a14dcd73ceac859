package chat

import (
	"errors"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

const (
	clock   = `{"name":"clock","description":"Tells the \"time\".","input_schema":{"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},"cache_control":{"type":"ephemeral"},"strict":true}`
	weather = `{"type":"custom","name":"weather","input_schema":{"type":"object"},"input_examples":[{"city": "Oslo"}]}`

	clockRead   = `{"name": "clock", "description": "Tells the \"time\".", "parameters": {"type":"object","properties":{"zone":{"type":"string"}},"required":["zone"]}}`
	weatherRead = `{"name": "weather", "parameters": {"type":"object"}, "examples": [{"city":"Oslo"}]}`
)

// request is a request with some more members.
func request(members string) []byte {
	return []byte(`{"max_tokens":5,"temperature":0,"messages":[{"role":"user","content":"hi"}],` + members + `}`)
}

func TestTools(t *testing.T) {
	for name, c := range map[string]struct {
		members string
		tools   string // that may be called; empty: no Calls at all
		must    bool
		system  string
	}{
		"auto is the default": {`"tools":[` + clock + `,` + weather + `]`, "clock weather", false,
			"You have these tools:\n<tools>[" + clockRead + ", " + weatherRead + "]</tools>\n" +
				`To use a tool, answer with <tool_call>[{"name": "...", "arguments": {...}}]</tool_call>`},
		"auto behind a system prompt": {`"system":"Be brief.","tools":[` + weather + `],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, "weather", false,
			"Be brief.\n\nYou have these tools:\n<tools>[" + weatherRead + "]</tools>\n" +
				`To use a tool, answer with <tool_call>[{"name": "...", "arguments": {...}}]</tool_call>`},
		"any": {`"tools":[` + weather + `],"tool_choice":{"type":"any"}`, "weather", true,
			"You have these tools:\n<tools>[" + weatherRead + "]</tools>\n" + `Answer with <tool_call>[{"name": "...", "arguments": {...}}]</tool_call>`},
		"one of two": {`"tools":[` + clock + `,` + weather + `],"tool_choice":{"type":"tool","name":"clock"}`, "clock", true,
			"You have these tools:\n<tools>[" + clockRead + "]</tools>\n" + `Answer with <tool_call>[{"name": "...", "arguments": {...}}]</tool_call>`},
		"one that can be followed beside one that can't": {`"tools":[` + weather + `,{"name":"x","input_schema":{"type":"object","not":{}}}],"tool_choice":{"type":"tool","name":"weather"}`, "weather", true,
			"You have these tools:\n<tools>[" + weatherRead + "]</tools>\n" + `Answer with <tool_call>[{"name": "...", "arguments": {...}}]</tool_call>`},
		"none":     {`"tools":[` + clock + `],"tool_choice":{"type":"none"}`, "", false, ""},
		"no tools": {`"tools":[],"tool_choice":{"type":"auto"}`, "", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Parse(request(c.members), false)
			if err != nil {
				t.Fatal(err)
			}
			var system string
			if r.Turns[0].Role == "system" {
				system = r.Turns[0].Text
			}
			if system != c.system {
				t.Errorf("the model is told\n%s\nwant\n%s", system, c.system)
			}
			if r.Calls == nil {
				if c.tools != "" {
					t.Error("no tool may be called")
				}
				return
			}
			var names []string
			for _, tool := range r.Calls.Tools {
				names = append(names, tool.Name)
			}
			if strings.Join(names, " ") != c.tools || r.Calls.Must != c.must {
				t.Errorf("%q, must %v", names, r.Calls.Must)
			}
		})
	}
}

// The parts of a call, put together, are what a call of the past reads like.
func TestPartsOfACall(t *testing.T) {
	want := render("clock", []byte(`{"zone": "UTC"}`))
	r, err := Parse(request(`"tools":[`+clock+`]`), false)
	if err != nil {
		t.Fatal(err)
	}
	tool := r.Calls.Tools[0]
	if got := r.Calls.BeforeArguments(tool) + ` {"zone":"UTC"}` + callClose; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	if !strings.Contains(tool.Grammar, `\"zone\"`) {
		t.Errorf("the arguments follow\n%s", tool.Grammar)
	}
	if r, err = Parse(request(`"tools":[`+clock+`,`+weather+`]`), false); err != nil {
		t.Fatal(err)
	}
	if got := BeforeName + `clock"` + r.Calls.BeforeArguments(r.Calls.Tools[0]) + ` {"zone":"UTC"}` + callClose; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

func TestFormat(t *testing.T) {
	const schema = `{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}`
	const told = `Answer in JSON that fits this schema: {"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`
	for _, members := range []string{
		`"output_config":{"format":{"type":"json_schema","schema":` + schema + `}}`,
		`"output_format":{"type":"json_schema","schema":` + schema + `}`,
	} {
		r, err := Parse(request(members), false)
		if err != nil {
			t.Fatal(err)
		}
		if r.Turns[0] != (Turn{"system", told}) || !strings.HasPrefix(r.Format, "root ::= object\n") {
			t.Errorf("%s: told %q\n%s", members, r.Turns[0], r.Format)
		}
		r, err = Parse(request(members+`,"system":"Be brief.","tools":[`+weather+`]`), false)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(r.Format, `root ::= object | "<tool_call>"`) || !strings.HasPrefix(r.Turns[0].Text, "Be brief.\n\nYou have") || !strings.HasSuffix(r.Turns[0].Text, "\n\n"+told) {
			t.Errorf("beside tools: told %q\n%s", r.Turns[0], r.Format)
		}
	}
}

func TestToolsRefused(t *testing.T) {
	tool := func(members string) string { return `"tools":[` + weather + `,{` + members + `}]` }
	schema := `"input_schema":{"type":"object"}`
	for members, want := range map[string]string{
		`"tools":5`:                          "tools: Input should be a valid list",
		`"tools":["x"]`:                      "tools.0: Input should be a valid dictionary",
		tool(`"name":"x"`):                   "tools.1.input_schema: Field required",
		tool(schema):                         "tools.1.name: Field required",
		tool(`"name":5,` + schema):           "tools.1.name: Input should be a valid string",
		tool(`"name":"a b",` + schema):       "tools.1.name: String should match pattern",
		tool(`"name":"weather",` + schema):   "tools: Tool names must be unique.",
		tool(`"name":"x","input_schema":[]`): "tools.1.input_schema: Input should be a valid dictionary",
		tool(`"name":"x","input_schema":{}`): "tools.1.input_schema.type: Input should be 'object'",
		tool(`"name":"x","input_schema":{"type":"object","properties":{"a":{"not":{}}}}`):                                  "tools.1.input_schema/properties/a/not: the embedded model cannot be held to this schema: not supported",
		tool(`"type":"bash_20250124","name":"bash"`):                                                                       "tools.1: bash_20250124 tools are not supported by the embedded model",
		tool(`"type":"web_search_20250305","name":"web_search","max_uses":3`):                                              "tools.1: web_search_20250305 tools are not supported by the embedded model",
		tool(`"name":"x","defer_loading":true,` + schema):                                                                  "tools.1.defer_loading: not supported by the embedded model",
		tool(`"name":"x","Input_schema":{}`):                                                                               "tools.1.Input_schema: Extra inputs are not permitted",
		`"tool_choice":{"type":"any"}`:                                                                                     "tool_choice: may only be specified while providing tools",
		`"tool_choice":"any"`:                                                                                              "tool_choice: Input should be a valid dictionary",
		`"tools":[` + weather + `],"tool_choice":{"type":"all"}`:                                                           "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'",
		`"tools":[` + weather + `],"tool_choice":{}`:                                                                       "tool_choice.type: Input should be",
		`"tools":[` + weather + `],"tool_choice":{"type":"tool"}`:                                                          "tool_choice.name: Field required",
		`"tools":[` + weather + `],"tool_choice":{"type":"tool","name":"x"}`:                                               "tool_choice: Tool 'x' not found in provided tools",
		`"tools":[` + weather + `],"tool_choice":{"type":"auto","parallel":false}`:                                         "tool_choice.parallel: Extra inputs are not permitted",
		`"output_config":{"effort":"low"}`:                                                                                 "output_config.effort: not supported by the embedded model",
		`"output_config":{"length":1}`:                                                                                     "output_config.length: Extra inputs are not permitted",
		`"output_config":[]`:                                                                                               "output_config: Input should be a valid dictionary",
		`"output_config":{"format":{"type":"text"}}`:                                                                       "output_config.format.type: Input should be 'json_schema'",
		`"output_config":{"format":{"type":"json_schema"}}`:                                                                "output_config.format.schema: Field required",
		`"output_config":{"format":{"type":"json_schema","schema":{"type":"array","uniqueItems":true}}}`:                   "output_config.format.schema/uniqueItems: the embedded model cannot be held",
		`"output_format":{"type":"json_schema","schema":false}`:                                                            "output_format.schema: the embedded model cannot be held to this schema: no value fits it",
		`"output_format":{"type":"json_schema","schema":{}},"output_config":{"format":{"type":"json_schema","schema":{}}}`: "output_format: may not be specified together with output_config.format",
		`"thinking":{"type":"adaptive"}`:                                                                                   "thinking: not supported by the embedded model",
	} {
		_, err := Parse(request(members), false)
		e := (*messages.Error)(nil)
		if !errors.As(err, &e) || e.Kind != messages.InvalidRequest || !strings.HasPrefix(e.Message, want) {
			t.Errorf("%s\n got %v\nwant %s", members, err, want)
		}
	}
	begun := `{"max_tokens":5,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"{"}],"output_format":{"type":"json_schema","schema":{}}}`
	if _, err := Parse([]byte(begun), false); err == nil || !strings.Contains(err.Error(), "cannot be begun") {
		t.Errorf("a begun answer with a format: %v", err)
	}
}

func TestShortest(t *testing.T) {
	for in, want := range map[string]string{
		"a漢🙂é":                 "a漢🙂é",
		"a\xe0\x82\x80b":       "a\u0080b",
		"\xf0\x80\x82\x80":     "\u0080",
		"\xc1\x81":             "A",
		"\x80\xe6\xbca\xbc":    "\x80\xe6\xbca\xbc",
		"\xe6\xe6\xbc\xa2":     "\xe6漢",
		"\xf0\x9f\x99":         "",
		"\xed\xa0\x80":         "\uFFFD",
		"\xe0\x82\x80\xf0\x9f": "\u0080",
	} {
		for step := 1; step <= len(in); step++ {
			var s Shortest
			var got []byte
			for at := 0; at < len(in); at += step {
				got = s.Append(got, []byte(in[at:min(at+step, len(in))]))
			}
			if string(got) != want {
				t.Errorf("%q in steps of %d: %q, want %q", in, step, got, want)
			}
		}
	}
}
