package segment

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

func sizeOn(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// Zeros are ahead, little of them in a small file; they go when it is closed, and
// after a crash without a word.
func TestAhead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	f, _, _ := openFile(t, path, Options{})
	written := 0
	for size := range []int{0, 10, 5000, leastAhead, 100_000, 3 << 20, 300_000, 9 << 20, 400_000, 1, 2, 3} {
		if err := f.Ahead(1 << 40); err != nil {
			t.Fatal(err)
		}
		if ahead := sizeOn(t, path) - f.End(); ahead < leastAhead/2-4096 || ahead > max(f.End()/8, leastAhead) || ahead > mostAhead {
			t.Errorf("%d bytes ahead of %d", ahead, f.End())
		}
		if _, err := f.Append(1, bytes.Repeat([]byte("x"), size)); err != nil {
			t.Fatal(err)
		}
		written++
	}
	f.Ahead(1 << 40)
	end, size := f.End(), sizeOn(t, path)
	if f.Ahead(1 << 40); sizeOn(t, path) != size {
		t.Error("more zeros where there are enough")
	}
	if got := endOf(t, path, Start); got != end {
		t.Errorf("end %d, want %d", got, end)
	}
	copied, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	crashed := path + ".crashed"
	os.WriteFile(crashed, copied, 0o600)
	if _, atEnd, err := Marked(crashed); atEnd || err != nil {
		t.Errorf("whole, with zeros behind: %v", err)
	}
	g, seen, cut := openFile(t, crashed, Options{})
	if _, err := os.Stat(crashed + ".cut"); len(seen) != written || cut != 0 || !errors.Is(err, fs.ErrNotExist) || sizeOn(t, crashed) != end || g.End() != end {
		t.Errorf("after a crash: %d entries, cut %d, %d bytes of %d, %v", len(seen), cut, sizeOn(t, crashed), end, err)
	}
	os.WriteFile(crashed, append(copied[:len(copied)-1:len(copied)-1], 1), 0o600)
	if _, seen, cut := openFile(t, crashed, Options{}); len(seen) != written || cut != size-end || sizeOn(t, crashed+".cut") != cut {
		t.Errorf("something in the zeros: %d entries, cut %d of %d", len(seen), cut, size-end)
	}
	if err := f.Mark(end); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, atEnd, err := Marked(path); !atEnd || err != nil || sizeOn(t, path) != end {
		t.Errorf("closed: %d bytes of %d, marked at its end: %v, %v", sizeOn(t, path), end, atEnd, err)
	}
}

// A disk that has no room for zeros has it for entries, and the other way round.
func TestAheadOfAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	bad := &badDisk{room: 1 << 40}
	f, _, _ := openFile(t, path, Options{Wrap: func(d Disk) Disk { bad.Disk = d; return bad }})
	if err := f.Ahead(leastAhead - 1); err != nil || sizeOn(t, path) != Start {
		t.Errorf("more than was allowed: %d bytes, %v", sizeOn(t, path), err)
	}
	bad.room = 5000
	if err := f.Ahead(1 << 20); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	bad.room = 1 << 40
	for range 10 {
		if _, err := f.Append(1, make([]byte, 2000)); err != nil {
			t.Fatal(err)
		}
	}
	f.Ahead(1 << 20)
	bad.room = 300
	if _, err := f.Append(2, bytes.Repeat([]byte("y"), 2000)); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	bad.room = 1 << 40
	if _, err := f.Append(1, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	f.Ahead(1 << 20)
	if _, seen, cut := openFile(t, path, Options{}); len(seen) != 11 || cut != 0 || slices.ContainsFunc(seen, func(e told) bool { return e.kind == 2 }) {
		t.Errorf("%d entries, cut %d", len(seen), cut)
	}
}

// gatedDisk shows a file before each write.
type gatedDisk struct {
	Disk
	before func(b []byte, at int64)
}

func (d *gatedDisk) WriteAt(b []byte, at int64) (int, error) {
	d.before(b, at)
	return d.Disk.WriteAt(b, at)
}

