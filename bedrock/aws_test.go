package bedrock_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsbedrock "github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/outcrop-dev/outcrop/bedrock"
)

const (
	conversed = `{"output":{"message":{"role":"assistant","content":[{"text":"Hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5},"metrics":{"latencyMs":7}}`
	whoAmI    = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/me</Arn><UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
	modelList = `{"modelSummaries":[{"modelArn":"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-6-v1","modelId":"anthropic.claude-opus-4-6-v1"}]}`
)

// gateway serves all three of AWS's services under one host, as an Outcrop does.
func gateway(_ int, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/converse"):
		io.WriteString(w, conversed)
	case strings.HasSuffix(r.URL.Path, "/foundation-models"):
		io.WriteString(w, modelList)
	default:
		w.Header().Set("Content-Type", "text/xml")
		io.WriteString(w, whoAmI)
	}
}

func converse(c *bedrock.Client, t *testing.T) (*bedrockruntime.ConverseOutput, error) {
	return c.Runtime().Converse(t.Context(), &bedrockruntime.ConverseInput{
		ModelId:  aws.String(opus46),
		Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Hello"}}}},
	})
}

// The same identity, Region, endpoint and prefix, in AWS's own clients.
func TestAWSsOwnClients(t *testing.T) {
	f := serve(t, gateway)
	c := connect(t, f, bedrock.WithBaseURL(f.URL+"/prefix"), bedrock.WithRegion("eu-west-1"))
	out, err := converse(c, t)
	if err != nil {
		t.Fatal(err)
	}
	if got := out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value; got != "Hi" {
		t.Errorf("text %q", got)
	}
	models, err := c.ControlPlane().ListFoundationModels(t.Context(), &awsbedrock.ListFoundationModelsInput{ByProvider: aws.String("anthropic")})
	if err != nil || *models.ModelSummaries[0].ModelId != bedrock.ClaudeOpus4_6 {
		t.Fatal(models, err)
	}
	me, err := c.STS().GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *me.Account != "123456789012" {
		t.Fatal(me, err)
	}
	for i, want := range []struct{ path, service string }{
		{"/prefix/model/global.anthropic.claude-opus-4-6-v1%3A0/converse", "bedrock"}, {"/prefix/foundation-models", "bedrock"}, {"/prefix", "sts"},
	} {
		s := f.all()[i]
		if s.Path != want.path || s.Signed == nil || s.SignatureErr != nil || s.Signed.Service != want.service || s.Signed.Region != "eu-west-1" || s.Signed.AccessKeyID != keyID {
			t.Errorf("%s, signed %v, %v; want %s of %s", s.Path, s.Signed, s.SignatureErr, want.path, want.service)
		}
	}
}

