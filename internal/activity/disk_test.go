package activity

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// faults are what files on a disk fail with when they are told to.
type faults struct {
	mu    sync.Mutex
	write error
	sync  error
}

func (d *faults) set(write, sync error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.write, d.sync = write, sync
}

type faultyFile struct {
	segment.Disk
	*faults
}

func (d faultyFile) WriteAt(b []byte, at int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.write != nil {
		n, _ := d.Disk.WriteAt(b[:len(b)/2], at)
		return n, d.write
	}
	return d.Disk.WriteAt(b, at)
}

func (d faultyFile) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sync
}

var errFull = errors.New("no space left on device")

func faulty(o Options) (Options, *faults) {
	d := &faults{}
	o.wrap = func(real segment.Disk) segment.Disk { return faultyFile{real, d} }
	return o, d
}

func TestFullDisk(t *testing.T) {
	for _, required := range []bool{false, true} {
		t.Run(fmt.Sprintf("required %v", required), func(t *testing.T) {
			dir := t.TempDir()
			var said bytes.Buffer
			o, disk := faulty(Options{Required: required, Log: slog.New(slog.NewTextHandler(&said, nil))})
			s := openStore(t, dir, o)
			call(t, s, "before", []byte("{}"), Full)
			over, _ := s.Open(t.Context(), Opening{Record: started("answered"), Body: []byte("{}")})
			disk.set(errFull, nil)

			e, err := s.Open(t.Context(), Opening{Record: started("while full"), Body: []byte("{}")})
			if required {
				if me := messages.AsError(err); err == nil || me.Kind != messages.Unavailable || !errors.Is(err, errFull) || strings.Contains(me.Message, "space") {
					t.Errorf("Open: %v", err)
				}
			} else if err != nil {
				t.Errorf("Open: %v", err)
			}
			over.Frame("message", []byte("{}"))
			if err := over.Close(ended("answered")); (err != nil) != required {
				t.Errorf("Close: %v", err)
			}
			e.Frame("message", []byte("{}")) // e is nil if it was denied
			if err := e.Close(ended("while full")); err != nil {
				t.Errorf("Close: %v", err)
			}
			if s.Trouble() == nil || !strings.Contains(said.String(), "no space left") {
				t.Errorf("the trouble is not said: %v, %s", s.Trouble(), &said)
			}
			disk.set(nil, nil)
			call(t, s, "after", []byte("{}"), Full)
			if err := s.Tend(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Trouble(); err != nil {
				t.Errorf("trouble that is over: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			got := map[string]Content{}
			for _, r := range records(t, dir) {
				if _, twice := got[r.RequestID]; twice || r.Interrupted {
					t.Errorf("%s: twice %v, interrupted %v", r.RequestID, twice, r.Interrupted)
				}
				got[r.RequestID] = r.Content
			}
			want := map[string]Content{"before": Kept, "after": Kept, "answered": Lost}
			if !required {
				want["while full"] = Lost
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("records %v, want %v", got, want)
			}
		})
	}
}

// A day that begins while its file cannot be made has its records in the end.
func TestFullDiskNewDay(t *testing.T) {
	for _, mode := range []Durability{Default, Power, Relaxed} {
		s := openStore(t, t.TempDir(), Options{Durability: mode})
		path := s.path(DayOf(noon))
		if err := os.Mkdir(path, 0o700); err != nil { // a file that cannot be opened
			t.Fatal(err)
		}
		call(t, s, "answered", []byte("{}"), Full)
		s.Record(Record{RequestID: "denied", Time: noon, Status: 403, Principal: "somebody"})
		if s.Trouble() == nil {
			t.Errorf("%s: no trouble", mode)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := s.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		call(t, s, "after", []byte("{}"), Full)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		got := map[string]Content{}
		for _, r := range records(t, s.Dir()) {
			got[r.RequestID] = r.Content
		}
		if want := map[string]Content{"answered": Lost, "denied": NotKept, "after": Kept}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: records %v, want %v", mode, got, want)
		}
		if err := s.Trouble(); err != nil {
			t.Errorf("%s: %v after it was over", mode, err)
		}
	}
}

// An answer that grows while nothing can be written does not fill the memory.
func TestFullDiskLongAnswer(t *testing.T) {
	dir := t.TempDir()
	o, disk := faulty(Options{})
	s := openStore(t, dir, o)
	e, _ := s.Open(t.Context(), Opening{Record: started("long"), Body: []byte("{}")})
	disk.set(errFull, nil)
	for range 2000 {
		e.Frame("content_block_delta", []byte(randomBase64(6000)))
		if n := cap(e.frames.buf); n > 4*frameMost {
			t.Fatalf("%d bytes are held", n)
		}
	}
	disk.set(nil, nil)
	if err := e.Close(ended("long")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if r := get(t, dir, "long").Record; r.Content != Lost || r.Status != 200 {
		t.Errorf("%+v", r)
	}
}

// A disk that does not sync denies calls where the log is required, until it
// does again.
func TestFailingSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, disk := faulty(Options{Required: true})
		s := openStore(t, t.TempDir(), o)
		call(t, s, "before", []byte("{}"), Full)
		disk.set(nil, errFull)
		call(t, s, "a", []byte("{}"), Full)
		time.Sleep(2 * syncEvery)
		synctest.Wait()
		if _, err := s.Open(t.Context(), Opening{Record: started("b")}); err == nil {
			t.Error("a call was let in while nothing lasts")
		}
		disk.set(nil, nil)
		s.Record(Record{RequestID: "denied", Time: noon, Status: 503}) // what the gateway makes of it
		time.Sleep(2 * syncEvery)
		synctest.Wait()
		call(t, s, "c", []byte("{}"), Full)
		s.Close()
	})
}

// A log that is required is found to work again without a call: none may come,
// if a load balancer asks whether this server is ready.
func TestProbe(t *testing.T) {
	for _, what := range []string{"write", "sync"} {
		synctest.Test(t, func(t *testing.T) {
			o, disk := faulty(Options{Required: true})
			s := openStore(t, t.TempDir(), o)
			call(t, s, "a", []byte("{}"), Full)
			if what == "write" {
				disk.set(errFull, nil)
			} else {
				disk.set(nil, errFull)
				call(t, s, "b", []byte("{}"), Full)
				time.Sleep(2 * syncEvery)
				synctest.Wait()
			}
			if _, err := s.Open(t.Context(), Opening{Record: started("denied")}); err == nil {
				t.Errorf("%s: a call was let in", what)
			}
			time.Sleep(2 * troubleEvery)
			synctest.Wait()
			if s.Trouble() == nil {
				t.Errorf("%s: no trouble while nothing can be written", what)
			}
			disk.set(nil, nil)
			time.Sleep(2 * troubleEvery)
			synctest.Wait()
			if err := s.Trouble(); err != nil {
				t.Errorf("%s: %v after it was over", what, err)
			}
			call(t, s, "c", []byte("{}"), Full)
			s.Close()
			if left, err := filepath.Glob(filepath.Join(s.Dir(), "*"+newSuffix)); err != nil || len(left) > 0 {
				t.Errorf("%s: %v, %v", what, left, err)
			}
		})
	}
}

// Power waits for the disk, the other modes do not.
func TestPowerWaits(t *testing.T) {
	o, disk := faulty(Options{Durability: Power, Required: true})
	s := openStore(t, t.TempDir(), o)
	e, err := s.Open(t.Context(), Opening{Record: started("a"), Body: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	disk.set(nil, errFull)
	if err := e.Close(ended("a")); !errors.Is(err, errFull) {
		t.Errorf("Close, while the disk does not sync: %v", err)
	}
}
