package bedrock_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/bedrock"
)

func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		name              string
		status            int
		errorType, body   string
		is                error
		code, message     string
		anthropic, inHint string
	}{
		{"validation", 400, "ValidationException", `{"message":"Malformed input request"}`, bedrock.ErrValidation, "ValidationException", "Malformed input request", "invalid_request_error", ""},
		{"a type with its namespace", 429, "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/", `{"message":"Too many tokens, please wait before trying again."}`,
			bedrock.ErrThrottling, "ThrottlingException", "Too many tokens, please wait before trying again.", "rate_limit_error", "max_tokens counts"},
		{"a daily quota", 429, "ThrottlingException", `{"message":"Too many tokens per day, please wait before trying again."}`, bedrock.ErrThrottling, "ThrottlingException", "Too many tokens per day, please wait before trying again.", "rate_limit_error", "daily"},
		{"access", 403, "AccessDeniedException", `{"message":"You don't have access to the model with the specified model ID."}`, bedrock.ErrAccessDenied, "AccessDeniedException", "You don't have access to the model with the specified model ID.", "permission_error", ""},
		{"an API key", 403, "AccessDeniedException", `{"Message":"Authentication failed: Please make sure your API Key is valid."}`, bedrock.ErrAuthentication, "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid.", "authentication_error", "API key"},
		{"a signature", 403, "InvalidSignatureException", `{"message":"The request signature we calculated does not match the signature you provided."}`, bedrock.ErrAuthentication, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided.", "permission_error", "secret access key"},
		{"a slow clock", 403, "InvalidSignatureException", `{"message":"Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z"}`, bedrock.ErrAuthentication, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z", "permission_error", "clock is slow"},
		{"an expired token", 403, "ExpiredTokenException", `{"message":"The security token included in the request is expired"}`, bedrock.ErrAuthentication, "ExpiredTokenException", "The security token included in the request is expired", "permission_error", "ended"},
		{"no such thing", 404, "ResourceNotFoundException", `{"message":"gone"}`, bedrock.ErrNotFound, "ResourceNotFoundException", "gone", "not_found_error", ""},
		{"the type in the body", 400, "", `{"__type":"com.amazon.coral.service#ServiceQuotaExceededException","message":"q"}`, bedrock.ErrQuotaExceeded, "ServiceQuotaExceededException", "q", "invalid_request_error", ""},
		{"a model's timeout", 408, "ModelTimeoutException", `{"message":"slow"}`, bedrock.ErrModelTimeout, "ModelTimeoutException", "slow", "timeout_error", ""},
		{"a model's error", 424, "ModelErrorException", `{"message":"oops","originalStatusCode":500}`, bedrock.ErrModel, "ModelErrorException", "oops", "api_error", ""},
		{"not ready", 429, "ModelNotReadyException", `{"message":"wait"}`, bedrock.ErrModelNotReady, "ModelNotReadyException", "wait", "rate_limit_error", ""},
		{"internal", 500, "InternalServerException", `{"message":"oops"}`, bedrock.ErrInternal, "InternalServerException", "oops", "api_error", ""},
		{"unavailable", 503, "ServiceUnavailableException", `{"message":"busy"}`, bedrock.ErrServiceUnavailable, "ServiceUnavailableException", "busy", "overloaded_error", ""},
		{"a name of tomorrow", 418, "TeapotException", `{"message":"short and stout"}`, bedrock.ErrValidation, "TeapotException", "short and stout", "invalid_request_error", ""},
		{"Anthropic's form, from a gateway", 529, "", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, bedrock.ErrServiceUnavailable, "ServiceUnavailableException", "Overloaded", "overloaded_error", ""},
		{"a proxy's page", 502, "", `<html>Bad Gateway</html>`, bedrock.ErrInternal, "InternalServerException", "<html>Bad Gateway</html>", "api_error", ""},
		{"nothing at all", 403, "", ``, bedrock.ErrAccessDenied, "AccessDeniedException", "Forbidden", "permission_error", ""},
		{"some other server", 404, "", `404 page not found`, bedrock.ErrNotFound, "ResourceNotFoundException", "404 page not found", "not_found_error", "does not know the path"},
		{"on-demand throughput", 400, "ValidationException", `{"message":"Invocation of model ID anthropic.claude-opus-4-6-v1 with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."}`,
			bedrock.ErrValidation, "ValidationException", "Invocation of model ID anthropic.claude-opus-4-6-v1 with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.",
			"invalid_request_error", "from us-east-1, Claude Opus 4.6 is called by global.anthropic.claude-opus-4-6-v1, us.anthropic.claude-opus-4-6-v1"},
		{"a beta", 400, "ValidationException", `{"message":"The model returned the following errors: invalid beta flag"}`, bedrock.ErrValidation, "ValidationException", "The model returned the following errors: invalid beta flag", "invalid_request_error", "sent: files-api-2025-04-14"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, failing(tc.status, tc.errorType, tc.body))
			_, err := connect(t, f).Messages.New(t.Context(), hello(opus46), option.WithHeader("anthropic-beta", "files-api-2025-04-14"))
			var e *bedrock.Error
			if !errors.As(err, &e) || !errors.Is(err, tc.is) {
				t.Fatalf("error %v, want %v", err, tc.is)
			}
			const id = "99999999-2222-3333-4444-555555555555"
			if e.Code != tc.code || e.Status != tc.status || e.Message != tc.message || e.RequestID != id {
				t.Errorf("error %+v", *e)
			}
			if !strings.Contains(e.Hint, tc.inHint) || tc.inHint == "" && e.Hint != "" {
				t.Errorf("hint %q, want one that says %q", e.Hint, tc.inHint)
			}
			for _, part := range []string{tc.code, tc.message, e.Hint, id} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			others := 0
			for _, s := range []error{bedrock.ErrValidation, bedrock.ErrAuthentication, bedrock.ErrAccessDenied, bedrock.ErrNotFound, bedrock.ErrQuotaExceeded, bedrock.ErrThrottling, bedrock.ErrModelNotReady,
				bedrock.ErrModelTimeout, bedrock.ErrModel, bedrock.ErrInternal, bedrock.ErrServiceUnavailable, bedrock.ErrConfiguration, bedrock.ErrNoCredentials, bedrock.ErrUnsupported, bedrock.ErrTruncated, bedrock.ErrCorrupted} {
				if errors.Is(err, s) {
					others++
				}
			}
			if others != 1 {
				t.Errorf("the error is of %d kinds", others)
			}
			var api *anthropic.Error
			if !errors.As(err, &api) {
				t.Fatal("no anthropic.Error")
			}
			if string(api.Type()) != tc.anthropic || api.StatusCode != tc.status || api.RequestID != id || api.Message != tc.message {
				t.Errorf("anthropic.Error %v, type %s", api, api.Type())
			}
			if strings.HasPrefix(tc.body, "{") && tc.errorType != "" && !strings.Contains(api.RawJSON(), strings.Trim(tc.body, "{}")) {
				t.Errorf("raw JSON %s does not hold the service's %s", api.RawJSON(), tc.body)
			}
			if dump := string(api.DumpResponse(true)); !strings.Contains(dump, tc.body) {
				t.Errorf("the response's dump %s does not hold its body", dump)
			}
			if dump := string(api.DumpRequest(true)); strings.Contains(dump, "Credential=") || !strings.Contains(dump, "Hello, world") {
				t.Errorf("the request's dump: %s", dump)
			}
		})
	}
}

