package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

const (
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	runtimeURI = "/model/global.anthropic.claude-opus-4-6-v1%3A0/invoke"
	signature  = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)

var testNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type world struct {
	auth           *Authenticator
	permanent      AccessKey
	temporary      AccessKey
	stale          AccessKey
	longTerm       string
	longTermExpiry string
}

func newWorld() *world {
	admin := NewUser("123456789012", "admin")
	admin.DefaultRegion = "eu-west-1"
	w := &world{
		permanent: AccessKey{Owner: admin, ID: "AKIAPERMANENT", Secret: testSecret},
		temporary: AccessKey{Owner: admin, ID: "ASIATEMPORARY", Secret: testSecret, SessionToken: "TOKEN", Expires: testNow.Add(time.Hour)},
		stale:     AccessKey{Owner: admin, ID: "ASIASTALE", Secret: testSecret, SessionToken: "TOKEN", Expires: testNow},
	}
	var k1, k2 APIKey
	w.longTerm, k1 = NewAPIKey("123456789012", time.Time{})
	w.longTermExpiry, k2 = NewAPIKey("123456789012", testNow)
	w.auth = &Authenticator{
		Keys:   NewRing([]AccessKey{w.permanent, w.temporary, w.stale}, []APIKey{k1, k2}),
		Region: "us-east-1",
		Now:    func() time.Time { return testNow },
	}
	return w
}

// authenticate goes through both phases, and says in which one it ended.
func (w *world) authenticate(r *http.Request, s Surface, body string) (Caller, string, error) {
	p, err := w.auth.Begin(r, s)
	if err != nil {
		return Caller{}, "begin", err
	}
	c, err := p.Finish(sha256.Sum256([]byte(body)))
	return c, "finish", err
}

type signing struct {
	key             AccessKey
	token           string // instead of the key's
	region, service string
	at              time.Time
	body            string
	headers         map[string]string // set before signing
}

func (w *world) request(t testing.TB, uri string, s signing) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", uri, strings.NewReader(s.body))
	for k, v := range s.headers {
		r.Header.Set(k, v)
	}
	if s.key.ID == "" {
		s.key = w.permanent
	}
	if s.token == "" {
		s.token = s.key.SessionToken
	}
	if s.region == "" {
		s.region = "us-west-2"
	}
	if s.service == "" {
		s.service = "bedrock"
	}
	if s.at.IsZero() {
		s.at = testNow
	}
	sum := sha256.Sum256([]byte(s.body))
	creds := sigv4.Credentials{AccessKeyID: s.key.ID, SecretAccessKey: s.key.Secret, SessionToken: strings.TrimPrefix(s.token, "none")}
	if err := new(sigv4.Signer).Sign(r, hex.EncodeToString(sum[:]), creds, s.region, s.service, s.at); err != nil {
		t.Fatal(err)
	}
	return r
}

func check(t *testing.T, err error, kind messages.Kind, text string) {
	t.Helper()
	var e *messages.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T), want %q", err, err, text)
	}
	if e.Kind != kind || e.Message != text {
		t.Errorf("kind %v, %q\nwant %v, %q", e.Kind, e.Message, kind, text)
	}
}

func TestSignatureAccepted(t *testing.T) {
	w := newWorld()
	for _, c := range []struct {
		name    string
		uri     string
		surface Surface
		s       signing
		keyID   string
	}{
		{"runtime", runtimeURI, SurfaceRuntime, signing{body: "{}"}, "AKIAPERMANENT"},
		{"runtime, with digest", runtimeURI, SurfaceRuntime, signing{body: "{}", headers: map[string]string{"X-Amz-Content-Sha256": "x"}}, "AKIAPERMANENT"},
		{"runtime, with metadata", runtimeURI, SurfaceRuntime, signing{body: "{}", headers: map[string]string{metadataHeader: `{"a":"b"}`}}, "AKIAPERMANENT"},
		{"control", "/foundation-models?byProvider=anthropic", SurfaceControl, signing{}, "AKIAPERMANENT"},
		{"messages", "/anthropic/v1/messages?beta=true", SurfaceMessages, signing{body: "{}"}, "AKIAPERMANENT"},
		{"mantle", "/anthropic/v1/messages", SurfaceMessages, signing{service: "bedrock-mantle", body: "{}"}, "AKIAPERMANENT"},
		{"sts", "/", SurfaceSTS, signing{service: "sts", body: "Action=GetCallerIdentity&Version=2011-06-15"}, "AKIAPERMANENT"},
		{"temporary", runtimeURI, SurfaceRuntime, signing{key: w.temporary}, "ASIATEMPORARY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := w.authenticate(w.request(t, c.uri, c.s), c.surface, c.s.body)
			if err != nil {
				t.Fatal(err)
			}
			want := Caller{Account: "123456789012", Partition: "aws", ARN: "arn:aws:iam::123456789012:user/admin", UserID: w.permanent.UserID,
				KeyID: c.keyID, Region: "us-west-2", DefaultRegion: "eu-west-1", Method: SigV4, Service: "bedrock"}
			if c.s.service != "" {
				want.Service = c.s.service
			}
			if got != want {
				t.Errorf("%+v\nwant %+v", got, want)
			}
		})
	}
}

