package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/invocationlog"
	"github.com/outcrop-dev/outcrop/internal/sqlstore"
)

func activityDir(data string) string  { return filepath.Join(data, activityFolder) }
func activityFile(data string) string { return filepath.Join(data, activityIndex) }

type logsCmd struct {
	List   logsListCmd   `cmd:"" default:"withargs" help:"List calls, the newest last."`
	Show   logsShowCmd   `cmd:"" help:"Show one call as a conversation."`
	Replay logsReplayCmd `cmd:"" help:"Send a call's request again, here or elsewhere."`
	Export logsExportCmd `cmd:"" help:"Write calls as records of AWS's model invocation logging, one a line."`
}

func (logsCmd) Help() string {
	return `Examples:

  outcrop logs
  outcrop logs --status failed --since 24h
  outcrop logs show 0b4c1c5e-5d0c-4c2e-9c41-0d6c8f8a2f5e

Without a command it lists: outcrop logs is outcrop logs list, and takes its flags.`
}

// openArchive opens the activity log for reading, beside a server that may be at
// work. Without an index everything is read from the segments.
func openArchive(ctx context.Context, data string, con console) (*activity.Archive, func(), error) {
	dir := activityDir(data)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no activity log in %s: no server has kept one there\n  %s run starts one; --data DIR reads another folder's", data, self())
	}
	ix, err := sqlstore.ReadIndex(ctx, activityFile(data))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(con.Err, "outcrop: the index of the activity log cannot be used, so this takes longer: %v\n", err)
		}
		return activity.NewArchive(dir, nil), func() {}, nil
	}
	return activity.NewArchive(dir, ix), func() { ix.Close() }, nil
}

type logsListCmd struct {
	logOption
	farOption
	callFilter
	Text   string `placeholder:"TEXT" help:"With this text in what was asked or answered. Reads the calls of the range."`
	Limit  int    `short:"n" default:"50" placeholder:"N" help:"At most so many, the newest ones; 0: all. Default: ${default}."`
	Follow bool   `short:"f" help:"Then go on as calls end."`
	JSON   bool   `name:"json" help:"Print records of AWS's form, without their bodies, one a line."`
}

func (logsListCmd) Help() string {
	return `Examples:

  outcrop logs --status failed --since 24h
  outcrop logs --model global.anthropic.claude-haiku-4-5-20251001-v1:0 --min-cost 0.10
  outcrop logs --text "quarterly report" --since 7d
  outcrop logs -f

A cost in parentheses is what a call would have cost on Bedrock, and did not here.`
}

