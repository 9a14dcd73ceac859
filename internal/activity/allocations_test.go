//go:build !race

package activity

import (
	"context"
	"testing"
)

// The memory that a call costs: one Entry and what Open and Close need of the
// file; nothing for an event. (Under the race detector a sync.Pool forgets at
// random.)
func TestAllocations(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	rec, body := started("budget"), make([]byte, 2000)
	done := ended("budget")
	delta := []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`)
	run := func(events int) float64 {
		return testing.AllocsPerRun(200, func() {
			e, err := s.Open(context.Background(), Opening{Record: rec, Body: body})
			if err != nil {
				t.Fatal(err)
			}
			for range events {
				e.Frame("content_block_delta", delta)
			}
			e.Close(done)
		})
	}
	if n := run(1); n > 2 {
		t.Errorf("a call: %v allocations", n)
	}
	if n := run(200); n > 2 {
		t.Errorf("a call of 200 events: %v allocations", n)
	}
}
