package localmodel

import (
	"testing"

	"golang.org/x/sys/unix"
)

// freeze gives what keeps a process from seeing anything but a SIGKILL.
func freeze(t *testing.T) func(pid int) {
	return func(pid int) {
		if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
}

// waitForEnd watches a process that is no child of ours; the function it gives
// returns when it has ended.
func waitForEnd(t *testing.T, pid int) func() {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		defer unix.Close(fd)
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			n, err := unix.Poll(fds, 10_000)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n == 0 {
				_ = unix.Kill(pid, unix.SIGKILL)
				t.Errorf("the child lives ten seconds after its parent: %v", err)
			}
			return
		}
	}
}
