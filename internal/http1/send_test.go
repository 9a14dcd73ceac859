//go:build unix

package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// What is sent is what net/http's Transport sends.
func TestRequestOnTheWire(t *testing.T) {
	for _, size := range []int{0, 1, maxJoined, maxJoined + 1, maxAhead, maxAhead + 1, 5 << 20} {
		for _, secure := range []bool{false, true} {
			var all []string
			f := listen(t, secure, func(p *peer) {
				for {
					r, body, ok := p.request()
					if !ok {
						return
					}
					all = append(all, fmt.Sprint(r.Method, r.RequestURI, r.Proto, r.Host, r.Header, r.ContentLength, r.TransferEncoding, len(body), body == strings.Repeat("b", size)))
					p.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			})
			body := strings.Repeat("b", size)
			c := f.open(t)
			for range 3 {
				if g := f.ours(t, c, body); g.body != "ok" {
					t.Errorf("%d bytes, TLS %t: %v", size, secure, g)
				}
			}
			if n := f.opened(); n != 1 {
				t.Errorf("%d bytes, TLS %t: %d connections", size, secure, n)
			}
			if g := f.stock(t, f.transport(t), body); g.body != "ok" {
				t.Errorf("%v", g)
			}
			if len(all) != 4 || all[0] != all[3] || all[1] != all[3] || all[2] != all[3] {
				t.Errorf("%d bytes, TLS %t: got and want\n%s", size, secure, strings.Join(all, "\n"))
			}
		}
	}
}

// counted counts writes; what leaves by writev it does not see.
type counted struct {
	*net.TCPConn
	writes atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.TCPConn.Write(p)
}

func TestWrites(t *testing.T) {
	for _, tt := range []struct {
		size   int
		secure bool
		want   int64
	}{{100, false, 1}, {maxJoined, false, 1}, {maxJoined + 1, false, 0}, {maxAhead + 1, false, 0}, {100, true, 1}, {8 << 10, true, 1}} {
		f := listen(t, tt.secure, answering("HTTP/1.1 204 No Content\r\n\r\n"))
		c := f.open(t)
		var conn *counted
		c.Transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			on, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			conn = &counted{TCPConn: on.(*net.TCPConn)}
			return conn, nil
		}
		var before int64
		for range 2 {
			if conn != nil {
				before = conn.writes.Load()
			}
			if g := f.ours(t, c, strings.Repeat("b", tt.size)); g.status != 204 {
				t.Fatalf("%v", g)
			}
		}
		if n := conn.writes.Load() - before; n != tt.want {
			t.Errorf("%d bytes, TLS %t: %d writes, want %d", tt.size, tt.secure, n, tt.want)
		}
	}
}

