package access_test

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/access/accesstest"
)

func TestMemory(t *testing.T) {
	accesstest.Store(t, func(*testing.T) access.Store { return access.NewMemory() })
}
