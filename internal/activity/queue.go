package activity

import "sync"

// queueRoom is how much waits to be written in Relaxed mode before callers do.
const queueRoom = 64 << 20

// job is one write that an Entry has left to the queue. It owns its bytes.
type job struct {
	e          *Entry
	kind       byte
	meta, data []byte
}

// queue writes in the background, in order. Its goroutine alone touches what its
// entries know of the segment.
type queue struct {
	mu     sync.Mutex
	turn   *sync.Cond
	jobs   []job
	size   int
	closed bool
}

func newQueue() *queue {
	q := &queue{}
	q.turn = sync.NewCond(&q.mu)
	return q
}

func (j job) size() int { return len(j.meta) + len(j.data) + 64 }

func (q *queue) put(j job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.size > queueRoom {
		q.turn.Wait()
	}
	q.jobs = append(q.jobs, j)
	q.size += j.size()
	if len(q.jobs) == 1 {
		q.turn.Broadcast()
	}
}

// close lets run end once everything is written.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.turn.Broadcast()
}

func (q *queue) run(s *Store) {
	var jobs []job
	for {
		q.mu.Lock()
		for len(q.jobs) == 0 && !q.closed {
			q.turn.Wait()
		}
		if len(q.jobs) == 0 {
			q.mu.Unlock()
			return
		}
		jobs, q.jobs = q.jobs, jobs[:0]
		q.mu.Unlock()
		for i, j := range jobs {
			if err := j.write(); err != nil {
				s.trouble.failed("queued", err, s.o.Now())
			}
			jobs[i] = job{}
			q.mu.Lock()
			if q.size -= j.size(); q.size+j.size() > queueRoom {
				q.turn.Broadcast()
			}
			q.mu.Unlock()
		}
	}
}

func (j job) write() error {
	e := j.e
	switch j.kind {
	case kindOpen:
		return e.writeOpening(j.meta, j.data)
	case kindPart:
		return e.writePart(j.data)
	default:
		putHead(j.meta, e.at)
		_, err := e.writeClose(j.meta, j.data)
		e.leave()
		return err
	}
}
