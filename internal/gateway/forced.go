package gateway

import (
	"encoding/json"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// forceBody and forceFrame are Gateway.Forced: through the typed view and back.
func forceBody(b *Body) (*Body, error) {
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
		var m messages.Message
		if err = m.UnmarshalJSON(f.Data); err == nil {
			f.Data, err = m.MarshalJSON()
		}
	default:
		var m map[string]json.RawMessage
		if err = json.Unmarshal(f.Data, &m); err == nil {
			f.Data, err = messages.Marshal(m)
		}
	}
	f.Wire = nil
	return f, err
}
