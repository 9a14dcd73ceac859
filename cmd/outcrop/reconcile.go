package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/statement"
)

type reconcileCmd struct {
	logOption
	bookOptions
	Dir   string `arg:"" type:"existingdir" help:"Folder with AWS's invocation logs, as aws s3 sync brings them."`
	Since moment `placeholder:"TIME" help:"Miss no call before then. Default: the hour of the first record in the logs."`
	Until moment `placeholder:"TIME" help:"Miss no call from then on. Default: the end of the hour of the last one."`
	Limit int    `short:"n" default:"20" placeholder:"N" help:"Print so many calls of each kind; 0: all. Default: ${default}."`
	JSON  bool   `name:"json" help:"Print JSON, with every call."`
}

func (reconcileCmd) Help() string {
	return `Examples:

  aws s3 sync s3://BUCKET/PREFIX logs
  outcrop reconcile logs

AWS's own record of what you called, model invocation logging, beside ours: calls
that only one side has, tokens of each class that are not the same and what that
costs, endpoints, Regions, and what AWS ran outside of a wall.

Calls are matched by the request id that AWS gave them. Put in the logs of every
account and Region that calls went to; a Region without logs is not missed. Records
that an outcrop has delivered itself are matched by its own ids. Both sides are
priced by the price book (outcrop price list). The exit code is 1 when there is a
difference, or a file that cannot be read.`
}

// reach is how far a record's time here may be from that of the logs: a call may
// have waited, and gone to other Regions first.
const reach = time.Hour

