package worker

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

// queue lends out a few things and lets a bounded number of callers wait, first
// come first served.
type queue[T any] struct {
	mu      sync.Mutex
	free    []T // least recently used first
	lent    int
	waiting list.List // of chan T
	room    int
}

var errQueueFull = errors.New("the queue is full")

func newQueue[T any](things []T, room int) *queue[T] {
	return &queue[T]{free: things, room: room}
}

// take gives the free thing that scores highest, the least recently used among
// equals; with none free it waits its turn.
func (q *queue[T]) take(ctx context.Context, score func(T) int) (T, error) {
	var zero T
	q.mu.Lock()
	if len(q.free) > 0 {
		best := 0
		for i := range q.free {
			if score(q.free[i]) > score(q.free[best]) {
				best = i
			}
		}
		t := q.free[best]
		q.free = append(q.free[:best], q.free[best+1:]...)
		q.lent++
		q.mu.Unlock()
		return t, nil
	}
	if q.waiting.Len() >= q.room {
		q.mu.Unlock()
		return zero, errQueueFull
	}
	turn := make(chan T, 1)
	place := q.waiting.PushBack(turn)
	q.mu.Unlock()

	select {
	case t := <-turn:
		return t, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	q.waiting.Remove(place)
	q.mu.Unlock()
	select {
	case t := <-turn: // it came while we left
		q.give(t)
	default:
	}
	return zero, ctx.Err()
}

// give takes a thing back, or hands it to who waits longest.
func (q *queue[T]) give(t T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if front := q.waiting.Front(); front != nil {
		q.waiting.Remove(front).(chan T) <- t
		return
	}
	q.lent--
	q.free = append(q.free, t)
}

func (q *queue[T]) load() (lent, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lent, q.waiting.Len()
}
