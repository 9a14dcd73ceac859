package converse

import (
	"strings"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Settings is what a request asks of the service rather than of the model, and
// what policy must know of the rest.
type Settings struct {
	MaxTokens      int64    // 0: the caller names none
	Betas          []string // anthropic_beta of additionalModelRequestFields
	Version        string   // anthropic_version, likewise
	Metadata       map[string]string
	Guardrail      Guardrail // zero: none
	Latency        string    // of performanceConfig
	ServiceTier    string
	ResponseFields []string // JSON pointers into the model's answer
}

// Guardrail is guardrailConfig.
type Guardrail struct {
	ID, Version string
	Trace       string // enabled, disabled, enabled_full
	StreamMode  string // sync, async
}

// ReadSettings reads the settings of a Converse request that is relayed as it
// is. It is as strict as ToMessages about all that it reads, and looks at
// nothing else.
func ReadSettings(body []byte) (*Settings, error) {
	r := newRequest(Options{}, nil)
	r.relay, r.lenient = true, true
	r.top(body)
	r.settings()
	if err := r.fault(); err != nil {
		return nil, err
	}
	return &r.Settings, nil
}

// settings reads what stands beside the conversation.
func (r *request) settings() {
	r.extraFields()
	r.inferenceSettings()
	r.in("requestMetadata", r.fields.metadata, r.requestMetadata)
	r.in("guardrailConfig", r.fields.guardrail, r.guardrailConfig)
	r.in("performanceConfig", r.fields.performance, func(v []byte) {
		for key, v := range r.object(v).each {
			switch string(key) {
			case "latency":
				r.Latency = r.enum(v, "standard", "optimized")
			default:
				r.extra(key)
			}
		}
	})
	r.in("serviceTier", r.fields.tier, func(v []byte) {
		named := false
		for key, v := range r.object(v).each {
			switch string(key) {
			case "type":
				named = true
				r.ServiceTier = r.enum(v, "priority", "default", "flex", "reserved")
			default:
				r.extra(key)
			}
		}
		r.need(named, "type")
	})
	r.in("additionalModelResponseFieldPaths", r.fields.responsePaths, r.responsePaths)
}

// extraFields finds the members of additionalModelRequestFields and reads those
// that policy knows.
func (r *request) extraFields() {
	r.in("additionalModelRequestFields", r.fields.extra, func(v []byte) {
		members, err := jsonspan.Scan(make(jsonspan.Members, 0, 8), v, extraKeys)
		if err != nil {
			r.malformed(err, "an object")
			return
		}
		r.extraMembers = members
		if m, ok := members.Get("anthropic_beta"); ok {
			r.push("anthropic_beta")
			for _, v := range r.array(m.Value(v)).each {
				r.Betas = append(r.Betas, string(r.str(v)))
			}
			r.pop()
		}
		if m, ok := members.Get("anthropic_version"); ok {
			r.push("anthropic_version")
			r.Settings.Version = string(r.str(m.Value(v)))
			r.pop()
		}
		if m, ok := members.Get("max_tokens"); ok {
			r.push("max_tokens")
			r.MaxTokens = r.tokens(m.Value(v))
			r.pop()
		}
	})
}

// inferenceSettings reads the one member of inferenceConfig that policy knows.
func (r *request) inferenceSettings() {
	r.in("inferenceConfig", r.fields.inference, func(v []byte) {
		for key, v := range (object{&r.walker, v, inferenceKeys}).each {
			if string(key) == "maxTokens" {
				r.MaxTokens, r.typedMax = r.tokens(v), true
			}
		}
	})
}

func (r *request) tokens(v []byte) int64 {
	n, ok := jsonspan.Int(v)
	if !ok {
		r.wrong("an integer")
	} else if n < 1 {
		r.violated(v, "Member must have value greater than or equal to 1")
	}
	return n
}

// Limits of requestMetadata, from the traits of RequestMetadata.
const (
	maxMetadata     = 16
	maxMetadataText = 256
	metadataText    = `[a-zA-Z0-9\s:_@$#=/+,-.]`
)

func (r *request) requestMetadata(v []byte) {
	r.Metadata = map[string]string{}
	for key, v := range r.object(v).each {
		s := string(r.str(v))
		if len(key) == 0 || len(key) > maxMetadataText || len(s) > maxMetadataText {
			r.violated(nil, "Map keys must have length between 1 and 256, values at most 256")
		}
		if !isMetadata(string(key)) || !isMetadata(s) {
			r.violated(nil, "Member must satisfy regular expression pattern: "+metadataText+"{0,256}")
		}
		r.Metadata[string(key)] = s
	}
	switch n := len(r.Metadata); {
	case n == 0:
		r.violated(nil, "Member must have length greater than or equal to 1")
	case n > maxMetadata:
		r.violated(nil, "Member must have length less than or equal to 16")
	}
}

func isMetadata(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(" \t\n\r\f\v:_@$#=/+,-.", c) >= 0) {
			return false
		}
	}
	return true
}

func (r *request) guardrailConfig(v []byte) {
	g := &r.Guardrail
	for key, v := range r.object(v).each {
		switch string(key) {
		case "guardrailIdentifier":
			g.ID = string(r.str(v))
		case "guardrailVersion":
			g.Version = string(r.str(v))
		case "trace":
			g.Trace = r.enum(v, "enabled", "disabled", "enabled_full")
		case "streamProcessingMode":
			g.StreamMode = r.enum(v, "sync", "async")
		default:
			r.extra(key)
		}
	}
}

// Limits of additionalModelResponseFieldPaths, from its traits.
const (
	maxResponsePaths = 10
	maxResponsePath  = 256
)

func (r *request) responsePaths(v []byte) {
	for _, v := range r.array(v).each {
		p := string(r.str(v))
		switch {
		case len(p) > maxResponsePath:
			r.violated(v, "Member must have length less than or equal to 256")
		case !isPointer(p):
			r.fail("The JSON pointer '%s' at %s is not valid. Provide a pointer that begins with / and try again.", p, r.dotted())
		}
		r.ResponseFields = append(r.ResponseFields, p)
	}
	if len(r.ResponseFields) > maxResponsePaths {
		r.violated(nil, "Member must have length less than or equal to 10")
	}
}

// newRequest has the stacks and the buffer that most requests need.
func newRequest(o Options, body []byte) *request {
	return &request{
		walker: walker{
			out: make([]byte, 0, len(body)+256), kind: messages.InvalidRequest, lossy: o.Lossy,
			members: make(jsonspan.Members, 0, 32), spans: make([]jsonspan.Span, 0, 16), path: make([]step, 0, 16),
		},
		Options: o,
	}
}
