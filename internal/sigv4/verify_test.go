package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

func bufioReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// signedRequest is a request as the server has it, signed by us.
func signedRequest(t testing.TB, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", "/model/global.anthropic.claude-opus-4-6-v1%3A0/invoke?beta=true&a=1", strings.NewReader(body))
	r.Host = "127.0.0.1"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("X-Amzn-Bedrock-Request-Metadata", `{"team":"a"}`)
	r.Header.Set("X-Stainless-Lang", "go")
	r.Header.Set("X-Amz-Content-Sha256", hexSum([]byte(body)))
	creds := testCreds
	creds.SessionToken = "token"
	if err := new(Signer).Sign(r, hexSum([]byte(body)), creds, "us-east-1", "bedrock", testTime); err != nil {
		t.Fatal(err)
	}
	return r
}

func verify(r *http.Request, body string, now time.Time) error {
	p, err := Parse(r)
	if err != nil {
		return err
	}
	if err := p.CheckScope(nil, "bedrock"); err != nil {
		return err
	}
	return p.Verify(r, testCreds.SecretAccessKey, sha256.Sum256([]byte(body)), now)
}

func TestTampering(t *testing.T) {
	const body = `{"max_tokens":1}`
	auth := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			a := r.Header.Get("Authorization")
			b := strings.Replace(a, old, new, 1)
			if a == b {
				panic("nothing replaced: " + old + " in " + a)
			}
			r.Header.Set("Authorization", b)
		}
	}
	set := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	var incomplete *IncompleteError
	var invalid *InvalidError
	cases := []struct {
		name string
		do   func(*http.Request)
		want any // error, or pointer to error type; nil: accepted
	}{
		{"untouched", func(*http.Request) {}, nil},
		{"an unsigned header added", set("Via", "proxy"), nil},
		{"an unsigned header changed", set("User-Agent", "x"), nil},
		{"method", func(r *http.Request) { r.Method = "PUT" }, ErrSignature},
		{"path", func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "invoke", "converse", 1) }, ErrSignature},
		{"path encoding", func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "%3A", ":", 1) }, ErrSignature},
		{"query value", func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "true", "false", 1) }, ErrSignature},
		{"query added", func(r *http.Request) { r.RequestURI += "&x" }, ErrSignature},
		{"query with a broken escape", func(r *http.Request) { r.RequestURI += "&x=%zz" }, ErrSignature},
		{"query order", func(r *http.Request) {
			r.RequestURI = strings.Replace(r.RequestURI, "beta=true&a=1", "a=1&beta=true", 1)
		}, nil},
		{"host", func(r *http.Request) { r.Host = "127.0.0.1:4141" }, ErrSignature},
		{"signed header changed", set("X-Amzn-Bedrock-Request-Metadata", `{"team":"b"}`), ErrSignature},
		{"signed header repeated", func(r *http.Request) { r.Header.Add("Accept", "*/*") }, ErrSignature},
		{"signed header dropped", func(r *http.Request) { r.Header.Del("Accept") }, ErrSignature},
		{"content length", func(r *http.Request) { r.ContentLength++ }, ErrSignature},
		{"chunked", func(r *http.Request) { r.ContentLength = -1 }, ErrSignature},
		{"session token", set("X-Amz-Security-Token", "other"), ErrSignature},
		{"date", set("X-Amz-Date", "20260102T030406Z"), ErrSignature},
		{"digest header", set("X-Amz-Content-Sha256", EmptySHA256), ErrDigest},
		{"unsigned payload", set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), ErrDigest},
		{"streaming payload", set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), ErrDigest},
		{"key id", auth("AKIDEXAMPLE", "AKIDEXAMPLF"), nil}, // names whose secret to take; not signed
		{"region", auth("us-east-1", "us-west-2"), ErrSignature},
		{"signature", auth("Signature=", "Signature=0"), ErrSignature},
		{"signed headers fewer", auth("accept;", ""), ErrSignature},
		{"signed headers more", auth("accept;", "accept;via;"), ErrSignature},
		{"host not signed", auth(";host", ""), &invalid},
		{"service", auth("/bedrock/", "/sts/"), &invalid},
		{"terminator", auth("aws4_request", "aws5_request"), &invalid},
		{"scope date", auth("/20260102/", "/20260103/"), &invalid},
		{"header named twice", auth("accept;", "accept;accept;"), &incomplete},
		{"header named twice in another case", auth("accept;", "accept;Accept;"), &incomplete},
		{"two dates", func(r *http.Request) { r.Header.Add("X-Amz-Date", "20260102T030405Z") }, &incomplete},
		{"two tokens", func(r *http.Request) { r.Header.Add("X-Amz-Security-Token", "token") }, &incomplete},
		{"two authorizations", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, &incomplete},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := signedRequest(t, body)
			c.do(r)
			err := verify(r, body, testTime)
			ok := false
			switch want := c.want.(type) {
			case nil:
				ok = err == nil
			case error:
				ok = errors.Is(err, want)
			default:
				ok = err != nil && errors.As(err, want)
			}
			if !ok {
				t.Errorf("%v", err)
			}
		})
	}

	r := signedRequest(t, body)
	if err := verify(r, body+" ", testTime); !errors.Is(err, ErrDigest) {
		t.Errorf("another body: %v", err)
	}
	p, _ := Parse(r)
	for name, secret := range map[string]string{"wrong": "x", "empty": ""} {
		if err := p.Verify(r, secret, sha256.Sum256([]byte(body)), testTime); !errors.Is(err, ErrSignature) {
			t.Errorf("%s secret: %v", name, err)
		}
	}
}

