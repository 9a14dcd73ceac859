package chat

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Turn is one message of a conversation as text.
type Turn struct{ Role, Text string }

// Request is what the model is asked, after everything it cannot do was refused.
type Request struct {
	Model     string
	Turns     []Turn // "system" first where there is one; roles alternate after it
	Prefill   string // the start of the answer, when the last turn was the assistant's
	MaxTokens int
	Stream    bool
	Stops     []string
	Calls     *Calls // nil: no tool may be called
	Format    string // GBNF of the text; empty: any text

	Temperature float64
	TopP        float64 // 0: off
	TopK        int     // 0: off
	Seed        *uint32 // nil: any
}

// Sampling where the request leaves it open. Claude's own default temperature
// of 1 makes a model of this size wander; 0.2 and 0.9 are what the card of
// SmolLM2-135M-Instruct uses, 50 is the default of the library it uses them with.
const (
	defaultTemperature = 0.2
	defaultTopP        = 0.9
	defaultTopK        = 50
)

type wire struct {
	Model         string            `json:"model"`
	Messages      []wireMessage     `json:"messages"`
	System        json.RawMessage   `json:"system"`
	MaxTokens     *int              `json:"max_tokens"`
	Stream        bool              `json:"stream"`
	Temperature   *float64          `json:"temperature"`
	TopP          *float64          `json:"top_p"`
	TopK          *int              `json:"top_k"`
	StopSequences []string          `json:"stop_sequences"`
	Seed          *uint32           `json:"seed"`
	Tools         []json.RawMessage `json:"tools"`
	ToolChoice    json.RawMessage   `json:"tool_choice"`
	Thinking      kind              `json:"thinking"`
	OutputConfig  json.RawMessage   `json:"output_config"`
	OutputFormat  json.RawMessage   `json:"output_format"`
}

type wireMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

type kind struct {
	Type string `json:"type"`
}

// fields says what happens to each top-level member: used, without effect on a
// local model (the request means the same without it), or refused by name.
var fields = map[string]treatment{
	"model": used, "messages": used, "system": used, "max_tokens": used, "stream": used,
	"temperature": used, "top_p": used, "top_k": used, "stop_sequences": used, "seed": used,
	"tools": used, "tool_choice": used, "thinking": used, "output_config": used, "output_format": used,
	"metadata": idle, "service_tier": idle, "cache_control": idle, "inference_geo": idle,
	"container": refused, "context_management": refused, "mcp_servers": refused,
}

type treatment uint8

const (
	unknown treatment = iota
	used
	idle
	refused
)

func invalid(format string, args ...any) error {
	return messages.Errorf(messages.InvalidRequest, format, args...)
}

// Parse reads the body of a Messages request, or of a count of its tokens, which
// needs no max_tokens.
func Parse(body []byte, count bool) (*Request, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, invalid("the request body is not a JSON object: %v", err)
	}
	if err := checkFields(members, fields, ""); err != nil {
		return nil, err
	}
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, invalid("%s", decodeFault(err))
	}
	if err := w.check(count); err != nil {
		return nil, err
	}
	r := &Request{
		Model: w.Model, Stream: w.Stream, Stops: w.StopSequences, Seed: w.Seed,
		Temperature: defaultTemperature,
	}
	if w.MaxTokens != nil {
		r.MaxTokens = *w.MaxTokens
	}
	w.sampling(r)
	tools, err := w.tools(r)
	if err != nil {
		return nil, err
	}
	format, err := w.format(r)
	if err != nil {
		return nil, err
	}
	if err := w.conversation(r, tools, format); err != nil {
		return nil, err
	}
	if r.Format != "" && r.Prefill != "" {
		return nil, invalid("messages: the answer cannot be begun where its format is given")
	}
	return r, nil
}

func checkFields(members map[string]json.RawMessage, known map[string]treatment, where string) error {
	for _, name := range sortedKeys(members) {
		switch known[name] {
		case used, idle:
		case refused:
			return invalid("%s%s: not supported by the embedded model", where, name)
		default:
			return invalid("%s%s: Extra inputs are not permitted", where, name)
		}
	}
	return nil
}

func (w *wire) check(count bool) error {
	switch {
	case !count && w.MaxTokens == nil:
		return invalid("max_tokens: Field required")
	case !count && *w.MaxTokens < 1:
		return invalid("max_tokens: Input should be greater than or equal to 1")
	case len(w.Messages) == 0:
		return invalid("messages: at least one message is required")
	case w.Temperature != nil && (*w.Temperature < 0 || *w.Temperature > 1):
		return invalid("temperature: range: 0..1")
	case w.TopP != nil && (*w.TopP < 0 || *w.TopP > 1):
		return invalid("top_p: range: 0..1")
	case w.TopK != nil && *w.TopK < 0:
		return invalid("top_k: Input should be greater than or equal to 0")
	case slices.Contains(w.StopSequences, ""):
		return invalid("stop_sequences: each stop sequence must be at least 1 character long")
	case w.Thinking.Type != "" && w.Thinking.Type != "disabled":
		return invalid("thinking: not supported by the embedded model")
	}
	return nil
}

// sampling takes what the caller set; a caller who set anything gets nothing
// but that, so the defaults for top_p and top_k go with the default temperature.
func (w *wire) sampling(r *Request) {
	if w.Temperature != nil {
		r.Temperature = *w.Temperature
	}
	if w.TopP != nil {
		r.TopP = *w.TopP
	}
	if w.TopK != nil {
		r.TopK = *w.TopK
	}
	if w.Temperature == nil && w.TopP == nil && w.TopK == nil {
		r.TopP, r.TopK = defaultTopP, defaultTopK
	}
}

// conversation joins neighbours of one role, as the service does. What the model
// is told of tools and formats stands behind the caller's own system prompt.
func (w *wire) conversation(r *Request, told ...string) error {
	system, err := textOf(w.System, "system", "system")
	if err != nil {
		return err
	}
	system = strings.Join(slices.DeleteFunc(append([]string{system}, told...), func(s string) bool { return s == "" }), "\n\n")
	if system != "" {
		r.Turns = append(r.Turns, Turn{"system", system})
	}
	for i, m := range w.Messages {
		where := "messages." + itoa(i)
		if m.Role != "user" && m.Role != "assistant" {
			return invalid("%s.role: Input should be 'user' or 'assistant'", where)
		}
		text, err := textOf(m.Content, where+".content", m.Role)
		if err != nil {
			return err
		}
		if last := len(r.Turns) - 1; last >= 0 && r.Turns[last].Role == m.Role {
			r.Turns[last].Text += "\n" + text
			continue
		}
		r.Turns = append(r.Turns, Turn{m.Role, text})
	}
	if last := len(r.Turns) - 1; r.Turns[last].Role == "assistant" {
		r.Prefill = r.Turns[last].Text
		r.Turns = r.Turns[:last]
	}
	return nil
}

func decodeFault(err error) string {
	if t, ok := err.(*json.UnmarshalTypeError); ok {
		kind := strings.TrimPrefix(t.Type.String(), "*")
		switch t.Type.Kind() {
		case reflect.Slice:
			kind = "list"
		case reflect.Struct, reflect.Map:
			kind = "dictionary"
		default:
		}
		return t.Field + ": Input should be a valid " + kind
	}
	return "the request body is not valid: " + err.Error()
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }
