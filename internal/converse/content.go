package converse

import (
	"encoding/base64"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// talk is what is known of the conversation so far.
type talk struct {
	role    string   // of the turn that is open
	last    int      // where a block that can carry cache_control ended; else 0
	calls   [][]byte // ids of the tool calls of the model's last turn
	answers [][]byte // ids of the results of the message that is read
	user    bool     // a user has spoken
	tools   bool     // there are tool blocks
	text    bool     // the message that is read has a text block
	files   bool     // … a document
}

func (r *request) conversation() {
	if r.fields.messages == nil {
		r.fail("Malformed input request: #: required key [messages] not found, please reformat your input and try again.")
		return
	}
	r.in("messages", r.fields.messages, func(v []byte) {
		r.field("messages")
		r.open('[')
		for _, m := range r.array(v).each {
			r.message(m)
		}
		r.endTurn()
		r.open(']')
	})
	if !r.talk.user {
		// A conversation may start with the model as long as a user goes on with it
		// (recorded), against the older rule that this text speaks of.
		r.fail("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
	}
	if r.talk.tools && r.fields.tools == nil {
		r.fail("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
	}
	r.countFiles()
}

// message reads one message. Messages of one role in a row become one turn, as
// the Messages API makes of them; Claude's older models refuse them unmerged.
func (r *request) message(m []byte) {
	var role string
	var content []byte
	named := false
	for key, v := range r.object(m).each {
		switch string(key) {
		case "role":
			named = true
			role = r.enum(v, "user", "assistant", "system")
		case "content":
			content = v
		default:
			r.extra(key)
		}
	}
	r.need(named, "role")
	r.need(content != nil, "content")
	if role == "" || content == nil {
		return
	}
	t := &r.talk
	if role != t.role || role == "system" {
		r.endTurn()
		if role == "assistant" {
			t.calls = t.calls[:0]
		}
		t.role, t.last = role, 0
		r.element(`{"role":"`)
		r.out = append(r.out, role...)
		r.out = append(r.out, `","content":[`...)
	}
	at := placeOf(role)
	t.user = t.user || at == User
	t.text, t.files, t.answers = false, false, t.answers[:0]
	n := 0
	r.push("content")
	for _, block := range r.array(content).each {
		n++
		for key, v := range r.union(block, "ContentBlock").each {
			t.text = t.text || string(key) == "text"
			if r.admit(key, at) {
				t.last = r.block(key, v, at, t.last)
			}
		}
	}
	r.pop()
	if n == 0 {
		r.fail("The content field in the Message object at %s is empty. Add a ContentBlock object to the content field and try again.", r.dotted())
	}
	if t.files && !t.text {
		r.fail("A text block must be included when using documents. Add a text block and retry your request.")
	}
	if at == User {
		r.pairs()
	}
}

func (r *request) endTurn() {
	if r.talk.role == "" {
		return
	}
	if r.out[len(r.out)-1] == '[' {
		r.fail("Nothing of the message before %s can be carried. Remove the message and try again.", r.dotted())
	}
	r.out = append(r.out, `]}`...)
}

// block writes one block of Converse's unions, after admit has let it in. It
// returns where the block ended if it can carry cache_control.
func (r *request) block(kind, v []byte, at Place, last int) int {
	switch string(kind) {
	case "text":
		r.textBlock(v, at)
	case "image":
		r.image(v, at)
	case "document":
		r.talk.files = r.talk.files || at == User
		r.document(v, at)
	case "toolUse":
		r.toolUse(v)
	case "toolResult":
		r.toolResult(v)
	case "guardContent":
		r.guardContent(v, at)
	case "cachePoint":
		r.cachePoint(v, last)
		return 0
	case "reasoningContent":
		r.reasoning(v)
		return 0
	case "citationsContent":
		r.citationsContent(v)
	case "searchResult":
		r.searchResult(v)
	case "json":
		if !isObject(v) {
			r.notObject()
		}
		r.element(`{"type":"text"`)
		r.key("text")
		r.out = jsonspan.AppendString(r.out, string(v))
		r.open('}')
	default: // the table knows a kind that nothing here writes
		r.extra(kind)
		return 0
	}
	return len(r.out)
}

func (r *request) notObject() {
	r.fail("The format of the value at %s is invalid. Provide a json object for the field and try again.", r.dotted())
}

func (r *request) textBlock(v []byte, at Place) {
	if !r.isString(v) {
		return
	}
	switch {
	case at == Result || at == Answer:
	case at == System && len(v) == 2:
		r.violated(v, "Member must have length greater than or equal to 1")
	case at == System && r.blank(v):
		r.fail("The text field in the SystemContentBlock object at %s is blank. Add text to the text field, and try again.", r.above())
	case r.blank(v):
		r.fail("The text field in the ContentBlock object at %s is blank. Add text to the text field, and try again.", r.above())
	}
	r.element(`{"type":"text"`)
	r.member("text", v)
	r.open('}')
}

// cachePoint puts cache_control on the block that ended at last.
func (r *request) cachePoint(v []byte, last int) {
	named, ttl := false, ""
	for key, v := range r.object(v).each {
		switch string(key) {
		case "type":
			named = true
			r.enum(v, "default")
		case "ttl":
			ttl = r.enum(v, "5m", "1h")
		default:
			r.extra(key)
		}
	}
	r.need(named, "type")
	if last == 0 || last != len(r.out) {
		r.cannot("The cachePoint at %s has no block before it that can be cached. Put it behind such a block and try again.", r.dotted())
		return
	}
	r.out = append(r.out[:last-1], `,"cache_control":{"type":"ephemeral"`...)
	if ttl != "" {
		r.textMember("ttl", ttl)
	}
	r.out = append(r.out, `}}`...)
}

func (r *request) guardContent(v []byte, at Place) {
	if r.Guardrail != (Guardrail{}) {
		r.fail("The guardContent at %s limits a guardrail to a part of the request, which cannot be carried to this model's upstream. Remove guardContent or guardrailConfig and try again.", r.dotted())
		return
	}
	for key, v := range r.union(v, "GuardrailConverseContentBlock").each {
		switch string(key) {
		case "text":
			r.guardText(v, at)
		case "image":
			if at != User {
				r.admit([]byte("image"), at)
				continue
			}
			r.image(v, at)
		default:
			r.extra(key)
		}
	}
}

func (r *request) guardText(v []byte, at Place) {
	var text []byte
	for key, v := range r.object(v).each {
		switch string(key) {
		case "text":
			text = v
			r.textBlock(v, at)
		case "qualifiers": // for a guardrail, and there is none
			for _, q := range r.array(v).each {
				r.enum(q, "grounding_source", "query", "guard_content")
			}
		default:
			r.extra(key)
		}
	}
	r.need(text != nil, "text")
}

func (r *request) reasoning(v []byte) {
	for key, v := range r.union(v, "ReasoningContentBlock").each {
		switch string(key) {
		case "reasoningText":
			var text []byte
			signature := []byte(`""`)
			for key, v := range r.object(v).each {
				switch string(key) {
				case "text":
					text = v
				case "signature":
					signature = v
				default:
					r.extra(key)
				}
			}
			if text == nil {
				r.missing("text")
			} else if !r.isString(text) || !r.isString(signature) {
				return
			}
			r.element(`{"type":"thinking"`)
			r.member("thinking", text)
			r.member("signature", signature)
			r.open('}')
		case "redactedContent":
			// The blob's bytes are the text of data (recorded).
			data, err := base64.StdEncoding.AppendDecode(nil, r.str(v))
			if err != nil || !utf8.Valid(data) {
				r.wrong("the base64 of a redacted_thinking block's data")
			}
			r.element(`{"type":"redacted_thinking"`)
			r.textMember("data", string(data))
			r.open('}')
		default:
			r.extra(key)
		}
	}
}

func (r *request) searchResult(v []byte) {
	source, title, content := false, false, false
	r.element(`{"type":"search_result"`)
	for key, v := range r.object(v).each {
		switch string(key) {
		case "source":
			source = true
			r.stringMember("source", v)
		case "title":
			title = true
			r.stringMember("title", v)
		case "content":
			content = true
			r.texts(v, "SearchResultContentBlock")
		case "citations":
			r.key("citations")
			r.citationsConfig(v)
		default:
			r.extra(key)
		}
	}
	r.open('}')
	r.need(source, "source")
	r.need(title, "title")
	r.need(content, "content")
}

// texts writes a list of {"text"} as text blocks.
func (r *request) texts(v []byte, of string) {
	r.key("content")
	r.open('[')
	for _, v := range r.array(v).each {
		for key, v := range r.union(v, of).each {
			if string(key) != "text" {
				r.extra(key)
				continue
			}
			r.textBlock(v, Result)
		}
	}
	r.open(']')
}

// citationsConfig writes {"enabled"} and reports it.
func (r *request) citationsConfig(v []byte) (enabled bool) {
	found := false
	for key, v := range r.object(v).each {
		switch string(key) {
		case "enabled":
			enabled, found = r.boolean(v), true
		default:
			r.extra(key)
		}
	}
	r.need(found, "enabled")
	r.out = append(r.out, `{"enabled":`...)
	if enabled {
		r.out = append(r.out, `true}`...)
	} else {
		r.out = append(r.out, `false}`...)
	}
	return enabled
}
