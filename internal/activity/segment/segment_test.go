package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// told is an entry as a test remembers it.
type told struct {
	kind    byte
	payload string
}

func openFile(t testing.TB, path string, o Options) (*File, []told, int64) {
	t.Helper()
	var seen []told
	o.Seen = func(e Entry) error {
		seen = append(seen, told{e.Kind, string(e.Payload)})
		return nil
	}
	f, cut, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, seen, cut
}

// long is more than is put together before it is written.
var long = bytes.Repeat([]byte("0123456789abcdef"), inline/16+1)

func TestAppendAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	f, _, _ := openFile(t, path, Options{})
	entries := [][][]byte{
		{[]byte("one part")},
		{[]byte("two"), []byte(" parts")},
		{},
		{nil, nil},
		{[]byte("head "), long, []byte(" tail")},
		{long, long[:100], long},
	}
	var want []told
	var offsets []int64
	for i, parts := range entries {
		at, err := f.Append(byte(i), parts...)
		if err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, at)
		want = append(want, told{byte(i), string(bytes.Join(parts, nil))})
	}
	if _, seen, cut := openFile(t, path, Options{}); !slices.Equal(seen, want) || cut != 0 {
		t.Errorf("opened again: %d entries, cut %d", len(seen), cut)
	}
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var buf []byte
	for i, at := range offsets {
		var e Entry
		if e, buf, err = r.At(at, buf); err != nil || e.Kind != want[i].kind || string(e.Payload) != want[i].payload {
			t.Errorf("At(%d): kind %d, %d bytes, %v", at, e.Kind, len(e.Payload), err)
		}
		if _, buf, err = r.At(at+1, buf); err == nil {
			t.Errorf("At(%d): an entry where none begins", at+1)
		}
	}
	var odd []byte
	end, err := r.Walk(Start, func(k byte) bool { return k%2 == 1 }, func(e Entry) error {
		odd = append(odd, e.Kind)
		return nil
	})
	if err != nil || end != f.End() || !slices.Equal(odd, []byte{1, 3, 5}) {
		t.Errorf("Walk: kinds %v, end %d of %d, %v", odd, end, f.End(), err)
	}
	stop := errors.New("stop")
	if end, err := r.Walk(Start, nil, func(e Entry) error { return stop }); !errors.Is(err, stop) || end != Start {
		t.Errorf("a walk that is stopped: %d, %v", end, err)
	}
}

// Cut at every byte, and with every byte of the last entry spoiled: what was
// whole before stays, nothing else is shown, and the file can be written on.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	f, _, _ := openFile(t, whole, Options{})
	var ends []int64
	for i := range 4 {
		if _, err := f.Append(byte(i), fmt.Appendf(nil, "payload %d", i)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, f.End())
	}
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, data []byte, entries int) {
		t.Helper()
		path := filepath.Join(dir, "torn")
		os.Remove(path + ".cut")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		keeps := Start
		if entries > 0 {
			keeps = ends[entries-1]
		}
		torn := data[min(keeps, int64(len(data))):]
		if bytes.Equal(torn, make([]byte, len(torn))) {
			torn = nil
		}
		f, seen, cut := openFile(t, path, Options{})
		if len(seen) != entries || cut != int64(len(torn)) && len(data) >= headSize {
			t.Fatalf("%s: %d entries, cut %d; want %d", name, len(seen), cut, entries)
		}
		if aside, _ := os.ReadFile(path + ".cut"); len(data) >= headSize && !bytes.Equal(aside, torn) {
			t.Fatalf("%s: what was cut is not kept", name)
		}
		if _, err := f.Append(9, []byte("after")); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if _, seen, cut := openFile(t, path, Options{}); len(seen) != entries+1 || seen[entries].payload != "after" || cut != 0 {
			t.Fatalf("%s, written on: %v, cut %d", name, seen, cut)
		}
	}
	for n := range data {
		entries := 0
		for _, end := range ends {
			if int64(n) >= end {
				entries++
			}
		}
		try(fmt.Sprintf("cut at %d", n), data[:n], entries)
	}
	for i := ends[2]; i < ends[3]; i++ {
		spoilt := bytes.Clone(data)
		spoilt[i] ^= 0x41
		try(fmt.Sprintf("byte %d spoilt", i), spoilt, 3)
	}
}

func TestMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	f, _, _ := openFile(t, path, Options{})
	f.Append(1, []byte("a"))
	at, _ := f.Append(2, []byte("b"))
	if err := f.Mark(at); err != nil {
		t.Fatal(err)
	}
	if mark, atEnd, err := Marked(path); mark != at || atEnd || err != nil {
		t.Errorf("mark %d of %d, at the end: %v, %v", mark, at, atEnd, err)
	}
	f.Close()
	f, seen, _ := openFile(t, path, Options{})
	if len(seen) != 1 || seen[0].kind != 2 {
		t.Errorf("from the mark: %v", seen)
	}
	if err := f.Mark(f.End()); err != nil {
		t.Fatal(err)
	}
	if _, atEnd, err := Marked(path); !atEnd || err != nil {
		t.Errorf("marked to the end: %v, %v", atEnd, err)
	}
	// A torn mark is no mark.
	raw, _ := os.OpenFile(path, os.O_RDWR, 0)
	raw.WriteAt([]byte{0xff}, 20)
	raw.Close()
	if _, seen, _ := openFile(t, path, Options{}); len(seen) != 2 {
		t.Errorf("with a torn mark: %v", seen)
	}
}

func TestNotASegment(t *testing.T) {
	for _, data := range []string{"x", "outcrop-segment2", string(make([]byte, 100))} {
		path := filepath.Join(t.TempDir(), "s")
		os.WriteFile(path, []byte(data), 0o600)
		if _, _, err := Open(path, Options{}); !errors.Is(err, ErrNotSegment) {
			t.Errorf("%q opened: %v", data, err)
		}
		if got, _ := os.ReadFile(path); string(got) != data {
			t.Errorf("%q was changed", data)
		}
	}
}

// badDisk fails as it is told.
type badDisk struct {
	Disk
	room      int64 // bytes until it is full; writes then stop half way
	noCutting bool
	syncErr   error
	syncs     atomic.Int64
	syncGate  chan struct{}
}

var errFull = errors.New("no space left on device")

func (d *badDisk) WriteAt(b []byte, at int64) (int, error) {
	if int64(len(b)) > d.room {
		n, _ := d.Disk.WriteAt(b[:d.room], at)
		d.room = 0
		return n, errFull
	}
	d.room -= int64(len(b))
	return d.Disk.WriteAt(b, at)
}

func (d *badDisk) Truncate(n int64) error {
	if d.noCutting {
		return errFull
	}
	return d.Disk.Truncate(n)
}

func (d *badDisk) Sync() error {
	d.syncs.Add(1)
	if d.syncGate != nil {
		<-d.syncGate
	}
	return d.syncErr
}

// A disk that is full in the middle of an entry costs that entry alone, also
// when its remains could be read as entries.
func TestFullDisk(t *testing.T) {
	for _, noCutting := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "s")
		bad := &badDisk{room: 1 << 40}
		f, _, _ := openFile(t, path, Options{Wrap: func(d Disk) Disk { bad.Disk = d; return bad }})
		f.Append(1, []byte("before"))
		// The remains of this one hold whole entries, at every offset that a
		// shorter one could end at.
		fake, _, _ := openFile(t, path+".fake", Options{})
		fake.Append(7, []byte("never acknowledged"))
		forged, _ := os.ReadFile(path + ".fake")
		hostile := bytes.Repeat(forged[Start:], 100)
		bad.room, bad.noCutting = int64(len(hostile)-50), noCutting
		if _, err := f.Append(2, hostile); !errors.Is(err, errFull) {
			t.Fatalf("a full disk: %v", err)
		}
		if _, err := f.Append(2, []byte("still full")); !errors.Is(err, errFull) {
			t.Fatalf("a full disk, again: %v", err)
		}
		if noCutting {
			f2, seen, _ := openFile(t, path, Options{})
			f2.Close()
			if len(seen) != 1 {
				t.Fatalf("a crash while it is full: %v", seen)
			}
		}
		bad.room, bad.noCutting = 1<<40, false
		for n := range 60 {
			if _, err := f.Append(3, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		_, seen, cut := openFile(t, path, Options{})
		if len(seen) != 61 || cut != 0 || slices.ContainsFunc(seen, func(e told) bool { return e.kind == 7 || e.kind == 2 }) {
			t.Errorf("after room was made: %d entries, cut %d", len(seen), cut)
		}
	}
}

