// Package messages is any server that speaks Anthropic Messages: the embedded
// engine, Ollama, LM Studio, vLLM, llama-server, another gateway. Its answers
// leave here in the service's own shape. It never forwards a client's
// credentials, it follows no redirect, and it retries nothing.
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
	"slices"
	"strconv"
	"strings"
	"time"

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

const countPath = "/v1/messages/count_tokens"

// notServed is how servers answer where they have nothing: few of them count.
var notServed = []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}

// Options of an Upstream.
type Options struct {
	Name         string // as records and x-outcrop-upstream say it
	URL          string // of the server; /v1/messages is added
	APIKey       string // sent as x-api-key, and as a bearer token if Bearer
	Bearer       bool
	Model        string       // sent in place of the model's first-party id
	Client       *http.Client // nil: http.DefaultTransport's
	Capabilities gateway.Capabilities
	Hop          string // this server's own id
}

// Upstream implements gateway.Upstream.
type Upstream struct {
	opts   Options
	base   string
	client *http.Client
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
	client := http.Client{}
	if opts.Client != nil {
		client = *opts.Client
	}
	client.Jar = nil // one caller's cookies are not another's
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Upstream{opts: opts, base: base, client: &client}, nil
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
		body, err := u.readAll(resp.Body)
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
	return &eventStream{up: u, body: resp.Body, events: sse.NewReader(resp.Body), shape: shape, id: id}, nil
}

// Count implements gateway.Upstream.
func (u *Upstream) Count(ctx context.Context, route routing.Route, req gateway.Request) (int64, error) {
	resp, err := u.post(ctx, countPath, route, req,
		jsonspan.Edit{Key: "stream"}, jsonspan.Edit{Key: "max_tokens"})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := u.readAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var n struct {
		InputTokens *int64 `json:"input_tokens"`
	}
	if err := json.Unmarshal(body, &n); err != nil || n.InputTokens == nil || *n.InputTokens < 0 {
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
	watched, w := watch(ctx)
	hr, err := http.NewRequestWithContext(watched, http.MethodPost, u.base+path, bytes.NewReader(body.Bytes()))
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
		h.Set(HeaderHop, strings.Join(append(slices.Clip(req.Head.Hops), u.opts.Hop), ", "))
	}
	if u.opts.APIKey != "" {
		if u.opts.Bearer {
			h.Set("Authorization", "Bearer "+u.opts.APIKey)
		} else {
			h.Set("x-api-key", u.opts.APIKey)
		}
	}
	resp, err := u.client.Do(hr)
	if err != nil {
		w.stop()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(context.Cause(watched), errSlow):
			return nil, u.slow(err)
		}
		return nil, messages.Errorf(messages.Unavailable, "The upstream %s cannot be reached.", u.opts.Name).WithCause(err)
	}
	resp.Body = w.over(resp.Body)
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, u.failure(path, resp)
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

// failure reads an answer that is none. What the upstream thinks of this server's
// own credentials is not the caller's business.
func (u *Upstream) failure(path string, resp *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	raw = u.censor(raw)
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
	var e *messages.Error
	switch kind := messages.KindOf(body.Error.Type, resp.StatusCode); {
	case ours(kind) || resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		e = messages.Errorf(messages.Unavailable, "The upstream %s refused this server's credentials.", u.opts.Name)
	case path == countPath && slices.Contains(notServed, resp.StatusCode):
		e = messages.Errorf(messages.InvalidRequest, "The upstream %s does not count tokens.", u.opts.Name)
	case resp.StatusCode/100 == 3:
		e = messages.Errorf(messages.Unavailable, "The upstream %s answered with a redirect, which is not followed.", u.opts.Name)
	default:
		e = messages.Errorf(kind, "%s", body.Error.Message)
		if s, err := strconv.Atoi(resp.Header.Get("retry-after")); err == nil && s > 0 {
			e.RetryAfter = time.Duration(min(s, maxRetryAfter)) * time.Second
		}
	}
	e.RequestID = resp.Header.Get("request-id")
	return e.WithCause(cause)
}

const maxRetryAfter = 24 * 60 * 60

// ours says that a failure is about this server's credentials.
func ours(k messages.Kind) bool { return k == messages.AccessDenied || k == messages.InvalidAPIKey }

// censor takes the key out of what the upstream says: some quote what they refuse.
func (u *Upstream) censor(raw []byte) []byte {
	if u.opts.APIKey == "" {
		return raw
	}
	return bytes.ReplaceAll(raw, []byte(u.opts.APIKey), []byte("(key)"))
}

func (u *Upstream) readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	switch {
	case errors.Is(err, errSlow):
		return nil, u.slow(err)
	case errors.Is(err, context.Canceled):
		return nil, err
	case err != nil:
		return nil, messages.Errorf(messages.ModelFailed, "The upstream's answer broke off.").WithCause(err)
	case len(b) > maxAnswer:
		return nil, messages.Errorf(messages.ModelFailed, "The upstream's answer is larger than %d bytes.", maxAnswer)
	}
	return b, nil
}
