package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// before sends the requests of a transcript's "before", which lines of three
// hyphens part. All must succeed.
func (s *setup) before(t *testing.T, base, text string, made *madeIDs) {
	t.Helper()
	if strings.TrimSpace(text) == "" {
		return
	}
	for part := range strings.SplitSeq(text, "\n---\n") {
		req, body := parseRequest(t, base, made.fill(part))
		s.sign(t, req, body)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("before: %s: %d %s %v", part, resp.StatusCode, answer, err)
		}
		made.see(string(answer))
	}
}

// madeIDs puts ids that the server makes up in place of {profile} and {token},
// and back.
type madeIDs struct{ profile, token string }

var (
	profileID  = regexp.MustCompile(`:application-inference-profile/([a-z0-9]{12})`)
	offerToken = regexp.MustCompile(`"offerToken":"([^"]+)"`)
)

func (m *madeIDs) see(text string) {
	if id := profileID.FindStringSubmatch(text); id != nil {
		m.profile = id[1]
	}
	if token := offerToken.FindStringSubmatch(text); token != nil {
		m.token = token[1]
	}
}

func (m *madeIDs) fill(text string) string {
	return strings.NewReplacer("{profile}", m.profile, "{token}", m.token).Replace(text)
}

func (m *madeIDs) hide(text string) string {
	if m.profile != "" {
		text = strings.ReplaceAll(text, m.profile, "{profile}")
	}
	if m.token != "" {
		text = strings.ReplaceAll(text, m.token, "{token}")
	}
	return text
}

// oneBucket is all that an operator has given a place to.
type oneBucket struct{}

func (oneBucket) Has(name string) bool                                { return name == "invocation-logs" }
func (oneBucket) Check(context.Context, string, string, string) error { return nil }
