package messages

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// shape gives an answer the service's form: Bedrock's ids, the first-party model
// id, a stop_reason of the enum, no foreign members at the top or in usage.
type shape struct{ model string }

// messageKeys are the members of a Message that the service has, usageKeys those
// of its usage; it also adds some whose names begin with amazonPrefix.
var (
	messageKeys = []string{"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage", "context_management", "container"}
	usageKeys   = []string{"input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation",
		"service_tier", "server_tool_use", "output_tokens_details", "inference_geo", "iterations"}
)

const amazonPrefix = "amazon-bedrock-"

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

// stopReason keeps the service's own reasons and reads the others as a server that
// comes from another API means them; what is left has ended of itself.
func stopReason(s string) string {
	if slices.Contains(messages.StopReasons(), s) {
		return s
	}
	switch s {
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
		content, err := messages.Marshal(append([]json.RawMessage{}, blocks...))
		if err != nil {
			return err
		}
		m["content"] = content
		var reason string
		if raw, ok := m["stop_reason"]; ok {
			if err := json.Unmarshal(raw, &reason); err != nil {
				return err
			}
		}
		m["stop_reason"] = messages.AppendString(nil, stopReason(reason))
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
	m["type"], m["role"] = []byte(`"message"`), []byte(`"assistant"`)
	for _, k := range []string{"stop_reason", "stop_sequence"} {
		if m[k] == nil {
			m[k] = []byte("null")
		}
	}
	if err := edit(m); err != nil {
		return nil, unreadable(err)
	}
	usage, err := usageOf(m["usage"])
	if err != nil {
		return nil, unreadable(err)
	}
	m["usage"] = usage
	return ordered(m, messageKeys), nil
}

// ordered writes the members of m that keys names, in that order, and Amazon's.
func ordered(m map[string]json.RawMessage, keys []string) []byte {
	out := []byte{'{'}
	member := func(k string) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(messages.AppendString(out, k), ':'), m[k]...)
	}
	for _, k := range keys {
		if _, ok := m[k]; ok {
			member(k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(k, amazonPrefix) {
			member(k)
		}
	}
	return append(out, '}')
}

func usageOf(raw []byte) ([]byte, error) {
	var m map[string]json.RawMessage
	if raw != nil {
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, err
		}
	}
	if m == nil {
		return []byte(`{"input_tokens":0,"output_tokens":0}`), nil
	}
	return ordered(m, usageKeys), nil
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

type edit = func([]byte) ([]byte, error)

// event rewrites the few events that carry an id, a model, a stop_reason or a
// usage; all others pass as they came.
func (s shape) event(kind string, data []byte) ([]byte, error) {
	var edits map[string]edit
	switch kind {
	case messages.EventMessageStart:
		edits = map[string]edit{"message": func(b []byte) ([]byte, error) {
			return s.object(b, func(map[string]json.RawMessage) error { return nil })
		}}
	case messages.EventContentBlockStart:
		edits = map[string]edit{"content_block": s.block}
	case messages.EventMessageDelta:
		edits = map[string]edit{"delta": deltaReason, "usage": deltaUsage}
	default:
		return data, nil
	}
	members, err := jsonspan.Scan(nil, data, nil)
	if err != nil {
		return nil, unreadable(err)
	}
	var spliced []jsonspan.Edit
	for name, change := range edits {
		if m, ok := members.Get(name); ok {
			v, err := change(m.Value(data))
			if err != nil {
				return nil, unreadable(err)
			}
			spliced = append(spliced, jsonspan.Edit{Key: name, Value: v})
		}
	}
	return jsonspan.Splice(nil, data, members, spliced...), nil
}

// deltaUsage leaves null alone: there, what is absent is unchanged.
func deltaUsage(raw []byte) ([]byte, error) {
	if string(raw) == "null" {
		return raw, nil
	}
	return usageOf(raw)
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
	return jsonspan.Splice(nil, raw, members, jsonspan.Edit{Key: "stop_reason", Value: messages.AppendString(nil, stopReason(string(r)))}), nil
}
