package httpapi

import (
	"sync"
	"time"
)

// pingAfter is the silence after which a stream of ours says ping: half of what a
// 30 s proxy allows, a quarter of a load balancer's 60 s.
const pingAfter = 15 * time.Second

const pingEvent = `{"type":"ping"}`

// pinger breaks the silence of a stream. The nil pinger keeps it. Its timer finds
// out when it fires whether there was silence: setting it at every write would cost
// more than to look at the time.
type pinger struct {
	mu    *sync.Mutex // the writer's
	timer *time.Timer
	say   func() error // under mu
	said  time.Time    // the last that was written; under mu
	ended bool         // under mu
}

// newPinger needs the mutex.
func newPinger(mu *sync.Mutex, say func() error) *pinger {
	p := &pinger{mu: mu, say: say, said: time.Now()}
	p.timer = time.AfterFunc(2*pingAfter, p.ring)
	p.timer.Reset(pingAfter) // after p.timer is there, which ring reads without the mutex
	return p
}

func (p *pinger) ring() {
	if !p.mu.TryLock() { // something is being written, however slowly
		p.timer.Reset(pingAfter)
		return
	}
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	silence := time.Since(p.said)
	if silence >= pingAfter {
		if p.say() != nil {
			return
		}
		p.said, silence = time.Now(), 0
	}
	p.timer.Reset(pingAfter - silence)
}

// reset needs the mutex.
func (p *pinger) reset() {
	if p != nil {
		p.said = time.Now()
	}
}

// stop needs the mutex.
func (p *pinger) stop() {
	if p != nil {
		p.ended = true
		p.timer.Stop()
	}
}