// A scope that is wrong, but signed with: the signature itself is right.
func TestVerifyHoldsScopeToDate(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Amz-Date", "20260102T030405Z")
	k := keyScope{testCreds.SecretAccessKey, "20200101", "us-east-1", "bedrock"}
	fields := []field{{name: "host", one: r.Host}, {name: "x-amz-date", many: r.Header["X-Amz-Date"]}}
	canonical, _ := appendCanonical(nil, "GET", "/", "", fields, EmptySHA256)
	key := derive(k)
	sig := signature(&key, "20260102T030405Z", k, canonical)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20200101/us-east-1/bedrock/aws4_request,SignedHeaders=host;x-amz-date,Signature="+string(sig[:]))
	p, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(r, testCreds.SecretAccessKey, sha256.Sum256(nil), testTime); !errors.Is(err, ErrSignature) {
		t.Errorf("a key of 2020 opens 2026: %v", err)
	}
}

func TestSkew(t *testing.T) {
	r := signedRequest(t, "")
	for _, c := range []struct {
		now  time.Time
		want string
	}{
		{testTime.Add(5 * time.Minute), ""},
		{testTime.Add(5*time.Minute + 999*time.Millisecond), ""},
		{testTime.Add(5*time.Minute + time.Second), "Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260102T030906Z - 5 min.)"},
		{testTime.Add(-5 * time.Minute), ""},
		{testTime.Add(-5*time.Minute - time.Millisecond), "Signature not yet current: 20260102T030405Z is still later than 20260102T030404Z (20260102T025904Z + 5 min.)"},
		{testTime.Add(-5*time.Minute - time.Second).In(time.FixedZone("", 3600)), "Signature not yet current: 20260102T030405Z is still later than 20260102T030404Z (20260102T025904Z + 5 min.)"},
	} {
		got := ""
		if err := verify(r, "", c.now); err != nil {
			got = err.Error()
			var skew *SkewError
			if !errors.As(err, &skew) || skew.Expired != strings.HasPrefix(got, "Signature expired") {
				t.Errorf("%v: %#v", c.now, err)
			}
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.now, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	const cred = "Credential=AKID/20260102/us-east-1/bedrock/aws4_request"
	const full = "AWS4-HMAC-SHA256 " + cred + ", SignedHeaders=host, Signature=00"
	date := "20260102T030405Z"
	for _, c := range []struct{ auth, date, want string }{
		{"", date, "Missing Authentication Token"},
		{full, date, ""},
		{strings.ReplaceAll(full, ", ", ","), date, ""},
		{"AWS4-HMAC-SHA256 Signature=00,SignedHeaders=host , " + cred, date, ""},
		{full, "", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed with SHA-256 and encoded with Base64) Authorization="},
		{"AWS4-HMAC-SHA256 " + cred, date, "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. (Hashed"},
		{"AWS4-HMAC-SHA256", date, "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. (Hashed"},
		{"AWS4-HMAC-SHA256 Credential", date, "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '"},
		{full + ", Extra=1", date, "Invalid key=value pair"},
		{full + ", Signature=11", date, "The Authorization header has more than one 'Signature' parameter."},
		{"AWS4-ECDSA-P256-SHA256 x", date, "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now). "},
		{full, "20260102T030405.5Z", "Date must be in ISO-8601 'basic format'. Got '20260102T030405.5Z'."},
		{full, "yesterday", "Date must be in ISO-8601 'basic format'. Got 'yesterday'."},
		{strings.Replace(full, "/bedrock", "", 1), date, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKID/20260102/us-east-1/aws4_request'"},
		{strings.Replace(full, "AKID", "", 1), date, "Credential must have exactly 5"},
		{strings.Replace(full, "=host", "=h"+strings.Repeat(";h", 500), 1), date, "The Authorization header names too many SignedHeaders."},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if c.auth != "" {
			r.Header.Set("Authorization", c.auth)
		}
		if c.date != "" {
			r.Header.Set("X-Amz-Date", c.date)
		}
		p, err := Parse(r)
		if c.want == "" {
			if err != nil || p.AccessKeyID != "AKID" || p.Region != "us-east-1" || p.Service != "bedrock" || len(p.SignedHeaders) != 1 || p.Signature != "00" || !p.Time.Equal(testTime) {
				t.Errorf("%q: %v, %v", c.auth, p, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q, date %q: %v, want %s", c.auth, c.date, err, c.want)
		}
	}

	// The Date header stands in for X-Amz-Date.
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", full)
	r.Header.Set("Date", testTime.Format(http.TimeFormat))
	if p, err := Parse(r); err != nil || p.stamp != date {
		t.Errorf("Date header: %v, %v", p, err)
	}
}

func TestCheckScopeNamesEverything(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Amz-Date", "20260102T030405Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/b/c/d/e, SignedHeaders=:authority, Signature=00")
	p, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	err = p.CheckScope(func(r string) bool { return r == "us-east-1" }, "bedrock", "bedrock-mantle")
	want := "Credential should be scoped to a valid region, not 'c'. Credential should be scoped to correct service: 'bedrock'. " +
		"Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. " +
		"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20260102', from '20260102T030405Z'. "
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// Clients of HTTP/2 sign :authority where those of HTTP/1.1 sign host.
func TestAuthority(t *testing.T) {
	r := httptest.NewRequest("GET", "/foundation-models", nil)
	r.Host = "localhost:4141"
	r.Header.Set("X-Amz-Date", "20260102T030405Z")
	k := keyScope{testCreds.SecretAccessKey, "20260102", "us-east-1", "bedrock"}
	canonical := "GET\n/foundation-models\n\n:authority:localhost:4141\nx-amz-date:20260102T030405Z\n\n:authority;x-amz-date\n" + EmptySHA256
	key := derive(k)
	sig := signature(&key, "20260102T030405Z", k, []byte(canonical))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/bedrock/aws4_request, SignedHeaders=:authority;x-amz-date, Signature="+string(sig[:]))
	if err := verify(r, "", testTime); err != nil {
		t.Error(err)
	}
	r.Host = "elsewhere"
	if err := verify(r, "", testTime); !errors.Is(err, ErrSignature) {
		t.Errorf("another authority: %v", err)
	}
}

// Through a real client and server, for what net/http does to a request.
func TestOverHTTP(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2=%v", h2), func(t *testing.T) {
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if err := verify(r, string(body), testTime); err != nil {
					http.Error(w, err.Error()+"\n"+fmt.Sprint(r.Header), 403)
				}
			}))
			srv.EnableHTTP2 = h2
			srv.StartTLS()
			defer srv.Close()
			rnd := rand.New(rand.NewPCG(1, 2))
			var s Signer
			for range 50 {
				r, body := randomRequest(rnd)
				u, _ := url.Parse(srv.URL)
				r.URL.Scheme, r.URL.Host = u.Scheme, u.Host
				if err := s.Sign(r, hexSum(body), testCreds, "us-east-1", "bedrock", testTime); err != nil {
					t.Fatal(err)
				}
				resp, err := srv.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				msg, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 || (resp.ProtoMajor == 2) != h2 {
					t.Errorf("%s %s %v: HTTP %d, %d %s", r.Method, r.URL, r.Header, resp.ProtoMajor, resp.StatusCode, msg)
				}
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	sign := func(change func(*http.Request), c Credentials, region string, sum string) error {
		r := httptest.NewRequest("GET", "/", nil)
		change(r)
		return new(Signer).Sign(r, sum, c, region, "bedrock", testTime)
	}
	keep := func(*http.Request) {}
	if err := sign(keep, testCreds, "us-east-1", EmptySHA256); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"no secret": sign(keep, Credentials{AccessKeyID: "A"}, "us-east-1", EmptySHA256),
		"no region": sign(keep, testCreds, "", EmptySHA256),
		"no digest": sign(keep, testCreds, "us-east-1", ""),
		"case":      sign(func(r *http.Request) { r.Header["x-a"] = []string{"1"}; r.Header.Set("X-A", "2") }, testCreds, "us-east-1", EmptySHA256),
		"query":     sign(func(r *http.Request) { r.RequestURI = "/?a=%" }, testCreds, "us-east-1", EmptySHA256),
	} {
		if err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestKeyCache(t *testing.T) {
	var s derivedKeys
	want := derive(keyScope{"s", "20260102", "r", "bedrock"})
	for i := range 3 * maxKeys {
		k := keyScope{"s", "20260102", "r", "bedrock"}
		if i%2 == 0 {
			k.secret = fmt.Sprint(i)
		}
		if got := s.of(k); (got == want) != (k.secret == "s") {
			t.Fatalf("%d: wrong key", i)
		}
	}
	if len(s.keys) > maxKeys {
		t.Errorf("%d keys are kept", len(s.keys))
	}
}

// What is kept of an access key is no secret of it: the key may be deleted.
func TestKeyCacheHoldsNoSecret(t *testing.T) {
	var s derivedKeys
	k := keyScope{testCreds.SecretAccessKey, "20260102", "us-east-1", "bedrock"}
	if first := s.of(k); s.of(k) != first || len(s.keys) != 1 {
		t.Errorf("%d keys of one", len(s.keys))
	}
	if kept := fmt.Sprintf("%q", s.keys); strings.Contains(kept, k.secret[:20]) || !strings.Contains(kept, k.region) {
		t.Errorf("kept: %s", kept)
	}
	if got := testing.AllocsPerRun(100, func() { s.of(k) }); got != 0 {
		t.Errorf("%v allocations to find a key", got)
	}
}

// A key that is kept proves nothing for another secret or Region.
func TestVerifierKeepsKeysApart(t *testing.T) {
	var v Verifier
	for range 2 {
		for _, region := range []string{"us-east-1", "eu-west-1"} {
			for _, secret := range []string{"one", "another"} {
				r := httptest.NewRequest("GET", "/", nil)
				if err := new(Signer).Sign(r, EmptySHA256, Credentials{"AKIDEXAMPLE", secret, ""}, region, "bedrock", testTime); err != nil {
					t.Fatal(err)
				}
				p, err := Parse(r)
				if err != nil {
					t.Fatal(err)
				}
				for _, with := range []string{"one", "another"} {
					err := v.CheckSignature(p, r, with, EmptySHA256)
					if (err == nil) != (with == secret) || err != nil && !errors.Is(err, ErrSignature) {
						t.Errorf("%s, signed with %s, checked with %s: %v", region, secret, with, err)
					}
				}
				if p.Region = "ap-south-1"; v.CheckSignature(p, r, secret, EmptySHA256) == nil {
					t.Error("another Region's key will do")
				}
			}
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	creds := Credentials{"AKIDEXAMPLE", "SECRET", "SECRET"}
	r := httptest.NewRequest("GET", "/", nil)
	if err := new(Signer).Sign(r, EmptySHA256, creds, "us-east-1", "bedrock", testTime); err != nil {
		t.Fatal(err)
	}
	p, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	key, err := PresignAPIKey(creds, "us-east-1", testTime, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseAPIKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{creds, &creds, p, *p, k, *k} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		json.NewEncoder(&log).Encode([]any{v})
		s := fmt.Sprintf("%v %+v %#v %s %v", v, v, v, v, struct{ V any }{v}) + log.String()
		for _, secret := range []string{"SECRET", p.Signature, k.signature} {
			if strings.Contains(s, secret) {
				t.Errorf("%T prints %s: %s", v, secret, s)
			}
		}
		if !strings.Contains(s, "AKIDEXAMPLE") {
			t.Errorf("%T does not print its key id: %s", v, s)
		}
	}
}

var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

func FuzzSignVerify(f *testing.F) {
	f.Add("POST", "/model/a%3A0/invoke", "beta=true", "X-A", " a  b ", []byte("{}"), byte(0))
	f.Add("GET", "/", "b=2&a=1&a", "My-Header", "", []byte(nil), byte(7))
	f.Add("PUT", "/%zz/ሴ", "%41=+&;=", "x_y", "\t\"", []byte("x"), byte(200))
	f.Fuzz(func(t *testing.T, method, path, query, name, value string, body []byte, flip byte) {
		r := &http.Request{Method: method, RequestURI: "/" + path, Host: "localhost:4141", Header: http.Header{}, ContentLength: int64(len(body))}
		if query != "" {
			r.RequestURI += "?" + query
		}
		r.Header.Add(name, value)
		r.Header.Add(name, value+"2")
		if !headerName.MatchString(name) || unsigned(name) || r.Header["Date"] != nil || strings.HasPrefix(http.CanonicalHeaderKey(name), "X-Amz-") {
			t.Skip() // net/http would not send it, or Sign and Parse give it a meaning
		}
		err := new(Signer).Sign(r, hexSum(body), testCreds, "us-east-1", "bedrock", testTime)
		if err != nil {
			if _, e := appendQuery(nil, query); e == nil && !strings.Contains(path, "?") {
				t.Fatalf("not signed: %v", err)
			}
			t.Skip()
		}
		if err := verify(r, string(body), testTime); err != nil {
			t.Fatalf("%v\n%+v", err, r)
		}
		sig := []byte(r.Header.Get("Authorization"))
		sig[len(sig)-1-int(flip)%64] ^= 1
		r.Header.Set("Authorization", string(sig))
		if verify(r, string(body), testTime) == nil {
			t.Fatal("an altered signature is accepted")
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20260102/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=00", "20260102T030405Z", "", "/")
	f.Add("AWS4-HMAC-SHA256 Credential=A/b/c/d/e,SignedHeaders=;:authority,Signature=", "", "Fri, 02 Jan 2026 03:04:05 GMT", "*")
	f.Add("Bearer x", "2", "", "http://h?x")
	f.Fuzz(func(t *testing.T, auth, date, httpDate, uri string) {
		r := &http.Request{Method: "GET", RequestURI: uri, URL: &url.URL{}, Host: "h", Header: http.Header{
			"Authorization": {auth}, "X-Amz-Date": {date}, "Date": {httpDate},
		}}
		if p, err := Parse(r); err == nil {
			if p.CheckScope(nil, "bedrock") == nil && p.AccessKeyID == "" {
				t.Error("no key id")
			}
			if p.Verify(r, "secret", sha256.Sum256(nil), testTime) == nil {
				t.Error("a made-up signature is accepted")
			}
		}
	})
}

func FuzzParseAPIKey(f *testing.F) {
	key, err := PresignAPIKey(Credentials{"AKIDEXAMPLE", "secret", "token/+="}, "us-east-1", testTime, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, APIKeyPrefix))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(plain))
	f.Add("bedrock.amazonaws.com/?X-Amz-Expires=1&X-Amz-Expires=1")
	f.Add("bedrock.amazonaws.com/?Version=%3")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseAPIKey(APIKeyPrefix + base64.StdEncoding.EncodeToString([]byte(s)))
		if err != nil {
			if !errors.Is(err, ErrAPIKeyFormat) {
				t.Error(err)
			}
			return
		}
		if k.AccessKeyID == "" || k.Region == "" || k.Life < time.Second || k.Life > MaxAPIKeyLife {
			t.Errorf("%+v", k)
		}
		// What verifies says what was signed, in whatever order and escapes.
		if k.Verify("secret", testTime) == nil && (k.AccessKeyID != "AKIDEXAMPLE" || k.Region != "us-east-1" || k.Life != time.Hour || !k.Time.Equal(testTime) || k.SessionToken != "token/+=") {
			t.Errorf("altered and accepted: %q", s)
		}
	})
}

func TestAllocations(t *testing.T) {
	r := signedRequest(t, "{}")
	sum := sha256.Sum256([]byte("{}"))
	if got := testing.AllocsPerRun(100, func() {
		p, err := Parse(r)
		if err != nil || p.Verify(r, testCreds.SecretAccessKey, sum, testTime) != nil {
			t.Fatal(err)
		}
	}); got > verifyBudget {
		t.Errorf("verify: %v allocations, the budget is %d", got, verifyBudget)
	}
	var s Signer
	hexa := hexSum([]byte("{}"))
	if got := testing.AllocsPerRun(100, func() {
		if err := s.Sign(r, hexa, testCreds, "us-east-1", "bedrock", testTime); err != nil {
			t.Fatal(err)
		}
	}); got > signBudget {
		t.Errorf("sign: %v allocations, the budget is %d", got, signBudget)
	}
}

const (
	verifyBudget = 6
	signBudget   = 6
)

func BenchmarkVerify(b *testing.B) {
	r := signedRequest(b, "{}")
	sum := sha256.Sum256([]byte("{}"))
	b.ReportAllocs()
	for b.Loop() {
		p, err := Parse(r)
		if err == nil {
			err = p.Verify(r, testCreds.SecretAccessKey, sum, testTime)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	r := signedRequest(b, "{}")
	sum := hexSum([]byte("{}"))
	var s Signer
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Sign(r, sum, testCreds, "us-east-1", "bedrock", testTime); err != nil {
			b.Fatal(err)
		}
	}
}
