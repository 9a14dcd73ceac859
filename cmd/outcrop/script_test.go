package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run this very binary as outcrop, and as the commands that exec
// starts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"outcrop": main,
		"claude": func() {
			fmt.Println("Claude Code at", os.Getenv("ANTHROPIC_BEDROCK_BASE_URL"), strings.Join(os.Args[1:], " "))
		},
		"catcher": catcher,
		"talker":  talker,
	})
}

// catcher says on standard output that it is ready, and which signal came.
func catcher() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := os.WriteFile("ready", nil, 0o600); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("caught", <-signals)
	os.Exit(42)
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			for name, value := range map[string]string{
				"HOME": home, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": filepath.Join(home, "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(home, "none"),
				"OUTCROP_DATA": filepath.Join(e.WorkDir, "data"), "OUTCROP_CACHE": filepath.Join(e.WorkDir, "no-engine"),
			} {
				e.Setenv(name, value)
			}
			return os.MkdirAll(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":    code,
			"file":    waitFile,
			"proxy":   proxy,
			"samples": samples,
			"says":    says,
			"set":     set,
			"signal":  sendSignal,
			"up":      up,
		},
	})
}

// code N CMD ARGS runs a command that must end with exit code N.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N CMD [ARGS]")
	}
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case err == nil:
	case errors.As(err, &exit):
		got = codeOf(exit.ProcessState)
	default:
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// signal NAME sends a signal to the command that was started last.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	running := ts.BackgroundCmds()
	if neg || len(args) != 1 || signals[args[0]] == 0 || len(running) == 0 {
		ts.Fatalf("usage: signal INT|TERM|HUP, while a command runs")
	}
	ts.Check(running[len(running)-1].Process.Signal(signals[args[0]]))
}

const patience = 20 * time.Second

// eventually asks until it is so; what it waits for is another process.
func eventually(ts *testscript.TestScript, what string, is func() bool) {
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// up DIR waits until a server answers on the data folder, and puts its address
// in $URL and $PORT.
func up(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: up DIR")
	}
	var st state
	eventually(ts, "a server on "+args[0], func() (ok bool) {
		st, ok = running(context.Background(), ts.MkAbs(args[0]))
		return ok
	})
	ts.Setenv("URL", st.URL)
	ts.Setenv("PORT", st.URL[strings.LastIndexByte(st.URL, ':')+1:])
}

// file NAME waits until it is there.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: file NAME")
	}
	eventually(ts, args[0], func() bool {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil
	})
}

// set takes the lines NAME=VALUE of the last standard output into the
// environment.
func set(ts *testscript.TestScript, neg bool, _ []string) {
	lines := bufio.NewScanner(strings.NewReader(ts.ReadFile("stdout")))
	n := 0
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			ts.Setenv(name, value)
			n++
		}
	}
	if neg || n == 0 {
		ts.Fatalf("the last command printed no NAME=VALUE")
	}
}
