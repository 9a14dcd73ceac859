package httpapi

import (
	"context"
	"encoding"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/invocationlog"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// ModelAccess is what the account has of a model in a Region.
type ModelAccess struct {
	ID         string `json:"modelId"`
	Name       string `json:"modelName"`
	Agreed     bool   `json:"agreed"`
	Authorized bool   `json:"authorized"`
	Entitled   bool   `json:"entitled"`
	InRegion   bool   `json:"inRegion"`
	Lifecycle  string `json:"lifecycle"`
}

// listAccess answers at once what AWS's API says one model at a time.
func (x *exchange) listAccess(caller identity.Caller, _ []byte) error {
	if x.Access == nil {
		return messages.Errorf(messages.NotFound, "This server keeps no model access.")
	}
	sc := x.scope(caller)
	out := struct {
		Account string        `json:"account"`
		Region  string        `json:"region"`
		Models  []ModelAccess `json:"models"`
	}{sc.Account, sc.Region, []ModelAccess{}}
	for _, f := range x.Gateway.Catalog.FoundationModels(sc.Region, catalog.ModelFilter{}, x.policy()) {
		a, err := x.Access.Availability(x.r.Context(), sc, f.ID)
		if err != nil {
			return err
		}
		out.Models = append(out.Models, ModelAccess{f.ID, f.Model.Name, a.Agreed, a.Authorized, a.Entitled, a.InRegion, summaryOf(f).ModelLifecycle.Status})
	}
	return x.replyJSON(out)
}

func (x *exchange) listPrices(identity.Caller, []byte) error {
	if x.Prices == nil {
		return messages.Errorf(messages.NotFound, "This server has no price book.")
	}
	book, err := x.Prices(x.r.URL.Query().Get("model"))
	if err != nil {
		return err
	}
	return x.replyJSON(book)
}

// getHealth adds to /healthz what only administrators should know.
func (x *exchange) getHealth(identity.Caller, []byte) error {
	keys, err := x.Keys.List()
	if err != nil {
		return err
	}
	out := struct {
		Status   string            `json:"status"`
		Version  string            `json:"version"`
		Upstream string            `json:"upstream"`
		Billed   bool              `json:"billed"`
		Account  string            `json:"account"`
		Strict   bool              `json:"strict"`
		Keys     int               `json:"keys"`
		LogDays  int               `json:"log_days"`
		More     map[string]string `json:"more,omitempty"`
	}{Status: "ok", Version: x.Version, Upstream: x.Gateway.Upstream.Name(), Billed: x.Gateway.Upstream.Capabilities().Bills, Account: x.Account,
		Strict: x.Gateway.Policy.Strict, Keys: len(keys), More: map[string]string{}}
	if x.Leaving != nil && x.Leaving.Load() {
		out.Status = "leaving"
	}
	if x.Archive != nil {
		days, err := x.Archive.Days()
		if err != nil {
			return err
		}
		out.LogDays = len(days)
	}
	if x.Health != nil {
		for _, row := range x.Health() {
			out.More[row.Name] = row.Value
		}
	}
	return x.replyJSON(out)
}

// question reads query parameters, and keeps the first that is wrong.
type question struct {
	url.Values
	err error
}

func (q *question) fail(name string, err error) {
	if q.err == nil {
		q.err = messages.Errorf(messages.InvalidRequest, "The parameter %s: %v.", name, err)
	}
}

// text reads into what understands text.
func (q *question) text(name string, into encoding.TextUnmarshaler) {
	if v := q.Get(name); v != "" {
		if err := into.UnmarshalText([]byte(v)); err != nil {
			q.fail(name, err)
		}
	}
}

func (q *question) time(name string) (t time.Time) {
	v := q.Get(name)
	if v == "" {
		return t
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		q.fail(name, errors.New("a time is as in 2026-11-22T13:00:00Z"))
	}
	return t
}

func (q *question) number(name string, otherwise, least, most int) int {
	v := q.Get(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		q.fail(name, errors.New("a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most)))
	}
	return n
}

func (x *exchange) archive() (*activity.Archive, error) {
	if x.Archive == nil {
		return nil, messages.Errorf(messages.NotFound, "This server keeps no calls.").WithHint("it was started with --activity-off")
	}
	return x.Archive, nil
}

// UsageRow is a line of GetUsage. Money is dollars, exact, as text.
type UsageRow struct {
	By           map[string]string `json:"by"`
	Calls        int64             `json:"calls"`
	Failed       int64             `json:"failed"`
	Partial      int64             `json:"partial"`
	Input        int64             `json:"input_tokens"`
	CacheWrite5m int64             `json:"cache_write_5m_tokens"`
	CacheWrite1h int64             `json:"cache_write_1h_tokens"`
	CacheRead    int64             `json:"cache_read_tokens"`
	Output       int64             `json:"output_tokens"`
	Billed       string            `json:"billed_usd"`
	Premium      string            `json:"regional_premium_usd"`
	Saved        string            `json:"cache_saved_usd"`
	WouldCost    string            `json:"would_cost_usd"`
	WouldPremium string            `json:"would_regional_premium_usd"`
	WouldSaved   string            `json:"would_cache_saved_usd"`
	Seconds      float64           `json:"seconds"`
}

// NewUsageRow puts a line into words.
func NewUsageRow(by []activity.Dimension, u activity.Usage) UsageRow {
	r := UsageRow{By: map[string]string{}, Calls: u.Calls, Failed: u.Failed, Partial: u.Partial, Input: u.Input, CacheWrite5m: u.CacheWrite5m,
		CacheWrite1h: u.CacheWrite1h, CacheRead: u.CacheRead, Output: u.Output, Billed: u.Billed.USD(), Premium: u.BilledPremium.USD(), Saved: u.BilledSaved.USD(),
		WouldCost: u.WouldCost.USD(), WouldPremium: u.WouldPremium.USD(), WouldSaved: u.WouldSaved.USD(), Seconds: u.Took.Seconds()}
	for i, d := range by {
		r.By[d.String()] = u.By[i]
	}
	return r
}

// readTime bounds what one question may take of the disk.
const readTime = time.Minute

func (x *exchange) getUsage(identity.Caller, []byte) error {
	archive, err := x.archive()
	if err != nil {
		return err
	}
	q := question{Values: x.r.URL.Query()}
	in := activity.UsageQuery{Since: q.time("since"), Until: q.time("until"), Key: q.Get("key"), Model: q.Get("model"), Region: q.Get("region"),
		Endpoint: q.Get("endpoint"), Session: q.Get("session"), Tag: q.Get("tag")}
	by := q.Get("by")
	if by == "" {
		by = "day,model"
	}
	for name := range strings.SplitSeq(by, ",") {
		var d activity.Dimension
		err := d.UnmarshalText([]byte(name))
		if err == nil && len(in.By) == len(activity.Dimensions()) {
			err = errors.New("more than there are")
		}
		if err != nil {
			q.fail("by", err)
			break
		}
		in.By = append(in.By, d)
	}
	if zone := q.Get("zone"); zone != "" {
		if in.Zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
			q.fail("zone", errors.New("a name such as Europe/Madrid"))
		}
	}
	if q.err != nil {
		return q.err
	}
	if _, err := in.Kind(); err != nil {
		return messages.Errorf(messages.InvalidRequest, "%v", err)
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), readTime)
	defer cancel()
	lines, err := archive.Usage(ctx, in)
	if err != nil {
		return err
	}
	out := struct {
		Usage []UsageRow `json:"usage"`
	}{[]UsageRow{}}
	for _, l := range lines {
		out.Usage = append(out.Usage, NewUsageRow(in.By, l))
	}
	return x.replyJSON(out)
}

// status is 429, 4xx, ok or failed.
type status struct{ min, max int }

func (s *status) UnmarshalText(text []byte) error {
	v := string(text)
	switch n, err := strconv.Atoi(v); {
	case v == "ok":
		s.max = 399
	case v == "failed":
		s.min = 400
	case len(v) == 3 && v[1:] == "xx" && '1' <= v[0] && v[0] <= '5':
		s.min = int(v[0]-'0') * 100
		s.max = s.min + 99
	case err != nil || n < 100 || n > 599:
		return errors.New("a status such as 429, 4xx, ok or failed")
	default:
		s.min, s.max = n, n
	}
	return nil
}

const maxCalls = 1000

// CallList is the output of ListLogs, newest first, without bodies.
type CallList struct {
	Calls []*invocationlog.Log `json:"calls"`
}

func (x *exchange) listLogs(identity.Caller, []byte) error {
	archive, err := x.archive()
	if err != nil {
		return err
	}
	q := question{Values: x.r.URL.Query()}
	var s status
	q.text("status", &s)
	var least, most limit.USD
	q.text("min_cost", &least)
	q.text("max_cost", &most)
	in := activity.Filter{Since: q.time("since"), Until: q.time("until"), Key: q.Get("key"), Model: q.Get("model"), Region: q.Get("region"),
		Operation: q.Get("operation"), Session: q.Get("session"), MinStatus: s.min, MaxStatus: s.max,
		MinCost: catalog.Nanodollars(max(least, 0)), MaxCost: catalog.Nanodollars(max(most, 0))}
	n := q.number("limit", 50, 1, maxCalls)
	if q.err != nil {
		return q.err
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), readTime)
	defer cancel()
	out := CallList{[]*invocationlog.Log{}}
	if err := archive.Find(ctx, in, func(_ activity.Ref, r *activity.Record) bool {
		out.Calls = append(out.Calls, invocationlog.Of(&activity.Exchange{Record: *r}, invocationlog.Options{NoText: true}))
		return len(out.Calls) < n
	}); err != nil {
		return err
	}
	return x.replyJSON(out)
}

// getLog shows a call with its bodies, where they are kept.
func (x *exchange) getLog(identity.Caller, []byte) error {
	archive, err := x.archive()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), readTime)
	defer cancel()
	found, err := archive.Get(ctx, x.label)
	if errors.Is(err, activity.ErrNoRecord) {
		return messages.Errorf(messages.NotFound, "No call has the id %q.", x.label)
	}
	if err != nil {
		return err
	}
	return x.replyJSON(invocationlog.Of(found, invocationlog.Options{}))
}
