package httpapi

import (
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// converseWriter answers Converse: what the upstream gives in Messages is
// translated, Converse's own answer passes as it came.
type converseWriter struct {
	x     *exchange
	json  jsonWriter
	meta  gateway.Meta
	meter *gateway.Meter
}

func (w *converseWriter) Begin(meta gateway.Meta, m *gateway.Meter) error {
	w.meta, w.meter = meta, m
	w.json.x = w.x
	return w.json.Begin(meta, m)
}

func (w *converseWriter) Frame(f gateway.Frame) error {
	if f.Event == gateway.EventAnswer {
		return w.json.Frame(f)
	}
	e := w.meta.Settings.Envelope()
	e.LatencyMS = w.meter.Elapsed().Milliseconds()
	e.Lossy = w.x.Gateway.Lossy
	body, dropped, err := converse.AppendAnswer(nil, f.Data, e)
	if err != nil {
		return err
	}
	w.x.dropped(dropped)
	w.meter.Drop(dropped)
	w.json.body = body
	return nil
}

func (w *converseWriter) Flush() error { return w.json.Flush() }

// dropped names what a translation left out.
func (x *exchange) dropped(places []string) {
	if len(places) > 0 {
		x.w.Header().Add("X-Outcrop-Dropped", headerSafe(strings.Join(places, ", ")))
	}
}

// converseStreamWriter answers ConverseStream: an event a frame, no pings, since
// the union has none.
type converseStreamWriter struct {
	x      *exchange
	meter  *gateway.Meter
	asked  *converse.Settings
	stream *converse.Stream // of what is translated; nil: nothing yet
	named  int              // places that were left out and are in the record; the header is gone
	begun  bool
	buf    []byte
	kept   *[]byte
}

func (w *converseStreamWriter) Begin(meta gateway.Meta, m *gateway.Meter) error {
	w.begun, w.meter, w.kept = true, m, w.x.room()
	w.buf = *w.kept
	w.asked = meta.Settings
	w.x.announce(meta)
	w.x.set("Content-Type", bedrockapi.TypeEventStream)
	w.x.promiseCost(meta, m)
	w.x.begin(http.StatusOK)
	return nil
}

func (w *converseStreamWriter) Frame(f gateway.Frame) error {
	if !isMessagesEvent(f.Event) { // the service's own
		if f.Wire != nil {
			w.buf = append(w.buf, f.Wire...)
		} else {
			w.buf = eventstream.AppendEvent(w.buf, f.Event, "application/json", f.Data)
		}
		return nil
	}
	if w.stream == nil {
		e := w.asked.Envelope()
		e.Lossy = w.x.Gateway.Lossy
		w.stream = converse.NewStream(e)
		w.stream.Latency = w.meter.Elapsed
	}
	events, err := w.stream.Event(f.Event, f.Data)
	if dropped := w.stream.Dropped(); len(dropped) > w.named {
		w.meter.Drop(dropped[w.named:])
		w.named = len(dropped)
	}
	if err != nil {
		return err
	}
	for _, e := range events {
		w.append(e)
	}
	return nil
}

// append pads the payload as the service does: "p" is its last member.
func (w *converseStreamWriter) append(e converse.Event) {
	start := len(w.buf)
	w.buf = eventstream.BeginEvent(w.buf, e.Type, "application/json")
	w.buf = append(w.buf, e.Payload[:len(e.Payload)-1]...)
	if len(e.Payload) > len("{}") {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(w.buf, `"p":"`...)
	w.buf = append(w.buf, padding[:1+rand.IntN(len(padding))]...)
	w.buf = append(w.buf, `"}`...)
	w.buf = eventstream.EndFrame(w.buf, start)
}

func (w *converseStreamWriter) Flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	err := w.x.send(w.buf)
	w.buf = w.buf[:0]
	return err
}

// End implements gateway.Ender.
func (w *converseStreamWriter) End() error {
	err := w.x.sendLast(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *converseStreamWriter) fail(e *messages.Error) bool {
	if !w.begun {
		return false
	}
	name := bedrockapi.ExceptionOf(e.Kind).Stream
	if name == "modelTimeoutException" { // not a member of ConverseStreamOutput
		name = "modelStreamErrorException"
	}
	w.buf = eventstream.AppendException(w.buf, name, bedrockapi.AppendBody(nil, e))
	_ = w.Flush() // the client may be gone
	return true
}

func (w *converseStreamWriter) close() {
	w.x.giveBack(w.kept, w.buf)
	w.kept, w.buf = nil, nil
}

func isMessagesEvent(name string) bool {
	switch name {
	case messages.EventMessageStart, messages.EventContentBlockStart, messages.EventContentBlockDelta, messages.EventContentBlockStop,
		messages.EventMessageDelta, messages.EventMessageStop, messages.EventPing:
		return true
	default:
		return false
	}
}
