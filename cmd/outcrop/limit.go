package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/limit"
)

type limitCmd struct {
	Show limitShowCmd `cmd:"" help:"Show the limits of keys, and what is used of them."`
	Set  limitSetCmd  `cmd:"" help:"Set limits of a key."`
}

func (limitCmd) Help() string {
	return `Examples:

  outcrop limit set AKIA… --usd-per-day 5 --requests-per-minute 60
  outcrop limit set AKIA… --usd-per-day none
  outcrop limit show

What a call may use at most is reserved when it comes in, and what it did not use is
given back when it is over; so calls at once pass no limit together. A call over a
limit is refused, and told which limit it is and when it frees. Money is what is
really billed: calls to the local model cost nothing. outcrop serve --limit-… is for
keys that have no limit of their own.
` + adminHelp
}

type limitSetCmd struct {
	adminOption
	ID string `arg:"" help:"Id of the key, as key list has it."`
	limitFlags
}

func (limitSetCmd) Help() string {
	return `Examples:

  outcrop limit set AKIA… --usd-per-day 5 --requests-per-minute 60
  outcrop limit set AKIA… --usd-per-day none
  outcrop limit set AKIA… --tokens-per-minute default --endpoint https://outcrop.example

What is not named stays as it is.
` + adminHelp
}

func (c *limitSetCmd) Run(ctx context.Context, con console) error {
	limits := c.limitFlags.patch()
	if len(limits) == 0 {
		return misuse("no limit is named: --requests-per-minute, --tokens-per-minute, --concurrent-streams, --usd-per-day, --usd-per-month")
	}
	patch, err := json.Marshal(map[string]any{"limits": limits})
	if err != nil {
		return err
	}
	a, err := c.open(ctx)
	if err != nil {
		return err
	}
	k, err := a.Change(ctx, c.ID, patch)
	if err != nil {
		return err
	}
	return printLimits(con, httpapi.LimitList{Keys: []httpapi.KeyLimits{{ID: k.ID, Name: k.Name, Limits: k.Limits, Effective: k.Limits}}})
}

type limitShowCmd struct {
	adminOption
	ID   string `arg:"" optional:"" help:"Id of a key; without it all of them."`
	JSON bool   `name:"json" help:"Print JSON."`
}

func (limitShowCmd) Help() string {
	return `Examples:

  outcrop limit show
  outcrop limit show AKIA… --json

What is used is told while a server runs, which alone knows it.
` + adminHelp
}

func (c *limitShowCmd) Run(ctx context.Context, con console) error {
	a, err := c.open(ctx)
	if err != nil {
		return err
	}
	list, err := a.Limits(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return con.writeJSON(list)
	}
	return printLimits(con, list)
}

// printLimits marks with a star what is the server's. Without a server nobody
// knows what is in use.
func printLimits(con console, list httpapi.LimitList) error {
	used, stars := false, false
	cell := func(own, effective string) string {
		if own != effective && effective != "-" {
			stars = true
			return effective + "*"
		}
		return effective
	}
	w := table(con.Out)
	for _, k := range list.Keys {
		used = used || k.Used != nil
	}
	head := "ID\tNAME\tREQUESTS/MIN\tTOKENS/MIN\tAT ONCE\tUSD/DAY\tUSD/MONTH"
	if used {
		head += "\tLEFT\tUNDER WAY\tSPENT TODAY\tTHIS MONTH"
	}
	fmt.Fprintln(w, head)
	for _, k := range list.Keys {
		own, eff := k.Limits, k.Effective
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s", k.ID, k.Name, cell(countCell(own.RequestsPerMinute), countCell(eff.RequestsPerMinute)), cell(countCell(own.TokensPerMinute), countCell(eff.TokensPerMinute)),
			cell(countCell(own.Streams), countCell(eff.Streams)), cell(moneyCell(own.Day), moneyCell(eff.Day)), cell(moneyCell(own.Month), moneyCell(eff.Month)))
		if used {
			left := "-"
			u := k.Used
			if u == nil {
				u = &httpapi.LimitsInUse{}
			}
			switch {
			case u.RequestsLeft != nil && u.TokensLeft != nil:
				left = fmt.Sprintf("%d requests, %d tokens", *u.RequestsLeft, *u.TokensLeft)
			case u.RequestsLeft != nil:
				left = fmt.Sprintf("%d requests", *u.RequestsLeft)
			case u.TokensLeft != nil:
				left = fmt.Sprintf("%d tokens", *u.TokensLeft)
			}
			fmt.Fprintf(w, "\t%s\t%d\t$%s\t$%s", left, u.Streams, u.Today, u.ThisMonth)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if stars {
		fmt.Fprintln(con.Err, "* the server's, for keys that have none of their own")
	}
	return nil
}

func countCell(n int64) string {
	switch n {
	case 0:
		return "-"
	case limit.None:
		return "none"
	default:
		return strconv.FormatInt(n, 10)
	}
}

func moneyCell(u limit.USD) string {
	switch u {
	case 0:
		return "-"
	case limit.None:
		return "none"
	default:
		return "$" + u.String()
	}
}
