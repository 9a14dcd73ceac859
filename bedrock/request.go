package bedrock

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// call is one attempt.
type call struct {
	op      *bedrockapi.Operation // nil: a path of Bedrock's own, sent as it is
	model   string
	betas   []string
	retries int // attempts before this one

	backend   *backend
	at        *site  // where this attempt goes
	prefix    string // the base URL's own path
	ref       string // the model, as the caller wrote it
	maxTokens int64
	plan      *routing.Plan // nil: there is one way
	patience  time.Time     // no try after it; zero: none
	told      time.Duration // the service's word on when to come back
	obey      bool          // the service has said that there is to be no other try

	body   []byte
	sent   *payload // body, as the request carries it
	digest string   // of body; "" until it is asked for
}

type callKey struct{} // of the *call in a request's context

// payload is a request's body. Its identity tells whether a middleware has put
// another one in its place.
type payload struct{ bytes.Reader }

func (*payload) Close() error { return nil }

// set makes body that of r.
func (c *call) set(r *http.Request, body []byte) {
	c.body, c.digest = body, ""
	c.carry(r)
}

// carry gives r a body of its own to send c's from.
func (c *call) carry(r *http.Request) {
	body := c.body
	r.GetBody = func() (io.ReadCloser, error) {
		p := &payload{}
		p.Reset(body)
		return p, nil
	}
	c.sent = &payload{}
	c.sent.Reset(body)
	r.Body, r.ContentLength = c.sent, int64(len(body))
	r.Header.Del("Content-Length")
}

// sha256 is the hex digest of the body.
func (c *call) sha256() string {
	if c.digest == "" {
		sum := sha256.Sum256(c.body)
		c.digest = hex.EncodeToString(sum[:])
	}
	return c.digest
}

// authorize signs r as it stands, for the endpoint that it goes to.
func (c *call) authorize(r *http.Request) error {
	if err := c.at.auth.permit(r.URL); err != nil { // a request option may have moved the call
		return err
	}
	return c.at.auth.authorize(r, c)
}

// handle is the client's middleware: Anthropic's request in, Bedrock's out, and
// the answer back.
func (b *backend) handle(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	c, err := b.rewrite(r)
	if err != nil {
		return final(err)
	}
	c.patience = patienceOf(r)
	routes, err := b.plan(c, r)
	switch {
	case err != nil:
		return final(err)
	case len(routes) > 1:
		return b.failover(c, r, next, routes)
	}
	return b.attempt(c, r, next)
}

