package httpapi

import (
	"context"
	"net"
	"sync"
)

// Gather lets an answer of 2 to 64 KB leave in one write. net/http's buffer towards
// a client has 4 KB, and what is larger takes two or three; under TLS each record, of
// 1,400 bytes at first, is one. Clear text and TLS both go through it: it stands
// right on the network. Without it all works the same, in more writes.
func Gather(ln net.Listener) net.Listener { return &gatherer{Listener: ln} }

type gatherer struct {
	net.Listener
	rooms sync.Pool // *[]byte
}

func (g *gatherer) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gathering{Conn: c, rooms: &g.rooms}, nil
}

// What is smaller leaves net/http in one write by itself; what is larger would be
// copied for little.
const (
	gatherFrom = 2 << 10
	gatherTo   = maxKept
)

// gathering keeps what is written while it is held. The nil gathering does nothing.
type gathering struct {
	net.Conn
	rooms *sync.Pool

	mu   sync.Mutex // TLS writes alerts when it likes
	held bool
	kept *[]byte // nil: nothing is kept
	err  error   // what was kept did not get out; nothing behind it may
}

func (c *gathering) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return 0, c.err
	case !c.held && c.kept == nil:
		return c.Conn.Write(p)
	case c.kept == nil:
		var ok bool
		if c.kept, ok = c.rooms.Get().(*[]byte); !ok {
			c.kept = new([]byte)
		}
	}
	*c.kept = append(*c.kept, p...)
	if !c.held {
		if err := c.let(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (c *gathering) CloseWrite() error { return closeWrite(c.Conn) }

// hold begins to keep.
func (c *gathering) hold() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.held = true
	c.mu.Unlock()
}

// join ends keeping: what is kept leaves with the next write, which there must be.
func (c *gathering) join() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.held = false
	c.mu.Unlock()
}

// release ends keeping and writes.
func (c *gathering) release() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	return c.let()
}

// let needs the mutex.
func (c *gathering) let() error {
	if c.err != nil || c.kept == nil {
		return c.err
	}
	_, c.err = c.Conn.Write(*c.kept)
	if cap(*c.kept) <= 2*gatherTo {
		*c.kept = (*c.kept)[:0]
		c.rooms.Put(c.kept)
	}
	c.kept = nil
	return c.err
}

type gatheringKey struct{}

// withGathering is the server's ConnContext.
func withGathering(ctx context.Context, c net.Conn) context.Context {
	for {
		switch on := c.(type) {
		case *gathering:
			return context.WithValue(ctx, gatheringKey{}, on)
		case interface{ NetConn() net.Conn }: // a *tls.Conn, a *peeked
			c = on.NetConn()
		default:
			return ctx
		}
	}
}

// gathering is the connection of a request for an answer of n bytes, or nil: a
// connection of HTTP/2 is not one answer's alone.
func (x *exchange) gathering(n int) *gathering {
	if n < gatherFrom || n > gatherTo || x.r.ProtoMajor != 1 {
		return nil
	}
	c, _ := x.r.Context().Value(gatheringKey{}).(*gathering)
	return c
}

// chunked says that net/http writes once more, at the end of an answer whose
// length was not told.
func (x *exchange) chunked() bool {
	return x.r.ProtoMajor == 1 && x.r.ProtoMinor > 0 && x.w.Header().Get("Content-Length") == ""
}
