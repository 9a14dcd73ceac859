package main

import "os"

// The console sends Ctrl-C to the command itself; it is caught here so that the
// server outlives it.
var forwarded = []os.Signal{os.Interrupt}

func fromTerminal(os.Signal) bool { return true }

func codeOf(p *os.ProcessState) int { return p.ExitCode() }