// attempt sends r, which is as c says, and reads the answer.
func (b *backend) attempt(c *call, r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	if err := c.authorize(r); err != nil {
		res, err := final(err)
		var e *Error
		if errors.As(err, &e) && e.again {
			res.Header.Del("X-Should-Retry")
			c.repeat(res, true, 0)
		}
		return res, err
	}
	res, err := next(r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
	switch {
	case err != nil && res == nil:
		return b.unreached(c, r, err)
	case err != nil || res == nil:
		return res, err
	}
	return b.answer(c, res)
}

// lastSigner signs once more where a request leaves, since a middleware that a
// call brings along runs after the client's and may have changed it.
type lastSigner struct{ doer option.HTTPClient }

func (l lastSigner) Do(r *http.Request) (*http.Response, error) {
	if c, ok := r.Context().Value(callKey{}).(*call); ok {
		if p, ok := r.Body.(*payload); !ok || p != c.sent {
			body, err := drain(r)
			if err != nil {
				return final(err)
			}
			c.set(r, body)
		}
		if err := c.authorize(r); err != nil {
			return final(err)
		}
	}
	return l.doer.Do(r)
}

const (
	pathMessages = "/v1/messages"
	pathCount    = "/v1/messages/count_tokens"
)

// rewrite turns r into Bedrock's request for the same thing.
func (b *backend) rewrite(r *http.Request) (*call, error) {
	path := r.URL.EscapedPath()
	c := &call{backend: b, at: b.site}
	c.retries, _ = strconv.Atoi(r.Header.Get("X-Stainless-Retry-Count")) // absent: the caller took it off
	if prefix, ok := strings.CutSuffix(path, pathMessages); ok && r.Method == http.MethodPost {
		c.prefix = prefix
		return c, b.toInvoke(c, r)
	}
	if prefix, ok := strings.CutSuffix(path, pathCount); ok && r.Method == http.MethodPost {
		c.prefix = prefix
		return c, b.toCount(c, r)
	}
	if err := b.refuse(path); err != nil {
		return nil, err
	}
	if err := b.native(path); err != nil {
		return nil, err
	}
	body, err := drain(r)
	if err == nil && body != nil {
		c.set(r, body)
	}
	return c, err
}

// known: a body that spells one of these otherwise is refused, since the service
// and this package would read it differently.
var known = jsonspan.NewKeys("model", "stream", "max_tokens", "messages", "thread",
	"anthropic_version", "anthropic_beta", "user_profile_id", "temperature", "top_p", "top_k")

func (b *backend) toInvoke(c *call, r *http.Request) error {
	body, members, err := c.read(r)
	if err != nil {
		return err
	}
	c.op = bedrockapi.InvokeModel
	if m, ok := members.Get("stream"); ok {
		stream, isBool := jsonspan.Bool(m.Value(body))
		if !isBool {
			return badRequest("stream is neither true nor false")
		}
		if stream {
			c.op = bedrockapi.InvokeModelStream
		}
	}
	if body, err = b.adapt(c, r, body, members); err != nil {
		return err
	}
	c.set(r, body)
	return setPath(r.URL, c.prefix, c.op, c.model)
}

// read takes the body out of r and finds its members and the model.
func (c *call) read(r *http.Request) ([]byte, jsonspan.Members, error) {
	body, err := drain(r)
	if err != nil {
		return nil, nil, err
	}
	members, err := jsonspan.Scan(make(jsonspan.Members, 0, 24), body, known)
	if err != nil {
		return nil, nil, badRequest("the request's body: %v", err)
	}
	if _, ok := members.Get("thread"); ok {
		return nil, nil, unsupported("message threads", "send the whole history with Beta.Messages.New")
	}
	m, ok := members.Get("model")
	if !ok {
		return nil, nil, badRequest("the request names no model")
	}
	model, err := jsonspan.String(nil, m.Value(body))
	if err != nil || len(model) == 0 {
		return nil, nil, badRequest("the request names no model")
	}
	c.model, c.ref = string(model), string(model)
	if m, ok := members.Get("max_tokens"); ok {
		c.maxTokens, _ = jsonspan.Int(m.Value(body)) // no number: the service's to judge
	}
	return body, members, nil
}

// adapt splices the body: Bedrock takes model and stream from the path, version,
// betas and user profile from the body.
func (b *backend) adapt(c *call, r *http.Request, body []byte, members jsonspan.Members, dropBetas ...string) ([]byte, error) {
	edits := make([]jsonspan.Edit, 0, 6)
	edits = append(edits, jsonspan.Edit{Key: "model"}, jsonspan.Edit{Key: "stream"})

	version, err := b.version(c.model, r.Header.Get("Anthropic-Version"), body, members)
	if err != nil {
		return nil, err
	}
	if _, ok := members.Get("anthropic_version"); !ok {
		edits = append(edits, jsonspan.Edit{Key: "anthropic_version", Value: quoted(version)})
	}
	r.Header.Del("Anthropic-Version")

	betas, err := mergeBetas(r.Header.Values("Anthropic-Beta"), body, members)
	if err != nil {
		return nil, err
	}
	c.betas = slices.DeleteFunc(betas, func(beta string) bool { return slices.Contains(dropBetas, beta) })
	switch _, inBody := members.Get("anthropic_beta"); {
	case len(c.betas) > 0:
		edits = append(edits, jsonspan.Edit{Key: "anthropic_beta", Value: list(c.betas)})
	case inBody:
		edits = append(edits, jsonspan.Edit{Key: "anthropic_beta"})
	}
	r.Header.Del("Anthropic-Beta")

	if id := r.Header.Get("Anthropic-User-Profile-Id"); id != "" {
		if _, ok := members.Get("user_profile_id"); !ok {
			edits = append(edits, jsonspan.Edit{Key: "user_profile_id", Value: quoted(id)})
		}
	}
	r.Header.Del("Anthropic-User-Profile-Id")
	return jsonspan.Splice(nil, body, members, edits...), nil
}

// mergeBetas gives the body's, then those of the headers, each once.
func mergeBetas(headers []string, body []byte, members jsonspan.Members) ([]string, error) {
	var betas []string
	add := func(beta string) {
		if beta = strings.TrimSpace(beta); beta != "" && !slices.Contains(betas, beta) {
			betas = append(betas, beta)
		}
	}
	if m, ok := members.Get("anthropic_beta"); ok && string(m.Value(body)) != "null" {
		value := m.Value(body)
		spans, err := jsonspan.ScanArray(nil, value)
		if err != nil {
			return nil, badRequest("anthropic_beta: %v", err)
		}
		for _, s := range spans {
			beta, err := jsonspan.String(nil, s.Value(value))
			if err != nil {
				return nil, badRequest("anthropic_beta holds what is not a string")
			}
			add(string(beta))
		}
	}
	for _, h := range headers {
		for beta := range strings.SplitSeq(h, ",") {
			add(beta)
		}
	}
	return betas, nil
}

func quoted(s string) []byte { return jsonspan.AppendString(nil, s) }

func list(all []string) []byte {
	out := []byte{'['}
	for i, s := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = jsonspan.AppendString(out, s)
	}
	return append(out, ']')
}

// setPath keeps the base URL's own path. The id is one segment, whatever stands
// in it; ":" stays raw, as all of Anthropic's clients send it.
func setPath(u *url.URL, prefix string, op *bedrockapi.Operation, model string) error {
	if name, _, _ := strings.Cut(model, ";"); name == "" || name == "." || name == ".." {
		return badRequest("%q cannot be the id of a model", model)
	}
	raw := prefix + strings.Replace(op.Path, "{modelId}", url.PathEscape(model), 1)
	path, err := url.PathUnescape(raw)
	if err != nil {
		return badRequest("the path %q: %v", raw, err)
	}
	u.Path, u.RawPath = path, raw
	if u.RawQuery != "" { // ?beta=true is Anthropic's own
		q := u.Query()
		q.Del("beta")
		u.RawQuery = q.Encode()
	}
	return nil
}

// drain reads the body whole: its digest goes into the signature.
func drain(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	defer r.Body.Close()
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(r.Body); err != nil {
		return nil, badRequest("the request's body cannot be read: %v", err)
	}
	return buf.Bytes(), nil
}
