package main

import (
	"io"
	"os"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
)

type framesCmd struct {
	File string `arg:"" optional:"" type:"existingfile" help:"File to read; standard input without it, or with -."`
	Load bool   `help:"From text to an event stream."`
}

func (framesCmd) Help() string {
	return `Examples:

  outcrop frames answer.bin
  outcrop frames --load answer.txt > answer.bin

An event stream (application/vnd.amazon.eventstream) is how Bedrock streams answers.
As text each of its frames is a line of JSON: its headers, its payload, and of a model's
event what it holds.`
}

func (c framesCmd) Run(con console) error {
	in := con.In
	if c.File != "" && c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = io.Reader(f)
	}
	if c.Load {
		return eventstream.Load(con.Out, in)
	}
	return eventstream.Dump(con.Out, in)
}
