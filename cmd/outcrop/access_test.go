package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An agreement with anybody but Outcrop is a contract, which a program may not
// enter by itself.
func TestRequestAsks(t *testing.T) {
	var asked []string
	notOutcrop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(body))
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/list-foundation-model-agreement-offers/anthropic.claude-opus-5":
			fmt.Fprint(w, `{"modelId":"anthropic.claude-opus-5","offers":[{"offerId":"offer-1","offerToken":"secret","termDetails":{"usageBasedPricingTerm":{"rateCard":[]},"legalTerm":{"url":"https://terms.example/eula?X-Amz-Signature=abc"},"supportTerm":{}}}]}`)
		case "/create-foundation-model-agreement", "/delete-foundation-model-agreement":
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"modelId":"anthropic.claude-opus-5"}`)
		default:
			fmt.Fprint(w, `{"modelId":"anthropic.claude-opus-5","agreementAvailability":{"status":"PENDING"},"authorizationStatus":"AUTHORIZED","entitlementAvailability":"AVAILABLE","regionAvailability":"AVAILABLE"}`)
		}
	}))
	defer notOutcrop.Close()
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIAMINE", "AWS_SECRET_ACCESS_KEY": "mine", "AWS_REGION": "us-east-1", "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none"} {
		t.Setenv(name, value)
	}
	outcrop := func(args ...string) (string, int) {
		asked = nil
		var said bytes.Buffer
		code := run(context.Background(), append([]string{"access"}, args...), console{strings.NewReader("y\n"), &said, &said})
		return said.String(), code
	}

	said, code := outcrop("request", "--endpoint", notOutcrop.URL, "claude-opus-5")
	if code != exitUsage || !strings.Contains(said, "its terms are at https://terms.example/eula: read them, then say --yes") || len(asked) != 1 {
		t.Errorf("%d %s%v", code, said, asked)
	}
	said, code = outcrop("request", "--endpoint", notOutcrop.URL, "--yes", "claude-opus-5")
	if code != 0 || !strings.Contains(said, "anthropic.claude-opus-5\tpending\n") || !strings.Contains(said, "a few minutes") || len(asked) != 3 || !strings.Contains(asked[1], `"offerToken":"secret"`) {
		t.Errorf("%d %s%v", code, said, asked)
	}
	said, code = outcrop("revoke", "--endpoint", notOutcrop.URL, "claude-opus-5")
	if code != 0 || !strings.Contains(said, "only a policy keeps it away") {
		t.Errorf("%d %s", code, said)
	}
}
