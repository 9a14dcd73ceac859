package bedrock

import (
	"context"
	"fmt"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/aws/aws-sdk-go-v2/aws"
)

// ClientOption is an argument of [New] and [Option].
type ClientOption interface{ apply(*settings) }

type optionFunc func(*settings)

func (f optionFunc) apply(s *settings) { f(s) }

// settings is what the caller said, before the environment is looked at.
type settings struct {
	identity []identity // every one that was named: more than one is an error

	profile, role string
	region        string
	regions       []string
	residency     string
	regionChain   bool
	unlisted      bool
	baseURL       string
	awsConfig     *aws.Config
	httpClient    option.HTTPClient
	idle          time.Duration

	requestOptions []option.RequestOption
	faults         []string
}

// identity is one way of saying who calls, and the name of the option that said it.
type identity struct {
	option   string
	provider aws.CredentialsProvider
	bearer   func(context.Context) (string, error)
	profile  bool
	none     bool
}

func (s *settings) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// some keeps an empty value that the caller named from meaning "look elsewhere":
// the call would go out under another account.
func (s *settings) some(option, what, value string) bool {
	if value == "" {
		s.fault("%s: the %s is empty", option, what)
	}
	return value != ""
}

// WithAccessKey gives an access key without a session token.
func WithAccessKey(accessKeyID, secretAccessKey string) ClientOption {
	return withKeys("WithAccessKey", accessKeyID, secretAccessKey, "")
}

// WithCredentials gives an access key; sessionToken is "" for a long-term one.
// Explicit keys win over AWS_BEARER_TOKEN_BEDROCK.
func WithCredentials(accessKeyID, secretAccessKey, sessionToken string) ClientOption {
	return withKeys("WithCredentials", accessKeyID, secretAccessKey, sessionToken)
}

func withKeys(name, id, secret, token string) ClientOption {
	return optionFunc(func(s *settings) {
		idOK := s.some(name, "access key id", id)
		if s.some(name, "secret access key", secret) && idOK {
			c := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Source: name}
			s.identity = append(s.identity, identity{option: name, provider: static(c)})
		}
	})
}

type static aws.Credentials

func (c static) Retrieve(context.Context) (aws.Credentials, error) { return aws.Credentials(c), nil }

// WithCredentialsProvider takes credentials from p, which is asked once for many
// goroutines and again, behind their backs, two minutes before they end. When p fails
// and there are none that hold, the call is tried again, as one that meets a failing
// service.
func WithCredentialsProvider(p aws.CredentialsProvider) ClientOption {
	return optionFunc(func(s *settings) {
		if p == nil {
			s.fault("WithCredentialsProvider: the provider is nil")
			return
		}
		s.identity = append(s.identity, identity{option: "WithCredentialsProvider", provider: cached(p)})
	})
}

// WithAWSConfig takes Region and identity from cfg, where it has them: credentials,
// or its bearer token where there are none or AuthSchemePreference names it first.
func WithAWSConfig(cfg aws.Config) ClientOption {
	return optionFunc(func(s *settings) {
		s.awsConfig = &cfg
		preferred := len(cfg.AuthSchemePreference) > 0 && cfg.AuthSchemePreference[0] == "httpBearerAuth"
		if p := cfg.BearerAuthTokenProvider; p != nil && (preferred || cfg.Credentials == nil) {
			s.identity = append(s.identity, identity{option: "WithAWSConfig", bearer: func(ctx context.Context) (string, error) {
				token, err := p.RetrieveBearerToken(ctx)
				return token.Value, err
			}})
			return
		}
		if cfg.Credentials != nil {
			s.identity = append(s.identity, identity{option: "WithAWSConfig", provider: cached(cfg.Credentials)})
		}
	})
}

// WithProfile names a profile of AWS's shared files. Its region is not read
// unless [WithAWSRegionChain] is there.
func WithProfile(name string) ClientOption {
	return optionFunc(func(s *settings) {
		if s.some("WithProfile", "name", name) {
			s.profile = name
			s.identity = append(s.identity, identity{option: "WithProfile", profile: true})
		}
	})
}

// WithRole assumes a role, by its ARN, with the credentials that the other options,
// or the default AWS providers, give; the role's are renewed two minutes before
// they end.
func WithRole(arn string) ClientOption {
	return optionFunc(func(s *settings) {
		if s.some("WithRole", "ARN", arn) {
			s.role = arn
		}
	})
}