func (c *logsListCmd) Run(ctx context.Context, con console) error {
	if c.Endpoint != "" {
		return c.far(ctx, con)
	}
	a, done, err := openArchive(ctx, c.Data, con)
	if err != nil {
		return err
	}
	defer done()
	from, err := ends(a)
	if err != nil {
		return err
	}
	filter := c.filter(time.Now())
	var found []activity.Record
	take := func(r *activity.Record) bool {
		found = append(found, *r)
		return c.Limit <= 0 || len(found) < c.Limit
	}
	if c.Text == "" {
		err = a.Find(ctx, filter, func(_ activity.Ref, r *activity.Record) bool { return take(r) })
	} else {
		bar := newScanBar(con)
		err = a.Scan(ctx, filter, bar.progress, func(x *activity.Exchange) bool {
			return !invocationlog.Contains(x, c.Text) || take(&x.Record)
		})
		bar.done()
	}
	if err != nil {
		return err
	}
	slices.Reverse(found)
	out := c.printer(con)
	for i := range found {
		if err := out.print(&found[i]); err != nil {
			return err
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	if len(found) == 0 && !c.JSON && !c.Follow {
		fmt.Fprintln(con.Err, "outcrop: no call fits")
	}
	if !c.Follow {
		return nil
	}
	return c.follow(ctx, a, from, filter, out)
}

// maxFar is what the admin API lists at once.
const maxFar = 1000

// far lists the calls of a server far away.
func (c *logsListCmd) far(ctx context.Context, con console) error {
	if c.Text != "" || c.Follow || c.Limit <= 0 || c.Limit > maxFar {
		return misuse("--endpoint: a server far away lists 1 to %d calls, without --text and --follow", maxFar)
	}
	client, err := newAdminClient(ctx, c.Endpoint)
	if err != nil {
		return err
	}
	found, err := client.Calls(ctx, c.filter(time.Now()), c.Limit)
	if err != nil {
		return err
	}
	out := c.printer(con)
	for _, l := range slices.Backward(found) {
		if c.JSON {
			line, err := l.JSON()
			if err != nil {
				return err
			}
			fmt.Fprintf(con.Out, "%s\n", line)
			continue
		}
		r, err := fromLog(l)
		if err != nil {
			return fmt.Errorf("%s answers as no outcrop does: %w", c.Endpoint, err)
		}
		if err := out.print(r); err != nil {
			return err
		}
	}
	if len(found) == 0 && !c.JSON {
		fmt.Fprintln(con.Err, "outcrop: no call fits")
	}
	return out.flush()
}

// ends says where each day's segment ends now.
func ends(a *activity.Archive) (map[activity.Day]int64, error) {
	days, err := a.Days()
	if err != nil {
		return nil, err
	}
	at := map[activity.Day]int64{}
	for _, d := range days {
		if at[d], err = a.End(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return at, nil
}

// followEvery is how often a follower looks.
const followEvery = 300 * time.Millisecond

func (c *logsListCmd) follow(ctx context.Context, a *activity.Archive, at map[activity.Day]int64, filter activity.Filter, out *callPrinter) error {
	filter.Until = time.Time{}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		days, err := a.Days()
		if err != nil {
			return err
		}
		for _, d := range days {
			var fresh []activity.Ref
			next, err := a.Walk(ctx, d, at[d], func(ref activity.Ref, r *activity.Record) error {
				if !filter.Match(r) {
					return nil
				}
				if c.Text != "" {
					fresh = append(fresh, ref)
					return nil
				}
				return out.print(r)
			})
			if err != nil && ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			at[d] = max(at[d], next)
			for _, ref := range fresh {
				if x, err := a.Exchange(ref); err == nil && invocationlog.Contains(x, c.Text) {
					if err := out.print(&x.Record); err != nil {
						return err
					}
				}
			}
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
}

// callPrinter prints one line a call.
type callPrinter struct {
	con    console
	json   bool
	table  *tabwriter.Writer
	headed bool
}

func (c *logsListCmd) printer(con console) *callPrinter {
	return &callPrinter{con: con, json: c.JSON, table: table(visible{con.Out})}
}

func (p *callPrinter) print(r *activity.Record) error {
	if p.json {
		line, err := invocationlog.Of(&activity.Exchange{Record: *r}, invocationlog.Options{}).JSON()
		if err == nil {
			_, err = fmt.Fprintf(p.con.Out, "%s\n", line)
		}
		return err
	}
	if !p.headed {
		p.headed = true
		fmt.Fprintln(p.table, "TIME\tID\tSTATUS\tOPERATION\tMODEL\tREGION\tKEY\tIN\tOUT\tCOST\tTOOK\tERROR")
	}
	_, err := fmt.Fprintf(p.table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", r.Time.Local().Format(time.DateTime), r.RequestID, statusOf(r), r.Operation,
		cell(r.Ref), cell(r.Region), cell(r.KeyID), r.Usage.PromptTokens(), r.Usage.OutputTokens, costOf(r), r.Duration.Round(time.Millisecond), r.ErrorCode)
	return err
}

func (p *callPrinter) flush() error {
	if p.json {
		return nil
	}
	return p.table.Flush()
}

func statusOf(r *activity.Record) string {
	s := strconv.Itoa(r.Status)
	switch {
	case r.Interrupted:
		return "interrupted"
	case r.Partial:
		return s + " partial"
	default:
		return s
	}
}

func costOf(r *activity.Record) string {
	if r.WouldCost != 0 {
		return "($" + r.WouldCost.USD() + ")"
	}
	return "$" + r.Billed.USD()
}
