//go:build unix

package http1

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// answers are what far ends say, well and ill.
var answers = []struct {
	name, bytes string
	closes      bool // behind it
	again       bool // another request may follow on the connection
}{
	{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-B: c\r\nX-B: d\r\n\r\nhello", false, true},
	{"length, more than a read", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("0123456789", 10_000), false, true},
	{"no body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, true},
	{"204", "HTTP/1.1 204 No Content\r\n\r\n", false, true},
	{"304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", false, true},
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n", false, true},
	{"trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\n", false, true},
	{"to the end", "HTTP/1.1 200 OK\r\n\r\nhello", true, false},
	{"Connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false, false},
	{"Connection: close, chunked", "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true, false},
	{"1.0", "HTTP/1.0 200 OK\r\nX-B: c\r\n\r\nhello", true, false},
	{"1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, false},
	{"1.0 that stays", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", false, true},
	{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", false, true},
	{"101", "HTTP/1.1 101 Switching Protocols\r\nX-B: c\r\n\r\n", true, false},
	{"error with a body", "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!!", false, true},
	{"no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", false, true},
	{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", true, false},
	{"status 099", "HTTP/1.1 099 What\r\nContent-Length: 2\r\n\r\nok", false, false},
	{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false, true},
	{"folded header", "HTTP/1.1 200 OK\r\nX-B: c\r\n d\r\nContent-Length: 2\r\n\r\nok", false, true},
	{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", true, false},
	{"the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", false, true},
	{"length below zero", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", true, false},
	{"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false, true},
	{"coding unknown", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", true, false},
	{"chunk that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", true, false},
	{"chunk too long", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n", true, false},
	{"trailer that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T\r\n\r\n", true, false},
	{"trailer without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-T: " + strings.Repeat("a", 100_000), true, false},
	{"header without a name", "HTTP/1.1 200 OK\r\n: c\r\nContent-Length: 2\r\n\r\nok", true, false},
	{"not HTTP", "SSH-2.0-OpenSSH_9.9\r\n\r\n", true, false},
	{"HTTP/2", "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", true, false},
	{"nothing", "", true, false},
}

// TestAsTransport holds each answer against what net/http's Transport makes of it,
// and the next call on the same client too.
func TestAsTransport(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, a := range answers {
			t.Run(fmt.Sprintf("%s, TLS %t", a.name, secure), func(t *testing.T) {
				t.Parallel()
				play := func(p *peer) {
					for {
						if _, _, ok := p.request(); !ok {
							return
						}
						p.say(a.bytes)
						if a.closes {
							return
						}
					}
				}
				f, g := listen(t, secure, play), listen(t, secure, play)
				c, tr := f.open(t), g.transport(t)
				for range 3 {
					if ours, stock := f.ours(t, c, "body"), g.stock(t, tr, "body"); !reflect.DeepEqual(ours, stock) {
						t.Errorf("got  %.300v\nwant %.300v", ours, stock)
					}
				}
				want := 3
				if a.again {
					want = 1
				}
				if f.opened() != want || g.opened() != want {
					t.Errorf("%d connections, %d of net/http; want %d", f.opened(), g.opened(), want)
				}
			})
		}
	}
}

// TestBrokenOff cuts answers at every byte.
func TestBrokenOff(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, whole := range []string{
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-B: c\r\n\r\nhello, world",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n6\r\nworld!\r\n0\r\nX-T: 1\r\n\r\n",
		} {
			for at := range len(whole) {
				play := func(p *peer) {
					if _, _, ok := p.request(); ok {
						p.say(whole[:at])
					}
				}
				f, g := listen(t, secure, play), listen(t, secure, play)
				ours, stock := f.ours(t, f.open(t), "body"), g.stock(t, g.transport(t), "body")
				if !reflect.DeepEqual(ours, stock) || !ours.headErr && !ours.bodyErr {
					t.Errorf("TLS %t, cut at %d of %q:\ngot  %v\nwant %v", secure, at, whole, ours, stock)
				}
			}
		}
	}
}

// TestByteByByte: how bytes come together says nothing.
func TestByteByByte(t *testing.T) {
	for _, a := range answers {
		if !a.again || len(a.bytes) > 1000 {
			continue
		}
		f := listen(t, false, func(p *peer) {
			for {
				if _, _, ok := p.request(); !ok {
					return
				}
				for i := range len(a.bytes) {
					p.say(a.bytes[i : i+1])
				}
			}
		})
		g := listen(t, false, answering(a.bytes))
		c := f.open(t)
		for range 3 {
			if ours, stock := f.ours(t, c, "body"), g.stock(t, g.transport(t), "body"); !reflect.DeepEqual(ours, stock) {
				t.Errorf("%s: got %v, want %v", a.name, ours, stock)
			}
		}
		if f.opened() != 1 {
			t.Errorf("%s: %d connections", a.name, f.opened())
		}
	}
}