// At each write of an entry of many pieces, and with half of that write done:
// nobody finds it, whether he reads it or passes over it, and a crash costs
// nothing but it.
func TestHalfWritten(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "s")
		gate := &gatedDisk{before: func([]byte, int64) {}}
		f, _, _ := openFile(t, path, Options{Wrap: func(d Disk) Disk { gate.Disk = d; return gate }})
		f.Append(1, []byte("before"))
		if ahead {
			for range 20 {
				f.Append(1, make([]byte, inline))
				f.Ahead(1 << 40)
			}
		}
		end, writes := f.End(), 0
		want := len(entriesOf(t, path, Start))
		gate.before = func(b []byte, at int64) {
			writes++
			for _, half := range []int{0, 1, prefix, prefix + 1, len(b) / 2, len(b) - 1} {
				if half >= len(b) {
					continue
				}
				gate.Disk.WriteAt(b[:half], at)
				if got := endOf(t, path, Start); got != end {
					t.Fatalf("write %d, %d bytes of it: who passes over ends at %d, not %d", writes, half, got, end)
				}
				if got := len(entriesOf(t, path, Start)); got != want {
					t.Fatalf("write %d, %d bytes of it: %d entries of %d", writes, half, got, want)
				}
				copied, _ := os.ReadFile(path)
				os.WriteFile(path+".crashed", copied, 0o600)
				g, seen, _ := openFile(t, path+".crashed", Options{})
				if len(seen) != want || g.End() != end {
					t.Fatalf("a crash at write %d, %d bytes of it: %d entries of %d", writes, half, len(seen), want)
				}
				g.Close()
				os.Remove(path + ".crashed.cut")
			}
		}
		if _, err := f.Append(2, []byte("head "), long, []byte("a"), []byte("b"), long, []byte(" tail")); err != nil {
			t.Fatal(err)
		}
		gate.before = func([]byte, int64) {}
		if writes < 3 {
			t.Errorf("%d writes", writes)
		}
		if all := entriesOf(t, path, Start); len(all) != want+1 || all[want].payload != "head "+string(long)+"ab"+string(long)+" tail" {
			t.Errorf("%d entries of %d", len(all), want+1)
		}
		if got := endOf(t, path, Start); got != f.End() {
			t.Errorf("end %d of %d", got, f.End())
		}
	}
}

// Writers, zeros and readers at once: those who read find each entry once, those
// who pass over all of them never end after the last.
func TestAheadConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	f, _, _ := openFile(t, path, Options{})
	const writers, each = 4, 300
	var writing, others sync.WaitGroup
	var offsets, ends sync.Map
	for range writers {
		writing.Go(func() {
			for range each {
				n := rand.IntN(9000)
				if rand.IntN(50) == 0 {
					n = 2 * inline
				}
				at, err := f.Append(1, []byte("entry"), bytes.Repeat([]byte{1}, n))
				if err != nil {
					t.Error(err)
				}
				offsets.Store(at, true)
			}
		})
	}
	done := make(chan struct{})
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				f.Ahead(1 << 40)
			}
		}
	})
	others.Go(func() {
		r, err := OpenReader(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer r.Close()
		for at := Start; ; {
			end, err := r.Walk(at, func(byte) bool { return false }, nil)
			if err != nil || end < at {
				t.Errorf("passed over to %d after %d, %v", end, at, err)
				return
			}
			at = end
			ends.Store(at, true)
			select {
			case <-done:
				return
			default:
			}
		}
	})
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, at := 0, Start
	read := func() {
		if at, err = r.Walk(at, nil, func(e Entry) error {
			n++
			if !bytes.HasPrefix(e.Payload, []byte("entry")) {
				t.Errorf("an entry that nobody wrote: %q", e.Payload[:5])
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	written := make(chan struct{})
	go func() {
		writing.Wait()
		close(written)
	}()
	for writes := true; writes; {
		read()
		select {
		case <-written:
			writes = false
		default:
		}
	}
	close(done)
	others.Wait()
	if read(); n != writers*each || at != f.End() {
		t.Errorf("%d entries of %d, up to %d of %d", n, writers*each, at, f.End())
	}
	offsets.Store(f.End(), true)
	ends.Range(func(at, _ any) bool {
		if _, ok := offsets.Load(at); !ok {
			t.Errorf("an end at %d, where no entry ends", at)
		}
		return true
	})
	if got := endOf(t, path, Start); got != f.End() {
		t.Errorf("end %d of %d", got, f.End())
	}
}
