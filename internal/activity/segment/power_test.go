package segment

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// sector is the least that a disk writes whole.
const sector = 512

// volatileDisk remembers what a loss of power can leave of a file: of each sector
// what the last sync has saved, or anything that was written to it since; and any
// length that the file has had since.
type volatileDisk struct {
	Disk
	now, saved []byte
	sectors    map[int][][]byte
	lengths    []int
	before     func() // each write
}

func newVolatileDisk(d Disk, content []byte) *volatileDisk {
	return &volatileDisk{Disk: d, now: bytes.Clone(content), saved: bytes.Clone(content), sectors: map[int][][]byte{}, lengths: []int{len(content)}}
}

func (d *volatileDisk) WriteAt(b []byte, at int64) (int, error) {
	if d.before != nil {
		d.before()
	}
	if grow := int(at) + len(b) - len(d.now); grow > 0 {
		d.now = append(d.now, make([]byte, grow)...)
	}
	copy(d.now[at:], b)
	d.note(int(at), int(at)+len(b))
	return d.Disk.WriteAt(b, at)
}

func (d *volatileDisk) Truncate(n int64) error {
	d.now = d.now[:n:n]
	d.lengths = append(d.lengths, len(d.now))
	return d.Disk.Truncate(n)
}

func (d *volatileDisk) note(from, to int) {
	for i := from / sector; i*sector < to; i++ {
		d.sectors[i] = append(d.sectors[i], bytes.Clone(d.now[i*sector:min(len(d.now), (i+1)*sector)]))
	}
	d.lengths = append(d.lengths, len(d.now))
}

func (d *volatileDisk) Sync() error {
	d.saved, d.sectors, d.lengths = bytes.Clone(d.now), map[int][][]byte{}, []int{len(d.now)}
	return nil
}

// left is what one loss of power leaves.
func (d *volatileDisk) left(r *rand.Rand) []byte {
	image := make([]byte, d.lengths[r.IntN(len(d.lengths))])
	copy(image, d.saved)
	for i, versions := range d.sectors {
		if v := r.IntN(len(versions) + 1); v > 0 && i*sector < len(image) {
			clear(image[i*sector : min(len(image), (i+1)*sector)])
			copy(image[i*sector:], versions[v-1])
		}
	}
	return image
}

// Power that fails at any write, again and again: what was synced is there, what
// is there was written, in order, and no mark is after it.
func TestPowerFails(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		var content []byte
		var written []told // as far as it may be there
		for life := range 4 {
			path := filepath.Join(dir, fmt.Sprint(life))
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			var d *volatileDisk
			f, _, _ := openFile(t, path, Options{Wrap: func(real Disk) Disk { d = newVolatileDisk(real, content); return d }})
			there := entriesOf(t, path, Start)
			if len(there) > len(written) || !slices.Equal(there, written[:len(there)]) {
				t.Fatalf("seed %d, life %d: entries that were not written, or not in order", seed, life)
			}
			written = there
			var image []byte
			var synced int64
			n, last := 0, 1+r.IntN(60)
			d.before = func() {
				if n++; n == last {
					image, synced = d.left(r), f.Synced()
				}
			}
			var ends []int64
			for e := f.End(); len(ends) < len(written); {
				ends = append(ends, e) // of those of an earlier life: they are saved with the first sync
			}
			for i := 0; image == nil; i++ {
				switch r.IntN(8) {
				case 0:
					if err := f.Ahead(1 << 20); err != nil {
						t.Fatal(err)
					}
				case 1:
					if err := f.Sync(f.End()); err != nil {
						t.Fatal(err)
					}
				case 2:
					if err := f.Mark(f.End()); err != nil {
						t.Fatal(err)
					}
				default:
					p := bytes.Repeat([]byte{byte(1 + r.IntN(255))}, r.IntN(3000))
					if r.IntN(20) == 0 {
						p = bytes.Repeat(p, inline/max(len(p), 1)+1)
					}
					e := told{byte(life), fmt.Sprint(i, " ", string(p))}
					written = append(written, e)
					if _, err := f.Append(e.kind, []byte(e.payload)[:len(e.payload)/2], []byte(e.payload)[len(e.payload)/2:]); err != nil {
						t.Fatal(err)
					}
					ends = append(ends, f.End())
				}
			}
			content = image
			f.Close()
			*d = volatileDisk{Disk: d.Disk} // the memory
			if err := os.WriteFile(path+".left", image, 0o600); err != nil {
				t.Fatal(err)
			}
			must := 0
			for must < len(ends) && ends[must] <= synced {
				must++
			}
			found := 0
			if synced > 0 { // its head may be lost before the first sync
				found = len(entriesOf(t, path+".left", Start))
				if mark, _, err := Marked(path + ".left"); err != nil || mark > endOf(t, path+".left", Start) {
					t.Fatalf("seed %d, life %d: the mark %d is after the end, %v", seed, life, mark, err)
				}
			}
			if found < must {
				t.Fatalf("seed %d, life %d: %d entries, %d were synced", seed, life, found, must)
			}
		}
	}
}

// What was cut stays cut, though an entry now ends where it began.
func TestPowerFailsAfterACut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	f, _, _ := openFile(t, path, Options{})
	f.Append(1, bytes.Repeat([]byte("a"), 3000))
	torn, _ := f.Append(1, make([]byte, 22))
	if f.End()%sector != 0 {
		t.Fatalf("it ends at %d, within a sector", f.End())
	}
	f.Append(2, bytes.Repeat([]byte("c"), 3000))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[torn+10] ^= 1
	os.WriteFile(path+".torn", content, 0o600)
	var d *volatileDisk
	g, _, cut := openFile(t, path+".torn", Options{Wrap: func(real Disk) Disk { d = newVolatileDisk(real, content); return d }})
	if cut == 0 {
		t.Fatal("nothing was cut")
	}
	g.Append(3, make([]byte, 22))
	for seed := range uint64(200) {
		os.WriteFile(path+".left", d.left(rand.New(rand.NewPCG(seed, 1))), 0o600)
		if all := entriesOf(t, path+".left", Start); slices.ContainsFunc(all, func(e told) bool { return e.kind == 2 }) {
			t.Fatalf("seed %d: what was cut is there again", seed)
		}
	}
}

func entriesOf(t *testing.T, path string, from int64) (all []told) {
	t.Helper()
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Walk(from, nil, func(e Entry) error {
		all = append(all, told{e.Kind, string(e.Payload)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// endOf is the end that who passes over everything finds.
func endOf(t *testing.T, path string, from int64) int64 {
	t.Helper()
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	end, err := r.Walk(from, func(byte) bool { return false }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return end
}
