package scripted

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// compose makes the whole answer. Where the rule gives no content it is an echo,
// or the tool call that tool_choice demands.
func (u *Upstream) compose(route routing.Route, req gateway.Request, p *messages.Params, a *Answer) (*messages.Message, error) {
	m := &messages.Message{
		ID: "msg_bdrk_" + u.newID(), Type: "message", Role: "assistant", Model: route.Model().FirstPartyID,
		Content: messages.Content{Blocks: []messages.Block{}},
	}
	reason := "end_turn"
	if len(a.Content) == 0 {
		if t := demanded(p); t != nil {
			a = &Answer{Content: []Block{{ToolUse: &ToolUse{Name: t.Name}}}, StopReason: a.StopReason, Usage: a.Usage}
		} else {
			text := p.LastUser().Content.PlainText()
			if text == "" {
				text = "(no text)"
			}
			if limit := int(min(req.Head.MaxTokens, 1<<28)) * bytesPerToken; len(text) > limit {
				reason = "max_tokens"
				for limit > 0 && !utf8.RuneStart(text[limit]) {
					limit--
				}
				text = text[:limit]
			}
			m.Content.Blocks = append(m.Content.Blocks, messages.Text{Text: text})
		}
	}
	for _, b := range a.Content {
		block, err := u.block(p, b)
		if err != nil {
			return nil, err
		}
		if block.BlockType() == "tool_use" {
			reason = "tool_use"
		}
		m.Content.Blocks = append(m.Content.Blocks, block)
	}
	if a.StopReason != "" {
		reason = a.StopReason
	}
	m.StopReason = &reason
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

// demanded is the tool that tool_choice insists on.
func demanded(p *messages.Params) *messages.Tool {
	if p.ToolChoice == nil {
		return nil
	}
	switch p.ToolChoice.Type {
	case "tool":
		return toolNamed(p, p.ToolChoice.Name)
	case "any":
		for i := range p.Tools {
			if p.Tools[i].InputSchema != nil {
				return &p.Tools[i]
			}
		}
	}
	return nil
}

func (u *Upstream) block(p *messages.Params, b Block) (messages.Block, error) {
	switch {
	case b.Text != nil:
		return messages.Text{Text: *b.Text}, nil
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
		raw, err := messages.Marshal(b.Raw)
		if err != nil {
			return nil, err
		}
		return messages.DecodeBlock(raw)
	}
}
