package scripted

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// compose makes the whole answer: the rule's content, or one that fits the
// request.
func (u *Upstream) compose(route routing.Route, req gateway.Request, p *messages.Params, a *Answer) (*messages.Message, error) {
	reason := "end_turn"
	m := &messages.Message{
		ID: "msg_bdrk_" + u.newID(), Type: "message", Role: "assistant", Model: route.Model().FirstPartyID,
		Content: messages.Content{Blocks: []messages.Block{}}, StopReason: &reason,
	}
	for _, b := range a.Content {
		block, err := u.block(p, b)
		if err != nil {
			return nil, err
		}
		m.Content.Blocks = append(m.Content.Blocks, block)
	}
	if len(a.Content) == 0 {
		if err := u.fit(req, p, m); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(m.Content.Blocks, func(b messages.Block) bool { return b.BlockType() == "tool_use" }) {
		reason = "tool_use"
	}
	if a.StopReason != "" {
		reason = a.StopReason
	}
	if a.Usage != nil {
		m.Usage = messages.Usage{InputTokens: a.Usage.InputTokens, OutputTokens: a.Usage.OutputTokens,
			CacheCreationInputTokens: a.Usage.CacheCreationInputTokens, CacheReadInputTokens: a.Usage.CacheReadInputTokens}
		return m, nil
	}
	out, err := m.Content.MarshalJSON()
	if err != nil {
		return nil, err
	}
	m.Usage = messages.Usage{InputTokens: inputTokens(p), OutputTokens: min(tokens(len(out)), max(req.Head.MaxTokens, 1))}
	return m, nil
}

// fit answers as the request demands: a call of the tool that tool_choice insists
// on, JSON of the schema, or else the caller's last text, which stop sequences and
// max_tokens cut.
func (u *Upstream) fit(req gateway.Request, p *messages.Params, m *messages.Message) error {
	tool, err := demanded(p)
	if err != nil {
		return err
	}
	if tool != nil {
		b, err := u.block(p, Block{ToolUse: &ToolUse{Name: tool.Name}})
		m.Content.Blocks = append(m.Content.Blocks, b)
		return err
	}
	text := p.LastUser().Content.PlainText()
	if schema := wantedSchema(p); schema != nil {
		text = string(sampleOf(schema))
	}
	if text == "" {
		text = "(no text)"
	}
	for _, stop := range p.Stop {
		if i := strings.Index(text, stop); i >= 0 && stop != "" {
			text, m.StopSequence, *m.StopReason = text[:i], &stop, "stop_sequence"
		}
	}
	if limit := int(min(req.Head.MaxTokens, 1<<28)) * bytesPerToken; len(text) > limit {
		for limit > 0 && !utf8.RuneStart(text[limit]) {
			limit--
		}
		text, m.StopSequence, *m.StopReason = text[:limit], nil, "max_tokens"
	}
	m.Content.Blocks = append(m.Content.Blocks, messages.Text{Text: text})
	return nil
}

// wantedSchema is that of a structured output.
func wantedSchema(p *messages.Params) json.RawMessage {
	type format struct {
		Type   string          `json:"type"`
		Schema json.RawMessage `json:"schema"`
	}
	var config struct {
		Format format `json:"format"`
	}
	if raw, ok := p.Rest.Members["output_config"]; ok && json.Unmarshal(raw, &config) == nil && config.Format.Type == "json_schema" {
		return config.Format.Schema
	}
	if raw, ok := p.Rest.Members["output_format"]; ok && json.Unmarshal(raw, &config.Format) == nil && config.Format.Type == "json_schema" {
		return config.Format.Schema
	}
	return nil
}

const bytesPerToken = 4

func tokens(n int) int64 { return int64((n + bytesPerToken - 1) / bytesPerToken) }

func inputTokens(p *messages.Params) int64 {
	n := len(p.System.PlainText())
	for _, t := range p.Messages {
		if b, err := t.Content.MarshalJSON(); err == nil {
			n += len(b)
		}
	}
	for _, t := range p.Tools {
		n += len(t.Name) + len(t.Description) + len(t.InputSchema)
	}
	return tokens(n)
}

// demanded is the tool that tool_choice insists on; any takes the first with a
// schema.
func demanded(p *messages.Params) (*messages.Tool, error) {
	if p.ToolChoice == nil {
		return nil, nil
	}
	switch p.ToolChoice.Type {
	case "tool":
		if t := toolNamed(p, p.ToolChoice.Name); t != nil {
			return t, nil
		}
		return nil, messages.Errorf(messages.ModelRejected, "Tool '%s' not found in provided tools", p.ToolChoice.Name)
	case "any":
		for i := range p.Tools {
			if p.Tools[i].InputSchema != nil {
				return &p.Tools[i], nil
			}
		}
		if len(p.Tools) > 0 {
			return &p.Tools[0], nil
		}
		return nil, messages.Errorf(messages.ModelRejected, "tool_choice: any needs tools")
	default:
		return nil, nil
	}
}

func (u *Upstream) block(p *messages.Params, b Block) (messages.Block, error) {
	switch {
	case b.Text != nil:
		t := messages.Text{Text: *b.Text}
		if b.Citations != nil {
			raw, err := messages.Marshal(b.Citations)
			if err != nil {
				return nil, err
			}
			t.Citations = raw
		}
		return t, nil
	case b.Thinking != nil:
		sig := b.Signature
		if sig == "" {
			sig = "c2NyaXB0ZWQ="
		}
		return messages.Thinking{Thinking: *b.Thinking, Signature: sig}, nil
	case b.RedactedThinking != nil:
		return messages.RedactedThinking{Data: *b.RedactedThinking}, nil
	case b.ToolUse != nil:
		id := b.ToolUse.ID
		if id == "" {
			id = "toolu_bdrk_" + u.newID()
		}
		var input json.RawMessage
		if b.ToolUse.Input != nil {
			raw, err := messages.Marshal(b.ToolUse.Input)
			if err != nil {
				return nil, err
			}
			input = raw
		} else if t := toolNamed(p, b.ToolUse.Name); t != nil {
			input = sampleOf(t.InputSchema)
		} else {
			input = json.RawMessage(`{}`)
		}
		return messages.ToolUse{ID: id, Name: b.ToolUse.Name, Input: input}, nil
	default:
		// Shown whole, in a stream too: its deltas are not ours to know.
		raw, err := messages.Marshal(b.Raw)
		kind, _ := b.Raw["type"].(string)
		return messages.Unknown{Type: kind, Raw: raw}, err
	}
}
