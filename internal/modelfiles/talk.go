package modelfiles

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// talk tells the user what happens: a bar on a terminal, lines elsewhere.
type talk struct {
	w        io.Writer
	terminal bool
}

func newTalk(w io.Writer) *talk {
	if w == nil {
		w = io.Discard
	}
	f, ok := w.(*os.File)
	return &talk{w, ok && term.IsTerminal(int(f.Fd()))}
}

func (t *talk) line(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }

// bar is the progress of one file.
type bar struct {
	t    *talk
	what string
	p    *progressbar.ProgressBar // nil: lines
}

func (t *talk) bar(what string, size int64) *bar {
	b := &bar{t: t, what: what}
	if !t.terminal {
		t.line("%s (%d MB)", what, (size+500_000)/1_000_000)
		return b
	}
	b.p = progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(t.w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(24), progressbar.OptionSetRenderBlankState(true))
	return b
}

// Write counts bytes.
func (b *bar) Write(p []byte) (int, error) {
	if b.p != nil {
		_ = b.p.Add(len(p))
	}
	return len(p), nil
}

func (b *bar) set(n int64) {
	if b.p != nil {
		_ = b.p.Set64(min(n, b.p.GetMax64()))
	}
}

func (b *bar) finish() {
	if b.p != nil {
		_ = b.p.Finish()
		fmt.Fprintln(b.t.w)
	}
}

func (b *bar) abandon() {
	if b.p != nil {
		_ = b.p.Exit()
		fmt.Fprintln(b.t.w)
	}
}
