// Command refresh fetches PDFium's WebAssembly from npm into internal/document/pdfium
// and holds it to pin.txt: a line with the package and its version, then one for
// each file with its sha256, its name in the package and its name here.
//
//	go run ./internal/document/pdfium/refresh           the pinned version, checked
//	go run ./internal/document/pdfium/refresh 2.16.0    another, and pin.txt rewritten
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const folder = "internal/document/pdfium"

func main() {
	version := ""
	if len(os.Args) > 1 {
		version = os.Args[1]
	}
	if err := refresh(version); err != nil {
		fmt.Fprintln(os.Stderr, "refresh:", err)
		os.Exit(1)
	}
}

// pin is one file: what it is in the package, what it is here.
type pin struct{ sum, theirs, ours string }

func refresh(version string) error {
	text, err := os.ReadFile(filepath.Join(folder, "pin.txt"))
	if err != nil {
		return fmt.Errorf("run it from the root of the repository: %w", err)
	}
	head, rest, _ := strings.Cut(string(text), "\n")
	name, pinned, ok := strings.Cut(head, " ")
	if !ok {
		return fmt.Errorf("pin.txt begins with %q, not with a package and its version", head)
	}
	var pins []pin
	for line := range strings.Lines(rest) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return fmt.Errorf("pin.txt: %q has not three fields", line)
		}
		pins = append(pins, pin{f[0], f[1], f[2]})
	}
	move := version != "" && version != pinned
	if !move {
		version = pinned
	}
	files, err := pack(name + "@" + version)
	if err != nil {
		return err
	}
	lines := name + " " + version + "\n"
	for _, p := range pins {
		data, ok := files["package/"+p.theirs]
		if !ok {
			return fmt.Errorf("%s@%s has no %s", name, version, p.theirs)
		}
		sum := fmt.Sprintf("%x", sha256.Sum256(data))
		if sum != p.sum && !move {
			return fmt.Errorf("%s of %s@%s has the sha256 %s, pin.txt says %s", p.theirs, name, version, sum, p.sum)
		}
		if err := os.WriteFile(filepath.Join(folder, p.ours), data, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s %s (%d bytes)\n", sum, p.ours, len(data))
		lines += sum + " " + p.theirs + " " + p.ours + "\n"
	}
	return os.WriteFile(filepath.Join(folder, "pin.txt"), []byte(lines), 0o644)
}

// pack has npm fetch the package, run nothing of it, and gives its files.
func pack(spec string) (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "outcrop-pdfium-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	npm := exec.Command("npm", "pack", "--silent", "--ignore-scripts", spec)
	npm.Dir, npm.Stderr = dir, os.Stderr
	out, err := npm.Output()
	if err != nil {
		return nil, fmt.Errorf("npm pack %s: %w", spec, err)
	}
	tarball, err := os.ReadFile(filepath.Join(dir, filepath.Base(strings.TrimSpace(string(out)))))
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if files[h.Name], err = io.ReadAll(t); err != nil {
			return nil, err
		}
	}
}