// Nothing that a request holds makes two of it.
func TestRefusedRequests(t *testing.T) {
	f := listen(t, false, func(p *peer) { t.Error("somebody called") })
	c := f.open(t)
	headers := 0
	for name, change := range map[string]func(*Request){
		"value, long":      func(r *Request) { r.Header["X-A"] = []string{strings.Repeat("a", maxHeader)} },
		"values, long":     func(r *Request) { r.Header["X-A"] = slices.Repeat([]string{strings.Repeat("a", maxHeader/2)}, 9) },
		"value":            func(r *Request) { r.Header["X-A"] = []string{"a\r\nX-B: c"} },
		"value, LF":        func(r *Request) { r.Header["X-A"] = []string{"a\nX-B: c"} },
		"value, NUL":       func(r *Request) { r.Header["X-A"] = []string{"a\x00"} },
		"name":             func(r *Request) { r.Header["X-A: b\r\nX-B"] = []string{"c"} },
		"name with space":  func(r *Request) { r.Header["X A"] = []string{"c"} },
		"no name":          func(r *Request) { r.Header[""] = []string{"c"} },
		"length":           func(r *Request) { r.Header["Content-Length"] = []string{"1"} },
		"length, lower":    func(r *Request) { r.Header["content-length"] = []string{"1"} },
		"chunks":           func(r *Request) { r.Header["Transfer-Encoding"] = []string{"chunked"} },
		"host":             func(r *Request) { r.Header["Host"] = []string{"other"} },
		"connection":       func(r *Request) { r.Header["Connection"] = []string{"X-A"} },
		"keep-alive":       func(r *Request) { r.Header["Keep-Alive"] = []string{"1"} },
		"upgrade":          func(r *Request) { r.Header["Upgrade"] = []string{"h2c"} },
		"expect":           func(r *Request) { r.Header["Expect"] = []string{"100-continue"} },
		"te":               func(r *Request) { r.Header["Te"] = []string{"trailers"} },
		"trailer":          func(r *Request) { r.Header["Trailer"] = []string{"X-T"} },
		"target":           func(r *Request) { r.Target = "/a HTTP/1.1\r\nX: y\r\n\r\n" },
		"target, space":    func(r *Request) { r.Target = "/a b" },
		"target, absolute": func(r *Request) { r.Target = "http://other/" },
		"target, fragment": func(r *Request) { r.Target = "/a#b" },
		"no target":        func(r *Request) { r.Target = "" },
		"Host":             func(r *Request) { r.Host += "\r\nX: y" },
		"Host, path":       func(r *Request) { r.Host += "/a" },
		"Host, user":       func(r *Request) { r.Host = "me@" + r.Host },
		"no Host":          func(r *Request) { r.Host = "" },
		"method":           func(r *Request) { r.Method = "GET / HTTP/1.1\r\nX:" },
		"HEAD":             func(r *Request) { r.Method = "HEAD" },
		"CONNECT":          func(r *Request) { r.Method = "CONNECT" },
		"scheme":           func(r *Request) { r.Scheme = "ftp" },
	} {
		r := f.post("body")
		change(r)
		_, sent, err := c.Do(t.Context(), r)
		if err == nil || sent {
			t.Errorf("%s: sent %t, %v", name, sent, err)
		}
		if _, ok := errors.AsType[*HeaderError](err); ok {
			headers++
		}
	}
	if headers != 18 {
		t.Errorf("%d of them are said to be a header's fault", headers)
	}
	r := f.post("body")
	for i := range 8 {
		r.Header[fmt.Sprint("X-", i)] = []string{strings.Repeat("a", maxHeader/2-8)}
	}
	if err := r.check(); err != nil {
		t.Error(err)
	}
}

