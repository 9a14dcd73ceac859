package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // where the machine has none, --zone has

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
)

type usageCmd struct {
	logOption
	farOption
	By      []activity.Dimension `default:"day,model" placeholder:"WHAT" help:"What to tell apart, in this order: hour, day, month, key, model, profile, region, endpoint, session, tag. Default: ${default}."`
	Since   moment               `placeholder:"TIME" help:"From then on, by the hour: a time in the zone (2026-11-22, 2026-11-22T13:00), or how long ago (24h, 7d)."`
	Until   moment               `placeholder:"TIME" help:"Before then."`
	Key     string               `placeholder:"ID" env:"OUTCROP_CALLS_KEY" help:"Of this key."`
	ModelID string               `name:"model" placeholder:"ID" env:"OUTCROP_CALLS_MODEL" help:"Of this model, by any id that the call named or the catalog has."`
	Region  string               `placeholder:"REGION" env:"OUTCROP_CALLS_REGION" help:"In this Region."`
	Kind    string               `name:"endpoint-kind" enum:",global,geographic,in-Region" default:"" placeholder:"KIND" help:"Of this kind of endpoint: global, geographic, in-Region."`
	Session string               `placeholder:"ID" help:"Of this session of Claude Code."`
	Tag     string               `placeholder:"NAME=VALUE" help:"With this request metadata."`
	Zone    string               `default:"UTC" placeholder:"ZONE" help:"Whose hours, days and months: UTC, Local, or a name such as Europe/Madrid. Default: ${default}."`
	JSON    bool                 `name:"json" xor:"form" help:"Print JSON."`
	CSV     bool                 `name:"csv" xor:"form" help:"Print CSV."`
}

func (usageCmd) Help() string {
	return `Examples:

  outcrop usage --since 7d
  outcrop usage --by key,model --since 2026-11-01
  outcrop usage --by month,key --zone Europe/Madrid
  outcrop usage --by tag --csv

BILLED is what somebody pays; WOULD COST is what the same calls would have cost on
Bedrock, and is never added to it. REGIONAL is the part that a global endpoint would
not have cost, CACHE SAVED what the cache took off; both are of BILLED, or of WOULD
COST where nothing was billed. A call with two tags is in both lines.`
}

// usageRow is a line as --json prints it.
type usageRow = httpapi.UsageRow

func (c *usageCmd) row(u activity.Usage) usageRow { return httpapi.NewUsageRow(c.By, u) }

func (c *usageCmd) Run(ctx context.Context, con console) error {
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return misuse("--zone %q: want UTC, Local or a name of the IANA time zones, such as Europe/Madrid: %v", c.Zone, err)
	}
	if zone == time.Local && zone.String() == "UTC" {
		zone = time.UTC
	}
	now := time.Now()
	bar := newScanBar(con)
	q := activity.UsageQuery{Since: c.Since.in(zone, now), Until: c.Until.in(zone, now), By: c.By, Key: c.Key, Model: c.ModelID, Region: c.Region,
		Endpoint: c.Kind, Session: c.Session, Tag: c.Tag, Zone: zone, Progress: bar.progress}
	if q.CutsHours() {
		fmt.Fprintf(con.Err, "outcrop: the clocks of %s are not whole hours from UTC, and older figures are kept by the hour: this reads the calls that are still kept\n", zone)
	}
	lines, err := c.ask(ctx, con, q)
	bar.done()
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		rows := []usageRow{}
		for _, l := range lines {
			rows = append(rows, c.row(l))
		}
		return con.writeJSON(rows)
	case c.CSV:
		return c.csv(con, lines)
	case len(lines) == 0:
		fmt.Fprintln(con.Err, "outcrop: no call fits")
		return nil
	default:
		return c.table(con, lines)
	}
}

func (c *usageCmd) ask(ctx context.Context, con console, q activity.UsageQuery) ([]activity.Usage, error) {
	if c.Endpoint != "" {
		far, err := newAdminClient(ctx, c.Endpoint)
		if err != nil {
			return nil, err
		}
		return far.Usage(ctx, q)
	}
	a, done, err := openArchive(ctx, c.Data, con)
	if err != nil {
		return nil, err
	}
	defer done()
	return a.Usage(ctx, q)
}

func (c *usageCmd) names() (names []string) {
	for _, d := range c.By {
		names = append(names, d.String())
	}
	return names
}

func (c *usageCmd) table(con console, lines []activity.Usage) error {
	w := table(visible{con.Out})
	head := strings.ToUpper(strings.Join(append(c.names(), "calls", "failed", "in", "cache write", "cache read", "out", "billed", "would cost", "regional", "cache saved"), "\t"))
	fmt.Fprintln(w, head)
	var sum activity.Figures
	line := func(by []string, f activity.Figures) {
		for _, v := range by {
			fmt.Fprintf(w, "%s\t", cell(v))
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t$%s\t$%s\t%s\t%s\n", f.Calls, f.Failed, f.Input, f.CacheWrite5m+f.CacheWrite1h, f.CacheRead, f.Output,
			f.Billed.USD(), f.WouldCost.USD(), money2(f.BilledPremium.USD(), f.WouldPremium.USD(), f.WouldPremium != 0), money2(f.BilledSaved.USD(), f.WouldSaved.USD(), f.WouldSaved != 0))
	}
	for _, l := range lines {
		line(l.By, l.Figures)
		sum.Add(l.Figures)
	}
	// Tags overlap, so that their lines do not add up.
	if len(lines) > 1 && len(c.By) > 0 && !slices.Contains(c.By, activity.ByTag) {
		by := make([]string, len(c.By))
		by[0] = "total"
		line(by, sum)
	}
	return w.Flush()
}

// money2 shows what is of the bill, and in parentheses what is of no bill.
func money2(billed, would string, both bool) string {
	if !both {
		return "$" + billed
	}
	return "$" + billed + " ($" + would + ")"
}

func (c *usageCmd) csv(con console, lines []activity.Usage) error {
	w := csv.NewWriter(con.Out)
	head := append(c.names(), "calls", "failed", "partial", "input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "output_tokens",
		"billed_usd", "regional_premium_usd", "cache_saved_usd", "would_cost_usd", "would_regional_premium_usd", "would_cache_saved_usd", "seconds")
	if err := w.Write(head); err != nil {
		return err
	}
	for _, l := range lines {
		r := c.row(l)
		row := slices.Clone(l.By)
		for _, n := range []int64{r.Calls, r.Failed, r.Partial, r.Input, r.CacheWrite5m, r.CacheWrite1h, r.CacheRead, r.Output} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		row = append(row, r.Billed, r.Premium, r.Saved, r.WouldCost, r.WouldPremium, r.WouldSaved, strconv.FormatFloat(r.Seconds, 'f', 3, 64))
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