// WithBearerToken gives a Bedrock API key, long-term or short-term. It is sent
// over https alone, and over http to this machine.
func WithBearerToken(apiKey string) ClientOption {
	return optionFunc(func(s *settings) {
		if s.some("WithBearerToken", "key", apiKey) {
			s.identity = append(s.identity, identity{option: "WithBearerToken", bearer: staticToken(apiKey)})
		}
	})
}

// WithBearerTokenFunc asks f for the key on every attempt, for keys that end:
// a short-term one lives for twelve hours at most. f keeps what it may keep. When f
// fails, the call is tried again.
func WithBearerTokenFunc(f func(context.Context) (string, error)) ClientOption {
	return optionFunc(func(s *settings) {
		if f == nil {
			s.fault("WithBearerTokenFunc: the function is nil")
			return
		}
		s.identity = append(s.identity, identity{option: "WithBearerTokenFunc", bearer: f})
	})
}

func staticToken(key string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return key, nil }
}

// WithSkipAuth sends requests unsigned, for a gateway that signs them. An
// Authorization or X-Api-Key header that a request option sets is kept.
func WithSkipAuth() ClientOption {
	return optionFunc(func(s *settings) {
		s.identity = append(s.identity, identity{option: "WithSkipAuth", none: true})
	})
}

// WithRegion names the Region to call and to sign for, such as us-west-2; more than
// one are [WithRegions]'s.
func WithRegion(region string) ClientOption {
	return optionFunc(func(s *settings) {
		if s.some("WithRegion", "Region", region) {
			s.region = region
		}
	})
}

// WithAWSRegionChain looks for the Region where AWS's own SDKs do: AWS_REGION,
// AWS_DEFAULT_REGION, then the profile in ~/.aws/config. If it is nowhere, that
// is an error; us-east-1 is the default of the page's rule alone.
func WithAWSRegionChain() ClientOption {
	return optionFunc(func(s *settings) { s.regionChain = true })
}

// WithBaseURL names another endpoint: scheme, host and a path, which is kept as a
// prefix; {region} in it stands for the Region's name. An endpoint of AWS's that
// names another Region than the client's is an error, for AWS would refuse the
// signature.
func WithBaseURL(url string) ClientOption {
	return optionFunc(func(s *settings) {
		if s.some("WithBaseURL", "URL", url) {
			s.baseURL = url
		}
	})
}

// WithHTTPClient sends through c, an *http.Client or anything with its Do: proxies,
// TLS, connection limits. [Client.Runtime] and its like use it too.
func WithHTTPClient(c option.HTTPClient) ClientOption {
	return optionFunc(func(s *settings) {
		if c == nil {
			s.fault("WithHTTPClient: the client is nil")
			return
		}
		s.httpClient = c
	})
}

// WithMaxRetries says how often a call is repeated after its first try; without it,
// twice. What is repeated stands at the Err values. Between tries it waits as long
// as the service says (retry-after), else a random time below 1 s, 2 s, 4 s … 20 s;
// a wait of over a minute, or past the context's deadline, is none: the error comes
// at once. option.WithMaxRetries says it for one call.
func WithMaxRetries(n int) ClientOption {
	return optionFunc(func(s *settings) {
		if n < 0 {
			s.fault("WithMaxRetries: %d is negative", n)
			return
		}
		s.requestOptions = append(s.requestOptions, option.WithMaxRetries(n))
	})
}

// WithTimeout bounds each attempt of a call, a stream's reading included. Without
// it, the SDK bounds what is not streamed by ten minutes.
func WithTimeout(d time.Duration) ClientOption {
	return optionFunc(func(s *settings) {
		if d <= 0 {
			s.fault("WithTimeout: %v is not positive", d)
			return
		}
		s.requestOptions = append(s.requestOptions, option.WithRequestTimeout(d))
	})
}

// WithIdleTimeout ends a stream with [ErrTruncated] when nothing has come for d.
// Without it, a stream waits for ever; a model that thinks may be silent for minutes.
func WithIdleTimeout(d time.Duration) ClientOption {
	return optionFunc(func(s *settings) {
		if d <= 0 {
			s.fault("WithIdleTimeout: %v is not positive", d)
			return
		}
		s.idle = d
	})
}

// WithRequestOptions passes the SDK's own options on. Its middlewares see
// requests and answers in Anthropic's form, before they are rewritten and signed.
func WithRequestOptions(opts ...option.RequestOption) ClientOption {
	return optionFunc(func(s *settings) { s.requestOptions = append(s.requestOptions, opts...) })
}
