package messages

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// shape gives an answer the service's form: Bedrock's ids, the first-party model
// id, a stop_reason of the enum, no foreign members at the top.
type shape struct{ model string }

// messageKeys are the members of a Message that the service has.
var messageKeys = []string{"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage", "context_management", "container"}

// usageKeys are the members of usage that the service has.
var usageKeys = []string{"input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "service_tier", "server_tool_use", "output_tokens_details"}

func unreadable(err error) error {
	return messages.Errorf(messages.ModelFailed, "The upstream's answer cannot be read.").WithCause(err)
}

// bedrockID gives an id Bedrock's prefix and keeps the rest, so that the upstream
// knows its own tool calls again in the following turn.
func bedrockID(prefix, id string) string {
	if strings.HasPrefix(id, prefix+"bdrk_") {
		return id
	}
	return prefix + "bdrk_" + strings.TrimPrefix(id, prefix)
}

func stopReason(s string) string {
	if slices.Contains(messages.StopReasons(), s) {
		return s
	}
	switch s {
	case "stop", "eos":
		return "end_turn"
	case "length":
		return "max_tokens"
	case "tool_calls":
		return "tool_use"
	default:
		return "end_turn"
	}
}

func (s shape) message(raw []byte) ([]byte, error) {
	return s.object(raw, func(m map[string]json.RawMessage) error {
		var blocks []json.RawMessage
		if err := json.Unmarshal(m["content"], &blocks); err != nil {
			return err
		}
		for i, b := range blocks {
			var err error
			if blocks[i], err = s.block(b); err != nil {
				return err
			}
		}
		content, err := messages.Marshal(blocks)
		if err != nil {
			return err
		}
		if len(blocks) == 0 {
			content = []byte("[]")
		}
		m["content"] = content
		var reason string
		if json.Unmarshal(m["stop_reason"], &reason) == nil && reason != "" {
			m["stop_reason"] = messages.AppendString(nil, stopReason(reason))
		}
		return nil
	})
}

// object rewrites a Message, whole or as message_start carries it.
func (s shape) object(raw []byte, edit func(map[string]json.RawMessage) error) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, unreadable(err)
	}
	var id string
	if err := json.Unmarshal(m["id"], &id); err != nil {
		return nil, unreadable(err)
	}
	m["id"] = messages.AppendString(nil, bedrockID("msg_", id))
	m["model"] = messages.AppendString(nil, s.model)
	if err := edit(m); err != nil {
		return nil, unreadable(err)
	}
	if u, ok := m["usage"]; ok {
		usage, err := only(u, usageKeys)
		if err != nil {
			return nil, unreadable(err)
		}
		m["usage"] = usage
	}
	return ordered(m, messageKeys), nil
}

// ordered writes the members of m that keys names, in that order.
func ordered(m map[string]json.RawMessage, keys []string) []byte {
	out := []byte{'{'}
	for _, k := range keys {
		v, ok := m[k]
		if !ok {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = messages.AppendString(out, k)
		out = append(out, ':')
		out = append(out, v...)
	}
	return append(out, '}')
}

func only(raw []byte, keys []string) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	return ordered(m, keys), nil
}

// block rewrites the id of a tool call.
func (s shape) block(raw []byte) ([]byte, error) {
	members, err := jsonspan.Scan(nil, raw, nil)
	if err != nil {
		return nil, err
	}
	t, ok := members.Get("type")
	if !ok || string(t.Value(raw)) != `"tool_use"` {
		return raw, nil
	}
	idm, ok := members.Get("id")
	if !ok {
		return raw, nil
	}
	id, err := jsonspan.String(nil, idm.Value(raw))
	if err != nil {
		return nil, err
	}
	return jsonspan.Splice(nil, raw, members, jsonspan.Edit{Key: "id", Value: messages.AppendString(nil, bedrockID("toolu_", string(id)))}), nil
}

// event rewrites the few events that carry an id, a model or a stop_reason; all
// others pass as they came.
func (s shape) event(kind string, data []byte) ([]byte, error) {
	var member string
	var edit func([]byte) ([]byte, error)
	switch kind {
	case messages.EventMessageStart:
		member, edit = "message", func(b []byte) ([]byte, error) {
			return s.object(b, func(map[string]json.RawMessage) error { return nil })
		}
	case messages.EventContentBlockStart:
		member, edit = "content_block", s.block
	case messages.EventMessageDelta:
		member, edit = "delta", deltaReason
	default:
		return data, nil
	}
	members, err := jsonspan.Scan(nil, data, nil)
	if err != nil {
		return nil, unreadable(err)
	}
	m, ok := members.Get(member)
	if !ok {
		return data, nil
	}
	v, err := edit(m.Value(data))
	if err != nil {
		return nil, unreadable(err)
	}
	return jsonspan.Splice(nil, data, members, jsonspan.Edit{Key: member, Value: v}), nil
}

func deltaReason(raw []byte) ([]byte, error) {
	members, err := jsonspan.Scan(nil, raw, nil)
	if err != nil {
		return nil, err
	}
	m, ok := members.Get("stop_reason")
	if !ok || string(m.Value(raw)) == "null" {
		return raw, nil
	}
	r, err := jsonspan.String(nil, m.Value(raw))
	if err != nil {
		return nil, err
	}
	if fixed := stopReason(string(r)); fixed != string(r) {
		return jsonspan.Splice(nil, raw, members, jsonspan.Edit{Key: "stop_reason", Value: messages.AppendString(nil, fixed)}), nil
	}
	return raw, nil
}