func TestSignatureRefused(t *testing.T) {
	w := newWorld()
	w.auth.ValidRegion = func(r string) bool { return r != "us-nowhere-1" }
	wrong := w.permanent
	wrong.Secret = "wrong"
	unknown := w.permanent
	unknown.ID = "AKIAUNKNOWN"
	keep := func(*http.Request) {}
	for _, c := range []struct {
		name    string
		surface Surface
		s       signing
		do      func(*http.Request)
		phase   string
		kind    messages.Kind
		text    string
	}{
		{"wrong secret", SurfaceRuntime, signing{key: wrong}, keep, "finish", messages.InvalidSignature, signature},
		{"wrong secret, digest stated", SurfaceRuntime, signing{key: wrong, headers: map[string]string{"X-Amz-Content-Sha256": "x"}}, keep, "begin", messages.InvalidSignature, signature},
		{"unknown key", SurfaceRuntime, signing{key: unknown}, keep, "begin", messages.UnknownKey, "The security token included in the request is invalid."},
		{"long-term key with a session token", SurfaceRuntime, signing{token: "SOMEBODYS"}, keep, "begin", messages.UnknownKey, "The security token included in the request is invalid."},
		{"temporary key without its token", SurfaceRuntime, signing{key: w.temporary, token: "none"}, keep, "begin", messages.UnknownKey, "The security token included in the request is invalid."},
		{"temporary key with another token", SurfaceRuntime, signing{key: w.temporary, token: "OTHER"}, keep, "begin", messages.UnknownKey, "The security token included in the request is invalid."},
		{"temporary key past its end", SurfaceRuntime, signing{key: w.stale}, keep, "begin", messages.ExpiredToken, "The security token included in the request is expired"},
		{"sts scope on the runtime", SurfaceRuntime, signing{service: "sts"}, keep, "begin", messages.InvalidSignature, "Credential should be scoped to correct service: 'bedrock'. "},
		{"mantle scope on the runtime", SurfaceRuntime, signing{service: "bedrock-mantle"}, keep, "begin", messages.InvalidSignature, "Credential should be scoped to correct service: 'bedrock'. "},
		{"mantle scope on the control plane", SurfaceControl, signing{service: "bedrock-mantle"}, keep, "begin", messages.InvalidSignature, "Credential should be scoped to correct service: 'bedrock'. "},
		{"runtime endpoint name as service", SurfaceMessages, signing{service: "bedrock-runtime"}, keep, "begin", messages.InvalidSignature, "Credential should be scoped to correct service: 'bedrock'. "},
		{"bedrock scope on sts", SurfaceSTS, signing{}, keep, "begin", messages.InvalidSignature, "Credential should be scoped to correct service: 'sts'. "},
		{"no Region's name", SurfaceRuntime, signing{region: "<b>"}, keep, "begin", messages.InvalidSignature, "Credential should be scoped to a valid region, not '<b>'. "},
		{"an unknown Region", SurfaceRuntime, signing{region: "us-nowhere-1"}, keep, "begin", messages.InvalidSignature, "Credential should be scoped to a valid region, not 'us-nowhere-1'. "},
		{"expired", SurfaceRuntime, signing{at: testNow.Add(-5*time.Minute - time.Second)}, keep, "begin", messages.InvalidSignature,
			"Signature expired: 20260102T025904Z is now earlier than 20260102T025905Z (20260102T030405Z - 5 min.)"},
		{"not yet current", SurfaceRuntime, signing{at: testNow.Add(5*time.Minute + time.Second)}, keep, "begin", messages.InvalidSignature,
			"Signature not yet current: 20260102T030906Z is still later than 20260102T030905Z (20260102T030405Z + 5 min.)"},
		{"no credential", SurfaceRuntime, signing{}, func(r *http.Request) { r.Header.Del("Authorization") }, "begin", messages.MissingToken, "Missing Authentication Token"},
		{"another scheme", SurfaceRuntime, signing{}, func(r *http.Request) { r.Header.Set("Authorization", "Basic dTpw") }, "begin", messages.IncompleteToken,
			"Unsupported AWS 'algorithm': 'Basic' (only AWS4-HMAC-SHA256 for now). "},
		{"two Authorization headers", SurfaceRuntime, signing{}, func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, "begin", messages.IncompleteToken,
			"The request has more than one Authorization header."},
		{"unsigned payload", SurfaceRuntime, signing{}, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, "begin", messages.InvalidSignature,
			`The x-amz-content-sha256 value "UNSIGNED-PAYLOAD" is not supported. Sign the SHA-256 of the request body.`},
		{"streaming payload", SurfaceRuntime, signing{}, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") }, "begin", messages.InvalidSignature,
			`The x-amz-content-sha256 value "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" is not supported. Sign the SHA-256 of the request body.`},
		{"a digest that is none", SurfaceRuntime, signing{}, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("G", 64)) }, "begin", messages.InvalidSignature,
			"The x-amz-content-sha256 header is not a SHA-256 digest in lower-case hex."},
		{"metadata not signed", SurfaceRuntime, signing{}, func(r *http.Request) { r.Header.Set(metadataHeader, "{}") }, "begin", messages.InvalidSignature, signature},
		{"presigned", SurfaceRuntime, signing{}, func(r *http.Request) { r.RequestURI += "?X-Amz-Signature=00" }, "begin", messages.IncompleteToken,
			"Presigned requests (X-Amz-Signature in the query string) are not supported. Sign the request in the Authorization header."},
		{"presigned, escaped", SurfaceRuntime, signing{}, func(r *http.Request) { r.RequestURI += "?a=b&x%2Damz%2Dsignature=00" }, "begin", messages.IncompleteToken,
			"Presigned requests (X-Amz-Signature in the query string) are not supported. Sign the request in the Authorization header."},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.request(t, runtimeURI, c.s)
			c.do(r)
			got, phase, err := w.authenticate(r, c.surface, c.s.body)
			check(t, err, c.kind, c.text)
			if phase != c.phase || got != (Caller{}) {
				t.Errorf("ended in %s with %+v", phase, got)
			}
		})
	}

	// Another body, with and without a digest in the headers.
	for _, h := range []map[string]string{nil, {"X-Amz-Content-Sha256": "x"}} {
		_, phase, err := w.authenticate(w.request(t, runtimeURI, signing{body: "{}", headers: h}), SurfaceRuntime, "{ }")
		check(t, err, messages.InvalidSignature, signature)
		if phase != "finish" {
			t.Errorf("another body was found out in %s", phase)
		}
	}
}

