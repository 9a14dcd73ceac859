package httpapi_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// billed is an upstream whose calls somebody pays.
type billed struct{ gateway.Upstream }

func (b billed) Capabilities() gateway.Capabilities {
	c := b.Upstream.Capabilities()
	c.Bills, c.Place = true, routing.Here()
	return c
}

// A limit is said in the words and the shape of each surface, before the model
// runs, with the time after which to come again.
func TestLimitsOnEverySurface(t *testing.T) {
	const model = "global.anthropic.claude-opus-4-6-v1"
	surfaces := []struct{ name, path, body string }{
		{"InvokeModel", "/model/" + model + "/invoke", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`},
		{"InvokeModelWithResponseStream", "/model/" + model + "/invoke-with-response-stream", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`},
		{"Converse", "/model/" + model + "/converse", `{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"maxTokens":64}}`},
		{"ConverseStream", "/model/" + model + "/converse-stream", `{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"maxTokens":64}}`},
		{"Messages", "/anthropic/v1/messages", `{"model":"` + model + `","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`},
		{"Messages, streamed", "/v1/messages", `{"model":"` + model + `","stream":true,"max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`},
	}
	for _, test := range []struct {
		name   string
		limits limit.Limits
		first  int // status of the first call
		kind   string
		words  string
		after  string
	}{
		{"requests", limit.Limits{RequestsPerMinute: 1}, 200, "rate_limit_error", "Too many requests, please wait before trying again. The limit of this key is 1 requests a minute; it frees in 60 s.", "60"},
		{"tokens", limit.Limits{TokensPerMinute: 100}, 200, "rate_limit_error", "Too many tokens, please wait before trying again. The limit of this key is 100 tokens a minute, and this call may use ", ""},
		{"money", limit.Limits{Day: 1000}, 429, "billing_error", "spend limit reached (daily; resets 2026-11-23 00:00 UTC). The limit of this key is $0.000001; $0.00 of it is spent or reserved", "43200"},
		{"money of the month", limit.Limits{Month: 1000}, 429, "billing_error", "spend limit reached (monthly; resets 2026-12-01 00:00 UTC). The limit of this key is $0.000001", "734400"},
	} {
		for _, surface := range surfaces {
			t.Run(test.name+"/"+surface.name, func(t *testing.T) {
				up, err := scripted.New(scripted.Scenario{})
				if err != nil {
					t.Fatal(err)
				}
				a := newAdministered(t)
				a.Gateway.Upstream = billed{up}
				k, secret, err := a.folder.Create(identity.NewKey{Kind: identity.AccessKeyKind, Name: "k", Settings: identity.Settings{Limits: test.limits}})
				if err != nil {
					t.Fatal(err)
				}
				who := signed(sigv4.Credentials{AccessKeyID: k.ID, SecretAccessKey: secret.Reveal()})
				var w *httptest.ResponseRecorder
				for i := range 3 {
					if w = a.ask(who, "POST", surface.path, surface.body); i == 0 && w.Code != test.first {
						t.Fatalf("the first call: %d %s", w.Code, w.Body)
					}
				}
				text, kind := "", ""
				if strings.HasPrefix(surface.name, "Messages") {
					var e struct {
						Type  string
						Error struct{ Type, Message string }
					}
					if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Type != "error" {
						t.Fatalf("%s, %v", w.Body, err)
					}
					text, kind = e.Error.Message, e.Error.Type
				} else {
					var e struct{ Message string }
					if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Header().Get("X-Amzn-Errortype") != "ThrottlingException" {
						t.Fatalf("%s %s, %v", w.Header().Get("X-Amzn-Errortype"), w.Body, err)
					}
					text, kind = e.Message, test.kind
				}
				again := "" // who may come again is not told otherwise
				if test.kind == "billing_error" {
					again = "false"
				}
				if w.Code != 429 || kind != test.kind || !strings.HasPrefix(text, test.words) || w.Header().Get("X-Should-Retry") != again ||
					test.after != "" && w.Header().Get("Retry-After") != test.after || w.Header().Get("Retry-After") == "" {
					t.Errorf("%d %s %v %q", w.Code, kind, w.Header(), text)
				}
				if s := a.Gateway.Limits.State(k.ID, test.limits); s.Streams != 0 || s.Day > 0 && test.first == 429 {
					t.Errorf("%+v", s)
				}
				// When it says that it frees, it does.
				after, err := time.ParseDuration(w.Header().Get("Retry-After") + "s")
				if err != nil {
					t.Fatal(err)
				}
				a.Clock = a.Clock.Add(after)
				if w := a.ask(who, "POST", surface.path, surface.body); w.Code != test.first {
					t.Errorf("after %v: %d %s", after, w.Code, w.Body)
				}
			})
		}
	}
}
