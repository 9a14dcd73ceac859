package converse

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// FromMessages translates a Messages request into the body of Converse. model
// and stream are left to its path, anthropic_version to the service. What
// Converse has no member for goes to additionalModelRequestFields; what it has
// no place for is refused by name, or dropped and named where lossy.
func FromMessages(body []byte, lossy bool) (converse []byte, dropped []string, err error) {
	c := newConverser(make([]byte, 0, len(body)+256), messages.InvalidRequest)
	c.lossy, c.names = lossy, map[string]bool{}
	c.request(body)
	if err := c.fault(); err != nil {
		return nil, nil, err
	}
	return c.out, c.dropped, nil
}

// converser is the walk from Messages to Converse.
type converser struct {
	walker
	names map[string]bool // of documents
	tools bool            // there are tool blocks
}

func newConverser(out []byte, kind messages.Kind) *converser {
	return &converser{walker: walker{out: out, kind: kind, voice: ours,
		members: make(jsonspan.Members, 0, 32), spans: make([]jsonspan.Span, 0, 16), path: make([]step, 0, 16)}}
}

func (c *converser) request(body []byte) {
	var f struct{ messages, system, maxTokens, temperature, topP, stop, tools, choice, output []byte }
	more := &converser{} // what goes to additionalModelRequestFields
	for key, v := range c.object(body).each {
		switch string(key) {
		case "model", "stream", "anthropic_version":
		case "messages":
			f.messages = v
		case "system":
			f.system = v
		case "max_tokens":
			f.maxTokens = v
		case "temperature":
			f.temperature = v
		case "top_p":
			f.topP = v
		case "stop_sequences":
			f.stop = v
		case "tools":
			f.tools = v
		case "tool_choice":
			f.choice = v
		case "output_config":
			f.output = v
		default:
			more.member(string(key), v)
		}
	}
	c.open('{')
	c.inference(f.maxTokens, f.temperature, f.topP, f.stop)
	c.in("system", f.system, func(v []byte) {
		if string(v) == `""` || string(v) == `[]` {
			return
		}
		c.key("system")
		c.open('[')
		c.blocks(v, System)
		c.open(']')
	})
	if f.messages == nil {
		c.fail("messages: Field required")
	}
	c.in("messages", f.messages, c.turns)
	config := c.toolConfig(f.tools, f.choice, more)
	if c.tools && !config {
		c.fail("tools: Converse needs a tool with a schema where the conversation has tool_use and tool_result blocks")
	}
	c.in("output_config", f.output, func(v []byte) { c.outputConfig(v, more) })
	if len(more.out) > 0 {
		c.key("additionalModelRequestFields")
		c.open('{')
		c.out = append(c.out, more.out...)
		c.open('}')
	}
	c.open('}')
}

// roleOf gives the constant, so that a turn does not allocate.
func roleOf(b []byte) string {
	switch string(b) {
	case "user":
		return "user"
	case "assistant":
		return "assistant"
	case "system":
		return "system"
	default:
		return ""
	}
}

func (c *converser) inference(maxTokens, temperature, topP, stop []byte) {
	if maxTokens == nil && temperature == nil && topP == nil && stop == nil {
		return
	}
	c.member("inferenceConfig", []byte(`{`))
	for _, m := range [...]struct {
		name string
		v    []byte
	}{{"maxTokens", maxTokens}, {"temperature", temperature}, {"topP", topP}, {"stopSequences", stop}} {
		if m.v != nil {
			c.member(m.name, m.v)
		}
	}
	c.open('}')
}

// turns writes the conversation; turns of one role in a row become one, as they
// do on the way back.
func (c *converser) turns(v []byte) {
	c.key("messages")
	c.open('[')
	open := ""
	for _, turn := range c.array(v).each {
		role := ""
		var content []byte
		for key, v := range c.object(turn).each {
			switch string(key) {
			case "role":
				role = roleOf(c.str(v))
			case "content":
				content = v
			default:
				c.extra(key)
			}
		}
		at := placeOf(role)
		if at == 0 || content == nil {
			c.fail("%s: a message needs a role (user, assistant or system) and content", c.dotted())
			continue
		}
		if role != open || at == MidSystem {
			if open != "" {
				c.out = append(c.out, `]}`...)
			}
			c.element(`{"role":"`)
			c.out = append(c.out, role...)
			c.out = append(c.out, `","content":[`...)
		}
		open = role
		n := len(c.out)
		c.push("content")
		c.blocks(content, at)
		c.pop()
		if len(c.out) == n {
			c.fail("%s: nothing of this message can be carried over to Converse", c.dotted())
		}
	}
	if open != "" {
		c.out = append(c.out, `]}`...)
	}
	c.open(']')
}

// blocks writes content, which Messages gives as a string or as blocks.
func (c *converser) blocks(v []byte, at Place) {
	if v[0] == '"' {
		c.element(`{`)
		c.member("text", v)
		c.open('}')
		return
	}
	for _, block := range c.array(v).each {
		c.block(block, at)
	}
}

