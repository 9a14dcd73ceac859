// Package heap keeps the collector of a small server from running for every few
// megabytes.
package heap

import (
	"os"
	"sync"
)

// Floor is counted as in use and never written to, so it takes no memory itself: the
// heap may grow to twice of what is in use and of it. A server that has some 5 MB in
// use collects every 5 MB without, of which a call through it makes 20 to 50 KB.
const Floor = 32 << 20

var (
	floor []byte
	once  sync.Once
)

// Raise puts the floor in, once, unless GOGC or GOMEMLIMIT say what the operator wants.
func Raise() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		once.Do(func() { floor = make([]byte, Floor) })
	}
}
