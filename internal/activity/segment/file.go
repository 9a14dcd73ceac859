package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
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

	mu    sync.Mutex   // of Append
	end   atomic.Int64 // of the last entry; Append alone changes it
	dirty bool         // a failed write may have left bytes after end
	buf   []byte

	growing sync.Mutex   // of what makes the file longer or shorter
	size    atomic.Int64 // of the file: zeros from end on

	syncing sync.Mutex // of what follows; never held while the disk works
	turn    *sync.Cond
	busy    bool
	synced  int64
	lostEnd int64 // what stands before it and after synced may not be on disk
	lost    error
}

// Open opens or makes a segment. What follows its last whole entry is cut and,
// unless it is zeros, kept beside it, in path + ".cut": cut is how much that was.
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
	end, err := r.Walk(0, nil, o.Seen)
	if err != nil {
		return nil, 0, err
	}
	if end == 0 && info.Size() > headSize { // entries come when the head is on the disk
		return nil, 0, fmt.Errorf("%s: %w", path, ErrNotSegment)
	}
	if info.Size() > end {
		blank, err := onlyZeros(io.NewSectionReader(f.disk, end, info.Size()-end))
		if err != nil {
			return nil, 0, err
		}
		if !blank {
			cut = info.Size() - end
		}
		if cut > 0 && end > 0 {
			if err := keep(file, end, path+".cut"); err != nil {
				return nil, 0, err
			}
		}
		if err := f.disk.Truncate(end); err != nil {
			return nil, 0, fmt.Errorf("cut the torn tail: %w", err)
		}
		if cut > 0 { // else a loss of power could bring it back behind new entries
			if err := f.disk.Sync(); err != nil {
				return nil, 0, err
			}
		}
	}
	if end == 0 { // new, or torn within its head
		if _, err := f.disk.WriteAt(appendHead(nil, Start), 0); err != nil {
			return nil, 0, err
		}
		end = Start
		if err := errors.Join(f.disk.Sync(), syncFolder(filepath.Dir(path))); err != nil {
			return nil, 0, err
		}
	}
	f.end.Store(end)
	f.size.Store(end)
	return f, cut, nil
}

func onlyZeros(in io.Reader) (bool, error) {
	buf := make([]byte, len(zeros))
	for {
		n, err := in.Read(buf)
		if !bytes.Equal(buf[:n], zeros[:n]) {
			return false, nil
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
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
func (f *File) End() int64 { return f.end.Load() }

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
		if err := f.cutBack(); err != nil {
			return 0, err
		}
	}
	f.buf = append(f.buf[:0], 0, 0, 0, 0, 0, 0, 0, 0, kind)
	crc := crc32.Update(0, table, f.buf[prefix:])
	for _, p := range parts {
		crc = crc32.Update(crc, table, p)
	}
	binary.BigEndian.PutUint32(f.buf, uint32(n))
	binary.BigEndian.PutUint32(f.buf[4:], crc)
	offset = f.end.Load()
	end := offset + prefix + int64(n)
	if end <= f.size.Load() {
		err = f.write(offset, parts)
	} else {
		f.growing.Lock()
		if err = f.write(offset, parts); err == nil {
			f.size.Store(max(end, f.size.Load()))
		}
		f.growing.Unlock()
	}
	if err != nil { // what was written of it must not stay: something else could follow it
		_ = f.cutBack() // the next Append tries it again
		return 0, err
	}
	f.end.Store(end)
	return offset, nil
}

// write writes an entry, of which buf is the beginning. That goes last, so that
// who reads finds no entry before the whole of it is there.
func (f *File) write(offset int64, parts [][]byte) error {
	head, at := 0, offset
	for _, p := range parts {
		if len(f.buf)-head+len(p) <= inline {
			f.buf = append(f.buf, p...)
			continue
		}
		if head == 0 {
			head = len(f.buf)
			at += int64(head)
		} else if err := f.put(f.buf[head:], &at); err != nil {
			return err
		}
		f.buf = f.buf[:head]
		if err := f.put(p, &at); err != nil {
			return err
		}
	}
	if head == 0 {
		head = len(f.buf)
	} else if err := f.put(f.buf[head:], &at); err != nil {
		return err
	}
	return f.put(f.buf[:head], &offset)
}

func (f *File) put(b []byte, at *int64) error {
	if len(b) == 0 {
		return nil
	}
	n, err := f.disk.WriteAt(b, *at)
	*at += int64(n)
	return err
}

// cutBack makes the file end with its last entry.
func (f *File) cutBack() error {
	f.growing.Lock()
	defer f.growing.Unlock()
	err := f.disk.Truncate(f.end.Load())
	if f.dirty = err != nil; f.dirty {
		f.size.Store(math.MaxInt64) // unknown
	} else {
		f.size.Store(f.end.Load())
	}
	return err
}

// zeros go ahead in chunks of their length, so that nobody waits for more.
var zeros [64 << 10]byte

// The zeros that are ahead: an eighth of what is there, so that a small segment
// stays small.
const (
	leastAhead = 16 << 10
	mostAhead  = 1 << 20
)

// Ahead writes zeros after the last entry, at most so many: a sync of what is
// written over them takes half the time and CPU of one that makes the file
// longer (measured on ext4). It belongs in the background, and its failure is
// none of the segment's.
func (f *File) Ahead(most int64) error {
	end := f.end.Load()
	step := min(max(end/8, leastAhead), mostAhead)
	if step > most || f.size.Load()-end > step/2 {
		return nil
	}
	for to := (end + step) &^ (4<<10 - 1); ; {
		if done, err := f.zero(to); done || err != nil {
			return err
		}
	}
}

func (f *File) zero(to int64) (done bool, err error) {
	f.growing.Lock()
	defer f.growing.Unlock()
	from := f.size.Load()
	if from >= to {
		return true, nil
	}
	n, err := f.disk.WriteAt(zeros[:min(to-from, int64(len(zeros)))], from)
	f.size.Add(int64(n))
	return false, err
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
		runtime.Gosched() // those who are about to write get in
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

// Close cuts what is ahead. It does not sync.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	if f.size.Load() > f.end.Load() {
		err = f.cutBack()
	}
	return errors.Join(err, f.disk.Close())
}
