package invocationlog

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Message puts the events of a Messages stream together to the message that the
// same call gives when it is not streamed. A stream that was cut off gives what
// there is: stop_reason stays null, and a tool's input that is no JSON yet stands
// in "partial_json". Deltas and events that are not known are kept, in "deltas"
// and "events".
func Message(events []activity.Event) ([]byte, error) {
	var a assembly
	for _, e := range events {
		if err := a.add(e); err != nil {
			return nil, err
		}
	}
	return a.message()
}

type assembly struct {
	base    []byte // the message of message_start
	usage   []byte
	blocks  []*block
	edits   []jsonspan.Edit // of what comes after the content
	unknown [][]byte
}

// block is a content block under way.
type block struct {
	index     int64
	start     []byte
	text      map[string][]byte // by member: what deltas have said, unquoted
	order     []string
	input     []byte
	citations [][]byte
	unknown   [][]byte
}

var errEvent = errors.New("an event of the answer cannot be read")

func scan(data []byte) (jsonspan.Members, error) {
	m, err := jsonspan.Scan(nil, data, nil)
	if err != nil {
		return nil, errors.Join(errEvent, err)
	}
	return m, nil
}

func value(m jsonspan.Members, data []byte, key string) []byte {
	v, ok := m.Get(key)
	if !ok {
		return nil
	}
	return v.Value(data)
}

func (a *assembly) add(e activity.Event) error {
	m, err := scan(e.Data)
	if err != nil {
		return err
	}
	switch e.Name {
	case "message":
		a.base = e.Data
	case messages.EventMessageStart:
		a.base = value(m, e.Data, "message")
		start, err := scan(a.base)
		if err != nil {
			return err
		}
		a.usage = value(start, a.base, "usage")
	case messages.EventContentBlockStart:
		i, ok := jsonspan.Int(value(m, e.Data, "index"))
		start := value(m, e.Data, "content_block")
		if !ok || start == nil {
			return errEvent
		}
		a.blocks = append(a.blocks, &block{index: i, start: start, text: map[string][]byte{}})
	case messages.EventContentBlockDelta:
		return a.delta(m, e.Data)
	case messages.EventMessageDelta:
		return a.messageDelta(m, e.Data)
	case messages.EventContentBlockStop, messages.EventPing:
	case messages.EventMessageStop:
		a.extra(m, e.Data)
	default:
		a.unknown = append(a.unknown, e.Data)
	}
	return nil
}

// extra sets what an event has beside its type in the message.
func (a *assembly) extra(m jsonspan.Members, data []byte, but ...string) {
	for _, member := range m {
		key := string(member.Key)
		known := key == "type"
		for _, b := range but {
			known = known || key == b
		}
		if !known {
			a.edits = append(a.edits, jsonspan.Edit{Key: key, Value: member.Value(data)})
		}
	}
}

func (a *assembly) delta(m jsonspan.Members, data []byte) error {
	i, ok := jsonspan.Int(value(m, data, "index"))
	raw := value(m, data, "delta")
	d, err := scan(raw)
	if !ok || err != nil {
		return errors.Join(errEvent, err)
	}
	var b *block
	for _, have := range a.blocks {
		if have.index == i {
			b = have
		}
	}
	if b == nil {
		return errEvent
	}
	kind, err := jsonspan.String(nil, value(d, raw, "type"))
	if err != nil {
		return errors.Join(errEvent, err)
	}
	grow := func(key, member string) error {
		v := value(d, raw, key)
		if v == nil {
			return errEvent
		}
		if _, ok := b.text[member]; !ok {
			b.order = append(b.order, member)
		}
		b.text[member], err = jsonspan.String(b.text[member], v)
		return err
	}
	switch string(kind) {
	case "text_delta":
		return grow("text", "text")
	case "thinking_delta":
		return grow("thinking", "thinking")
	case "signature_delta":
		return grow("signature", "signature")
	case "input_json_delta":
		b.input, err = jsonspan.String(b.input, value(d, raw, "partial_json"))
		return err
	case "citations_delta":
		b.citations = append(b.citations, value(d, raw, "citation"))
		return nil
	default:
		b.unknown = append(b.unknown, raw)
		return nil
	}
}

