//go:build unix

package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The end of the context ends the call, whatever it is at, with the context's
// cause, and the connection.
func TestCancel(t *testing.T) {
	why := errors.New("why")
	for _, tt := range []struct {
		name  string
		size  int
		plays func(p *peer, here func())
		sent  bool
		head  bool // has come
	}{
		{"handshake", 100, func(p *peer, here func()) { here(); p.gone() }, false, false},
		{"write", 5 << 20, func(p *peer, here func()) { http.ReadRequest(p.in); here(); p.gone() }, true, false},
		{"wait", 100, func(p *peer, here func()) { p.request(); here(); p.gone() }, true, false},
		{"head", 100, func(p *peer, here func()) { p.request(); p.say("HTTP/1.1 200 OK\r\nX-"); here(); p.gone() }, true, false},
		{"interim", 100, func(p *peer, here func()) { p.request(); p.say("HTTP/1.1 100 Continue\r\n\r\n"); here(); p.gone() }, true, false},
		{"body", 100, func(p *peer, here func()) {
			p.request()
			p.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
			here()
			p.gone()
		}, true, true},
		{"chunks", 100, func(p *peer, here func()) {
			p.request()
			p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
			here()
			p.gone()
		}, true, true},
		{"to the end", 100, func(p *peer, here func()) { p.request(); p.say("HTTP/1.1 200 OK\r\n\r\nhello"); here(); p.gone() }, true, true},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %t", tt.name, secure), func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				left := make(chan struct{})
				f := listen(t, secure && tt.sent, func(p *peer) {
					tt.plays(p, func() { cancel(why) })
					close(left)
				})
				if !tt.sent {
					f.scheme = "https"
				}
				resp, sent, err := f.open(t).Do(ctx, f.post(strings.Repeat("b", tt.size)))
				if err == nil && !tt.head || sent != tt.sent {
					t.Errorf("sent %t, %v", sent, err)
				}
				if err == nil { // or the end was faster
					_, err = io.ReadAll(resp.Body)
					if _, again := resp.Body.Read(make([]byte, 1)); again != err {
						t.Errorf("first %v, then %v", err, again)
					}
				}
				if err != why {
					t.Errorf("%v", err)
				}
				<-left
			})
		}
	}
}

// A context that ends with the answer takes its own connection along, and no
// other call's.
func TestCancelAtTheEnd(t *testing.T) {
	f := listen(t, false, answering(answered))
	c := f.open(t)
	for range 500 {
		ctx, cancel := context.WithCancel(t.Context())
		resp, _, err := c.Do(ctx, f.post("body"))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "ok" {
			t.Errorf("%q %v", b, err) // it had come with the head
		}
		resp.Body.Close()
		if g := f.ours(t, c, "body"); g.body != "ok" {
			t.Fatalf("%v", g)
		}
	}
}

func TestCancelBefore(t *testing.T) {
	f := listen(t, false, func(*peer) { t.Error("somebody called") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, sent, err := f.open(t).Do(ctx, f.post("body")); sent || err != context.Canceled {
		t.Errorf("sent %t, %v", sent, err)
	}
}

func TestCancelDial(t *testing.T) {
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := &Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		cancel(why)
		<-ctx.Done()
		return nil, errors.New("the dialler's")
	}}}
	if _, sent, err := c.Do(ctx, &Request{Method: "GET", Scheme: "http", Host: "bedrock.example", Target: "/"}); sent || err != why {
		t.Errorf("sent %t, %v", sent, err)
	}
}

// A deadline of the context is one.
func TestDeadline(t *testing.T) {
	f := listen(t, false, func(p *peer) { p.request(); p.gone() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, sent, err := f.open(t).Do(ctx, f.post("body")); !sent || err != context.DeadlineExceeded {
		t.Errorf("sent %t, %v", sent, err)
	}
}

// No head comes in time, though bytes do; or the request is not taken.
func TestSlowAnswer(t *testing.T) {
	for name, play := range map[string]func(*peer){
		"nothing": func(p *peer) { p.request(); p.gone() },
		"interim": func(p *peer) { p.request(); p.say("HTTP/1.1 100 Continue\r\n\r\n"); p.gone() },
		"half":    func(p *peer) { p.request(); p.say("HTTP/1.1 200 OK\r\n"); p.gone() },
	} {
		for _, secure := range []bool{false, true} {
			f := listen(t, secure, play)
			c := f.open(t)
			c.Transport.ResponseHeaderTimeout = 20 * time.Millisecond
			if _, sent, err := c.Do(t.Context(), f.post("body")); !sent || err != errSlow {
				t.Errorf("%s: sent %t, %v", name, sent, err)
			}
		}
	}
	t.Run("not taken", func(t *testing.T) {
		done := make(chan struct{})
		f := listen(t, false, func(p *peer) { <-done })
		c := f.open(t)
		c.Transport.ResponseHeaderTimeout = 50 * time.Millisecond
		if _, sent, err := c.Do(t.Context(), f.post(strings.Repeat("b", 64<<20))); !sent || err != errSlow {
			t.Errorf("sent %t, %v", sent, err)
		}
		close(done)
	})
	// The limit is the head's, and of one call: a body may take longer.
	t.Run("long body", func(t *testing.T) {
		f := listen(t, false, func(p *peer) {
			for {
				if _, _, ok := p.request(); !ok {
					return
				}
				p.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
				time.Sleep(300 * time.Millisecond)
				p.say("k")
			}
		})
		c := f.open(t)
		c.Transport.ResponseHeaderTimeout = 200 * time.Millisecond
		for range 2 {
			if g := f.ours(t, c, "body"); g.body != "ok" || f.opened() != 1 {
				t.Errorf("%v", g)
			}
		}
	})
}

func TestSlowHandshake(t *testing.T) {
	f := listen(t, false, func(p *peer) { p.gone() })
	f.scheme = "https"
	c := f.open(t)
	c.Transport.TLSHandshakeTimeout = 20 * time.Millisecond
	if _, sent, err := c.Do(t.Context(), f.post("body")); sent || err == nil || !strings.Contains(err.Error(), "handshake") {
		t.Errorf("sent %t, %v", sent, err)
	}
}

// A head has its bounds.
func TestLargeHead(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
	long := "X-B: " + strings.Repeat("a", maxHead-100) + "\r\n"
	for name, tt := range map[string]struct {
		head string
		err  error
	}{
		"fits":           {ok + long + "\r\nok", nil},
		"does not":       {ok + long + long + "\r\nok", errHead},
		"one line":       {"HTTP/1.1 " + strings.Repeat("2", 2*maxHead), errHead},
		"many lines":     {ok + strings.Repeat("X-B: c\r\n", maxHead/8) + "\r\nok", errHead},
		"interim":        {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInterim) + ok + "\r\nok", nil},
		"interim, more":  {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInterim+1) + ok + "\r\nok", errInterim},
		"interim, large": {"HTTP/1.1 103 Early Hints\r\n" + long + "\r\n" + ok + long + "\r\nok", errHead},
	} {
		f := listen(t, false, func(p *peer) {
			if _, _, ok := p.request(); ok {
				p.say(tt.head)
				p.gone()
			}
		})
		resp, sent, err := f.open(t).Do(t.Context(), f.post("body"))
		if !sent || !errors.Is(err, tt.err) {
			t.Errorf("%s: sent %t, %v", name, sent, err)
		}
		if g := read(resp, err); tt.err == nil && g.body != "ok" {
			t.Errorf("%s: %.100v", name, g)
		}
	}
}
