package messages

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	Rest      Rest            `json:"-"`
}

func (s *Source) UnmarshalJSON(raw []byte) error { return decodeOpen(raw, s) }
func (s Source) MarshalJSON() ([]byte, error)    { return encodeOpen("", s) }

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
	all, err := membersOf(raw)
	if err != nil {
		return nil, err
	}
	var kind string
	if t, ok := all["type"]; ok {
		if err := json.Unmarshal(t, &kind); err != nil {
			return nil, err
		}
	}
	switch kind {
	case "text":
		return blockOf[Text](all)
	case "image":
		return blockOf[Image](all)
	case "document":
		return blockOf[Document](all)
	case "tool_use":
		return blockOf[ToolUse](all)
	case "tool_result":
		return blockOf[ToolResult](all)
	case "thinking":
		return blockOf[Thinking](all)
	case "redacted_thinking":
		return blockOf[RedactedThinking](all)
	default:
		return Unknown{Type: kind, Raw: bytes.Clone(raw)}, nil
	}
}

func blockOf[T Block](all map[string]json.RawMessage) (Block, error) {
	delete(all, "type")
	b := new(T)
	if err := fill(b, all); err != nil {
		return nil, fmt.Errorf("%s: %w", (*b).BlockType(), err)
	}
	return *b, nil
}

func (b Text) MarshalJSON() ([]byte, error)             { return encodeOpen(b.BlockType(), b) }
func (b Image) MarshalJSON() ([]byte, error)            { return encodeOpen(b.BlockType(), b) }
func (b Document) MarshalJSON() ([]byte, error)         { return encodeOpen(b.BlockType(), b) }
func (b ToolUse) MarshalJSON() ([]byte, error)          { return encodeOpen(b.BlockType(), b) }
func (b ToolResult) MarshalJSON() ([]byte, error)       { return encodeOpen(b.BlockType(), b) }
func (b Thinking) MarshalJSON() ([]byte, error)         { return encodeOpen(b.BlockType(), b) }
func (b RedactedThinking) MarshalJSON() ([]byte, error) { return encodeOpen(b.BlockType(), b) }
func (b Unknown) MarshalJSON() ([]byte, error)          { return b.Raw, nil }

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
	*c = Content{}
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
	if err := json.Unmarshal(raw, &items); err != nil || items == nil {
		return err
	}
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
	if c.IsString && len(c.Blocks) == 1 {
		if t, ok := c.Blocks[0].(Text); ok {
			return Marshal(t.Text)
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
