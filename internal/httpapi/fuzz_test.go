package httpapi_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/sse"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// panics is a slog handler that hears of the panics that the server survives.
type panics struct{ seen *string }

func (panics) Enabled(context.Context, slog.Level) bool { return true }
func (p panics) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "panic" {
		r.Attrs(func(a slog.Attr) bool { *p.seen += a.String() + "\n"; return true })
	}
	return nil
}
func (p panics) WithAttrs([]slog.Attr) slog.Handler { return p }
func (p panics) WithGroup(string) slog.Handler      { return p }

// FuzzFrontDoor: whatever comes in is answered, in a whole answer of the right
// shape, without a panic; a call that is let in and one that is not.
func FuzzFrontDoor(f *testing.F) {
	for _, seed := range [][4]string{
		{"POST", invokePath, "", invokeBody},
		{"POST", "/model/arn%3Aaws%3Abedrock%3Aus-west-2%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-opus-4-6-v1/invoke-with-response-stream", "", invokeBody},
		{"POST", messagePath + "?beta=true", "Anthropic-Beta: a, b\nAnthropic-Version: 2026-10-21", streams[1].body},
		{"POST", "/v1/messages/count_tokens", "Host: bedrock-mantle.us-east-1.api.aws", `{"model":"anthropic.claude-opus-4-7","messages":[{"role":"user","content":[{"type":"document"}]}]}`},
		{"POST", strings.Replace(invokePath, "invoke", "converse-stream", 1), "", `{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"maxTokens":5}}`},
		{"POST", strings.Replace(invokePath, "invoke", "count-tokens", 1), "", `{"input":{"invokeModel":{"body":"e30="}}}`},
		{"GET", "/inference-profiles?maxResults=1&nextToken=YXQ6MQ&type=SYSTEM_DEFINED", "", ""},
		{"GET", "/foundation-models?byProvider=anthropic&byOutputModality=TEXT", "", ""},
		{"GET", "/v1/models?limit=1&after_id=x", "", ""},
		{"GET", "/v1/models?before_id=anthropic.claude-opus-4-7", "", ""},
		{"POST", "/", "X-Test-Service: sts", "Action=GetCallerIdentity&Version=2011-06-15"},
		{"POST", invokePath, "X-Amzn-Bedrock-Request-Metadata: {\"a\":\"b\"}\nX-Amzn-Bedrock-Service-Tier: flex\nContent-Encoding: gzip", invokeBody},
		{"POST", invokePath, "Authorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=f\nX-Amz-Date: 20261122T120000Z", invokeBody},
		{"PUT", "/%2e%2e/%00", "X-Outcrop-Hop: a,b,c,d,e,f,g,h,i", "\x00"},
		{"HEAD", "/api/hello", "X-Api-Key: ABSKx", ""},
	} {
		for _, signed := range []bool{true, false} {
			f.Add(seed[0], seed[1], seed[2], []byte(seed[3]), signed, true)
		}
	}
	var panicked string
	plain, strict := newSetup(f, scripted.Scenario{}), newSetup(f, scripted.Scenario{})
	strict.Gateway.Policy.Strict = true
	for _, s := range []*setup{plain, strict} {
		s.Log = slog.New(panics{&panicked})
	}
	f.Fuzz(func(t *testing.T, method, target, headers string, body []byte, signed, lax bool) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" || !strings.HasPrefix(target, "/") || !token(method) {
			return // net/http itself refuses it
		}
		s := strict
		if lax {
			s = plain
		}
		r := httptest.NewRequest(method, "http://outcrop.test/", bytes.NewReader(body))
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.RequestURI = u.Path, u.RawPath, u.RawQuery, target
		for line := range strings.SplitSeq(headers, "\n") {
			name, value, ok := strings.Cut(line, ":")
			if !ok || !token(name) || strings.ContainsAny(value, "\r\x00") {
				continue
			}
			if strings.EqualFold(name, "Host") {
				r.Host = strings.TrimSpace(value)
			} else {
				r.Header.Add(name, strings.TrimSpace(value))
			}
		}
		if signed && r.Header.Get("Authorization") == "" {
			switch r.Header.Get("X-Test-Age") { // of no use to a fuzzer
			case "":
			default:
				return
			}
			s.sign(t, r, body)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if panicked != "" {
			t.Fatalf("%s %s\n%s", method, target, panicked)
		}
		resp := w.Result()
		switch {
		case resp.Header.Get("request-id") == "" || resp.Header.Get("x-amzn-RequestId") == "":
			t.Fatalf("%s %s: %d has no id", method, target, resp.StatusCode)
		case resp.StatusCode >= 400 && u.EscapedPath() != "/healthz":
			if method != http.MethodHead && !bytes.HasPrefix(w.Body.Bytes(), []byte(`{"Message":`)) {
				checkErrorShape(t, shapeOf(u.EscapedPath()), resp, w.Body.Bytes())
			}
		case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream"):
			for r := sse.NewReader(w.Body); ; {
				if _, err := r.Next(); err != nil {
					if err.Error() != "EOF" {
						t.Fatal(err)
					}
					break
				}
			}
		case resp.Header.Get("Content-Type") == "application/vnd.amazon.eventstream":
			for r := eventstream.NewReader(w.Body); ; {
				if _, err := r.Next(); err != nil {
					if err.Error() != "EOF" {
						t.Fatal(err)
					}
					break
				}
			}
		}
	})
}

// shapeOf is the path as far as the shape of its refusals goes: the surface is
// told by the escaped path.
func shapeOf(escaped string) string { return escaped }

func token(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
