package localmodel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/localmodel/enginetest"
	"github.com/outcrop-dev/outcrop/internal/localmodel/worker"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

func TestStartsOnFirstUse(t *testing.T) {
	e := tiny(t, nil)
	if e.current() != nil {
		t.Error("it runs before anyone asked")
	}
	info, err := e.Start(t.Context())
	if err != nil || info.Context != enginetest.Window || info.Model != "tiny scripted model" || !strings.HasPrefix(info.Engine, "0.5.0") {
		t.Errorf("%+v, %v", info, err)
	}
	p := e.current()
	if ask(t, e, hello()).text() != enginetest.Answer || e.current() != p {
		t.Error("another process answered")
	}
}

func TestCrash(t *testing.T) {
	e := tiny(t, nil)
	running := open(t, e, loop())
	running.texts(1)
	first := e.current()
	first.kill()
	for {
		_, _, err := running.next()
		if err == nil {
			continue // what was on its way
		}
		if err == io.EOF {
			t.Error("the stream of a dead process ended as if it were whole")
		}
		break
	}
	if got := ask(t, e, hello()).text(); got != enginetest.Answer {
		t.Errorf("the next request got %q", got)
	}
	if e.current() == first {
		t.Error("the same process answered")
	}
	// A request that has no answer yet gets an error and not a broken body.
	failed := make(chan error, 1)
	go func() {
		_, err := send(t.Context(), e, "/v1/messages", loop("stream", false))
		failed <- err
	}()
	health(t, e, func(v object) bool { return v["busy"] == 1.0 })
	e.current().kill()
	var own *messages.Error
	if err := <-failed; !errors.As(err, &own) || own.Kind != messages.ModelFailed {
		t.Errorf("got %v", err)
	}
	if got := ask(t, e, hello()).text(); got != enginetest.Answer {
		t.Errorf("after the second crash: %q", got)
	}
}

func TestRestsAfterFailures(t *testing.T) {
	e := tiny(t, func(o *Options) { o.Weights = filepath.Join(enginetest.EngineDir(t), "LICENSE") })
	for try := range 3 {
		_, err := e.Start(t.Context())
		var own *messages.Error
		if !errors.As(err, &own) || own.Kind != messages.Unavailable || !strings.Contains(err.Error(), "do not load") {
			t.Fatalf("try %d: %v", try, err)
		}
		if strings.Contains(own.Message+own.Hint, "LICENSE") {
			t.Errorf("the client is told of a path: %q, %q", own.Message, own.Hint)
		}
		if rests := own.RetryAfter > 0; rests != (try == 2) {
			t.Errorf("try %d: retry after %s", try, own.RetryAfter)
		}
		e.procs.Wait()
	}
}

func TestBackoff(t *testing.T) {
	var got []time.Duration
	for n := range 12 {
		got = append(got, backoff(n))
	}
	ms := time.Millisecond
	want := []time.Duration{0, 0, 250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms, 16000 * ms, 30000 * ms, 30000 * ms, 30000 * ms}
	if !slices.Equal(got, want) || backoff(1<<40) != 30*time.Second {
		t.Errorf("%v", got)
	}
}

func TestIdle(t *testing.T) {
	e := tiny(t, func(o *Options) { o.IdleAfter = time.Millisecond })
	s := open(t, e, loop())
	s.texts(50) // an answer that takes longer than the idle time
	p := e.current()
	s.leave()
	s.body.Close()
	<-p.done
	if got := e.current(); got != nil {
		t.Error("it is said to run")
	}
	if got := ask(t, e, hello()).text(); got != enginetest.Answer {
		t.Errorf("afterwards: %q", got)
	}
	if e.fails != 0 {
		t.Error("resting counts as a failure")
	}
}

func TestClose(t *testing.T) {
	dir := t.TempDir()
	e := tiny(t, func(o *Options) { o.RuntimeDir = dir })
	s := open(t, e, loop())
	s.texts(1)
	p := e.current()
	if left, _ := os.ReadDir(dir); len(left) != 1 && runtime.GOOS != "windows" {
		t.Errorf("while it runs: %v", left)
	} else if info, err := left[0].Info(); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of the socket: %v, %v", info.Mode(), err)
	}
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
	select {
	case <-p.done:
	default:
		t.Error("the process is still there")
	}
	if _, err := send(t.Context(), e, "/v1/messages", hello()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v was left", left)
	}
}

