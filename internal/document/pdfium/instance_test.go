package pdfium

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/document/pdftest"
)

func open(t *testing.T, c Config) *Engine {
	t.Helper()
	e, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func hello() []byte {
	f := pdftest.New()
	f.Page(pdftest.Page{Fonts: map[string]int{"F": f.Helvetica()}, Content: pdftest.Lines("F", 12, 50, 700, "hello")})
	return f.Bytes()
}

func text(t *testing.T, i *Instance) string {
	t.Helper()
	p, err := i.Page(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Text(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInstances(t *testing.T) {
	dir := t.TempDir()
	c := Config{CacheDir: dir, MemoryPages: 1024, Steps: 1 << 30}
	e := open(t, c)
	start := func() *Instance {
		i, err := e.Start(t.Context(), hello(), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(i.Close)
		return i
	}

	t.Run("a fault ends its own instance alone", func(t *testing.T) {
		hurt, well := start(), start()
		_, err := hurt.call(t.Context(), "FPDF_GetPageWidthF", 0xffff_0000)
		var fault *Fault
		if !errors.As(err, &fault) {
			t.Fatalf("got %v, want a fault", err)
		}
		if _, again := hurt.Page(t.Context(), 0); again != err {
			t.Errorf("the instance goes on: %v", again)
		}
		if got := text(t, well); got != "hello" {
			t.Errorf("another instance reads %q", got)
		}
	})
	t.Run("closed", func(t *testing.T) {
		i := start()
		i.Close()
		i.Close()
		if _, err := i.Page(t.Context(), 0); err == nil {
			t.Error("a closed instance gives pages")
		}
	})
	t.Run("memory", func(t *testing.T) {
		i := start()
		if _, err := i.allocate(t.Context(), 100<<20); !errors.Is(err, ErrMemory) {
			t.Errorf("100 MiB of 64: %v", err)
		}
	})
	t.Run("no such page", func(t *testing.T) {
		i := start()
		for _, n := range []int{-1, 1, 1 << 30} {
			if _, err := i.Page(t.Context(), n); !errors.Is(err, ErrInvalid) {
				t.Errorf("page %d: %v", n, err)
			}
		}
	})
	t.Run("the same work every time", func(t *testing.T) {
		var left []int64
		for range 3 {
			i := start()
			p, err := i.Page(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Render(t.Context(), 1000, 1400); err != nil {
				t.Fatal(err)
			}
			left = append(left, i.steps)
		}
		if left[0] == 1<<30 || left[0] != left[1] || left[1] != left[2] {
			t.Errorf("steps left: %d", left)
		}
	})
	t.Run("a damaged cache is made anew", func(t *testing.T) {
		damaged := 0
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			damaged++
			info, err := entry.Info()
			if err != nil {
				return err
			}
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has the mode %v", path, info.Mode())
			}
			return os.Truncate(path, info.Size()/2)
		})
		if err != nil || damaged == 0 {
			t.Fatalf("%d files, %v", damaged, err)
		}
		i, err := open(t, c).Start(t.Context(), hello(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		if got := text(t, i); got != "hello" {
			t.Errorf("read %q", got)
		}
	})
}
