package bedrock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outcrop-dev/outcrop/bedrock"
)

// A wait that the caller's deadline would cut short is none: the service's own
// error comes at once, and not "deadline exceeded" later. The timeout of an attempt
// is no such deadline.
func TestDeadlines(t *testing.T) {
	for _, tc := range []struct {
		name    string
		after   string // the service's retry-after, in seconds
		timeout time.Duration
		opts    []bedrock.ClientOption
		calls   int
		err     error
		took    time.Duration
	}{
		{"there is time", "7", time.Minute, nil, 3, bedrock.ErrThrottling, 14 * time.Second},
		{"there is time for one", "7", 10 * time.Second, nil, 2, bedrock.ErrThrottling, 7 * time.Second},
		{"there is none", "7", 5 * time.Second, nil, 1, bedrock.ErrThrottling, 0},
		{"an attempt's timeout", "7", time.Minute, []bedrock.ClientOption{bedrock.WithTimeout(5 * time.Second)}, 3, bedrock.ErrThrottling, 14 * time.Second},
		{"longer than anyone waits", "61", time.Hour, nil, 1, bedrock.ErrThrottling, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clean(t)
				calls := 0
				d := doer(func(r *http.Request) (*http.Response, error) {
					calls++
					return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {tc.after}}, Body: http.NoBody, Request: r}, nil
				})
				c, err := bedrock.New(t.Context(), append(tc.opts, bedrock.WithAccessKey(keyID, secret), bedrock.WithHTTPClient(d))...)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), tc.timeout)
				defer cancel()
				start := time.Now()
				_, err = c.Messages.New(ctx, hello(opus46))
				if took := time.Since(start); calls != tc.calls || !errors.Is(err, tc.err) || took != tc.took {
					t.Errorf("%d calls in %v: %v", calls, took, err)
				}
			})
		})
	}
}

// A connection that fails is tried again after a random wait below a bound that
// doubles, and its error says where it should have gone.
func TestConnectionErrors(t *testing.T) {
	refused := errors.New("connection refused")
	waits := map[time.Duration]bool{}
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			clean(t)
			calls := 0
			d := doer(func(r *http.Request) (*http.Response, error) { calls++; return nil, refused })
			c, err := bedrock.New(t.Context(), bedrock.WithAccessKey(keyID, secret), bedrock.WithHTTPClient(d))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = c.Messages.New(t.Context(), hello(opus46))
			took := time.Since(start)
			var e *bedrock.Error
			if calls != 3 || took > 3*time.Second || !errors.Is(err, bedrock.ErrConnection) || !errors.Is(err, refused) || !errors.As(err, &e) ||
				e.Region != "us-east-1" || !strings.Contains(err.Error(), "no answer from https://bedrock-runtime.us-east-1.amazonaws.com: connection refused") {
				t.Errorf("%d calls in %v: %v", calls, took, err)
			}
			waits[took] = true
		})
	}
	if len(waits) < 2 {
		t.Errorf("waits %v", waits)
	}
	c := from(t, "application/json", func() io.ReadCloser { return io.NopCloser(io.MultiReader(bytes.NewReader([]byte(`{"id"`)), broken{})) })
	if _, err := c.Messages.New(t.Context(), hello(opus46)); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("an answer that breaks off: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// A provider of the caller's that fails is asked again; the default chain, which
// has found nothing, is not.
func TestCredentialsThatFailForAMoment(t *testing.T) {
	for _, tc := range []struct {
		fails, asked, sent int
	}{{1, 2, 1}, {9, 3, 0}} {
		synctest.Test(t, func(t *testing.T) {
			clean(t)
			asked, sent := 0, 0
			c, err := bedrock.New(t.Context(), bedrock.WithHTTPClient(doer(func(r *http.Request) (*http.Response, error) {
				sent++
				return canned("application/json", []byte(answerA)).Do(r)
			})), bedrock.WithCredentialsProvider(provider(func() (aws.Credentials, error) {
				if asked++; asked <= tc.fails {
					return aws.Credentials{}, errors.New("could not reach the metadata service")
				}
				return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, nil
			})))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Messages.New(t.Context(), hello(opus46))
			if asked != tc.asked || sent != tc.sent || (sent == 0) != errors.Is(err, bedrock.ErrNoCredentials) {
				t.Errorf("asked %d times, sent %d: %v", asked, sent, err)
			}
		})
	}
}
