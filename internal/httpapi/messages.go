package httpapi

import (
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// message serves the Messages API and its token count. Whether it streams is in
// the body, so the writer is chosen by the gateway's reading of it.
func (x *exchange) message() error {
	call, err := x.call(x.limit(MaxMessagesBody))
	if err != nil {
		return err
	}
	if x.op == bedrockapi.CountMessage || x.op == bedrockapi.CountMessageBare {
		return x.do(call, &jsonWriter{x: x})
	}
	return x.stream(call, &eitherWriter{x: x})
}

// eitherWriter becomes a jsonWriter or an sseWriter at the first frame.
type eitherWriter struct {
	x     *exchange
	meta  gateway.Meta
	meter *gateway.Meter
	json  *jsonWriter
	sse   *sseWriter
}

func (w *eitherWriter) Begin(meta gateway.Meta, m *gateway.Meter) error {
	w.meta, w.meter = meta, m
	return nil
}

func (w *eitherWriter) Frame(f gateway.Frame) error {
	switch {
	case w.sse != nil:
		return w.sse.Frame(f)
	case f.Event == gateway.EventMessage:
		w.json = &jsonWriter{x: w.x}
		if err := w.json.Begin(w.meta, w.meter); err != nil {
			return err
		}
		return w.json.Frame(f)
	default:
		w.sse = &sseWriter{x: w.x}
		if err := w.sse.Begin(w.meta, w.meter); err != nil {
			return err
		}
		return w.sse.Frame(f)
	}
}

func (w *eitherWriter) Flush() error {
	switch {
	case w.sse != nil:
		return w.sse.Flush()
	case w.json != nil:
		return w.json.Flush()
	default:
		return nil
	}
}

// End implements gateway.Ender.
func (w *eitherWriter) End() error {
	if w.sse != nil {
		return w.sse.End()
	}
	return w.Flush()
}

func (w *eitherWriter) fail(e *messages.Error) bool { return w.sse != nil && w.sse.fail(e) }

func (w *eitherWriter) close() {
	if w.sse != nil {
		w.sse.close()
	}
}
