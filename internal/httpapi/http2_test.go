package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// priorKnowledge is a transport that speaks HTTP/2 in clear at once, as the AWS
// SDK for JavaScript does.
func priorKnowledge(dial func() net.Conn) *http.Transport {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	if dial != nil {
		tr.DialContext = func(context.Context, string, string) (net.Conn, error) { return dial(), nil }
	}
	return tr
}

// signAuthority signs :authority and not host. The path must need no escapes.
func signAuthority(req *http.Request, body string, at time.Time) {
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	mac := func(key []byte, s string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(s))
		return h.Sum(nil)
	}
	stamp := at.UTC().Format("20060102T150405Z")
	scope := stamp[:8] + "/us-west-2/bedrock/aws4_request"
	canonical := strings.Join([]string{req.Method, req.URL.Path, "", ":authority:" + req.URL.Host, "x-amz-date:" + stamp, "", ":authority;x-amz-date", sum(body)}, "\n")
	key := []byte("AWS4" + testSecret)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+sum(canonical))
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+testKey+"/"+scope+", SignedHeaders=:authority;x-amz-date, Signature="+hex.EncodeToString(signature))
}

func serveHTTP2(t *testing.T, s *setup) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httpapi.NewHTTPServer(s.Server, s.Log)
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return "http://" + ln.Addr().String()
}

// TestHTTP2InClear: prior knowledge, :authority signed, plain and streamed; a
// signature for another authority does not pass; HTTP/1.1 is served beside it.
func TestHTTP2InClear(t *testing.T) {
	s := newSetup(t, scripted.Scenario{})
	base := serveHTTP2(t, s)
	tr := priorKnowledge(nil)
	defer tr.CloseIdleConnections()
	for _, path := range []string{invokePath, invokePath + "-with-response-stream"} {
		for _, authority := range []bool{true, false} {
			req, err := http.NewRequest("POST", base+path, strings.NewReader(invokeBody))
			if err != nil {
				t.Fatal(err)
			}
			if authority {
				signAuthority(req, invokeBody, s.Clock)
			} else {
				s.sign(t, req, []byte(invokeBody))
			}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.ProtoMajor != 2 || resp.StatusCode != 200 || resp.Header.Get("request-id") == "" {
				t.Errorf("%s, authority %v: %s %d %v %s", path, authority, resp.Proto, resp.StatusCode, err, raw)
			}
			if strings.HasSuffix(path, "stream") {
				n := 0
				for r := eventstream.NewReader(bytes.NewReader(raw)); ; n++ {
					if _, err := r.Next(); err == io.EOF {
						break
					} else if err != nil {
						t.Fatal(err)
					}
				}
				if n < 5 {
					t.Errorf("%d frames", n)
				}
			}
		}
	}
	req, err := http.NewRequest("POST", base+invokePath, strings.NewReader(invokeBody))
	if err != nil {
		t.Fatal(err)
	}
	signAuthority(req, invokeBody, s.Clock)
	req.Host = "elsewhere.test"
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("another authority: %d", resp.StatusCode)
	}
	if resp, _ := s.send(t, base, "POST", invokePath, invokeBody); resp.StatusCode != 200 || resp.ProtoMajor != 1 {
		t.Errorf("%s %d", resp.Proto, resp.StatusCode)
	}
}

// TestHTTP2LivesThroughSilence: a model that thinks for minutes does not lose its
// stream. The time for a write to be taken is not a time between writes.
func TestHTTP2LivesThroughSilence(t *testing.T) {
	scenario := scripted.Scenario{Rules: []scripted.Rule{{Answer: scripted.Answer{FrameDelay: 3 * time.Minute}}}}
	for _, st := range streams {
		t.Run(st.name, func(t *testing.T) {
			served(t, scenario, func(t *testing.T, s *setup, p *pipes) {
				tr := priorKnowledge(p.dial)
				defer tr.CloseIdleConnections()
				resp, err := tr.RoundTrip(s.request(t, "http://outcrop.test", st.path, st.body))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				raw, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatalf("%v after %d bytes", err, len(raw))
				}
			})
		})
	}
}

// TestHTTP2ClientThatTakesNothing: there too, a client that takes no bytes is cut.
func TestHTTP2ClientThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled := make(chan time.Duration, 1)
		begun := time.Now()
		s := newSetupOver(t, &endless{onEnd: func() { cancelled <- time.Since(begun) }})
		s.Clock = time.Now()
		srv := httpapi.NewHTTPServer(s.Server, s.Log)
		p := newPipes()
		done := make(chan error, 1)
		go func() { done <- srv.Serve(p) }()
		tr := priorKnowledge(p.dial)
		resp, err := tr.RoundTrip(s.request(t, "http://outcrop.test", streams[0].path, streams[0].body))
		if err != nil {
			t.Fatal(err)
		}
		// It reads no byte of the body, so the stream's window fills.
		if took := <-cancelled; took < 59*time.Second || took > 62*time.Second {
			t.Errorf("upstream cancelled after %v, want 60 s", took)
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
		srv.Close()
		<-done
		time.Sleep(5 * time.Second)
	})
}

