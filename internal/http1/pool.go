package http1

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// pool has the connections that no call has.
type pool struct {
	mu     sync.Mutex
	timer  *time.Timer // for the connection that has been idle longest
	armed  bool
	closed bool // until the next call: what comes back is closed
	hosts  map[place]*host
}

// take gives the connection that was used last and is still good, or nil.
func (p *pool) take(h *host) *conn {
	for {
		p.mu.Lock()
		p.closed = false
		n := len(h.idle) - 1
		if n < 0 {
			p.mu.Unlock()
			return nil
		}
		c := h.idle[n]
		h.idle[n] = nil
		h.idle = h.idle[:n]
		p.mu.Unlock()
		if c.quiet() {
			return c
		}
		c.Close()
	}
}

// put takes c back.
func (p *pool) put(c *conn) {
	most := c.client.Transport.MaxIdleConnsPerHost
	if most == 0 {
		most = http.DefaultMaxIdleConnsPerHost
	}
	p.mu.Lock()
	if p.closed || len(c.host.idle) >= most || !c.glance.possible() {
		p.mu.Unlock()
		c.Close()
		return
	}
	c.host.idle = append(c.host.idle, c)
	if timeout := c.client.Transport.IdleConnTimeout; timeout > 0 {
		c.until = time.Now().Add(timeout)
		p.arm(timeout)
	}
	p.mu.Unlock()
}

// arm needs the mutex.
func (p *pool) arm(d time.Duration) {
	switch {
	case p.armed:
		return
	case p.timer == nil:
		p.timer = time.AfterFunc(d, p.sweep)
	default:
		p.timer.Reset(d)
	}
	p.armed = true
}

// sweep closes what has been idle too long.
func (p *pool) sweep() {
	var old []*conn
	p.mu.Lock()
	p.armed = false
	now := time.Now()
	var next time.Duration
	for _, h := range p.hosts {
		n := 0
		for n < len(h.idle) && !h.idle[n].until.After(now) {
			n++
		}
		old = append(old, h.idle[:n]...)
		h.idle = slices.Delete(h.idle, 0, n)
		if len(h.idle) > 0 {
			if left := h.idle[0].until.Sub(now); next == 0 || left < next {
				next = left
			}
		}
	}
	if next > 0 {
		p.arm(next)
	}
	p.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}

// shut closes what is idle, and until the next call what comes back.
func (p *pool) shut() {
	var all []*conn
	p.mu.Lock()
	p.closed = true
	for _, h := range p.hosts {
		all = append(all, h.idle...)
		h.idle = nil
	}
	if p.timer != nil {
		p.timer.Stop()
		p.armed = false
	}
	p.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}
