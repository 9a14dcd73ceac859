package bedrock

import (
	"context"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsbedrock "github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/auth/bearer"
	"github.com/aws/smithy-go/middleware"
)

// Runtime is AWS's own client of bedrock-runtime: Converse, ApplyGuardrail,
// asynchronous calls, in AWS's types. It has c's credentials, Region, endpoint and
// HTTP client, and AWS's retries; [WithRegions] and [WithResidency] do not reach it.
//
// AWS's client sends an API key over https alone: to a gateway on http://, this
// machine included, it answers "bearer token with HTTP request requires HTTPS" and
// sends nothing. Sign instead ([WithAccessKey]), or give the gateway TLS.
func (c *Client) Runtime(optFns ...func(*bedrockruntime.Options)) *bedrockruntime.Client {
	return bedrockruntime.NewFromConfig(c.AWSConfig(), optFns...)
}

// ControlPlane is AWS's own client of bedrock: models, inference profiles, batch
// jobs, logging. It goes where c goes if that is a gateway, else to AWS_ENDPOINT_URL_BEDROCK,
// else to AWS's endpoint of the Region; the rest is as with [Client.Runtime].
func (c *Client) ControlPlane(optFns ...func(*awsbedrock.Options)) *awsbedrock.Client {
	return awsbedrock.NewFromConfig(c.awsConfig("AWS_ENDPOINT_URL_BEDROCK"), optFns...)
}

// STS is AWS's own client of STS: GetCallerIdentity tells who c is. It goes where c
// goes if that is a gateway, else to AWS_ENDPOINT_URL_STS, else to AWS's endpoint of
// the Region. STS knows no Bedrock API keys: a client that has one gets [ErrNoCredentials].
func (c *Client) STS(optFns ...func(*sts.Options)) *sts.Client {
	cfg := c.awsConfig("AWS_ENDPOINT_URL_STS")
	if key, ok := c.backend.auth.(*apiKey); ok {
		cfg.Credentials = noKeys{key.source}
	}
	return sts.NewFromConfig(cfg, optFns...)
}

// AWSConfig is for any other of AWS's clients on the same identity and Region. Its
// BaseEndpoint is that of bedrock-runtime, where [New] was given one.
func (c *Client) AWSConfig() aws.Config {
	endpoint := ""
	if c.backend.own {
		endpoint = c.backend.base.String()
	}
	return c.awsConfigAt(endpoint)
}

// awsConfigAt is for AWS's own endpoint where none is named.
func (c *Client) awsConfigAt(endpoint string) aws.Config {
	b := c.backend
	cfg := aws.Config{Region: b.region, HTTPClient: readBody{awshttp.NewBuildableClient()}}
	if b.doer != nil {
		cfg.HTTPClient = readBody{b.doer}
	}
	if endpoint != "" {
		cfg.BaseEndpoint = aws.String(endpoint)
	} else {
		cfg.ConfigSources = []any{endpointChoice{}}
	}
	switch auth := b.auth.(type) {
	case *signature:
		cfg.Credentials = auth.provider
	case *apiKey:
		cfg.AuthSchemePreference = []string{"httpBearerAuth"}
		cfg.BearerAuthTokenProvider = bearer.TokenProviderFunc(func(ctx context.Context) (bearer.Token, error) {
			token, err := auth.token(ctx)
			return bearer.Token{Value: token}, err
		})
	default:
		// AnonymousCredentials make bedrockruntime 1.63.11 look for a bearer token, and
		// panic: these are asked for and go nowhere.
		cfg.Credentials = static{AccessKeyID: "unsigned", SecretAccessKey: "unsigned"}
		cfg.APIOptions = []func(*middleware.Stack) error{func(s *middleware.Stack) error {
			_, err := s.Finalize.Remove("Signing")
			return err
		}}
	}
	return cfg
}

// readBody keeps net/http to the Read of a request's body. smithy-go 1.28.8 closes
// the body once there is an answer, and the body's WriteTo then says io.EOF, which
// net/http takes for a failed write: it would close the connection in the middle
// of an answer that came fast.
type readBody struct{ next aws.HTTPClient }

func (c readBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.WithContext(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.next.Do(r)
}

// noKeys is the identity of an API key where only a signature counts.
type noKeys struct{ source string }

func (n noKeys) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, &Error{Code: codeCredentials, Message: "STS knows no Bedrock API keys, and " + n.source + " gives one",
		Hint: "ask the service that made the key, or give the client AWS credentials"}
}

// awsConfig is for a service beside bedrock-runtime: a gateway serves them all,
// AWS's own endpoint of one is none of another.
func (c *Client) awsConfig(env string) aws.Config {
	b := c.backend
	named := os.Getenv(env)
	if on(envIgnore) {
		named = ""
	}
	if gateway := b.own && b.amazon == ""; gateway && (b.explicit || named == "") {
		named = b.base.String()
	}
	return c.awsConfigAt(named)
}

// endpointChoice tells AWS's clients which of AWS's endpoints, as findBase chooses.
type endpointChoice struct{}

func (endpointChoice) GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error) {
	return aws.FIPSEndpointStateEnabled, on(envFIPS), nil
}

func (endpointChoice) GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error) {
	return aws.DualStackEndpointStateEnabled, on(envDualStack), nil
}
