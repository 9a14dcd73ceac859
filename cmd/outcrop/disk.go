package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// freeAt is freeBytes of a folder that need not be there yet: at is the nearest
// one above it that is.
func freeAt(path string) (free uint64, at string, err error) {
	for at = path; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(at) == at {
			break
		}
	}
	free, err = freeBytes(at)
	return free, at, err
}
