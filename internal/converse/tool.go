package converse

import (
	"bytes"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// tools is toolConfig on its way to tools and tool_choice.
type tools struct {
	list   []byte // elements, comma between
	choice []byte
}

// Patterns of AWS's model.
const (
	toolNamePattern = "[a-zA-Z0-9_-]+"
	toolUsePattern  = "[a-zA-Z0-9_.:-]+"
)

func (r *request) toolConfig(v []byte) {
	// Tools are written aside: those of additionalModelRequestFields follow them.
	body := r.out
	r.out = nil
	found := false
	for key, v := range r.object(v).each {
		switch string(key) {
		case "tools":
			found = true
			r.toolList(v)
		case "toolChoice":
			r.toolChoice(v)
		default:
			r.extra(key)
		}
	}
	r.need(found, "tools")
	r.out = body
}

func (r *request) toolList(v []byte) {
	n, last := 0, 0
	start := len(r.out)
	for _, v := range r.array(v).each {
		n++
		for key, v := range r.union(v, "Tool").each {
			if !r.admit(key, Tools) {
				continue
			}
			switch string(key) {
			case "toolSpec":
				if len(r.out) > start {
					r.open(',')
				}
				r.toolSpec(v)
				last = len(r.out)
			case "cachePoint":
				r.cachePoint(v, last)
				last = 0
			default:
				r.extra(key)
			}
		}
	}
	if n == 0 {
		r.violated([]byte("[]"), "Member must have length greater than or equal to 1")
	}
	r.tools.list = r.out[start:]
}

func (r *request) toolSpec(v []byte) {
	named, schema := false, false
	r.open('{')
	for key, v := range r.object(v).each {
		switch string(key) {
		case "name":
			named = true
			r.name(v, toolNamePattern, "_-")
			r.member("name", v)
		case "description":
			if r.isString(v) && len(v) == 2 {
				r.violated(v, "Member must have length greater than or equal to 1")
			}
			r.member("description", v)
		case "inputSchema":
			schema = true
			for key, v := range r.union(v, "ToolInputSchema").each {
				if string(key) != "json" {
					r.extra(key)
					continue
				}
				r.schema(v)
			}
		case "strict":
			r.boolean(v)
			r.member("strict", v)
		default:
			r.extra(key)
		}
	}
	r.open('}')
	r.need(named, "name")
	r.need(schema, "inputSchema")
}

// schema writes a tool's input schema, which AWS wants to be of an object.
func (r *request) schema(v []byte) {
	if !isObject(v) {
		r.notObject()
		return
	}
	ok := false
	if members, err := jsonspan.Scan(nil, v, nil); err != nil {
		r.malformed(err, "a JSON schema")
	} else if m, found := members.Get("type"); found {
		ok = string(m.Value(v)) == `"object"`
	}
	if !ok {
		r.fail("The value at %s.type must be one of the following: object.", r.dotted())
	}
	r.member("input_schema", v)
}

func (r *request) toolChoice(v []byte) {
	start := len(r.out)
	r.open('{')
	for key, v := range r.union(v, "ToolChoice").each {
		switch string(key) {
		case "auto", "any":
			r.textMember("type", string(key))
			for key := range r.object(v).each {
				r.extra(key)
			}
		case "tool":
			r.textMember("type", "tool")
			named := false
			for key, v := range r.object(v).each {
				switch string(key) {
				case "name":
					named = true
					r.name(v, toolNamePattern, "_-")
					r.member("name", v)
				default:
					r.extra(key)
				}
			}
			r.need(named, "name")
		default:
			r.extra(key)
		}
	}
	r.open('}')
	r.tools.choice = r.out[start:]
}

// toolsAndChoice writes tools, those of additionalModelRequestFields behind those
// of toolConfig: that is how Converse takes Anthropic's own tools.
func (r *request) toolsAndChoice() {
	var more []byte
	r.in("additionalModelRequestFields", r.fields.extra, func(v []byte) {
		m, ok := r.extraMembers.Get("tools")
		if !ok {
			return
		}
		r.push("tools")
		more = m.Value(v)
		for range r.array(more).each {
		}
		r.pop()
	})
	if len(more) > 1 {
		more = bytes.TrimSpace(more[1 : len(more)-1])
	}
	if len(r.tools.list)+len(more) > 0 {
		r.field("tools")
		r.open('[')
		r.out = append(r.out, r.tools.list...)
		if len(more) > 0 {
			r.comma()
			r.out = append(r.out, more...)
		}
		r.open(']')
	}
	if r.tools.choice != nil {
		r.field("tool_choice")
		r.out = append(r.out, r.tools.choice...)
	}
}

func (r *request) toolUse(v []byte) {
	t := &r.talk
	t.tools = true
	id, name, input := false, false, false
	r.element(`{"type":"tool_use"`)
	for key, v := range r.object(v).each {
		switch string(key) {
		case "toolUseId":
			id = true
			r.name(v, toolUsePattern, "_.:-")
			r.member("id", v)
			t.calls = append(t.calls, v)
		case "name":
			name = true
			r.name(v, toolNamePattern, "_-")
			r.member("name", v)
		case "input":
			input = true
			if !isObject(v) && r.kind == messages.InvalidRequest {
				r.notObject()
			}
			r.member("input", v)
		case "type":
			// AWS's answers say tool_use (recorded), which its model does not list.
			if string(v) != `"tool_use"` {
				r.cannot("The type %s at %s is of a server tool, which Claude models do not have in Converse. Remove the block and try again.", v, r.dotted())
			}
		default:
			r.extra(key)
		}
	}
	r.open('}')
	r.need(id, "toolUseId")
	r.need(name, "name")
	r.need(input, "input")
}

func (r *request) toolResult(v []byte) {
	t := &r.talk
	t.tools = true
	id, content, blocks, failed := false, false, 0, false
	r.element(`{"type":"tool_result"`)
	for key, v := range r.object(v).each {
		switch string(key) {
		case "toolUseId":
			id = true
			r.name(v, toolUsePattern, "_.:-")
			r.member("tool_use_id", v)
			t.answers = append(t.answers, v)
		case "content":
			content = true
			r.key("content")
			r.open('[')
			for _, v := range r.array(v).each {
				blocks++
				for key, v := range r.union(v, "ToolResultContentBlock").each {
					if r.admit(key, Result) {
						r.block(key, v, Result, 0)
					}
				}
			}
			r.open(']')
		case "status":
			r.key("is_error")
			if failed = r.enum(v, "success", "error") == "error"; failed {
				r.out = append(r.out, "true"...)
			} else {
				r.out = append(r.out, "false"...)
			}
		case "type":
			if string(v) != `"tool_result"` {
				r.cannot("The type %s at %s is of a server tool, which Claude models do not have in Converse. Remove the block and try again.", v, r.dotted())
			}
		default:
			r.extra(key)
		}
	}
	r.open('}')
	r.need(id, "toolUseId")
	r.need(content, "content")
	if failed && blocks == 0 {
		r.fail("The content field at %s cannot be empty when status value is error.", r.dotted())
	}
}

// pairs holds the results of a user's message to the calls of the turn before.
func (r *request) pairs() {
	t := &r.talk
	if len(t.answers)+len(t.calls) == 0 {
		return
	}
	r.push("content")
	defer r.pop()
	if len(t.answers) > len(t.calls) {
		r.fail("The number of toolResult blocks at %s exceeds the number of toolUse blocks of previous turn.", r.dotted())
	}
	answered := func(id []byte) bool {
		return slices.ContainsFunc(t.answers, func(a []byte) bool { return bytes.Equal(a, id) })
	}
	if len(t.answers) > 32 { // not all against all
		set := make(map[string]bool, len(t.answers))
		for _, id := range t.answers {
			set[string(id)] = true
		}
		answered = func(id []byte) bool { return set[string(id)] }
	}
	var open [][]byte
	for _, id := range t.calls {
		if !answered(id) {
			open = append(open, id)
		}
	}
	if len(open) > 0 {
		r.fail("Expected toolResult blocks at %s for the following Ids: %s", r.dotted(), quoted(open))
	}
	t.calls = t.calls[:0]
}
