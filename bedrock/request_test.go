package bedrock_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// Each id is one segment of the path, on the wire as it is signed.
func TestModelInPath(t *testing.T) {
	for _, tc := range []struct{ model, path string }{ // "": refused, and nothing is sent
		{"anthropic.claude-3-haiku-20240307-v1:0", "/model/anthropic.claude-3-haiku-20240307-v1:0/"},
		{"global.anthropic.claude-opus-4-6-v1", "/model/global.anthropic.claude-opus-4-6-v1/"},
		{"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456",
			"/model/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile%2Fabc123def456/"},
		{"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0",
			"/model/arn:aws:bedrock:us-east-1::foundation-model%2Fanthropic.claude-sonnet-4-20250514-v1:0/"},
		{"x /..", "/model/x%20%2F../"},
		{"../x", "/model/..%2Fx/"},
		{"a+b", "/model/a+b/"},
		{"a%2Fb", "/model/a%252Fb/"},
		{"a?b#c", "/model/a%3Fb%23c/"},
		{"模型", "/model/%E6%A8%A1%E5%9E%8B/"},
		{"", ""},
		{".", ""},
		{"..", ""},
		{";x", ""},
		{"..;x", ""},
	} {
		for _, prefix := range []string{"", "/prefix/bedrock", "/with%2Fslash"} {
			t.Run(fmt.Sprintf("%s at %q", tc.model, prefix), func(t *testing.T) {
				f := serve(t, plain(answerA))
				c := connect(t, f, bedrock.WithBaseURL(f.URL+prefix), bedrock.WithMaxRetries(2))
				_, err := c.Messages.New(t.Context(), hello(tc.model))
				if tc.path == "" {
					if !errors.Is(err, bedrock.ErrValidation) || len(f.all()) != 0 {
						t.Fatalf("error %v, %d requests; want a refusal and none", err, len(f.all()))
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if s := f.one(t); s.Path != prefix+tc.path+"invoke" {
					t.Errorf("path %s, want %s", s.Path, prefix+tc.path+"invoke")
				}
			})
		}
	}
}

// What is in headers for Anthropic is in the body for Bedrock, and nothing of it
// is sent twice.
func TestBody(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts []option.RequestOption
		want string // after max_tokens and messages
	}{
		{"nothing added", nil, `"anthropic_version":"bedrock-2023-05-31"`},
		{"betas of a header", []option.RequestOption{option.WithHeader("anthropic-beta", "context-1m-2025-08-07, interleaved-thinking-2025-05-14,,")},
			`"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["context-1m-2025-08-07","interleaved-thinking-2025-05-14"]`},
		{"betas of several headers, one twice", []option.RequestOption{option.WithHeaderAdd("anthropic-beta", "a"), option.WithHeaderAdd("anthropic-beta", "b,a")},
			`"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["a","b"]`},
		{"betas of body and header", []option.RequestOption{option.WithJSONSet("anthropic_beta", []string{"c"}), option.WithHeader("anthropic-beta", "a")},
			`"anthropic_beta":["c","a"],"anthropic_version":"bedrock-2023-05-31"`},
		{"a version of the caller's", []option.RequestOption{option.WithJSONSet("anthropic_version", "bedrock-9")},
			`"anthropic_version":"bedrock-9"`},
		{"a version in the header", []option.RequestOption{option.WithHeader("anthropic-version", "bedrock-8")},
			`"anthropic_version":"bedrock-8"`},
		{"the first-party version in the header", []option.RequestOption{option.WithHeader("anthropic-version", "2023-06-01")},
			`"anthropic_version":"bedrock-2023-05-31"`},
		{"a user profile", []option.RequestOption{option.WithHeader("anthropic-user-profile-id", "uprof_1")},
			`"anthropic_version":"bedrock-2023-05-31","user_profile_id":"uprof_1"`},
		{"a user profile in both: the body wins", []option.RequestOption{option.WithJSONSet("user_profile_id", "uprof_2"), option.WithHeader("anthropic-user-profile-id", "uprof_1")},
			`"user_profile_id":"uprof_2","anthropic_version":"bedrock-2023-05-31"`},
		{"stream false", []option.RequestOption{option.WithJSONSet("stream", false)}, `"anthropic_version":"bedrock-2023-05-31"`},
		{"temperature, which this model still takes", []option.RequestOption{option.WithJSONSet("temperature", 0.5)},
			`"temperature":0.5,"anthropic_version":"bedrock-2023-05-31"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, plain(answerA))
			if _, err := connect(t, f).Messages.New(t.Context(), hello(opus46), tc.opts...); err != nil {
				t.Fatal(err)
			}
			s := f.one(t)
			want := `{"max_tokens":256,"messages":[{"content":[{"text":"Hello, world","type":"text"}],"role":"user"}],` + tc.want + `}`
			if s.Body != want {
				t.Errorf("body\n%s\nwant\n%s", s.Body, want)
			}
			for _, h := range []string{"Anthropic-Version", "Anthropic-Beta", "Anthropic-User-Profile-Id"} {
				if v, ok := s.Header[h]; ok {
					t.Errorf("%s %q was sent", h, v)
				}
			}
		})
	}
}

func TestBodyRefused(t *testing.T) {
	for _, tc := range []struct {
		name, body, says string
	}{
		{"no JSON", `hello`, "not a JSON object"},
		{"a duplicate key", `{"model":"m","model":"n"}`, `duplicate key "model"`},
		{"a case variant", `{"model":"m","Stream":true}`, `"Stream"`},
		{"no model", `{"max_tokens":1}`, "names no model"},
		{"a model that is a number", `{"model":1}`, "names no model"},
		{"stream as text", `{"model":"m","stream":"yes"}`, "stream is neither"},
		{"betas as text", `{"model":"m","anthropic_beta":"a"}`, "anthropic_beta"},
		{"a beta that is a number", `{"model":"m","anthropic_beta":[1]}`, "anthropic_beta"},
		{"a version that is a number", `{"model":"m","anthropic_version":1}`, "anthropic_version"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, plain(answerA))
			c := connect(t, f, bedrock.WithMaxRetries(2))
			err := c.Post(t.Context(), "v1/messages", []byte(tc.body), nil)
			if !errors.Is(err, bedrock.ErrValidation) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want one that says %q", err, tc.says)
			}
			if n := len(f.all()); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

// Every model of the catalog gets a version that it takes, under each of its
// spellings; what the catalog does not know gets the one that all take.
func TestVersionPerModel(t *testing.T) {
	data, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	f := serve(t, plain(answerA))
	c := connect(t, f)
	sent := func(model string) string {
		t.Helper()
		before := len(f.all())
		if _, err := c.Messages.New(t.Context(), hello(model)); err != nil {
			t.Fatal(err)
		}
		v, _ := f.all()[before].JSON(t)["anthropic_version"].(string)
		return v
	}
	newer := 0
	for _, m := range data.Models() {
		if !m.Serves(catalog.Invoke) {
			continue
		}
		for _, ref := range append([]string{m.ID, "global." + m.ID, "arn:aws:bedrock:us-east-1::foundation-model/" + m.ID}, m.Aliases...) {
			v := sent(ref)
			if _, known := data.Lookup(ref); known && !m.AcceptsVersion(v, catalog.Invoke) {
				t.Errorf("%s was sent %s, which it does not take", ref, v)
			}
			if v == "2026-10-21" {
				newer++
			}
		}
	}
	if newer == 0 {
		t.Error("no model was sent 2026-10-21")
	}
	for _, ref := range []string{"anthropic.claude-of-tomorrow", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"} {
		if v := sent(ref); v != "bedrock-2023-05-31" {
			t.Errorf("%s was sent %s", ref, v)
		}
	}
}

func TestVersionLegality(t *testing.T) {
	newer := bedrock.Global(bedrock.ClaudeOpus5)
	assistantDocument := `[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"see"},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"}}]}]`
	userCitations := `[{"role":"user","content":[{"type":"text","text":"hi","citations":[{"type":"char_location"}]}]}]`
	fine := `[{"role":"user","content":[{"type":"document","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"x"}},{"type":"text","text":"hi","citations":null}]},{"role":"assistant","content":[{"type":"text","text":"x","citations":[{"type":"char_location"}]}]},{"role":"user","content":"go on"}]`
	for _, tc := range []struct {
		name, model, messages, extra, says string // says "": sent
	}{
		{"temperature", newer, `[]`, `"temperature":1,`, "temperature is not part of version 2026-10-21"},
		{"top_p", newer, `[]`, `"top_p":1,`, "top_p is not"},
		{"top_k", newer, `[]`, `"top_k":1,`, "top_k is not"},
		{"temperature null", newer, `[]`, `"temperature":null,`, ""},
		{"temperature, older rules asked for", newer, `[]`, `"temperature":1,"anthropic_version":"bedrock-2023-05-31",`, ""},
		{"temperature, older model", opus46, `[]`, `"temperature":1,`, ""},
		{"a document of the assistant's", newer, assistantDocument, ``, "messages.1.content.1: a document in an assistant message"},
		{"a document of the assistant's, older model", opus46, assistantDocument, ``, ""},
		{"citations on a user's text", newer, userCitations, ``, "messages.0.content.0: citations on a user's text"},
		{"citations on a user's text, older model", opus46, userCitations, ``, ""},
		{"citations where they belong", newer, fine, ``, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, plain(answerA))
			err := connect(t, f).Post(t.Context(), "v1/messages", []byte(`{`+tc.extra+`"max_tokens":1,"model":"`+tc.model+`","messages":`+tc.messages+`}`), nil)
			if tc.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				f.one(t)
				return
			}
			var e *bedrock.Error
			if !errors.Is(err, bedrock.ErrValidation) || !errors.As(err, &e) || !strings.Contains(e.Message, tc.says) || !strings.Contains(e.Hint, "bedrock-2023-05-31") {
				t.Errorf("error %v, want one that says %q", err, tc.says)
			}
			if n := len(f.all()); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

func TestBetaMessages(t *testing.T) {
	params := anthropic.BetaMessageNewParams{
		Model: opus46, MaxTokens: 1,
		Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock("hi"))},
		Betas:    []anthropic.AnthropicBeta{"context-1m-2025-08-07"},
	}
	f := serve(t, streamed(framed(helloEvents...)))
	stream := connect(t, f).Beta.Messages.NewStreaming(t.Context(), params, option.WithQuery("beta", "true"), option.WithQuery("x", "1"))
	n := 0
	for stream.Next() {
		n++
	}
	if stream.Err() != nil || n != len(helloEvents) {
		t.Fatalf("%d events, error %v", n, stream.Err())
	}
	s := f.one(t)
	if s.Query != "x=1" || fmt.Sprint(s.JSON(t)["anthropic_beta"]) != "[context-1m-2025-08-07]" {
		t.Errorf("query %q, body %s", s.Query, s.Body)
	}
}

func TestUserProfileParameter(t *testing.T) {
	f := serve(t, plain(answerA))
	params := hello(opus46)
	params.UserProfileID = param.NewOpt("uprof_9")
	if _, err := connect(t, f).Messages.New(t.Context(), params); err != nil {
		t.Fatal(err)
	}
	if got := f.one(t).JSON(t)["user_profile_id"]; got != "uprof_9" {
		t.Errorf("user_profile_id %v", got)
	}
}

func TestTraceHeadersAreNotSigned(t *testing.T) {
	f := serve(t, plain(answerA))
	trace := []string{"traceparent", "tracestate", "baggage"}
	var opts []option.RequestOption
	for _, h := range trace {
		opts = append(opts, option.WithHeader(h, "v"))
	}
	opts = append(opts, option.WithHeader("x-amzn-bedrock-trace", "ENABLED"))
	if _, err := connect(t, f).Messages.New(t.Context(), hello(opus46), opts...); err != nil {
		t.Fatal(err)
	}
	s := f.one(t)
	for _, h := range trace {
		if s.Header.Get(h) != "v" || s.Signed.Signed(h) {
			t.Errorf("%s: sent %q, signed %v", h, s.Header.Get(h), s.Signed.Signed(h))
		}
	}
	if !s.Signed.Signed("x-amzn-bedrock-trace") {
		t.Error("x-amzn-bedrock-trace is not signed")
	}
}

// Each attempt has a signature of its own, over headers that differ.
func TestSignedOnEachAttempt(t *testing.T) {
	f := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n < 3 {
			w.Header().Set("Retry-After-Ms", "1")
			failing(503, "ServiceUnavailableException", `{"message":"busy"}`)(n, w, r)
			return
		}
		plain(answerA)(n, w, r)
	})
	if _, err := connect(t, f, bedrock.WithMaxRetries(2)).Messages.New(t.Context(), hello(opus46)); err != nil {
		t.Fatal(err)
	}
	all := f.all()
	if len(all) != 3 {
		t.Fatalf("%d requests", len(all))
	}
	for i, s := range all {
		if s.SignatureErr != nil || s.Signed == nil || s.Header.Get("X-Stainless-Retry-Count") != fmt.Sprint(i) || s.Body != all[0].Body {
			t.Errorf("attempt %d: signature %v, retry count %s, body %s", i, s.SignatureErr, s.Header.Get("X-Stainless-Retry-Count"), s.Body)
		}
	}
}

