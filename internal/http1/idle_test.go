//go:build unix

package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const answered = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// Whatever comes to an idle connection is seen before it is written to: nothing is
// sent in vain, and nothing of it is the next call's answer.
func TestIdleConnections(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for name, end := range map[string]func(*peer){
			"end":   func(p *peer) { p.Close() },
			"reset": func(p *peer) { p.reset() },
			"408":   func(p *peer) { p.say("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"); p.Close() },
			"a further answer": func(p *peer) {
				p.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			},
			"a byte": func(p *peer) { p.say("\n") },
		} {
			t.Run(fmt.Sprintf("%s, TLS %t", name, secure), func(t *testing.T) {
				idle := make(chan struct{})
				var mu sync.Mutex
				seen := 0
				f := listen(t, secure, func(p *peer) {
					for {
						if _, _, ok := p.request(); !ok {
							return
						}
						mu.Lock()
						seen++
						mu.Unlock()
						p.say(answered)
						if p.n == 1 {
							<-idle
							end(p)
						}
					}
				})
				c := f.open(t)
				if g := f.ours(t, c, "body"); g.body != "ok" {
					t.Fatalf("%v", g)
				}
				on := c.lying(t)
				close(idle)
				arrived(t, on)
				resp, sent, err := c.Do(t.Context(), f.post("body"))
				if g := read(resp, err); g.body != "ok" || !sent {
					t.Errorf("sent %t, %v: %v", sent, err, g)
				}
				if seen != 2 || f.opened() != 2 {
					t.Errorf("%d requests on %d connections", seen, f.opened())
				}
			})
		}
	}
}

// Answers that nobody has asked for, in the same segment or TLS record, are
// nobody's: the connection goes with them. TLS has them where the socket is empty.
func TestFurtherAnswers(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, size := range []int{2, 4 << 10, 16<<10 - 100, 40 << 10} {
			for name, head := range map[string]string{"length": "Content-Length", "chunks": "Transfer-Encoding"} {
				for _, whole := range []bool{false, true} { // the body is read in one read
					f := listen(t, secure, func(p *peer) {
						for {
							_, body, ok := p.request()
							if !ok {
								return
							}
							text := body + strings.Repeat("a", size)
							first := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
							if head != "Content-Length" {
								first = fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(text), text)
							}
							p.say(first + strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 3))
						}
					})
					c := f.open(t)
					for i := range 4 {
						want := fmt.Sprint(i) + strings.Repeat("a", size)
						resp, _, err := c.Do(t.Context(), f.post(fmt.Sprint(i)))
						if err != nil {
							t.Fatal(err)
						}
						var b []byte
						if whole {
							b = make([]byte, len(want))
							if _, err = io.ReadFull(resp.Body, b); err == nil {
								_, err = io.Copy(io.Discard, resp.Body)
							}
						} else {
							b, err = io.ReadAll(resp.Body)
						}
						resp.Body.Close()
						if err != nil || string(b) != want {
							t.Errorf("%s, %d bytes, TLS %t: %.100q %v", name, size, secure, b, err)
						}
					}
					if f.opened() != 4 {
						t.Errorf("%s, %d bytes, TLS %t, whole %t: %d connections for 4 calls", name, size, secure, whole, f.opened())
					}
				}
			}
		}
	}
}

