//go:build !unix

package main

import (
	"testing"
	"time"
)

// processCPU is not asked for here.
func processCPU(testing.TB) time.Duration { return 0 }
