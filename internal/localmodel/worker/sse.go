package worker

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// events writes the stream of one answer in the service's order. A content block
// opens with what comes first of it, so an empty answer has none.
type events struct {
	w    http.ResponseWriter
	buf  bytes.Buffer
	open bool
	n    int // blocks closed
}

type object map[string]any

func (e *events) send(name string, v any) error {
	e.buf.Reset()
	e.buf.WriteString("event: " + name + "\ndata: ")
	if err := encode(&e.buf, v); err != nil {
		return err
	}
	e.buf.WriteString("\n")
	if _, err := e.w.Write(e.buf.Bytes()); err != nil {
		return err
	}
	return http.NewResponseController(e.w).Flush()
}

func (e *events) start(m message) error {
	e.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	e.w.Header().Set("Cache-Control", "no-cache")
	return e.send("message_start", object{"type": "message_start", "message": m})
}

func (e *events) text(s string) error {
	if s == "" {
		return nil
	}
	if !e.open {
		if err := e.begin(textBlock{Type: "text"}); err != nil {
			return err
		}
	}
	return e.delta(textBlock{Type: "text_delta", Text: s})
}

func (e *events) call(name string) error {
	if err := e.close(); err != nil {
		return err
	}
	if err := e.begin(newCall(name)); err != nil {
		return err
	}
	return e.delta(inputDelta{"input_json_delta", ""}) // as the service does
}

func (e *events) input(s string) error {
	if s == "" {
		return nil
	}
	return e.delta(inputDelta{"input_json_delta", s})
}

type inputDelta struct {
	Type string `json:"type"`
	JSON string `json:"partial_json"`
}

func (e *events) begin(block any) error {
	e.open = true
	return e.send("content_block_start", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
		Block any    `json:"content_block"`
	}{"content_block_start", e.n, block})
}

func (e *events) delta(d any) error {
	return e.send("content_block_delta", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
		Delta any    `json:"delta"`
	}{"content_block_delta", e.n, d})
}

func (e *events) close() error {
	if !e.open {
		return nil
	}
	e.open = false
	e.n++
	return e.send("content_block_stop", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
	}{"content_block_stop", e.n - 1})
}

func (e *events) end(m message) error {
	if err := e.close(); err != nil {
		return err
	}
	type delta struct {
		StopReason   *string `json:"stop_reason"`
		StopSequence *string `json:"stop_sequence"`
	}
	if err := e.send("message_delta", struct {
		Type  string `json:"type"`
		Delta delta  `json:"delta"`
		Usage usage  `json:"usage"`
	}{"message_delta", delta{m.StopReason, m.StopSequence}, m.Usage}); err != nil {
		return err
	}
	return e.send("message_stop", object{"type": "message_stop"})
}

// encode writes v and a line break, with <, > and & as they are.
func encode(buf *bytes.Buffer, v any) error {
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
