package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/outcrop-dev/outcrop/internal/clientenv"
)

type execCmd struct {
	dataOption
	answerOptions
	Force   bool     `help:"Start Claude Code even where its prompts cannot fit the model."`
	Command []string `arg:"" passthrough:"partial" help:"Command to run, with its arguments."`
}

func (execCmd) Help() string {
	return `Examples:

  outcrop exec -- python app.py
  outcrop exec -- aws sts get-caller-identity
  outcrop exec --upstream scripted -- claude -p hello
  outcrop exec --upstream http://127.0.0.1:11434 --upstream-model qwen3 -- claude

The command sees what "outcrop env" prints. A server that runs on the data folder
is used; otherwise one is started on a free port, and ends with the command. Its
log is exec.log in its data folder. Signals go to the command, and its exit code
is the exit code here: 128+n where signal n ended it.`
}

// Exit codes of shells.
const (
	exitCannotRun = 126
	exitNotFound  = 127
	exitSignal    = 128 // and the signal
	exitCtrlC     = exitSignal + 2
)

func (c *execCmd) Run(ctx context.Context, con console, k *kong.Context) error {
	args, err := commandOf("exec", c.Command)
	if err != nil {
		return err
	}
	env, stop, err := c.pointed(ctx, args, con, named(k, "upstream"))
	if err != nil {
		return err
	}
	defer stop()
	if ctx.Err() != nil {
		return exitCode(exitCtrlC) // Ctrl-C; from here on signals are the command's
	}
	return runCommand(args, env.Environ(os.Environ()), con)
}

// commandOf is what a verb is to run, without the -- before it.
func commandOf(verb string, args []string) ([]string, error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return nil, misuse("%[2]s: name a command: %[1]s %[2]s -- CMD", self(), verb)
	}
	return args, nil
}

// pointed finds or starts the server. upstreamNamed: the user said who is to
// answer, so that a server with another upstream will not do.
func (c *execCmd) pointed(ctx context.Context, args []string, con console, upstreamNamed bool) (env *clientenv.Env, stop func(), err error) {
	o := &serveOptions{Listen: "127.0.0.1:0", dataOption: c.dataOption, answerOptions: c.answerOptions, Log: "text", temporary: true}
	stop = func() {}
	st, ok := running(ctx, c.Data)
	switch {
	case !ok:
	case st.Temporary:
		o.Data = "" // it may end before this command does
	case upstreamNamed && !answersAs(st.Upstream, c.Upstream):
		fmt.Fprintf(con.Err, "outcrop: the server on %s answers with %s; another one is started for this command\n", st.URL, st.Upstream)
		o.Data = ""
	default:
		if err := c.fits(args, st.Upstream); err != nil {
			return nil, nil, err
		}
		env, err = c.clientEnv(st)
		return env, stop, err
	}
	if err := c.fits(args, c.Upstream); err != nil {
		return nil, nil, err
	}
	if o.Data == "" {
		o.KeyFile = ""
		if o.Data, err = os.MkdirTemp("", "outcrop-exec-"); err != nil {
			return nil, nil, err
		}
		dir := o.Data
		stop = func() { os.RemoveAll(dir) }
	}
	s, closeLog, err := startQuiet(o)
	if err != nil {
		stop()
		return nil, nil, err
	}
	remove := stop
	stop = func() {
		_ = s.shutdown()
		closeLog()
		remove()
	}
	if s.Note != "" {
		fmt.Fprintln(con.Err, "outcrop:", s.Note)
	}
	if env, err = o.clientEnv(s.state(o)); err != nil {
		stop()
		return nil, nil, err
	}
	return env, stop, nil
}

// startQuiet keeps the server's log out of the command's output.
func startQuiet(o *serveOptions) (*server, func(), error) {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, nil, err
	}
	log, err := os.OpenFile(filepath.Join(o.Data, "exec.log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, err
	}
	s, err := startServer(o, console{Out: log, Err: log})
	if err != nil {
		log.Close()
		return nil, nil, err
	}
	return s, func() { log.Close() }, nil
}

// fits refuses what is known to fail: the first prompt of Claude Code is some
// 85 KB, the window of the embedded model a few thousand tokens.
func (c *execCmd) fits(args []string, upstream string) error {
	if c.Force || !isClaudeCode(args) || upstream != "local" && !strings.HasPrefix(upstream, "local/") {
		return nil
	}
	return fmt.Errorf(`Claude Code's prompts do not fit the embedded model (%s), so every turn would fail
  to see the plumbing work:  %[2]s exec --upstream scripted -- %[3]s
  for real answers:          %[2]s exec --upstream http://HOST:PORT -- %[3]s   (a server that speaks Anthropic Messages)
  to start it all the same:  --force`, upstream, self(), strings.Join(args, " "))
}

func isClaudeCode(args []string) bool {
	name := strings.ToLower(filepath.Base(args[0]))
	for _, ext := range []string{".exe", ".cmd", ".ps1"} {
		name = strings.TrimSuffix(name, ext)
	}
	return name == "claude" || slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "@anthropic-ai/claude-code") })
}

// answersAs says whether a server whose upstream has that name is what
// --upstream asks for.
func answersAs(name, upstream string) bool {
	switch {
	case upstream == "local":
		return strings.HasPrefix(name, "local/")
	case upstream == "scripted":
		return name == "scripted"
	case strings.HasPrefix(upstream, "scripted:"), strings.HasPrefix(upstream, "replay:"):
		return false // the name does not tell the file
	default:
		return strings.HasPrefix(upstream, name) // scheme and host
	}
}

// named says whether the user set the flag, on the command line or in the
// environment.
func named(k *kong.Context, flag string) bool {
	for _, p := range k.Path {
		if p.Flag != nil && p.Flag.Name == flag && !p.Resolved {
			return true
		}
	}
	for _, f := range k.Selected().Flags {
		if f.Name == flag {
			return slices.ContainsFunc(f.Envs, func(n string) bool { _, ok := os.LookupEnv(n); return ok })
		}
	}
	return false
}

// runCommand runs args in our place: same input, same output, its signals and
// its end.
func runCommand(args, env []string, con console) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = con.In, con.Out, con.Err, env
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(con.Err, "outcrop: exec:", err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return exitCode(exitNotFound)
		}
		return exitCode(exitCannotRun)
	}
	done := make(chan struct{})
	forwarding := make(chan struct{})
	go func() {
		defer close(forwarding)
		for {
			select {
			case s := <-signals:
				if !fromTerminal(s) {
					_ = cmd.Process.Signal(s) // it may have ended just now
				}
			case <-done:
				return
			}
		}
	}()
	err := cmd.Wait()
	close(done)
	<-forwarding
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return exitCode(codeOf(exit.ProcessState))
	default:
		return fmt.Errorf("exec: %w", err)
	}
}