func TestNativePaths(t *testing.T) {
	f := serve(t, plain(`{"output":{}}`))
	c := connect(t, f, bedrock.WithBaseURL(f.URL+"/v1/behind/a/gateway"))
	var answer struct{ Output map[string]any }
	body := map[string]any{"messages": []any{}}
	if err := c.Post(t.Context(), "model/"+opus46+"/converse", body, &answer); err != nil {
		t.Fatal(err)
	}
	if s := f.one(t); s.Path != "/v1/behind/a/gateway/model/"+opus46+"/converse" || s.Body != "{\"messages\":[]}\n" {
		t.Errorf("sent %s %q", s.Path, s.Body)
	}
}

// A middleware of the client's sees Anthropic's form; one that a call brings sees
// Bedrock's, and may still change it.
func TestMiddlewares(t *testing.T) {
	var order []string
	see := func(name string, change func(*http.Request)) option.RequestOption {
		return option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
			order = append(order, name+" "+r.URL.Path)
			if change != nil {
				change(r)
			}
			res, err := next(r)
			if err == nil {
				order = append(order, name+" "+res.Header.Get("Content-Type"))
			}
			return res, err
		})
	}
	f := serve(t, streamed(framed(helloEvents...)))
	c := connect(t, f, bedrock.WithRequestOptions(see("client", nil)))
	stream := c.Messages.NewStreaming(t.Context(), hello("m"), see("call", func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(`{"changed":true}`))
		r.Header.Set("X-Added", "1")
	}))
	for stream.Next() {
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{"client /v1/messages", "call /model/m/invoke-with-response-stream", "call application/vnd.amazon.eventstream", "client text/event-stream"}
	if !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	if s := f.one(t); s.Body != `{"changed":true}` || !s.Signed.Signed("x-added") {
		t.Errorf("sent %s, signed headers %v", s.Body, s.Signed.SignedHeaders)
	}
}

