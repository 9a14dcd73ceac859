package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Disk is what a File needs of the file system. Sync makes the contents last,
// whatever else of the file's state may be lost.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// Options of Open.
type Options struct {
	// Seen is given each entry from the mark on, in order.
	Seen func(Entry) error
	// Wrap stands between the File and the disk: for tests of failing disks.
	Wrap func(Disk) Disk
}

// File is the writing side of a segment. Its methods may be called at once.
type File struct {
	disk Disk

	mu    sync.Mutex // of writing
	end   int64
	dirty bool // a failed write may have left bytes after end
	buf   []byte

	syncing sync.Mutex // of what follows; never held while the disk works
	turn    *sync.Cond
	busy    bool
	synced  int64
	lostEnd int64 // what stands before it and after synced may not be on disk
	lost    error
}

// Open opens or makes a segment. What follows its last whole entry is cut, and
// kept beside it, in path + ".cut": cut is how much that was.
func Open(path string, o Options) (f *File, cut int64, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	f = &File{disk: disk{file}}
	if o.Wrap != nil {
		f.disk = o.Wrap(f.disk)
	}
	f.turn = sync.NewCond(&f.syncing)
	r := &Reader{at: f.disk, name: path}
	if f.end, err = r.Walk(0, nil, o.Seen); err != nil {
		return nil, 0, err
	}
	if cut = info.Size() - f.end; cut > 0 {
		if f.end > 0 {
			if err := keep(file, f.end, path+".cut"); err != nil {
				return nil, 0, err
			}
		}
		if err := f.disk.Truncate(f.end); err != nil {
			return nil, 0, fmt.Errorf("cut the torn tail: %w", err)
		}
	}
	if f.end == 0 { // new, or torn within its head
		if _, err := f.disk.WriteAt(appendHead(nil, Start), 0); err != nil {
			return nil, 0, err
		}
		f.end = Start
		if err := syncFolder(filepath.Dir(path)); err != nil {
			return nil, 0, err
		}
	}
	return f, max(cut, 0), nil
}

// keep copies what is about to be cut: it may be more than a torn tail, if the
// disk has failed in the middle.
func keep(file *os.File, from int64, path string) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.NewSectionReader(file, from, 1<<62))
	return errors.Join(err, out.Close())
}

// End is the offset of the next entry.
func (f *File) End() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.end
}

// inline is the length up to which an entry is put together and written at once;
// the long parts of a longer one are written from where they are.
const inline = 256 << 10

// Append writes one entry, whose payload is the parts one after the other, and
// gives its offset. When it returns, the entry outlives the process; see Sync
// for the machine. After an error the segment is as it was before.
func (f *File) Append(kind byte, parts ...[]byte) (offset int64, err error) {
	n := 1
	for _, p := range parts {
		n += len(p)
	}
	if n > MaxEntry+1 {
		return 0, fmt.Errorf("an entry of %d bytes is longer than %d", n, MaxEntry)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dirty {
		if err := f.disk.Truncate(f.end); err != nil {
			return 0, err
		}
		f.dirty = false
	}
	f.buf = append(f.buf[:0], 0, 0, 0, 0, 0, 0, 0, 0, kind)
	crc := crc32.Update(0, table, f.buf[prefix:])
	for _, p := range parts {
		crc = crc32.Update(crc, table, p)
	}
	binary.BigEndian.PutUint32(f.buf, uint32(n))
	binary.BigEndian.PutUint32(f.buf[4:], crc)
	at := f.end
	for _, p := range parts {
		if len(f.buf)+len(p) <= inline {
			f.buf = append(f.buf, p...)
			continue
		}
		if at, err = f.put(f.buf, at); err != nil {
			return 0, err
		}
		f.buf = f.buf[:0]
		if at, err = f.put(p, at); err != nil {
			return 0, err
		}
	}
	if at, err = f.put(f.buf, at); err != nil {
		return 0, err
	}
	offset, f.end = f.end, at
	return offset, nil
}

// put writes at an offset. What it has written of an entry that fails must not
// stay: something else could follow it.
func (f *File) put(b []byte, at int64) (int64, error) {
	if len(b) == 0 {
		return at, nil
	}
	if _, err := f.disk.WriteAt(b, at); err != nil {
		f.dirty = f.disk.Truncate(f.end) != nil
		return at, err
	}
	return at + int64(len(b)), nil
}

// Sync returns when everything before upto is on the disk. Those who wait
// together share one call of the disk; it has no timer. What a failed call was
// to save is reported lost for good: the kernel may have dropped it.
func (f *File) Sync(upto int64) error {
	f.syncing.Lock()
	defer f.syncing.Unlock()
	for {
		switch {
		case f.synced >= upto:
			return nil
		case upto <= f.lostEnd:
			return f.lost
		case f.busy:
			f.turn.Wait()
			continue
		}
		f.busy = true
		f.syncing.Unlock()
		end := f.End()
		err := f.disk.Sync()
		f.syncing.Lock()
		f.busy = false
		if err != nil {
			f.lost, f.lostEnd = err, end
		} else {
			f.synced = end
		}
		f.turn.Broadcast()
	}
}

// Synced is the offset before which everything is on the disk.
func (f *File) Synced() int64 {
	f.syncing.Lock()
	defer f.syncing.Unlock()
	return f.synced
}

// Mark notes that nothing before offset has to be looked at again. It must be
// the offset of an entry, or the end.
func (f *File) Mark(offset int64) error {
	if err := f.Sync(offset); err != nil {
		return err
	}
	_, err := f.disk.WriteAt(appendHead(nil, offset), 0)
	return err
}

// Close does not sync.
func (f *File) Close() error { return f.disk.Close() }
