package bedrock

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// awsDouble is STS and SSO for the SDK's own clients; it notes who was called.
type awsDouble struct {
	mu    sync.Mutex
	calls []string // host and form
}

func (d *awsDouble) Do(r *http.Request) (*http.Response, error) {
	form := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		form = string(b)
	}
	d.mu.Lock()
	d.calls = append(d.calls, r.URL.Host+" "+form)
	d.mu.Unlock()
	end := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	creds := fmt.Sprintf(`<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>session</SessionToken><Expiration>%s</Expiration></Credentials>`, "ASIAROLE", keySecret, end)
	body := ""
	switch {
	case strings.Contains(form, "Action=AssumeRoleWithWebIdentity"):
		body = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>` + creds + `</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`
	case strings.Contains(form, "Action=AssumeRole"):
		body = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>` + creds + `</AssumeRoleResult></AssumeRoleResponse>`
	case strings.HasPrefix(r.URL.Host, "oidc."):
		body = `{"accessToken":"renewed","expiresIn":3600,"tokenType":"Bearer"}`
	case strings.Contains(r.URL.Host, "signin"):
		body = fmt.Sprintf(`{"accessToken":{"accessKeyId":"ASIALOGIN","secretAccessKey":%q,"sessionToken":"session"},"expiresIn":900,"refreshToken":"r2","tokenType":"urn:aws:params:oauth:token-type:access_token_sigv4"}`, keySecret)
	case strings.Contains(r.URL.Path, "/federation/credentials"):
		body = fmt.Sprintf(`{"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":%q,"sessionToken":"session","expiration":%d}}`, keySecret, time.Now().Add(time.Hour).UnixMilli())
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// aside takes the machine's own AWS configuration away and gives another.
func aside(t *testing.T, config string, env map[string]string) (dir string) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	dir = t.TempDir()
	path := filepath.Join(dir, "config")
	write(t, path, strings.ReplaceAll(config, "DIR", dir))
	t.Setenv("HOME", dir)
	t.Setenv("AWS_CONFIG_FILE", path)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for k, v := range env {
		t.Setenv(k, strings.ReplaceAll(v, "DIR", dir))
	}
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The default chain is loaded once, whatever it is, and nothing that steers the
// clients of this server steers it.
func TestDefaultChain(t *testing.T) {
	astray := map[string]string{
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:1",
		"AWS_ENDPOINT_URL_SSO": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_SSO_OIDC": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_SIGNIN": "http://127.0.0.1:1",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false", "ANTHROPIC_BEDROCK_BASE_URL": "http://127.0.0.1:1", "AWS_BEARER_TOKEN_BEDROCK": "ABSKastray",
	}
	with := func(env ...string) map[string]string {
		m := map[string]string{}
		for k, v := range astray {
			m[k] = v
		}
		for i := 0; i < len(env); i += 2 {
			m[env[i]] = env[i+1]
		}
		return m
	}
	keys := "aws_access_key_id = " + keyID + "\naws_secret_access_key = " + keySecret + "\n"
	tests := []struct {
		name, config string
		env          map[string]string
		account      Account
		key          string
		call         string // those of STS and SSO, by their beginnings
	}{
		{"environment", "", with("AWS_ACCESS_KEY_ID", keyID, "AWS_SECRET_ACCESS_KEY", keySecret), Account{}, keyID, ""},
		{"shared file", "[default]\n" + keys, with(), Account{}, keyID, ""},
		{"profile", "[profile work]\n" + keys, with("AWS_PROFILE", "work"), Account{}, keyID, ""},
		{"process", "[default]\ncredential_process = /bin/cat DIR/process.json\n", with(), Account{}, keyID, ""},
		{"a profile's role", "[profile base]\n" + keys + "[default]\nrole_arn = arn:aws:iam::111122223333:role/x\nsource_profile = base\nregion = eu-west-1\n", with(), Account{}, "ASIAROLE", "sts.eu-west-1.amazonaws.com Action=AssumeRole"},
		{"web identity", "", with("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE", "DIR/config", "AWS_REGION", "eu-west-1"), Account{}, "ASIAROLE", "sts.eu-west-1.amazonaws.com Action=AssumeRoleWithWebIdentity"},
		{"SSO", "[default]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\nsso_account_id = 111122223333\nsso_role_name = r\n", with(), Account{}, "ASIASSO", "portal.sso.eu-west-1.amazonaws.com"},
		{"SSO, with a session to renew", "[default]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n[sso-session s]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n", with(), Account{}, "ASIASSO",
			"oidc.eu-west-1.amazonaws.com, portal.sso.eu-west-1.amazonaws.com"},
		{"aws login", "[default]\nlogin_session = arn:aws:iam::111122223333:user/x\nregion = eu-west-1\n", with("AWS_LOGIN_CACHE_DIRECTORY", "DIR/login"), Account{}, "ASIALOGIN", "eu-west-1.signin.aws.amazon.com"},
		{"endpoints in the files", "[profile base]\n" + keys + "[default]\nendpoint_url = http://127.0.0.1:1\nservices = astray\nignore_configured_endpoint_urls = false\nrole_arn = arn:aws:iam::111122223333:role/x\nsource_profile = base\nregion = eu-west-1\n[services astray]\nsts =\n  endpoint_url = http://127.0.0.1:1\n",
			with(), Account{}, "ASIAROLE", "sts.eu-west-1.amazonaws.com Action=AssumeRole"},
		{"a named role", "[default]\n" + keys, with(), Account{Name: "prod", Role: "arn:aws:iam::444455556666:role/outcrop", ExternalID: "ext-1", Session: "night", Regions: []string{"eu-central-1"}},
			"ASIAROLE", "sts.eu-central-1.amazonaws.com Action=AssumeRole&DurationSeconds=900&ExternalId=ext-1&RoleArn=arn%3Aaws%3Aiam%3A%3A444455556666%3Arole%2Foutcrop&RoleSessionName=night"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := aside(t, tt.config, tt.env)
			write(t, filepath.Join(dir, "process.json"), fmt.Sprintf(`{"Version":1,"AccessKeyId":%q,"SecretAccessKey":%q}`, keyID, keySecret))
			// The SDK keeps a session's token in a file named by its start URL.
			write(t, filepath.Join(dir, ".aws", "sso", "cache", fmt.Sprintf("%x.json", sha1.Sum([]byte("https://x.awsapps.com/start")))),
				fmt.Sprintf(`{"accessToken":"t","expiresAt":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
			write(t, filepath.Join(dir, ".aws", "sso", "cache", fmt.Sprintf("%x.json", sha1.Sum([]byte("s")))),
				`{"accessToken":"old","expiresAt":"2026-01-01T00:00:00Z","refreshToken":"r","clientId":"c","clientSecret":"s","registrationExpiresAt":"2099-01-01T00:00:00Z"}`)
			write(t, filepath.Join(dir, "login", fmt.Sprintf("%x.json", sha256.Sum256([]byte("arn:aws:iam::111122223333:user/x")))),
				fmt.Sprintf(`{"accessToken":{"accessKeyId":"ASIAOLD","secretAccessKey":"s","sessionToken":"s","accountId":"111122223333","expiresAt":"2026-01-01T00:00:00Z"},"refreshToken":"r","clientId":"c","dpopKey":%q}`, signingKey(t)))
			d := &awsDouble{}
			f := serve(t, plain(answer1))
			u := connect(t, f, func(o *Options) { o.Accounts, o.AWS = []Account{tt.account}, d })
			// What is set later does not matter: nothing is read again.
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIALATER")
			for range 3 {
				req := request(t, helloBody, false)
				if _, err := u.Send(t.Context(), withAccount(t, u, opus46), req); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range f.all() {
				if s.Signed.AccessKeyID != tt.key {
					t.Errorf("signed by %s, want %s", s.Signed.AccessKeyID, tt.key)
				}
			}
			var want []string
			if tt.call != "" {
				want = strings.Split(tt.call, ", ")
			}
			if !slices.EqualFunc(d.calls, want, strings.HasPrefix) {
				t.Errorf("AWS was called %q, want %q", d.calls, want)
			}
			if v := os.Getenv(ignoreEndpoints); v != "false" {
				t.Errorf("%s is %q for the commands that this process starts", ignoreEndpoints, v)
			}
		})
	}
}

// signingKey is what an aws login session signs its renewals with.
func signingKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func TestNoCredentials(t *testing.T) {
	aside(t, "", nil)
	f := serve(t, plain(answer1))
	u := connect(t, f, func(o *Options) { o.Accounts = nil })
	_, err := u.Send(t.Context(), route(t, opus46), request(t, helloBody, false))
	if e := asError(t, err); !strings.Contains(e.Message, "no good credentials") || len(f.all()) != 0 {
		t.Errorf("%v, %d requests", err, len(f.all()))
	}
	if err := u.Warm(t.Context()); err == nil {
		t.Error("Warm says nothing of it")
	}
}

func TestAccountsThatCannotBe(t *testing.T) {
	for name, accounts := range map[string][]Account{
		"two of a name":       {{Name: "a", Bearer: "x"}, {Name: "a", Bearer: "y"}},
		"two ways":            {{Role: "arn:aws:iam::111122223333:role/x", Bearer: "x"}},
		"a key with a space":  {{Bearer: "a b"}},
		"a key and a request": {{Bearer: "a\r\nX-Evil: 1"}},
	} {
		if _, err := New(t.Context(), Options{Accounts: accounts}); err == nil {
			t.Errorf("%s is fine", name)
		}
	}
}
