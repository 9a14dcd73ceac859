package bedrock_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/auth/bearer"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
)

// behaviour is one case of the Bedrock suites of the official Go (v2.13.0), Python
// (0.121) and TypeScript (1.1.3) clients, in our words.
type behaviour struct {
	suites string // whose
	name   string
	env    environment
	opts   []bedrock.ClientOption
	prefix string // of the base URL
	anon   bool   // opts and env are all there is of an identity
	call   func(t *testing.T, c *bedrock.Client) error
	reply  reply // nil: an answer

	sent   int    // requests
	path   string // of the first
	header map[string]string
	body   []string // what is in it; "!x": what is not
	err    error
	says   string // in the error
	ours   string // where this client differs on purpose
}

func send(model string, opts ...option.RequestOption) func(*testing.T, *bedrock.Client) error {
	return func(t *testing.T, c *bedrock.Client) error {
		_, err := c.Messages.New(t.Context(), hello(model), opts...)
		return err
	}
}

func stream(model string, want ...string) func(*testing.T, *bedrock.Client) error {
	return func(t *testing.T, c *bedrock.Client) error {
		s := c.Messages.NewStreaming(t.Context(), hello(model))
		defer s.Close()
		var got []string
		for s.Next() {
			got = append(got, s.Current().Type)
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("events %v, want %v", got, want)
		}
		return s.Err()
	}
}

func post(path, kind string, body []byte, opts ...option.RequestOption) func(*testing.T, *bedrock.Client) error {
	return func(t *testing.T, c *bedrock.Client) error {
		return c.Post(t.Context(), path, nil, nil, append(opts, option.WithRequestBody(kind, bytes.NewReader(body)))...)
	}
}