func TestUnsupported(t *testing.T) {
	f := serve(t, plain(answerA))
	c := connect(t, f, bedrock.WithMaxRetries(2))
	ctx := t.Context()
	for _, tc := range []struct {
		name string
		call func() error
		what string
		hint string
	}{
		{"batches", func() error { _, err := c.Messages.Batches.List(ctx, anthropic.MessageBatchListParams{}); return err }, "Message Batches API", "CreateModelInvocationJob"},
		{"models", func() error { _, err := c.Models.List(ctx, anthropic.ModelListParams{}); return err }, "Models API", "ListFoundationModels"},
		{"one model", func() error { _, err := c.Models.Get(ctx, "m", anthropic.ModelGetParams{}); return err }, "Models API", "ListFoundationModels"},
		{"files", func() error { _, err := c.Files.List(ctx, anthropic.FileListParams{}); return err }, "Files API", "base64"},
		{"skills", func() error { _, err := c.Skills.List(ctx, anthropic.SkillListParams{}); return err }, "Agent Skills", "system"},
		{"user profiles", func() error { _, err := c.UserProfiles.List(ctx, anthropic.UserProfileListParams{}); return err }, "User Profiles API", "UserProfileID"},
		{"sessions", func() error { return c.Get(ctx, "v1/sessions", nil, nil) }, "/v1/sessions", "Messages.New"},
		{"message threads", func() error {
			return c.Post(ctx, "v1/messages", []byte(`{"model":"m","thread":{"type":"create"}}`), nil)
		}, "message threads", "whole history"},
		{"another method", func() error { return c.Get(ctx, "v1/messages", nil, nil) }, "Messages API", "NewStreaming"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.call()
			var e *bedrock.Error
			if !errors.Is(err, bedrock.ErrUnsupported) || !errors.As(err, &e) || !strings.Contains(e.Message, tc.what) || !strings.Contains(e.Hint, tc.hint) {
				t.Errorf("error %v", err)
			}
		})
	}
	if n := len(f.all()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestOptionForAnOwnClient(t *testing.T) {
	clean(t)
	t.Setenv("ANTHROPIC_API_KEY", "sk-ant-leak")
	f := serve(t, plain(answerA))
	c := anthropic.NewClient(bedrock.Option(t.Context(), bedrock.WithCredentials(keyID, secret, "token"), bedrock.WithBaseURL(f.URL)), option.WithHTTPClient(f.Client()))
	if _, err := c.Messages.New(t.Context(), hello(opus46)); err != nil {
		t.Fatal(err)
	}
	if s := f.one(t); s.Signed == nil || s.Signed.SessionToken != "token" {
		t.Errorf("signed by %v", s.Signed)
	}

	broken := anthropic.NewClient(bedrock.Option(t.Context(), bedrock.WithRegion("not a region")))
	if _, err := broken.Messages.New(t.Context(), hello(opus46)); !errors.Is(err, bedrock.ErrConfiguration) {
		t.Errorf("error %v", err)
	}
}
