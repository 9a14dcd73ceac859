package converse

import (
	"slices"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// toolConfig writes the tools that Converse can describe and reports whether
// there are any. The others go to additionalModelRequestFields as they are.
func (c *converser) toolConfig(list, choice []byte, more *converser) (written bool) {
	others := &converser{}
	c.in("tools", list, func(v []byte) {
		for _, tool := range c.array(v).each {
			if !c.expressible(tool) {
				others.element(string(tool))
				continue
			}
			if !written {
				c.member("toolConfig", []byte(`{"tools":[`))
				written = true
			}
			c.toolSpec(tool)
		}
	})
	if len(others.out) > 0 {
		more.key("tools")
		more.open('[')
		more.out = append(more.out, others.out...)
		more.open(']')
	}
	if written {
		c.open(']')
	}
	c.in("tool_choice", choice, func(v []byte) {
		if written && c.toolChoice(v) {
			return
		}
		more.member("tool_choice", v)
	})
	if written {
		c.open('}')
	}
	return written
}

// expressible says whether a tool is one that a toolSpec can hold whole.
func (c *converser) expressible(tool []byte) bool {
	name, ok := false, isObject(tool)
	if !ok {
		return false
	}
	for key, v := range c.object(tool).each {
		switch string(key) {
		case "type":
			ok = ok && string(v) == `"custom"`
		case "name":
			name = isToolName(v)
		case "description":
			ok = ok && v[0] == '"'
		case "input_schema":
			members, err := jsonspan.Scan(nil, v, nil)
			m, found := members.Get("type")
			ok = ok && err == nil && found && string(m.Value(v)) == `"object"`
		case "strict":
			_, isBool := jsonspan.Bool(v)
			ok = ok && isBool
		case "cache_control":
			ok = ok && isObject(v)
		default:
			ok = false
		}
	}
	return ok && name
}

func isToolName(v []byte) bool {
	if len(v) < 3 || len(v) > 66 || v[0] != '"' {
		return false
	}
	return !slices.ContainsFunc(v[1:len(v)-1], func(b byte) bool {
		return !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '-')
	})
}

func (c *converser) toolSpec(tool []byte) {
	var cache []byte
	c.element(`{"toolSpec":{`)
	for key, v := range c.object(tool).each {
		switch string(key) {
		case "name", "strict":
			c.member(string(key), v)
		case "description":
			if len(v) > 2 { // Converse wants text or nothing
				c.member("description", v)
			}
		case "input_schema":
			c.key("inputSchema")
			c.open('{')
			c.member("json", v)
			c.open('}')
		case "cache_control":
			cache = v
		}
	}
	c.out = append(c.out, `}}`...)
	c.in("cache_control", cache, func(v []byte) {
		c.element(`{"cachePoint":`)
		c.cachePoint(v)
		c.open('}')
	})
}

// toolChoice writes what Converse's union holds and reports whether it did.
func (c *converser) toolChoice(v []byte) bool {
	if !isObject(v) {
		return false
	}
	var name []byte
	known := true
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
		case "name":
			name = v
		default:
			known = false
		}
	}
	switch kind := string(blockType(v)); {
	case !known:
		return false
	case (kind == "auto" || kind == "any") && name == nil:
		c.key("toolChoice")
		c.open('{')
		c.member(kind, []byte(`{}`))
		c.open('}')
	case kind == "tool" && isToolName(name):
		c.member("toolChoice", []byte(`{"tool":{`))
		c.member("name", name)
		c.out = append(c.out, `}}`...)
	default: // none, or one that is newer than this
		return false
	}
	return true
}
