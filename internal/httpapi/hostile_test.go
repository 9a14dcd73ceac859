package httpapi_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// pipes is a listener inside a synctest bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// served runs test against a server in a bubble whose clock only moves when all
// wait.
func served(t *testing.T, scenario scripted.Scenario, test func(t *testing.T, s *setup, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSetup(t, scenario)
		s.Clock = time.Now()
		srv := httpapi.NewHTTPServer(s.Server, s.Log)
		p := newPipes()
		done := make(chan error, 1)
		go func() { done <- srv.Serve(p) }()
		test(t, s, p)
		srv.Close()
		<-done
		time.Sleep(5 * time.Second) // net/http lingers after some refusals
	})
}

func TestSlowHeaderIsCut(t *testing.T) {
	served(t, scripted.Scenario{}, func(t *testing.T, _ *setup, p *pipes) {
		c := p.dial()
		start := time.Now()
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		io.ReadAll(c) // until the server closes
		if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
			t.Fatalf("cut after %v, want 10 s", took)
		}
	})
}

func TestIdleConnectionIsCut(t *testing.T) {
	served(t, scripted.Scenario{}, func(t *testing.T, _ *setup, p *pipes) {
		c := p.dial()
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		start := time.Now()
		io.ReadAll(r)
		if took := time.Since(start); took < 119*time.Second || took > 121*time.Second {
			t.Fatalf("cut after %v, want 120 s", took)
		}
	})
}

func TestLargeHeaderIsRefused(t *testing.T) {
	served(t, scripted.Scenario{}, func(t *testing.T, _ *setup, p *pipes) {
		c := p.dial()
		go fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: %s\r\n\r\n", strings.Repeat("a", 80<<10))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Fatalf("status %d", resp.StatusCode)
		}
		c.Close()
	})
}

// head writes the signed head of a request whose body will come by hand.
func (s *setup) head(t *testing.T, c net.Conn, path, body string) {
	req := s.request(t, "http://outcrop.test", path, body)
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: outcrop.test\r\nContent-Length: %d\r\n", path, len(body))
	req.Header.Write(c)
	fmt.Fprint(c, "\r\n")
}

func TestSlowBodyIsCut(t *testing.T) {
	served(t, scripted.Scenario{}, func(t *testing.T, s *setup, p *pipes) {
		c := p.dial()
		start := time.Now()
		body := streams[0].body + strings.Repeat(" ", 200<<10)
		go func() {
			s.head(t, c, streams[0].path, body)
			for i := 0; i < len(body); i += 512 { // 1 KB a second, a sixteenth of what must come
				if _, err := io.WriteString(c, body[i:i+512]); err != nil {
					return
				}
				time.Sleep(500 * time.Millisecond)
			}
		}()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 400 || !bytes.Contains(got, []byte("slower than")) {
			t.Fatalf("%d %s", resp.StatusCode, got)
		}
		if took := time.Since(start); took < 10*time.Second || took > 12*time.Second {
			t.Fatalf("cut after %v", took)
		}
		c.Close()
	})
}

// TestClientThatTakesNothing: after 60 s without a byte taken the client is cut
// and its upstream cancelled.
func TestClientThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled := make(chan time.Duration, 1)
		start := time.Now()
		up := &endless{onEnd: func() { cancelled <- time.Since(start) }}
		s := newSetupOver(t, up)
		s.Clock = time.Now()
		srv := httpapi.NewHTTPServer(s.Server, s.Log)
		p := newPipes()
		done := make(chan error, 1)
		go func() { done <- srv.Serve(p) }()
		c := p.dial()
		s.head(t, c, streams[0].path, streams[0].body)
		io.WriteString(c, streams[0].body)
		// It reads no byte of the answer.
		took := <-cancelled
		if took < 59*time.Second || took > 62*time.Second {
			t.Errorf("upstream cancelled after %v, want 60 s", took)
		}
		c.Close()
		srv.Close()
		<-done
		time.Sleep(5 * time.Second) // net/http lingers after some refusals
	})
}

