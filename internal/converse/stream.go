package converse

import (
	"bytes"
	"time"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Event is one event of a stream: its type and its JSON, which is valid until
// the next call that gave it.
type Event struct {
	Type    string
	Payload []byte
}

// Events of a ConverseStream, in the order of one answer.
const (
	MessageStart      = "messageStart"
	ContentBlockStart = "contentBlockStart"
	ContentBlockDelta = "contentBlockDelta"
	ContentBlockStop  = "contentBlockStop"
	MessageStop       = "messageStop"
	Metadata          = "metadata"
)

// Stream translates the events of a Messages stream to those of a
// ConverseStream. It allocates nothing for an event of text or of a tool's input
// once its buffers have grown.
type Stream struct {
	// Latency is asked for metrics at the end; nil says the envelope's.
	Latency func() time.Duration

	c      *converser
	e      Envelope
	usage  messages.Usage
	events []Event
	marks  []mark

	begun, ended bool
	intervened   bool   // a guardrail
	index        int64  // of the block that is open, on the Messages side
	open         block  // what it is
	next         int64  // its index on the Converse side
	start        []byte // message_start's message, if a pointer may ask for it
	delta        []byte // message_delta's event, likewise
	reason       []byte
}

// block is what a stream knows of the block that is open.
type block uint8

const (
	noBlock block = iota
	textOpen
	toolOpen
	thinkingOpen
	redactedOpen
	droppedOpen
)

// mark is an event whose payload begins at an offset of the buffer.
type mark struct {
	kind string
	at   int
}

// NewStream starts a stream that answers a request with that envelope.
func NewStream(e Envelope) *Stream {
	s := &Stream{e: e, c: newConverser(make([]byte, 0, 1024), messages.ModelStreamFailed)}
	s.c.lossy, s.c.lenient = e.Lossy, true
	return s
}

// Dropped names what the events had and ConverseStream has no place for.
func (s *Stream) Dropped() []string { return s.c.dropped }

// Usage is what the events have said so far.
func (s *Stream) Usage() messages.Usage { return s.usage }

// Ended says that the last event was given.
func (s *Stream) Ended() bool { return s.ended }

// Event takes one event of the Messages stream and gives none, one or several.
// The error is a *messages.Error; no event may follow it.
func (s *Stream) Event(name string, data []byte) ([]Event, error) {
	c := s.c
	c.out, c.path, s.marks, s.events = c.out[:0], c.path[:0], s.marks[:0], s.events[:0]
	if err := s.order(name); err != nil {
		return nil, err
	}
	switch name {
	case messages.EventMessageStart:
		s.messageStart(data)
	case messages.EventContentBlockStart:
		s.blockStart(data)
	case messages.EventContentBlockDelta:
		s.blockDelta(data)
	case messages.EventContentBlockStop:
		s.blockStop()
	case messages.EventMessageDelta:
		s.messageDelta(data)
	case messages.EventMessageStop:
		s.messageStop(data)
	case messages.EventPing: // the union has none
	default:
		c.push(show([]byte(name)))
		c.cannot("%s: an event that cannot be carried over to ConverseStream", c.dotted())
	}
	if err := c.fault(); err != nil {
		return nil, err
	}
	for i, m := range s.marks {
		end := len(c.out)
		if i+1 < len(s.marks) {
			end = s.marks[i+1].at
		}
		s.events = append(s.events, Event{m.kind, c.out[m.at:end:end]})
	}
	return s.events, nil
}

// order refuses what no answer looks like.
func (s *Stream) order(name string) error {
	switch name {
	case messages.EventPing:
		return nil
	case messages.EventMessageStart:
		if !s.begun {
			return nil
		}
	default:
		if s.begun && !s.ended {
			return nil
		}
	}
	return messages.Errorf(messages.ModelStreamFailed, "The model sent %s out of order.", show([]byte(name)))
}

// event begins the payload of an event.
func (s *Stream) event(kind string) {
	s.marks = append(s.marks, mark{kind, len(s.c.out)})
	s.c.open('{')
}

// deltaEvent begins a delta of the block that is open; end closes it.
func (s *Stream) deltaEvent() {
	s.event(ContentBlockDelta)
	s.c.intMember("contentBlockIndex", s.next)
	s.c.key("delta")
	s.c.open('{')
}

func (s *Stream) end(braces string) { s.c.out = append(s.c.out, braces...) }

func (s *Stream) messageStart(data []byte) {
	s.begun = true
	for key, v := range s.c.object(data).each {
		if string(key) != "message" {
			continue
		}
		if len(s.e.ResponseFields) > 0 {
			s.start = bytes.Clone(v)
		}
		for key, v := range s.c.object(v).each {
			if string(key) == "usage" {
				s.c.usage(v, &s.usage)
			}
		}
	}
	s.event(MessageStart)
	s.c.member("role", []byte(`"assistant"`))
	s.end(`}`)
}

func (s *Stream) blockStart(data []byte) {
	c := s.c
	var content []byte
	if s.open != noBlock {
		c.fail("The model began a block before it ended block %d.", s.index)
		return
	}
	for key, v := range c.object(data).each {
		switch string(key) {
		case "type":
		case "index":
			s.index, _ = jsonspan.Int(v)
		case "content_block":
			content = v
		default:
			c.extra(key)
		}
	}
	if content == nil {
		c.wrong("a content_block")
		return
	}
	s.atBlock()
	switch kind := blockType(content); string(kind) {
	case "text":
		s.open = textOpen
		s.opening(content)
	case "thinking":
		s.open = thinkingOpen
		s.opening(content)
	case "tool_use":
		s.open = toolOpen
		s.toolStart(content)
	case "redacted_thinking":
		s.open = redactedOpen
		s.event(ContentBlockDelta)
		c.intMember("contentBlockIndex", s.next)
		c.key("delta")
		c.redacted(content)
		s.end(`}`)
	default:
		s.open = droppedOpen
		c.cannotBlock(kind)
	}
}

// atBlock names the block that is open as an answer that is not streamed does.
func (s *Stream) atBlock() {
	s.c.path = append(s.c.path[:0], step{name: "content"}, step{index: int(s.index)})
}

// opening gives what a text or thinking block holds from its start: deltas, for
// ConverseStream does not announce such a block. What the text is signed or
// proved with follows it, in whatever order the members stand.
func (s *Stream) opening(content []byte) {
	var signature, citations []byte
	for key, v := range s.c.object(content).each {
		switch string(key) {
		case "type":
		case "text", "thinking":
			if len(v) > 2 {
				s.write(string(key), v)
			}
		case "signature":
			signature = v
		case "citations":
			citations = v
		default:
			s.c.extra(key)
		}
	}
	if len(signature) > 2 {
		s.write("signature", signature)
	}
	s.c.in("citations", citations, func(v []byte) {
		for _, v := range s.c.array(v).each {
			s.citation(v)
		}
	})
}

func (s *Stream) toolStart(content []byte) {
	c := s.c
	var input []byte
	s.event(ContentBlockStart)
	c.intMember("contentBlockIndex", s.next)
	c.member("start", []byte(`{"toolUse":{`))
	for key, v := range c.object(content).each {
		switch string(key) {
		case "type":
		case "id":
			c.stringMember("toolUseId", v)
		case "name":
			c.stringMember("name", v)
		case "input":
			input = v
		case "caller":
			if string(blockType(v)) != "direct" {
				c.extra(key)
			}
		default:
			c.extra(key)
		}
	}
	c.member("type", []byte(`"tool_use"`))
	s.end(`}}}`)
	if len(input) > 2 { // a server that does not stream it
		s.deltaEvent()
		c.member("toolUse", []byte(`{`))
		c.textMember("input", string(input))
		s.end(`}}}`)
	}
}

// write gives one delta whose value is the JSON string v.
func (s *Stream) write(kind string, v []byte) {
	c := s.c
	if !c.isString(v) {
		return
	}
	s.deltaEvent()
	switch kind {
	case "text":
		c.member("text", v)
		s.end(`}}`)
	case "partial_json":
		c.member("toolUse", []byte(`{`))
		c.member("input", v)
		s.end(`}}}`)
	case "thinking":
		c.member("reasoningContent", []byte(`{`))
		c.member("text", v)
		s.end(`}}}`)
	case "signature":
		c.member("reasoningContent", []byte(`{`))
		c.member("signature", v)
		s.end(`}}}`)
	}
}

func (s *Stream) citation(v []byte) {
	events, n := len(s.marks), len(s.c.out)
	s.deltaEvent()
	s.c.key("citation")
	if !s.c.citationToConverse(v) {
		s.marks, s.c.out = s.marks[:events], s.c.out[:n]
		return
	}
	s.end(`}}`)
}

// deltas says which member of a delta holds its value, and to which block it
// belongs.
var deltas = []struct {
	kind, member string
	of           block
}{
	{"text_delta", "text", textOpen},
	{"input_json_delta", "partial_json", toolOpen},
	{"thinking_delta", "thinking", thinkingOpen},
	{"signature_delta", "signature", thinkingOpen},
	{"citations_delta", "citation", textOpen},
}

func (s *Stream) blockDelta(data []byte) {
	c := s.c
	var delta []byte
	index := int64(-1)
	for key, v := range c.object(data).each {
		switch string(key) {
		case "type":
		case "index":
			index, _ = jsonspan.Int(v)
		case "delta":
			delta = v
		default:
			c.extra(key)
		}
	}
	if s.open == noBlock || index != s.index || delta == nil {
		c.fail("The model sent a delta of a block that is not open.")
		return
	}
	if s.open == droppedOpen {
		return
	}
	s.atBlock()
	kind := blockType(delta)
	for i := range deltas {
		d := &deltas[i]
		if d.kind != string(kind) {
			continue
		}
		if d.of != s.open {
			c.fail("The model sent a %s to a block of another kind.", d.kind)
			return
		}
		found := false
		for key, v := range c.object(delta).each {
			switch string(key) {
			case "type":
			case d.member:
				if found = true; d.member == "citation" {
					s.citation(v)
				} else {
					s.write(d.member, v)
				}
			default:
				c.extra(key)
			}
		}
		if !found {
			c.wrong("a " + d.kind + " with " + d.member)
		}
		return
	}
	c.cannotBlock(kind)
}

func (s *Stream) blockStop() {
	switch s.open {
	case noBlock:
		s.c.fail("The model ended a block that is not open.")
	case droppedOpen:
	default:
		s.event(ContentBlockStop)
		s.c.intMember("contentBlockIndex", s.next)
		s.end(`}`)
		s.next++
	}
	s.open = noBlock
}

func (s *Stream) messageDelta(data []byte) {
	if len(s.e.ResponseFields) > 0 {
		s.delta = bytes.Clone(data)
	}
	for key, v := range s.c.object(data).each {
		switch string(key) {
		case "usage":
			s.c.usage(v, &s.usage)
		case "delta":
			for key, v := range s.c.object(v).each {
				if string(key) == "stop_reason" {
					s.reason = bytes.Clone(v)
				}
			}
		default:
			s.guardrail(key, v)
		}
	}
}

// guardrail notes what Bedrock puts beside the model's own members.
func (s *Stream) guardrail(key, v []byte) {
	switch string(key) {
	case "amazon-bedrock-guardrailAction":
		s.intervened = s.intervened || string(v) == `"INTERVENED"`
	case "amazon-bedrock-trace": // of another form than Converse's trace
		s.c.drop("")
	default: // what additionalModelResponseFieldPaths can ask for
	}
}

// messageStop gives the last two events: metadata comes after messageStop.
func (s *Stream) messageStop(data []byte) {
	c := s.c
	for key, v := range c.object(data).each {
		s.guardrail(key, v)
	}
	if s.open != noBlock {
		c.fail("The model ended its answer before it ended block %d.", s.index)
		return
	}
	s.event(MessageStop)
	fields := s.e.Fields
	if fields == nil && len(s.e.ResponseFields) > 0 {
		fields = selectFields(s.e.ResponseFields, s.delta, lookUp(s.delta, []string{"delta"}), s.start)
	}
	if fields != nil {
		c.member("additionalModelResponseFields", fields)
	}
	c.key("stopReason")
	if s.reason == nil {
		c.fail("The model ended its answer without a stop_reason.")
		return
	}
	c.push("stop_reason")
	c.stopReason(s.reason, s.intervened)
	c.pop()
	s.end(`}`)

	if s.Latency != nil {
		s.e.LatencyMS = s.Latency().Milliseconds()
	}
	s.event(Metadata)
	c.metrics(s.e.LatencyMS)
	c.echo(s.e)
	if s.e.Trace != nil {
		c.member("trace", s.e.Trace)
	}
	c.key("usage")
	c.writeUsage(&s.usage)
	s.end(`}`)
	s.ended = !c.faulty()
}
