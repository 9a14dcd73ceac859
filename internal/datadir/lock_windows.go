package datadir

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// hasModes: Windows guards a user's folders with access lists, not modes.
const hasModes = false

var errLocked = errors.New("locked")

// tryLock takes the file's lock until it is closed; errLocked if another open
// of the file has it. The byte that it locks is far behind the content, which
// others may go on reading.
func tryLock(f *os.File) error {
	at := &windows.Overlapped{OffsetHigh: 1}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	return err
}

// syncFolder: Windows cannot sync a folder; its rename is journalled.
func syncFolder(string) error { return nil }
