package bedrock_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsbedrock "github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
)

// What the bedrock package of anthropic-sdk-go v2.13.0 lacks or gets wrong, one
// test each. They hold what a caller sees; the details are in the tests of the file
// that does it.

// a. The endpoint: variables, partitions, FIPS and dual stack, and no override of
// what the caller named.
func TestGapA_Endpoint(t *testing.T) {
	for _, tc := range []struct {
		env  environment
		opts []bedrock.ClientOption
		want string
	}{
		{environment{"ANTHROPIC_BEDROCK_BASE_URL": "https://gw.example/x"}, nil, "https://gw.example/x"},
		{environment{"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "https://gw.example"}, nil, "https://gw.example"},
		{environment{"AWS_REGION": "cn-northwest-1"}, nil, "https://bedrock-runtime.cn-northwest-1.amazonaws.com.cn"},
		{environment{"AWS_REGION": "us-gov-west-1", "AWS_USE_FIPS_ENDPOINT": "true"}, nil, "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com"},
		{environment{"AWS_USE_DUALSTACK_ENDPOINT": "true"}, nil, "https://bedrock-runtime.us-east-1.api.aws"},
		{nil, []bedrock.ClientOption{bedrock.WithBaseURL("https://{region}.gw.example"), bedrock.WithRegion("eu-west-1")}, "https://eu-west-1.gw.example"},
	} {
		tc.env.set(t)
		c, err := bedrock.New(t.Context(), append(tc.opts, bedrock.WithAccessKey(keyID, secret))...)
		if err != nil {
			t.Fatal(err)
		}
		if c.BaseURL() != tc.want {
			t.Errorf("%v: %s, want %s", tc.env, c.BaseURL(), tc.want)
		}
	}
}

// b. A path prefix in the base URL.
func TestGapB_PathPrefix(t *testing.T) {
	f := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			plain(answerA)(n, w, r)
			return
		}
		streamed(framed(helloEvents...))(n, w, r)
	})
	c := connect(t, f, bedrock.WithBaseURL(f.URL+"/prefix/bedrock/"))
	if _, err := c.Messages.New(t.Context(), hello(opus46)); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, c); err != nil {
		t.Fatal(err)
	}
	for i, op := range []string{"invoke", "invoke-with-response-stream"} {
		if s := f.all()[i]; s.SignatureErr != nil || !strings.HasPrefix(s.Path, "/prefix/bedrock/model/") || !strings.HasSuffix(s.Path, "/"+op) {
			t.Errorf("%s, %v", s.Path, s.SignatureErr)
		}
	}
}

// c. A constructor with arguments; a mistake is an error that says what it is,
// never a panic and never a host without a Region.
func TestGapC_Constructor(t *testing.T) {
	clean(t)
	c, err := bedrock.New(t.Context(), bedrock.WithCredentials(keyID, secret, "token"), bedrock.WithRegion("us-west-2"))
	if err != nil || c.Region() != "us-west-2" || c.BaseURL() != "https://bedrock-runtime.us-west-2.amazonaws.com" {
		t.Fatal(c, err)
	}
	if c, err = bedrock.New(t.Context(), bedrock.WithAccessKey(keyID, secret)); err != nil || c.Region() != "us-east-1" {
		t.Errorf("without a Region: %v %v", c.Region(), err)
	}
	if _, err = bedrock.New(t.Context(), bedrock.WithAWSRegionChain(), bedrock.WithAccessKey(keyID, secret)); !errors.Is(err, bedrock.ErrConfiguration) || !strings.Contains(err.Error(), "AWS_DEFAULT_REGION (not set)") {
		t.Errorf("no Region in AWS's chain: %v", err)
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()) // a folder: AWS's loader fails on it
	if _, err = bedrock.New(t.Context(), bedrock.WithProfile("nobody")); !errors.Is(err, bedrock.ErrConfiguration) {
		t.Errorf("no such profile: %v", err)
	}
	clean(t)
	c, err = bedrock.New(t.Context(), bedrock.WithHTTPClient(canned("application/json", []byte(answerA))))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Messages.New(t.Context(), hello(opus46))
	if !errors.Is(err, bedrock.ErrNoCredentials) || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID (not set)") {
		t.Errorf("no credentials: %v", err)
	}
}

