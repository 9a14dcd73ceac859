package main

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

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