// Which host each service is asked at.
func TestEndpointsOfAWSsOwnClients(t *testing.T) {
	const vpce = "https://vpce-1a2b-3c.bedrock-runtime.us-east-1.vpce.amazonaws.com"
	with := func(url string) []bedrock.ClientOption { return []bedrock.ClientOption{bedrock.WithBaseURL(url)} }
	for _, tc := range []struct {
		name                  string
		env                   environment
		opts                  []bedrock.ClientOption
		runtime, control, sts string
	}{
		{"AWS's", nil, nil, "bedrock-runtime.us-east-1.amazonaws.com", "bedrock.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com"},
		{"FIPS", environment{"AWS_USE_FIPS_ENDPOINT": "true"}, nil, "bedrock-runtime-fips.us-east-1.amazonaws.com", "bedrock-fips.us-east-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com"},
		{"dual stack", environment{"AWS_USE_DUALSTACK_ENDPOINT": "true"}, nil, "bedrock-runtime.us-east-1.api.aws", "bedrock.us-east-1.api.aws", "sts.us-east-1.api.aws"},
		{"a gateway", nil, with("https://gw.example"), "gw.example", "gw.example", "gw.example"},
		{"a gateway, and FIPS", environment{"AWS_USE_FIPS_ENDPOINT": "true"}, with("https://gw.example"), "gw.example", "gw.example", "gw.example"},
		{"a VPC endpoint of one service", nil, with(vpce), "vpce-1a2b-3c.bedrock-runtime.us-east-1.vpce.amazonaws.com", "bedrock.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com"},
		{"each by its variable", environment{"ANTHROPIC_BEDROCK_BASE_URL": "https://a.example", "AWS_ENDPOINT_URL_BEDROCK": "https://b.example", "AWS_ENDPOINT_URL_STS": "https://c.example"}, nil, "a.example", "b.example", "c.example"},
		{"one variable for all", environment{"ANTHROPIC_BEDROCK_BASE_URL": "https://a.example"}, nil, "a.example", "a.example", "a.example"},
		{"the argument wins", environment{"AWS_ENDPOINT_URL_BEDROCK": "https://b.example", "AWS_ENDPOINT_URL_STS": "https://c.example"}, with("https://gw.example"), "gw.example", "gw.example", "gw.example"},
		{"AWS's switch for its variables", environment{"AWS_ENDPOINT_URL_STS": "https://c.example", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, nil, "bedrock-runtime.us-east-1.amazonaws.com", "bedrock.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.env.set(t)
			var hosts []string
			record := doer(func(r *http.Request) (*http.Response, error) {
				hosts = append(hosts, r.URL.Host)
				if _, ok := r.Body.(io.WriterTo); ok { // see readBody
					t.Error("net/http may lose the answer")
				}
				w := httptest.NewRecorder()
				gateway(0, w, r)
				res := w.Result()
				res.Request = r
				return res, nil
			})
			c, err := bedrock.New(t.Context(), append(tc.opts, bedrock.WithAccessKey(keyID, secret), bedrock.WithHTTPClient(record))...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := converse(c, t); err != nil {
				t.Error(err)
			}
			if _, err := c.ControlPlane().ListFoundationModels(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if _, err := c.STS().GetCallerIdentity(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if want := tc.runtime + " " + tc.control + " " + tc.sts; strings.Join(hosts, " ") != want {
				t.Errorf("asked %v\nwant %s", hosts, want)
			}
		})
	}
}

// What AWS's clients make of an API key and of none.
func TestAWSsOwnClientsWithoutKeys(t *testing.T) {
	f := serve(t, gateway)
	clean(t)
	new := func(opts ...bedrock.ClientOption) *bedrock.Client {
		c, err := bedrock.New(t.Context(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, err := converse(new(bedrock.WithBearerToken("ABSKx"), bedrock.WithBaseURL(f.URL)), t); err == nil || !strings.Contains(err.Error(), "requires HTTPS") {
		t.Errorf("a key over http: %v", err)
	}
	if len(f.all()) != 0 {
		t.Error("it was sent")
	}
	secure := httptest.NewTLSServer(f)
	defer secure.Close()
	c := new(bedrock.WithBearerToken("ABSKx"), bedrock.WithBaseURL(secure.URL), bedrock.WithHTTPClient(secure.Client()))
	if _, err := converse(c, t); err != nil || f.all()[0].Header.Get("Authorization") != "Bearer ABSKx" {
		t.Errorf("%v %v", err, f.all())
	}
	if _, err := c.STS().GetCallerIdentity(t.Context(), nil); !errors.Is(err, bedrock.ErrNoCredentials) || len(f.all()) != 1 {
		t.Errorf("an API key at STS: %v", err)
	}
	f = serve(t, gateway)
	c = new(bedrock.WithSkipAuth(), bedrock.WithBaseURL(f.URL))
	if _, err := converse(c, t); err != nil || f.one(t).Header.Get("Authorization") != "" {
		t.Errorf("%v", err)
	}
	if _, err := c.STS().GetCallerIdentity(t.Context(), nil); err != nil || f.all()[1].Header.Get("Authorization") != "" {
		t.Errorf("%v", err)
	}
}

func TestAWSConfigForOtherClients(t *testing.T) {
	clean(t)
	c, err := bedrock.New(t.Context(), bedrock.WithAccessKey(keyID, secret), bedrock.WithRegion("eu-west-1"), bedrock.WithBaseURL("http://127.0.0.1:4141/x"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.AWSConfig()
	got, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || got.AccessKeyID != keyID || cfg.Region != "eu-west-1" || cfg.BaseEndpoint == nil || *cfg.BaseEndpoint != "http://127.0.0.1:4141/x" {
		t.Errorf("config %+v, credentials %v, %v", cfg, got.AccessKeyID, err)
	}
	c, err = bedrock.New(t.Context(), bedrock.WithBearerToken("ABSKx"))
	if err != nil {
		t.Fatal(err)
	}
	cfg = c.AWSConfig()
	token, err := cfg.BearerAuthTokenProvider.RetrieveBearerToken(t.Context())
	if err != nil || token.Value != "ABSKx" || cfg.Credentials != nil || cfg.BaseEndpoint != nil || cfg.AuthSchemePreference[0] != "httpBearerAuth" {
		t.Errorf("config %+v, token %v, %v", cfg, token, err)
	}
}
