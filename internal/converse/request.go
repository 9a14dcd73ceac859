package converse

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// Options of ToMessages.
type Options struct {
	// DefaultMaxTokens is max_tokens where the caller names none; 0 leaves it out.
	DefaultMaxTokens int64
	// Version is anthropic_version where the caller names none; "" leaves it out.
	Version string
	// TextOf reads the text of a document that is not cited, as Converse does
	// (format is one of DocumentFormat, name the document's). Nil refuses such
	// documents. An error that is no *messages.Error is shown without its cause.
	TextOf func(document []byte, format, name string) (string, error)
	// Lossy drops what Messages has no place for, and names it in Dropped,
	// where it would be refused by name.
	Lossy bool
	// Count says that the body is the converse input of CountTokens: it has four
	// members, and no max_tokens.
	Count bool
}

// Request is a Converse request as a Messages request and what stands beside it.
type Request struct {
	Body     []byte
	Settings Settings
	Dropped  []string // places that were left out
}

// ToMessages translates the body of Converse or ConverseStream. The error is a
// *messages.Error in AWS's own words, as far as they are known.
func ToMessages(body []byte, o Options) (*Request, error) {
	r := newRequest(o, body)
	r.top(body)
	r.settings()
	r.refused()
	r.open('{')
	r.head()
	r.in("system", r.fields.system, r.system)
	r.conversation()
	r.in("toolConfig", r.fields.tools, r.toolConfig)
	r.toolsAndChoice()
	r.in("inferenceConfig", r.fields.inference, r.inference)
	r.in("outputConfig", r.fields.output, r.outputConfig)
	r.in("additionalModelRequestFields", r.fields.extra, r.merge)
	r.open('}')
	if err := r.fault(); err != nil {
		return nil, err
	}
	return &Request{Body: r.out, Settings: r.Settings, Dropped: r.dropped}, nil
}

// Members that policy reads: a case variant of one is refused.
var (
	bodyKeys = jsonspan.NewKeys("messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig",
		"additionalModelRequestFields", "promptVariables", "additionalModelResponseFieldPaths", "requestMetadata",
		"performanceConfig", "serviceTier", "outputConfig")
	inferenceKeys = jsonspan.NewKeys("maxTokens", "temperature", "topP", "stopSequences")
	// … and of one that ToMessages writes, beside which a variant would stand.
	extraKeys = jsonspan.NewKeys("anthropic_beta", "anthropic_version", "max_tokens", "tools", "model", "stream",
		"system", "messages", "tool_choice", "temperature", "top_p", "stop_sequences", "output_config")
)

// request is the walk over one Converse request.
type request struct {
	walker
	Options
	Settings
	relay  bool // nothing is translated: unknown members are AWS's affair
	fields struct {
		messages, system, inference, tools, guardrail, extra, promptVariables,
		responsePaths, metadata, performance, tier, output []byte
	}
	typedMax     bool // MaxTokens is not of additionalModelRequestFields
	extraMembers jsonspan.Members
	set          []string // top-level members that are written

	talk  talk
	tools tools
	files files
}

// top finds the members of the body.
func (r *request) top(body []byte) {
	f := &r.fields
	for key, v := range (object{&r.walker, body, bodyKeys}).each {
		if r.Count {
			switch string(key) {
			case "messages", "system", "toolConfig", "additionalModelRequestFields":
			default:
				r.extra(key)
				continue
			}
		}
		switch string(key) {
		case "messages":
			f.messages = v
		case "system":
			f.system = v
		case "inferenceConfig":
			f.inference = v
		case "toolConfig":
			f.tools = v
		case "guardrailConfig":
			f.guardrail = v
		case "additionalModelRequestFields":
			f.extra = v
		case "promptVariables":
			f.promptVariables = v
		case "additionalModelResponseFieldPaths":
			f.responsePaths = v
		case "requestMetadata":
			f.metadata = v
		case "performanceConfig":
			f.performance = v
		case "serviceTier":
			f.tier = v
		case "outputConfig":
			f.output = v
		default:
			if !r.relay {
				r.extra(key)
			}
		}
	}
}

// in reads a member of the body that was found, under its own name.
func (w *walker) in(name string, v []byte, read func([]byte)) {
	if v == nil {
		return
	}
	w.push(name)
	read(v)
	w.pop()
}

// refused is what no Claude model has, whatever its value.
func (r *request) refused() {
	r.in("promptVariables", r.fields.promptVariables, func([]byte) {
		r.cannot("promptVariables belongs to a prompt resource, which cannot be called here. Remove promptVariables and try again.")
	})
}

// field begins a top-level member and remembers its name.
func (r *request) field(name string) {
	r.set = append(r.set, name)
	r.key(name)
}

