package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// invoke serves InvokeModel and InvokeModelWithResponseStream: the Messages
// dialect, as JSON or as event-stream frames.
func (x *exchange) invoke() error {
	call, release, err := x.call(MaxInvokeBody)
	if err != nil {
		return err
	}
	defer release()
	if x.op.Stream {
		return x.stream(call, newFrameWriter(x))
	}
	return x.whole(call, &jsonWriter{x: x, counts: true})
}

// countTokens serves AWS's CountTokens: its input holds an InvokeModel body in
// base64.
func (x *exchange) countTokens() error {
	call, release, err := x.call(base64.StdEncoding.EncodedLen(MaxInvokeBody) + 1024)
	if err != nil {
		return err
	}
	defer release()
	var in struct {
		Input struct {
			InvokeModel *struct {
				Body []byte `json:"body"`
			} `json:"invokeModel"`
			Converse json.RawMessage `json:"converse"`
		} `json:"input"`
	}
	call.Decode = func(wire []byte) ([]byte, error) {
		if err := json.Unmarshal(wire, &in); err != nil {
			return nil, messages.Errorf(messages.InvalidRequest, "Malformed input request: the body is not a CountTokens request, please reformat your input and try again.").WithCause(err)
		}
		switch {
		case in.Input.Converse != nil && in.Input.InvokeModel != nil:
			return nil, messages.Errorf(messages.InvalidRequest, "The input must hold exactly one of invokeModel and converse.")
		case in.Input.Converse != nil:
			return nil, messages.Errorf(messages.InvalidRequest, "CountTokens with a converse input is not served yet; send invokeModel.")
		case in.Input.InvokeModel == nil:
			return nil, messages.Errorf(messages.InvalidRequest, "Malformed input request: #/input: required key [invokeModel] not found, please reformat your input and try again.")
		}
		body := in.Input.InvokeModel.Body
		if limit := x.limit(MaxInvokeBody); int64(len(body)) > limit {
			return nil, tooLarge(limit)
		}
		return body, nil
	}
	return x.whole(call, &jsonWriter{x: x})
}

func (x *exchange) limit(surface int64) int64 {
	if x.MaxBody > 0 {
		return min(surface, x.MaxBody)
	}
	return surface
}

// call reads what every model call has: credentials, body, headers.
func (x *exchange) call(limit int) (*gateway.Call, func(), error) {
	cred, err := x.Auth.Begin(x.r, x.authSurface())
	if err != nil {
		x.recordRefused(err)
		return nil, nil, err
	}
	body, release, err := x.readBody(int64(limit))
	if err != nil {
		x.recordRefused(err)
		return nil, nil, err
	}
	options, err := optionsOf(x.r)
	if err != nil {
		release()
		x.recordRefused(err)
		return nil, nil, err
	}
	h := x.r.Header
	return &gateway.Call{
		RequestID: x.requestID, Operation: x.op, Credential: cred, Start: x.start,
		WireSum: sha256.Sum256(body), Dialect: gateway.Messages, Data: body, WireLength: int64(len(body)),
		Ref: x.label, HostRegion: hostRegion(x.r.Host), Mantle: strings.HasPrefix(x.r.Host, "bedrock-mantle."),
		Version: h.Get("anthropic-version"), Betas: betasOf(h), Options: options,
		Client: activity.ClientIDs{
			Session: h.Get("x-claude-code-session-id"), Agent: h.Get("x-claude-code-agent-id"),
			ParentAgent: h.Get("x-claude-code-parent-agent-id"), Prompt: h.Get("x-claude-code-prompt-id"),
			Class: h.Get("x-claude-code-request-class"),
		},
	}, release, nil
}

// recordRefused records a call that never became one.
func (x *exchange) recordRefused(err error) {
	e := messages.AsError(err)
	exception := bedrockapi.ExceptionOf(e.Kind)
	x.Gateway.Log.Record(activity.Record{RequestID: x.requestID, Time: x.start, Duration: x.Now().Sub(x.start), Operation: x.op.Name,
		Ref: x.label, Upstream: x.Gateway.Upstream.Name(), Status: exception.Status, ErrorCode: exception.Name, Error: e.Error()})
}

// whole runs a call whose answer is one body.
func (x *exchange) whole(call *gateway.Call, w *jsonWriter) error {
	return x.Gateway.Do(x.r.Context(), call, w)
}

// streamWriter is a gateway.Writer that can say a failure inside its stream.
type streamWriter interface {
	gateway.Writer
	// fail reports whether the stream has begun, and if so ends it with e.
	fail(e *messages.Error) bool
	close()
}

func (x *exchange) stream(call *gateway.Call, w streamWriter) error {
	defer w.close()
	err := x.Gateway.Do(x.r.Context(), call, w)
	if err != nil && w.fail(messages.AsError(err)) {
		return nil
	}
	return err
}

func betasOf(h http.Header) []string {
	var betas []string
	for _, line := range h.Values("anthropic-beta") {
		for b := range strings.SplitSeq(line, ",") {
			if b = strings.TrimSpace(b); b != "" && !slices.Contains(betas, b) {
				betas = append(betas, b)
			}
		}
	}
	return betas
}

// maxMetadata is AWS's limit of the request-metadata header, in characters.
const maxMetadata = 8500

func optionsOf(r *http.Request) (gateway.Options, error) {
	h := r.Header
	o := gateway.Options{
		GuardrailID: h.Get(bedrockapi.HeaderGuardrailID), GuardrailVersion: h.Get(bedrockapi.HeaderGuardrailVersion),
		Trace: h.Get(bedrockapi.HeaderTrace), Latency: h.Get(bedrockapi.HeaderLatency), ServiceTier: h.Get(bedrockapi.HeaderServiceTier),
	}
	raw := h.Get(bedrockapi.HeaderMetadata)
	if raw == "" {
		return o, nil
	}
	if auth := h.Get("Authorization"); strings.HasPrefix(auth, "AWS4-") && !signs(auth, "x-amzn-bedrock-request-metadata") {
		return o, messages.Errorf(messages.InvalidSignature, "The header X-Amzn-Bedrock-Request-Metadata must be one of the signed headers.")
	}
	if len(raw) > maxMetadata {
		return o, messages.Errorf(messages.InvalidRequest, "The request metadata must have at most %d characters.", maxMetadata)
	}
	if err := json.Unmarshal([]byte(raw), &o.Metadata); err != nil {
		return o, messages.Errorf(messages.InvalidRequest, "The request metadata must be a JSON object of strings.").WithCause(err)
	}
	if len(o.Metadata) > 16 {
		return o, messages.Errorf(messages.InvalidRequest, "The request metadata must have at most 16 entries.")
	}
	for k, v := range o.Metadata {
		if k == "" || len(k) > 256 || len(v) > 256 {
			return o, messages.Errorf(messages.InvalidRequest, "A key of the request metadata must have 1 to 256 characters, a value at most 256.")
		}
	}
	return o, nil
}

// signs says whether an Authorization header's SignedHeaders name the header.
func signs(auth, header string) bool {
	_, rest, _ := strings.Cut(auth, "SignedHeaders=")
	list, _, _ := strings.Cut(rest, ",")
	for one := range strings.SplitSeq(strings.TrimSpace(list), ";") {
		if one == header {
			return true
		}
	}
	return false
}
