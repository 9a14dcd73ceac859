// Package http1 sends requests over HTTP/1.1 on the goroutine that calls, where
// net/http's Transport hands each to two others and back. It parses nothing:
// answers are read by [http.ReadResponse]; its own are connections alone: which one
// a call has, and when that one may be used again. What was sent is never sent again.
package http1

import (
	"bufio"
	"context"
	"net/http"
	"sync"
)

// Client sends requests. It may be used by many goroutines, for few hosts: what it
// knows of a host it keeps.
type Client struct {
	// Transport's DialContext, TLSClientConfig, TLSHandshakeTimeout,
	// ResponseHeaderTimeout (which counts from the first byte sent),
	// MaxIdleConnsPerHost, IdleConnTimeout and Proxy hold here; no other setting
	// does. It sends the request itself by a proxy, to a host whose name is not
	// plain ASCII, and on systems where an idle connection cannot be looked at.
	Transport *http.Transport

	pool  pool
	ins   sync.Pool // *bufio.Reader
	heads sync.Pool // *[]byte
}

// Do sends r and reads the answer's head: any final status, whose Body the caller
// closes. sent says whether anything of r may have reached the far end: where it is
// false, to send r again is to send it once.
//
// Body is for one goroutine. It ends in io.EOF, trailers read, or in
// io.ErrUnexpectedEOF where the far end breaks off; to close it earlier closes the
// connection. So does the end of ctx, at once, whatever the call is at: its errors
// are then ctx's cause.
func (c *Client) Do(ctx context.Context, r *Request) (resp *http.Response, sent bool, err error) {
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	if err := r.check(); err != nil {
		return nil, false, err
	}
	h, err := c.host(r)
	if err != nil {
		return nil, false, err
	}
	if h.aside {
		return c.aside(ctx, r)
	}
	for {
		on := c.pool.take(h)
		idle := on != nil
		if !idle {
			if on, err = c.dial(ctx, h); err != nil {
				return nil, false, err
			}
		}
		resp, sent, err = on.do(ctx, r)
		if err == nil || sent || !idle || ctx.Err() != nil {
			return resp, sent, err
		}
	}
}

// CloseIdleConnections closes what no call uses, and what calls under way leave
// before the next begins.
func (c *Client) CloseIdleConnections() {
	c.pool.shut()
	c.Transport.CloseIdleConnections()
}

// readSize is of one read: those of a stream cost by their number.
const readSize = 32 << 10

func (c *Client) reader(on *conn) *bufio.Reader {
	in, ok := c.ins.Get().(*bufio.Reader)
	if !ok {
		return bufio.NewReaderSize(on, readSize)
	}
	in.Reset(on)
	return in
}

func (c *Client) head() *[]byte {
	b, ok := c.heads.Get().(*[]byte)
	if !ok {
		b = new([]byte)
	}
	return b
}
