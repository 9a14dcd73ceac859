package statement

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Logs is what a folder holds, in AWS's layout or any other.
type Logs struct {
	Files int
	Other int // records of something else
	Twice int // records that came again: delivery is at least once
	// Bad is what could not be read, and why.
	Bad []error
}

var errNoBody = errors.New("the body is not in the folder")

// What a file, a record and a body may hold, unzipped. A record of AWS's has up to
// 100 KB of each body.
const (
	maxFile   = 4 << 30
	maxRecord = 16 << 20
	maxBody   = 256 << 20
)

// Read gives each record of the logs in a folder, once. progress, if there is one,
// is told how many bytes of how many are behind.
func Read(folder fs.FS, progress func(done, total int64), f func(Call)) (*Logs, error) {
	type file struct {
		name string
		size int64
	}
	var files []file
	var total int64
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "data" && name != ".":
			return fs.SkipDir // bodies
		case !d.Type().IsRegular() || !isLog(name):
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files = append(files, file{name, info.Size()})
		total += info.Size()
		return nil
	})
	if err != nil {
		return nil, err
	}
	l, seen, done := &Logs{Files: len(files)}, map[string]bool{}, int64(0)
	for _, file := range files {
		l.readFile(folder, file.name, func(c Call) {
			if seen[c.RequestID] {
				l.Twice++
				return
			}
			seen[c.RequestID] = true
			f(c)
		})
		if done += file.size; progress != nil {
			progress(done, total)
		}
	}
	return l, nil
}

func isLog(name string) bool {
	for _, suffix := range []string{".json.gz", ".json", ".jsonl", ".ndjson", ".gz"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func (l *Logs) readFile(folder fs.FS, name string, f func(Call)) {
	bad := func(err error) { l.Bad = append(l.Bad, fmt.Errorf("%s: %w", name, err)) }
	in, err := open(folder, name, maxFile)
	if err != nil {
		bad(err)
		return
	}
	defer in.Close()
	// One value after the other, on lines or not.
	one := &bounded{Reader: in}
	dec := json.NewDecoder(one)
	for {
		one.left = maxRecord
		var record fileCall
		err := dec.Decode(&record)
		if err == io.EOF {
			return
		}
		if _, goesOn := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !goesOn {
			bad(err)
			return
		}
		var c Call
		if err == nil {
			c, err = record.call(func(s3 string) ([]byte, error) { return bodyOf(folder, name, s3) })
		}
		switch {
		case errors.Is(err, errOther):
			l.Other++
		case err != nil:
			bad(err)
		default:
			f(c)
		}
	}
}

// bodyOf finds an object that a record names by its path in S3: in the folder
// "data" beside the record, or wherever the folder's copy of the bucket begins.
func bodyOf(folder fs.FS, record, s3 string) ([]byte, error) {
	_, key, _ := strings.Cut(strings.TrimPrefix(s3, "s3://"), "/")
	names := []string{path.Join(path.Dir(record), "data", path.Base(key))}
	for rest, ok := key, true; ok; _, rest, ok = strings.Cut(rest, "/") {
		names = append(names, rest)
	}
	for _, name := range names {
		if !fs.ValidPath(name) {
			continue
		}
		in, err := open(folder, name, maxBody)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		raw, err := io.ReadAll(in)
		in.Close()
		if raw = bytes.TrimSpace(raw); err == nil && len(raw) == 0 {
			err = io.ErrUnexpectedEOF
		}
		return raw, err
	}
	return nil, errNoBody
}

// bounded says of what is too large that it is.
type bounded struct {
	io.Reader
	left int64
}

var errLarge = errors.New("larger than any log")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 && len(p) > 0 {
		var more [1]byte
		if n, err := b.Reader.Read(more[:]); n == 0 {
			return 0, err
		}
		return 0, errLarge
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

type unzipped struct {
	io.Reader
	file io.Closer
}

func (u unzipped) Close() error { return u.file.Close() }

func open(folder fs.FS, name string, most int64) (io.ReadCloser, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(name, ".gz") {
		return unzipped{&bounded{f, most}, f}, nil
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return unzipped{&bounded{z, most}, f}, nil
}
