package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/sqlstore"
)

// logged makes a data folder with an activity log of four calls.
func logged(t *testing.T) (data string, now time.Time) {
	t.Helper()
	data, now = t.TempDir(), time.Now()
	if err := os.MkdirAll(activityDir(data), 0o700); err != nil {
		t.Fatal(err)
	}
	ix, err := sqlstore.OpenIndex(t.Context(), activityFile(data))
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	s, err := activity.OpenStore(activityDir(data), activity.Options{Now: time.Now, Index: ix, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	call := func(id, op, body string, change func(*activity.Record), events ...activity.Event) {
		r := &activity.Record{RequestID: id, Time: now.Add(-time.Minute), Operation: op, Ref: "global.a", ModelID: "model-a", KeyID: "AKIA1", Region: "us-east-1", Account: "123456789012", RouteID: "global.a", Endpoint: "global"}
		e, err := s.Open(t.Context(), activity.Opening{Record: r, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			e.Frame(ev.Name, ev.Data)
		}
		r.Status, r.Duration, r.Usage = 200, time.Second, messages.Usage{InputTokens: 10, OutputTokens: 5}
		change(r)
		if err := e.Close(r); err != nil {
			t.Fatal(err)
		}
	}
	answer := activity.Event{Name: "message", Data: []byte(`{"id":"m","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"The \u001b[31manswer"},{"type":"tool_use","id":"t1","name":"f","input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":10,"output_tokens":5}}`)}
	call("one", "InvokeModel", `{"system":"Be brief.","messages":[{"role":"user","content":[{"type":"text","text":"Question?"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}`,
		func(r *activity.Record) { r.Billed, r.Premium = 1_500_000, 100_000 }, answer)
	call("two", "Converse", `{"messages":[{"role":"user","content":[{"text":"Konversation"}]}]}`,
		func(r *activity.Record) { r.WouldCost, r.KeyID = 700_000, "AKIA2" }, answer)
	call("three", "InvokeModel", `{}`, func(r *activity.Record) { r.Status, r.ErrorCode = 429, "ThrottlingException" })
	s.Record(activity.Record{RequestID: "four", Time: now, Operation: "InvokeModel", Status: 403, ErrorCode: "AccessDeniedException", Ref: "a\nb"})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return data, now
}

func runs(t *testing.T, c interface {
	Run(context.Context, console) error
}) (out, talk string) {
	t.Helper()
	var o, e bytes.Buffer
	if err := c.Run(t.Context(), console{nil, &o, &e}); err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	return o.String(), e.String()
}

func TestLogsList(t *testing.T) {
	data, _ := logged(t)
	d := logOption{Data: data}
	ids := func(c logsListCmd) string {
		c.logOption = d
		out, _ := runs(t, &c)
		var ids []string
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > 2 && f[0] != "TIME" {
				ids = append(ids, f[2]) // a time is two fields
			}
		}
		return strings.Join(ids, " ")
	}
	status := func(s string) (r statusRange) {
		if err := r.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, c := range map[string]struct {
		cmd  logsListCmd
		want string
	}{
		"all":      {logsListCmd{}, "one two three four"},
		"newest":   {logsListCmd{Limit: 2}, "three four"},
		"failed":   {logsListCmd{callFilter: callFilter{Status: status("failed")}}, "three four"},
		"429":      {logsListCmd{callFilter: callFilter{Status: status("429")}}, "three"},
		"ok":       {logsListCmd{callFilter: callFilter{Status: status("ok")}}, "one two"},
		"key":      {logsListCmd{callFilter: callFilter{Key: "AKIA2"}}, "two"},
		"cost":     {logsListCmd{callFilter: callFilter{MinCost: 1_000_000}}, "one"},
		"text":     {logsListCmd{Text: "konversATION"}, "two"},
		"answer":   {logsListCmd{Text: "answer", Limit: 1}, "two"},
		"too old":  {logsListCmd{callFilter: callFilter{Until: moment{ago: time.Hour}}}, ""},
		"new ones": {logsListCmd{callFilter: callFilter{Since: moment{ago: 30 * time.Second}}}, "four"},
	} {
		if got := ids(c.cmd); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	out, _ := runs(t, &logsListCmd{logOption: d})
	for _, want := range []string{"$0.0015", "($0.0007)", "ThrottlingException", "a·b"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, _ = runs(t, &logsListCmd{logOption: d, JSON: true, callFilter: callFilter{Key: "AKIA2"}})
	var l map[string]any
	if err := json.Unmarshal([]byte(out), &l); err != nil || l["requestId"] != "two" || l["schemaType"] != "ModelInvocationLog" {
		t.Errorf("%v: %s", err, out)
	}
	if _, talk := runs(t, &logsListCmd{logOption: d, callFilter: callFilter{Key: "nobody"}}); !strings.Contains(talk, "no call fits") {
		t.Errorf("%q", talk)
	}
	// Without an index everything is as before.
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(activityFile(data) + suffix)
	}
	if got := ids(logsListCmd{}); got != "one two three four" {
		t.Errorf("without an index: %q", got)
	}
	if err := (&logsListCmd{logOption: logOption{Data: filepath.Join(data, "none")}}).Run(t.Context(), console{nil, io.Discard, io.Discard}); err == nil {
		t.Error("a log that is not there is listed")
	}
}

func TestLogsFollow(t *testing.T) {
	data, now := logged(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := (&logsListCmd{logOption: logOption{Data: data}, Limit: 1, Follow: true, JSON: true}).Run(ctx, console{nil, w, io.Discard})
		w.Close()
		ended <- err
	}()
	dec := json.NewDecoder(r)
	next := func() string {
		var l struct{ RequestID string }
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		return l.RequestID
	}
	if id := next(); id != "four" {
		t.Errorf("first %q", id)
	}
	s, err := activity.OpenStore(activityDir(data), activity.Options{Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, id := range []string{"five", "six"} {
		s.Record(activity.Record{RequestID: id, Time: now, Status: 403})
		if got := next(); got != id {
			t.Errorf("then %q, want %q", got, id)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLogsShow(t *testing.T) {
	data, _ := logged(t)
	out, _ := runs(t, &logsShowCmd{logOption: logOption{Data: data}, ID: "one"})
	for _, want := range []string{"── system\nBe brief.", "── user\nQuestion?\n[image image/png, 3 bytes]", "── assistant (tool_use)\nThe ·[31manswer\n[t1 calls f] {\"a\":1}",
		"billed $0.0015, of it $0.0001 for the Region", "AKIA1"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, _ = runs(t, &logsShowCmd{logOption: logOption{Data: data}, ID: "two"})
	if !strings.Contains(out, "── user\nKonversation") || !strings.Contains(out, "would have cost $0.0007") {
		t.Errorf("%s", out)
	}
	out, _ = runs(t, &logsShowCmd{logOption: logOption{Data: data}, ID: "two", JSON: true})
	if !strings.Contains(out, `"stopReason": "tool_use"`) {
		t.Errorf("%s", out)
	}
	err := (&logsShowCmd{logOption: logOption{Data: data}, ID: "none"}).Run(t.Context(), console{nil, io.Discard, io.Discard})
	if err == nil || !strings.Contains(err.Error(), "no call has the id") {
		t.Errorf("%v", err)
	}
}

func TestLogsExport(t *testing.T) {
	data, _ := logged(t)
	file := filepath.Join(data, "out.ndjson")
	_, talk := runs(t, &logsExportCmd{logOption: logOption{Data: data}, Output: file})
	raw, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(talk, "4 calls") {
		t.Errorf("%q, %v", talk, err)
	}
	var ids []string
	for line := range bytes.Lines(raw) {
		var l struct {
			RequestID string
			Input     struct{ InputBodyJson json.RawMessage }
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		if (l.Input.InputBodyJson != nil) != (l.RequestID != "four") {
			t.Errorf("%s: body %s", l.RequestID, l.Input.InputBodyJson)
		}
		ids = append(ids, l.RequestID)
	}
	if strings.Join(ids, " ") != "one two three four" {
		t.Errorf("%v", ids)
	}
	out, _ := runs(t, &logsExportCmd{logOption: logOption{Data: data}, NoText: true})
	if strings.Contains(out, "Question") || strings.Count(out, "\n") != 4 {
		t.Errorf("%s", out)
	}
}

func TestUsage(t *testing.T) {
	data, _ := logged(t)
	base := usageCmd{logOption: logOption{Data: data}, By: []activity.Dimension{activity.ByKey}, Zone: "UTC"}
	out, _ := runs(t, &base)
	for _, want := range []string{"KEY    CALLS", "AKIA1  2", "AKIA2  1", "total  4", "$0.0015", "$0.0007"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	inJSON := base
	inJSON.JSON = true
	out, _ = runs(t, &inJSON)
	var rows []usageRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 3 || rows[1].By["key"] != "AKIA1" || rows[1].Billed != "0.0015" || rows[1].Premium != "0.0001" || rows[2].WouldCost != "0.0007" {
		t.Errorf("%v: %s", err, out)
	}
	inCSV := base
	inCSV.CSV = true
	out, _ = runs(t, &inCSV)
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(table) != 4 || table[0][0] != "key" || table[2][0] != "AKIA1" || table[2][1] != "2" {
		t.Errorf("%v: %q", err, table)
	}
	none := base
	none.Key = "nobody"
	if _, talk := runs(t, &none); !strings.Contains(talk, "no call fits") {
		t.Errorf("%q", talk)
	}
}

func TestFlagsOfLogs(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"24h": now.Add(-24 * time.Hour), "7d": now.AddDate(0, 0, -7), "90m": now.Add(-90 * time.Minute),
		"2026-11-01T00:00:00Z": time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), "2026-11-01": time.Date(2026, 11, 1, 0, 0, 0, 0, time.Local),
	} {
		var m moment
		if err := m.UnmarshalText([]byte(text)); err != nil || !m.at(now).Equal(want) {
			t.Errorf("%s: %s, %v", text, m.at(now), err)
		}
	}
	for _, bad := range []string{"", "yesterday", "2026-13-01", "-2h"} {
		if new(moment).UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is a time", bad)
		}
	}
	for _, bad := range []string{"", "6xx", "99", "600", "4x"} {
		if new(statusRange).UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is a status", bad)
		}
	}
	var d dollars
	if err := d.UnmarshalText([]byte("$0.000000001")); err != nil || d != 1 {
		t.Errorf("%d, %v", d, err)
	}
	for _, bad := range []string{"", "-1", "0.0000000001", "1e30"} {
		if d.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is an amount", bad)
		}
	}
}
