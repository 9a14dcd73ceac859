package bedrock_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

type environment map[string]string

func (e environment) set(t *testing.T) {
	t.Helper()
	clean(t)
	for k, v := range e {
		t.Setenv(k, v)
	}
}

// sharedFiles writes AWS's two files, with their places in the environment.
func sharedFiles(t *testing.T, config, credentials string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"config": config, "credentials": credentials} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
}

func TestRegion(t *testing.T) {
	const config = "[default]\nregion = eu-north-1\n[profile other]\nregion = eu-south-1\n"
	keys := bedrock.WithAccessKey(keyID, secret)
	for _, tc := range []struct {
		name string
		env  environment
		opts []bedrock.ClientOption
		want string
		says string // of the error
	}{
		{"nowhere: the page's default", nil, nil, "us-east-1", ""},
		{"AWS_REGION", environment{"AWS_REGION": "eu-west-1"}, nil, "eu-west-1", ""},
		{"the argument wins", environment{"AWS_REGION": "eu-west-1"}, []bedrock.ClientOption{bedrock.WithRegion("ap-northeast-1")}, "ap-northeast-1", ""},
		{"AWS_DEFAULT_REGION is not the page's", environment{"AWS_DEFAULT_REGION": "eu-west-1"}, nil, "us-east-1", ""},
		{"the config's region is not read for a profile either", environment{"AWS_PROFILE": "other"}, nil, "us-east-1", ""},
		{"AWS's chain: the default profile", nil, []bedrock.ClientOption{bedrock.WithAWSRegionChain()}, "eu-north-1", ""},
		{"AWS's chain: a profile", environment{"AWS_PROFILE": "other"}, []bedrock.ClientOption{bedrock.WithAWSRegionChain()}, "eu-south-1", ""},
		{"AWS's chain: AWS_DEFAULT_REGION before the profile", environment{"AWS_DEFAULT_REGION": "eu-west-1"}, []bedrock.ClientOption{bedrock.WithAWSRegionChain()}, "eu-west-1", ""},
		{"AWS's chain: AWS_REGION first", environment{"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-1"}, []bedrock.ClientOption{bedrock.WithAWSRegionChain()}, "eu-west-2", ""},
		{"AWS's chain: nowhere", environment{"AWS_CONFIG_FILE": "/nowhere/config"}, []bedrock.ClientOption{bedrock.WithAWSRegionChain()}, "",
			`no Region: looked at WithRegion (not given), AWS_REGION (not set), AWS_DEFAULT_REGION (not set), profile "default" of ~/.aws/config (no region)`},
		{"an aws.Config's", nil, []bedrock.ClientOption{bedrock.WithAWSConfig(aws.Config{Region: "sa-east-1"})}, "sa-east-1", ""},
		{"no Region's name", environment{"AWS_REGION": "eu west"}, nil, "", `AWS_REGION: "eu west" is not the name of a Region`},
		{"a host in its place", nil, []bedrock.ClientOption{bedrock.WithRegion("evil.example/")}, "", "WithRegion"},
		{"empty", nil, []bedrock.ClientOption{bedrock.WithRegion("")}, "", "WithRegion: the Region is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clean(t)
			sharedFiles(t, config, "")
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			c, err := bedrock.New(t.Context(), append(tc.opts, keys)...)
			if tc.says != "" {
				if !errors.Is(err, bedrock.ErrConfiguration) || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("error %v, want one that says %q", err, tc.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Region() != tc.want {
				t.Errorf("Region %s, want %s", c.Region(), tc.want)
			}
			if host := "https://bedrock-runtime." + tc.want + ".amazonaws.com"; c.BaseURL() != host {
				t.Errorf("endpoint %s, want %s", c.BaseURL(), host)
			}
		})
	}
}

func TestEndpoint(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  environment
		opts []bedrock.ClientOption
		want string
		says string
	}{
		{"ANTHROPIC_BEDROCK_BASE_URL", environment{"ANTHROPIC_BEDROCK_BASE_URL": "http://127.0.0.1:4141"}, nil, "http://127.0.0.1:4141", ""},
		{"AWS_ENDPOINT_URL_BEDROCK_RUNTIME", environment{"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "https://gw.example/bedrock/"}, nil, "https://gw.example/bedrock", ""},
		{"both: Anthropic's first", environment{"ANTHROPIC_BEDROCK_BASE_URL": "https://a.example", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "https://b.example"}, nil, "https://a.example", ""},
		{"the argument wins", environment{"ANTHROPIC_BEDROCK_BASE_URL": "https://a.example"}, []bedrock.ClientOption{bedrock.WithBaseURL("https://c.example/x%2Fy//")}, "https://c.example/x%2Fy", ""},
		{"AWS's switch for its own variable", environment{"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "https://b.example", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, nil, "https://bedrock-runtime.us-east-1.amazonaws.com", ""},
		{"ANTHROPIC_BASE_URL is another service's", environment{"ANTHROPIC_BASE_URL": "https://evil.example"}, nil, "https://bedrock-runtime.us-east-1.amazonaws.com", ""},
		{"China", environment{"AWS_REGION": "cn-north-1"}, nil, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn", ""},
		{"GovCloud, FIPS", environment{"AWS_REGION": "us-gov-west-1", "AWS_USE_FIPS_ENDPOINT": "true"}, nil, "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", ""},
		{"dual stack", environment{"AWS_USE_DUALSTACK_ENDPOINT": "TRUE"}, nil, "https://bedrock-runtime.us-east-1.api.aws", ""},
		{"a VPC endpoint of the Region", nil, []bedrock.ClientOption{bedrock.WithBaseURL("https://vpce-1a2b-3c.bedrock-runtime.us-east-1.vpce.amazonaws.com")},
			"https://vpce-1a2b-3c.bedrock-runtime.us-east-1.vpce.amazonaws.com", ""},
		{"an endpoint of another Region", nil, []bedrock.ClientOption{bedrock.WithBaseURL("https://bedrock-runtime.eu-west-1.amazonaws.com")}, "",
			`WithBaseURL names eu-west-1, but calls would be signed for us-east-1 (from the default)`},
		{"no scheme", nil, []bedrock.ClientOption{bedrock.WithBaseURL("127.0.0.1:4141")}, "", "WithBaseURL"},
		{"another scheme", environment{"ANTHROPIC_BEDROCK_BASE_URL": "ftp://a.example"}, nil, "", "ANTHROPIC_BEDROCK_BASE_URL"},
		{"no host", nil, []bedrock.ClientOption{bedrock.WithBaseURL("https:///x")}, "", "names no host"},
		{"a query", nil, []bedrock.ClientOption{bedrock.WithBaseURL("https://a.example/?x=1")}, "", "query"},
		{"a broken one does not show its password", nil, []bedrock.ClientOption{bedrock.WithBaseURL("https://u:geheim@%zz/")}, "", "is not a URL"},
		{"empty", nil, []bedrock.ClientOption{bedrock.WithBaseURL("")}, "", "the URL is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.env.set(t)
			c, err := bedrock.New(t.Context(), append(tc.opts, bedrock.WithAccessKey(keyID, secret))...)
			if tc.says != "" {
				if !errors.Is(err, bedrock.ErrConfiguration) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "geheim") {
					t.Errorf("error %v, want one that says %q", err, tc.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.BaseURL() != tc.want {
				t.Errorf("endpoint %s, want %s", c.BaseURL(), tc.want)
			}
		})
	}
}

// Who calls: each row is one way of saying it, and what the service then sees.
func TestIdentity(t *testing.T) {
	const files = "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = " + secret + "\n" +
		"[other]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = " + secret + "\naws_session_token = other-token\n"
	ambient := environment{"AWS_ACCESS_KEY_ID": "AKIDAMBIENT", "AWS_SECRET_ACCESS_KEY": secret}
	with := func(e environment, kv ...string) environment {
		out := environment{}
		for k, v := range e {
			out[k] = v
		}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i]] = kv[i+1]
		}
		return out
	}
	for _, tc := range []struct {
		name   string
		env    environment
		opts   []bedrock.ClientOption
		key    string // access key id of the signature
		token  string // session token
		bearer string // whole Authorization header
		says   string // of New's error
	}{
		{name: "explicit keys", opts: []bedrock.ClientOption{bedrock.WithAccessKey(keyID, secret)}, key: keyID},
		{name: "explicit keys with a session token", opts: []bedrock.ClientOption{bedrock.WithCredentials(keyID, secret, "tok")}, key: keyID, token: "tok"},
		{name: "explicit keys win over ambient ones", env: ambient, opts: []bedrock.ClientOption{bedrock.WithAccessKey(keyID, secret)}, key: keyID},
		{name: "explicit keys win over the environment's token", env: environment{"AWS_BEARER_TOKEN_BEDROCK": "ABSKenv"}, opts: []bedrock.ClientOption{bedrock.WithAccessKey(keyID, secret)}, key: keyID},
		{name: "ambient keys", env: with(ambient, "AWS_SESSION_TOKEN", "amb"), key: "AKIDAMBIENT", token: "amb"},
		{name: "the environment's token wins over ambient keys", env: with(ambient, "AWS_BEARER_TOKEN_BEDROCK", "ABSKenv"), bearer: "Bearer ABSKenv"},
		{name: "an empty token is none", env: with(ambient, "AWS_BEARER_TOKEN_BEDROCK", ""), key: "AKIDAMBIENT"},
		{name: "the default profile", key: "AKIDDEFAULT"},
		{name: "AWS_PROFILE", env: environment{"AWS_PROFILE": "other"}, key: "AKIDOTHER", token: "other-token"},
		{name: "a profile", opts: []bedrock.ClientOption{bedrock.WithProfile("other")}, key: "AKIDOTHER", token: "other-token"},
		{name: "a profile wins over ambient keys and token", env: with(ambient, "AWS_BEARER_TOKEN_BEDROCK", "ABSKenv"), opts: []bedrock.ClientOption{bedrock.WithProfile("other")}, key: "AKIDOTHER", token: "other-token"},
		{name: "a bearer key", env: ambient, opts: []bedrock.ClientOption{bedrock.WithBearerToken("ABSKarg")}, bearer: "Bearer ABSKarg"},
		{name: "a bearer key of a function", opts: []bedrock.ClientOption{bedrock.WithBearerTokenFunc(func(context.Context) (string, error) { return "ABSKfunc", nil })}, bearer: "Bearer ABSKfunc"},
		{name: "an aws.Config", env: ambient, opts: []bedrock.ClientOption{bedrock.WithAWSConfig(aws.Config{Credentials: provider(func() (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDCONFIG", SecretAccessKey: secret}, nil
		})})}, key: "AKIDCONFIG"},
		{name: "nobody", env: ambient, opts: []bedrock.ClientOption{bedrock.WithSkipAuth()}},
		{name: "nobody, and a gateway's own header", opts: []bedrock.ClientOption{bedrock.WithSkipAuth(), bedrock.WithRequestOptions(option.WithHeader("Authorization", "Bearer gw"))}, bearer: "Bearer gw"},
		{name: "no Anthropic credential leaks", env: with(ambient, "ANTHROPIC_API_KEY", "sk-ant-1", "ANTHROPIC_AUTH_TOKEN", "leak", "ANTHROPIC_CUSTOM_HEADERS", "X-Leak: 1", "ANTHROPIC_PROFILE", "nope"), key: "AKIDAMBIENT"},
		{name: "no Anthropic credential leaks beside a bearer key", env: environment{"ANTHROPIC_AUTH_TOKEN": "leak"}, opts: []bedrock.ClientOption{bedrock.WithBearerToken("ABSKarg")}, bearer: "Bearer ABSKarg"},
		{name: "not even one that was given on purpose", env: ambient, opts: []bedrock.ClientOption{bedrock.WithRequestOptions(option.WithAPIKey("sk-ant-1"), option.WithHeader("X-Api-Key", "sk-ant-1"))}, key: "AKIDAMBIENT"},

		{name: "keys and a bearer key", opts: []bedrock.ClientOption{bedrock.WithAccessKey(keyID, secret), bedrock.WithBearerToken("b")}, says: "WithAccessKey and WithBearerToken exclude each other"},
		{name: "keys and a profile", opts: []bedrock.ClientOption{bedrock.WithCredentials(keyID, secret, ""), bedrock.WithProfile("other")}, says: "WithCredentials and WithProfile exclude each other"},
		{name: "a bearer key and nobody", opts: []bedrock.ClientOption{bedrock.WithBearerToken("b"), bedrock.WithSkipAuth()}, says: "exclude each other"},
		{name: "a role and a bearer key", opts: []bedrock.ClientOption{bedrock.WithBearerToken("b"), bedrock.WithRole("arn:aws:iam::123456789012:role/r")}, says: "WithRole needs AWS credentials"},
		{name: "half a key", opts: []bedrock.ClientOption{bedrock.WithCredentials(keyID, "", "")}, says: "WithCredentials: the secret access key is empty"},
		{name: "no key at all falls back on nothing", env: ambient, opts: []bedrock.ClientOption{bedrock.WithAccessKey("", "")}, says: "WithAccessKey: the access key id is empty"},
		{name: "an empty bearer key", opts: []bedrock.ClientOption{bedrock.WithBearerToken("")}, says: "the key is empty"},
		{name: "an unknown profile", opts: []bedrock.ClientOption{bedrock.WithProfile("nope")}, says: `AWS's configuration cannot be read (profile "nope" of ~/.aws/config)`},
		{name: "nils", opts: []bedrock.ClientOption{nil, bedrock.WithCredentialsProvider(nil), bedrock.WithHTTPClient(nil), bedrock.WithBearerTokenFunc(nil)}, says: "a ClientOption is nil; WithCredentialsProvider: the provider is nil"},
		{name: "fewer than no retries", opts: []bedrock.ClientOption{bedrock.WithMaxRetries(-1)}, says: "WithMaxRetries: -1 is negative"},
		{name: "no time at all", opts: []bedrock.ClientOption{bedrock.WithTimeout(0), bedrock.WithIdleTimeout(-1)}, says: "WithTimeout: 0s is not positive; WithIdleTimeout"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, plain(answerA))
			clean(t)
			sharedFiles(t, "[profile other]\n", files)
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			c, err := bedrock.New(t.Context(), append(tc.opts, bedrock.WithBaseURL(f.URL))...)
			if tc.says != "" {
				if !errors.Is(err, bedrock.ErrConfiguration) || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("error %v, want one that says %q", err, tc.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Messages.New(t.Context(), hello(opus46)); err != nil {
				t.Fatal(err)
			}
			s := f.all()[0]
			switch auth := s.Header.Get("Authorization"); {
			case tc.key != "":
				if s.SignatureErr != nil || s.Signed == nil || s.Signed.AccessKeyID != tc.key || s.Signed.SessionToken != tc.token {
					t.Errorf("signed by %v with token %q: %v", s.Signed, s.Signed.SessionToken, s.SignatureErr)
				}
			case auth != tc.bearer:
				t.Errorf("Authorization %q, want %q", auth, tc.bearer)
			}
			if s.Header.Get("X-Leak") != "" || s.Header.Get("X-Api-Key") != "" {
				t.Errorf("leaked headers: %v", s.Header)
			}
		})
	}
}

// A key that anybody on the way can read goes to this machine alone.
func TestBearerOverHTTP(t *testing.T) {
	clean(t)
	for base, ok := range map[string]bool{
		"http://127.0.0.1:4141":        true,
		"http://127.9.9.9":             true,
		"http://[::1]:4141":            true,
		"http://localhost":             true,
		"http://api.localhost.":        true,
		"https://gw.example":           true,
		"http://gw.example":            false,
		"http://10.0.0.1":              false,
		"http://localhost.example":     false,
		"http://127.0.0.1.example":     false,
		"http://[::ffff:10.0.0.1]:80/": false,
	} {
		_, err := bedrock.New(t.Context(), bedrock.WithBearerToken("ABSKx"), bedrock.WithBaseURL(base))
		if ok != (err == nil) || err != nil && (!errors.Is(err, bedrock.ErrConfiguration) || strings.Contains(err.Error(), "ABSKx")) {
			t.Errorf("%s: error %v", base, err)
		}
	}
	// A request option that moves the call does not get around it.
	c, err := bedrock.New(t.Context(), bedrock.WithBearerToken("ABSKx"), bedrock.WithMaxRetries(0), bedrock.WithHTTPClient(doer(func(*http.Request) (*http.Response, error) {
		t.Error("the request was sent")
		return nil, errors.New("sent")
	})))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Messages.New(t.Context(), hello(opus46), option.WithBaseURL("http://gw.example")); !errors.Is(err, bedrock.ErrConfiguration) {
		t.Errorf("error %v", err)
	}
	if _, err := c.Messages.New(t.Context(), hello(opus46), option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		r.URL.Scheme = "http"
		return next(r)
	})); !errors.Is(err, bedrock.ErrConfiguration) {
		t.Errorf("error %v", err)
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

type provider func() (aws.Credentials, error)

func (p provider) Retrieve(context.Context) (aws.Credentials, error) { return p() }

func TestBadBearerTokens(t *testing.T) {
	f := serve(t, plain(answerA))
	for _, tc := range []struct {
		token string
		err   error
	}{{"two\r\nlines", nil}, {"", nil}, {"ключ", nil}, {"", errors.New("no helper")}} {
		clean(t)
		c, err := bedrock.New(t.Context(), bedrock.WithBaseURL(f.URL), bedrock.WithBearerTokenFunc(func(context.Context) (string, error) { return tc.token, tc.err }))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Messages.New(t.Context(), hello(opus46))
		if !errors.Is(err, bedrock.ErrNoCredentials) || tc.err != nil && !errors.Is(err, tc.err) || tc.token != "" && strings.Contains(err.Error(), tc.token) {
			t.Errorf("%q: error %v", tc.token, err)
		}
	}
	if n := len(f.all()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestNoCredentialsSaysWhatWasLookedAt(t *testing.T) {
	f := serve(t, plain(answerA))
	environment{"AWS_ACCESS_KEY_ID": "AKIDHALF", "AWS_PROFILE": "work"}.set(t)
	sharedFiles(t, "[profile work]\n", "")
	c, err := bedrock.New(t.Context(), bedrock.WithBaseURL(f.URL))
	if err != nil {
		t.Fatal(err) // the providers are asked when they are needed
	}
	_, err = c.Messages.New(t.Context(), hello(opus46))
	want := `no AWS credentials: looked at options (none given), AWS_BEARER_TOKEN_BEDROCK (not set), AWS_ACCESS_KEY_ID (set), AWS_SECRET_ACCESS_KEY (not set), ` +
		`AWS_WEB_IDENTITY_TOKEN_FILE (not set), profile "work" of ~/.aws/config and ~/.aws/credentials, AWS_CONTAINER_CREDENTIALS_FULL_URI (not set), the EC2 metadata service (disabled)`
	if !errors.Is(err, bedrock.ErrNoCredentials) || !strings.Contains(err.Error(), want) {
		t.Errorf("error\n%v\nwant one that says\n%s", err, want)
	}
	if n := len(f.all()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// The provider is asked once for many goroutines, and again when the service
// says that what it gave has ended.
func TestCredentialsAreAskedForOnce(t *testing.T) {
	var asked atomic.Int32
	p := provider(func() (aws.Credentials, error) {
		n := asked.Add(1)
		return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: fmt.Sprint("token-", n), CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
	})
	f := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Security-Token") == "token-1" && n > 20 {
			failing(403, "ExpiredTokenException", `{"message":"The security token included in the request is expired"}`)(n, w, r)
			return
		}
		plain(answerA)(n, w, r)
	})
	clean(t)
	c, err := bedrock.New(t.Context(), bedrock.WithBaseURL(f.URL), bedrock.WithCredentialsProvider(p), bedrock.WithMaxRetries(1))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Messages.New(t.Context(), hello(opus46)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times for 20 calls", n)
	}
	if _, err := c.Messages.New(t.Context(), hello(opus46)); err != nil || asked.Load() != 2 {
		t.Errorf("after the end of the credentials: error %v, asked %d times", err, asked.Load())
	}
}

func TestRole(t *testing.T) {
	var asked []string
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := sigv4.Parse(r)
		if err != nil {
			t.Error(err)
			return
		}
		r.ParseForm()
		asked = append(asked, p.AccessKeyID+" "+p.Service+" "+p.Region+" "+r.Form.Get("Action")+" "+r.Form.Get("RoleArn"))
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>role-token</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
			secret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer sts.Close()
	f := serve(t, plain(answerA))
	clean(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	const role = "arn:aws:iam::123456789012:role/invoker"
	c, err := bedrock.New(t.Context(), bedrock.WithAccessKey(keyID, secret), bedrock.WithRole(role), bedrock.WithRegion("eu-west-1"), bedrock.WithBaseURL(f.URL))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Messages.New(t.Context(), hello(opus46)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{keyID + " sts eu-west-1 AssumeRole " + role}; !slices.Equal(asked, want) {
		t.Errorf("STS was asked %q, want %q", asked, want)
	}
	if s := f.all()[1]; s.SignatureErr != nil || s.Signed.AccessKeyID != "ASIAROLE" || s.Signed.SessionToken != "role-token" {
		t.Errorf("signed by %v: %v", s.Signed, s.SignatureErr)
	}
}
