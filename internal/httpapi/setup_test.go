package httpapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

const (
	testAccount = "123456789012"
	testKey     = "AKIAIOSFODNN7EXAMPLE"
	testSecret  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	testAPIKey  = "ABSKQmVkcm9ja0FQSUtleS1hYmNkLWF0LTEyMzQ1Njc4OTAxMjpzZWNyZXQ="
)

// setup is a whole front door over a scripted upstream, with the clock stopped.
type setup struct {
	*httpapi.Server
	Records *activity.Ring
	Clock   time.Time
}

func newSetup(t testing.TB, scenario scripted.Scenario) *setup {
	t.Helper()
	up, err := scripted.New(scenario)
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	up.WithIDs(func() string { return fmt.Sprintf("%024d", n.Add(1)) })
	return newSetupOver(t, up)
}

func newSetupOver(t testing.TB, up gateway.Upstream) *setup {
	t.Helper()
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{Records: activity.NewRing(100), Clock: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return s.Clock }
	owner := identity.Owner{Account: testAccount, Partition: "aws", ARN: "arn:aws:iam::" + testAccount + ":user/admin", UserID: "AIDAEXAMPLE"}
	keys := identity.NewRing(
		[]identity.AccessKey{{Owner: owner, ID: testKey, Secret: testSecret}},
		[]identity.APIKey{{Owner: owner, ID: "BedrockAPIKey-abcd", Sum: sha256.Sum256([]byte(testAPIKey))}})
	own := &access.Service{Store: access.NewMemory(), Catalog: c, Now: now, Buckets: oneBucket{}}
	s.Server = &httpapi.Server{
		Gateway: &gateway.Gateway{Catalog: c, Policy: catalog.Policy{Own: own.MadeFrom, OwnHere: true}, Region: "us-east-1", Upstream: up, Access: own, Log: s.Records, Now: now},
		Access:  own,
		Auth:    &identity.Authenticator{Keys: keys, Region: "us-east-1", Now: now},
		Account: testAccount, Version: "test", Hop: "test-hop", Bodies: httpapi.NewBudget(1 << 30),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: now,
	}
	return s
}

// sign signs req as its X-Test-* headers say: X-Test-Auth none, wrong or bearer;
// X-Test-Region and X-Test-Service change the scope. They are not sent.
func (s *setup) sign(t testing.TB, req *http.Request, body []byte) {
	t.Helper()
	take := func(name, otherwise string) string {
		v := req.Header.Get(name)
		req.Header.Del(name)
		if v == "" {
			return otherwise
		}
		return v
	}
	auth := take("X-Test-Auth", "sigv4")
	region, service := take("X-Test-Region", "us-west-2"), take("X-Test-Service", "bedrock")
	age, err := time.ParseDuration(take("X-Test-Age", "0s"))
	if err != nil {
		t.Fatal(err)
	}
	c := sigv4.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}
	switch auth {
	case "none":
		return
	case "bearer":
		req.Header.Set("Authorization", "Bearer "+testAPIKey)
		return
	case "x-api-key":
		req.Header.Set("X-Api-Key", testAPIKey)
		return
	case "unknown":
		c.AccessKeyID = "AKIAUNKNOWNUNKNOWN00"
	case "wrong":
		c.SecretAccessKey += "x"
	}
	sum := sha256.Sum256(body)
	if auth == "altered" {
		sum = sha256.Sum256(append(body, ' '))
	}
	if err := new(sigv4.Signer).Sign(req, hex.EncodeToString(sum[:]), c, region, service, s.Clock.Add(-age)); err != nil {
		t.Fatal(err)
	}
	switch auth {
	case "unsigned":
		req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	case "streaming":
		req.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
	}
}
