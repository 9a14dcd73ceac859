package gateway

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Head is all of a request that policy may know.
type Head struct {
	Operation *bedrockapi.Operation
	Ref       string
	Region    string
	Mantle    bool // on the bedrock-mantle surface
	Stream    bool
	MaxTokens int64
	Version   string // of the body, else of the header
	Betas     []string
	Length    int
	Options   Options
	Settings  *converse.Settings // of a Converse call; nil for Messages
	Hops      []string

	refused error    // by the surface's schema; said once the model is known
	left    []string // fields whose feature the upstream judges
}

// count says that the operation counts and does not generate.
func (h *Head) count() bool { return isCount(h.Operation) }

func isCount(op *bedrockapi.Operation) bool {
	return op == bedrockapi.CountTokens || op == bedrockapi.CountMessage || op == bedrockapi.CountMessageBare
}

// onMessages says that the body is the Messages API's own: it names the model.
func onMessages(op *bedrockapi.Operation) bool { return op.Surface == bedrockapi.SurfaceMessages }

// peek reads the Head, and gives what the surface's schema refuses.
func (h *Head) peek(call *Call, body *Body) error {
	say := schemaOf(call.Operation)
	var err error
	if h.Betas, err = betasOf(call, body, say); err != nil {
		return err
	}
	if raw, ok := body.Get("model"); ok {
		if !onMessages(call.Operation) {
			return say.extra("model")
		}
		if h.Ref, err = stringOf(raw); err != nil || h.Ref == "" {
			return say.wrong("model", "a non-empty string")
		}
	} else if onMessages(call.Operation) {
		return say.missing("model")
	}

	if raw, ok := body.Get("stream"); ok {
		if !onMessages(call.Operation) {
			return say.extra("stream")
		}
		v, ok := jsonspan.Bool(raw)
		if !ok {
			return say.wrong("stream", "a boolean")
		}
		h.Stream = v && !h.count()
	}

	if raw, ok := body.Get("anthropic_version"); ok {
		if h.Version, err = stringOf(raw); err != nil || h.Version == "" {
			return say.wrong("anthropic_version", "a non-empty string")
		}
	} else if !onMessages(call.Operation) {
		return say.missing("anthropic_version")
	}

	if raw, ok := body.Get("max_tokens"); ok {
		n, ok := jsonspan.Int(raw)
		if !ok || n < 1 {
			return say.wrong("max_tokens", "an integer of at least 1")
		}
		h.MaxTokens = n
	} else if !isCount(call.Operation) || call.Operation == bedrockapi.CountTokens {
		// AWS's CountTokens wants a whole InvokeModel body.
		return say.missing("max_tokens")
	}

	raw, ok := body.Get("messages")
	if !ok {
		return say.missing("messages")
	}
	if len(raw) == 0 || raw[0] != '[' {
		return say.wrong("messages", "an array")
	}
	if len(bytes.Trim(raw[1:len(raw)-1], " \t\r\n")) == 0 {
		return messages.Errorf(messages.ModelRejected, "messages: at least one message is required")
	}

	return nil
}

// betasOf merges the header's list and the body's: official clients write one,
// the other, or both (the Python client both, Claude Code two different ones).
func betasOf(call *Call, body *Body, say schema) ([]string, error) {
	betas := slices.Clone(call.Betas)
	raw, ok := body.Get("anthropic_beta")
	if !ok {
		return betas, nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, say.wrong("anthropic_beta", "an array of strings")
	}
	for _, b := range list {
		for one := range strings.SplitSeq(b, ",") {
			if one = strings.TrimSpace(one); one == "" || slices.Contains(betas, one) {
				continue
			}
			if !sendable(one) {
				return nil, say.wrong("anthropic_beta", "an array of strings without control characters")
			}
			betas = append(betas, one)
		}
	}
	return betas, nil
}

// sendable says that a header may have s. A call that no upstream can be sent is to
// be refused, or each Region would seem to be out of reach.
func sendable(s string) bool { return !strings.ContainsFunc(s, unicode.IsControl) }

// schema words a refusal as the surface's own validator does.
type schema struct{ aws bool }

func schemaOf(op *bedrockapi.Operation) schema { return schema{aws: !onMessages(op)} }

func (s schema) missing(key string) error {
	if s.aws {
		return messages.Errorf(messages.InvalidRequest, "Malformed input request: #: required key [%s] not found, please reformat your input and try again.", key)
	}
	return messages.Errorf(messages.InvalidRequest, "%s: Field required", key)
}

func (s schema) extra(key string) error {
	if s.aws {
		return messages.Errorf(messages.InvalidRequest, "Malformed input request: #: extraneous key [%s] is not permitted, please reformat your input and try again.", key)
	}
	return messages.Errorf(messages.InvalidRequest, "%s: Extra inputs are not permitted", key)
}

func (s schema) wrong(key, want string) error {
	if s.aws {
		return messages.Errorf(messages.InvalidRequest, "Malformed input request: #/%s: expected %s, please reformat your input and try again.", key, want)
	}
	return messages.Errorf(messages.InvalidRequest, "%s: Input should be %s", key, want)
}

func stringOf(raw []byte) (string, error) {
	var room [64]byte
	b, err := jsonspan.String(room[:0], raw)
	return string(b), err
}
