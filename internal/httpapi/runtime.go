package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// invoke serves InvokeModel and InvokeModelWithResponseStream: the Messages
// dialect, as JSON or as event-stream frames.
func (x *exchange) invoke() error {
	call, err := x.call(x.limit(MaxInvokeBody))
	if err != nil {
		return err
	}
	if x.op.Stream {
		return x.stream(call, &frameWriter{x: x})
	}
	return x.do(call, &jsonWriter{x: x, counts: true})
}

// converse serves Converse and ConverseStream.
func (x *exchange) converse() error {
	call, err := x.call(x.limit(MaxInvokeBody))
	if err != nil {
		return err
	}
	call.Dialect = gateway.Converse
	if x.op.Stream {
		return x.stream(call, &converseStreamWriter{x: x})
	}
	return x.do(call, &converseWriter{x: x})
}

// countTokens serves AWS's CountTokens: its input holds an InvokeModel body in
// base64, and it is the body that the limit is for.
func (x *exchange) countTokens() error {
	limit := x.limit(MaxInvokeBody)
	call, err := x.call(int64(base64.StdEncoding.EncodedLen(int(limit))) + 1024)
	if err != nil {
		return err
	}
	call.Decode = func(wire []byte) (gateway.Dialect, []byte, error) {
		dialect, body, err := countedBody(wire)
		if err == nil && int64(len(body)) > limit {
			err = tooLarge(limit)
		}
		return dialect, body, err
	}
	return x.do(call, &jsonWriter{x: x})
}

var countKeys, inputKeys, bodyKeys = jsonspan.NewKeys("input"), jsonspan.NewKeys("invokeModel", "converse"), jsonspan.NewKeys("body")

func countedBody(wire []byte) (gateway.Dialect, []byte, error) {
	refuse := func(what string) error {
		return messages.Errorf(messages.InvalidRequest, "Malformed input request: %s, please reformat your input and try again.", what)
	}
	object := func(raw []byte, keys *jsonspan.Keys) (jsonspan.Members, error) {
		m, err := jsonspan.Scan(nil, raw, keys)
		if syntax, ok := errors.AsType[*jsonspan.SyntaxError](err); ok {
			return nil, refuse(syntax.Reason)
		}
		return m, err
	}
	top, err := object(wire, countKeys)
	if err != nil {
		return 0, nil, err
	}
	in, ok := top.Get("input")
	if !ok {
		return 0, nil, refuse("#: required key [input] not found")
	}
	raw := in.Value(wire)
	input, err := object(raw, inputKeys)
	if err != nil {
		return 0, nil, err
	}
	invoke, ok := input.Get("invokeModel")
	asked, converse := input.Get("converse")
	switch {
	case ok && converse || !ok && !converse:
		return 0, nil, messages.Errorf(messages.InvalidRequest, "The input must hold exactly one of invokeModel and converse.")
	case converse:
		return gateway.Converse, asked.Value(raw), nil
	}
	raw = invoke.Value(raw)
	members, err := object(raw, bodyKeys)
	if err != nil {
		return 0, nil, err
	}
	text, ok := members.Get("body")
	if !ok {
		return 0, nil, refuse("#/input/invokeModel: required key [body] not found")
	}
	var body []byte
	if err := json.Unmarshal(text.Value(raw), &body); err != nil || body == nil {
		return 0, nil, refuse("#/input/invokeModel/body: expected base64")
	}
	return gateway.Messages, body, nil
}

func (x *exchange) limit(surface int64) int64 {
	if x.MaxBody > 0 {
		return min(surface, x.MaxBody)
	}
	return surface
}

// call reads what every model call has: credentials, body, headers.
func (x *exchange) call(limit int64) (*gateway.Call, error) {
	cred, err := x.Auth.Begin(x.r, x.authSurface())
	if err != nil {
		x.recordRefused(err)
		return nil, err
	}
	body, err := x.readBody(limit)
	if err != nil {
		x.recordRefused(err)
		return nil, err
	}
	h := x.r.Header
	options, refused := optionsOf(h)
	return &gateway.Call{
		RequestID: x.requestID, Operation: x.op, Credential: cred, Start: x.start,
		WireSum: sha256.Sum256(body), Dialect: gateway.Messages, Data: body, WireLength: int64(len(body)),
		Ref: x.label, HostRegion: hostRegion(x.r.Host), Mantle: strings.HasPrefix(x.r.Host, "bedrock-mantle."),
		Version: h.Get("Anthropic-Version"), Betas: betasOf(h), Options: options, Forward: h, Refused: refused, Hops: hopsOf(h),
		Client: activity.ClientIDs{
			Session: h.Get("X-Claude-Code-Session-Id"), Agent: h.Get("X-Claude-Code-Agent-Id"),
			ParentAgent: h.Get("X-Claude-Code-Parent-Agent-Id"), Prompt: h.Get("X-Claude-Code-Prompt-Id"),
			Class: h.Get("X-Claude-Code-Request-Class"),
		},
	}, nil
}

func (x *exchange) do(call *gateway.Call, w gateway.Writer) error {
	err := x.Gateway.Do(x.r.Context(), call, w)
	if !x.begun && gateway.ClientGone(x.r.Context(), err) {
		x.begin(gateway.StatusClientGone) // for nobody
	}
	return err
}

// streamWriter is a gateway.Writer that can say a failure inside its stream.
type streamWriter interface {
	gateway.Writer
	// fail reports whether the stream has begun, and if so ends it with e.
	fail(e *messages.Error) bool
	close()
}

func (x *exchange) stream(call *gateway.Call, w streamWriter) error {
	defer x.sayCost() // nothing writes any more
	defer w.close()
	err := x.do(call, w)
	if err != nil && w.fail(messages.AsError(err)) {
		return nil
	}
	return err
}

func betasOf(h http.Header) []string {
	var betas []string
	for _, line := range h.Values("Anthropic-Beta") {
		for b := range strings.SplitSeq(line, ",") {
			if b = strings.TrimSpace(b); b != "" && !slices.Contains(betas, b) {
				betas = append(betas, b)
			}
		}
	}
	return betas
}
