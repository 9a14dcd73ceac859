package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// conn is a connection. One call at a time has it, or the pool.
type conn struct {
	net.Conn // TLS's, or socket itself
	socket   net.Conn
	glance   glance
	client   *Client
	host     *host
	cut      func()    // closes the socket: whatever waits for it ends
	until    time.Time // it may be idle

	in   *bufio.Reader // of a call
	head int           // bytes of the answer's head that may still come; <0: its body is read
}

// What an answer may have before its body.
const (
	maxHead    = 256 << 10 // bytes, interim answers included; AWS's have 1 to 2 KB
	maxInterim = 16        // answers of status 1xx
)

var (
	errHead    = fmt.Errorf("http1: the answer's head is larger than %d bytes", maxHead)
	errInterim = fmt.Errorf("http1: more than %d interim answers", maxInterim)
	errSlow    = errors.New("http1: no answer came in time")
)

// Read reads from the network, for in.
func (c *conn) Read(p []byte) (n int, err error) {
	if c.head == 0 {
		return 0, errHead
	}
	if c.head > 0 {
		p = p[:min(len(p), c.head)]
	}
	n, err = c.Conn.Read(p)
	if c.head > 0 {
		c.head -= n
	}
	return n, err
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// do makes the round trip. An error has closed the connection.
func (c *conn) do(ctx context.Context, r *Request) (resp *http.Response, sent bool, err error) {
	b := &body{on: c, ctx: ctx, stop: context.AfterFunc(ctx, c.cut)}
	c.in = c.client.reader(c)
	c.head = maxHead
	var by time.Time
	if within := c.client.Transport.ResponseHeaderTimeout; within > 0 {
		by = time.Now().Add(within)
	}
	// An error would be of a connection that is closed: the write has it too.
	_ = c.SetDeadline(by)
	b.write(r)
	if b.took.err != nil && b.took.n == 0 {
		return nil, false, b.end(b.took.err)
	}
	// Where not all was taken, the answer may say why.
	if resp, err = c.answer(); err != nil {
		if b.took.err != nil {
			err = b.took.err
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = errSlow
		}
		err = b.end(err)
		return nil, b.took.n > 0, err
	}
	c.head = -1
	_ = c.SetDeadline(time.Time{})
	b.of = resp.Body
	b.again = b.took.err == nil && !resp.Close && resp.ProtoMajor == 1 && resp.StatusCode >= http.StatusOK
	if resp.Body == http.NoBody {
		b.end(io.EOF)
	} else {
		resp.Body = b
	}
	return resp, true, nil
}

// answer reads up to the first head that is not an interim answer's.
func (c *conn) answer() (*http.Response, error) {
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < http.StatusContinue || resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, errInterim
}

// dial opens a connection.
func (c *Client) dial(ctx context.Context, h *host) (*conn, error) {
	dial := c.Transport.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	socket, err := dial(ctx, "tcp", h.addr)
	if err != nil {
		return nil, cause(ctx, err)
	}
	on := &conn{Conn: socket, socket: socket, client: c, host: h, cut: func() { socket.Close() }}
	on.glance.at(socket)
	if !h.tls {
		return on, nil
	}
	config := new(tls.Config)
	if c.Transport.TLSClientConfig != nil {
		config = c.Transport.TLSClientConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = h.name
	}
	config.NextProtos = []string{"http/1.1"}
	config.DynamicRecordSizingDisabled = true // the far end wants the request whole: one record, one write
	if d := c.Transport.TLSHandshakeTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, errors.New("http1: the TLS handshake took too long"))
		defer cancel()
	}
	secure := tls.Client(socket, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		socket.Close()
		return nil, cause(ctx, err)
	}
	on.Conn = secure
	return on, nil
}

// cause is why ctx has ended, if it has: err comes of that.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// quiet says that nothing has come while the connection was idle, not even its end.
func (c *conn) quiet() bool {
	if t, ok := c.Conn.(*tls.Conn); ok {
		// TLS may have read on. With a deadline that is over it gives what it
		// has and does not look at the socket.
		_ = t.SetReadDeadline(past)
		n, err := t.Read(c.glance.room[:])
		_ = t.SetReadDeadline(time.Time{})
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
	}
	return c.glance.quiet()
}
