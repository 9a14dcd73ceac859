package chat

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/localmodel/grammar"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// A call is written as SmolLM2 was trained to write it, one at a time:
//
//	<tool_call>[{"name": "clock", "arguments": {"zone": "UTC"}}]</tool_call>
//
// The model chooses no more of it than the name and the arguments. What stands
// around them is put into its mouth, so that a call can't be malformed.
const (
	CallMark  = "<tool_call>" // in a text: from here on it is a call
	callOpen  = CallMark + `[{"name": "`
	callArgs  = `", "arguments":`
	callClose = `}]</tool_call>`
)

// Tool is one that may be called.
type Tool struct {
	Name    string
	Grammar string // GBNF of its arguments
}

// Calls says how the model may call tools.
type Calls struct {
	Tools []Tool
	Must  bool // the answer is a call
}

// BeforeName is put into the model's mouth before it writes a name and a
// quotation mark.
const BeforeName = callOpen

// BeforeArguments is put into its mouth before it writes the arguments of t. Where
// it had nothing to choose, it has not written the name.
func (c *Calls) BeforeArguments(t Tool) string {
	if len(c.Tools) == 1 {
		return callOpen + t.Name + callArgs
	}
	return callArgs[1:]
}

// render writes a call of the past.
func render(name string, input json.RawMessage) string {
	// The name of a call that was ours needs no escapes; another's might.
	quoted := string(messages.AppendString(nil, name))
	return callOpen + quoted[1:len(quoted)-1] + callArgs + " " + string(compact(input)) + callClose
}

type wireTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"input_schema"`
	Examples    json.RawMessage `json:"input_examples"`
}

// toolFields does for a tool what fields does for a request. Arguments are
// always strict and always stream as they come.
var toolFields = map[string]treatment{
	"type": used, "name": used, "description": used, "input_schema": used, "input_examples": used,
	"cache_control": idle, "strict": idle, "eager_input_streaming": idle,
	"defer_loading": refused, "allowed_callers": refused,
}

type toolChoice struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// One call an answer is what the model makes anyway.
var choiceFields = map[string]treatment{"type": used, "name": used, "disable_parallel_tool_use": idle}

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

func (w *wire) choice() (c toolChoice, err error) {
	c.Type = "auto"
	if !isNull(w.ToolChoice) {
		c.Type = ""
		if err := object(w.ToolChoice, "tool_choice", choiceFields, &c); err != nil {
			return c, err
		}
	}
	switch {
	case !slices.Contains([]string{"auto", "any", "tool", "none"}, c.Type):
		return c, invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
	case len(w.Tools) == 0 && (c.Type == "any" || c.Type == "tool"):
		return c, invalid("tool_choice: may only be specified while providing tools")
	case c.Type == "tool" && c.Name == "":
		return c, invalid("tool_choice.name: Field required")
	}
	return c, nil
}

// tools reads what may be called and gives the words that tell the model so. With
// the choice none that is nothing.
func (w *wire) tools(r *Request) (told string, err error) {
	choice, err := w.choice()
	if err != nil {
		return "", err
	}
	var all []wireTool
	for i, raw := range w.Tools {
		t, err := readTool(raw, "tools."+itoa(i))
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(all, func(o wireTool) bool { return o.Name == t.Name }) {
			return "", invalid("tools: Tool names must be unique.")
		}
		all = append(all, t)
	}
	calls := &Calls{Must: choice.Type == "any" || choice.Type == "tool"}
	var listed []string
	for i, t := range all {
		if choice.Type == "none" || choice.Type == "tool" && choice.Name != t.Name {
			continue
		}
		g, err := grammar.Compile(t.Schema)
		if err != nil {
			return "", invalid("tools.%d.input_schema%s", i, because(err))
		}
		calls.Tools = append(calls.Tools, Tool{t.Name, g.String()})
		listed = append(listed, t.describe())
	}
	switch {
	case choice.Type == "tool" && len(listed) == 0:
		return "", invalid("tool_choice: Tool '%s' not found in provided tools", choice.Name)
	case len(listed) == 0:
		return "", nil
	}
	r.Calls = calls
	return toolsText(listed, calls.Must), nil
}

func toolsText(listed []string, must bool) string {
	how := "To use a tool, answer with "
	if must {
		how = "Answer with "
	}
	return "You have these tools:\n<tools>[" + strings.Join(listed, ", ") + "]</tools>\n" +
		how + callOpen + `...` + callArgs + ` {...}` + callClose
}

func readTool(raw json.RawMessage, where string) (t wireTool, err error) {
	var own struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(raw, &own) == nil && own.Type != "" && own.Type != "custom" {
		return t, invalid("%s: %s tools are not supported by the embedded model", where, own.Type)
	}
	if err := object(raw, where, toolFields, &t); err != nil {
		return t, err
	}
	switch {
	case t.Name == "":
		return t, invalid("%s.name: Field required", where)
	case !toolName.MatchString(t.Name):
		return t, invalid("%s.name: String should match pattern '%s'", where, toolName)
	case isNull(t.Schema):
		return t, invalid("%s.input_schema: Field required", where)
	}
	var schema struct {
		Type json.RawMessage `json:"type"`
	}
	if err := json.Unmarshal(t.Schema, &schema); err != nil {
		return t, invalid("%s.input_schema: Input should be a valid dictionary", where)
	}
	if string(schema.Type) != `"object"` {
		return t, invalid("%s.input_schema.type: Input should be 'object'", where)
	}
	return t, nil
}

// describe is a tool as the model reads it.
func (t *wireTool) describe() string {
	out := []byte(`{"name": `)
	out = messages.AppendString(out, t.Name)
	if t.Description != "" {
		out = messages.AppendString(append(out, `, "description": `...), t.Description)
	}
	out = append(append(out, `, "parameters": `...), compact(t.Schema)...)
	if !isNull(t.Examples) {
		out = append(append(out, `, "examples": `...), compact(t.Examples)...)
	}
	return string(append(out, '}'))
}

// compact drops the space of valid JSON.
func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return raw
	}
	return b.Bytes()
}

// because words a refusal of a schema: the pointer goes on where the name of its
// place ends.
func because(err error) string {
	if u, ok := err.(*grammar.Unsupported); ok {
		return u.Pointer + ": the embedded model cannot be held to this schema: " + u.Reason
	}
	return ": " + err.Error()
}