// TestKeepAliveAfterSilence: a write deadline of one answer does not fall on the
// next request of its connection.
func TestKeepAliveAfterSilence(t *testing.T) {
	served(t, scripted.Scenario{}, func(t *testing.T, s *setup, p *pipes) {
		c := p.dial()
		defer c.Close()
		r := bufio.NewReader(c)
		for i := range 2 {
			go fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			io.Copy(io.Discard, resp.Body)
			time.Sleep(100 * time.Second)
		}
		// The server's own word comes before our first write.
		go func() {
			req := s.request(t, "http://outcrop.test", invokePath, invokeBody)
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: outcrop.test\r\nExpect: 100-continue\r\nContent-Length: %d\r\n", invokePath, len(invokeBody))
			req.Header.Write(c)
			fmt.Fprint(c, "\r\n")
		}()
		line, err := r.ReadString('\n')
		if err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("%q %v", line, err)
		}
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		s.Clock = time.Now()
		go io.WriteString(c, invokeBody)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%+v %v", resp, err)
		}
		io.Copy(io.Discard, resp.Body)
	})
}

// TestSniffTLS: one port for TLS and clear text; h2 by ALPN, HTTP/1.1 without; a
// client that says nothing holds up nobody.
func TestSniffTLS(t *testing.T) {
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	cfg, trusting := certified.TLS.Clone(), certified.Client().Transport.(*http.Transport).TLSClientConfig
	certified.Close()
	cfg.NextProtos = []string{"h2", "http/1.1"}

	s := newSetup(t, scripted.Scenario{})
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := httpapi.SniffTLS(tcp, cfg)
	srv := httpapi.NewHTTPServer(s.Server, s.Log)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	addr := tcp.Addr().String()

	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, test := range map[string]struct {
		url   string
		tr    *http.Transport
		major int
	}{
		"clear":                     {"http://", &http.Transport{}, 1},
		"clear, HTTP/2":             {"http://", priorKnowledge(nil), 2},
		"TLS, HTTP/2":               {"https://", &http.Transport{TLSClientConfig: trusting.Clone(), ForceAttemptHTTP2: true}, 2},
		"TLS, HTTP/1.1":             {"https://", &http.Transport{TLSClientConfig: trusting.Clone(), TLSNextProto: nil, Protocols: onlyHTTP1()}, 1},
		"TLS, HTTP/1.1, bearer key": {"https://", &http.Transport{TLSClientConfig: trusting.Clone(), Protocols: onlyHTTP1()}, 1},
	} {
		req, err := http.NewRequest("POST", test.url+addr+invokePath, strings.NewReader(invokeBody))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(name, "bearer") {
			req.Header.Set("X-Test-Auth", "bearer")
		}
		s.sign(t, req, []byte(invokeBody))
		resp, err := test.tr.RoundTrip(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		raw, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		test.tr.CloseIdleConnections()
		if resp.StatusCode != 200 || resp.ProtoMajor != test.major {
			t.Errorf("%s: %s %d %s", name, resp.Proto, resp.StatusCode, raw)
		}
	}
	// The silent one may still speak, a byte at a time.
	for _, b := range []byte("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") {
		if _, err := silent.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if resp, err := http.ReadResponse(bufio.NewReader(silent), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("%+v %v", resp, err)
	}
	srv.Close()
	<-done
	if _, err := ln.Accept(); err == nil {
		t.Error("accepts after its end")
	}
}

func onlyHTTP1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// faltering is a listener whose first accepts fail, as they do when there are no
// file descriptors left.
type faltering struct {
	*pipes
	failures int
}

type passing struct{}

func (passing) Error() string   { return "too many open files" }
func (passing) Timeout() bool   { return false }
func (passing) Temporary() bool { return true }

func (f *faltering) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, passing{}
	}
	return f.pipes.Accept()
}

func TestSniffTLSOutlivesPassingErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSetup(t, scripted.Scenario{})
		srv := httpapi.NewHTTPServer(s.Server, s.Log)
		p := newPipes()
		done := make(chan error, 1)
		go func() { done <- srv.Serve(httpapi.SniffTLS(&faltering{p, 3}, nil)) }()
		c := p.dial()
		go fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
			t.Errorf("%+v %v", resp, err)
		}
		c.Close()
		// Who says nothing is cut.
		begun := time.Now()
		io.ReadAll(p.dial())
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("cut after %v", took)
		}
		srv.Close()
		<-done
		time.Sleep(5 * time.Second)
	})
}