func TestAPIKeys(t *testing.T) {
	w := newWorld()
	const bad = "Authentication failed: Please make sure your API Key is valid."
	const format = "Invalid API Key format: Must start with pre-defined prefix"
	mint := func(k AccessKey, at time.Time, life time.Duration) string {
		s, err := sigv4.PresignAPIKey(sigv4.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.SessionToken}, "ap-northeast-1", at, life)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	wrong, unknown, tokenless := w.permanent, w.permanent, w.temporary
	wrong.Secret, unknown.ID, tokenless.SessionToken = "wrong", "AKIAUNKNOWN", ""
	short := mint(w.permanent, testNow, 12*time.Hour)
	other, _ := NewAPIKey("123456789012", time.Time{})
	altered := w.longTerm[:len(w.longTerm)-3] + "A" + w.longTerm[len(w.longTerm)-2:]
	if altered == w.longTerm { // keys are random
		altered = w.longTerm[:len(w.longTerm)-3] + "B" + w.longTerm[len(w.longTerm)-2:]
	}
	mantle := strings.Replace(decode(short), "%2Fbedrock%2F", "%2Fbedrock-mantle%2F", 1)
	long := strings.Replace(decode(short), "Expires=43200", "Expires=43201", 1)
	for _, c := range []struct {
		name, key string
		want      string // "" accepted
		method    Method
	}{
		{"long-term", w.longTerm, "", LongTermKey},
		{"long-term, expired", w.longTermExpiry, bad, 0},
		{"long-term, never issued", other, bad, 0},
		{"long-term, altered", altered, bad, 0},
		{"long-term, prefix only", "ABSK", bad, 0},
		{"short-term", short, "", ShortTermKey},
		{"short-term of temporary credentials", mint(w.temporary, testNow, time.Hour), "", ShortTermKey},
		{"short-term, last second", mint(w.permanent, testNow.Add(-12*time.Hour), 12*time.Hour), "", ShortTermKey},
		{"short-term, expired", mint(w.permanent, testNow.Add(-12*time.Hour-time.Second), 12*time.Hour), bad, 0},
		{"short-term, a clock ahead", mint(w.permanent, testNow.Add(5*time.Minute), time.Hour), "", ShortTermKey},
		{"short-term, future", mint(w.permanent, testNow.Add(5*time.Minute+time.Second), time.Hour), bad, 0},
		{"short-term, wrong secret", mint(wrong, testNow, time.Hour), bad, 0},
		{"short-term, unknown key", mint(unknown, testNow, time.Hour), bad, 0},
		{"short-term, token missing", mint(tokenless, testNow, time.Hour), bad, 0},
		{"short-term of stale credentials", mint(w.stale, testNow, time.Hour), bad, 0},
		{"short-term, another service", encode(mantle), bad, 0},
		{"short-term, too long a life", encode(long), bad, 0},
		{"short-term, Region altered", encode(strings.Replace(decode(short), "ap-northeast-1", "us-east-1", 1)), bad, 0},
		{"short-term, broken", sigv4.APIKeyPrefix + "!!", bad, 0},
		{"an Anthropic key", "sk-ant-api03-x", format, 0},
		{"a case variant", strings.ToLower(w.longTerm), format, 0},
	} {
		for _, how := range []string{"Bearer", "bearer", "x-api-key"} {
			t.Run(c.name+"/"+how, func(t *testing.T) {
				r := httptest.NewRequest("POST", "/anthropic/v1/messages", nil)
				if how == "x-api-key" {
					r.Header.Set("X-Api-Key", c.key)
				} else {
					r.Header.Set("Authorization", how+" "+c.key)
				}
				got, phase, err := w.authenticate(r, SurfaceMessages, "any body")
				if c.want != "" {
					check(t, err, messages.InvalidAPIKey, c.want)
					if phase != "begin" || strings.Contains(err.Error(), c.key) {
						t.Errorf("%s: %v", phase, err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				region, service, def := "", "", "us-east-1"
				if c.method == ShortTermKey {
					region, service, def = "ap-northeast-1", "bedrock", "eu-west-1"
				}
				if got.Method != c.method || got.Account != "123456789012" || got.Region != region || got.DefaultRegion != def || got.Service != service || got.KeyID == "" || got.UserID == "" {
					t.Errorf("%+v", got)
				}
			})
		}
	}

	// Where a key may be presented.
	for _, c := range []struct {
		surface Surface
		header  string
		kind    messages.Kind // 0: accepted
	}{
		{SurfaceRuntime, "Authorization", 0},
		{SurfaceControl, "Authorization", 0},
		{SurfaceMessages, "Authorization", 0},
		{SurfaceSTS, "Authorization", messages.MissingToken},
		{SurfaceRuntime, "X-Api-Key", messages.MissingToken},
		{SurfaceControl, "X-Api-Key", messages.MissingToken},
		{SurfaceSTS, "X-Api-Key", messages.MissingToken},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set(c.header, map[string]string{"Authorization": "Bearer "}[c.header]+w.longTerm)
		_, _, err := w.authenticate(r, c.surface, "")
		if c.kind == 0 && err != nil {
			t.Errorf("surface %d, %s: %v", c.surface, c.header, err)
		}
		if c.kind != 0 {
			check(t, err, c.kind, "Missing Authentication Token")
			if messages.AsError(err).Hint == "" {
				t.Errorf("surface %d, %s: no hint", c.surface, c.header)
			}
		}
	}
}

func decode(key string) string {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, sigv4.APIKeyPrefix))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func encode(plain string) string {
	return sigv4.APIKeyPrefix + base64.StdEncoding.EncodeToString([]byte(plain))
}

// The rule: what Authorization says decides. Beside it, an x-api-key that claims
// to be a Bedrock key is a second identity and refused, unless it is the same
// bearer key; any other text there is no credential of this service.
func TestMoreThanOneCredential(t *testing.T) {
	w := newWorld()
	other, _ := NewAPIKey("123456789012", time.Time{})
	const two = "The request has more than one credential: Authorization and x-api-key. Send one of them."
	const format = "Invalid API Key format: Must start with pre-defined prefix"
	for _, c := range []struct {
		name      string
		surface   Surface
		auth, key string // auth "sign": a valid signature
		method    Method
		kind      messages.Kind
		text      string
	}{
		{"signature and a valid key", SurfaceMessages, "sign", w.longTerm, 0, messages.IncompleteToken, two},
		{"signature and an invalid key", SurfaceMessages, "sign", other, 0, messages.IncompleteToken, two},
		{"signature and a short-term key", SurfaceMessages, "sign", sigv4.APIKeyPrefix + "x", 0, messages.IncompleteToken, two},
		{"two keys", SurfaceMessages, "Bearer " + w.longTerm, other, 0, messages.IncompleteToken, two},
		{"a foreign scheme and a valid key", SurfaceMessages, "Basic x", w.longTerm, 0, messages.IncompleteToken, two},
		{"the same key twice", SurfaceMessages, "Bearer " + w.longTerm, w.longTerm, LongTermKey, 0, ""},
		{"signature and a leaked Anthropic key", SurfaceMessages, "sign", "sk-ant-api03-x", SigV4, 0, ""},
		{"key and a leaked Anthropic key", SurfaceMessages, "Bearer " + w.longTerm, "sk-ant-api03-x", LongTermKey, 0, ""},
		{"a foreign bearer and a valid key", SurfaceMessages, "Bearer sk-ant-x", w.longTerm, 0, messages.IncompleteToken, two},
		{"a foreign bearer twice", SurfaceMessages, "Bearer sk-ant-x", "sk-ant-x", 0, messages.InvalidAPIKey, format},
		{"x-api-key is none on the runtime", SurfaceRuntime, "sign", w.longTerm, SigV4, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.request(t, "/anthropic/v1/messages", signing{})
			if c.auth != "sign" {
				r.Header.Set("Authorization", c.auth)
			}
			r.Header.Set("X-Api-Key", c.key)
			got, _, err := w.authenticate(r, c.surface, "")
			if c.text != "" {
				check(t, err, c.kind, c.text)
				return
			}
			if err != nil || got.Method != c.method {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	r := httptest.NewRequest("POST", "/anthropic/v1/messages", nil)
	r.Header.Add("X-Api-Key", w.longTerm)
	r.Header.Add("X-Api-Key", w.longTerm)
	_, _, err := w.authenticate(r, SurfaceMessages, "")
	check(t, err, messages.IncompleteToken, "The request has more than one x-api-key header.")
}

func TestSkipAuth(t *testing.T) {
	w := newWorld()
	w.auth.SkipAuth = true
	w.auth.Anonymous = NewUser("210987654321", "anonymous")
	wrong := w.permanent
	wrong.Secret = "wrong"
	short, err := sigv4.PresignAPIKey(sigv4.Credentials{AccessKeyID: "A", SecretAccessKey: "b"}, "sa-east-1", testNow, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	none := httptest.NewRequest("GET", "/inference-profiles", nil)
	bearer := httptest.NewRequest("POST", runtimeURI, nil)
	bearer.Header.Set("Authorization", "Bearer "+short)
	for _, c := range []struct {
		r      *http.Request
		region string
	}{
		{none, ""},
		{w.request(t, runtimeURI, signing{key: wrong}), "us-west-2"},
		{w.request(t, runtimeURI, signing{region: "<b>"}), ""},
		{bearer, "sa-east-1"},
	} {
		got, _, err := w.authenticate(c.r, SurfaceRuntime, "")
		if err != nil || got.Method != Anonymous || got.Account != "210987654321" || got.Region != c.region || got.DefaultRegion != "us-east-1" || got.KeyID != "" {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

type broken struct{}

func (broken) AccessKey(context.Context, string) (AccessKey, error) {
	return AccessKey{}, errors.New("disk on fire")
}
func (broken) APIKey(context.Context, [32]byte) (APIKey, error) {
	return APIKey{}, errors.New("disk on fire")
}

func TestBrokenStoreLetsNobodyIn(t *testing.T) {
	w := newWorld()
	w.auth.Keys = broken{}
	bearer := httptest.NewRequest("POST", runtimeURI, nil)
	bearer.Header.Set("Authorization", "Bearer "+w.longTerm)
	for _, r := range []*http.Request{w.request(t, runtimeURI, signing{}), bearer} {
		_, _, err := w.authenticate(r, SurfaceRuntime, "")
		e := messages.AsError(err)
		if e == nil || e.Kind != messages.Internal || e.Cause == nil || strings.Contains(e.Message, "fire") {
			t.Errorf("%v", err)
		}
	}
}

func TestMint(t *testing.T) {
	match := func(what, s, pattern string) {
		t.Helper()
		if !regexp.MustCompile("^" + pattern + "$").MatchString(s) {
			t.Errorf("%s %q is not %s", what, s, pattern)
		}
	}
	seen := map[string]bool{}
	for range 100 {
		account := NewAccountID()
		match("account", account, `[1-9][0-9]{11}`)
		o := NewUser(account, "admin")
		match("user id", o.UserID, `AIDA[A-Z2-7]{16}`)
		match("arn", o.ARN, `arn:aws:iam::`+account+`:user/admin`)
		k := NewAccessKey(o)
		match("key id", k.ID, `AKIA[A-Z2-7]{16}`)
		match("secret", k.Secret, `[A-Za-z0-9+/]{40}`)
		key, stored := NewAPIKey(account, testNow)
		match("API key", key, `ABSK[A-Za-z0-9+/]{126,127}={1,2}`)
		plain, err := base64.StdEncoding.DecodeString(key[4:])
		if err != nil {
			t.Fatal(err)
		}
		match("API key's content", string(plain), `BedrockAPIKey-[a-z2-7]{4}-at-`+account+`:[A-Za-z0-9+/]{60}`)
		match("API key's id", stored.ID, `ACCA[A-Z2-7]{16}`)
		if stored.Sum != sha256.Sum256([]byte(key)) || !stored.Expires.Equal(testNow) || !strings.HasPrefix(string(plain), strings.TrimPrefix(stored.ARN, "arn:aws:iam::"+account+":user/")+"-at-") {
			t.Errorf("%+v", stored)
		}
		for _, s := range []string{account, k.ID, k.Secret, key, stored.ID, o.UserID} {
			if seen[s] {
				t.Errorf("%s came twice", s)
			}
			seen[s] = true
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	w := newWorld()
	p, err := w.auth.Begin(w.request(t, runtimeURI, signing{key: w.temporary}), SurfaceRuntime)
	if err != nil {
		t.Fatal(err)
	}
	_, stored := NewAPIKey("123456789012", time.Time{})
	for _, v := range []any{w.temporary, &w.temporary, stored, p} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		json.NewEncoder(&log).Encode([]any{v})
		s := fmt.Sprintf("%v %+v %#v %s", v, v, v, v) + fmt.Sprintf("%+v", []any{v}) + log.String()
		for _, secret := range []string{testSecret, "TOKEN", hex.EncodeToString(stored.Sum[:4]), fmt.Sprint(stored.Sum[0], stored.Sum[1])} {
			if strings.Contains(s, secret) {
				t.Errorf("%T prints %s: %s", v, secret, s)
			}
		}
	}
}

func TestRegionName(t *testing.T) {
	for s, want := range map[string]bool{
		"us-east-1": true, "us-gov-west-1": true, "ap-southeast-3": true, "eusc-de-east-1": true, "mx-central-1": true,
		"": false, "us": false, "us-east": false, "us-east-": false, "-us-east-1": false, "us--east-1": false, "US-EAST-1": false,
		"us-east-1\n": false, "us/east-1": false, "1us-east-1": false, strings.Repeat("a", 40) + "-b-1": false, "aws-global": false,
	} {
		if RegionName(s) != want {
			t.Errorf("RegionName(%q) = %v", s, !want)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld()
	r := w.request(b, runtimeURI, signing{body: "{}"})
	sum := sha256.Sum256([]byte("{}"))
	b.ReportAllocs()
	for b.Loop() {
		p, err := w.auth.Begin(r, SurfaceRuntime)
		if err == nil {
			_, err = p.Finish(sum)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
