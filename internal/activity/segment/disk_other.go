//go:build !linux

package segment

import (
	"os"
	"runtime"
)

type disk struct{ *os.File }

// syncFolder makes a new file's name last; Windows has no such call.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
