package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/outcrop-dev/outcrop/internal/recording"
)

type recordCmd struct {
	answerOptions
	Output  string   `short:"o" type:"path" env:"OUTCROP_RECORDING" default:"recording.txtar" placeholder:"FILE" help:"File to write; one that is there is replaced once the command has ended. Default: ${default}."`
	Command []string `arg:"" passthrough:"partial" help:"Command to run, with its arguments."`
}

func (recordCmd) Help() string {
	return `Examples:

  outcrop record -- python app.py
  outcrop record --upstream bedrock -o testdata/tour.txtar -- go test -run TestTour .

A server of its own is started on a free port in front of the upstream, and the
command is pointed at it as by "outcrop exec". Each call of a model and its answer
goes to the file: what the request means, and the bytes of the answer. Signatures,
keys and the tokens of MCP servers do not; prompts and answers do. Played again by:

  outcrop serve --upstream replay:FILE          for a program in any language
  outcroptest.Replay("FILE")                    in a test in Go

Signals go to the command, and its exit code is the exit code here.`
}

func (c *recordCmd) Run(ctx context.Context, con console) (err error) {
	args, err := commandOf("record", c.Command)
	if err != nil {
		return err
	}
	// Where the file cannot be written is said before the command costs anything.
	part, err := os.CreateTemp(filepath.Dir(c.Output), filepath.Base(c.Output)+".*.part")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	defer part.Close()
	tape, err := recording.NewTape(part)
	if err != nil {
		return err
	}
	data, err := os.MkdirTemp("", "outcrop-record-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	o := &serveOptions{Listen: "127.0.0.1:0", dataOption: dataOption{Data: data}, answerOptions: c.answerOptions, Log: "text", temporary: true, tape: tape}
	s, closeLog, err := startQuiet(o)
	if err != nil {
		return err
	}
	defer closeLog()
	if s.Note != "" {
		fmt.Fprintln(con.Err, "outcrop:", s.Note)
	}
	if s.Upstream.Capabilities().Bills {
		fmt.Fprintf(con.Err, "outcrop: %s answers: real Claude, BILLED to %s\n", s.Upstream.Name(), s.billed())
	}
	env, err := o.clientEnv(s.state(o))
	if err != nil {
		return errors.Join(err, s.shutdown())
	}
	if ctx.Err() != nil {
		_ = s.shutdown()
		return exitCode(exitCtrlC)
	}
	ran := runCommand(args, env.Environ(os.Environ()), con)
	_ = s.shutdown() // answers under way come to their end, and into the file
	if err := c.keep(tape, part, s.Upstream.Name(), con); err != nil {
		fmt.Fprintln(con.Err, "outcrop:", err)
		if ran == nil {
			return exitCode(exitFailed)
		}
	}
	return ran
}

// keep puts the file in its place.
func (c *recordCmd) keep(tape *recording.Tape, part *os.File, upstream string, con console) error {
	n, left, err := tape.End()
	for _, call := range left {
		fmt.Fprintln(con.Err, "outcrop: not recorded:", call)
	}
	if err := errors.Join(err, part.Close()); err != nil {
		return fmt.Errorf("%s is not written: %w", c.Output, err)
	}
	if n == 0 {
		return fmt.Errorf("no call of a model came, so %s is not written", c.Output)
	}
	if err := os.Rename(part.Name(), c.Output); err != nil {
		return err
	}
	fmt.Fprintf(con.Err, "outcrop: %d calls, answered by %s, are in %s\n", n, upstream, c.Output)
	return nil
}
