package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/limit"
)

// count is a limit on the command line: a number, none, or default (the
// server's). Not given, it changes nothing.
type count struct {
	given bool
	n     int64
}

func (c *count) UnmarshalText(text []byte) error {
	switch s := string(text); s {
	case "default":
		c.n = 0
	case "none":
		c.n = limit.None
	default:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n <= 0 {
			return fmt.Errorf("%q is not a number above 0, none or default", s)
		}
		c.n = n
	}
	c.given = true
	return nil
}

// money is a limit of money in the same way.
type money struct {
	given bool
	usd   limit.USD
}

func (m *money) UnmarshalText(text []byte) error {
	m.given = true
	if string(text) == "default" {
		m.usd = 0
		return nil
	}
	if err := m.usd.UnmarshalText(text); err != nil {
		return fmt.Errorf("%w, none or default", err)
	}
	if m.usd == 0 {
		return fmt.Errorf("%q is no limit: %s key revoke ends a key", text, self())
	}
	return nil
}

// regions are names, or all, or none, which both are no restriction.
type regions struct {
	given bool
	names []string
}

func (r *regions) UnmarshalText(text []byte) error {
	r.given, r.names = true, []string{}
	if s := string(text); s != "all" && s != "none" && s != "" {
		r.names = strings.Split(s, ",")
	}
	return nil
}

// limitFlags are the limits of a key.
type limitFlags struct {
	RequestsPerMinute count `placeholder:"N" env:"OUTCROP_KEY_REQUESTS_PER_MINUTE" help:"Requests a minute: a number, none, or default (what the server has for keys without their own)."`
	TokensPerMinute   count `placeholder:"N" env:"OUTCROP_KEY_TOKENS_PER_MINUTE" help:"Tokens a minute, counted as AWS does: a number, none, or default."`
	ConcurrentStreams count `placeholder:"N" env:"OUTCROP_KEY_CONCURRENT_STREAMS" help:"Calls at once, streamed or not: a number, none, or default."`
	USDPerDay         money `name:"usd-per-day" placeholder:"USD" env:"OUTCROP_KEY_USD_PER_DAY" help:"Money that may really be billed in a day of UTC, a hard stop: dollars, none, or default."`
	USDPerMonth       money `name:"usd-per-month" placeholder:"USD" env:"OUTCROP_KEY_USD_PER_MONTH" help:"Money that may really be billed in a month, in the same way."`
}

func (f *limitFlags) patch() map[string]any {
	p := map[string]any{}
	for name, c := range map[string]count{"requests_per_minute": f.RequestsPerMinute, "tokens_per_minute": f.TokensPerMinute, "concurrent_streams": f.ConcurrentStreams} {
		if c.given {
			p[name] = c.n
		}
	}
	for name, m := range map[string]money{"usd_per_day": f.USDPerDay, "usd_per_month": f.USDPerMonth} {
		if m.given {
			p[name] = m.usd
		}
	}
	return p
}

// settingFlags are all settings of a key.
type settingFlags struct {
	Role string `enum:",caller,administrator" default:"" placeholder:"ROLE" env:"OUTCROP_KEY_ROLE" help:"What the key may do: caller (call models) or administrator (and change keys, limits and access)."`
	limitFlags
	Activity     string  `enum:",full,metadata,none" default:"" placeholder:"WHAT" env:"OUTCROP_KEY_ACTIVITY" help:"How much of its calls is kept: full, metadata (no requests and answers) or none."`
	AllowRegions regions `placeholder:"REGION,..." env:"OUTCROP_KEY_ALLOW_REGIONS" help:"Regions that its calls may reach; all: every one."`
	DenyRegions  regions `placeholder:"REGION,..." env:"OUTCROP_KEY_DENY_REGIONS" help:"Regions that its calls must not reach; none: no such Region."`
	DenyGlobal   string  `enum:",yes,no" default:"" placeholder:"yes|no" env:"OUTCROP_KEY_DENY_GLOBAL" help:"Whether it is kept from global ids."`
}

// patch is what the flags say as a JSON document of settings; nil: nothing.
func (f *settingFlags) patch() ([]byte, error) {
	p := map[string]any{}
	if f.Role != "" {
		p["role"] = f.Role
	}
	if l := f.limitFlags.patch(); len(l) > 0 {
		p["limits"] = l
	}
	if f.Activity != "" {
		p["activity"] = f.Activity
	}
	if f.AllowRegions.given {
		p["allow_regions"] = f.AllowRegions.names
	}
	if f.DenyRegions.given {
		p["deny_regions"] = f.DenyRegions.names
	}
	if f.DenyGlobal != "" {
		p["deny_global"] = f.DenyGlobal == "yes"
	}
	if len(p) == 0 {
		return nil, nil
	}
	return json.Marshal(p)
}

// settings are those of a key that has nothing else.
func (f *settingFlags) settings() (s identity.Settings, err error) {
	patch, err := f.patch()
	if patch != nil && err == nil {
		err = json.Unmarshal(patch, &s)
	}
	return s, err
}

// briefly tells what is set for a key, but for its role.
func briefly(s identity.Settings) string {
	var parts []string
	for _, l := range []struct {
		n    int64
		unit string
	}{{s.Limits.RequestsPerMinute, " requests/min"}, {s.Limits.TokensPerMinute, " tokens/min"}, {s.Limits.Streams, " at once"}} {
		if l.n > 0 {
			parts = append(parts, strconv.FormatInt(l.n, 10)+l.unit)
		}
	}
	if s.Limits.Day > 0 {
		parts = append(parts, "$"+s.Limits.Day.String()+"/day")
	}
	if s.Limits.Month > 0 {
		parts = append(parts, "$"+s.Limits.Month.String()+"/month")
	}
	if s.Activity != activity.Full {
		parts = append(parts, "log "+s.Activity.String())
	}
	if len(s.AllowRegions) > 0 {
		parts = append(parts, "only "+strings.Join(s.AllowRegions, " "))
	}
	if len(s.DenyRegions) > 0 {
		parts = append(parts, "never "+strings.Join(s.DenyRegions, " "))
	}
	if s.DenyGlobal {
		parts = append(parts, "no global ids")
	}
	return orDash(strings.Join(parts, ", "))
}
