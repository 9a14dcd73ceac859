package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// made is an archive that Write would not make.
func made(t *testing.T, bytesSaid int64, members func(w *tar.Writer)) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	add(t, w, headName, fmt.Sprintf(`{"format":%q,"bytes":%d}`, format, bytesSaid))
	members(w)
	if err := errors.Join(w.Flush(), z.Close()); err != nil && !strings.Contains(err.Error(), "missed writing") {
		t.Fatal(err)
	}
	return &out
}

func add(t *testing.T, w *tar.Writer, name, content string) {
	t.Helper()
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
}

// What takes more than it may is refused, whatever it says of itself, and nothing
// of it stays.
func TestTooLarge(t *testing.T) {
	const most = 1 << 20
	for name, in := range map[string]io.Reader{
		"as it says": made(t, most+1, func(w *tar.Writer) { add(t, w, "a", "small") }),
		"one file":   made(t, 0, func(w *tar.Writer) { add(t, w, "a", strings.Repeat("x", most)) }),
		"many files": made(t, 0, func(w *tar.Writer) {
			for i := range 4 {
				add(t, w, fmt.Sprint(i), strings.Repeat("x", most/4))
			}
		}),
		"empty files": made(t, 0, func(w *tar.Writer) {
			for i := range most/block + 1 {
				add(t, w, fmt.Sprint(i), "")
			}
		}),
		"their folders": made(t, 0, func(w *tar.Writer) { add(t, w, strings.Repeat("d/", most/block)+"a", "") }),
		"a length of more than there is": made(t, 0, func(w *tar.Writer) {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1<<63 - 1, Mode: 0o600, Format: tar.FormatPAX}); err != nil {
				t.Fatal(err)
			}
		}),
	} {
		parent := t.TempDir()
		if _, err := Restore(t.Context(), in, filepath.Join(parent, "to"), most); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
	}

	dir, _ := folder(t)
	put(t, dir, today, strings.Repeat("x", 1<<20))
	var out bytes.Buffer
	if err := Write(t.Context(), &out, dir, options()); err != nil {
		t.Fatal(err)
	}
	in := bytes.NewReader(out.Bytes())
	head, err := Restore(t.Context(), in, filepath.Join(t.TempDir(), "to"), 2<<20)
	if err != nil || head.Bytes < 1<<20 {
		t.Fatalf("what has room: %+v, %v", head, err)
	}
	in.Reset(out.Bytes())
	if _, err := Restore(t.Context(), in, filepath.Join(t.TempDir(), "to"), head.Bytes-1); !errors.Is(err, ErrTooLarge) || in.Len() == 0 {
		t.Errorf("what says that it is too large: %v, %d bytes unread", err, in.Len())
	}
}

// Who has had enough of a long member need not wait for its end.
func TestRestoreInterrupted(t *testing.T) {
	parent := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in := made(t, 0, func(w *tar.Writer) { add(t, w, "a", strings.Repeat("x", 64<<20)) })
	whole := in.Len()
	_, err := Restore(ctx, &stopping{in, 8 << 10, stop}, filepath.Join(parent, "to"), 1<<40)
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrDamaged) || in.Len() < whole/2 {
		t.Errorf("%v, %d bytes unread of %d", err, in.Len(), whole)
	}
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// stopping ends a context when so much has been read.
type stopping struct {
	io.Reader
	after int
	stop  func()
}

func (s *stopping) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p[:min(len(p), 512)])
	if s.after -= n; s.after < 0 {
		s.stop()
	}
	return n, err
}
