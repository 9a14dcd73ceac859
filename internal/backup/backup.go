// Package backup puts a data folder into one file while a server works in it, and
// a file back into a folder.
//
// Invariant: what was on the disk when Write began is in the file, databases and
// segments in a state that a server can start from; Restore makes a whole folder
// or none. Of a segment that is up to its last whole entry.
//
// Not a goal: to keep backups, or to seal them. They hold what was asked and
// answered, as the folder does.
package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
	"github.com/outcrop-dev/outcrop/internal/sqlstore"
)

// The first and the last member of a backup: what it is, and the digests of all
// that is between.
const (
	format    = "outcrop.backup/1"
	headName  = "outcrop-backup.json"
	sumsName  = "outcrop-backup.sha256"
	maxMember = 64 << 20 // of these two
)

// Head says what a backup is.
type Head struct {
	Format  string    `json:"format"`
	Version string    `json:"version"` // of the program
	Made    time.Time `json:"made"`
	KeyFile bool      `json:"key_file"` // the key that opens the sealed files is in it
	Bytes   int64     `json:"bytes"`    // of the members; 0: made before it was said
}

// Options of Write.
type Options struct {
	Version string
	Now     func() time.Time
	Temp    string // folder for copies of databases; "": the system's
	// KeyName is the name of the key file in the folder, which is left out
	// unless KeyFile says where to read it.
	KeyName, KeyFile string
	// Skip are folders and files of the folder that a server makes again.
	Skip []string
	// Progress, if there is one, is told how many bytes of how many are written.
	Progress func(done, total int64)
	// Torn, if there is one, is told of each segment with more than zeros behind
	// its last whole entry: what a server is about to write, or was when it died.
	// It stays out.
	Torn func(name string)

	copied func() // of tests: the databases are copied, the segments not yet open
}

const (
	databaseSuffix = ".db"  // SQLite
	segmentSuffix  = ".seg" // internal/activity/segment
)

// member is a file that goes in.
type member struct {
	name string // with slashes
	file *os.File
	size int64
	torn bool
}

// mine begins the names of what is being put together, here and elsewhere.
const mine = ".outcrop-"

// tries is how often a folder is looked at that changes under the look.
const tries = 5

