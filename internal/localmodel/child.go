package localmodel

import (
	"fmt"
	"os"

	"github.com/outcrop-dev/outcrop/internal/localmodel/worker"
)

// ChildCommand is the hidden subcommand that RunChild stands behind.
const ChildCommand = "engine-child"

// RunChild is the child process: its settings come on standard input, so that
// no list of processes shows them, and it ends when that closes.
func RunChild(args []string) int {
	if len(args) > 0 {
		fmt.Fprintf(os.Stderr, "engine-child takes no arguments, got %q\n", args)
		return 2
	}
	return worker.Run(os.Stdin, os.Stdout, os.Stderr)
}