func TestHintsOfTheCatalog(t *testing.T) {
	for _, tc := range []struct{ region, model, hint string }{
		{"cn-north-1", bedrock.Global(bedrock.ClaudeOpus4_6), "Claude Opus 4.6 cannot be called from cn-north-1"},
		{"eu-west-2", bedrock.Geo("us", bedrock.ClaudeOpus4_6), "from eu-west-2, Claude Opus 4.6 is called by anthropic.claude-opus-4-6-v1, global.anthropic.claude-opus-4-6-v1, eu.anthropic.claude-opus-4-6-v1"},
		{"us-east-1", anthropic.ModelClaudeOpus4_6, "from us-east-1, Claude Opus 4.6 is called by global.anthropic.claude-opus-4-6-v1, us.anthropic.claude-opus-4-6-v1"},
		{"us-east-1", "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.anthropic.claude-opus-4-6-v1", "the ARN is of us-west-2, and calls go to us-east-1: see WithRegion"},
		{"us-east-1", "anthropic.claude-of-tomorrow", ""},
	} {
		f := serve(t, failing(400, "ValidationException", `{"message":"The provided model identifier is invalid."}`))
		_, err := connect(t, f, bedrock.WithRegion(tc.region)).Messages.New(t.Context(), hello(tc.model))
		var e *bedrock.Error
		if !errors.As(err, &e) || e.Hint != tc.hint {
			t.Errorf("%s from %s: %v", tc.model, tc.region, err)
		}
	}
}

