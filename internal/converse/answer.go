package converse

import (
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Envelope is what a Converse answer holds around the model's message.
type Envelope struct {
	LatencyMS      int64
	Latency        string   // performanceConfig, echoed where the request names one
	ServiceTier    string   // likewise
	ResponseFields []string // additionalModelResponseFieldPaths of the request
	Fields         []byte   // additionalModelResponseFields as an answer gave them; wins over ResponseFields
	Trace          []byte   // trace, JSON
	Lossy          bool     // drop and name blocks that Converse cannot hold
}

// Envelope is the envelope of an answer to a request with these settings.
func (s *Settings) Envelope() Envelope {
	return Envelope{Latency: s.Latency, ServiceTier: s.ServiceTier, ResponseFields: s.ResponseFields}
}

// AppendAnswer appends the Converse answer that holds a Messages message. Dropped
// names what the message has and the answer has no place for.
func AppendAnswer(dst, message []byte, e Envelope) (out []byte, dropped []string, err error) {
	c := newConverser(dst, messages.ModelFailed)
	c.lossy, c.lenient = e.Lossy, true
	c.answer(message, e)
	if err := c.fault(); err != nil {
		return dst, c.dropped, err
	}
	return c.out, c.dropped, nil
}

// answer writes the members in the order of AWS's answers, which is that of the
// alphabet (recorded).
func (c *converser) answer(message []byte, e Envelope) {
	var content, reason []byte
	var u messages.Usage
	intervened := false
	for key, v := range c.object(message).each {
		switch string(key) {
		case "content":
			content = v
		case "stop_reason":
			reason = v
		case "usage":
			c.usage(v, &u)
		case "amazon-bedrock-guardrailAction":
			intervened = string(v) == `"INTERVENED"`
		case "amazon-bedrock-trace": // of another form than Converse's trace
			c.drop("")
		default: // what additionalModelResponseFieldPaths can ask for
		}
	}
	fields := e.Fields
	if fields == nil {
		fields = selectFields(e.ResponseFields, message)
	}
	c.open('{')
	if fields != nil {
		c.member("additionalModelResponseFields", fields)
	}
	c.metrics(e.LatencyMS)
	c.member("output", []byte(`{"message":{"content":[`))
	if content == nil {
		c.fail("content: Field required")
	}
	c.in("content", content, func(v []byte) { c.blocks(v, Answer) })
	c.out = append(c.out, `],"role":"assistant"}}`...)
	c.echo(e)
	c.key("stopReason")
	c.in("stop_reason", reason, func(v []byte) { c.stopReason(v, intervened) })
	if reason == nil {
		c.fail("stop_reason: Field required")
	}
	if e.Trace != nil {
		c.member("trace", e.Trace)
	}
	c.key("usage")
	c.writeUsage(&u)
	c.open('}')
}

func (c *converser) metrics(latencyMS int64) {
	c.key("metrics")
	c.open('{')
	c.intMember("latencyMs", latencyMS)
	c.open('}')
}

// echo writes what the service says back of the request.
func (c *converser) echo(e Envelope) {
	if e.Latency != "" {
		c.member("performanceConfig", []byte(`{`))
		c.textMember("latency", e.Latency)
		c.open('}')
	}
	if e.ServiceTier != "" {
		c.member("serviceTier", []byte(`{`))
		c.textMember("type", e.ServiceTier)
		c.open('}')
	}
}

// reasons is stop_reason against stopReason; the enum is closed. AWS answers a
// refusal with content_filtered (reported: danny-avila/LibreChat#15647).
var reasons = []struct{ messages, converse string }{
	{"end_turn", "end_turn"},
	{"tool_use", "tool_use"},
	{"max_tokens", "max_tokens"},
	{"stop_sequence", "stop_sequence"},
	{"model_context_window_exceeded", "model_context_window_exceeded"},
	{"refusal", "content_filtered"},
}

// stopReason writes a reason of the enum. One that has no like there becomes
// end_turn, and is named.
func (c *converser) stopReason(v []byte, intervened bool) {
	s := c.str(v)
	if intervened {
		c.out = append(c.out, `"guardrail_intervened"`...)
		return
	}
	for i := range reasons {
		if reasons[i].messages == string(s) {
			c.out = append(c.out, '"')
			c.out = append(c.out, reasons[i].converse...)
			c.out = append(c.out, '"')
			return
		}
	}
	c.drop(show(s))
	c.out = append(c.out, `"end_turn"`...)
}

// ReadAnswer translates a Converse answer to a Messages message with the id and
// the model's name that the caller gives, and gives its envelope.
func ReadAnswer(answer []byte, id, model string, lossy bool) (message []byte, e Envelope, dropped []string, err error) {
	r := newRequest(Options{Lossy: lossy}, answer)
	r.kind, r.lenient = messages.ModelFailed, true
	var content, reason, usage []byte
	for key, v := range r.object(answer).each {
		switch string(key) {
		case "output":
			for key, v := range r.union(v, "ConverseOutput").each {
				if string(key) != "message" {
					r.extra(key)
					continue
				}
				for key, v := range r.object(v).each {
					switch string(key) {
					case "content":
						content = v
					case "role":
						r.enum(v, "assistant")
					default:
						r.extra(key)
					}
				}
			}
		case "stopReason":
			reason = v
		case "usage":
			usage = v
		default:
			r.envelope(key, v, &e)
		}
	}
	r.open('{')
	r.textMember("id", id)
	r.textMember("type", "message")
	r.textMember("role", "assistant")
	r.textMember("model", model)
	r.key("content")
	r.open('[')
	r.push("output")
	r.push("message")
	r.in("content", content, func(v []byte) {
		for _, block := range r.array(v).each {
			for key, v := range r.union(block, "ContentBlock").each {
				if row := rowOf(fromConverse, key); row == nil || row.At&Answer == 0 {
					r.cannot("The %s block at %s cannot be carried over to Messages.", show(key), r.dotted())
					continue
				}
				r.block(key, v, Answer, 0)
			}
		}
	})
	r.pop()
	r.pop()
	r.open(']')
	r.in("stopReason", reason, func(v []byte) {
		r.stopReason(v, e.Fields)
		r.intervened(v)
	})
	r.in("usage", usage, func(v []byte) {
		r.key("usage")
		r.converseUsage(v)
	})
	r.open('}')
	r.need(content != nil, "output")
	r.need(reason != nil, "stopReason")
	r.need(usage != nil, "usage")
	if err := r.fault(); err != nil {
		return nil, e, r.dropped, err
	}
	return r.out, e, r.dropped, nil
}

// envelope reads a member of an answer or of a stream's metadata that is not the
// model's.
func (r *request) envelope(key, v []byte, e *Envelope) {
	switch string(key) {
	case "metrics":
		for key, v := range r.object(v).each {
			switch string(key) {
			case "latencyMs":
				e.LatencyMS, _ = jsonspan.Int(v)
			default:
				r.extra(key)
			}
		}
	case "additionalModelResponseFields":
		e.Fields = v
	case "trace":
		e.Trace = v
	case "performanceConfig":
		for key, v := range r.object(v).each {
			switch string(key) {
			case "latency":
				e.Latency = string(r.str(v))
			default:
				r.extra(key)
			}
		}
	case "serviceTier":
		for key, v := range r.object(v).each {
			switch string(key) {
			case "type":
				e.ServiceTier = string(r.str(v))
			default:
				r.extra(key)
			}
		}
	default:
		r.extra(key)
	}
}

// stopReason writes stop_reason and stop_sequence.
func (r *request) stopReason(v, fields []byte) {
	s := string(r.str(v))
	r.key("stop_reason")
	named := false
	for i := range reasons {
		if reasons[i].converse == s {
			r.out = append(r.out, '"')
			r.out = append(r.out, reasons[i].messages...)
			r.out = append(r.out, '"')
			named = true
		}
	}
	if !named {
		r.out = append(r.out, `"end_turn"`...)
		if s != "guardrail_intervened" {
			r.drop(show([]byte(s)))
		}
	}
	r.key("stop_sequence")
	sequence := lookUp(fields, []string{"stop_sequence"})
	if sequence == nil {
		sequence = lookUp(fields, []string{"delta", "stop_sequence"})
	}
	if sequence == nil {
		sequence = []byte("null")
	}
	r.out = append(r.out, sequence...)
}

// intervened writes what InvokeModel says where a guardrail stopped the model.
func (r *request) intervened(reason []byte) {
	if string(reason) == `"guardrail_intervened"` {
		r.textMember("amazon-bedrock-guardrailAction", "INTERVENED")
	}
}
