package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"
)

const (
	historyFile  = "chat_history"
	historyLines = 1000
)

// editor reads lines from a terminal, which is raw only while it does.
type editor struct {
	in, out  *os.File
	keys     *keys
	history  *history
	complete func(line string) []string
	terminal *term.Terminal
}

func newEditor(in, out *os.File, h *history, complete func(string) []string) *editor {
	e := &editor{in: in, out: out, keys: &keys{r: in}, history: h, complete: complete}
	e.renew()
	return e
}

// renew forgets a line that is begun, which x/term's Terminal does not.
func (e *editor) renew() {
	e.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, e.out}, "> ")
	e.terminal.History = e.history
	e.terminal.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' || pos != len(line) {
			return "", 0, false
		}
		return completed(line, e.complete(line))
	}
}

// completed goes as far as all candidates agree.
func completed(line string, all []string) (string, int, bool) {
	if len(all) == 0 {
		return line, len(line), true
	}
	common := all[0]
	for _, s := range all[1:] {
		for !strings.HasPrefix(s, common) {
			common = common[:len(common)-1]
		}
	}
	if len(common) < len(line) {
		common = line
	}
	return common, len(common), true
}

// line is one question: a paste of many lines, or lines that a backslash joins.
func (e *editor) line(ctx context.Context) (string, error) {
	was, err := term.MakeRaw(int(e.in.Fd()))
	if err != nil {
		return "", err
	}
	defer term.Restore(int(e.in.Fd()), was)
	if width, height, err := term.GetSize(int(e.out.Fd())); err == nil && width > 0 {
		_ = e.terminal.SetSize(width, height) // an error is a write's, which comes again
	}
	e.terminal.SetBracketedPasteMode(true)
	defer e.terminal.SetBracketedPasteMode(false)
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1) // nobody may be left to take it
	go func() {
		line, err := e.read()
		read <- result{line, err}
	}()
	select {
	case r := <-read:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (e *editor) read() (string, error) {
	var all []string
	for {
		e.terminal.SetPrompt(map[bool]string{true: "> ", false: "… "}[len(all) == 0])
		line, err := e.terminal.ReadLine()
		switch {
		case errors.Is(err, term.ErrPasteIndicator):
			all = append(all, line)
		case errors.Is(err, io.EOF) && e.keys.interrupted:
			e.keys.interrupted = false
			e.renew()
			_, _ = io.WriteString(e.out, "^C\r\n")
			return "", errCleared
		case err != nil:
			return "", err
		case strings.HasSuffix(line, `\`):
			all = append(all, strings.TrimSuffix(line, `\`))
		default:
			return strings.Join(append(all, line), "\n"), nil
		}
	}
}

// keys remembers a Ctrl-C, which x/term's Terminal does not tell from a Ctrl-D.
type keys struct {
	r           io.Reader
	interrupted bool
}

func (k *keys) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	k.interrupted = bytes.IndexByte(p[:n], 3) >= 0
	return n, err
}

// history is what was said, also in earlier conversations. A line that begins
// with a space is not kept.
type history struct {
	path  string // "": not kept
	lines []string
}

// readHistory keeps nothing where there is no data folder.
func readHistory(path string) *history {
	h := &history{}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return h
	}
	h.path = path
	raw, err := os.ReadFile(path)
	if err != nil {
		return h
	}
	for line := range strings.Lines(string(raw)) {
		h.lines = append(h.lines, strings.TrimSuffix(line, "\n"))
	}
	if n := len(h.lines); n > 2*historyLines {
		h.lines = h.lines[n-historyLines:]
		_ = os.WriteFile(path, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600) // or it is longer
	}
	return h
}

// Add is called for each line. What cannot be written is remembered until the end.
func (h *history) Add(line string) {
	if strings.TrimSpace(line) == "" || line[0] == ' ' || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if h.path == "" {
		return
	}
	f, err := os.OpenFile(h.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		h.path = ""
		return
	}
	defer f.Close()
	if _, err := f.WriteString(line + "\n"); err != nil {
		h.path = ""
	}
}

func (h *history) Len() int { return len(h.lines) }

func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
