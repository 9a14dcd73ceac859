//go:build !unix

package pdfium

import "github.com/tetratelabs/wazero/experimental"

// allocator is wazero's own.
func allocator() experimental.MemoryAllocator { return nil }