// A far end that has seen enough answers before it has read all: its answer comes,
// and nobody waits for ever.
func TestEarlyAnswer(t *testing.T) {
	const size = 32 << 20 // more than sockets hold
	done := make(chan struct{})
	for _, secure := range []bool{false, true} {
		for name, tt := range map[string]struct {
			play func(*peer)
			body string
		}{
			"and waits": {func(p *peer) {
				http.ReadRequest(p.in)
				p.say("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
				<-done
			}, "no"},
			"and reads on": {func(p *peer) {
				for {
					r, err := http.ReadRequest(p.in)
					if err != nil {
						return
					}
					p.say("HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n")
					io.Copy(io.Discard, r.Body)
					p.say("2\r\nno\r\n0\r\n\r\n")
				}
			}, "no"},
			"long": {func(p *peer) {
				for {
					r, err := http.ReadRequest(p.in)
					if err != nil {
						return
					}
					p.say("HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + strings.Repeat("a", 8_000_000))
					io.Copy(io.Discard, r.Body)
				}
			}, strings.Repeat("a", 8_000_000)},
		} {
			f := listen(t, secure, tt.play)
			c := f.open(t)
			for range 2 {
				if g := f.ours(t, c, strings.Repeat("b", size)); g.headErr || g.bodyErr || g.body != tt.body {
					t.Errorf("%s, TLS %t: status %d, %d bytes, errors %t %t", name, secure, g.status, len(g.body), g.headErr, g.bodyErr)
				}
			}
		}
	}
	close(done)
}

// sent is false as long as nothing left, and true from the first byte.
func TestSent(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		c := &Client{Transport: &http.Transport{}}
		_, sent, err := c.Do(t.Context(), &Request{Method: "POST", Scheme: "http", Host: ln.Addr().String(), Target: "/"})
		if sent || err == nil {
			t.Errorf("sent %t, %v", sent, err)
		}
	})
	t.Run("no TLS there", func(t *testing.T) {
		f := listen(t, false, func(p *peer) { p.say("HTTP/1.1 400 Bad Request\r\n\r\n") })
		r := f.post("body")
		r.Scheme = "https"
		if _, sent, err := f.open(t).Do(t.Context(), r); sent || err == nil {
			t.Errorf("sent %t, %v", sent, err)
		}
	})
	t.Run("another's certificate", func(t *testing.T) {
		f := listen(t, true, func(p *peer) { p.request() })
		f.client = f.client.Clone()
		f.client.ServerName = "example.net"
		if _, sent, err := f.open(t).Do(t.Context(), f.post("body")); sent || err == nil {
			t.Errorf("sent %t, %v", sent, err)
		}
	})
	for _, size := range []int{0, 100, maxAhead, maxAhead + 1, 32 << 20} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("no answer to %d bytes, TLS %t", size, secure), func(t *testing.T) {
				f := listen(t, secure, func(p *peer) {
					http.ReadRequest(p.in)
					p.reset()
				})
				if _, sent, err := f.open(t).Do(t.Context(), f.post(strings.Repeat("b", size))); !sent || err == nil {
					t.Errorf("sent %t, %v", sent, err)
				}
				if f.opened() != 1 {
					t.Errorf("sent %d times", f.opened())
				}
			})
		}
	}
	// A write that takes nothing has sent nothing; the next connection may have it.
	t.Run("a write takes nothing", func(t *testing.T) {
		done := make(chan struct{})
		f := listen(t, false, func(p *peer) {
			answering("HTTP/1.1 204 No Content\r\n\r\n")(p)
			<-done // the end of what is read ends nothing
		})
		defer close(done)
		for _, size := range []int{100, maxJoined + 1, maxAhead + 1} {
			c := f.open(t)
			if g := f.ours(t, c, "body"); g.status != 204 {
				t.Fatalf("%v", g)
			}
			c.Transport.ResponseHeaderTimeout = 0
			before := f.opened()
			if err := c.lying(t).socket.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			g := f.ours(t, c, strings.Repeat("b", size))
			if g.status != 204 || f.opened() != before+1 {
				t.Errorf("%d bytes: %v, %d connections more", size, g, f.opened()-before)
			}
		}
	})
}

// deaf takes nothing.
type deaf struct{ net.Conn }

func (deaf) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// A new connection that takes nothing is not the first of many.
func TestTakesNothing(t *testing.T) {
	f := listen(t, false, func(p *peer) { p.gone() })
	c := f.open(t)
	c.Transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		on, err := new(net.Dialer).DialContext(ctx, network, addr)
		return deaf{on}, err
	}
	if _, sent, err := c.Do(t.Context(), f.post("body")); sent || !errors.Is(err, syscall.EPIPE) || f.opened() > 1 {
		t.Errorf("sent %t, %v, %d connections", sent, err, f.opened())
	}
}

// By a proxy, and where a name is not ASCII, net/http's Transport sends.
func TestAside(t *testing.T) {
	f := listen(t, false, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	for _, body := range []string{"", "body"} {
		c := f.open(t)
		var asked atomic.Int64
		c.Transport.Proxy = func(*http.Request) (*url.URL, error) {
			asked.Add(1)
			return &url.URL{Scheme: "http", Host: f.host}, nil
		}
		r := f.post(body)
		r.Host = "bedrock.example"
		for range 2 {
			resp, sent, err := c.Do(t.Context(), r)
			if g := read(resp, err); g.body != "ok" || !sent {
				t.Errorf("%v %v", g, err)
			}
		}
		if asked.Load() == 0 {
			t.Error("no proxy was asked for")
		}
		c.Transport.Proxy = nil
		c = f.open(t)
		c.Transport.DialContext = func(_ context.Context, _, addr string) (net.Conn, error) {
			if addr != "xn--mnchen-3ya.example:80" {
				t.Errorf("called %s", addr)
			}
			return nil, syscall.ECONNREFUSED
		}
		r.Host = "münchen.example"
		if _, sent, err := c.Do(t.Context(), r); err == nil || sent {
			t.Errorf("sent %t, %v", sent, err)
		}
	}
}
