package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"
)

// console is where a command reads and writes: data on Out, talk on Err.
type console struct {
	In       io.Reader
	Out, Err io.Writer
}

// terminal says whether someone sits there: what asks for nobody must not wait.
func (c console) terminal() bool {
	return isTerminal(c.In) && isTerminal(c.Out)
}

// isTerminal is asked of a reader or a writer.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// agrees asks whoever sits there; only "y" and "yes" are a yes.
func (c console) agrees(question string) (bool, error) {
	fmt.Fprintf(c.Err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(c.In).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", err
}

func (c console) writeJSON(v any) error {
	enc := json.NewEncoder(c.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table aligns tab-separated lines.
func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 4, 2, ' ', 0) }

// self is this program as its user can call it again.
func self() string {
	exe, err := os.Executable()
	if err != nil {
		return "outcrop"
	}
	if found, err := exec.LookPath("outcrop"); err == nil {
		a, errA := os.Stat(found)
		b, errB := os.Stat(exe)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			return "outcrop"
		}
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, exe); err == nil && filepath.IsLocal(rel) {
			return "." + string(filepath.Separator) + rel
		}
	}
	return exe
}
