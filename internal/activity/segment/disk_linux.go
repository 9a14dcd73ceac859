package segment

import (
	"errors"
	"os"
	"syscall"
)

type disk struct{ *os.File }

// Sync leaves out what a reader does not need, such as the time of the change.
func (d disk) Sync() error {
	for {
		err := syscall.Fdatasync(int(d.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
