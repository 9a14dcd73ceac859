package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/invocationlog"
)

type logsExportCmd struct {
	logOption
	callFilter
	Output      string `short:"o" type:"path" placeholder:"FILE" help:"Write there, and not to standard output."`
	NoText      bool   `help:"Leave the bodies out."`
	NoImages    bool   `help:"Leave the bytes of images out."`
	NoDocuments bool   `help:"Leave the contents of documents out."`
}

func (logsExportCmd) Help() string {
	return `Examples:

  outcrop logs export --since 24h -o calls.ndjson
  outcrop logs export --no-text --status failed | jq -r .errorCode

The oldest call comes first.`
}

func (c *logsExportCmd) Run(ctx context.Context, con console) (err error) {
	a, done, err := openArchive(ctx, c.Data, con)
	if err != nil {
		return err
	}
	defer done()
	out := con.Out
	if c.Output != "" {
		f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	filter := c.filter(time.Now())
	days, err := a.Days()
	if err != nil {
		return err
	}
	n := 0
	for _, d := range days { // the oldest first, as they came
		_, err := a.Walk(ctx, d, 0, func(ref activity.Ref, r *activity.Record) error {
			if !filter.Match(r) {
				return nil
			}
			x, err := a.Exchange(ref)
			if err != nil {
				return err
			}
			line, err := invocationlog.Of(x, invocationlog.Options{NoText: c.NoText, NoImages: c.NoImages, NoDocuments: c.NoDocuments}).JSON()
			if err != nil {
				return fmt.Errorf("%s: %w", r.RequestID, err)
			}
			n++
			_, err = out.Write(append(line, '\n'))
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if c.Output != "" {
		fmt.Fprintf(con.Err, "%d calls in %s\n", n, c.Output)
	}
	return nil
}
