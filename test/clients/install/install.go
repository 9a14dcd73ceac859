// Package install puts the pinned official clients into a cache outside the tree, one folder for each lock file
// and interpreter. A folder is used only when its install ended well. It never touches the user's own
// environments, and it decides nothing about what a missing client means.
package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// Env is one set of clients that is installed together: a lock file and the tool that reads it.
type Env struct {
	Name string // py/<name>.txt, or the folder with package-lock.json
	Node bool
}

// Envs are all of them, the quick ones of the first tier first.
var Envs = []Env{
	{Name: "anthropic-1"},
	{Name: "anthropic-2"},
	{Name: "boto3"},
	{Name: "awscli"},
	{Name: "js", Node: true},
	{Name: "claude-code", Node: true},
	{Name: "moto"},
	{Name: "pytest"},
	{Name: "vitest", Node: true},
}

// CacheDir is OUTCROP_TEST_CACHE, else a folder in the user's cache.
func CacheDir() (string, error) {
	if dir := os.Getenv("OUTCROP_TEST_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "outcrop-test"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder (set OUTCROP_TEST_CACHE): %w", err)
	}
	return filepath.Join(home, ".cache", "outcrop-test"), nil
}

func (e Env) lockFile(tree string) string {
	if e.Node {
		return filepath.Join(tree, e.Name, "package-lock.json")
	}
	return filepath.Join(tree, "py", e.Name+".txt")
}

// Ensure gives the folder with the clients of e, installing them first where needed; tree is this module's folder.
// A second process that wants the same folder waits.
func (e Env) Ensure(ctx context.Context, tree string) (string, error) {
	lock, err := os.ReadFile(e.lockFile(tree))
	if err != nil {
		return "", err
	}
	version, err := e.interpreter(ctx)
	if err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(lock, version...))
	dir := filepath.Join(cache, e.Name+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	guard, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer guard.Close()
	if err := syscall.Flock(int(guard.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", guard.Name(), err)
	}
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if e.Node {
		err = e.npm(ctx, tree, dir)
	} else {
		err = e.pip(ctx, tree, dir)
	}
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(done, version, 0o644)
}

// interpreter names what the folder is good for: an environment does not outlive its interpreter.
func (e Env) interpreter(ctx context.Context) ([]byte, error) {
	if e.Node {
		return run(ctx, "", "node", "-p", "process.version + process.platform + process.arch")
	}
	return run(ctx, "", "python3", "-c", "import sys, platform; print(sys.version, sys.base_prefix, platform.machine())")
}

// pip makes an environment without a pip of its own, so that the Debian package python3-venv is not needed.
func (e Env) pip(ctx context.Context, tree, dir string) error {
	if _, err := run(ctx, "", "python3", "-m", "venv", "--without-pip", dir); err != nil {
		return err
	}
	_, err := run(ctx, "", "python3", "-m", "pip", "--python", filepath.Join(dir, "bin", "python"),
		"install", "--quiet", "--disable-pip-version-check", "--no-input", "--only-binary=:all:", "--require-hashes",
		"-r", e.lockFile(tree))
	return err
}

func (e Env) npm(ctx context.Context, tree, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join(tree, e.Name, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	_, err := run(ctx, dir, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	return err
}

// run gives the output, or an error that ends with the first of what the tool said.
func run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	said := ""
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		var lines []string
		for l := range strings.Lines(string(exit.Stderr)) {
			if l = strings.TrimSpace(l); l != "" && l != "npm error" && len(lines) < 4 {
				lines = append(lines, l)
			}
		}
		said = ": " + strings.Join(lines, " | ")
	}
	return nil, fmt.Errorf("%s %s: %w%s", name, strings.Join(args, " "), err, said)
}

// Version is the version of a package that the lock file of e pins.
func (e Env) Version(tree, pkg string) (string, error) {
	b, err := os.ReadFile(e.lockFile(tree))
	if err != nil {
		return "", err
	}
	if e.Node {
		var lock struct {
			Packages map[string]struct{ Version string }
		}
		if err := json.Unmarshal(b, &lock); err != nil {
			return "", fmt.Errorf("%s: %w", e.lockFile(tree), err)
		}
		if p, ok := lock.Packages["node_modules/"+pkg]; ok {
			return p.Version, nil
		}
	} else if m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(pkg) + `==(\S+)`).FindSubmatch(b); m != nil {
		return string(m[1]), nil
	}
	return "", fmt.Errorf("%s does not pin %s", e.lockFile(tree), pkg)
}