func (c *reconcileCmd) Run(ctx context.Context, con console) error {
	cat, err := c.catalog()
	if err != nil {
		return err
	}
	a, done, err := openArchive(ctx, c.Data, con)
	if err != nil {
		return err
	}
	defer done()
	now := time.Now()
	s := &statement.Statement{Catalog: cat, From: c.Since.at(now), Until: c.Until.at(now)}
	bar := newScanBar(con)
	logs, err := statement.Read(os.DirFS(c.Dir), func(done, total int64) { bar.progress(done, total) }, s.There)
	bar.done()
	if err != nil {
		return err
	}
	if logs.Files == 0 {
		return fmt.Errorf("there are no invocation logs in %s: want files such as AWSLogs/…/20261122T120000000Z_0123456789abcdef.json.gz", c.Dir)
	}
	from, until := s.Span()
	filter := activity.Filter{Since: from.Add(-reach), Until: until.Add(reach)}
	days, err := a.Days()
	if err != nil {
		return err
	}
	if len(days) > 0 && from.Before(days[0].Time()) {
		fmt.Fprintf(con.Err, "outcrop: the logs begin %s, our records %s: what is older is only there\n", from.Format(time.DateTime), days[0].Time().Format(time.DateOnly))
	}
	for _, d := range days {
		if d.Time().Add(24*time.Hour).Before(filter.Since) || !d.Time().Before(filter.Until) {
			continue
		}
		_, err := a.Walk(ctx, d, 0, func(_ activity.Ref, r *activity.Record) error {
			if filter.Match(r) {
				s.Here(r)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	rep := s.Report()
	if c.JSON {
		err = con.writeJSON(newReconciled(rep, logs))
	} else {
		err = c.print(con.Out, rep, logs)
	}
	if err == nil && (!rep.Same() || len(logs.Bad) > 0) {
		err = exitCode(exitFailed)
	}
	return err
}

func (c *reconcileCmd) print(out io.Writer, rep *statement.Report, logs *statement.Logs) error {
	out = visible{out}
	fmt.Fprintf(out, "%s to %s: %d calls on both sides, %d of them different; %d only here, %d only there\n",
		rep.From.UTC().Format("2006-01-02 15:04"), rep.Until.UTC().Format("2006-01-02 15:04 MST"), rep.Matched, len(rep.Different), len(rep.OnlyHere), len(rep.OnlyThere))
	for _, note := range []struct {
		n    int
		says string
	}{
		{rep.FailedThere, "refusals are only there: attempts that were left for another Region, or calls by others"},
		{rep.NotLogged, "calls are not missed: they went to bedrock-mantle, which logs nothing"},
		{rep.Elsewhere, "records are of other models than Claude"},
		{rep.Unsplit, "calls have cache writes that the logs do not split by time to live; they count as ours say"},
		{rep.Repriced, "calls cost another amount in our records: the price book has changed since"},
		{logs.Other, "entries in the files are no records of invocation logging"},
	} {
		if note.n > 0 {
			fmt.Fprintf(out, "  %d %s\n", note.n, note.says)
		}
	}
	for _, bad := range logs.Bad {
		fmt.Fprintf(out, "  cannot be read: %v\n", bad)
	}
	if err := printTotals(out, rep.Totals); err != nil {
		return err
	}
	for _, kind := range []struct {
		title string
		lines []statement.Line
	}{{"different", rep.Different}, {"only here", rep.OnlyHere}, {"only there", rep.OnlyThere}} {
		if err := c.printLines(out, kind.title, kind.lines); err != nil {
			return err
		}
	}
	return nil
}

func printTotals(out io.Writer, totals []statement.ClassLine) error {
	w := table(out)
	fmt.Fprintln(w, "\nCLASS\tTOKENS HERE\tTHERE\tDIFFERENCE\tCOST HERE\tTHERE\tDIFFERENCE")
	var sum statement.ClassLine
	for _, t := range totals {
		fmt.Fprintf(w, "%s\t%d\t%d\t%+d\t$%s\t$%s\t$%s\n", t.Class, t.Here, t.There, t.There-t.Here, t.Cost[0].USD(), t.Cost[1].USD(), (t.Cost[1] - t.Cost[0]).USD())
		sum.Here, sum.There = sum.Here+t.Here, sum.There+t.There
		sum.Cost[0], sum.Cost[1] = sum.Cost[0]+t.Cost[0], sum.Cost[1]+t.Cost[1]
	}
	fmt.Fprintf(w, "total\t%d\t%d\t%+d\t$%s\t$%s\t$%s\n", sum.Here, sum.There, sum.There-sum.Here, sum.Cost[0].USD(), sum.Cost[1].USD(), (sum.Cost[1] - sum.Cost[0]).USD())
	return w.Flush()
}

func (c *reconcileCmd) printLines(out io.Writer, title string, lines []statement.Line) error {
	if len(lines) == 0 {
		return nil
	}
	w := table(out)
	fmt.Fprintf(w, "\n%s\nTIME\tID\tOURS\tREGION\tMODEL\tCOST HERE\tTHERE\tSTATUS\tDIFFERENCE\n", strings.ToUpper(title))
	for i, l := range lines {
		if c.Limit > 0 && i == c.Limit {
			fmt.Fprintf(w, "… and %d more\n", len(lines)-i)
			break
		}
		reasons := append([]string{}, l.Reasons...)
		for _, t := range l.Tokens {
			if t.Here != t.There {
				reasons = append(reasons, fmt.Sprintf("%s %+d", t.Class, t.There-t.Here))
			}
		}
		cost := [2]string{"unknown", "unknown"}
		if l.Priced {
			cost = [2]string{"$" + l.Cost[0].USD(), "$" + l.Cost[1].USD()}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Time.UTC().Format(time.DateTime), cell(l.ID), orDash(l.Here), l.Region, cell(l.Model), cost[0], cost[1],
			orDash(l.Status), cell(strings.Join(reasons, ", ")))
	}
	return w.Flush()
}

// reconciled is the report as --json prints it. Money is dollars, exact, as text.
type reconciled struct {
	From        time.Time        `json:"from"`
	Until       time.Time        `json:"until"`
	Same        bool             `json:"same"`
	Matched     int              `json:"matched"`
	Totals      []reconciledPart `json:"totals"`
	Different   []reconciledCall `json:"different"`
	OnlyHere    []reconciledCall `json:"only_here"`
	OnlyThere   []reconciledCall `json:"only_there"`
	FailedThere int              `json:"failed_only_there"`
	NotLogged   int              `json:"not_logged_by_aws"`
	OtherModels int              `json:"other_models"`
	Unsplit     int              `json:"cache_writes_not_split"`
	Repriced    int              `json:"priced_otherwise_in_record"`
	Files       int              `json:"files"`
	Twice       int              `json:"delivered_twice"`
	OtherLines  int              `json:"other_entries"`
	Bad         []string         `json:"unreadable"`
}

type reconciledPart struct {
	Class     string `json:"class"`
	Here      int64  `json:"tokens_here"`
	There     int64  `json:"tokens_there"`
	HereUSD   string `json:"usd_here"`
	ThereUSD  string `json:"usd_there"`
	Different string `json:"usd_difference"`
}

type reconciledCall struct {
	ID       string           `json:"request_id"`
	Here     string           `json:"our_request_id,omitempty"`
	Time     time.Time        `json:"time"`
	Region   string           `json:"region"`
	Model    string           `json:"model"`
	Status   string           `json:"status,omitempty"`
	Reasons  []string         `json:"reasons,omitempty"`
	HereUSD  string           `json:"usd_here,omitempty"`
	ThereUSD string           `json:"usd_there,omitempty"`
	Tokens   []reconciledPart `json:"tokens"`
}

func newReconciled(rep *statement.Report, logs *statement.Logs) reconciled {
	r := reconciled{From: rep.From, Until: rep.Until, Same: rep.Same(), Matched: rep.Matched, Totals: reconciledParts(rep.Totals), Different: reconciledCalls(rep.Different),
		OnlyHere: reconciledCalls(rep.OnlyHere), OnlyThere: reconciledCalls(rep.OnlyThere), FailedThere: rep.FailedThere, NotLogged: rep.NotLogged, OtherModels: rep.Elsewhere,
		Unsplit: rep.Unsplit, Repriced: rep.Repriced, Files: logs.Files, Twice: logs.Twice, OtherLines: logs.Other, Bad: []string{}}
	for _, bad := range logs.Bad {
		r.Bad = append(r.Bad, bad.Error())
	}
	return r
}

func reconciledCalls(lines []statement.Line) []reconciledCall {
	out := []reconciledCall{}
	for _, l := range lines {
		r := reconciledCall{ID: l.ID, Here: l.Here, Time: l.Time, Region: l.Region, Model: l.Model, Status: l.Status, Reasons: l.Reasons, Tokens: reconciledParts(l.Tokens)}
		if l.Priced {
			r.HereUSD, r.ThereUSD = l.Cost[0].USD(), l.Cost[1].USD()
		}
		out = append(out, r)
	}
	return out
}

func reconciledParts(parts []statement.ClassLine) []reconciledPart {
	out := []reconciledPart{}
	for _, p := range parts {
		out = append(out, reconciledPart{p.Class, p.Here, p.There, p.Cost[0].USD(), p.Cost[1].USD(), (p.Cost[1] - p.Cost[0]).USD()})
	}
	return out
}