// blockType is the "type" of an object; it is first as the service writes it.
func blockType(v []byte) []byte {
	const lead = `{"type":"`
	if bytes.HasPrefix(v, []byte(lead)) {
		if end := bytes.IndexAny(v[len(lead):], `"\`); end >= 0 && v[len(lead)+end] == '"' {
			return v[len(lead) : len(lead)+end]
		}
	}
	members, err := jsonspan.Scan(nil, v, nil)
	if err != nil {
		return nil
	}
	m, _ := members.Get("type")
	kind, _ := jsonspan.String(nil, m.Value(v))
	return kind
}

// block writes one Messages block, and a cachePoint behind it if it is marked.
func (c *converser) block(v []byte, at Place) {
	kind := blockType(v)
	row := rowOf(toConverse, kind)
	if row == nil || row.At&at == 0 {
		c.cannotBlock(kind)
		return
	}
	var cache []byte
	switch string(kind) {
	case "text":
		cache = c.textBlock(v, at)
	case "image":
		cache = c.image(v)
	case "document":
		cache = c.document(v, at)
	case "search_result":
		cache = c.searchResult(v)
	case "tool_use":
		cache = c.toolUse(v, at)
	case "tool_result":
		cache = c.toolResult(v)
	case "thinking":
		c.thinking(v)
	case "redacted_thinking":
		c.comma()
		c.redacted(v)
	default: // the table knows a kind that nothing here writes
		c.cannotBlock(kind)
	}
	if cache != nil {
		c.in("cache_control", cache, func(v []byte) {
			if at == Result || at == Answer {
				c.extra(nil)
				return
			}
			c.element(`{"cachePoint":`)
			c.cachePoint(v)
			c.open('}')
		})
	}
}

// cannotBlock refuses or drops a block, by its kind.
func (c *converser) cannotBlock(kind []byte) {
	if c.lossy {
		c.drop(show(kind))
		return
	}
	c.fail("%s: the block %s cannot be carried over to Converse there", c.dotted(), show(kind))
}

// show names a kind that may be anything.
func show(kind []byte) string {
	if len(kind) == 0 {
		return "nameless"
	}
	return strings.ToValidUTF8(short(kind), "?")
}

func (c *converser) cachePoint(v []byte) {
	c.open('{')
	c.member("type", []byte(`"default"`))
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
			if string(v) != `"ephemeral"` {
				c.extra(key)
			}
		case "ttl":
			c.stringMember("ttl", v)
		default:
			c.extra(key)
		}
	}
	c.open('}')
}

func (c *converser) textBlock(v []byte, at Place) (cache []byte) {
	var text, citations []byte
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
		case "text":
			text = v
		case "citations":
			if string(v) != "[]" {
				citations = v
			}
		case "cache_control":
			cache = v
		default:
			c.extra(key)
		}
	}
	if text == nil || !c.isString(text) {
		c.wrong("a text block with text")
		return nil
	}
	if citations != nil && at != Assistant && at != Answer {
		c.push("citations")
		c.extra(nil)
		c.pop()
		citations = nil
	}
	start, n := len(c.out), 0
	c.element(`{"citationsContent":{"citations":[`)
	c.in("citations", citations, func(v []byte) {
		for _, v := range c.array(v).each {
			before := len(c.out)
			if c.comma(); c.citationToConverse(v) {
				n++
			} else {
				c.out = c.out[:before]
			}
		}
	})
	if n == 0 {
		c.out = c.out[:start]
		c.element(`{`)
		c.member("text", text)
		c.open('}')
		return cache
	}
	c.out = append(c.out, `],"content":[{"text":`...)
	c.out = append(c.out, text...)
	c.out = append(c.out, `}]}}`...)
	return cache
}

func (c *converser) thinking(v []byte) {
	var text, signature []byte
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
		case "thinking":
			text = v
		case "signature":
			signature = v
		default:
			c.extra(key)
		}
	}
	if text == nil || !c.isString(text) {
		c.wrong("a thinking block with thinking")
		return
	}
	c.element(`{"reasoningContent":{"reasoningText":{`)
	if len(signature) > 2 {
		c.stringMember("signature", signature)
	}
	c.member("text", text)
	c.out = append(c.out, `}}}`...)
}

// redacted writes the object that both a block and a delta are.
func (c *converser) redacted(v []byte) {
	found := false
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
		case "data":
			found = true
			c.out = append(c.out, `{"reasoningContent":{"redactedContent":"`...)
			c.out = base64.StdEncoding.AppendEncode(c.out, c.str(v))
			c.out = append(c.out, `"}}`...)
		default:
			c.extra(key)
		}
	}
	if !found {
		c.wrong("a redacted_thinking block with data")
	}
}

func (c *converser) outputConfig(v []byte, more *converser) {
	var effort, schema []byte
	known := true
	for key, v := range c.object(v).each {
		switch string(key) {
		case "effort":
			effort = v
			known = known && v[0] == '"'
		case "format":
			if known = known && isObject(v); !known {
				continue
			}
			for key, v := range c.object(v).each {
				switch string(key) {
				case "type":
					known = known && string(v) == `"json_schema"`
				case "schema":
					schema = v
				default:
					known = false
				}
			}
			known = known && isObject(schema)
		default:
			known = false
		}
	}
	if !known {
		more.member("output_config", v)
		return
	}
	c.key("outputConfig")
	c.open('{')
	if schema != nil {
		c.out = append(c.out, `"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":`...)
		c.out = jsonspan.AppendString(c.out, string(schema))
		c.out = append(c.out, `}}}`...)
	}
	if effort != nil {
		c.member("effort", effort)
	}
	c.open('}')
}