// d. No signature where a gateway signs, and a middleware that changes what is
// signed already.
func TestGapD_SkipAuthAndLateMiddleware(t *testing.T) {
	clean(t)
	f := serve(t, plain(answerA))
	c, err := bedrock.New(t.Context(), bedrock.WithSkipAuth(), bedrock.WithBaseURL(f.URL))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Messages.New(t.Context(), hello(opus46), option.WithHeader("Authorization", "Bearer gw")); err != nil {
		t.Fatal(err)
	}
	if s := f.all()[0]; s.Signed != nil || s.Header.Get("Authorization") != "Bearer gw" || s.Header.Get("X-Amz-Date") != "" {
		t.Errorf("%v", s.Header)
	}
	f = serve(t, plain(answerA))
	if _, err := connect(t, f).Messages.New(t.Context(), hello(opus46), option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		r.Header.Set("X-Late", "1")
		return next(r)
	})); err != nil {
		t.Fatal(err)
	}
	if s := f.one(t); !s.Signed.Signed("x-late") {
		t.Errorf("signed headers %v", s.Signed.SignedHeaders)
	}
}

// e. Tokens are counted by AWS's CountTokens; what Bedrock does not have is
// refused before it is sent, with what to use.
func TestGapE_UnsupportedCalls(t *testing.T) {
	f := serve(t, plain(`{"inputTokens":12}`))
	c := connect(t, f)
	n, err := c.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{Model: opus46, Messages: hello("").Messages})
	if err != nil || n.InputTokens != 12 || f.one(t).Path != "/model/anthropic.claude-opus-4-6-v1:0/count-tokens" {
		t.Errorf("%v %v", n, err)
	}
	_, err = c.Messages.Batches.New(t.Context(), anthropic.MessageBatchNewParams{})
	if !errors.Is(err, bedrock.ErrUnsupported) || !strings.Contains(err.Error(), "Amazon Bedrock has no Message Batches API [batches are jobs there: CreateModelInvocationJob") {
		t.Errorf("batches: %v", err)
	}
	if _, err = c.Models.List(t.Context(), anthropic.ModelListParams{}); !errors.Is(err, bedrock.ErrUnsupported) {
		t.Errorf("models: %v", err)
	}
	if len(f.all()) != 1 {
		t.Errorf("%d requests", len(f.all()))
	}
}

// f. A middleware may stand before the client's option, and its header is signed, or
// behind it, and its header goes as it is (a client of New signs that too: gap d). The
// body is spliced: what is not Bedrock's business stays as it was written, byte for byte.
func TestGapF_OrderAndBytes(t *testing.T) {
	clean(t)
	change := option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		r.Header.Set("X-Changed", "1")
		return next(r)
	})
	for name, opts := range map[string]func(o option.RequestOption) []option.RequestOption{
		"before": func(o option.RequestOption) []option.RequestOption { return []option.RequestOption{change, o} },
		"behind": func(o option.RequestOption) []option.RequestOption { return []option.RequestOption{o, change} },
	} {
		f := serve(t, plain(answerA))
		c := anthropic.NewClient(opts(bedrock.Option(t.Context(), bedrock.WithAccessKey(keyID, secret), bedrock.WithBaseURL(f.URL)))...)
		_, err := c.Messages.New(t.Context(), hello(opus46))
		if s := f.all(); err != nil || len(s) != 1 || s[0].Signed == nil || s[0].SignatureErr != nil ||
			s[0].Header.Get("X-Changed") != "1" || s[0].Signed.Signed("x-changed") != (name == "before") {
			t.Errorf("%s: %v, %v", name, err, s)
		}
	}
	f := serve(t, plain(answerA))
	const odd = `{ "zeta":1e400, "model" : "m", "a":12345678901234567890123,"x":"\u00e9/\/<>" , "stream":false,"max_tokens":1 }`
	if err := connect(t, f).Post(t.Context(), "v1/messages", []byte(odd), nil); err != nil {
		t.Fatal(err)
	}
	body := f.one(t).Body
	for _, kept := range []string{`"zeta":1e400`, `"a":12345678901234567890123`, `"x":"\u00e9/\/<>"`, `"max_tokens":1`} {
		if !strings.Contains(body, kept) {
			t.Errorf("%s is not in %s", kept, body)
		}
	}
}

// g. The API version by model, one that it takes; no ?beta=true; a path segment
// escaped as a path segment.
func TestGapG_VersionAndPath(t *testing.T) {
	for model, want := range map[string]string{
		opus46:                                  "bedrock-2023-05-31",
		bedrock.Global(bedrock.ClaudeSonnet4_5): "bedrock-2023-05-31",
		bedrock.Global(bedrock.ClaudeOpus5_5):   "2026-10-21",
		"anthropic.claude-of-tomorrow":          "bedrock-2023-05-31",
		"a b+c/d":                               "bedrock-2023-05-31",
	} {
		f := serve(t, plain(answerA))
		_, err := connect(t, f).Beta.Messages.New(t.Context(), anthropic.BetaMessageNewParams{Model: model, MaxTokens: 1,
			Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock("hi"))}}, option.WithQuery("beta", "true"))
		if err != nil {
			t.Fatal(err)
		}
		s := f.one(t)
		if got := s.JSON(t)["anthropic_version"]; got != want || s.Query != "" || s.Header.Get("Anthropic-Version") != "" {
			t.Errorf("%s: version %v, query %q", model, got, s.Query)
		}
		if model == "a b+c/d" && s.Path != "/model/a%20b+c%2Fd/invoke" {
			t.Errorf("path %s", s.Path)
		}
	}
}

