package bedrock

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

func TestCount(t *testing.T) {
	const rest = `"messages":[{"role":"user","content":"Hi"}]`
	wrapped := func(body string) string {
		return `{"input":{"invokeModel":{"body":"` + base64.StdEncoding.EncodeToString([]byte(body)) + `"}}}`
	}
	tests := []struct {
		name, ref, region string
		mantle            bool
		dialect           gateway.Dialect
		body              string
		path, sent        string
		service           string
	}{
		{"InvokeModel body, a profile's id", opus46, "us-east-1", false, gateway.Messages, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,` + rest + `}`,
			"/model/anthropic.claude-opus-4-6-v1/count-tokens", wrapped(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,` + rest + `}`), "bedrock"},
		{"Messages body", "global.anthropic.claude-opus-4-6-v1", "eu-west-1", false, gateway.Messages, `{"model":"claude-opus-4-6",` + rest + `}`,
			"/model/anthropic.claude-opus-4-6-v1/count-tokens", wrapped(`{` + rest + `,"anthropic_version":"bedrock-2023-05-31","max_tokens":1}`), "bedrock"},
		{"a thinking budget", opus46, "us-east-1", false, gateway.Messages, `{"model":"x","thinking":{"type":"enabled","budget_tokens":2048},` + rest + `}`,
			"/model/anthropic.claude-opus-4-6-v1/count-tokens", wrapped(`{"thinking":{"type":"enabled","budget_tokens":2048},` + rest + `,"anthropic_version":"bedrock-2023-05-31","max_tokens":2049}`), "bedrock"},
		{"Converse", opus46, "us-east-1", false, gateway.Converse, `{"inferenceConfig":{"maxTokens":5},"system":[{"text":"s"}],"messages":[]}`,
			"/model/anthropic.claude-opus-4-6-v1/count-tokens", `{"input":{"converse":{"messages":[],"system":[{"text":"s"}]}}}`, "bedrock"},
		{"mantle", "anthropic.claude-opus-5", "us-east-1", true, gateway.Messages, `{"model":"x","stream":true,"max_tokens":5,` + rest + `}`,
			"/anthropic/v1/messages/count_tokens", `{"model":"anthropic.claude-opus-5",` + rest + `}`, "bedrock-mantle"},
		{"counted at mantle alone", opus5, "us-east-1", false, gateway.Messages, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,` + rest + `}`,
			"/anthropic/v1/messages/count_tokens", `{` + rest + `,"model":"anthropic.claude-opus-5"}`, "bedrock-mantle"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := serve(t, func(w http.ResponseWriter, _ *http.Request, _ seen) {
				io.WriteString(w, `{"inputTokens":42,"input_tokens":42}`)
			})
			r := routes(t, tt.ref, tt.region, tt.mantle)[0]
			c, err := connect(t, f).CountTokens(t.Context(), r, requestIn(t, tt.dialect, tt.body, false))
			if err != nil || c.Tokens != 42 || c.Estimate || c.RequestID != awsID {
				t.Errorf("%+v %v", c, err)
			}
			got := f.one()
			if got.Path != tt.path || got.Body != tt.sent || got.Signed.Service != tt.service || got.Region != tt.region {
				t.Errorf("%s in %s: %s\nwant %s: %s", got.Path, got.Region, got.Body, tt.path, tt.sent)
			}
		})
	}
}

// Where AWS counts nowhere there is an estimate that says so, and never by Count.
func TestEstimate(t *testing.T) {
	f := serve(t, func(w http.ResponseWriter, _ *http.Request, _ seen) {
		fail(w, 403, "AccessDeniedException", "not authorized to perform: bedrock-mantle:CountTokens")
	})
	u := connect(t, f)
	req := request(t, helloBody, false)
	for region, asked := range map[string]int{"us-east-1": 1, "us-west-2": 0} { // mantle has Opus 5 in the first alone
		before := len(f.all())
		r := routes(t, opus5, region, false)[0]
		c, err := u.CountTokens(t.Context(), r, req)
		if err != nil || !c.Estimate || c.Tokens < int64(len(helloBody)/4) || len(c.Warnings) != 1 {
			t.Errorf("%s: %+v %v", region, c, err)
		}
		if n := len(f.all()) - before; n != asked {
			t.Errorf("%s: %d requests", region, n)
		}
		if n, err := u.Count(t.Context(), r, req); err == nil || asError(t, err).Kind != messages.InvalidRequest {
			t.Errorf("%s: Count passed an estimate off as a count: %d", region, n)
		}
	}
	// A mantle call is mantle's to answer.
	if _, err := u.CountTokens(t.Context(), routes(t, "anthropic.claude-opus-5", "us-east-1", true)[0], req); asError(t, err).Kind != messages.AccessDenied {
		t.Errorf("%v", err)
	}
}

// What AWS will not count although our table says that it does is estimated too;
// a fault of the call is the caller's to know.
func TestEstimateWhereAWSRefuses(t *testing.T) {
	for text, estimate := range map[string]bool{
		"The provided model doesn't support counting tokens.": true,
		"The provided model identifier is invalid.":           true,
		"Invocation of model ID anthropic.claude-opus-4-6-v1 with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.": true,
		"messages.0.content: Field required": false,
	} {
		f := serve(t, func(w http.ResponseWriter, _ *http.Request, _ seen) { fail(w, 400, "ValidationException", text) })
		c, err := connect(t, f).CountTokens(t.Context(), route(t, opus46), request(t, helloBody, false))
		if c.Estimate != estimate || (err == nil) != estimate {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}

// Where the operator has shut the public way, or wants FIPS, mantle is not called: a
// call there is refused, and what it alone would count is estimated.
func TestNoPublicMantle(t *testing.T) {
	f := serve(t, plain(answer1))
	for name, change := range map[string]func(*Options){
		"an endpoint for runtime alone": func(o *Options) { o.Endpoints.Mantle = "" },
		"FIPS":                          func(o *Options) { o.Endpoints = Endpoints{FIPS: true} },
	} {
		u := connect(t, f, change)
		u.client.Transport.DialContext = func(_ context.Context, _, addr string) (net.Conn, error) {
			t.Errorf("%s: %s was called", name, addr)
			return nil, errors.New("not in a test")
		}
		c, err := u.CountTokens(t.Context(), routes(t, opus5, "us-east-1", false)[0], request(t, helloBody, false))
		if err != nil || !c.Estimate {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		_, err = u.Send(t.Context(), routes(t, "anthropic.claude-opus-5", "us-east-1", true)[0], request(t, helloBody, false))
		if e := asError(t, err); e.Kind != messages.InvalidRequest || !strings.Contains(e.Message, "bedrock-mantle cannot be called from here") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
