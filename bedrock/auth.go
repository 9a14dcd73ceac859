package bedrock

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// signingName is the service of a signature: bedrock for runtime and control
// plane alike (service model 2023-09-30, signingName).
const signingName = "bedrock"

// authorizer says to the service who calls.
type authorizer interface {
	// permit refuses endpoints that must not see the secret.
	permit(u *url.URL) error
	// authorize is run on every attempt: a signature lives for five minutes.
	authorize(r *http.Request, c *call) error
	// in is the same caller in another Region.
	in(region string) authorizer
	// renew forgets what the service called expired; false: there is nothing newer to get.
	renew() bool
}

// signature is SigV4.
type signature struct {
	provider aws.CredentialsProvider
	region   string
	looked   string // for the error when there are none
	given    bool   // the provider is the caller's own: a failure of it may pass
	signer   *sigv4.Signer
}

func (a *signature) permit(*url.URL) error { return nil } // the secret is never sent

func (a *signature) authorize(r *http.Request, call *call) error {
	c, err := a.provider.Retrieve(r.Context())
	if err == nil && (c.AccessKeyID == "" || c.SecretAccessKey == "") {
		err = fmt.Errorf("the provider %q gave empty credentials", c.Source)
	}
	if err != nil {
		if r.Context().Err() != nil {
			return r.Context().Err()
		}
		return &Error{Code: codeCredentials, Message: "no AWS credentials: looked at " + a.looked, cause: err, again: a.given}
	}
	strip(r.Header)
	return a.signer.Sign(r, call.sha256(), sigv4.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
	}, a.region, signingName, time.Now())
}

func (a *signature) in(region string) authorizer {
	there := *a
	there.region = region
	return &there
}

func (a *signature) renew() bool {
	v, ok := a.provider.(*vault) // keys that were given have no others behind them
	if ok {
		v.Invalidate()
	}
	return ok
}

// apiKey is a Bedrock API key.
type apiKey struct {
	token  func(context.Context) (string, error)
	source string
}

func (a *apiKey) permit(u *url.URL) error {
	if u.Scheme == "https" || loopback(u.Hostname()) {
		return nil
	}
	return misconfigured("an API key (%s) over http would be readable on the way: %s must be https, or this machine", a.source, u.Redacted())
}

func (a *apiKey) authorize(r *http.Request, _ *call) error {
	token, err := a.token(r.Context())
	if err != nil {
		return &Error{Code: codeCredentials, Message: "no API key from " + a.source, cause: err, again: true}
	}
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return &Error{Code: codeCredentials, Message: "the API key from " + a.source + " is empty or holds characters that no key has"}
	}
	strip(r.Header)
	r.Header.Set("Authorization", "Bearer "+token)
	return nil
}

func (a *apiKey) in(string) authorizer { return a }
func (a *apiKey) renew() bool          { return false }

// anonymous leaves it to a gateway.
type anonymous struct{}

func (anonymous) permit(*url.URL) error                { return nil }
func (anonymous) authorize(*http.Request, *call) error { return nil }
func (a anonymous) in(string) authorizer               { return a }
func (anonymous) renew() bool                          { return false }

// strip takes off what is meant for Anthropic's own service.
func strip(h http.Header) {
	h.Del("Authorization")
	h.Del("X-Api-Key")
}

func loopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func (s *settings) authorizer(ctx context.Context, id identity, region string, shared *sharedConfig) (authorizer, error) {
	switch {
	case id.none:
		return anonymous{}, nil
	case id.bearer != nil:
		return &apiKey{token: id.bearer, source: id.option}, nil
	}
	provider, looked := id.provider, id.option
	if provider == nil {
		cfg, err := shared.load(ctx, region)
		if err != nil {
			return nil, err
		}
		provider, looked = cached(cfg.Credentials), s.looked(id)
	}
	if s.role != "" {
		cfg, err := shared.load(ctx, region)
		if err != nil {
			return nil, err
		}
		with := cfg.Copy()
		with.Region, with.Credentials = region, provider
		provider = cached(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(with), s.role))
		looked = "WithRole, by way of " + looked
	}
	return &signature{provider: provider, region: region, looked: looked, given: id.provider != nil || s.role != "", signer: &sigv4.Signer{}}, nil
}

// looked lists the default AWS providers in their order, with what is known of
// each without asking it.
func (s *settings) looked(id identity) string {
	set := func(name string) string {
		if os.Getenv(name) == "" {
			return name + " (not set)"
		}
		return name + " (set)"
	}
	if id.profile {
		return fmt.Sprintf("profile %q of ~/.aws/credentials and ~/.aws/config", s.profile)
	}
	imds := "the EC2 metadata service"
	if strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		imds += " (disabled)"
	}
	return strings.Join([]string{
		"options (none given)", set(envToken), set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY"), set("AWS_WEB_IDENTITY_TOKEN_FILE"),
		s.profileName() + " and ~/.aws/credentials", set("AWS_CONTAINER_CREDENTIALS_FULL_URI"), imds,
	}, ", ")
}

// sharedConfig loads AWS's default configuration at most once.
type sharedConfig struct {
	settings *settings
	cfg      *aws.Config
}

func (c *sharedConfig) load(ctx context.Context, region string) (*aws.Config, error) {
	if c.cfg != nil {
		return c.cfg, nil
	}
	opts := []func(*config.LoadOptions) error{config.WithCredentialsCacheOptions(refresh)}
	if region != "" {
		opts = append(opts, config.WithRegion(region)) // for STS and SSO
	}
	if c.settings.profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(c.settings.profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		e := misconfigured("AWS's configuration cannot be read (%s)", c.settings.profileName())
		e.cause = err
		return nil, e
	}
	c.cfg = &cfg
	return c.cfg, nil
}

func refresh(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = refreshBefore }
