package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/invocationlog"
	"github.com/outcrop-dev/outcrop/internal/catalog"
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

Without a command it lists: outcrop logs is outcrop logs list.`
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

// callFilter is which calls are meant.
type callFilter struct { // OUTCROP_MODEL and OUTCROP_REGION are serve's, and filter nothing here
	Since     moment      `placeholder:"TIME" help:"From then on: a time (2026-11-22, 2026-11-22T13:00, RFC 3339), or how long ago (90m, 24h, 7d)."`
	Until     moment      `placeholder:"TIME" help:"Before then."`
	Key       string      `placeholder:"ID" env:"OUTCROP_CALLS_KEY" help:"Of this key."`
	ModelID   string      `name:"model" placeholder:"ID" env:"OUTCROP_CALLS_MODEL" help:"Of this model, by any id that the call named or the catalog has."`
	Region    string      `placeholder:"REGION" env:"OUTCROP_CALLS_REGION" help:"In this Region."`
	Session   string      `placeholder:"ID" help:"Of this session of Claude Code."`
	Operation string      `placeholder:"NAME" help:"Of this operation: InvokeModel, ConverseStream, CreateMessage …"`
	Status    statusRange `placeholder:"STATUS" help:"With this status: 429, 4xx, 5xx, ok or failed."`
	MinCost   dollars     `placeholder:"USD" help:"That cost, or would have cost, at least so many dollars."`
	MaxCost   dollars     `placeholder:"USD" help:"That cost, or would have cost, at most so many."`
}

func (c *callFilter) filter(now time.Time) activity.Filter {
	return activity.Filter{Since: c.Since.at(now), Until: c.Until.at(now), Key: c.Key, Model: c.ModelID, Region: c.Region, Session: c.Session, Operation: c.Operation,
		MinStatus: c.Status.min, MaxStatus: c.Status.max, MinCost: catalog.Nanodollars(c.MinCost), MaxCost: catalog.Nanodollars(c.MaxCost)}
}

// moment is a time, or a time before now. Zero: none.
type moment struct {
	ago  time.Duration
	time time.Time
	wall bool // it names no zone, and is of the machine's
}

func (m *moment) UnmarshalText(text []byte) error {
	s := string(text)
	var ago life
	if ago.UnmarshalText(text) == nil {
		m.ago = time.Duration(ago)
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			m.time, m.wall = t, layout != time.RFC3339Nano
			return nil
		}
	}
	return fmt.Errorf("%q is neither a time such as 2026-11-22T13:00 nor how long ago, such as 24h or 7d", s)
}

// in is the moment where clocks show another zone's time.
func (m moment) in(zone *time.Location, now time.Time) time.Time {
	if t := m.time; m.wall {
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
	}
	return m.at(now)
}

func (m moment) at(now time.Time) time.Time {
	if m.ago > 0 {
		return now.Add(-m.ago)
	}
	return m.time
}

// statusRange is 429, 4xx, ok or failed.
type statusRange struct{ min, max int }

func (r *statusRange) UnmarshalText(text []byte) error {
	s := string(text)
	switch {
	case s == "ok":
		*r = statusRange{0, 399}
	case s == "failed":
		*r = statusRange{400, 999}
	case len(s) == 3 && strings.HasSuffix(s, "xx") && s[0] >= '1' && s[0] <= '5':
		n := int(s[0]-'0') * 100
		*r = statusRange{n, n + 99}
	default:
		n, err := strconv.Atoi(s)
		if err != nil || n < 100 || n > 599 {
			return fmt.Errorf("%q is not a status such as 429, 4xx, ok or failed", s)
		}
		*r = statusRange{n, n}
	}
	return nil
}

// dollars is exact money.
type dollars catalog.Nanodollars

func (d *dollars) UnmarshalText(text []byte) error {
	r, ok := new(big.Rat).SetString(strings.TrimPrefix(string(text), "$"))
	if ok {
		r.Mul(r, big.NewRat(1e9, 1))
	}
	if !ok || !r.IsInt() || r.Sign() < 0 || !r.Num().IsInt64() {
		return fmt.Errorf("%q is not an amount of dollars such as 0.25", text)
	}
	*d = dollars(r.Num().Int64())
	return nil
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
