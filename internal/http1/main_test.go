//go:build unix

package http1

import (
	"testing"

	"go.uber.org/goleak"
)

// No goroutine and no timer stays behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