func (r *request) head() {
	if _, ok := r.extraMembers.Get("anthropic_version"); !ok && r.Options.Version != "" {
		r.field("anthropic_version")
		r.out = jsonspan.AppendString(r.out, r.Options.Version)
	}
	if _, ok := r.extraMembers.Get("max_tokens"); !ok && !r.typedMax && !r.Count && r.DefaultMaxTokens > 0 {
		r.MaxTokens, r.typedMax = r.DefaultMaxTokens, true
	}
	if r.typedMax {
		r.field("max_tokens")
		r.out = strconv.AppendInt(r.out, r.MaxTokens, 10)
	}
}

func (r *request) system(v []byte) {
	if v = bytes.TrimSpace(v); len(v) > 1 && v[0] == '[' && len(bytes.TrimSpace(v[1:len(v)-1])) == 0 {
		return
	}
	r.field("system")
	r.open('[')
	last := 0
	for _, block := range r.array(v).each {
		for key, v := range r.union(block, "SystemContentBlock").each {
			if r.admit(key, System) {
				last = r.block(key, v, System, last)
			}
		}
	}
	r.open(']')
}

// Bounds of inferenceConfig, from its traits.
const maxStopSequences = 2500

func (r *request) inference(v []byte) {
	for key, v := range (object{&r.walker, v, inferenceKeys}).each {
		switch string(key) {
		case "maxTokens": // head has written it
		case "temperature":
			r.fraction("temperature", v)
		case "topP":
			r.fraction("top_p", v)
		case "stopSequences":
			n := 0
			for _, s := range r.array(v).each {
				if n++; r.isString(s) && len(s) == 2 {
					r.violated(s, "Member must have length greater than or equal to 1")
				}
			}
			if n > maxStopSequences {
				r.violated(nil, "Member must have length less than or equal to 2500")
			}
			if n > 0 {
				r.field("stop_sequences")
				r.out = append(r.out, v...)
			}
		default:
			r.extra(key)
		}
	}
}

// fraction writes a number from 0 to 1 in the caller's own spelling.
func (r *request) fraction(name string, v []byte) {
	f, err := strconv.ParseFloat(string(v), 64)
	switch {
	case err != nil:
		r.wrong("a number")
	case f < 0:
		r.violated(v, "Member must have value greater than or equal to 0")
	case f > 1:
		r.violated(v, "Member must have value less than or equal to 1")
	}
	r.field(name)
	r.out = append(r.out, v...)
}

func (r *request) outputConfig(v []byte) {
	start := len(r.out)
	r.field("output_config")
	r.open('{')
	for key, v := range r.object(v).each {
		switch string(key) {
		case "effort":
			if r.isString(v) {
				r.member("effort", v)
			}
		case "textFormat":
			r.textFormat(v)
		default:
			r.extra(key)
		}
	}
	if r.out[len(r.out)-1] == '{' { // nothing in it
		r.out, r.set = r.out[:start], r.set[:len(r.set)-1]
		return
	}
	r.open('}')
}

func (r *request) textFormat(v []byte) {
	var schema []byte
	named := false
	for key, v := range r.object(v).each {
		switch string(key) {
		case "type":
			named = true
			r.enum(v, "json_schema")
		case "structure":
			for key, v := range r.union(v, "OutputFormatStructure").each {
				if string(key) != "jsonSchema" {
					r.extra(key)
					continue
				}
				schema = r.jsonSchema(v)
			}
		default:
			r.extra(key)
		}
	}
	r.need(named, "type")
	r.need(schema != nil, "structure")
	r.key("format")
	r.open('{')
	r.member("type", []byte(`"json_schema"`))
	r.member("schema", schema)
	r.open('}')
}

// jsonSchema gives the schema, which Converse writes as a string.
func (r *request) jsonSchema(v []byte) (schema []byte) {
	for key, v := range r.object(v).each {
		switch string(key) {
		case "schema":
			schema = slices.Clone(r.str(v))
			if _, err := jsonspan.Scan(nil, schema, nil); err != nil {
				r.fail("The schema at %s is not a JSON object: %s. Provide a JSON schema and try again.", r.dotted(), err)
			}
		case "name", "description":
			// Labels: Claude's format has no place for them, and AWS takes them.
			if r.isString(v) {
				r.drop("a label without effect on a Claude model")
			}
		default:
			r.extra(key)
		}
	}
	return bytes.TrimSpace(schema)
}

// merge writes the members of additionalModelRequestFields as they are.
func (r *request) merge(v []byte) {
	for _, m := range r.extraMembers {
		key := string(m.Key)
		switch {
		case key == "tools": // toolsAndChoice has written them
		case key == "model" || key == "stream" || slices.Contains(r.set, key):
			r.fail("The additional field %s conflicts with an existing field.", key)
		default:
			r.key(key)
			r.out = append(r.out, m.Value(v)...)
		}
	}
}

// quoted lists ids as AWS does, the first of them.
func quoted(ids [][]byte) string {
	var s []string
	for _, id := range ids[:min(len(ids), maxBroken)] {
		s = append(s, strings.Trim(short(id), `"`))
	}
	return strings.Join(s, ", ")
}
