package main

import (
	"io"
	"os"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
)

type framesCmd struct {
	File string `arg:"" optional:"" type:"existingfile" help:"File to read; standard input without it."`
	Load bool   `help:"From text to an event stream."`
}

func (c framesCmd) Run(con console) error {
	in := con.In
	if c.File != "" {
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
