package http1

import (
	"context"
	"io"
	"net/http"
)

// body is a call that has its connection: the answer's Body.
type body struct {
	on     *conn
	ctx    context.Context
	stop   func() bool // ctx cuts no longer; false: it has
	took   taken       // of the request
	beside chan taken  // what took will be; nil: it is
	of     io.Reader   // net/http's
	again  bool        // what was said allows another call on the connection
	ended  error       // nil: not yet
}

func (b *body) Read(p []byte) (n int, err error) {
	if b.ended != nil {
		return 0, b.ended
	}
	if n, err = b.of.Read(p); err != nil {
		err = b.end(err)
	}
	return n, err
}

// Close implements io.Closer. It reads nothing: a body that has not ended takes
// its connection along.
func (b *body) Close() error {
	if b.ended == nil {
		b.end(http.ErrBodyReadAfterClose)
	}
	b.ended = http.ErrBodyReadAfterClose
	return nil
}

// end lets go of the connection and gives the reason of err. After io.EOF another
// call may have it, if nothing speaks against it; else it is closed. The request
// is not read any more.
func (b *body) end(err error) error {
	c := b.on
	again := b.stop() && err == io.EOF && b.again && c.in.Buffered() == 0
	if !again {
		c.cut()
	}
	if b.beside != nil {
		// What was not taken until now would stand before the next request.
		_ = c.socket.SetWriteDeadline(past)
		if b.took = <-b.beside; b.took.err != nil {
			again = false
			c.cut()
		}
	}
	c.in.Reset(nil)
	c.client.ins.Put(c.in)
	c.in = nil
	if again {
		c.client.pool.put(c)
	}
	if err != io.EOF {
		err = cause(b.ctx, err)
	}
	b.ended = err
	return err
}
