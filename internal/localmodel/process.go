package localmodel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/localmodel/worker"
)

const (
	startLimit  = time.Minute      // from exec to the first health check
	endLimit    = 2 * time.Second  // from a closed pipe to a kill
	probeEvery  = 15 * time.Second // health checks of a running process
	probeLimit  = 5 * time.Second
	probeMisses = 3
)

// process is one life of the child.
type process struct {
	ready chan struct{} // closed once err, info and dial are set
	done  chan struct{} // closed once it is gone and cleaned up after
	err   error
	info  Info
	dial  func(context.Context) (net.Conn, error)

	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin io.Closer
	ended bool
	tail  tail
}

func (p *process) started() bool {
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// nursery is the thread that all children are started on: on linux a child dies
// with the thread that started it, so this one lives as long as the engine.
func (e *Engine) nursery() {
	runtime.LockOSThread()
	defer close(e.gone)
	for f := range e.nurse {
		f()
	}
}

// launch begins a process in the background.
func (e *Engine) launch() *process {
	p := &process{ready: make(chan struct{}), done: make(chan struct{})}
	e.procs.Add(1)
	go func() {
		defer e.procs.Done()
		defer close(p.done)
		err := e.live(p)
		if !p.started() {
			p.err = err
			close(p.ready)
		}
		e.buried(p, err)
	}()
	return p
}

// live runs p from start to end and says why it ended.
func (e *Engine) live(p *process) error {
	dir, config, err := e.place()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out, err := e.spawn(p, config)
	if err != nil {
		return err
	}
	exited := make(chan error, 1)
	lines := bufio.NewReader(out)
	late := time.AfterFunc(startLimit, p.kill)
	first, _ := lines.ReadBytes('\n')
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		exited <- p.cmd.Wait()
	}()
	if err := e.greet(p, config, first); err != nil {
		p.kill()
		status := <-exited
		if !late.Stop() {
			return fmt.Errorf("the engine was not ready after %s", startLimit)
		}
		if len(first) == 0 {
			return p.tail.explain(status)
		}
		return err
	}
	late.Stop()
	close(p.ready)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	go watch(ctx, tick.C, func(ctx context.Context) error { return p.probe(ctx, e.token) }, func(err error) {
		e.opt.Log.Error("the embedded model does not answer and is ended", "error", err)
		p.kill()
	})
	status := <-exited
	return p.tail.explain(status)
}

// place makes the folder of the private socket, readable by nobody else.
// Windows has no such folders worth trusting: a secret goes with each request.
func (e *Engine) place() (string, worker.Config, error) {
	c := worker.Config{
		EngineDir: e.opt.EngineDir, Weights: e.opt.Weights, Slots: e.opt.Slots,
		Queue: e.opt.Queue, Context: e.opt.Context, Threads: e.opt.Threads,
		Network: "unix",
	}
	if runtime.GOOS == "windows" {
		c.Network, c.Address, c.Token = "tcp", "127.0.0.1:0", e.token
		return "", c, nil
	}
	sweep(e.opt.RuntimeDir)
	dir, err := os.MkdirTemp(e.opt.RuntimeDir, socketDir)
	if err != nil {
		return "", c, err
	}
	c.Address = filepath.Join(dir, "sock")
	// sockaddr_un holds 104 bytes on darwin, 108 on linux, with the final zero
	if len(c.Address) > 103 {
		os.RemoveAll(dir)
		return "", c, fmt.Errorf("the path of the engine's socket is too long: %s", c.Address)
	}
	return dir, c, nil
}

const socketDir = "outcrop-engine-"

// sweep removes what a killed process left: a socket that nobody listens on.
func sweep(dir string) {
	socks, _ := filepath.Glob(filepath.Join(dir, socketDir+"*", "sock"))
	for _, s := range socks {
		c, err := net.Dial("unix", s)
		if err == nil {
			c.Close()
		} else if refused(err) {
			os.RemoveAll(filepath.Dir(s))
		}
	}
}

func (e *Engine) spawn(p *process, config worker.Config) (io.Reader, error) {
	cmd := exec.Command(e.opt.Self[0], e.opt.Self[1:]...)
	cmd.Env = childEnv(os.Environ())
	tie(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.tail.log = e.opt.Log
	cmd.Stderr = &p.tail
	started := make(chan error, 1)
	e.nurse <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("the engine's process does not start: %w", err)
	}
	p.mu.Lock()
	p.cmd, p.stdin = cmd, stdin
	ended := p.ended
	p.mu.Unlock()
	if ended {
		stdin.Close()
	}
	_ = json.NewEncoder(stdin).Encode(config) // a child that is gone already says more on its way out
	return stdout, nil
}

// greet reads the child's first line and asks it for its health once.
func (e *Engine) greet(p *process, config worker.Config, first []byte) error {
	var r worker.Ready
	if err := json.Unmarshal(first, &r); err != nil {
		return fmt.Errorf("the engine's process answered %q", first)
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	p.info = Info{Model: r.Model, Context: r.Context, Engine: r.Engine}
	p.dial = func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, config.Network, r.Address)
	}
	return p.probe(context.Background(), config.Token)
}

// probe asks for the child's health.
func (p *process) probe(ctx context.Context, token string) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://embedded-model/healthz", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) }}
	res, err := t.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("health %d: %s", res.StatusCode, strings.TrimSpace(string(text)))
	}
	return nil
}

// watch ends what misses several probes in a row.
func watch(ctx context.Context, tick <-chan time.Time, probe func(context.Context) error, kill func(error)) {
	misses := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		err := probe(ctx)
		if err == nil {
			misses = 0
			continue
		}
		if misses++; misses == probeMisses && ctx.Err() == nil {
			kill(err)
			return
		}
	}
}

// end asks the process to go and kills it if it does not.
func (p *process) end() {
	p.mu.Lock()
	p.ended = true
	stdin := p.stdin
	p.mu.Unlock()
	if stdin != nil {
		stdin.Close()
	}
	late := time.AfterFunc(endLimit, p.kill)
	go func() {
		<-p.done
		late.Stop()
	}()
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
	}
}

// childEnv is what a process needs to load libraries. No secret of the server's
// environment goes with it, and no setting that makes ggml load something else.
func childEnv(env []string) []string {
	var out []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		switch strings.ToUpper(name) {
		case "PATH", "HOME", "TMPDIR", "TEMP", "TMP", "LANG", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
			"SYSTEMROOT", "WINDIR", "GOMAXPROCS", "GOTRACEBACK", "GOCOVERDIR":
			out = append(out, kv)
		default:
		}
	}
	return out
}
