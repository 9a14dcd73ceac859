package gateway

import (
	"encoding/json"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// forceBody and forceFrame are Gateway.Forced: through the typed view and back.
func (g *Gateway) forceBody(b *Body, count bool) (*Body, error) {
	if b.dialect == Converse {
		return g.forceConverse(b, count)
	}
	p, err := b.Params()
	if err != nil {
		return nil, err
	}
	data, err := p.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return NewBody(b.dialect, data)
}

func forceFrame(f Frame) (Frame, error) {
	var err error
	switch f.Event {
	case EventMessage:
		f.Data, err = again[messages.Message](f.Data)
	case messages.EventMessageStart:
		f.Data, err = forceMember(f.Data, "message", again[messages.Message])
	case messages.EventContentBlockStart:
		f.Data, err = forceMember(f.Data, "content_block", func(raw []byte) ([]byte, error) {
			b, err := messages.DecodeBlock(raw)
			if err != nil {
				return nil, err
			}
			return b.MarshalJSON()
		})
	default:
		f.Data, err = forceMember(f.Data, "usage", again[messages.Usage])
	}
	f.Wire = nil
	return f, err
}

func again[T any](raw []byte) ([]byte, error) {
	v := new(T)
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, err
	}
	return messages.Marshal(v)
}

// forceMember also decodes and encodes the event around the member.
func forceMember(raw []byte, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	if v, ok := m[name]; ok {
		changed, err := change(v)
		if err != nil {
			return nil, err
		}
		m[name] = changed
	}
	return messages.Marshal(m)
}
