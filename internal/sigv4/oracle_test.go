package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var (
	testCreds = Credentials{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""}
	testTime  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// randomRequest makes a client's request: odd paths, queries and headers, all
// of which net/http would send.
func randomRequest(rnd *rand.Rand) (*http.Request, []byte) {
	pick := func(s ...string) string { return s[rnd.IntN(len(s))] }
	path := pick("/", "/model/global.anthropic.claude-opus-4-6-v1:0/invoke",
		"/model/anthropic.claude-opus-4-6-v1%3A0/invoke-with-response-stream",
		"/inference-profiles/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile%2Fabc",
		"/model/a%20b+c%25d~e'(f)*!/converse", "//model//x", "/%E1%88%B4/@$&;=,")
	var query []string
	for range rnd.IntN(5) {
		query = append(query, pick("beta", "type", "A", "b-", "b", "%7E", "x%20y", "X-Amz-Z")+pick("=", "=true", "=a%2Fb", "=a-b", "=a+b", "=%E1%88%B4", ""))
	}
	u := "http://" + pick("127.0.0.1:4141", "localhost", "bedrock-runtime.us-east-1.amazonaws.com", "[::1]:9") + path
	if len(query) > 0 {
		u += "?" + strings.Join(query, "&")
	}
	body := make([]byte, rnd.IntN(3)*rnd.IntN(200))
	for i := range body {
		body[i] = byte(rnd.Uint32())
	}
	r, err := http.NewRequest(pick("GET", "POST", "PUT"), u, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	for range rnd.IntN(6) {
		r.Header.Add(pick("Content-Type", "accept", "X-Amzn-Bedrock-Trace", "anthropic-beta", "x-stainless-lang", "My_Header"),
			pick("application/json", "  two   spaces ", "", "a,b", "\"q  q\"", "UPPER"))
	}
	return r, body
}

// onWire gives the request as a server's net/http reads it.
func onWire(t *testing.T, r *http.Request, body []byte) *http.Request {
	t.Helper()
	var buf bytes.Buffer
	c := r.Clone(context.Background())
	c.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) == 0 {
		c.Body = http.NoBody
	}
	if err := c.Write(&buf); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufioReader(&buf))
	if err != nil {
		t.Fatalf("%v\n%s", err, buf.Bytes())
	}
	return got
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// The SDK's signer signs, we verify; then we sign, and the SDK's signer must
// come to the same signature for the headers that both of us sign.
func TestOracle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 1))
	sdk := v4.NewSigner()
	for i := range 2000 {
		creds := testCreds
		if i%3 == 0 {
			creds.SessionToken = "SESSION/TOKEN+="
		}
		awsCreds := aws.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: creds.SecretAccessKey, SessionToken: creds.SessionToken}
		r, body := randomRequest(rnd)
		what := fmt.Sprintf("%d: %s %s %v", i, r.Method, r.URL, r.Header)

		theirs := r.Clone(t.Context())
		if err := sdk.SignHTTP(t.Context(), awsCreds, theirs, hexSum(body), "bedrock", "us-east-1", testTime); err != nil {
			t.Fatal(what, err)
		}
		got := onWire(t, theirs, body)
		p, err := Parse(got)
		if err != nil {
			t.Fatal(what, err)
		}
		if err := p.Verify(got, creds.SecretAccessKey, sha256.Sum256(body), testTime); err != nil {
			t.Errorf("%s: the SDK's signature: %v", what, err)
		}

		ours := r.Clone(t.Context())
		var s Signer
		if err := s.Sign(ours, hexSum(body), creds, "us-east-1", "bedrock", testTime); err != nil {
			t.Fatal(what, err)
		}
		if got, want := ours.Header.Get("Authorization"), theirs.Header.Get("Authorization"); got != want {
			t.Errorf("%s: we sign\n%s\nthe SDK signs\n%s", what, got, want)
		}
	}
}

func TestPresignOracle(t *testing.T) {
	sdk := v4.NewSigner()
	for _, token := range []string{"", "TOKEN/+= x"} {
		for _, life := range []time.Duration{time.Second, time.Hour, 12 * time.Hour} {
			q := url.Values{"Action": {"CallWithBearerToken"}, "X-Amz-Expires": {fmt.Sprint(int(life.Seconds()))}}
			r := httptest.NewRequest("POST", "https://bedrock.amazonaws.com/?"+q.Encode(), nil)
			signed, _, err := sdk.PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret", SessionToken: token},
				r, EmptySHA256, "bedrock", "eu-west-1", testTime)
			if err != nil {
				t.Fatal(err)
			}
			u, _ := url.Parse(signed)
			key, err := PresignAPIKey(Credentials{"AKID", "secret", token}, "eu-west-1", testTime, life)
			if err != nil {
				t.Fatal(err)
			}
			p, err := ParseAPIKey(key)
			if err != nil {
				t.Fatal(err)
			}
			if want := u.Query().Get("X-Amz-Signature"); p.signature != want {
				t.Errorf("token %q, life %v: %s, want %s", token, life, p.signature, want)
			}
		}
	}
}