func TestSyncShared(t *testing.T) {
	bad := &badDisk{room: 1 << 40}
	f, _, _ := openFile(t, filepath.Join(t.TempDir(), "s"), Options{Wrap: func(d Disk) Disk { bad.Disk = d; return bad }})
	bad.syncGate = make(chan struct{})
	bad.syncs.Store(0)
	var wg sync.WaitGroup
	for range 50 {
		at, _ := f.Append(1, []byte("x"))
		wg.Go(func() {
			if err := f.Sync(at + 1); err != nil {
				t.Error(err)
			}
		})
	}
	close(bad.syncGate)
	wg.Wait()
	if n := bad.syncs.Load(); n < 1 || n > 50 {
		t.Errorf("%d calls of the disk for 50 waits", n)
	}
	before := bad.syncs.Load()
	if err := f.Sync(f.End()); err != nil {
		t.Fatal(err)
	}
	if n := bad.syncs.Load() - before; n > 1 {
		t.Errorf("%d calls of the disk where nothing is new", n)
	}
}

// What a failed sync was to save stays lost; what is written later does not.
func TestSyncFails(t *testing.T) {
	bad := &badDisk{room: 1 << 40}
	f, _, _ := openFile(t, filepath.Join(t.TempDir(), "s"), Options{Wrap: func(d Disk) Disk { bad.Disk = d; return bad }})
	bad.syncErr = io.ErrNoProgress
	f.Append(1, []byte("lost"))
	lost := f.End()
	if err := f.Sync(lost); !errors.Is(err, io.ErrNoProgress) {
		t.Fatalf("a failing disk: %v", err)
	}
	bad.syncErr = nil
	if err := f.Sync(lost); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("what the failed sync was to save: %v", err)
	}
	f.Append(1, []byte("later"))
	if err := f.Sync(f.End()); err != nil {
		t.Errorf("what came later: %v", err)
	}
}

// Many writers and a reader at once: each entry once, whole, and none twice.
func TestConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	f, _, _ := openFile(t, path, Options{})
	const writers, each = 8, 200
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				pad := make([]byte, rand.IntN(300))
				if _, err := f.Append(byte(w), fmt.Appendf(nil, "%d/%d ", w, i), pad); err != nil {
					t.Error(err)
				}
			}
		})
	}
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, at := 0, Start
	next := [writers]int{}
	for n < writers*each {
		at, err = r.Walk(at, nil, func(e Entry) error {
			var w, i int
			fmt.Sscanf(string(e.Payload), "%d/%d", &w, &i)
			if i != next[w] {
				return fmt.Errorf("writer %d: entry %d, want %d", w, i, next[w])
			}
			next[w]++
			n++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

func TestAllocations(t *testing.T) {
	f, _, _ := openFile(t, filepath.Join(t.TempDir(), "s"), Options{})
	a, b := make([]byte, 300), make([]byte, 2000)
	f.Append(1, a, b)
	if n := testing.AllocsPerRun(100, func() { f.Append(1, a, b) }); n > 0 {
		t.Errorf("Append: %v allocations", n)
	}
}

func FuzzOpen(f *testing.F) {
	head := appendHead(nil, Start)
	f.Add(head)
	f.Add(append(bytes.Clone(head), 0, 0, 0, 1, 0, 0, 0, 0, 1))
	f.Add(append(appendHead(nil, 1000), 1))
	f.Add(append(bytes.Clone(head), 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "s")
		os.WriteFile(path, data, 0o600)
		var n int
		s, _, err := Open(path, Options{Seen: func(Entry) error { n++; return nil }})
		if err != nil {
			return
		}
		if _, err := s.Append(1, []byte("x")); err != nil {
			t.Fatal(err)
		}
		s.Close()
		again := 0
		if s, _, err = Open(path, Options{Seen: func(Entry) error { again++; return nil }}); err != nil || again != n+1 {
			t.Fatalf("%d entries, then %d, %v", n, again, err)
		}
		s.Close()
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{300, 4 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%d", size), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "s")
			f, _, _ := openFile(b, path, Options{})
			p := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if f.End() > 1<<30 {
					f.end.Store(Start)
				}
				if _, err := f.Append(1, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSync(b *testing.B) {
	f, _, _ := openFile(b, filepath.Join(b.TempDir(), "s"), Options{})
	p := make([]byte, 2<<10)
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			at, err := f.Append(1, p)
			if err == nil {
				err = f.Sync(at + 1)
			}
			if err != nil {
				b.Error(err)
			}
		}
	})
}
