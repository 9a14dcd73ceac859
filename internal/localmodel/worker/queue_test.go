package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func zero(string) int { return 0 }

func TestQueueLendsTheBestThenTheOldest(t *testing.T) {
	q := newQueue([]string{"a", "b", "c"}, 0)
	take := func(score func(string) int) string {
		s, err := q.take(t.Context(), score)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	best := func(s string) int {
		if s == "b" {
			return 1
		}
		return 0
	}
	if got := take(best) + take(best) + take(best); got != "bac" {
		t.Errorf("took %q", got)
	}
	if _, err := q.take(t.Context(), zero); !errors.Is(err, errQueueFull) {
		t.Errorf("all lent and no room to wait: %v", err)
	}
	q.give("c")
	q.give("a")
	if got := take(zero); got != "c" {
		t.Errorf("took %q, want what lay longest", got)
	}
}

func TestQueueServesInOrderAndForgetsWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue([]string{"a"}, 3)
		if _, err := q.take(t.Context(), zero); err != nil {
			t.Fatal(err)
		}
		var served []int
		leave := make([]context.CancelFunc, 3)
		for i := range 3 {
			var ctx context.Context
			ctx, leave[i] = context.WithCancel(t.Context())
			go func() {
				if _, err := q.take(ctx, zero); err == nil {
					served = append(served, i)
				} else if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}()
			synctest.Wait() // so that they stand in this order
		}
		if _, err := q.take(t.Context(), zero); !errors.Is(err, errQueueFull) {
			t.Errorf("a fourth one: %v", err)
		}
		leave[0]()
		synctest.Wait()
		if lent, waiting := q.load(); lent != 1 || waiting != 2 {
			t.Errorf("%d lent, %d waiting", lent, waiting)
		}
		q.give("a")
		synctest.Wait()
		q.give("a")
		synctest.Wait()
		if len(served) != 2 || served[0] != 1 || served[1] != 2 {
			t.Errorf("served %v", served)
		}
		q.give("a")
		if lent, waiting := q.load(); lent != 0 || waiting != 0 {
			t.Errorf("%d lent, %d waiting at the end", lent, waiting)
		}
		leave[1]()
		leave[2]()
	})
}

// A thing handed to someone who has just left is not lost.
func TestQueueHandsOnWhatCameTooLate(t *testing.T) {
	for range 200 {
		q := newQueue([]string{"a"}, 1)
		if _, err := q.take(t.Context(), zero); err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		got := make(chan error)
		go func() {
			_, err := q.take(ctx, zero)
			got <- err
		}()
		go leave()
		q.give("a")
		if err := <-got; err == nil {
			q.give("a")
		}
		if lent, waiting := q.load(); lent != 0 || waiting != 0 {
			t.Fatalf("%d lent, %d waiting", lent, waiting)
		}
	}
}
