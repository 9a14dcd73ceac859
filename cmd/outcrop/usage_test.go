package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/sqlstore"
)

// spent makes a data folder with one call at each of the times, priced by the
// catalog: two keys in turn, one of them on real Bedrock, a model with a cache.
func spent(t *testing.T, times ...string) (data string, records []activity.Record) {
	t.Helper()
	data = t.TempDir()
	if err := os.MkdirAll(activityDir(data), 0o700); err != nil {
		t.Fatal(err)
	}
	ix, err := sqlstore.OpenIndex(t.Context(), activityFile(data))
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	s, err := activity.OpenStore(activityDir(data), activity.Options{Now: time.Now, Retention: 100_000, Index: ix, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range times {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		ref := []string{"us.anthropic.claude-opus-4-6-v1:0", "global.anthropic.claude-haiku-4-5-20251001-v1:0"}[i%2]
		res, err := cat.Resolve(ref, "us-east-1", catalog.Policy{Now: at})
		if err != nil {
			t.Fatal(err)
		}
		r := activity.Record{RequestID: fmt.Sprint(i), Time: at, Account: "123456789012", Principal: "arn:aws:iam::123456789012:user/test", Operation: "InvokeModel", Ref: ref, ModelID: res.Model.ID, KeyID: fmt.Sprintf("AKIA%d", i%2),
			Region: "us-east-1", Endpoint: res.Candidates[0].Endpoint.String(), Status: 200, RouteID: ref, Metadata: map[string]string{"team": []string{"red", "blue"}[i%2]},
			Usage: messages.Usage{InputTokens: 100, OutputTokens: 50, CacheReadInputTokens: 1000, CacheCreationInputTokens: 10}}
		r.Client.Session = "s" + fmt.Sprint(i/2)
		r.Charge(r.Usage, res.Candidates[0].Price, res.Model.PriceAt(at, catalog.Global), i%2 == 0)
		s.Record(r)
		records = append(records, r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return data, records
}

// By everything that usage is asked by, the sums are those of the records, to
// the nanodollar, in the table's three forms.
func TestUsageByEverything(t *testing.T) {
	data, records := spent(t, "2026-10-31T10:00:00Z", "2026-10-31T23:30:00Z", "2026-11-01T00:30:00Z", "2026-11-01T10:15:00Z", "2026-11-01T10:45:00Z")
	value := map[activity.Dimension]func(*activity.Record) string{
		activity.ByHour: func(r *activity.Record) string { return r.Time.Truncate(time.Hour).Format("2006-01-02T15:04Z") },
		activity.ByDay:  func(r *activity.Record) string { return r.Time.Format(time.DateOnly) }, activity.ByMonth: func(r *activity.Record) string { return r.Time.Format("2006-01") },
		activity.ByKey: func(r *activity.Record) string { return r.KeyID }, activity.ByModel: func(r *activity.Record) string { return r.ModelID },
		activity.ByProfile: func(r *activity.Record) string { return r.Ref }, activity.ByRegion: func(r *activity.Record) string { return r.Region },
		activity.ByEndpoint: func(r *activity.Record) string { return r.Endpoint }, activity.BySession: func(r *activity.Record) string { return r.Client.Session },
		activity.ByTag: func(r *activity.Record) string { return "team=" + r.Metadata["team"] },
	}
	for _, d := range activity.Dimensions() {
		of := value[d]
		if of == nil {
			t.Errorf("%s is not tested", d)
			continue
		}
		want := map[string]activity.Figures{}
		for i := range records {
			r := &records[i]
			f := activity.Figures{Calls: 1, Billed: r.Billed, WouldCost: r.WouldCost}
			if r.Billed > 0 {
				f.BilledPremium, f.BilledSaved = r.Premium, r.CacheSaved
			} else {
				f.WouldPremium, f.WouldSaved = r.Premium, r.CacheSaved
			}
			sum := want[of(r)]
			sum.Add(f)
			want[of(r)] = sum
		}
		c := usageCmd{logOption: logOption{Data: data}, By: []activity.Dimension{d}, Zone: "UTC", JSON: true}
		out, _ := runs(t, &c)
		var rows []usageRow
		if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != len(want) {
			t.Fatalf("by %s: %d lines, want %d: %v\n%s", d, len(rows), len(want), err, out)
		}
		for _, r := range rows {
			f, ok := want[r.By[d.String()]]
			if !ok || r.Calls != f.Calls || r.Billed != f.Billed.USD() || r.WouldCost != f.WouldCost.USD() || r.Premium != f.BilledPremium.USD() ||
				r.WouldPremium != f.WouldPremium.USD() || r.Saved != f.BilledSaved.USD() || r.WouldSaved != f.WouldSaved.USD() {
				t.Errorf("by %s: %+v, want %+v", d, r, f)
			}
		}
		c.JSON, c.CSV = false, true
		out, _ = runs(t, &c)
		if lines, err := csv.NewReader(strings.NewReader(out)).ReadAll(); err != nil || len(lines) != len(want)+1 || lines[0][0] != d.String() {
			t.Errorf("by %s: %q, %v", d, out, err)
		}
		c.CSV = false
		out, _ = runs(t, &c)
		if lines := strings.Count(out, "\n"); lines < len(want)+1 || !strings.HasPrefix(out, strings.ToUpper(d.String())) {
			t.Errorf("by %s:\n%s", d, out)
		}
	}
	// What the Region cost and the cache saved, by hand: three calls of Opus 4.6
	// through us., 100 x $5.50 + 10 x $6.875 + 1000 x $0.55 + 50 x $27.50 a million
	// each, of it an eleventh; without a cache 1110 x $5.50 + 50 x $27.50.
	c := usageCmd{logOption: logOption{Data: data}, Zone: "UTC", JSON: true, Key: "AKIA0"}
	out, _ := runs(t, &c)
	var rows []usageRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 || rows[0].Billed != "0.00763125" || rows[0].Premium != "0.00069375" || rows[0].Saved != "0.01480875" {
		t.Errorf("%s", out)
	}
}

// Days and months are those of the zone's clocks, and so is --since.
func TestUsageInZone(t *testing.T) {
	data, _ := spent(t,
		"2026-10-24T21:59:00Z",                         // the 24th in Madrid
		"2026-10-24T22:00:00Z", "2026-10-25T22:59:00Z", // the 25th, of 25 hours
		"2026-10-25T23:00:00Z",                         // the 26th
		"2026-10-31T22:59:59Z", "2026-10-31T23:00:00Z", // the month's end
		"2027-03-28T00:59:00Z", "2027-03-28T01:00:00Z", // the hour that is left out
	)
	moment := func(text string) (m moment) {
		if text != "" {
			if err := m.UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	for _, tt := range []struct {
		name, zone, since, until string
		by                       activity.Dimension
		want                     string
	}{
		{"days", "Europe/Madrid", "", "2026-10-31", activity.ByDay, "2026-10-24 1, 2026-10-25 2, 2026-10-26 1"},
		{"the long day", "Europe/Madrid", "2026-10-25", "2026-10-26", activity.ByDay, "2026-10-25 2"},
		{"the long day in UTC", "UTC", "2026-10-25", "2026-10-26", activity.ByDay, "2026-10-25 2"},
		{"months", "Europe/Madrid", "", "2026-12-01", activity.ByMonth, "2026-10 5, 2026-11 1"},
		{"months in UTC", "UTC", "", "2026-12-01", activity.ByMonth, "2026-10 6"},
		{"a month", "Europe/Madrid", "2026-11-01", "2026-12-01", activity.ByMonth, "2026-11 1"},
		{"the hour that is left out", "Europe/Madrid", "2027-03-28", "2027-03-29", activity.ByHour, "2027-03-28T01:00+01:00 1, 2027-03-28T03:00+02:00 1"},
		{"India", "Asia/Kolkata", "2026-11-01", "2026-11-02", activity.ByDay, "2026-11-01 2"},
		{"the other side", "Pacific/Auckland", "2026-11-01", "", activity.ByMonth, "2026-11 2, 2027-03 2"},
	} {
		c := usageCmd{logOption: logOption{Data: data}, By: []activity.Dimension{tt.by}, Zone: tt.zone, Since: moment(tt.since), Until: moment(tt.until), JSON: true}
		out, talk := runs(t, &c)
		var rows []usageRow
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprintf("%s %d", r.By[tt.by.String()], r.Calls))
		}
		slices.Sort(got)
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if said := strings.Contains(talk, "whole hours"); said != (tt.zone == "Asia/Kolkata") {
			t.Errorf("%s: %q", tt.name, talk)
		}
	}
	bad := usageCmd{logOption: logOption{Data: data}, Zone: "Mars/Olympus"}
	if err := bad.Run(context.Background(), console{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}); err == nil || !strings.Contains(err.Error(), "Mars/Olympus") {
		t.Errorf("%v", err)
	}
}
