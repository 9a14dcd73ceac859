package segment

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// tornDisk stops in each write when a part of it is there: its first bytes, as a
// page after the other is copied; or its last, as a reader finds them who has read
// the first ones before they came.
type tornDisk struct {
	Disk
	cuts func(b []byte) []int // nil: none
	look func()
}

func (d *tornDisk) WriteAt(b []byte, at int64) (int, error) {
	if d.cuts == nil {
		return d.Disk.WriteAt(b, at)
	}
	was := make([]byte, len(b))
	d.Disk.ReadAt(was, at) // what it cannot read is not there, and zero
	for _, cut := range d.cuts(b) {
		for _, half := range [][]byte{
			append(slices.Clone(b[:cut]), was[cut:]...),
			append(slices.Clone(was[:cut]), b[cut:]...),
		} {
			if _, err := d.Disk.WriteAt(half, at); err != nil {
				return 0, err
			}
			d.look()
		}
	}
	return d.Disk.WriteAt(b, at)
}

// An entry whose beginning is half there is no entry, whatever length that says and
// wherever it leads: who walks ends before it, and finds it when it is whole. The
// payloads look like lengths from any byte on.
func TestTornLength(t *testing.T) {
	payloads := map[string][]byte{
		"far":  bytes.Repeat([]byte{1}, 70_000),
		"near": bytes.Repeat([]byte{0, 0, 0, 1}, 70_000/4),
		"both": bytes.Repeat([]byte{0, 0, 2, 5, 0, 0, 1}, 70_000/7),
		"long": bytes.Repeat([]byte{0, 0, 1}, inline/2),
	}
	for name, payload := range payloads {
		for before := range 4 {
			t.Run(fmt.Sprint(name, " after ", before), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "s")
				torn := &tornDisk{}
				f, _, _ := openFile(t, path, Options{Wrap: func(d Disk) Disk { torn.Disk = d; return torn }})
				r, err := OpenReader(path)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				append1 := func(kind byte, parts ...[]byte) {
					t.Helper()
					if _, err := f.Append(kind, parts...); err != nil {
						t.Fatal(err)
					}
				}
				append1(2, []byte("read"))
				from := f.End()
				for range before {
					append1(1, []byte("passed over"))
				}
				if err := f.Ahead(1 << 20); err != nil {
					t.Fatal(err)
				}
				none := func(byte) bool { return false }
				second := func(kind byte) bool { return kind == 2 }
				looks := 0
				end := f.End()
				whole := end + prefix + 1 + 2*int64(len(payload)) // when the bytes of before are what was written
				torn.look = func() {
					if looks++; t.Failed() {
						return
					}
					for _, at := range []int64{0, Start, from} {
						for which, want := range map[string]func(byte) bool{"none": none, "second": second, "all": nil} {
							n := 0
							got, err := r.Walk(at, want, func(Entry) error { n++; return nil })
							if err != nil || got != end && got != whole {
								t.Errorf("look %d from %d, %s wanted: end %d of %d, %v", looks, at, which, got, end, err)
							}
						}
					}
				}
				torn.cuts = func(b []byte) (all []int) {
					for cut := 1; cut < min(len(b), prefix+3); cut++ {
						all = append(all, cut)
					}
					return all
				}
				append1(1, payload, payload)
				torn.cuts = nil
				if looks < 2*prefix {
					t.Errorf("%d looks", looks)
				}
				append1(2, []byte("the last"))
				var seen []string
				got, err := r.Walk(end, second, func(e Entry) error {
					seen = append(seen, string(e.Payload))
					return nil
				})
				if err != nil || got != f.End() || !slices.Equal(seen, []string{"the last"}) {
					t.Errorf("whole: %q, end %d of %d, %v", seen, got, f.End(), err)
				}
			})
		}
	}
}

// staleReader gives the first read, as far as cut, as it was before the write that
// all else is after: a reader that is slower than the writer.
type staleReader struct {
	was, is []byte
	cut     int
	reads   int
}

func (s *staleReader) ReadAt(p []byte, at int64) (int, error) {
	now := s.is
	if s.reads++; s.reads == 1 {
		now = append(slices.Clone(s.was[:s.cut]), s.is[s.cut:]...)
	}
	return bytes.NewReader(now).ReadAt(p, at)
}

// Who has misread a length that is whole a moment later goes on behind the entry,
// and misses none that is wanted.
func TestLengthReadWhileWritten(t *testing.T) {
	entry := func(dst []byte, kind byte, payload []byte) []byte {
		path := filepath.Join(t.TempDir(), "s")
		f, _, _ := openFile(t, path, Options{})
		if _, err := f.Append(kind, payload); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, f.End()-Start)
		if _, err := f.disk.ReadAt(b, Start); err != nil {
			t.Fatal(err)
		}
		return append(dst, b...)
	}
	for _, pattern := range [][]byte{{1}, {0, 0, 0, 1}, {0, 0, 2, 5, 0, 0, 1}} {
		whole := entry(appendHead(nil, Start), 1, []byte("before"))
		at := len(whole)
		whole = entry(whole, 1, bytes.Repeat(pattern, 70_000/len(pattern)))
		whole = entry(whole, 2, []byte("wanted"))
		was := make([]byte, len(whole))
		copy(was, whole[:at])
		for cut := at; cut <= at+prefix+1; cut++ {
			r := &Reader{at: &staleReader{was: was, is: whole, cut: cut}, name: "stale"}
			n, ends := 0, []int64{}
			for from := Start; len(ends) < 2; from = ends[len(ends)-1] {
				end, err := r.Walk(from, func(kind byte) bool { return kind == 2 }, func(e Entry) error {
					if string(e.Payload) != "wanted" {
						return errors.New("another entry")
					}
					n++
					return nil
				})
				if err != nil {
					t.Fatalf("%d of %v: %v", cut-at, pattern, err)
				}
				ends = append(ends, end)
			}
			if n != 1 || ends[1] != int64(len(whole)) {
				t.Errorf("%d bytes of before, of %v: seen %d times, ends %d of %d", cut-at, pattern, n, ends, len(whole))
			}
		}
	}
}