// Where the catalog here knows nothing to do, a gateway may.
func TestHintOfTheGateway(t *testing.T) {
	f := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outcrop-Hint", "ask the team for this model")
		failing(400, "ValidationException", `{"message":"The provided model identifier is invalid."}`)(0, w, r)
	})
	_, err := connect(t, f).Messages.New(t.Context(), hello("anthropic.claude-of-tomorrow"))
	var e *bedrock.Error
	if !errors.As(err, &e) || e.Hint != "ask the team for this model" {
		t.Error(err)
	}
}

// What is tried again, and what is not.
func TestRetries(t *testing.T) {
	for _, tc := range []struct {
		status    int
		errorType string
		header    string // x-should-retry
		calls     int
	}{
		{408, "ModelTimeoutException", "", 3},
		{409, "ConflictException", "", 3},
		{424, "ModelErrorException", "", 3},
		{429, "ThrottlingException", "", 3},
		{429, "ModelNotReadyException", "", 3},
		{500, "InternalServerException", "", 3},
		{503, "ServiceUnavailableException", "", 3},
		{529, "", "", 3},
		{503, "ServiceUnavailableException", "false", 1},
		{400, "ValidationException", "true", 3},
		{400, "ValidationException", "", 1},
		{403, "AccessDeniedException", "", 1},
		{403, "ExpiredTokenException", "", 1}, // the keys are static: there are no newer ones
		{404, "ResourceNotFoundException", "", 1},
	} {
		f := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After-Ms", "1")
			if tc.header != "" {
				w.Header().Set("X-Should-Retry", tc.header)
			}
			failing(tc.status, tc.errorType, `{"message":"m"}`)(n, w, r)
		})
		_, err := connect(t, f, bedrock.WithMaxRetries(2)).Messages.New(t.Context(), hello(opus46))
		if n := len(f.all()); n != tc.calls || err == nil {
			t.Errorf("%d %s (x-should-retry %q): %d requests, want %d; error %v", tc.status, tc.errorType, tc.header, n, tc.calls, err)
		}
	}
}

// Between attempts the service's wish is followed; without one, the wait is
// random below a bound that doubles.
func TestBackoff(t *testing.T) {
	for _, tc := range []struct {
		name     string
		header   http.Header
		min, max time.Duration
	}{
		{"the service's wish", http.Header{"Retry-After": {"7"}}, 14 * time.Second, 14 * time.Second},
		{"in milliseconds", http.Header{"Retry-After-Ms": {"250"}}, 500 * time.Millisecond, 500 * time.Millisecond},
		{"ours", http.Header{}, 0, 3 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			seen := map[time.Duration]bool{}
			for range 20 {
				synctest.Test(t, func(t *testing.T) {
					clean(t)
					calls := 0
					d := doer(func(r *http.Request) (*http.Response, error) {
						calls++
						return &http.Response{StatusCode: 429, Header: tc.header.Clone(), Body: http.NoBody, Request: r}, nil
					})
					c, err := bedrock.New(t.Context(), bedrock.WithAccessKey(keyID, secret), bedrock.WithHTTPClient(d))
					if err != nil {
						t.Fatal(err)
					}
					start := time.Now()
					_, err = c.Messages.New(t.Context(), hello(opus46))
					took := time.Since(start)
					if calls != 3 || !errors.Is(err, bedrock.ErrThrottling) || took < tc.min || took > tc.max {
						t.Errorf("%d calls in %v, error %v", calls, took, err)
					}
					seen[took] = true
				})
			}
			if random := tc.min != tc.max; random != (len(seen) > 1) {
				t.Errorf("waits %v", seen)
			}
		})
	}
}