// h. Streams and errors: an early end is one, an exception has its type and status,
// no event is dropped, the request's id is kept, ModelError is tried again, a key is
// asked for anew.
func TestGapH_StreamsAndErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		body []byte
		kind error
		code string
	}{
		{"cut at a frame's end", framed(helloEvents[:4]...), bedrock.ErrTruncated, "StreamTruncated"},
		{"an exception", append(framed(helloEvents[:4]...), eventstream.AppendException(nil, "modelTimeoutException", []byte(`{"message":"slow"}`))...), bedrock.ErrModelTimeout, "ModelTimeoutException"},
	} {
		_, err := read(t, from(t, frameType, bytesBody(tc.body)))
		var e *bedrock.Error
		if !errors.Is(err, tc.kind) || !errors.As(err, &e) || e.Code != tc.code || e.RequestID != requestID || e.Status == 200 {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	types, err := read(t, from(t, frameType, bytesBody(append(framed(helloEvents[0]),
		append(eventstream.AppendEvent(nil, "weather", "application/json", []byte(`{"sun":true}`)), framed(helloEvents[1:]...)...)...))))
	if err != nil || len(types) != len(helloEvents)+1 || types[1] != "weather" {
		t.Errorf("an event of tomorrow: %v %v", types, err)
	}
	asked := 0
	f := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.Header().Set("Retry-After-Ms", "1")
			failing(424, "ModelErrorException", `{"message":"m"}`)(n, w, r)
			return
		}
		failing(400, "ValidationException", `{"message":"m"}`)(n, w, r)
	})
	clean(t)
	c, err := bedrock.New(t.Context(), bedrock.WithBaseURL(f.URL), bedrock.WithBearerTokenFunc(func(context.Context) (string, error) { asked++; return "key", nil }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Messages.New(t.Context(), hello(opus46))
	var api *anthropic.Error
	if !errors.Is(err, bedrock.ErrValidation) || !errors.As(err, &api) || api.Type() != "invalid_request_error" || api.RequestID == "" || len(f.all()) != 2 || asked < 2 {
		t.Errorf("%d requests, asked %d times for the key: %v", len(f.all()), asked, err)
	}
}

// i. Ids, lists, Converse, figures and Bedrock's own headers.
func TestGapI_Vocabulary(t *testing.T) {
	if got := bedrock.Geo("eu", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-6"); got != "eu.anthropic.claude-sonnet-4-6" {
		t.Error(got)
	}
	if id, err := bedrock.ParseModelID("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"); err != nil || id.Account != "123456789012" {
		t.Error(id, err)
	}
	f := serve(t, gateway)
	c := connect(t, f)
	if l, err := c.ControlPlane().ListFoundationModels(t.Context(), &awsbedrock.ListFoundationModelsInput{}); err != nil || len(l.ModelSummaries) != 1 {
		t.Error(err)
	}
	if out, err := c.Runtime().Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(opus46)}); err != nil || *out.Usage.TotalTokens != 5 {
		t.Error(err)
	}
	f = serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-Bedrock-Input-Token-Count", "10")
		w.Header().Set("X-Amzn-Bedrock-Output-Token-Count", "3")
		w.Header().Set("X-Amzn-Bedrock-Invocation-Latency", "321")
		plain(answerA)(n, w, r)
	})
	var res *http.Response
	_, err := connect(t, f).Messages.New(t.Context(), hello(opus46), option.WithResponseInto(&res), bedrock.ServiceTier("flex"), bedrock.Guardrail("gr", "1"),
		bedrock.Trace("ENABLED"), bedrock.RequestMetadata(map[string]string{"team": "ops"}))
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := bedrock.ResponseMetrics(res); !ok || m.InputTokens != 10 || m.OutputTokens != 3 || m.Latency != 321*time.Millisecond {
		t.Errorf("%+v", m)
	}
	s := f.one(t)
	for header, want := range map[string]string{"X-Amzn-Bedrock-Service-Tier": "flex", "X-Amzn-Bedrock-GuardrailIdentifier": "gr", "X-Amzn-Bedrock-GuardrailVersion": "1",
		"X-Amzn-Bedrock-Trace": "ENABLED", "X-Amzn-Bedrock-Request-Metadata": `{"team":"ops"}`} {
		if s.Header.Get(header) != want || !s.Signed.Signed(strings.ToLower(header)) {
			t.Errorf("%s: %q", header, s.Header.Get(header))
		}
	}
}
