package backup

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

var (
	// ErrNotEmpty: there is something in the folder already.
	ErrNotEmpty = errors.New("the folder is not empty")
	// ErrNotBackup: the file is something else.
	ErrNotBackup = errors.New("not a backup of a data folder")
	// ErrDamaged: the file is not what Write has written.
	ErrDamaged = errors.New("the backup is cut short or damaged")
	// ErrTooLarge: it would take more than it may.
	ErrTooLarge = errors.New("the backup is too large")
)

// Restore unpacks a backup into a folder that is empty or not there, if that
// takes at most so many bytes of the disk. Until everything has been checked it
// stands beside it.
func Restore(ctx context.Context, in io.Reader, folder string, most int64) (head Head, err error) {
	if list, err := os.ReadDir(folder); err == nil && len(list) > 0 {
		return head, fmt.Errorf("%w: %s", ErrNotEmpty, folder)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return head, err
	}
	parent := filepath.Dir(filepath.Clean(folder))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return head, err
	}
	half, err := os.MkdirTemp(parent, mine+"restore-")
	if err != nil {
		return head, err
	}
	defer os.RemoveAll(half) // it has its name by then, or is of no use
	if head, err = unpack(ctx, in, half, most); err != nil {
		return head, err
	}
	if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) { // it was empty
		return head, fmt.Errorf("%w: %w", ErrNotEmpty, err)
	}
	return head, os.Rename(half, folder)
}

func unpack(ctx context.Context, in io.Reader, folder string, most int64) (head Head, err error) {
	z, err := gzip.NewReader(in)
	if err != nil {
		return head, fmt.Errorf("%w: %w", ErrNotBackup, err)
	}
	t := tar.NewReader(z)
	first, err := t.Next()
	if err != nil || first.Name != headName || json.NewDecoder(io.LimitReader(t, maxMember)).Decode(&head) != nil {
		return head, ErrNotBackup
	}
	if head.Format != format {
		return head, fmt.Errorf("%w: its format is %q, this program's is %q", ErrNotBackup, head.Format, format)
	}
	if head.Bytes > most {
		return head, fmt.Errorf("%w: its files have %d bytes, and it may take %d", ErrTooLarge, head.Bytes, most)
	}
	sums, left := map[string]string{}, most // what it says of itself is not proven
	for {
		h, err := t.Next()
		if err != nil {
			return head, fmt.Errorf("%w: %w", ErrDamaged, noEOF(err))
		}
		if h.Name == sumsName {
			break
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(h.Name)) || sums[h.Name] != "" {
			return head, fmt.Errorf("%w: the member %q", ErrDamaged, h.Name)
		}
		left -= int64(1+strings.Count(h.Name, "/")) * block
		if h.Size > left {
			return head, fmt.Errorf("%w: it takes more than the %d bytes that it may", ErrTooLarge, most)
		}
		left -= h.Size
		if sums[h.Name], err = unpackFile(ctx, t, filepath.Join(folder, filepath.FromSlash(h.Name))); err != nil {
			return head, err
		}
	}
	want := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(t, maxMember))
	for lines.Scan() {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		want[name] = sum
	}
	if err := lines.Err(); err != nil {
		return head, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !maps.Equal(sums, want) {
		return head, fmt.Errorf("%w: the digests differ", ErrDamaged)
	}
	if _, err := io.Copy(io.Discard, z); err != nil { // gzip's own check stands at the end
		return head, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return head, nil
}

// block is what an empty file or a folder may take of the disk: a million of them
// are a few kilobytes of a backup.
const block = 4 << 10

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// unpackFile writes a member and gives its digest.
func unpackFile(ctx context.Context, in io.Reader, path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	from := &source{Reader: in, ctx: ctx}
	_, err = io.Copy(io.MultiWriter(f, sum), from)
	if from.err != nil {
		err = fmt.Errorf("%w: %w", ErrDamaged, from.err)
	}
	if err == nil {
		err = f.Sync()
	}
	return hex.EncodeToString(sum.Sum(nil)), errors.Join(err, f.Close())
}

// source tells a broken backup from a full disk, and from who has had enough.
type source struct {
	io.Reader
	ctx context.Context
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
