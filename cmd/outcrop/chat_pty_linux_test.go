package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// person sits at a terminal.
type person struct {
	t    *testing.T
	tty  *os.File
	mu   sync.Mutex
	seen strings.Builder
	at   int // what is before it has been read
	cmd  *exec.Cmd
}

// sit starts this binary as outcrop on a terminal of its own.
func sit(t *testing.T, env []string, args ...string) *person {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return sitAt(t, &exec.Cmd{Path: exe, Args: append([]string{"outcrop"}, args...), Env: append(os.Environ(), env...)})
}

func sitAt(t *testing.T, cmd *exec.Cmd) *person {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	p := &person{t: t, tty: master, cmd: cmd}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			p.mu.Lock()
			p.seen.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return p
}

func (p *person) types(s string) {
	p.t.Helper()
	if _, err := p.tty.WriteString(s); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits for a text after the one that was seen last.
func (p *person) sees(text string) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		all := p.seen.String()
		p.mu.Unlock()
		if i := strings.Index(all[p.at:], text); i >= 0 {
			p.at += i + len(text)
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			p.t.Fatalf("%q was not seen in %q", text, all[p.at:])
		}
	}
}

// TestChatOnTerminal talks as a person does.
func TestChatOnTerminal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	scenario := filepath.Join(t.TempDir(), "scenario.yaml")
	err := os.WriteFile(scenario, []byte(`rules:
  - match: {text: hang}
    answer: {content: [{text: "one, two, three"}], chunk: 4, hold: 3}
  - match: {text: throttle}
    answer: {error: {exception: ThrottlingException, message: Slow down., retry_after: 1ms}}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	o := &serveOptions{Listen: "127.0.0.1:0", Log: "off", dataOption: dataOption{Data: dir}, answerOptions: answerOptions{Region: defaultRegion, Upstream: "scripted:" + scenario, Access: "all"}}
	s, err := startServer(o, console{Out: os.Stderr, Err: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.shutdown() })
	if _, ok := running(context.Background(), dir); !ok {
		t.Fatal("the server does not answer")
	}

	p := sit(t, []string{"TERM=xterm", "OUTCROP_DATA=" + dir}, "chat")
	p.sees("/help says more")
	p.sees("> ")
	p.types("Hello, wrld\x1b[D\x1b[D\x1b[Do\r") // with a correction
	p.sees("\x1b[?2004lHello, world\r\n")       // the answer, after the line editor has gone
	p.sees("> ")

	p.types("never sent\x03")
	p.sees("^C")
	p.sees("> ")
	p.types("please hang\r")
	p.sees("\x1b[?2004lone,")
	p.types("\x03") // ends the answer, and not the program
	p.sees("taken back")
	p.sees("> ")

	p.types("\x1b[A\x1b[A\r") // the line before that
	p.sees("\x1b[?2004lHello, world\r\n")
	p.sees("> ")
	p.types("/mod\tclaude-sonnet-4-6\r")
	p.sees("global.anthropic.claude-sonnet-4-6, Claude Sonnet 4.6")
	p.sees("> ")
	p.types("throttle\r")
	p.sees("refuses: ThrottlingException: Slow down.")
	p.sees("> ")
	p.types("\x1b[200~a paste\rof two lines\x1b[201~ and more\r")
	p.sees("\x1b[?2004la paste\r\nof two lines and more\r\n")
	p.sees("> ")
	p.types("\x04")
	p.sees("answered by scripted, not Claude")
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, historyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("history: %v, %v", info, err)
	}

	// The history is there the next time; SIGTERM ends a chat that waits.
	p = sit(t, []string{"TERM=xterm", "OUTCROP_DATA=" + dir}, "chat")
	p.sees("> ")
	p.types("\x1b[A")
	p.sees("of two lines and more")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	if code := p.cmd.ProcessState.ExitCode(); code != exitCtrlC {
		t.Errorf("exit code %d", code)
	}
}

// TestBashCompletes presses the Tab key in bash.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("it needs bash")
	}
	if _, err := exec.LookPath("outcrop"); err != nil {
		t.Fatal("TestMain has put no outcrop into PATH: ", err)
	}
	p := sitAt(t, &exec.Cmd{Path: bash, Args: []string{"bash", "--norc", "--noprofile", "-i"}, Env: append(os.Environ(), "TERM=dumb", "PS1=ready ", "INPUTRC=/dev/null", "HISTFILE=")})
	p.sees("ready ")
	p.types("source <(outcrop completion bash)\r")
	p.sees("ready ")
	p.types("echo outcrop; outcrop compl\t")
	p.sees("completion ") // complete is hidden
	p.types("b\t")
	p.sees("bash ")
	p.types("\x15outcrop explain us-gov.anthropic.claude-sonnet-4-5-20250929-v1:\t")
	p.sees("v1:0 ")
	p.types("\x15exit\r")
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
}
