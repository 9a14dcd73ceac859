package bedrock

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// What AWS says of our own credentials is the operator's: the log has it, with
// what to do, once a minute; the client hears that the upstream cannot be used.
// A session token, which AWS repeats with the request, goes nowhere.
func TestRefusedCredentialsAreSaid(t *testing.T) {
	const canonical = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'POST\nx-amz-security-token:FwoGTOKEN"
	tests := []struct {
		name, exception, text string
		bearer                bool
		do                    string
	}{
		{"expired", "ExpiredTokenException", "The security token included in the request is expired", false, "aws sso login"},
		{"unknown", "UnrecognizedClientException", "The security token included in the request is invalid.", false, "an access key that exists"},
		{"signature", "InvalidSignatureException", canonical, false, "the secret access key, and this machine's clock"},
		{"key", "", "Authentication failed: Please make sure your API Key is valid.", true, "a Bedrock API key that is valid in this Region"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			now := time.Now()
			f := serve(t, func(w http.ResponseWriter, _ *http.Request, _ seen) {
				if tt.exception == "" {
					w.WriteHeader(403)
					fmt.Fprintf(w, `{"Message":%q}`, tt.text)
					return
				}
				fail(w, 403, tt.exception, tt.text)
			})
			u := connect(t, f, func(o *Options) {
				o.Log, o.Now = slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now }
				o.Accounts[0].Name = "production"
				if tt.bearer {
					o.Accounts[0].Credentials, o.Accounts[0].Bearer = nil, "ABSKsecret"
				}
			})
			r := withAccount(t, u, opus46)
			call := func() *messages.Error {
				_, err := u.Send(t.Context(), r, request(t, helloBody, false))
				for _, secret := range []string{"FwoG", "ABSKsecret", keySecret} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("the record would hold a secret: %v", err)
					}
				}
				return asError(t, err)
			}
			e := call()
			if e.Kind != messages.Unavailable || e.Message != "The upstream bedrock refused this server's credentials." || e.Hint != "" {
				t.Errorf("the client is told %q, %q", e.Message, e.Hint)
			}
			said := log.String()
			if !strings.Contains(said, tt.do) || !strings.Contains(said, "account=production") || !strings.Contains(said, "region=us-east-1") || strings.Contains(said, "FwoG") || strings.Contains(said, "secret\n") {
				t.Errorf("the log says %s", said)
			}
			call()
			if strings.Count(log.String(), "\n") != 1 {
				t.Errorf("it is said twice within a minute: %s", log.String())
			}
			now = now.Add(noticeEvery)
			call()
			if strings.Count(log.String(), "\n") != 2 {
				t.Errorf("it is not said again: %s", log.String())
			}
		})
	}
}

func TestNoCredentialsAreSaid(t *testing.T) {
	aside(t, "", nil)
	var log bytes.Buffer
	u := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request, _ seen) { io.WriteString(w, answer1) }), func(o *Options) {
		o.Accounts, o.Log = nil, slog.New(slog.NewTextHandler(&log, nil))
	})
	if _, err := u.Send(t.Context(), route(t, opus46), request(t, helloBody, false)); asError(t, err).Kind != messages.Unavailable {
		t.Error(err)
	}
	if said := log.String(); !strings.Contains(said, "AWS_PROFILE or AWS_ACCESS_KEY_ID") || !strings.Contains(said, "account=default") {
		t.Errorf("the log says %s", said)
	}
}
