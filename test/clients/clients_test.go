package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/test/clients/install"
)

// client is one row of the matrix.
type client struct {
	name       string
	pkg        string // whose version the row shows
	env        string // of install.Envs; "" for Go
	program    string // a file of py or js, or the folder of a Go program
	operations []string
	own        map[string]func(*testing.T, *subject) // operations that only this client does its own way

	refused   failure // a wrong secret
	throttled failure // an error in the middle of a stream
	cut       failure // a stream that ends before its end
	invalid   failure // a request that the service refuses, of the clients that know Converse
}

// failure is what a client makes of an error: its own type, not a text.
type failure struct {
	Type   string
	Code   string
	Status int
}

// subject is a client made ready.
type subject struct {
	client
	dir     string // where it is installed
	command []string
}

func TestClients(t *testing.T) {
	tree, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			version, err := c.version(tree)
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range c.all() {
				t.Run(op, func(t *testing.T) {
					t.Parallel()
					row := result{Client: c.name, Version: version, Operation: op}
					s := shared.subject(t, c, func(reason string) {
						row.Status, row.Reason = "skip", reason
						shared.results.add(row)
					})
					shared.results.watch(t, row)
					if run := c.own[op]; run != nil {
						run(t, s)
						return
					}
					operations[op](t, s)
				})
			}
		})
	}
}

// all are the client's operations in the matrix's order.
func (c client) all() []string {
	var names []string
	for _, op := range slices.Concat(columns[:]...) {
		if c.own[op] != nil || slices.Contains(c.operations, op) {
			names = append(names, op)
		}
	}
	return names
}

func (c client) installEnv() (install.Env, bool) {
	for _, e := range install.Envs {
		if e.Name == c.env {
			return e, true
		}
	}
	return install.Env{}, false
}

func (c client) version(tree string) (string, error) {
	if e, ok := c.installEnv(); ok {
		return e.Version(tree, c.pkg)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", c.pkg).Output()
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "v"), err
}

// absent says that a client cannot be had here, which is a skip and no failure.
type absent struct{ reason error }

func (a absent) Error() string { return a.reason.Error() }

// subject makes the client ready, once, or skips, loudly.
func (b *bench) subject(t *testing.T, c client, missing func(reason string)) *subject {
	once, _ := b.ready.LoadOrStore(c.name, sync.OnceValues(c.prepare))
	s, err := once.(func() (*subject, error))()
	if gone, ok := errors.AsType[absent](err); ok {
		missing(gone.Error())
		t.Skipf("SKIPPED: %s cannot be installed: %v", c.name, gone)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prepare installs or builds the client. A Go program that does not compile is an error, not an absent client.
func (c client) prepare() (*subject, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	tree, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	s := &subject{client: c}
	e, ok := c.installEnv()
	if !ok {
		if out, err := exec.CommandContext(ctx, "go", "mod", "download", c.pkg).CombinedOutput(); err != nil {
			return nil, absent{fmt.Errorf("%w: %s", err, out)}
		}
		exe := filepath.Join(shared.tmp, c.program)
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", exe, "./"+c.program).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
		s.command = []string{exe}
		return s, nil
	}
	if s.dir, err = e.Ensure(ctx, tree); err != nil {
		return nil, absent{err}
	}
	switch {
	case c.program == "": // the client is its own program
	case e.Node:
		program, err := nodeProgram(tree, s.dir, c.program)
		if err != nil {
			return nil, err
		}
		s.command = []string{"node", program}
	default:
		s.command = []string{s.python(), filepath.Join(tree, "py", c.program)}
	}
	return s, nil
}

func (s *subject) python() string { return filepath.Join(s.dir, "bin", "python") }

// nodeProgram lays the scripts beside the installed packages: Node looks for a module's packages from its folder up.
func nodeProgram(tree, installed, program string) (string, error) {
	dir, err := os.MkdirTemp(shared.tmp, "js-")
	if err != nil {
		return "", err
	}
	if err := os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		return "", err
	}
	for _, name := range []string{"report.mjs", "aws_converse.mjs", program} {
		b, err := os.ReadFile(filepath.Join(tree, "js", name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, program), nil
}

const patience = 90 * time.Second

// call makes the command of one operation, in an environment that at says is for srv.
func (s *subject) call(t *testing.T, srv *server, more []string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	argv := append(slices.Clone(s.command), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = srv.env(t.TempDir(), append(s.around(), more...)...)
	return cmd
}

// around is what every client runs in, whoever it talks to.
func (s *subject) around() []string {
	env := append(shared.tripwire.env(), "PYTHONDONTWRITEBYTECODE=1", "AWS_EC2_METADATA_DISABLED=true")
	if s.dir != "" {
		bins := filepath.Join(s.dir, "bin") + ":" + filepath.Join(s.dir, "node_modules", ".bin")
		env = append(env, "PATH="+bins+":"+os.Getenv("PATH"))
	}
	return env
}

// run is call, carried out, on the scripted server.
func (s *subject) run(t *testing.T, op, prompt string, more ...string) line {
	t.Helper()
	l, err := run(s.call(t, shared.outcrop, more, op, prompt), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// done is run for an operation that must end well.
func (s *subject) done(t *testing.T, op, prompt string, more ...string) line {
	t.Helper()
	l := s.run(t, op, prompt, more...)
	if l.Event != "done" {
		t.Fatalf("%s: %+v", op, l)
	}
	return l
}
