package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// visit is a front door as a client knows it: an address, a Region and a key.
type visit struct {
	url      string
	region   string
	key      sigv4.Credentials
	http     *http.Client
	upstream string // as the door itself says
	catalog  *catalog.Catalog
	own      bool     // the tour's, to be changed as it likes
	log      *keptLog // of the tour's own server; nil: none that can be seen
}

func (v *visit) String() string {
	if v.upstream == "" {
		return v.url
	}
	return v.url + " (" + v.upstream + ": not Claude)"
}

func visitServer(s *server, o *serveOptions) (*visit, error) {
	key, _, err := s.Data.FirstKey()
	if err != nil {
		return nil, err
	}
	client, err := clientTrusting(filepath.Join(s.Data.Path(), caCertFile))
	if err != nil {
		return nil, err
	}
	return &visit{url: s.URL, region: o.Region, key: key, http: client, upstream: s.Upstream.Name(), catalog: s.Catalog}, nil
}

// visitEndpoint goes wherever the user says, as the environment's AWS identity.
func visitEndpoint(ctx context.Context, endpoint string) (*visit, error) {
	a, err := environmentAsker(ctx, endpoint, "")
	if err != nil {
		return nil, err
	}
	creds, err := a.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, noCredentials(ctx, err)
	}
	cat, err := catalog.Load()
	if err != nil {
		return nil, err
	}
	v := &visit{url: strings.TrimRight(endpoint, "/"), region: a.cfg.Region, http: &http.Client{}, catalog: cat,
		key: keyOf(creds)}
	if req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+"/healthz", nil); err == nil {
		if resp, err := v.http.Do(req); err == nil {
			v.upstream = resp.Header.Get("X-Outcrop-Upstream")
			resp.Body.Close()
		}
	}
	return v, nil
}

// client is our own Go client, as a user makes it.
func (v *visit) client(ctx context.Context, region string) (*bedrock.Client, error) {
	return bedrock.New(ctx, bedrock.WithBaseURL(v.url), bedrock.WithRegion(region), bedrock.WithHTTPClient(v.http),
		bedrock.WithCredentials(v.key.AccessKeyID, v.key.SecretAccessKey, v.key.SessionToken))
}

// greeting is the page's own request.
func greeting(model string, maxTokens int64) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: anthropic.Model(model), MaxTokens: maxTokens,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
	}
}

func textOf(m *anthropic.Message) string {
	var b strings.Builder
	for _, block := range m.Content {
		b.WriteString(block.Text)
	}
	return b.String()
}

// reply is an answer as it came.
type reply struct {
	status  int
	header  http.Header
	trailer http.Header
	body    []byte
}

// refusal is the exception's name and text.
func (r *reply) refusal() string {
	var e struct{ Message string }
	_ = json.Unmarshal(r.body, &e)
	name, _, _ := strings.Cut(r.header.Get("X-Amzn-Errortype"), ":")
	return fmt.Sprintf("%d %s: %s", r.status, name, e.Message)
}

// send signs a request for Bedrock and sends it.
func (v *visit) send(ctx context.Context, method, region, path string, body []byte, header ...string) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, v.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if err := sign(req, body, v.key, region, "bedrock"); err != nil {
		return nil, err
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	r := &reply{status: resp.StatusCode, header: resp.Header}
	r.body, err = io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	r.trailer = resp.Trailer
	return r, err
}

// get reads a list of the control plane.
func (v *visit) get(ctx context.Context, region, path string, into any) error {
	r, err := v.send(ctx, http.MethodGet, region, path, nil)
	if err != nil {
		return err
	}
	if r.status != http.StatusOK {
		return fmt.Errorf("GET %s in %s: %s", path, region, r.refusal())
	}
	return json.Unmarshal(r.body, into)
}

// post sends a change to the control plane.
func (v *visit) post(ctx context.Context, region, path string, in any) (*reply, error) {
	r, err := v.sendJSON(ctx, http.MethodPost, region, path, in)
	if err != nil {
		return nil, err
	}
	if r.status >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("POST %s in %s: %s", path, region, r.refusal())
	}
	return r, nil
}

func (v *visit) sendJSON(ctx context.Context, method, region, path string, in any) (*reply, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return v.send(ctx, method, region, path, body)
}

// invoke is InvokeModel with the page's greeting and more members.
func (v *visit) invoke(ctx context.Context, region, model string, more map[string]any) (*reply, error) {
	body := map[string]any{
		"anthropic_version": "bedrock-2023-05-31", "max_tokens": 16,
		"messages": []any{map[string]any{"role": "user", "content": "Hello, world"}},
	}
	for k, member := range more {
		body[k] = member
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return v.send(ctx, http.MethodPost, region, "/model/"+url.PathEscape(model)+"/invoke", raw)
}

// answers holds an invoke to an answer.
func (v *visit) answers(ctx context.Context, region, model string, more map[string]any) (*anthropic.Message, error) {
	r, err := v.invoke(ctx, region, model, more)
	if err != nil {
		return nil, err
	}
	if r.status != http.StatusOK {
		return nil, fmt.Errorf("%s in %s: %s", model, region, r.refusal())
	}
	m := new(anthropic.Message)
	return m, json.Unmarshal(r.body, m)
}

// refuses holds an invoke to a refusal whose text has the words.
func (v *visit) refuses(ctx context.Context, region, model string, more map[string]any, words string) (string, error) {
	r, err := v.invoke(ctx, region, model, more)
	if err != nil {
		return "", err
	}
	if r.status == http.StatusOK {
		return "", fmt.Errorf("%s in %s answered, and should have been refused", model, region)
	}
	if !strings.Contains(r.refusal(), words) {
		return "", fmt.Errorf("%s in %s: refused with %s", model, region, r.refusal())
	}
	return r.refusal(), nil
}
