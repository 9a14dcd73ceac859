package scripted

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

const defaultChunk = 16

// framesOf breaks an answer into the events of its stream.
func framesOf(m *messages.Message, chunk int) ([]gateway.Frame, error) {
	if chunk <= 0 {
		chunk = defaultChunk
	}
	start := *m
	start.Content = messages.Content{Blocks: []messages.Block{}}
	start.StopReason, start.StopSequence = nil, nil
	start.Usage.OutputTokens = 1
	head, err := start.MarshalJSON()
	if err != nil {
		return nil, err
	}
	frames := []gateway.Frame{event(messages.EventMessageStart, `"message":`+string(head))}
	for i, b := range m.Content.Blocks {
		at := `"index":` + strconv.Itoa(i)
		empty, deltas, err := deltasOf(b, chunk)
		if err != nil {
			return nil, err
		}
		frames = append(frames, event(messages.EventContentBlockStart, at+`,"content_block":`+empty))
		for _, d := range deltas {
			frames = append(frames, event(messages.EventContentBlockDelta, at+`,"delta":`+d))
		}
		frames = append(frames, event(messages.EventContentBlockStop, at))
	}
	usage, err := json.Marshal(m.Usage)
	if err != nil {
		return nil, err
	}
	sequence := "null"
	if m.StopSequence != nil {
		sequence = quote(*m.StopSequence)
	}
	return append(frames,
		event(messages.EventMessageDelta, `"delta":{"stop_reason":`+quote(*m.StopReason)+`,"stop_sequence":`+sequence+`},"usage":`+string(usage)),
		event(messages.EventMessageStop, "")), nil
}

func event(kind, members string) gateway.Frame {
	data := `{"type":"` + kind + `"`
	if members != "" {
		data += "," + members
	}
	return gateway.Frame{Event: kind, Data: []byte(data + "}")}
}

func quote(s string) string { return string(messages.AppendString(nil, s)) }

// deltasOf gives the block as content_block_start shows it, and what follows.
func deltasOf(b messages.Block, chunk int) (empty string, deltas []string, err error) {
	each := func(s, before, after string) {
		for len(s) > 0 {
			n := min(chunk, len(s))
			for n < len(s) && !utf8.RuneStart(s[n]) {
				n++
			}
			deltas = append(deltas, before+quote(s[:n])+after)
			s = s[n:]
		}
	}
	switch b := b.(type) {
	case messages.Text:
		each(b.Text, `{"type":"text_delta","text":`, `}`)
		if b.Citations != nil {
			var each []json.RawMessage
			if err := json.Unmarshal(b.Citations, &each); err != nil {
				return "", nil, err
			}
			for _, c := range each {
				deltas = append(deltas, `{"type":"citations_delta","citation":`+string(c)+`}`)
			}
			return `{"type":"text","text":"","citations":[]}`, deltas, nil
		}
		return `{"type":"text","text":""}`, deltas, nil
	case messages.Thinking:
		each(b.Thinking, `{"type":"thinking_delta","thinking":`, `}`)
		return `{"type":"thinking","thinking":"","signature":""}`, append(deltas, `{"type":"signature_delta","signature":`+quote(b.Signature)+`}`), nil
	case messages.ToolUse:
		each(string(b.Input), `{"type":"input_json_delta","partial_json":`, `}`)
		return `{"type":"tool_use","id":` + quote(b.ID) + `,"name":` + quote(b.Name) + `,"input":{}}`, deltas, nil
	default: // shown whole
		raw, err := b.MarshalJSON()
		return string(raw), nil, err
	}
}

// reach refuses a script that speaks of frames which the answer does not have.
func (a *Answer) reach(frames int) error {
	places := map[string]int{"cut_at_frame": a.CutAtFrame, "hold": a.Hold, "corrupt_at_frame": a.CorruptAtFrame}
	if a.Error != nil {
		places["error.at_frame"] = a.Error.AtFrame
	}
	for name, at := range places {
		if at >= frames {
			return messages.Errorf(messages.InvalidRequest, "The scenario's %s %d is past this answer, which has the frames 0 to %d.", name, at, frames-1)
		}
	}
	return nil
}

// play is a stream that follows its answer's script.
type play struct {
	ctx    context.Context
	answer *Answer
	frames []gateway.Frame
	at     int
}

func (p *play) Next() (gateway.Frame, error) {
	a := p.answer
	switch {
	case p.ctx.Err() != nil:
		return gateway.Frame{}, p.ctx.Err()
	case p.at >= len(p.frames):
		return gateway.Frame{}, io.EOF
	case a.Error != nil && p.at >= a.Error.AtFrame:
		return gateway.Frame{}, a.Error.err()
	case a.CutAtFrame > 0 && p.at >= a.CutAtFrame:
		return gateway.Frame{}, io.EOF
	case a.Hold > 0 && p.at >= a.Hold:
		<-p.ctx.Done()
		return gateway.Frame{}, p.ctx.Err()
	}
	if p.at > 0 {
		if err := sleep(p.ctx, a.FrameDelay); err != nil {
			return gateway.Frame{}, err
		}
	}
	if a.Before != nil {
		if err := a.Before(p.at); err != nil {
			return gateway.Frame{}, err
		}
	}
	f := p.frames[p.at]
	if a.CorruptAtFrame > 0 && p.at == a.CorruptAtFrame {
		f.Wire = corrupt(f.Data)
	}
	p.at++
	return f, nil
}

// corrupt is a frame as the service sends it, but for its last byte.
func corrupt(data []byte) []byte {
	wire := eventstream.AppendEvent(nil, "chunk", "application/json", []byte(`{"bytes":"`+base64.StdEncoding.EncodeToString(data)+`"}`))
	wire[len(wire)-1] ^= 1
	return wire
}

func (p *play) Buffered() bool {
	a := p.answer
	return p.at < len(p.frames) && a.FrameDelay == 0 && a.Before == nil && a.Hold == 0
}
func (p *play) UpstreamRequestID() string { return "" }
func (p *play) Close() error              { return nil }
