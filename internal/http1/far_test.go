//go:build unix

package http1

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// far is a far end that speaks bytes, in clear text or under TLS.
type far struct {
	scheme, host string
	client       *tls.Config
	under        *tls.Config

	mu    sync.Mutex
	conns int
	all   sync.WaitGroup
}

// peer is one connection of it.
type peer struct {
	net.Conn
	n    int // which one; the first is 1
	in   *bufio.Reader
	held *held // below TLS
}

// held lets writes leave together.
type held struct {
	net.Conn
	on   bool
	kept []byte
}

func (h *held) Write(p []byte) (int, error) {
	if !h.on {
		return h.Conn.Write(p)
	}
	h.kept = append(h.kept, p...)
	return len(p), nil
}

func (h *held) hold() { h.on = true }

func (h *held) release() {
	h.on = false
	h.Conn.SetWriteDeadline(time.Time{}) // CloseWrite has set one
	h.Conn.Write(h.kept)
	h.kept = nil
}

// certificate is httptest's, and who trusts it.
var certificate = sync.OnceValues(func() (server, client *tls.Config) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}},
		&tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}
})

// listen plays each connection; what play leaves open is closed.
func listen(t testing.TB, secure bool, play func(p *peer)) *far {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &far{scheme: "http", host: ln.Addr().String()}
	if secure {
		f.scheme = "https"
		f.under, f.client = certificate()
	}
	f.all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns++
			p := &peer{n: f.conns}
			f.mu.Unlock()
			f.all.Go(func() {
				if secure {
					p.held = &held{Conn: c}
					c = tls.Server(p.held, f.under)
				}
				p.Conn, p.in = c, bufio.NewReader(c)
				play(p)
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		f.all.Wait()
	})
	return f
}

func (f *far) opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

// request reads one whole; false: there is none.
func (p *peer) request() (r *http.Request, body string, ok bool) {
	r, err := http.ReadRequest(p.in)
	if err != nil {
		return nil, "", false
	}
	b, err := io.ReadAll(r.Body)
	return r, string(b), err == nil
}

func (p *peer) say(s string) { io.WriteString(p.Conn, s) }

// reset ends the connection with an RST.
func (p *peer) reset() {
	c := p.Conn
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn().(*held).Conn
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// gone waits until the other side has closed.
func (p *peer) gone() { io.Copy(io.Discard, p.in) }

// answering says the same to every request.
func answering(s string) func(*peer) {
	return func(p *peer) {
		for {
			if _, _, ok := p.request(); !ok {
				return
			}
			p.say(s)
		}
	}
}

func (f *far) transport(t testing.TB) *http.Transport {
	tr := &http.Transport{TLSClientConfig: f.client, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 64, DisableCompression: true, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(true)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// open makes a client of f.
func (f *far) open(t testing.TB) *Client {
	c := &Client{Transport: f.transport(t)}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func (f *far) post(body string) *Request {
	return &Request{Method: http.MethodPost, Scheme: f.scheme, Host: f.host, Target: "/x%2Fy?q=1", Header: http.Header{"X-A": {"1", "2"}}, Body: []byte(body)}
}

// got is all that an answer was.
type got struct {
	status  int
	proto   string
	header  http.Header
	body    string
	trailer http.Header
	headErr bool
	cut     bool // io.ErrUnexpectedEOF
	bodyErr bool
}

func read(resp *http.Response, err error) got {
	if err != nil {
		return got{headErr: true}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	g := got{status: resp.StatusCode, proto: resp.Proto, header: resp.Header, body: string(b), bodyErr: err != nil}
	g.cut = err == io.ErrUnexpectedEOF
	if err == nil {
		g.trailer = resp.Trailer
	}
	return g
}

func (f *far) ours(t testing.TB, c *Client, body string) got {
	resp, sent, err := c.Do(t.Context(), f.post(body))
	if err == nil && !sent {
		t.Error("an answer to what was not sent")
	}
	return read(resp, err)
}

func (f *far) stock(t testing.TB, tr *http.Transport, body string) got {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.scheme+"://"+f.host+"/x%2Fy?q=1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"X-A": {"1", "2"}, "User-Agent": nil}
	r.GetBody = nil // nothing is sent twice
	return read(tr.RoundTrip(r))
}

// lying is the connection that was used last.
func (c *Client) lying(t testing.TB) *conn {
	t.Helper()
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	for _, h := range c.pool.hosts {
		if n := len(h.idle); n > 0 {
			return h.idle[n-1]
		}
	}
	t.Fatal("no connection is idle")
	return nil
}

// arrived waits until something has come to it.
func arrived(t testing.TB, c *conn) {
	t.Helper()
	var b [1]byte
	if err := c.glance.raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return err != syscall.EAGAIN
	}); err != nil {
		t.Fatal(err)
	}
}
