//go:build unix

package main

import (
	"syscall"
	"testing"
	"time"
)

// processCPU is what this process has used, in user and kernel mode.
func processCPU(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