func TestBodyBudget(t *testing.T) {
	s := newSetup(t, scripted.Scenario{})
	s.Bodies = httpapi.NewBudget(100)
	body := streams[0].body + strings.Repeat(" ", 200)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", streams[0].path, strings.NewReader(body))
	r.Host = "outcrop.test"
	req := s.request(t, "http://outcrop.test", streams[0].path, body)
	r.Header = req.Header
	s.ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("X-Amzn-Errortype") != "ServiceUnavailableException" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	// What was refused holds nothing: a small one still fits.
	small := `{}`
	w = httptest.NewRecorder()
	r = httptest.NewRequest("POST", streams[0].path, strings.NewReader(small))
	r.Host = "outcrop.test"
	r.Header = s.request(t, "http://outcrop.test", streams[0].path, small).Header
	s.ServeHTTP(w, r)
	if w.Code != 400 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func TestBodyTooLarge(t *testing.T) {
	for _, test := range []struct {
		path, kind string
		limit      int64
		status     int
	}{
		{streams[0].path, "ValidationException", httpapi.MaxInvokeBody, 400},
		{streams[1].path, "ValidationException", httpapi.MaxMessagesBody, 413},
	} {
		for _, chunked := range []bool{false, true} {
			s := newSetup(t, scripted.Scenario{})
			server := httptest.NewServer(s.Server)
			body := bytes.Repeat([]byte(" "), int(test.limit)+1)
			req, err := http.NewRequest("POST", server.URL+test.path, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			s.sign(t, req, body)
			if chunked {
				req.ContentLength = -1
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != test.status || !bytes.Contains(got, fmt.Append(nil, test.limit)) {
				t.Errorf("%s chunked=%v: %d %s", test.path, chunked, resp.StatusCode, got)
			}
			server.Close()
		}
	}
}

// TestPingWhileSilent: a stream that we make says ping after just 15 s of silence;
// ConverseStream, which has none, and frames that are relayed never do.
func TestPingWhileSilent(t *testing.T) {
	const converse = `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`
	inChunk := base64.StdEncoding.EncodeToString([]byte(`{"type":"ping"}`))
	for _, test := range []struct {
		name, path, body, ping string
		pause                  time.Duration // between frames
		wire                   bool
		want                   string // after the first frame, in seconds
	}{
		{"invoke", streams[0].path, streams[0].body, inChunk, 40 * time.Second, false, "[15 30]"},
		{"messages", streams[1].path, streams[1].body, "event: ping", 40 * time.Second, false, "[15 30]"},
		{"messages, now and then", streams[1].path, streams[1].body, "event: ping", 21 * time.Second, false, "[15 36]"},
		{"messages, busy", streams[1].path, streams[1].body, "event: ping", 10 * time.Second, false, "[]"},
		{"converse", "/model/global.anthropic.claude-opus-4-6-v1:0/converse-stream", converse, "ping", 40 * time.Second, false, "[]"},
		{"relayed", streams[0].path, streams[0].body, inChunk, 40 * time.Second, true, "[]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSetupOver(t, &repeated{frames: 3, pause: test.pause, wire: test.wire})
			s.Clock = time.Now()
			srv := httpapi.NewHTTPServer(s.Server, s.Log)
			p := newPipes()
			done := make(chan error, 1)
			go func() { done <- srv.Serve(p) }()
			c := p.dial()
			go func() {
				s.head(t, c, test.path, test.body)
				io.WriteString(c, test.body)
			}()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			var pings []int
			buf := make([]byte, 4096)
			for first := time.Now(); time.Since(first) < 40*time.Second; {
				n, err := resp.Body.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				if got = append(got, buf[:n]...); bytes.Count(got, []byte(test.ping)) > len(pings) {
					pings = append(pings, int(time.Since(first)/time.Second))
				}
			}
			if said := fmt.Sprint(pings); said != test.want {
				t.Errorf("%s: pings %s, want %s", test.name, said, test.want)
			}
			c.Close()
			srv.Close()
			<-done
			time.Sleep(time.Minute) // until the upstream wakes
		})
	}
}

func TestPanicIsAnswered(t *testing.T) {
	s := newSetupOver(t, &endless{panics: true})
	server := httptest.NewServer(s.Server)
	defer server.Close()
	resp, err := http.DefaultTransport.RoundTrip(s.request(t, server.URL, streams[0].path, streams[0].body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 500 || strings.Contains(string(got), "secret cause") {
		t.Fatalf("%d %s", resp.StatusCode, got)
	}
}