func (a *assembly) messageDelta(m jsonspan.Members, data []byte) error {
	a.extra(m, data, "delta", "usage")
	if raw := value(m, data, "delta"); raw != nil {
		d, err := scan(raw)
		if err != nil {
			return err
		}
		a.extra(d, raw)
	}
	raw := value(m, data, "usage")
	if raw == nil || a.usage == nil {
		if raw != nil {
			a.usage = raw
		}
		return nil
	}
	was, err := scan(a.usage)
	if err != nil {
		return err
	}
	now, err := scan(raw)
	if err != nil {
		return err
	}
	edits := make([]jsonspan.Edit, 0, len(now))
	for _, member := range now {
		edits = append(edits, jsonspan.Edit{Key: string(member.Key), Value: member.Value(raw)})
	}
	a.usage = jsonspan.Splice(nil, a.usage, was, edits...)
	return nil
}

func (a *assembly) message() ([]byte, error) {
	if a.base == nil {
		return nil, errEvent
	}
	if a.blocks == nil && a.usage == nil && a.edits == nil && a.unknown == nil {
		return a.base, nil
	}
	m, err := scan(a.base)
	if err != nil {
		return nil, err
	}
	content := [][]byte{}
	for _, b := range a.blocks {
		done, err := b.done()
		if err != nil {
			return nil, err
		}
		content = append(content, done)
	}
	edits := []jsonspan.Edit{{Key: "content", Value: array(content)}}
	if a.usage != nil {
		edits = append(edits, jsonspan.Edit{Key: "usage", Value: a.usage})
	}
	edits = append(edits, a.edits...)
	if a.unknown != nil {
		edits = append(edits, jsonspan.Edit{Key: "events", Value: array(a.unknown)})
	}
	return jsonspan.Splice(nil, a.base, m, edits...), nil
}

func (b *block) done() ([]byte, error) {
	m, err := scan(b.start)
	if err != nil {
		return nil, err
	}
	var edits []jsonspan.Edit
	for _, member := range b.order {
		was, err := jsonspan.String(nil, orEmpty(value(m, b.start, member)))
		if err != nil {
			return nil, errors.Join(errEvent, err)
		}
		edits = append(edits, jsonspan.Edit{Key: member, Value: jsonspan.AppendString(nil, string(was)+string(b.text[member]))})
	}
	if len(bytes.TrimSpace(b.input)) > 0 {
		if _, err := jsonspan.Scan(nil, b.input, nil); err == nil {
			edits = append(edits, jsonspan.Edit{Key: "input", Value: b.input})
		} else {
			edits = append(edits, jsonspan.Edit{Key: "partial_json", Value: jsonspan.AppendString(nil, string(b.input))})
		}
	}
	if b.citations != nil {
		edits = append(edits, jsonspan.Edit{Key: "citations", Value: array(b.citations)})
	}
	if b.unknown != nil {
		edits = append(edits, jsonspan.Edit{Key: "deltas", Value: array(b.unknown)})
	}
	return jsonspan.Splice(nil, b.start, m, edits...), nil
}

func orEmpty(v []byte) []byte {
	if v == nil || string(v) == "null" {
		return []byte(`""`)
	}
	return v
}

func array(items [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(items, []byte{','})...), ']')
}

// withMetrics puts the figures that the service adds into a stream's last event.
func withMetrics(stop []byte, r *activity.Record) ([]byte, error) {
	const key = "amazon-bedrock-invocationMetrics"
	m, err := scan(stop)
	if err != nil {
		return nil, err
	}
	if _, ok := m.Get(key); ok {
		return stop, nil
	}
	v := []byte{'{'}
	member := func(name string, n int64) {
		if len(v) > 1 {
			v = append(v, ',')
		}
		v = strconv.AppendInt(append(jsonspan.AppendString(v, name), ':'), n, 10)
	}
	member("inputTokenCount", r.Usage.InputTokens)
	member("outputTokenCount", r.Usage.OutputTokens)
	member("invocationLatency", r.Duration.Milliseconds())
	member("firstByteLatency", r.FirstFrame.Milliseconds())
	if r.Usage.CacheReadInputTokens > 0 || r.Usage.CacheCreationInputTokens > 0 {
		member("cacheReadInputTokenCount", r.Usage.CacheReadInputTokens)
		member("cacheWriteInputTokenCount", r.Usage.CacheCreationInputTokens)
	}
	return jsonspan.Splice(nil, stop, m, jsonspan.Edit{Key: key, Value: append(v, '}')}), nil
}