func TestOfficialSuites(t *testing.T) {
	const haiku = "anthropic.claude-3-haiku-20240307-v1:0"
	const profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
	files := filepath.Join(t.TempDir(), "aws")
	if err := os.WriteFile(files, []byte("[default]\nregion = eu-west-1\n[profile work]\nregion = ap-south-1\naws_access_key_id = AKIDWORK\naws_secret_access_key = "+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := provider(func() (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, nil
	})
	token := bearer.StaticTokenProvider{Token: bearer.Token{Value: "provided"}}
	config := func(c aws.Config) []bedrock.ClientOption {
		return []bedrock.ClientOption{bedrock.WithAWSConfig(c)}
	}
	middleware := func(change func(r *http.Request)) []bedrock.ClientOption {
		return []bedrock.ClientOption{bedrock.WithRequestOptions(option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
			change(r)
			return next(r)
		}))}
	}
	frames := func(end []byte, events ...string) reply { return streamed(append(framed(events...), end...)) }
	flaky := func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.Header().Set("Retry-After-Ms", "1")
			failing(500, "", `{"error":"server error"}`)(n, w, r)
			return
		}
		plain(answerA)(n, w, r)
	}
	invoke := func(id string) string { return "/model/" + id + "/invoke" }
	retried := []bedrock.ClientOption{bedrock.WithMaxRetries(2)}

	table := []behaviour{
		// The path.
		{suites: "go ts", name: "a model id, with its colon", call: send(haiku), sent: 1, path: invoke(haiku)},
		{suites: "go", name: "a model id, streamed", call: stream(haiku, helloTypes...), reply: streamed(framed(helloEvents...)), sent: 1, path: invoke(haiku) + "-with-response-stream", body: []string{`!"stream"`, `!"model"`}},
		{suites: "go py ts", name: "an ARN is one segment", call: send(profile), sent: 1, path: invoke(strings.Replace(profile, "/", "%2F", 1))},
		{suites: "go", name: "an ARN, streamed", call: stream(profile, helloTypes...), reply: streamed(framed(helloEvents...)), sent: 1, path: invoke(strings.Replace(profile, "/", "%2F", 1)) + "-with-response-stream"},
		{suites: "go", name: "a foundation model's ARN", call: send("arn:aws:bedrock:us-east-1::foundation-model/" + haiku), sent: 1, path: invoke("arn:aws:bedrock:us-east-1::foundation-model%2F" + haiku)},
		{suites: "go ts", name: "a system profile's ARN", call: send("arn:aws:bedrock:us-east-1:1:inference-profile/us." + haiku), sent: 1, path: invoke("arn:aws:bedrock:us-east-1:1:inference-profile%2Fus." + haiku)},
		{suites: "go", name: "a space and slashes", call: send("x /.."), sent: 1, path: invoke("x%20%2F..")},
		{suites: "go", name: "a plus sign", call: send("a+b"), sent: 1, path: invoke("a+b")},
		{suites: "go", name: "a semicolon", call: send("a;b"), sent: 1, path: invoke("a%3Bb"), ours: "escaped: to a proxy a raw one begins a parameter"},
		{suites: "go", name: "dots behind a semicolon", call: send("x;.."), sent: 1, path: invoke("x%3B..")},
		{suites: "go", name: "..", call: send(".."), err: bedrock.ErrValidation},
		{suites: "go", name: ". streamed", call: stream("."), err: bedrock.ErrValidation},
		{suites: "go", name: "..;x", call: send("..;x"), err: bedrock.ErrValidation},
		{suites: "go", name: ".;x", call: send(".;x"), err: bedrock.ErrValidation},
		{suites: "go", name: "..; streamed", call: stream("..;"), err: bedrock.ErrValidation},
		{suites: "go", name: "no model in the body", call: post("v1/messages", "application/json", []byte(`{"max_tokens":1}`)), err: bedrock.ErrValidation, says: "names no model"},
		{suites: "go", name: "an empty model", call: send(""), err: bedrock.ErrValidation, says: "names no model"},
		{suites: "go", name: "parameters and no model", call: send(";x"), err: bedrock.ErrValidation},
		{suites: "go", name: "a semicolon and no model", call: stream(";"), err: bedrock.ErrValidation},
		{suites: "go", name: "a named parameter and no model", call: send(";a=b"), err: bedrock.ErrValidation},
		{suites: "ts", name: "a prefix of the base URL stays", prefix: "/prefix", call: send(haiku), sent: 1, path: "/prefix" + invoke(haiku)},
		{suites: "ts", name: "a query is signed", call: post("model/x/invoke", "application/json", []byte(`{}`), option.WithQuery("ids", "a b")), sent: 1, path: "/model/x/invoke"},
		{suites: "ts", name: "every value of a query is signed", call: post("model/x/invoke", "application/json", []byte(`{}`), option.WithQueryAdd("ids", "b"), option.WithQueryAdd("ids", "a"), option.WithQuery("limit", "2")), sent: 1, path: "/model/x/invoke"},
		{suites: "go", name: "a body that is no JSON stays, byte for byte", call: post("model/x/invoke", "application/octet-stream", []byte("\x89PNG\r\n\x00\xff")), sent: 1, path: "/model/x/invoke", header: map[string]string{"Content-Type": "application/octet-stream"}, body: []string{"\x89PNG\r\n\x00\xff"}},
		{suites: "go", name: "the path of Text Completions", call: post("v1/complete", "application/json", []byte(`{"model":"m"}`)), err: bedrock.ErrUnsupported, ours: "refused: Bedrock has no such path"},

		// What moves into the body.
		{suites: "go ts", name: "the version goes into the body", call: send(opus46), sent: 1, header: map[string]string{"Anthropic-Version": ""}, body: []string{`"anthropic_version":"bedrock-2023-05-31"`}, ours: "one that the model takes"},
		{suites: "go", name: "a version header of the caller's", call: send(opus46, option.WithHeader("anthropic-version", "2030-01-01")), sent: 1, header: map[string]string{"Anthropic-Version": ""}, body: []string{`"anthropic_version":"2030-01-01"`}},
		{suites: "go", name: "a version header that the caller has removed", call: send(opus46, option.WithHeaderDel("anthropic-version")), sent: 1, body: []string{`"anthropic_version":"bedrock-2023-05-31"`}, ours: "Bedrock refuses a body without"},
		{suites: "go", name: "a version in the body", call: send(opus46, option.WithJSONSet("anthropic_version", "2030-01-02")), sent: 1, body: []string{`"anthropic_version":"2030-01-02"`}},
		{suites: "go ts", name: "betas go into the body", call: send(opus46, option.WithHeader("anthropic-beta", "a")), sent: 1, header: map[string]string{"Anthropic-Beta": ""}, body: []string{`"anthropic_beta":["a"]`}},
		{suites: "go", name: "betas of two header lines", call: send(opus46, option.WithHeaderAdd("anthropic-beta", "a"), option.WithHeaderAdd("anthropic-beta", "b")), sent: 1, body: []string{`"anthropic_beta":["a","b"]`}},
		{suites: "go ts", name: "betas of one line", call: send(opus46, option.WithHeader("anthropic-beta", "a,b")), sent: 1, body: []string{`"anthropic_beta":["a","b"]`}},
		{suites: "go", name: "betas of one line, with a space", call: send(opus46, option.WithHeader("anthropic-beta", "a, b")), sent: 1, body: []string{`"anthropic_beta":["a","b"]`}},
		{suites: "ts", name: "betas that a middleware adds", opts: middleware(func(r *http.Request) { r.Header.Set("anthropic-beta", "a,b") }), call: send(opus46), sent: 1, body: []string{`"anthropic_beta":["a","b"]`}},
		{suites: "go", name: "a user profile goes into the body", call: func(t *testing.T, c *bedrock.Client) error {
			p := hello(opus46)
			p.UserProfileID = param.NewOpt("uprof_1")
			_, err := c.Messages.New(t.Context(), p)
			return err
		}, sent: 1, header: map[string]string{"Anthropic-User-Profile-Id": ""}, body: []string{`"user_profile_id":"uprof_1"`}},
		{suites: "go", name: "no user profile, no member", call: send(opus46), sent: 1, body: []string{"!user_profile_id"}},
		{suites: "go ts", name: "a middleware sees Anthropic's request, the wire Bedrock's", opts: middleware(func(r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(b))
			if r.URL.Path != "/v1/messages" || !bytes.Contains(b, []byte(`"model":"`+haiku+`"`)) || bytes.Contains(b, []byte("anthropic_version")) {
				t.Errorf("the middleware saw %s %s", r.URL.Path, b)
			}
		}), call: send(haiku), sent: 1, path: invoke(haiku), body: []string{`!"model"`}},
		{suites: "ts", name: "what a middleware changes is signed", opts: middleware(func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"model":"m","max_tokens":1,"metadata":{"user_id":"u"}}`))
		}), call: send(haiku), sent: 1, path: invoke("m"), body: []string{`"metadata":{"user_id":"u"}`}},
		{suites: "ts", name: "a guardrail", call: send(opus46, bedrock.Guardrail("gr-1", "1"), option.WithHeader("X-Custom", "c")), sent: 1, header: map[string]string{"X-Amzn-Bedrock-GuardrailIdentifier": "gr-1", "X-Amzn-Bedrock-GuardrailVersion": "1", "X-Custom": "c"}},
		{suites: "ts", name: "a guardrail of the client's, streamed", opts: []bedrock.ClientOption{bedrock.WithRequestOptions(bedrock.Guardrail("gr-1", "DRAFT"))}, call: stream(haiku, helloTypes...), reply: streamed(framed(helloEvents...)), sent: 1, header: map[string]string{"X-Amzn-Bedrock-GuardrailVersion": "DRAFT"}},
		{suites: "ts", name: "no guardrail, no header", call: send(opus46), sent: 1, header: map[string]string{"X-Amzn-Bedrock-GuardrailIdentifier": ""}},

		// Who calls.
		{suites: "go py ts", name: "an API key", anon: true, opts: []bedrock.ClientOption{bedrock.WithBearerToken("key")}, call: send(opus46), sent: 1, header: map[string]string{"Authorization": "Bearer key", "X-Amz-Date": ""}},
		{suites: "go py", name: "an API key of the environment", anon: true, env: environment{"AWS_BEARER_TOKEN_BEDROCK": "key"}, call: send(opus46), sent: 1, header: map[string]string{"Authorization": "Bearer key"}},
		{suites: "py", name: "an API key and keys", opts: []bedrock.ClientOption{bedrock.WithBearerToken("key")}, err: bedrock.ErrConfiguration, says: "exclude each other"},
		{suites: "py", name: "an API key of the environment, and explicit keys", env: environment{"AWS_BEARER_TOKEN_BEDROCK": "key"}, call: send(opus46), sent: 1, header: map[string]string{"Authorization": "AWS4-HMAC-SHA256"}, ours: "what is explicit wins"},
		{suites: "ts", name: "no authentication", anon: true, opts: []bedrock.ClientOption{bedrock.WithSkipAuth()}, call: send(opus46), sent: 1, header: map[string]string{"Authorization": ""}},
		{suites: "go", name: "a token provider beside credentials: signed", anon: true, opts: config(aws.Config{Credentials: keys, BearerAuthTokenProvider: token}), call: send(opus46), sent: 1, header: map[string]string{"Authorization": "AWS4-HMAC-SHA256"}},
		{suites: "go", name: "a token provider that is preferred", anon: true, opts: config(aws.Config{Credentials: keys, BearerAuthTokenProvider: token, AuthSchemePreference: []string{"httpBearerAuth", "sigv4"}}), call: send(opus46), sent: 1, header: map[string]string{"Authorization": "Bearer provided"}},
		{suites: "go", name: "a token provider alone", anon: true, opts: config(aws.Config{BearerAuthTokenProvider: token}), call: send(opus46), sent: 1, header: map[string]string{"Authorization": "Bearer provided"}},
		{suites: "go", name: "the environment's key beside a config", anon: true, env: environment{"AWS_BEARER_TOKEN_BEDROCK": "key"}, opts: config(aws.Config{Credentials: keys}), call: send(opus46), sent: 1, header: map[string]string{"Authorization": "AWS4-HMAC-SHA256"}, ours: "what is explicit wins"},
		{suites: "go", name: "no credentials at all", anon: true, call: send(opus46), err: bedrock.ErrNoCredentials, says: "looked at"},
		{suites: "ts", name: "half of a key", anon: true, opts: []bedrock.ClientOption{bedrock.WithAccessKey(keyID, "")}, err: bedrock.ErrConfiguration, says: "the secret access key is empty"},
		{suites: "ts", name: "the environment's keys win over AWS_PROFILE", anon: true, env: environment{"AWS_ACCESS_KEY_ID": keyID, "AWS_SECRET_ACCESS_KEY": secret, "AWS_PROFILE": "work", "AWS_CONFIG_FILE": files}, call: send(opus46), sent: 1, header: map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=" + keyID}},
		{suites: "go", name: "no variable and no file of Anthropic's has a say", env: environment{"ANTHROPIC_API_KEY": "sk-ant", "ANTHROPIC_AUTH_TOKEN": "t", "ANTHROPIC_CUSTOM_HEADERS": "X-Leak: 1", "ANTHROPIC_BASE_URL": "https://evil.example", "ANTHROPIC_WORKSPACE_ID": "w", "ANTHROPIC_CONFIG_DIR": filepath.Dir(files)}, call: send(opus46), sent: 1,
			header: map[string]string{"X-Api-Key": "", "Anthropic-Workspace-Id": "", "X-Leak": "", "Authorization": "AWS4-HMAC-SHA256 Credential=" + keyID}},

		// The Region.
		{suites: "py", name: "the Region of the default profile", env: environment{"AWS_CONFIG_FILE": files}, opts: []bedrock.ClientOption{bedrock.WithAWSRegionChain()}, call: send(opus46), sent: 1, header: map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=" + keyID + "/{date}/eu-west-1/bedrock"}},
		{suites: "py", name: "the Region of AWS_PROFILE", env: environment{"AWS_CONFIG_FILE": files, "AWS_PROFILE": "work"}, opts: []bedrock.ClientOption{bedrock.WithAWSRegionChain()}, call: send(opus46), sent: 1, header: map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=" + keyID + "/{date}/ap-south-1/bedrock"}},
		{suites: "py", name: "the Region of a profile that is named", anon: true, env: environment{"AWS_CONFIG_FILE": files}, opts: []bedrock.ClientOption{bedrock.WithProfile("work"), bedrock.WithAWSRegionChain()}, call: send(opus46), sent: 1, header: map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=AKIDWORK/{date}/ap-south-1/bedrock"}},

		// Answers.
		{suites: "py", name: "a failing service is asked again, at the same path", opts: retried, call: send(opus46), reply: flaky, sent: 2, path: invoke(opus46)},
		{suites: "py", name: "with an ARN too", opts: retried, call: send(profile), reply: flaky, sent: 2, path: invoke(strings.Replace(profile, "/", "%2F", 1))},
		{suites: "go ts", name: "a stream, from end to end", call: stream(opus46, helloTypes...), reply: streamed(framed(helloEvents...)), sent: 1},
		{suites: "py", name: "a chunk's type is the event's", call: stream(opus46, helloTypes...), reply: streamed(framed(helloEvents...)), sent: 1},
		{suites: "py", name: "a chunk without a type", call: stream(opus46, append([]string{"", ""}, helloTypes...)...), reply: streamed(framed(append([]string{`{"completion":" Hi"}`, `{"completion":"","amazon-bedrock-invocationMetrics":{}}`}, helloEvents...)...)), sent: 1},
		{suites: "go", name: "an exception in a stream", call: stream(opus46, "message_start"), reply: frames(eventstream.AppendException(nil, "throttlingException", []byte(`{"message":"Too many requests"}`)), helloEvents[0]), sent: 1, err: bedrock.ErrThrottling, says: "Too many requests"},
		{suites: "go", name: "an error frame in a stream", call: stream(opus46, "message_start"), reply: frames(eventstream.AppendMessage(nil, []eventstream.Header{eventstream.StringHeader(":message-type", "error"), eventstream.StringHeader(":error-code", "InternalFailure"), eventstream.StringHeader(":error-message", "Something went wrong")}, nil), helloEvents[0]), sent: 1, err: bedrock.ErrInternal, says: "Something went wrong"},
		{suites: "ts", name: "Anthropic's error in a chunk", call: stream(opus46, "message_start"), reply: frames(chunk(`{"type":"error","error":{"type":"overloaded_error","message":"test"}}`), helloEvents[0]), sent: 1, err: bedrock.ErrServiceUnavailable, says: "test"},
		{suites: "go", name: "a damaged frame", call: stream(opus46, "message_start"), reply: frames([]byte("0123456789abcdef"), helloEvents[0]), sent: 1, err: bedrock.ErrCorrupted},
		{suites: "ts", name: "a stream of one event", call: stream(opus46, "message_start"), reply: streamed(framed(helloEvents[0])), sent: 1, err: bedrock.ErrTruncated, ours: "it ended before message_stop"},

		// What Bedrock does not have.
		{suites: "go", name: "user profiles: create", call: post("v1/user_profiles", "application/json", []byte(`{}`)), err: bedrock.ErrUnsupported},
		{suites: "go", name: "user profiles: get", call: func(t *testing.T, c *bedrock.Client) error {
			return c.Get(t.Context(), "v1/user_profiles/up_1", nil, nil)
		}, err: bedrock.ErrUnsupported},
		{suites: "go", name: "user profiles: action URLs", call: post("v1/user_profiles/up_1/action_urls", "application/json", []byte(`{}`)), err: bedrock.ErrUnsupported},
		{suites: "go", name: "message threads", call: post("v1/messages", "application/json", []byte(`{"model":"m","thread":{"type":"create"}}`)), err: bedrock.ErrUnsupported},
	}
	for _, b := range table {
		t.Run(b.name, func(t *testing.T) { b.run(t) })
	}
	for _, suite := range []struct {
		name string
		n    int
	}{{"go", 40}, {"py", 12}, {"ts", 20}} { // so that no suite goes missing in an edit
		n := 0
		for _, b := range table {
			if strings.Contains(" "+b.suites+" ", " "+suite.name+" ") {
				n++
			}
		}
		if n < suite.n {
			t.Errorf("%d cases of %s", n, suite.name)
		}
	}
}

func (b behaviour) run(t *testing.T) {
	if b.reply == nil {
		b.reply = answers
	}
	f := serve(t, b.reply)
	b.env.set(t)
	opts := []bedrock.ClientOption{bedrock.WithBaseURL(f.URL + b.prefix), bedrock.WithMaxRetries(0)}
	if !b.anon {
		opts = append(opts, bedrock.WithCredentials(keyID, secret, ""))
	}
	c, err := bedrock.New(t.Context(), append(opts, b.opts...)...)
	if err == nil && b.call != nil {
		err = b.call(t, c)
	}
	if b.err == nil && err != nil || b.err != nil && (!errors.Is(err, b.err) || !strings.Contains(err.Error(), b.says)) {
		t.Errorf("error %v, want %v %s", err, b.err, b.says)
	}
	all := f.all()
	if len(all) != b.sent {
		t.Fatalf("%d requests, want %d", len(all), b.sent)
	}
	for i, s := range all {
		if s.Signed != nil && s.SignatureErr != nil || s.Path != all[0].Path {
			t.Errorf("request %d: %s, %v", i, s.Path, s.SignatureErr)
		}
	}
	if b.sent == 0 {
		return
	}
	s := all[0]
	if b.path != "" && s.Path != b.path {
		t.Errorf("path %s, want %s", s.Path, b.path)
	}
	for name, want := range b.header {
		if s.Signed != nil {
			want = strings.Replace(want, "{date}", s.Header.Get("X-Amz-Date")[:8], 1)
		}
		if got := s.Header.Get(name); want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, want := range b.body {
		part, not := strings.CutPrefix(want, "!")
		if strings.Contains(s.Body, part) == not {
			t.Errorf("body %s, want %s", s.Body, want)
		}
	}
}
