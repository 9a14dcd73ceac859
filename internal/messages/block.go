package messages

import (
	"bytes"
	"encoding/json"
)

// Block is one content block: the sealed union keyed by "type". A kind that is
// not known decodes to Unknown.
type Block interface {
	BlockType() string
	json.Marshaler
}

type (
	// Text is prose, of the caller or of the model.
	Text struct {
		Text         string          `json:"text"`
		Citations    json.RawMessage `json:"citations,omitempty"`
		CacheControl json.RawMessage `json:"cache_control,omitempty"`
		Rest         Rest            `json:"-"`
	}
	// Image is a picture that the caller sends.
	Image struct {
		Source       Source          `json:"source"`
		CacheControl json.RawMessage `json:"cache_control,omitempty"`
		Rest         Rest            `json:"-"`
	}
	// Document is a PDF or a text that the caller sends.
	Document struct {
		Source       Source          `json:"source"`
		Title        string          `json:"title,omitempty"`
		Context      string          `json:"context,omitempty"`
		Citations    json.RawMessage `json:"citations,omitempty"`
		CacheControl json.RawMessage `json:"cache_control,omitempty"`
		Rest         Rest            `json:"-"`
	}
	// ToolUse is the model's call of a tool.
	ToolUse struct {
		ID           string          `json:"id"`
		Name         string          `json:"name"`
		Input        json.RawMessage `json:"input"`
		CacheControl json.RawMessage `json:"cache_control,omitempty"`
		Rest         Rest            `json:"-"`
	}
	// ToolResult is the caller's answer to a ToolUse.
	ToolResult struct {
		ToolUseID    string          `json:"tool_use_id"`
		Content      Content         `json:"content,omitzero"`
		IsError      bool            `json:"is_error,omitempty"`
		CacheControl json.RawMessage `json:"cache_control,omitempty"`
		Rest         Rest            `json:"-"`
	}
	// Thinking is the model's reasoning with the signature that binds it.
	Thinking struct {
		Thinking  string `json:"thinking"`
		Signature string `json:"signature"`
		Rest      Rest   `json:"-"`
	}
	// RedactedThinking is reasoning that only the service can read.
	RedactedThinking struct {
		Data string `json:"data"`
		Rest Rest   `json:"-"`
	}
	// Unknown is a kind that this version does not know, kept byte for byte.
	Unknown struct {
		Type string
		Raw  json.RawMessage
	}
)

// Source says where the bytes of an image or a document are.
type Source struct {
	Type      string          `json:"type"`
	MediaType string          `json:"media_type,omitempty"`
	Data      string          `json:"data,omitempty"`
	URL       string          `json:"url,omitempty"`
	FileID    string          `json:"file_id,omitempty"`
	Content   json.RawMessage `json:"content,omitempty"`
}

func (Text) BlockType() string             { return "text" }
func (Image) BlockType() string            { return "image" }
func (Document) BlockType() string         { return "document" }
func (ToolUse) BlockType() string          { return "tool_use" }
func (ToolResult) BlockType() string       { return "tool_result" }
func (Thinking) BlockType() string         { return "thinking" }
func (RedactedThinking) BlockType() string { return "redacted_thinking" }
func (b Unknown) BlockType() string        { return b.Type }

// DecodeBlock reads one block.
func DecodeBlock(raw json.RawMessage) (Block, error) {
	t, err := typeOf(raw)
	if err != nil {
		return nil, err
	}
	switch t {
	case "text":
		return decodeAs(raw, func(b *Text, r Rest) Block { b.Rest = r; return *b })
	case "image":
		return decodeAs(raw, func(b *Image, r Rest) Block { b.Rest = r; return *b })
	case "document":
		return decodeAs(raw, func(b *Document, r Rest) Block { b.Rest = r; return *b })
	case "tool_use":
		return decodeAs(raw, func(b *ToolUse, r Rest) Block { b.Rest = r; return *b })
	case "tool_result":
		return decodeAs(raw, func(b *ToolResult, r Rest) Block { b.Rest = r; return *b })
	case "thinking":
		return decodeAs(raw, func(b *Thinking, r Rest) Block { b.Rest = r; return *b })
	case "redacted_thinking":
		return decodeAs(raw, func(b *RedactedThinking, r Rest) Block { b.Rest = r; return *b })
	default:
		return Unknown{Type: t, Raw: bytes.Clone(raw)}, nil
	}
}

func decodeAs[T any](raw []byte, done func(*T, Rest) Block) (Block, error) {
	v := new(T)
	rest, err := decodeOpen(raw, v)
	if err != nil {
		return nil, err
	}
	delete(rest, "type")
	if len(rest) == 0 {
		rest = nil
	}
	return done(v, rest), nil
}

// encodeBlock puts the type first, as the service does.
func encodeBlock(t string, v any, rest Rest) ([]byte, error) {
	b, err := encodeOpen(v, rest)
	if err != nil {
		return nil, err
	}
	head := AppendString([]byte(`{"type":`), t)
	if len(b) > 2 {
		head = append(head, ',')
	}
	return append(head, b[1:]...), nil
}

func (b Text) MarshalJSON() ([]byte, error) {
	type plain Text
	return encodeBlock("text", plain(b), b.Rest)
}
func (b Image) MarshalJSON() ([]byte, error) {
	type plain Image
	return encodeBlock("image", plain(b), b.Rest)
}
func (b Document) MarshalJSON() ([]byte, error) {
	type plain Document
	return encodeBlock("document", plain(b), b.Rest)
}
func (b ToolUse) MarshalJSON() ([]byte, error) {
	type plain ToolUse
	return encodeBlock("tool_use", plain(b), b.Rest)
}
func (b ToolResult) MarshalJSON() ([]byte, error) {
	type plain ToolResult
	return encodeBlock("tool_result", plain(b), b.Rest)
}
func (b Thinking) MarshalJSON() ([]byte, error) {
	type plain Thinking
	return encodeBlock("thinking", plain(b), b.Rest)
}
func (b RedactedThinking) MarshalJSON() ([]byte, error) {
	type plain RedactedThinking
	return encodeBlock("redacted_thinking", plain(b), b.Rest)
}
func (b Unknown) MarshalJSON() ([]byte, error) { return b.Raw, nil }

// Content is what the wire writes either as a string or as blocks. IsString
// keeps which one it was.
type Content struct {
	Blocks   []Block
	IsString bool
}

// TextContent is a Content of one string.
func TextContent(s string) Content {
	return Content{Blocks: []Block{Text{Text: s}}, IsString: true}
}

func (c Content) IsZero() bool { return c.Blocks == nil && !c.IsString }

func (c *Content) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '"' {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		*c = TextContent(s)
		return nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return err
	}
	c.IsString = false
	c.Blocks = make([]Block, 0, len(items))
	for _, item := range items {
		b, err := DecodeBlock(item)
		if err != nil {
			return err
		}
		c.Blocks = append(c.Blocks, b)
	}
	return nil
}

func (c Content) MarshalJSON() ([]byte, error) {
	if c.IsString {
		if len(c.Blocks) == 1 {
			if t, ok := c.Blocks[0].(Text); ok {
				return Marshal(t.Text)
			}
		}
	}
	if c.Blocks == nil {
		return []byte("[]"), nil
	}
	return Marshal(c.Blocks)
}

// PlainText joins the text blocks.
func (c Content) PlainText() string {
	var s []byte
	for _, b := range c.Blocks {
		if t, ok := b.(Text); ok {
			if len(s) > 0 {
				s = append(s, '\n')
			}
			s = append(s, t.Text...)
		}
	}
	return string(s)
}