// Write writes a backup of a folder.
func Write(ctx context.Context, out io.Writer, folder string, o Options) (err error) {
	if folder, err = filepath.EvalSymlinks(folder); err != nil { // WalkDir follows none
		return err
	}
	temp, err := os.MkdirTemp(o.Temp, mine+"backup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	var members []member
	defer func() {
		for _, m := range members {
			m.file.Close()
		}
	}()
	for try := 1; ; try++ {
		if members, err = collect(ctx, folder, filepath.Join(temp, fmt.Sprint(try)), o); !errors.Is(err, errMoved) || try == tries {
			break
		}
	}
	if err != nil {
		return err
	}
	head := Head{Format: format, Version: o.Version, Made: o.Now().UTC().Truncate(time.Second), KeyFile: o.KeyFile != ""}
	if head.KeyFile {
		f, err := os.Open(o.KeyFile)
		if err != nil {
			return fmt.Errorf("the key file: %w", err)
		}
		members = append(members, member{name: o.KeyName, file: f})
		info, err := f.Stat()
		if err != nil {
			return fmt.Errorf("the key file: %w", err)
		}
		members[len(members)-1].size = info.Size()
	}
	for _, m := range members {
		if m.torn && o.Torn != nil {
			o.Torn(m.name)
		}
		head.Bytes += m.size
	}
	return write(ctx, out, head, members, o.Progress)
}

// errMoved: a segment was made anew while the databases were copied, so that the
// index would point into another file.
var errMoved = errors.New("the activity log was being made smaller; try again")

// collect opens what goes in. Positions and the index come before the segments
// that they point into: what they do not have yet, a start finds.
func collect(ctx context.Context, folder, temp string, o Options) (members []member, err error) {
	if err := os.Mkdir(temp, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			for _, m := range members {
				m.file.Close()
			}
			members = nil
		}
	}()
	var plain, databases, segments []string
	before := map[string]fs.FileInfo{}
	linked := "" // the folder on another disk that is walked
	var walk fs.WalkDirFunc
	walk = func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case slices.Contains(o.Skip, name) || name == o.KeyName || strings.HasPrefix(e.Name(), mine):
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.Type()&fs.ModeSymlink != 0 && !passing(name):
			to, err := os.Stat(path)
			if err != nil || !to.IsDir() || linked != "" {
				return errors.Join(fmt.Errorf("%s: of links, a backup takes only those that stand for a folder of the data folder", path), err)
			}
			linked = path
			defer func() { linked = "" }()
			return filepath.WalkDir(path+string(filepath.Separator), walk)
		case !e.Type().IsRegular() || passing(name):
		case strings.HasSuffix(name, databaseSuffix):
			databases = append(databases, name)
		case strings.HasSuffix(name, segmentSuffix):
			segments = append(segments, name)
			if before[name], err = e.Info(); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
			return err
		default:
			plain = append(plain, name)
		}
		return nil
	}
	if err := filepath.WalkDir(folder, walk); err != nil {
		return nil, err
	}
	add := func(name, path string) (fs.FileInfo, error) {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		members = append(members, member{name: name, file: f})
		info, err := f.Stat()
		if err == nil {
			members[len(members)-1].size = info.Size() // what is appended from now on stays out
		}
		return info, err
	}
	for _, name := range plain {
		if _, err := add(name, filepath.Join(folder, filepath.FromSlash(name))); err != nil {
			return members, err
		}
	}
	for i, name := range databases {
		to := filepath.Join(temp, fmt.Sprint(i)+databaseSuffix)
		if err := sqlstore.Snapshot(ctx, filepath.Join(folder, filepath.FromSlash(name)), to); err != nil {
			return members, fmt.Errorf("%s: %w", name, err)
		}
		if _, err := add(name, to); err != nil {
			return members, err
		}
	}
	if o.copied != nil {
		o.copied()
	}
	for _, name := range segments {
		now, err := add(name, filepath.Join(folder, filepath.FromSlash(name)))
		if err != nil {
			return members, err
		}
		if was := before[name]; now != nil && was != nil && !os.SameFile(was, now) {
			return members, errMoved
		}
		if now == nil {
			continue
		}
		m := &members[len(members)-1]
		end, torn, err := segment.Committed(m.file)
		if errors.Is(err, segment.ErrNotSegment) { // in as it is: a start says what it says of the folder's own
			continue
		}
		if err != nil {
			return members, err
		}
		m.size, m.torn = end, torn
	}
	return members, nil
}

// passing are files of a moment: temporary ones, locks, and what belongs to a
// database that is copied by itself.
func passing(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	for _, suffix := range []string{".tmp", ".new", ".lock", databaseSuffix + "-wal", databaseSuffix + "-shm", databaseSuffix + "-journal"} {
		if strings.HasSuffix(base, suffix) {
			return true
		}
	}
	return base == "lock"
}

func write(ctx context.Context, out io.Writer, head Head, members []member, progress func(done, total int64)) error {
	var done int64
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	put := func(name string, size int64, in io.Reader) error {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: head.Made, Format: tar.FormatPAX}); err != nil {
			return err
		}
		_, err := io.Copy(t, in)
		return err
	}
	about, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if err := put(headName, int64(len(about)), strings.NewReader(string(about))); err != nil {
		return err
	}
	var sums strings.Builder
	for _, m := range members {
		sum := sha256.New()
		in := &counted{Reader: io.TeeReader(io.LimitReader(m.file, m.size), sum), ctx: ctx, total: head.Bytes, done: &done, progress: progress}
		if err := put(m.name, m.size, in); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum.Sum(nil)), m.name)
	}
	if err := put(sumsName, int64(sums.Len()), strings.NewReader(sums.String())); err != nil {
		return err
	}
	return errors.Join(t.Close(), z.Close())
}

// counted is a part of what is written.
type counted struct {
	io.Reader
	ctx      context.Context
	total    int64
	done     *int64
	progress func(done, total int64)
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.Reader.Read(p)
	if *c.done += int64(n); c.progress != nil {
		c.progress(*c.done, c.total)
	}
	return n, err
}
