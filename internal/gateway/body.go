package gateway

import (
	"crypto/sha256"
	"errors"
	"slices"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Dialect is the vocabulary of a body.
type Dialect uint8

const (
	Messages Dialect = iota + 1
	Converse
)

func (d Dialect) String() string {
	switch d {
	case Messages:
		return "messages"
	case Converse:
		return "converse"
	default:
		return "unknown dialect"
	}
}

// knownKeys are the members whose case variants are refused: parsers disagree on
// them (encoding/json folds case, others do not).
var messagesKeys = jsonspan.NewKeys(
	"model", "max_tokens", "messages", "system", "stream", "anthropic_version", "anthropic_beta",
	"tools", "tool_choice", "temperature", "top_p", "top_k", "stop_sequences", "thinking", "metadata",
	"output_config", "output_format", "context_management", "mcp_servers", "container", "service_tier",
	"inference_geo", "speed", "cache_control", "user_profile_id", "fallbacks",
)

// converseKeys are Converse's.
var converseKeys = jsonspan.NewKeys(
	"messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig", "additionalModelRequestFields",
	"additionalModelResponseFieldPaths", "promptVariables", "requestMetadata", "performanceConfig", "serviceTier", "outputConfig",
)

// Body is immutable bytes in a dialect with their top-level spans. A retry sends
// the same Body again.
type Body struct {
	dialect Dialect
	data    []byte
	members jsonspan.Members

	sumOnce sync.Once
	sum     [sha256.Size]byte
	viewed  sync.Once
	params  *messages.Params
	viewErr error
}

// NewBody scans data. It takes ownership: data must not change afterwards.
func NewBody(d Dialect, data []byte) (*Body, error) {
	known := messagesKeys
	if d == Converse {
		known = converseKeys
	}
	var room [16]jsonspan.Member
	members, err := jsonspan.Scan(room[:0], data, known)
	if err != nil {
		return nil, malformed(err)
	}
	return &Body{dialect: d, data: data, members: slices.Clone(members)}, nil
}

// malformed words a refusal of jsonspan, whose reasons are fit to be shown.
func malformed(err error) error {
	reason := "the body is not a JSON object"
	if syntax, ok := errors.AsType[*jsonspan.SyntaxError](err); ok {
		reason = syntax.Reason
	}
	return messages.Errorf(messages.InvalidRequest, "Malformed input request: %s, please reformat your input and try again.", reason).WithCause(err)
}

// Bytes must not be changed.
func (b *Body) Bytes() []byte    { return b.data }
func (b *Body) Dialect() Dialect { return b.dialect }

// Get returns the raw value of a top-level member.
func (b *Body) Get(key string) ([]byte, bool) {
	m, ok := b.members.Get(key)
	if !ok {
		return nil, false
	}
	return m.Value(b.data), true
}

// SHA256 is computed once.
func (b *Body) SHA256() [sha256.Size]byte {
	b.sumOnce.Do(func() { b.sum = sha256.Sum256(b.data) })
	return b.sum
}

// In gives the body in dialect d: itself, if it is in d already.
func (b *Body) In(d Dialect) (*Body, error) {
	if b.dialect == d {
		return b, nil
	}
	return nil, messages.Errorf(messages.InvalidRequest, "A %s request cannot be sent as %s yet.", b.dialect, d)
}

// With gives a new body with the edits spliced in, every other byte kept. Edits
// that change nothing give b itself.
func (b *Body) With(edits ...jsonspan.Edit) (*Body, error) {
	n, changed := len(b.data), false
	for _, e := range edits {
		v, ok := b.Get(e.Key)
		if ok != (e.Value != nil) || string(v) != string(e.Value) {
			changed = true
		}
		n += len(e.Key) + len(e.Value) + 4
	}
	if !changed {
		return b, nil
	}
	return NewBody(b.dialect, jsonspan.Splice(make([]byte, 0, n), b.data, b.members, edits...))
}

// Params is the typed view, decoded once.
func (b *Body) Params() (*messages.Params, error) {
	b.viewed.Do(func() {
		p := new(messages.Params)
		if err := p.UnmarshalJSON(b.data); err != nil {
			b.viewErr = messages.Errorf(messages.InvalidRequest, "Malformed input request: the body does not have the form of a Messages request, please reformat your input and try again.").WithCause(err)
			return
		}
		b.params = p
	})
	return b.params, b.viewErr
}
