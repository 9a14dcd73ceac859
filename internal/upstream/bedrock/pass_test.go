//go:build unix

package bedrock

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// BenchmarkPassThrough is a call through a whole server and back, over TCP: its
// SigV4 verified, routed, signed anew, metered, recorded. Beside it are
// httputil.ReverseProxy, which does none of that, and no server at all, whose
// cost, client and upstream, is in the others too.
func BenchmarkPassThrough(b *testing.B) {
	whole := bytes.Replace([]byte(answer1), []byte("Hi"), bytes.Repeat([]byte("sixteen letters "), 128), 1)
	frames := chunks(events1[:2]...)
	for range 50 {
		frames = append(frames, chunk(events1[2]))
	}
	frames = append(frames, chunks(events1[4:]...)...)
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if !strings.HasSuffix(r.URL.Path, "stream") {
			w.Header().Set("Content-Type", "application/json")
			w.Write(whole)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		for _, f := range frames {
			w.Write(f)
			w.(http.Flusher).Flush()
		}
	}))
	b.Cleanup(aws.Close)
	u, err := New(b.Context(), Options{Endpoints: Endpoints{Runtime: aws.URL}, Accounts: []Account{{Credentials: static{keyID, keySecret, ""}}}, Idle: time.Minute, FirstContent: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { u.Close() })
	c, err := theCatalog()
	if err != nil {
		b.Fatal(err)
	}
	owner := identity.Owner{Account: "999999999999", Partition: "aws", ARN: "arn:aws:iam::999999999999:user/client", UserID: "AIDACLIENT"}
	outcrop := httptest.NewServer(&httpapi.Server{
		Gateway: &gateway.Gateway{Catalog: c, Region: "us-east-1", Upstream: u, Log: activity.NewRing(1000), Now: time.Now,
			Health: routing.NewHealth(routing.Options{}), Accounts: u.Accounts()},
		Auth: &identity.Authenticator{Keys: identity.NewRing([]identity.AccessKey{{Owner: owner, ID: clientKey.AccessKeyID, Secret: clientKey.SecretAccessKey}}, nil), Region: "us-east-1", Now: time.Now},
		Hop:  "front", Account: owner.Account, Bodies: httpapi.NewBudget(1 << 30), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	b.Cleanup(outcrop.Close)
	target, err := url.Parse(aws.URL)
	if err != nil {
		b.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, FlushInterval: -1,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64}})
	b.Cleanup(proxy.Close)

	body := strings.Replace(helloBody, "Hello", strings.Repeat("Hello ", 300), 1)
	sum := sha256.Sum256([]byte(body))
	var signer sigv4.Signer
	for _, call := range []string{"invoke", "invoke-with-response-stream"} {
		for _, by := range []struct{ name, url string }{{"none", aws.URL}, {"ReverseProxy", proxy.URL}, {"outcrop", outcrop.URL}} {
			b.Run(call+"/"+by.name, func(b *testing.B) {
				path := by.url + "/model/global.anthropic.claude-opus-4-6-v1/" + call
				signed, err := http.NewRequest(http.MethodPost, path, strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				if err := signer.Sign(signed, hex.EncodeToString(sum[:]), clientKey, "us-east-1", "bedrock", time.Now()); err != nil {
					b.Fatal(err)
				}
				client := &http.Transport{MaxIdleConnsPerHost: 64}
				defer client.CloseIdleConnections()
				b.ReportAllocs()
				before := cpu(b)
				for b.Loop() {
					req := signed.Clone(b.Context())
					req.Body = io.NopCloser(strings.NewReader(body))
					resp, err := client.RoundTrip(req)
					if err != nil {
						b.Fatal(err)
					}
					n, err := io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if err != nil || resp.StatusCode != http.StatusOK || n < 2000 {
						b.Fatal(resp.StatusCode, n, err)
					}
				}
				b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
			})
		}
	}
}

// cpu is what the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
