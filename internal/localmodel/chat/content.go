package chat

import (
	"encoding/json"
	"strconv"
	"strings"
)

type block struct {
	Type    string          `json:"type"`
	Text    *string         `json:"text"`
	Name    string          `json:"name"`
	Input   json.RawMessage `json:"input"`
	Content json.RawMessage `json:"content"`
	IsError bool            `json:"is_error"`
}

// textOf renders a string or an array of blocks. Blocks stand on lines of their
// own. A tool's part is written as SmolLM2 was trained to read it:
//
//	tool_use      <tool_call>[{"name": …, "arguments": …}]</tool_call>
//	tool_result   <tool_response>…</tool_response>, "Error: " before a failure
//	thinking      nothing: the service drops the thinking of earlier turns too
//
// Every other kind is refused by name.
func textOf(raw json.RawMessage, where, role string) (string, error) {
	if isNull(raw) {
		if role == "user" || role == "assistant" {
			return "", invalid("%s: Field required", where)
		}
		return "", nil
	}
	if raw[0] == '"' {
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	}
	var blocks []block
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return "", invalid("%s: Input should be a valid string or a list of content blocks", where)
	}
	var parts []string
	for i, b := range blocks {
		text, err := b.text(where+"."+itoa(i), role)
		if err != nil {
			return "", err
		}
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "\n"), nil
}

func (b *block) text(where, role string) (string, error) {
	switch {
	case b.Type == "text":
		if b.Text == nil {
			return "", invalid("%s.text: Field required", where)
		}
		return *b.Text, nil
	case b.Type == "tool_use" && role == "assistant":
		if len(b.Input) == 0 || b.Input[0] != '{' {
			return "", invalid("%s.input: Input should be a valid dictionary", where)
		}
		return render(b.Name, b.Input), nil
	case b.Type == "tool_result" && role == "user":
		text, err := textOf(b.Content, where+".content", "tool_result")
		if err != nil {
			return "", err
		}
		if b.IsError {
			text = "Error: " + text
		}
		return "<tool_response>" + text + "</tool_response>", nil
	case (b.Type == "thinking" || b.Type == "redacted_thinking") && role == "assistant":
		return "", nil
	case b.Type == "":
		return "", invalid("%s.type: Field required", where)
	default:
		return "", invalid("%s: %s blocks are not supported by the embedded model, which reads text only", where, b.Type)
	}
}

func itoa(i int) string { return strconv.Itoa(i) }
