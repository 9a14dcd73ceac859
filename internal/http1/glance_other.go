//go:build !unix

package http1

import "net"

// canGlance: a socket cannot be read without waiting for it.
const canGlance = false

type glance struct{ room [1]byte }

func (*glance) at(net.Conn)    {}
func (*glance) possible() bool { return false }
func (*glance) quiet() bool    { return false }
