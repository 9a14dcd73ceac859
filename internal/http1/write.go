package http1

import "net"

// How a body leaves.
const (
	maxJoined = 16 << 10 // copied behind the head: one write, one TLS record
	maxAhead  = 64 << 10 // written before the answer is read: buffers of sockets take it
)

// taken is what the socket took of a request, and why no more.
type taken struct {
	n   int64
	err error
}

// write sends r. What might not be taken before somebody reads the answer leaves
// beside that.
func (b *body) write(r *Request) {
	room := b.on.client.head()
	*room = r.appendHead((*room)[:0])
	if len(r.Body) <= maxAhead {
		b.took = b.on.send(room, r.Body)
		return
	}
	b.beside = make(chan taken, 1)
	go func() {
		t := b.on.send(room, r.Body)
		if t.err != nil && t.n == 0 {
			b.on.cut() // there will be no answer
		}
		b.beside <- t
	}()
}

func (c *conn) send(head *[]byte, body []byte) (t taken) {
	if len(body) <= maxJoined {
		*head = append(*head, body...)
		var n int
		n, t.err = c.Conn.Write(*head)
		t.n = int64(n)
	} else {
		both := net.Buffers{*head, body} // one writev, where there is no TLS
		t.n, t.err = both.WriteTo(c.Conn)
	}
	c.client.heads.Put(head)
	return t
}
