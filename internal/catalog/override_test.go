package catalog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func overrides(t *testing.T, text string) []Override {
	t.Helper()
	var own []Override
	if err := json.Unmarshal([]byte(text), &own); err != nil {
		t.Fatal(err)
	}
	return own
}

func TestOverride(t *testing.T) {
	c, err := Load(overrides(t, `[
		{"discount_percent": 12.5},
		{"model": "claude-opus-4-6", "discount_percent": "20"},
		{"model": "us.anthropic.claude-opus-4-6-v1:0", "endpoint": "global", "class": "input", "usd": 4.5},
		{"model": "claude-haiku-5-5", "prompt": "long", "class": "output", "usd": "2.1234567"},
		{"model": "claude-opus-4-1", "endpoint": "in-Region", "class": "cache_read", "discount_percent": 100}
	]`)...)
	if err != nil {
		t.Fatal(err)
	}
	price := func(model string, e Endpoint) Price {
		m, ok := c.Lookup(model)
		if !ok {
			t.Fatal(model)
		}
		return m.PriceAt(today, e)
	}
	for _, tt := range []struct {
		what string
		got  Nanodollars
		want string
	}{
		{"every model: 12.5 % off 2", price("claude-sonnet-5", Global).Input, "1.75"},
		{"in a Region: off 2.2", price("claude-sonnet-5", Geo).Input, "1.925"},
		{"a later entry holds, off the list price", price("claude-opus-4-6", Geo).Input, "4.40"},
		{"its last entry", price("claude-opus-4-6", Global).Input, "4.50"},
		{"another class of it", price("claude-opus-4-6", Global).Output, "20.00"},
		{"short prompts", price("claude-haiku-5-5", Global).Output, "0.4375"},
		{"long ones", price("claude-haiku-5-5", InRegion).Long.Output, "2.1234567"},
		{"a class that is free", price("claude-opus-4-1", InRegion).CacheRead, "0.00"},
		{"the same elsewhere", price("claude-opus-4-1", Geo).CacheRead, "1.3125"},
		{"a class that is not offered", price("claude-opus-4-1", Geo).CacheWrite1h, "0.00"},
		{"rounded once: 12.5 % off 0.0055", price("claude-haiku-5-5", Geo).CacheRead, "0.009625"},
	} {
		if tt.got.USD() != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, tt.got.USD(), tt.want)
		}
	}
	c, err = Load(overrides(t, `[{"model": "claude-haiku-5-5", "prompt": "long", "class": "input", "usd": 1}, {"model": "claude-opus-4-1", "class": "cache_write_5m", "usd": 1}]`)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what  string
		owned bool
		is    bool
	}{
		{"a short prompt", price("claude-haiku-5-5", Global).Owned(usage(10, 0, 0, 0, 10)), false},
		{"a long one", price("claude-haiku-5-5", Global).Owned(usage(100_001, 0, 0, 0, 10)), true},
		{"a long one, of a cache", price("claude-haiku-5-5", Global).Owned(usage(0, 0, 0, 100_001, 10)), false},
		{"another model", price("claude-opus-4-6", Global).Owned(usage(1, 1, 1, 1, 1)), false},
		{"an hour, at the price of five minutes", price("claude-opus-4-1", Global).Owned(usage(0, 0, 1, 0, 0)), true},
	} {
		if tt.owned != tt.is {
			t.Errorf("%s: the operator's: %v", tt.what, tt.owned)
		}
	}
	list := loaded(t)
	m, _ := list.Lookup("claude-haiku-5-5")
	if p := m.PriceAt(today, Global); p.Own != 0 || p.Long.Input.USD() != "0.50" {
		t.Errorf("a catalog without overrides has them: %+v", p)
	}
}

