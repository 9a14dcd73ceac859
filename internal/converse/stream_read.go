package converse

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// StreamReader translates the events of a ConverseStream to those of a Messages
// stream. Messages begins each block, which Converse does only for tools, and
// counts tokens before the end: so message_delta waits for metadata, and the
// input tokens of message_start are zero until then.
type StreamReader struct {
	ID, Model string // of the message
	Lossy     bool

	r        *request
	e        Envelope
	marks    []mark
	events   []Event
	begun    bool
	ended    bool
	open     block
	index    int64
	reason   []byte // messageStop's
	fields   []byte
	stopping bool
}

// Envelope is what the events said beside the message.
func (s *StreamReader) Envelope() Envelope { return s.e }

// Dropped names what the events had and Messages has no place for.
func (s *StreamReader) Dropped() []string {
	if s.r == nil {
		return nil
	}
	return s.r.dropped
}

// Ended says that the last event was given.
func (s *StreamReader) Ended() bool { return s.ended }

// Event takes one event of the ConverseStream and gives none, one or several.
func (s *StreamReader) Event(kind string, payload []byte) ([]Event, error) {
	if s.r == nil {
		s.r = newRequest(Options{Lossy: s.Lossy}, nil)
		s.r.kind, s.r.lenient = messages.ModelStreamFailed, true
	}
	r := s.r
	r.out, r.path, s.marks, s.events = r.out[:0], r.path[:0], s.marks[:0], s.events[:0]
	if s.ended || s.begun == (kind == MessageStart) || s.stopping != (kind == Metadata) {
		return nil, messages.Errorf(messages.ModelStreamFailed, "The model sent %s out of order.", show([]byte(kind)))
	}
	switch kind {
	case MessageStart:
		s.messageStart(payload)
	case ContentBlockStart, ContentBlockDelta, ContentBlockStop:
		s.content(kind, payload)
	case MessageStop:
		s.messageStop(payload)
	case Metadata:
		s.metadata(payload)
	default:
		r.push(show([]byte(kind)))
		r.cannot("%s: an event that cannot be carried over to Messages", r.dotted())
	}
	if err := r.fault(); err != nil {
		return nil, err
	}
	for i, m := range s.marks {
		end := len(r.out)
		if i+1 < len(s.marks) {
			end = s.marks[i+1].at
		}
		s.events = append(s.events, Event{m.kind, r.out[m.at:end:end]})
	}
	return s.events, nil
}

// event begins an event of Messages.
func (s *StreamReader) event(kind string) {
	s.marks = append(s.marks, mark{kind, len(s.r.out)})
	s.r.open('{')
	s.r.textMember("type", kind)
}

func (s *StreamReader) end(braces string) { s.r.out = append(s.r.out, braces...) }

// each reads an event's members but the padding, which hides a token's length.
func (s *StreamReader) each(payload []byte, read func(key, v []byte)) {
	for key, v := range s.r.object(payload).each {
		if string(key) != "p" {
			read(key, v)
		}
	}
}

func (s *StreamReader) messageStart(payload []byte) {
	s.begun = true
	s.each(payload, func(key, v []byte) {
		switch string(key) {
		case "role":
			s.r.enum(v, "assistant")
		default:
			s.r.extra(key)
		}
	})
	s.event(messages.EventMessageStart)
	s.r.member("message", []byte(`{`))
	s.r.textMember("id", s.ID)
	s.r.textMember("type", "message")
	s.r.textMember("role", "assistant")
	s.r.textMember("model", s.Model)
	s.end(`,"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}}`)
}

func (s *StreamReader) content(kind string, payload []byte) {
	r := s.r
	var body []byte
	index := int64(-1)
	s.each(payload, func(key, v []byte) {
		switch string(key) {
		case "contentBlockIndex":
			index, _ = jsonspan.Int(v)
		case "start", "delta":
			body = v
		default:
			r.extra(key)
		}
	})
	switch {
	case index < 0 || kind != ContentBlockStop && body == nil:
		r.wrong("a " + kind)
	case s.open != noBlock && index != s.index:
		r.fail("The model sent an event of block %d while block %d was open.", index, s.index)
	case kind == ContentBlockStart && s.open != noBlock:
		r.fail("The model began block %d twice.", index)
	case kind == ContentBlockStart:
		s.index = index
		s.toolStart(body)
	case kind == ContentBlockDelta:
		s.index = index
		r.push("delta")
		for key, v := range r.union(body, "ContentBlockDelta").each {
			s.delta(key, v)
		}
		r.pop()
	default:
		s.index = index
		if s.open == noBlock { // an empty text
			s.begin(textOpen)
		}
		if s.open != droppedOpen {
			s.event(messages.EventContentBlockStop)
			r.intMember("index", s.index)
			s.end(`}`)
		}
		s.open = noBlock
	}
}

// begin opens the block that a delta speaks of, if none is.
func (s *StreamReader) begin(b block) {
	if s.open != noBlock {
		if s.open != b && s.open != droppedOpen {
			s.r.fail("The model sent a delta to a block of another kind.")
		}
		return
	}
	s.open = b
	switch b {
	case textOpen:
		s.blockStart(`{"type":"text","text":""}}`)
	case thinkingOpen:
		s.blockStart(`{"type":"thinking","thinking":"","signature":""}}`)
	}
}

