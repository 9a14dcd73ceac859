package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/invocationlog"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// parameters are those of a question to the admin API, without the empty ones.
type parameters url.Values

func (p parameters) set(name, value string) {
	if value != "" {
		url.Values(p).Set(name, value)
	}
}

func (p parameters) time(name string, t time.Time) {
	if !t.IsZero() {
		p.set(name, t.UTC().Format(time.RFC3339))
	}
}

func (p parameters) String() string { return "?" + url.Values(p).Encode() }

// Usage asks for sums.
func (c *adminClient) Usage(ctx context.Context, q activity.UsageQuery) ([]activity.Usage, error) {
	if q.Zone != nil && q.Zone.String() == "Local" {
		return nil, misuse("--zone Local: the server does not know it; name the zone, such as Europe/Madrid")
	}
	names := make([]string, len(q.By))
	for i, d := range q.By {
		names[i] = d.String()
	}
	p := parameters{}
	p.set("by", strings.Join(names, ","))
	p.time("since", q.Since)
	p.time("until", q.Until)
	for name, value := range map[string]string{"key": q.Key, "model": q.Model, "region": q.Region, "endpoint": q.Endpoint, "session": q.Session, "tag": q.Tag} {
		p.set(name, value)
	}
	if q.Zone != nil {
		p.set("zone", q.Zone.String())
	}
	var out struct {
		Usage []httpapi.UsageRow `json:"usage"`
	}
	if err := c.do(ctx, http.MethodGet, "usage"+p.String(), nil, &out); err != nil {
		return nil, err
	}
	lines := make([]activity.Usage, len(out.Usage))
	for i, r := range out.Usage {
		if err := fromUsageRow(&lines[i], q.By, r); err != nil {
			return nil, fmt.Errorf("%s answers as no outcrop does: %w", c.url, err)
		}
	}
	return lines, nil
}

func fromUsageRow(u *activity.Usage, by []activity.Dimension, r httpapi.UsageRow) error {
	for _, d := range by {
		u.By = append(u.By, r.By[d.String()])
	}
	u.Figures = activity.Figures{Calls: r.Calls, Failed: r.Failed, Partial: r.Partial, Input: r.Input, CacheWrite5m: r.CacheWrite5m, CacheWrite1h: r.CacheWrite1h,
		CacheRead: r.CacheRead, Output: r.Output, Took: time.Duration(math.Round(r.Seconds * float64(time.Second)))}
	for _, m := range []struct {
		text string
		into *catalog.Nanodollars
	}{{r.Billed, &u.Billed}, {r.Premium, &u.BilledPremium}, {r.Saved, &u.BilledSaved}, {r.WouldCost, &u.WouldCost}, {r.WouldPremium, &u.WouldPremium}, {r.WouldSaved, &u.WouldSaved}} {
		var err error
		if *m.into, err = nanodollars(m.text); err != nil {
			return err
		}
	}
	return nil
}

// nanodollars reads what Nanodollars.USD writes.
func nanodollars(text string) (catalog.Nanodollars, error) {
	if text == "" {
		return 0, nil
	}
	digits, owed := strings.CutPrefix(text, "-")
	if strings.Trim(digits, "0123456789.") != "" {
		return 0, fmt.Errorf("%q is not an amount of dollars", text)
	}
	var usd limit.USD
	if err := usd.UnmarshalText([]byte(digits)); err != nil {
		return 0, err
	}
	if owed {
		usd = -usd
	}
	return catalog.Nanodollars(usd), nil
}

// Prices asks for the price book, of one model or ("") of all.
func (c *adminClient) Prices(ctx context.Context, model string) (book priceBook, err error) {
	p := parameters{}
	p.set("model", model)
	err = c.do(ctx, http.MethodGet, "prices"+p.String(), nil, &book)
	return book, err
}

// Calls asks for the newest calls that a filter takes, newest first, and gives
// what a list shows of each.
func (c *adminClient) Calls(ctx context.Context, f activity.Filter, most int) ([]*invocationlog.Log, error) {
	p := parameters{}
	p.time("since", f.Since)
	p.time("until", f.Until)
	for name, value := range map[string]string{"key": f.Key, "model": f.Model, "region": f.Region, "operation": f.Operation, "session": f.Session, "status": statusWords(f.MinStatus, f.MaxStatus)} {
		p.set(name, value)
	}
	for name, cost := range map[string]catalog.Nanodollars{"min_cost": f.MinCost, "max_cost": f.MaxCost} {
		if cost > 0 {
			p.set(name, cost.USD())
		}
	}
	p.set("limit", strconv.Itoa(most))
	var out httpapi.CallList
	err := c.do(ctx, http.MethodGet, "logs"+p.String(), nil, &out)
	return out.Calls, err
}