// An override holds on its days alone, among those of the list.
func TestOverrideOnDays(t *testing.T) {
	c, err := Load(overrides(t, `[
		{"model": "claude-sonnet-5-5", "class": "cache_read", "discount_percent": 50, "from": "2026-09-01", "until": "2026-11-01"},
		{"model": "claude-opus-4-6", "class": "input", "usd": 4, "from": "2026-10-01"},
		{"model": "claude-opus-4-6", "class": "input", "usd": 3, "until": "2026-03-13"}
	]`)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		model, day, read, input string
	}{
		// The list itself goes from 0.20 to 0.10 on 2026-10-07.
		{"claude-sonnet-5-5", "2026-08-31", "0.20", "2.00"},
		{"claude-sonnet-5-5", "2026-09-01", "0.10", "2.00"},
		{"claude-sonnet-5-5", "2026-10-06", "0.10", "2.00"},
		{"claude-sonnet-5-5", "2026-10-07", "0.05", "2.00"},
		{"claude-sonnet-5-5", "2026-10-31", "0.05", "2.00"},
		{"claude-sonnet-5-5", "2026-11-01", "0.10", "2.00"},
		{"claude-opus-4-6", "2026-03-12", "0.50", "3.00"},
		{"claude-opus-4-6", "2026-03-13", "0.50", "5.00"},
		{"claude-opus-4-6", "2026-09-30", "0.50", "5.00"},
		{"claude-opus-4-6", "2026-10-01", "0.50", "4.00"},
	} {
		m, _ := c.Lookup(tt.model)
		p := m.PriceAt(on(tt.day), Global)
		if p.CacheRead.USD() != tt.read || p.Input.USD() != tt.input {
			t.Errorf("%s on %s: read %s, input %s, want %s, %s", tt.model, tt.day, p.CacheRead.USD(), p.Input.USD(), tt.read, tt.input)
		}
		// A resolution that was made for another day is not taken.
		res, err := c.Resolve("global.anthropic."+tt.model, "us-east-1", Policy{Now: on(tt.day)})
		if err != nil {
			res, err = c.Resolve("global.anthropic."+tt.model+"-v1", "us-east-1", Policy{Now: on(tt.day)})
		}
		if err != nil || res.Candidates[0].Price != p {
			t.Errorf("%s on %s: %v, %v", tt.model, tt.day, res, err)
		}
	}
}

func TestOverrideRefused(t *testing.T) {
	for text, want := range map[string]string{
		`[{"model": "claude-opus-4-6"}]`:                        "either usd or discount_percent",
		`[{"usd": 1, "class": "input", "discount_percent": 1}]`: "either usd or discount_percent",
		`[{"usd": 1}]`: "usd needs a class",
		`[{"model": "gpt-4", "discount_percent": 1}]`:                                           `model "gpt-4"`,
		`[{"endpoint": "regional", "discount_percent": 1}]`:                                     "want global, geographic or in-Region",
		`[{"class": "cached", "discount_percent": 1}]`:                                          "want one of input",
		`[{"prompt": "huge", "discount_percent": 1}]`:                                           "want short or long",
		`[{"model": "claude-opus-5", "prompt": "long", "discount_percent": 1}]`:                 "one price for all prompts then",
		`[{"discount_percent": 1, "from": "soon"}]`:                                             `"soon" is no day`,
		`[{"discount_percent": 1, "from": "2026-11-22", "until": "2026-11-22"}]`:                "is not after",
		`[{"class": "input", "usd": -1}]`:                                                       "more than 0",
		`[{"class": "input", "usd": 0.00000001}]`:                                               "seven decimals",
		`[{"discount_percent": 100.5}]`:                                                         "no more than 100",
		`[{"model":"claude-opus-5"},{"discount_percent": 0}]`:                                   "prices[0]",
		`[{"model": "claude-opus-5", "class": "cache_write_1h", "discount_percent": 100}]`:      "an hour cannot be free",
		`[{"model": "claude-opus-5", "class": "input", "discount_percent": 5}, {"usd": "1.2"}]`: "prices[1]",
	} {
		if _, err := Load(overrides(t, text)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	var own []Override
	for _, bad := range []string{`[{"usd": "1/3"}]`, `[{"usd": "many"}]`, `[{"usd": true}]`, `[{"usd": {}}]`, `[{"usd": 1e30}]`, `[{"usd": "0x1p4"}]`, `[{"usd": "inf"}]`} {
		if json.Unmarshal([]byte(bad), &own) == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

func FuzzOverride(f *testing.F) {
	f.Add("claude-opus-4-6", "global", "input", "short", "4.5", "", "", "")
	f.Add("", "", "", "", "", "12.345", "2026-03-12", "2026-10-07")
	f.Add("", "", "input", "", "1e999999999", "", "", "")
	f.Add("", "", "", "", "", "1e-999999999", "", "")
	f.Fuzz(func(t *testing.T, model, endpoint, class, prompt, usd, discount, from, until string) {
		c, err := Load(Override{model, endpoint, class, prompt, from, until, Amount(usd), Amount(discount)})
		if err != nil {
			return
		}
		for _, m := range c.Models() {
			var before time.Time
			for i, row := range m.PriceRows {
				if last := i == len(m.PriceRows)-1; last != row.Until.IsZero() || !last && !before.Before(row.Until) {
					t.Fatalf("%s: rows until %v", m.ID, m.PriceRows)
				}
				before = row.Until
				for _, p := range []Price{row.Global, row.Geo, row.InRegion} {
					for _, r := range append(p.Rates.list(), p.Long.list()...) {
						if r < 0 || r%grid != 0 {
							t.Fatalf("%s: a rate of %d", m.ID, r)
						}
					}
				}
			}
		}
	})
}

func (r Rates) list() []Nanodollars { e := r.each(); return e[:] }
