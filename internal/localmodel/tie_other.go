//go:build !linux

package localmodel

import "os/exec"

// tie has nothing to add here: the child ends when its standard input closes.
func tie(*exec.Cmd) {}
