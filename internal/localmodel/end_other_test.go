//go:build !linux

package localmodel

import (
	"os"
	"syscall"
	"testing"
	"time"
)

func freeze(t *testing.T) func(pid int) {
	t.Skip("only linux ends a child that is stuck")
	return nil
}

// waitForEnd asks for the process every so often: there is no event to wait for.
func waitForEnd(t *testing.T, pid int) func() {
	return func() {
		deadline := time.After(10 * time.Second)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			p, err := os.FindProcess(pid)
			if err != nil || p.Signal(syscall.Signal(0)) != nil {
				return
			}
			select {
			case <-tick.C:
			case <-deadline:
				_ = p.Kill()
				t.Error("the child lives ten seconds after its parent")
				return
			}
		}
	}
}