func (s *StreamReader) blockStart(content string) {
	s.event(messages.EventContentBlockStart)
	s.r.intMember("index", s.index)
	s.r.key("content_block")
	s.end(content)
}

func (s *StreamReader) toolStart(body []byte) {
	r := s.r
	r.push("start")
	defer r.pop()
	for key, v := range r.union(body, "ContentBlockStart").each {
		if string(key) != "toolUse" {
			s.open = droppedOpen
			r.cannot("%s: a block that cannot be carried over to Messages", r.dotted())
			continue
		}
		s.open = toolOpen
		s.blockStart(`{"type":"tool_use"`)
		for key, v := range r.object(v).each {
			switch string(key) {
			case "toolUseId":
				r.stringMember("id", v)
			case "name":
				r.stringMember("name", v)
			case "type":
				if string(v) != `"tool_use"` {
					r.cannot("The type %s at %s is of a server tool and cannot be carried over to Messages.", v, r.dotted())
				}
			default:
				r.extra(key)
			}
		}
		r.member("input", empty)
		s.end(`}}`)
	}
}

// delta writes one member of the union.
func (s *StreamReader) delta(kind, v []byte) {
	r := s.r
	switch string(kind) {
	case "text":
		s.begin(textOpen)
		s.write("text_delta", "text", v)
	case "toolUse":
		if s.open != toolOpen {
			r.fail("The model sent a tool's input to a block that is none.")
			return
		}
		for key, v := range r.object(v).each {
			switch string(key) {
			case "input":
				s.write("input_json_delta", "partial_json", v)
			default:
				r.extra(key)
			}
		}
	case "reasoningContent":
		for key, v := range r.union(v, "ReasoningContentBlockDelta").each {
			switch string(key) {
			case "text":
				s.begin(thinkingOpen)
				s.write("thinking_delta", "thinking", v)
			case "signature":
				s.begin(thinkingOpen)
				s.write("signature_delta", "signature", v)
			case "redactedContent":
				s.redacted(v)
			default:
				r.extra(key)
			}
		}
	case "citation":
		s.begin(textOpen)
		events, n := len(s.marks), len(r.out)
		s.deltaEvent("citations_delta")
		r.key("citation")
		if !r.citationToMessages(v) {
			s.marks, r.out = s.marks[:events], r.out[:n]
			return
		}
		s.end(`}}`)
	default: // toolResult, image: Claude answers with neither
		if s.open == noBlock {
			s.open = droppedOpen
		}
		r.cannot("%s: a delta that cannot be carried over to Messages", r.dotted())
	}
}

func (s *StreamReader) deltaEvent(kind string) {
	s.event(messages.EventContentBlockDelta)
	s.r.intMember("index", s.index)
	s.r.member("delta", []byte(`{`))
	s.r.textMember("type", kind)
}

func (s *StreamReader) write(kind, member string, v []byte) {
	if !s.r.isString(v) || s.open == droppedOpen {
		return
	}
	s.deltaEvent(kind)
	s.r.member(member, v)
	s.end(`}}`)
}

func (s *StreamReader) redacted(v []byte) {
	data, err := base64.StdEncoding.AppendDecode(nil, s.r.str(v))
	if err != nil || !utf8.Valid(data) {
		s.r.wrong("the base64 of a redacted_thinking block's data")
		return
	}
	if s.open != noBlock {
		s.r.fail("The model sent redactedContent to a block that had begun.")
		return
	}
	s.open = redactedOpen
	s.blockStart(`{"type":"redacted_thinking"`)
	s.r.textMember("data", string(data))
	s.end(`}}`)
}

func (s *StreamReader) messageStop(payload []byte) {
	if s.open != noBlock {
		s.r.fail("The model ended its answer before it ended block %d.", s.index)
	}
	s.stopping = true
	s.each(payload, func(key, v []byte) {
		switch string(key) {
		case "stopReason":
			s.reason = bytes.Clone(v)
		case "additionalModelResponseFields":
			s.e.Fields = bytes.Clone(v)
		default:
			s.r.extra(key)
		}
	})
	if s.reason == nil {
		s.r.missing("stopReason")
	}
}

func (s *StreamReader) metadata(payload []byte) {
	r := s.r
	var usage []byte
	s.each(payload, func(key, v []byte) {
		switch string(key) {
		case "usage":
			usage = v
		default:
			r.envelope(key, v, &s.e)
		}
	})
	s.e.Trace = bytes.Clone(s.e.Trace)
	if usage == nil {
		r.missing("usage")
		return
	}
	s.event(messages.EventMessageDelta)
	r.member("delta", []byte(`{`))
	r.stopReason(s.reason, s.e.Fields)
	s.end(`}`)
	r.key("usage")
	r.push("usage")
	r.converseUsage(usage)
	r.pop()
	s.end(`}`)
	s.event(messages.EventMessageStop)
	r.intervened(s.reason)
	s.end(`}`)
	s.ended = !r.faulty()
}
