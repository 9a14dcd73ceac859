//go:build unix

package pdfium

import (
	"syscall"

	"github.com/tetratelabs/wazero/experimental"
)

// allocator reserves each instance's whole memory once and lets the system fill
// it in: Go's own slices are copied on each growth and given back late, which
// came to 3.5 times the limit in resident memory.
func allocator() experimental.MemoryAllocator {
	return experimental.MemoryAllocatorFunc(func(size, limit uint64) experimental.LinearMemory {
		b, err := syscall.Mmap(-1, 0, int(limit), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			b = nil // Reallocate says no, and wazero refuses the instance
		}
		return &mapped{b}
	})
}

type mapped struct{ reserved []byte }

func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.reserved)) {
		return nil
	}
	return m.reserved[:size]
}

func (m *mapped) Free() {
	if m.reserved != nil {
		_ = syscall.Munmap(m.reserved) // fails only for an address that is not mapped
		m.reserved = nil
	}
}
