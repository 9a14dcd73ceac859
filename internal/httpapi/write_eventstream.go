package httpapi

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// frameWriter answers InvokeModelWithResponseStream: each event is the base64
// "bytes" of a chunk frame, beside padding that hides a token's length. What we
// have made a stream of says ping while it is silent; frames that are relayed
// stay as AWS sent them.
type frameWriter struct {
	x     *exchange
	meter *gateway.Meter

	mu    sync.Mutex // the timer writes too
	begun bool
	buf   []byte // frames not sent yet
	kept  *[]byte
	event []byte // message_stop with its metrics
	ping  *pinger

	relayed bool
}

func (w *frameWriter) Begin(meta gateway.Meta, m *gateway.Meter) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meter, w.begun = m, true
	w.kept = w.x.room()
	w.buf = *w.kept
	w.x.announce(meta)
	w.x.set("Content-Type", bedrockapi.TypeEventStream)
	w.x.set(bedrockapi.HeaderContentType, "application/json")
	w.x.promiseCost(meta, m)
	w.x.begin(http.StatusOK)
	return nil
}

// padding is the alphabet of "p"; the service sends a prefix of it.
const padding = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567"

func (w *frameWriter) Frame(f gateway.Frame) error {
	if f.Wire == nil || w.ping != nil { // there is a timer, or will be
		w.mu.Lock()
		defer w.mu.Unlock()
	}
	if f.Wire != nil {
		w.relayed = true
		w.buf = append(w.buf, f.Wire...)
		return nil
	}
	if w.ping == nil && !w.relayed {
		w.ping = newPinger(&w.mu, func() error {
			w.chunk([]byte(pingEvent))
			return w.send()
		})
	}
	data := f.Data
	if f.Event == messages.EventMessageStop {
		w.event = appendMetrics(w.event[:0], data, w.meter)
		data = w.event
	}
	w.chunk(data)
	return nil
}

// chunk needs the mutex.
func (w *frameWriter) chunk(data []byte) {
	start := len(w.buf)
	w.buf = eventstream.BeginEvent(w.buf, "chunk", "application/json")
	w.buf = append(w.buf, `{"bytes":"`...)
	w.buf = base64.StdEncoding.AppendEncode(w.buf, data)
	w.buf = append(w.buf, `","p":"`...)
	w.buf = append(w.buf, padding[:1+rand.IntN(len(padding))]...)
	w.buf = append(w.buf, `"}`...)
	w.buf = eventstream.EndFrame(w.buf, start)
}

func (w *frameWriter) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) == 0 {
		return nil
	}
	w.ping.reset()
	return w.send()
}

// End implements gateway.Ender.
func (w *frameWriter) End() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.x.sendLast(w.buf)
	w.buf = w.buf[:0]
	return err
}

// send needs the mutex.
func (w *frameWriter) send() error {
	err := w.x.send(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *frameWriter) fail(e *messages.Error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.begun {
		return false
	}
	exception := bedrockapi.ExceptionOf(e.Kind)
	w.buf = eventstream.AppendException(w.buf, exception.Stream, bedrockapi.AppendBody(nil, e))
	_ = w.send() // the client may be gone
	return true
}

func (w *frameWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ping.stop()
	w.x.giveBack(w.kept, w.buf)
	w.kept, w.buf = nil, nil
}

// maxKept bounds what a stream leaves to the next.
const maxKept = 64 << 10

// room is an empty buffer for a stream.
func (s *Server) room() *[]byte {
	if kept, ok := s.frames.Get().(*[]byte); ok {
		return kept
	}
	return new([]byte)
}

// giveBack takes a room with what it has grown to; nil was none.
func (s *Server) giveBack(kept *[]byte, buf []byte) {
	if kept != nil && cap(buf) <= maxKept {
		*kept = buf[:0]
		s.frames.Put(kept)
	}
}

// appendMetrics puts amazon-bedrock-invocationMetrics into message_stop, if the
// upstream has not.
func appendMetrics(dst, stop []byte, m *gateway.Meter) []byte {
	if bytes.Contains(stop, []byte(`"amazon-bedrock-invocationMetrics"`)) {
		return append(dst, stop...)
	}
	end := len(stop) - 1
	for end > 0 && stop[end] != '}' {
		end--
	}
	dst = append(dst, stop[:end]...)
	member := func(name string, n int64) {
		dst = append(dst, name...)
		dst = strconv.AppendInt(dst, n, 10)
	}
	member(`,"amazon-bedrock-invocationMetrics":{"inputTokenCount":`, m.Usage.InputTokens)
	member(`,"outputTokenCount":`, m.Usage.OutputTokens)
	member(`,"invocationLatency":`, m.Elapsed().Milliseconds())
	member(`,"firstByteLatency":`, m.FirstFrame().Milliseconds())
	if m.Usage.CacheReadInputTokens > 0 || m.Usage.CacheCreationInputTokens > 0 {
		member(`,"cacheReadInputTokenCount":`, m.Usage.CacheReadInputTokens)
		member(`,"cacheWriteInputTokenCount":`, m.Usage.CacheCreationInputTokens)
	}
	return append(dst, "}}"...)
}