// What TLS has read along with an answer, in a record of its own, is not in the
// socket any more.
func TestFurtherRecords(t *testing.T) {
	for name, more := range map[string]func(*peer){
		"an answer":    func(p *peer) { p.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil") },
		"close_notify": func(p *peer) { p.Conn.(*tls.Conn).CloseWrite() },
	} {
		f := listen(t, true, func(p *peer) {
			for {
				if _, _, ok := p.request(); !ok {
					return
				}
				p.held.hold()
				p.say(answered)
				more(p)
				p.held.release()
			}
		})
		c := f.open(t)
		for i := range 4 {
			if g := f.ours(t, c, "body"); g.body != "ok" || f.opened() != i+1 {
				t.Errorf("%s: call %d, %d connections: %v", name, i, f.opened(), g)
			}
		}
	}
}

// What Close leaves unread takes the connection along, at once.
func TestCloseEarly(t *testing.T) {
	for _, head := range []string{"Content-Length: 1000000000000", "Transfer-Encoding: chunked", "X-B: c"} {
		left := make(chan struct{})
		f := listen(t, false, func(p *peer) {
			if _, _, ok := p.request(); ok {
				p.say("HTTP/1.1 200 OK\r\n" + head + "\r\n\r\n2\r\nhi\r\n")
				p.gone()
				close(left)
			}
		})
		resp, _, err := f.open(t).Do(t.Context(), f.post("body"))
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		<-left
		if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != http.ErrBodyReadAfterClose {
			t.Errorf("%d %v", n, err)
		}
		resp.Body.Close()
	}
}

// The connection that was used last is used first, and so many are kept.
func TestPool(t *testing.T) {
	f := listen(t, false, func(p *peer) {
		for {
			if _, _, ok := p.request(); !ok {
				return
			}
			p.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nX-N: %d\r\nContent-Length: 2\r\n\r\nok", p.n))
		}
	})
	c := f.open(t)
	c.Transport.MaxIdleConnsPerHost = 3
	var open []*http.Response
	for range 5 {
		resp, _, err := c.Do(t.Context(), f.post(""))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp)
	}
	var order []string
	for _, i := range []int{3, 1, 4, 0, 2} {
		if _, err := io.ReadAll(open[i].Body); err != nil {
			t.Fatal(err)
		}
		order = append(order, open[i].Header.Get("X-N"))
	}
	var again []string
	for range 4 {
		resp, _, err := c.Do(t.Context(), f.post(""))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() // it is not let go before
		again = append(again, resp.Header.Get("X-N"))
	}
	if want := []string{order[2], order[1], order[0], "6"}; !slices.Equal(again, want) {
		t.Errorf("let go in the order %v, used again in the order %v, want %v", order, again, want)
	}
}

// Connections do not stay idle for ever, and nothing else is needed for that.
func TestIdleTimeout(t *testing.T) {
	gone := make(chan struct{})
	f := listen(t, true, func(p *peer) {
		answering(answered)(p)
		gone <- struct{}{}
	})
	c := f.open(t)
	c.Transport.IdleConnTimeout = time.Millisecond
	for range 3 {
		if g := f.ours(t, c, ""); g.body != "ok" {
			t.Fatalf("%v", g)
		}
		<-gone
	}
	c.Transport.IdleConnTimeout = 50 * time.Millisecond
	var open []*http.Response
	for range 3 {
		resp, _, err := c.Do(t.Context(), f.post(""))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp)
	}
	for _, resp := range open {
		time.Sleep(10 * time.Millisecond) // each has a time of its own
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Error(err)
		}
	}
	for range open {
		<-gone
	}
	c.Transport.IdleConnTimeout = time.Hour
	if g := f.ours(t, c, ""); g.body != "ok" {
		t.Fatalf("%v", g)
	}
	c.CloseIdleConnections()
	<-gone
	// A call that was under way leaves nothing either.
	resp, _, err := c.Do(t.Context(), f.post(""))
	if err != nil {
		t.Fatal(err)
	}
	c.CloseIdleConnections()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Error(err)
	}
	<-gone
	if g := f.ours(t, c, ""); g.body != "ok" {
		t.Errorf("%v", g)
	}
	if g, n := f.ours(t, c, ""), f.opened(); g.body != "ok" || n != 9 {
		t.Errorf("%v, %d connections", g, n)
	}
	c.CloseIdleConnections()
	<-gone
}

// A connection that cannot be looked at is used once.
func TestNoSocket(t *testing.T) {
	f := listen(t, false, answering(answered))
	c := f.open(t)
	c.Transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		on, err := new(net.Dialer).DialContext(ctx, network, addr)
		return struct{ net.Conn }{on}, err
	}
	for i := range 3 {
		if g := f.ours(t, c, "body"); g.body != "ok" || f.opened() != i+1 {
			t.Errorf("%v, %d connections", g, f.opened())
		}
	}
}
