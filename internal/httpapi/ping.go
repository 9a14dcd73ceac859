package httpapi

import (
	"sync"
	"time"
)

// pingAfter is the silence after which a stream of ours says ping: half of what a
// 30 s proxy allows, a quarter of a load balancer's 60 s.
const pingAfter = 15 * time.Second

const pingEvent = `{"type":"ping"}`

// pinger breaks the silence of a stream. The nil pinger keeps it.
type pinger struct {
	mu    *sync.Mutex // the writer's
	timer *time.Timer
	say   func() error // under mu
	ended bool         // under mu
}

// newPinger needs the mutex.
func newPinger(mu *sync.Mutex, say func() error) *pinger {
	p := &pinger{mu: mu, say: say}
	p.timer = time.AfterFunc(pingAfter, p.ring)
	return p
}

func (p *pinger) ring() {
	if !p.mu.TryLock() { // something is being written, however slowly
		p.timer.Reset(pingAfter)
		return
	}
	defer p.mu.Unlock()
	if !p.ended && p.say() == nil {
		p.timer.Reset(pingAfter)
	}
}

// reset needs the mutex.
func (p *pinger) reset() {
	if p != nil {
		p.timer.Reset(pingAfter)
	}
}

// stop needs the mutex.
func (p *pinger) stop() {
	if p != nil {
		p.ended = true
		p.timer.Stop()
	}
}