// Call asks for one call with its bodies.
func (c *adminClient) Call(ctx context.Context, id string) (*invocationlog.Log, error) {
	l := new(invocationlog.Log)
	err := c.do(ctx, http.MethodGet, "logs/"+url.PathEscape(id), nil, l)
	return l, err
}

// statusWords is the range as the API and statusRange read it.
func statusWords(least, most int) string {
	switch {
	case least == 0 && most == 0:
		return ""
	case least == 0:
		return "ok"
	case most >= 999:
		return "failed"
	case least == most:
		return strconv.Itoa(least)
	default:
		return strconv.Itoa(least/100) + "xx"
	}
}

// fromLog is the record of a call, but for what AWS's form has no place for.
func fromLog(l *invocationlog.Log) (*activity.Record, error) {
	o := &l.Outcrop
	r := &activity.Record{RequestID: l.RequestID, UpstreamRequestID: o.UpstreamRequestID, Operation: l.Operation, Account: l.AccountID, KeyID: o.KeyID,
		Region: l.Region, Ref: l.ModelID, ModelID: o.Model, RouteID: o.Route, Upstream: o.Upstream, Wall: o.Wall, Endpoint: o.Endpoint, Served: l.InferenceRegion,
		Status: o.Status, ErrorCode: l.ErrorCode, Error: o.Error, Partial: o.Partial, Interrupted: o.Interrupted, StopReason: o.StopReason,
		Duration: time.Duration(o.LatencyMS) * time.Millisecond, Warnings: o.Warnings, Trace: o.Trace, Tier: o.ServiceTier, Metadata: l.Metadata,
		Client: activity.ClientIDs{Session: o.Session, Agent: o.Agent, ParentAgent: o.ParentAgent, Prompt: o.Prompt, Class: o.Class}}
	if l.Identity != nil {
		r.Principal = l.Identity.ARN
	}
	for _, t := range o.Tried {
		r.Tried = append(r.Tried, activity.Attempt{RouteID: t.Route, Region: t.Region, Code: t.Code})
	}
	number := func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	}
	r.FirstFrame = time.Duration(number(o.FirstByteMS)) * time.Millisecond
	r.Usage = messages.Usage{InputTokens: number(l.Input.Tokens), CacheReadInputTokens: number(l.Input.CacheRead), CacheCreationInputTokens: number(l.Input.CacheWrite), OutputTokens: number(l.Output.Tokens)}
	for r.Content.String() != o.Content && r.Content <= activity.Lost { // above it, it is "unknown"
		r.Content++
	}
	var err error
	if r.Time, err = time.Parse(time.RFC3339, l.Timestamp); err != nil || o.Cost == nil {
		return r, err
	}
	r.OwnPrice, r.Estimated = o.Cost.OwnPrice, o.Cost.Estimated
	for _, m := range []struct {
		text string
		into *catalog.Nanodollars
	}{{o.Cost.Billed, &r.Billed}, {o.Cost.WouldCost, &r.WouldCost}, {o.Cost.Premium, &r.Premium}, {o.Cost.CacheSaved, &r.CacheSaved}} {
		if *m.into, err = nanodollars(m.text); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// exchangeOf is a call with its bodies. An answer that is no message is an event
// of its operation's name.
func exchangeOf(l *invocationlog.Log) (*activity.Exchange, error) {
	r, err := fromLog(l)
	if err != nil {
		return nil, err
	}
	x := &activity.Exchange{Record: *r, Input: l.Input.Body}
	switch {
	case l.Output.Body == nil:
	case l.Operation == bedrockapi.InvokeModelStream.Name:
		var chunks []json.RawMessage
		if err := json.Unmarshal(l.Output.Body, &chunks); err != nil {
			return nil, err
		}
		for _, c := range chunks {
			var event struct{ Type string }
			if err := json.Unmarshal(c, &event); err != nil {
				return nil, err
			}
			x.Events = append(x.Events, activity.Event{Name: event.Type, Data: c})
		}
	default:
		message, left, err := messageOf(l.Operation, l.Output.Body)
		if err != nil {
			x.Events = []activity.Event{{Name: l.Operation, Data: l.Output.Body}}
			break
		}
		x.Events = []activity.Event{{Name: "message", Data: message}}
		if len(left) > 0 {
			x.Record.Warnings = append(x.Record.Warnings, "not shown, --json has it: "+strings.Join(left, ", "))
		}
	}
	return x, nil
}
