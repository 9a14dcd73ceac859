package routing

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// A call that repeats by itself asks each way once, however slow the failures
// are, and hears when the next is open.
func TestOnce(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault *messages.Error
		after time.Duration // at least
	}{
		{"throttled", messages.Errorf(messages.Throttled, "slow down"), 700 * time.Millisecond},
		{"broken", messages.Errorf(messages.Unavailable, "down"), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := NewHealth(Options{Attempts: 9, Rand: func() float64 { return 0.5 }}).Plan(Call{Routes: routesTo(t, opus46, usRegions...), Once: true})
				defer p.Close()
				var path []string
				for {
					r, wait, err := p.Next()
					if err != nil {
						if e := messages.AsError(err); e.RetryAfter < tc.after {
							t.Errorf("the next is open in %v", e.RetryAfter)
						}
						break
					}
					if wait > 0 {
						t.Fatalf("a wait of %v", wait)
					}
					path = append(path, r.Region())
					p.Failed(tc.fault)
					if tc.after == 0 {
						time.Sleep(time.Minute) // each could be asked again by now
					}
				}
				if !slices.Equal(path, usRegions) {
					t.Errorf("tried %v", path)
				}
			})
		})
	}
}
