//go:build unix

package http1

import (
	"net"
	"syscall"
)

const canGlance = true

// glance looks whether something has come to a socket that nobody reads.
type glance struct {
	raw  syscall.RawConn // nil: there is no socket to look at
	look func(fd uintptr) bool
	room [1]byte
	n    int
	err  error
}

func (g *glance) at(c net.Conn) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return
	}
	g.raw = raw
	g.look = func(fd uintptr) bool {
		g.n, g.err = syscall.Read(int(fd), g.room[:])
		return true // whatever came: nobody waits
	}
}

func (g *glance) possible() bool { return g.raw != nil }

// quiet says that there is nothing to read. What there is it takes: the connection
// is of no more use.
func (g *glance) quiet() bool {
	err := g.raw.Read(g.look)
	return err == nil && g.n < 0 && (g.err == syscall.EAGAIN || g.err == syscall.EWOULDBLOCK)
}
