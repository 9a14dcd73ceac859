// Package messages is any server that speaks Anthropic Messages: the embedded
// engine, Ollama, LM Studio, vLLM, llama-server, another gateway. Its answers
// leave here in the service's own shape. It never forwards a client's
// credentials, and it retries nothing.
package messages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

// HeaderHop names the servers that a call has passed, so that a ring of gateways
// is seen and cut.
const HeaderHop = "X-Outcrop-Hop"

// maxAnswer bounds an answer that is not streamed.
const maxAnswer = 32 << 20

// Options of an Upstream.
type Options struct {
	Name         string // as records and x-outcrop-upstream say it
	URL          string // of the server; /v1/messages is added
	APIKey       string // sent as x-api-key, and as a bearer token if Bearer
	Bearer       bool
	Model        string // sent in place of the model's first-party id
	Client       *http.Client
	Capabilities gateway.Capabilities
	Hop          string // this server's own id
}

// Upstream implements gateway.Upstream.
type Upstream struct {
	opts Options
	base string
}

// New checks the URL.
func New(opts Options) (*Upstream, error) {
	u, err := url.Parse(opts.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("upstream: %q is not an http or https URL", opts.URL)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("upstream: %q: give the key by configuration, not in the URL", u.Redacted())
	}
	base := strings.TrimSuffix(strings.TrimSuffix(u.String(), "/"), "/v1/messages")
	base = strings.TrimSuffix(base, "/v1")
	return &Upstream{opts: opts, base: base}, nil
}

func (u *Upstream) Name() string                       { return u.opts.Name }
func (u *Upstream) Capabilities() gateway.Capabilities { return u.opts.Capabilities }

// Send implements gateway.Upstream.
func (u *Upstream) Send(ctx context.Context, route routing.Route, req gateway.Request) (gateway.Stream, error) {
	stream := []byte("false")
	if req.Stream {
		stream = []byte("true")
	}
	resp, err := u.post(ctx, "/v1/messages", route, req, jsonspan.Edit{Key: "stream", Value: stream})
	if err != nil {
		return nil, err
	}
	shape := shape{model: route.Model().FirstPartyID}
	id := resp.Header.Get("request-id")
	if !req.Stream {
		defer resp.Body.Close()
		body, err := readAll(resp.Body)
		if err != nil {
			return nil, err
		}
		if body, err = shape.message(body); err != nil {
			return nil, err
		}
		return gateway.Whole(body, id), nil
	}
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		resp.Body.Close()
		return nil, messages.Errorf(messages.ModelFailed, "The upstream answered a stream with content type %q.", ct)
	}
	return &eventStream{body: resp.Body, events: sse.NewReader(resp.Body), shape: shape, id: id}, nil
}

// Count implements gateway.Upstream.
func (u *Upstream) Count(ctx context.Context, route routing.Route, req gateway.Request) (int64, error) {
	resp, err := u.post(ctx, "/v1/messages/count_tokens", route, req,
		jsonspan.Edit{Key: "stream"}, jsonspan.Edit{Key: "max_tokens"})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := readAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var n struct {
		InputTokens *int64 `json:"input_tokens"`
	}
	if err := json.Unmarshal(body, &n); err != nil || n.InputTokens == nil {
		return 0, messages.Errorf(messages.ModelFailed, "The upstream's token count cannot be read.").WithCause(err)
	}
	return *n.InputTokens, nil
}

func (u *Upstream) post(ctx context.Context, path string, route routing.Route, req gateway.Request, edits ...jsonspan.Edit) (*http.Response, error) {
	body, err := req.Body.In(gateway.Messages)
	if err != nil {
		return nil, err
	}
	model := u.opts.Model
	if model == "" {
		model = route.Model().FirstPartyID
	}
	edits = append(edits,
		jsonspan.Edit{Key: "model", Value: messages.AppendString(nil, model)},
		jsonspan.Edit{Key: "anthropic_version"},
		jsonspan.Edit{Key: "anthropic_beta"})
	if body, err = body.With(edits...); err != nil {
		return nil, err
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, u.base+path, bytes.NewReader(body.Bytes()))
	if err != nil {
		return nil, err
	}
	h := hr.Header
	h.Set("Content-Type", "application/json")
	h.Set("Accept-Encoding", "identity")
	h.Set("anthropic-version", version(req.Head.Version))
	if len(req.Head.Betas) > 0 {
		h.Set("anthropic-beta", strings.Join(req.Head.Betas, ","))
	}
	if u.opts.Hop != "" {
		h.Set(HeaderHop, u.opts.Hop)
	}
	if u.opts.APIKey != "" {
		if u.opts.Bearer {
			h.Set("Authorization", "Bearer "+u.opts.APIKey)
		} else {
			h.Set("x-api-key", u.opts.APIKey)
		}
	}
	resp, err := u.opts.Client.Do(hr)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, messages.Errorf(messages.Unavailable, "The upstream %s cannot be reached.", u.opts.Name).WithCause(err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, u.failure(resp)
	}
	return resp, nil
}

// version maps Bedrock's dialect string to the first-party API's.
func version(v string) string {
	if v == "" || strings.HasPrefix(v, "bedrock-") {
		return "2023-06-01"
	}
	return v
}

func (u *Upstream) failure(resp *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if u.opts.APIKey != "" { // some servers quote the key that they refuse
		raw = bytes.ReplaceAll(raw, []byte(u.opts.APIKey), []byte("(key)"))
	}
	var body struct {
		Error struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}
	cause := fmt.Errorf("%s answered %s: %.500q", u.opts.Name, resp.Status, raw)
	if err := json.Unmarshal(raw, &body); err != nil || body.Error.Message == "" {
		body.Error.Message = fmt.Sprintf("The upstream answered with status %d.", resp.StatusCode)
	}
	kind := messages.KindOf(body.Error.Type, resp.StatusCode)
	if kind == messages.AccessDenied || kind == messages.MissingToken || kind == messages.InvalidAPIKey {
		// The operator's credentials failed, not the caller's.
		return messages.Errorf(messages.Unavailable, "The upstream %s refused this server's credentials.", u.opts.Name).WithCause(cause)
	}
	e := messages.Errorf(kind, "%s", body.Error.Message).WithCause(cause)
	e.RequestID = resp.Header.Get("request-id")
	if s, err := strconv.Atoi(resp.Header.Get("retry-after")); err == nil && s > 0 {
		e.RetryAfter = seconds(s)
	}
	return e
}

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	switch {
	case errors.Is(err, context.Canceled):
		return nil, err
	case err != nil:
		return nil, messages.Errorf(messages.ModelFailed, "The upstream's answer broke off.").WithCause(err)
	case len(b) > maxAnswer:
		return nil, messages.Errorf(messages.ModelFailed, "The upstream's answer is larger than %d bytes.", maxAnswer)
	}
	return b, nil
}