func TestCloseWhileItStarts(t *testing.T) {
	e := tiny(t, nil)
	failed := make(chan error, 1)
	go func() {
		_, err := e.Start(t.Context())
		failed <- err
	}()
	for e.current() == nil {
		runtime.Gosched()
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	<-failed // with an error, or with luck before it
}

// The parent-death signal follows the thread that starts the child: an engine
// started from a thread that ends has to go on.
func TestOutlivesTheCallersThread(t *testing.T) {
	e := tiny(t, nil)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with this goroutine
		_, err := e.Start(t.Context())
		started <- err
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	p := e.current()
	for range 20 {
		if got := ask(t, e, hello()).text(); got != enginetest.Answer || e.current() != p {
			t.Fatalf("%q, the same process: %v", got, e.current() == p)
		}
	}
}

const parentCommand = "engine-parent"

// runParent starts an engine, says its process id, and waits to be killed.
func runParent(args []string) int {
	e, err := New(Options{EngineDir: args[0], Weights: args[1], RuntimeDir: args[2]})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if _, err := e.Start(context.Background()); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(e.current().cmd.Process.Pid)
	select {}
}

func TestDiesWithItsParent(t *testing.T) {
	t.Run("as it runs", func(t *testing.T) { diesWithItsParent(t, func(int) {}) })
	t.Run("stuck", func(t *testing.T) { diesWithItsParent(t, freeze(t)) })
}

func diesWithItsParent(t *testing.T, before func(pid int)) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], parentCommand, enginetest.EngineDir(t), enginetest.Model(t), dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(line, &pid); err != nil {
		t.Fatalf("the parent said %q", line)
	}
	gone := waitForEnd(t, pid)
	before(pid)
	if err := cmd.Process.Kill(); err != nil { // SIGKILL: nobody cleans up
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone()
	// What it left is swept away by the next engine of this folder.
	e := tiny(t, func(o *Options) { o.RuntimeDir = dir })
	if _, err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 1 {
		t.Errorf("%v was left", left)
	}
}

// Without the parent-death signal, as on every system but linux, the closed
// pipe is enough.
func TestEndsWhenItsInputCloses(t *testing.T) {
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s", "sock")
	if err := os.Mkdir(filepath.Dir(socket), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], ChildCommand)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c := worker.Config{EngineDir: enginetest.EngineDir(t), Weights: enginetest.Model(t), Slots: 1, Network: "unix", Address: socket, Token: "secret"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	if err := json.NewEncoder(in).Encode(c); err != nil {
		t.Fatal(err)
	}
	var ready worker.Ready
	if err := json.NewDecoder(out).Decode(&ready); err != nil || ready.Error != "" {
		t.Fatalf("%+v, %v", ready, err)
	}
	p := &process{dial: func(ctx context.Context) (net.Conn, error) { return net.Dial("unix", socket) }}
	if err := p.probe(t.Context(), "secret"); err != nil {
		t.Error(err)
	}
	if err := p.probe(t.Context(), "guess"); err == nil || !strings.Contains(err.Error(), "health 401") {
		t.Errorf("a stranger: %v", err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(socket)); !os.IsNotExist(err) {
		t.Errorf("the folder of the socket: %v", err)
	}
}

func TestChildByHand(t *testing.T) {
	for _, c := range []struct {
		args []string
		in   string
		want string
	}{
		{nil, "", "is started by `outcrop serve`"},
		{nil, "hello\n", "is started by `outcrop serve`"},
		{[]string{"-h"}, "", "takes no arguments"},
	} {
		cmd := exec.Command(os.Args[0], append([]string{ChildCommand}, c.args...)...)
		cmd.Stdin = strings.NewReader(c.in)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%q: %v, %q", c.in, err, out)
		}
	}
}

func TestRefusesAnotherEngine(t *testing.T) {
	dir := t.TempDir()
	from := enginetest.EngineDir(t)
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range entries {
		target := filepath.Join(from, f.Name())
		if strings.Contains(f.Name(), "libllama.") { // another library under its name
			target = filepath.Join(from, strings.Replace(f.Name(), "llama", "ggml", 1))
		}
		if err := os.Symlink(target, filepath.Join(dir, f.Name())); err != nil {
			t.Skipf("SKIP(engine): no symbolic links here: %v", err)
		}
	}
	e := tiny(t, func(o *Options) { o.EngineDir = dir })
	_, err = e.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the engine is not llama.cpp v0.5.0 as expected") {
		t.Errorf("got %v", err)
	}
}

func TestWatch(t *testing.T) {
	bad := errors.New("no answer")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		tick := make(chan time.Time)
		var probes []error
		var killed error
		go watch(ctx, tick, func(context.Context) error {
			err := probes[0]
			probes = probes[1:]
			return err
		}, func(err error) { killed = err })
		for i, err := range []error{nil, bad, bad, nil, bad, bad, bad} {
			if killed != nil {
				t.Errorf("killed before probe %d", i)
			}
			probes = append(probes, err)
			tick <- time.Now()
			synctest.Wait()
		}
		if killed != bad {
			t.Errorf("after three misses in a row: %v", killed)
		}
		cancel()
	})
}

func TestChildEnv(t *testing.T) {
	got := childEnv([]string{"PATH=/bin", "AWS_SECRET_ACCESS_KEY=s", "LD_LIBRARY_PATH=/x", "GGML_BACKEND_PATH=/evil.so", "OUTCROP_KEY_FILE=k", "HOME=/h"})
	if want := []string{"PATH=/bin", "LD_LIBRARY_PATH=/x", "HOME=/h"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestTailKeepsLastWords(t *testing.T) {
	tl := tail{log: slog.New(slog.DiscardHandler)}
	for i := range 20 {
		fmt.Fprintf(&tl, "line %d\n", i)
	}
	fmt.Fprint(&tl, "GGML_ASSERT(x) fai", "led\n\n")
	err := tl.explain(errors.New("signal: aborted"))
	if want := "the engine's process ended (signal: aborted): line 13 | line 14 | line 15 | line 16 | line 17 | line 18 | line 19 | GGML_ASSERT(x) failed"; err.Error() != want {
		t.Errorf("%v", err)
	}
}
