// Package datadir is the data folder: the lock that makes a server its only
// one, the account, and the keys that open the front door.
//
// Invariant: a secret is on disk only in files sealed with the age key of
// key.txt (or of a key file kept elsewhere), and a long-term API key not even
// there: its hash is.
//
// Not a goal: other data. Packages that keep files name their own folder in it.
//
// In the folder: lock (held by a server), key.txt (the age key), keys.age, and
// keys.lock (held for the moment of a change, by whichever process makes it).
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/identity"
)

var (
	// ErrInUse: another server holds the folder.
	ErrInUse = errors.New("the data folder is in use by another server")
	// ErrNotSetUp: no server has started with this folder yet.
	ErrNotSetUp = errors.New("the data folder is not set up")
)

// Options of a Folder.
type Options struct {
	KeyFile string // the age key, if it is kept outside of the folder; it must exist
	Region  string // default Region of the access key that the first start makes
	Now     func() time.Time
}

// Folder is an open data folder. It is an identity.Keys.
type Folder struct {
	path    string
	options Options
	sealer  *sealer
	lock    *os.File // nil: attached

	mu      sync.Mutex // of changes and of reading keys.age again
	keys    atomic.Pointer[keySet]
	checked atomic.Int64 // when keys.age was last looked at, Unix nanoseconds
}

var _ identity.Keys = (*Folder)(nil)

// Default is the place of the data folder when nobody names one. The
// environment is the caller's: os.Getenv.
func Default(getenv func(string) string) (string, error) {
	return defaultFor(runtime.GOOS, getenv)
}

func defaultFor(goos string, getenv func(string) string) (string, error) {
	// The XDG rules: a path that is not absolute is to be ignored.
	if d := getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "outcrop"), nil
	}
	base, rest := getenv("HOME"), []string{".local", "share", "outcrop"}
	switch goos {
	case "windows":
		base, rest = getenv("LocalAppData"), []string{"outcrop"}
	case "darwin":
		rest = []string{"Library", "Application Support", "outcrop"}
	}
	if base == "" {
		return "", errors.New("no home folder is known: name a data folder")
	}
	return filepath.Join(append([]string{base}, rest...)...), nil
}

// Open opens the folder for a server: it makes what is missing, and no other
// server may hold it until Close.
func Open(path string, o Options) (*Folder, error) {
	f, err := newFolder(path, o)
	if err != nil {
		return nil, err
	}
	if err := makePrivate(f.path); err != nil {
		return nil, err
	}
	if f.lock, err = holdServerLock(filepath.Join(f.path, "lock")); err != nil {
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("%w: %s%s", ErrInUse, f.path, holder(filepath.Join(f.path, "lock")))
		}
		return nil, fmt.Errorf("data folder %s: lock: %w", f.path, err)
	}
	if err := f.setUp(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Attach opens a folder that is set up, beside a server that may be running.
// Reading leaves no trace. A running server takes a key that was made here at
// once, and refuses one that was revoked here within a second.
func Attach(path string, o Options) (*Folder, error) {
	f, err := newFolder(path, o)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(f.file("keys.age")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s: start the server once", ErrNotSetUp, f.path)
	}
	if err := checkPrivate(f.path); err != nil {
		return nil, err
	}
	if f.sealer, err = f.openKeyFile(); err != nil {
		return nil, err
	}
	if _, err := f.current(); err != nil {
		return nil, err
	}
	return f, nil
}

func newFolder(path string, o Options) (*Folder, error) {
	if path == "" {
		return nil, errors.New("no data folder is named")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Region != "" && !identity.RegionName(o.Region) {
		return nil, fmt.Errorf("%q is not a Region's name", o.Region)
	}
	return &Folder{path: abs, options: o}, nil
}

// Path is the folder's absolute path.
func (f *Folder) Path() string { return f.path }

// Close gives the lock back.
func (f *Folder) Close() error {
	if f.lock == nil {
		return nil
	}
	err := f.lock.Close()
	f.lock = nil
	return err
}

func (f *Folder) file(name string) string { return filepath.Join(f.path, name) }

// setUp makes key.txt and keys.age on the first start. An existing keys.age
// never gets a new key: what it holds would be lost.
func (f *Folder) setUp() error {
	unlock, err := f.lockKeys()
	if err != nil {
		return err
	}
	defer unlock()
	_, err = os.Stat(f.file("keys.age"))
	first := errors.Is(err, fs.ErrNotExist)
	if err != nil && !first {
		return err
	}
	f.sealer, err = f.openKeyFile()
	if errors.Is(err, fs.ErrNotExist) && first && f.options.KeyFile == "" {
		f.sealer, err = makeKeyFile(f.file("key.txt"), f.options.Now())
	}
	if err != nil {
		return err
	}
	if !first {
		_, err = f.current()
		return err
	}
	d, err := newDocument(f.options.Region, f.options.Now())
	if err != nil {
		return err
	}
	return f.store(d)
}

// openKeyFile reads the age key. In the folder it must be the owner's alone; a
// file elsewhere is the operator's, and secret mounts are often group-readable.
func (f *Folder) openKeyFile() (*sealer, error) {
	path := f.options.KeyFile
	if path == "" {
		path = f.file("key.txt")
		if err := checkPrivate(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return readKeyFile(path)
}

// makePrivate makes the folder, 0700. A folder that others can enter is
// tightened while it is empty; after that its keys may have been read, and the
// owner has to know.
func makePrivate(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	err := checkPrivate(path)
	if err == nil {
		return nil
	}
	if entries, e := os.ReadDir(path); e == nil && len(entries) == 0 {
		if e := os.Chmod(path, 0o700); e == nil {
			return checkPrivate(path)
		}
	}
	return err
}

// checkPrivate refuses files and folders that other users can reach.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if wide := info.Mode().Perm() & 0o077; wide != 0 && hasModes {
		want := info.Mode().Perm() &^ 0o077
		return fmt.Errorf("%s has mode %04o, so other users can reach the keys in it; if that is no harm, run: chmod %o %s", path, info.Mode().Perm(), want, path)
	}
	return nil
}

func holdServerLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		f.Close()
		return nil, err
	}
	// Only for the message that another server then gives.
	if err := f.Truncate(0); err == nil {
		f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	}
	return f, nil
}

func holder(path string) string {
	b, err := os.ReadFile(path)
	pid, e := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || e != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

// lockKeys waits for its turn to change keys.age. A turn is a few milliseconds;
// ten seconds mean that a process hangs in one.
func (f *Folder) lockKeys() (unlock func(), err error) {
	file, err := os.OpenFile(f.file("keys.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", f.path, err)
	}
	give := time.NewTimer(10 * time.Second)
	defer give.Stop()
	turn := time.NewTicker(5 * time.Millisecond)
	defer turn.Stop()
	for {
		err := tryLock(file)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			file.Close()
			return nil, fmt.Errorf("data folder %s: lock: %w", f.path, err)
		}
		select {
		case <-turn.C:
		case <-give.C:
			file.Close()
			return nil, fmt.Errorf("data folder %s: another process has been changing its keys for 10 seconds", f.path)
		}
	}
}
