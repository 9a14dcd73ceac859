package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// scanBar says how far a scan has come, where someone sits to see it.
type scanBar struct {
	w    io.Writer // nil: nobody does
	what string
	bar  *progressbar.ProgressBar
}

func newScanBar(con console) *scanBar {
	b := &scanBar{what: "searching"}
	if isTerminal(con.Err) {
		b.w = con.Err
	}
	return b
}

func (b *scanBar) progress(done, total int64) {
	if b.w == nil || total == 0 {
		return
	}
	if b.bar == nil {
		b.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(b.w), progressbar.OptionSetDescription(b.what), progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(24), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetRenderBlankState(true), progressbar.OptionClearOnFinish())
	}
	_ = b.bar.Set64(min(done, total)) // it cannot be shown, and nothing else
}

// done takes the bar away.
func (b *scanBar) done() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}
