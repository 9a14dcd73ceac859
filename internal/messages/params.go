package messages

import "encoding/json"

// Params is the typed view of a request. Sampling members stay raw: nothing here
// computes with them.
type Params struct {
	Model       string          `json:"model,omitempty"`
	MaxTokens   json.RawMessage `json:"max_tokens,omitempty"`
	System      Content         `json:"system,omitzero"`
	Messages    []Turn          `json:"messages"`
	Tools       []Tool          `json:"tools,omitempty"`
	ToolChoice  *ToolChoice     `json:"tool_choice,omitempty"`
	Temperature json.RawMessage `json:"temperature,omitempty"`
	TopP        json.RawMessage `json:"top_p,omitempty"`
	TopK        json.RawMessage `json:"top_k,omitempty"`
	Stop        Strings         `json:"stop_sequences,omitempty"`
	Stream      json.RawMessage `json:"stream,omitempty"`
	Rest        Rest            `json:"-"`
}

// Turn is one entry of messages.
type Turn struct {
	Role    string  `json:"role"`
	Content Content `json:"content"`
	Rest    Rest    `json:"-"`
}

// Tool is a tool that the caller offers. Type is empty or "custom" for tools with
// a schema; any other is one of Anthropic's own.
type Tool struct {
	Type        string          `json:"type,omitempty"`
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema,omitempty"`
	Rest        Rest            `json:"-"`
}

// ToolChoice is auto, any, tool or none.
type ToolChoice struct {
	Type string `json:"type"`
	Name string `json:"name,omitempty"`
	Rest Rest   `json:"-"`
}

func (p *Params) UnmarshalJSON(raw []byte) error { return decodeOpen(raw, p) }
func (p Params) MarshalJSON() ([]byte, error)    { return encodeOpen("", p) }

func (t *Turn) UnmarshalJSON(raw []byte) error { return decodeOpen(raw, t) }
func (t Turn) MarshalJSON() ([]byte, error)    { return encodeOpen("", t) }

func (t *Tool) UnmarshalJSON(raw []byte) error { return decodeOpen(raw, t) }
func (t Tool) MarshalJSON() ([]byte, error)    { return encodeOpen("", t) }

func (t *ToolChoice) UnmarshalJSON(raw []byte) error { return decodeOpen(raw, t) }
func (t ToolChoice) MarshalJSON() ([]byte, error)    { return encodeOpen("", t) }

// LastUser is the last turn of the caller, the zero Turn where there is none.
func (p *Params) LastUser() Turn {
	for i := len(p.Messages) - 1; i >= 0; i-- {
		if p.Messages[i].Role == "user" {
			return p.Messages[i]
		}
	}
	return Turn{}
}
