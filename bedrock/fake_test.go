package bedrock_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

const (
	keyID   = "AKIDEXAMPLE"
	secret  = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	opus46  = "global.anthropic.claude-opus-4-6-v1:0"
	answerA = `{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[{"type":"text","text":"Hello!"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":3}}`
)

// seen is a request as the service got it.
type seen struct {
	Method, Path, Query string
	Header              http.Header
	Host                string
	Body                string
	Signed              *sigv4.Presented // nil: no signature
	SignatureErr        error
}

func (s seen) JSON(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(s.Body), &m); err != nil {
		t.Fatalf("body %q: %v", s.Body, err)
	}
	return m
}

// fake is Bedrock as far as the wire goes: it checks signatures and plays reply.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	seen  []seen
	reply func(n int, w http.ResponseWriter, r *http.Request)
}

func serve(t *testing.T, reply func(n int, w http.ResponseWriter, r *http.Request)) *fake {
	t.Helper()
	f := &fake{reply: reply}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	path, query, _ := strings.Cut(r.RequestURI, "?")
	s := seen{Method: r.Method, Path: path, Query: query, Header: r.Header.Clone(), Host: r.Host, Body: string(body)}
	p, err := sigv4.Parse(r)
	switch {
	case err == nil:
		s.Signed, s.SignatureErr = p, p.Verify(r, secret, sha256.Sum256(body), time.Now())
	case errors.Is(err, sigv4.ErrMissing):
	default:
		s.SignatureErr = err
	}
	f.mu.Lock()
	f.seen = append(f.seen, s)
	n := len(f.seen)
	f.mu.Unlock()
	f.reply(n, w, r)
}

func (f *fake) all() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.seen...)
}

// one gives the only request, signed and verified.
func (f *fake) one(t *testing.T) seen {
	t.Helper()
	all := f.all()
	if len(all) != 1 {
		t.Fatalf("%d requests, want 1", len(all))
	}
	if all[0].SignatureErr != nil {
		t.Fatalf("signature: %v", all[0].SignatureErr)
	}
	return all[0]
}

func plain(body string) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("x-amzn-RequestId", "11111111-2222-3333-4444-555555555555")
		io.WriteString(w, body)
	}
}

func failing(status int, errorType, body string) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("x-amzn-RequestId", "99999999-2222-3333-4444-555555555555")
		if errorType != "" {
			w.Header().Set("x-amzn-ErrorType", errorType)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// chunk is a frame as Bedrock sends it, padding and all.
func chunk(event string) []byte {
	return eventstream.AppendEvent(nil, "chunk", "application/json",
		[]byte(`{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(event))+`","p":"abcdefghijklmnop"}`))
}

var helloEvents = []string{
	`{"type":"message_start","message":{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}}}`,
	`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo!"}}`,
	`{"type":"content_block_stop","index":0}`,
	`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":3}}`,
	`{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":10,"outputTokenCount":3,"invocationLatency":321,"firstByteLatency":123}}`,
}

func framed(events ...string) []byte {
	var out []byte
	for _, e := range events {
		out = append(out, chunk(e)...)
	}
	return out
}

func streamed(body []byte) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		w.Header().Set("x-amzn-RequestId", "11111111-2222-3333-4444-555555555555")
		w.Write(body)
	}
}

// clean takes every variable that could steer a client out of the environment.
func clean(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "ANTHROPIC_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", dir+"/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", dir+"/credentials")
	t.Setenv("HOME", dir)
}

// connect makes a client of the fake with the explicit keys.
func connect(t *testing.T, f *fake, opts ...bedrock.ClientOption) *bedrock.Client {
	t.Helper()
	clean(t)
	opts = append([]bedrock.ClientOption{
		bedrock.WithCredentials(keyID, secret, ""), bedrock.WithBaseURL(f.URL), bedrock.WithMaxRetries(0),
	}, opts...)
	c, err := bedrock.New(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func hello(model string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model:     model,
		MaxTokens: 256,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
	}
}
