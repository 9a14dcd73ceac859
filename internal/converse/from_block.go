package converse

import (
	"bytes"
	"strconv"
)

func (c *converser) toolUse(v []byte, at Place) (cache []byte) {
	c.tools = true
	var id, name, input []byte
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
		case "id":
			id = v
		case "name":
			name = v
		case "input":
			input = v
		case "cache_control":
			cache = v
		case "caller":
			if string(blockType(v)) != "direct" { // the model itself, as all of Converse's
				c.extra(key)
			}
		default:
			c.extra(key)
		}
	}
	c.element(`{"toolUse":{`)
	for _, m := range [...]struct {
		name string
		v    []byte
	}{{"input", input}, {"name", name}, {"toolUseId", id}} {
		if m.v == nil {
			c.missing(m.name)
			continue
		}
		if m.name == "input" {
			c.member(m.name, m.v)
		} else {
			c.stringMember(m.name, m.v)
		}
	}
	if at == Answer { // as AWS answers (recorded); its model does not list the value
		c.member("type", []byte(`"tool_use"`))
	} else if !isToolName(name) {
		c.cannot("%s.name: Converse takes a tool's name of at most 64 letters, digits, _ and -", c.dotted())
	}
	c.out = append(c.out, `}}`...)
	return cache
}

func (c *converser) toolResult(v []byte) (cache []byte) {
	c.tools = true
	content := false
	c.element(`{"toolResult":{`)
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
		case "tool_use_id":
			c.stringMember("toolUseId", v)
		case "content":
			content = true
			c.key("content")
			c.open('[')
			c.blocks(v, Result)
			c.open(']')
		case "is_error":
			status := `"success"`
			if c.boolean(v) {
				status = `"error"`
			}
			c.member("status", []byte(status))
		case "cache_control":
			cache = v
		default:
			c.extra(key)
		}
	}
	if !content { // Converse wants the member
		c.member("content", []byte(`[]`))
	}
	c.out = append(c.out, `}}`...)
	return cache
}

// source is a Messages source, of an image or of a document.
type source struct{ kind, media, data, content []byte }

func (c *converser) source(v []byte) (s source) {
	s.kind = blockType(v)
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
		case "media_type":
			s.media = bytes.Clone(c.str(v))
		case "data":
			s.data = v
		case "content":
			s.content = v
		case "url", "file_id": // named by the kind
		default:
			c.extra(key)
		}
	}
	return s
}

func (c *converser) cannotSource(s source) {
	c.push("source")
	defer c.pop()
	what := show(s.kind)
	if len(s.media) > 0 {
		what += " of " + show(s.media)
	}
	if c.lossy {
		c.drop(what)
		return
	}
	c.fail("%s: the source %s cannot be carried over to Converse", c.dotted(), what)
}

func (c *converser) image(v []byte) (cache []byte) {
	var src source
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
		case "source":
			src = c.source(v)
		case "cache_control":
			cache = v
		default:
			c.extra(key)
		}
	}
	format, ok := bytes.CutPrefix(src.media, []byte("image/"))
	if string(src.kind) != "base64" || !ok || src.data == nil {
		c.cannotSource(src)
		return nil
	}
	c.element(`{"image":{`)
	c.textMember("format", string(format))
	c.key("source")
	c.open('{')
	c.stringMember("bytes", src.data)
	c.out = append(c.out, `}}}`...)
	return cache
}

func (c *converser) document(v []byte, at Place) (cache []byte) {
	var src source
	var title, context []byte
	cited, config := false, false
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
		case "source":
			src = c.source(v)
		case "title":
			title = v
		case "context":
			context = v
		case "citations":
			config = true
			for key, v := range c.object(v).each {
				switch string(key) {
				case "enabled":
					cited = c.boolean(v)
				default:
					c.extra(key)
				}
			}
		case "cache_control":
			cache = v
		default:
			c.extra(key)
		}
	}
	name := c.documentName(title)
	start := len(c.out)
	c.element(`{"document":{`)
	if config {
		c.key("citations")
		c.open('{')
		c.member("enabled", strconv.AppendBool(nil, cited))
		c.open('}')
	}
	if context != nil {
		c.stringMember("context", context)
	}
	format, pages := "txt", string(src.kind) == "base64"
	if pages {
		format = "pdf"
	}
	c.textMember("format", format)
	c.textMember("name", name)
	c.key("source")
	c.open('{')
	ok := true
	switch {
	case pages && string(src.media) == "application/pdf" && src.data != nil:
		c.stringMember("bytes", src.data)
		if !cited {
			c.push("citations")
			c.cannot("%s: Converse reads a PDF without citations as text alone; enable them to have its pages read", c.dotted())
			c.pop()
		}
	case string(src.kind) == "text" && src.data != nil:
		c.stringMember("text", src.data)
	case string(src.kind) == "content" && src.content != nil:
		c.in("source", src.content, c.sourceContent)
	default:
		ok = false
		c.cannotSource(src)
	}
	c.out = append(c.out, `}}}`...)
	if cited && at == Result {
		c.push("citations")
		c.cannot("%s: Converse has no citations in a tool's result", c.dotted())
		c.pop()
	}
	if !ok {
		c.out = c.out[:start]
		return nil
	}
	return cache
}

func (c *converser) sourceContent(v []byte) {
	c.push("content")
	defer c.pop()
	c.key("content")
	c.open('[')
	c.texts(v)
	c.open(']')
}

// texts writes text blocks, given as a string or as blocks, as {"text"}.
func (c *converser) texts(v []byte) {
	if v[0] == '"' {
		c.element(`{`)
		c.stringMember("text", v)
		c.open('}')
		return
	}
	for _, block := range c.array(v).each {
		if kind := blockType(block); string(kind) != "text" {
			c.cannotBlock(kind)
			continue
		}
		if cache := c.textBlock(block, Result); cache != nil {
			c.push("cache_control")
			c.extra(nil)
			c.pop()
		}
	}
}

// documentName gives the name that Converse demands: the title, if it is one
// that Converse takes, or a neutral one where there is none.
func (c *converser) documentName(title []byte) string {
	if len(title) > 2 {
		s := string(c.str(title))
		if isDocumentName(s) && len(s) <= maxName && !c.names[s] {
			c.names[s] = true
			return s
		}
		c.push("title")
		c.cannot("%s: Converse takes a document's name only if it is unique, of at most 200 letters, digits, hyphens, parentheses, brackets and single spaces", c.dotted())
		c.pop()
	}
	for i := len(c.names) + 1; ; i++ {
		if s := "document-" + strconv.Itoa(i); !c.names[s] {
			c.names[s] = true
			return s
		}
	}
}

func (c *converser) searchResult(v []byte) (cache []byte) {
	c.element(`{"searchResult":{`)
	for key, v := range c.object(v).each {
		switch string(key) {
		case "type":
		case "source", "title":
			c.stringMember(string(key), v)
		case "content":
			c.key("content")
			c.open('[')
			c.texts(v)
			c.open(']')
		case "citations":
			c.key("citations")
			c.open('{')
			for key, v := range c.object(v).each {
				switch string(key) {
				case "enabled":
					c.member("enabled", strconv.AppendBool(nil, c.boolean(v)))
				default:
					c.extra(key)
				}
			}
			c.open('}')
		case "cache_control":
			cache = v
		default:
			c.extra(key)
		}
	}
	c.out = append(c.out, `}}`...)
	return cache
}
