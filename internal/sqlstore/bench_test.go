package sqlstore

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// month makes records of thirty days: 20 keys at work in each hour, each with two
// of 8 models, in sessions of 50 calls.
func month(b *testing.B, dir string, n int) (first, end time.Time) {
	end = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	first = end.AddDate(0, 0, -30)
	s, err := activity.OpenStore(dir, activity.Options{Retention: 1000, Now: func() time.Time { return end }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		session := i/1000*20 + r.IntN(20)
		model := "anthropic.claude-model-" + strconv.Itoa((session+r.IntN(2))%8)
		rec := activity.Record{
			RequestID: fmt.Sprintf("%08x-0000-4000-8000-%012x", i, r.Uint64()>>16), Time: first.Add(time.Duration(i) * (end.Sub(first) / time.Duration(n))),
			Duration: time.Second, Operation: "InvokeModelWithResponseStream", Account: "123456789012", Principal: "arn:aws:iam::123456789012:user/admin",
			KeyID: "AKIA" + strconv.Itoa(session%20), Region: "us-east-1", Ref: "global." + model, ModelID: model, RouteID: "global." + model,
			Endpoint: "global", Upstream: "bedrock", Status: 200, Usage: messages.Usage{InputTokens: 100, OutputTokens: 300},
			Billed: catalog.Nanodollars(r.IntN(1e7)), Metadata: map[string]string{"team": "team-" + strconv.Itoa(session%10)},
		}
		rec.Client.Session = "session-" + strconv.Itoa(session)
		if r.IntN(1000) == 0 {
			rec.Status = 503
		}
		s.Record(rec)
	}
	return first, end
}

// Questions about a million records, as `outcrop logs` and `outcrop usage` ask
// them.
func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	ctx := context.Background()
	dir := b.TempDir()
	path := filepath.Join(dir, "index.db")
	began := time.Now()
	first, end := month(b, dir, n)
	b.Logf("%d records written in %s", n, time.Since(began).Round(time.Millisecond))
	ix := open(b, path)
	began = time.Now()
	s, err := activity.OpenStore(dir, activity.Options{Retention: 1000, Now: func() time.Time { return end }, Index: ix, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.CatchUp(ctx); err != nil {
		b.Fatal(err)
	}
	b.Logf("indexed in %s", time.Since(began).Round(time.Millisecond))
	s.Close()

	// As a command does: open, ask, close.
	ask := func(b *testing.B, f func(*activity.Archive) error) {
		for b.Loop() {
			ix, err := ReadIndex(ctx, path)
			if err != nil {
				b.Fatal(err)
			}
			if err := f(activity.NewArchive(dir, ix)); err != nil {
				b.Fatal(err)
			}
			ix.Close()
		}
	}
	for name, f := range map[string]activity.Filter{
		"newest":     {},
		"failed":     {MinStatus: 500},
		"key":        {Key: "AKIA7"},
		"no such":    {Key: "AKIA7", MinStatus: 418, MaxStatus: 418},
		"nobody":     {Key: "nobody"},
		"cost":       {MinCost: 9_999_000},
		"never cost": {MinCost: 99_999_999},
		"an old day": {Since: first.AddDate(0, 0, 3), Until: first.AddDate(0, 0, 4), Model: "anthropic.claude-model-3"},
		"id":         {RequestID: "no such id"},
	} {
		b.Run("logs/"+name, func(b *testing.B) {
			ask(b, func(a *activity.Archive) error {
				left := 50
				return a.Find(ctx, f, func(activity.Ref, *activity.Record) bool { left--; return left > 0 })
			})
		})
	}
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		b.Fatal(err)
	}
	for name, q := range map[string]activity.UsageQuery{
		"sum":             {},
		"day":             {By: []activity.Dimension{activity.ByDay}},
		"month in Madrid": {By: []activity.Dimension{activity.ByMonth, activity.ByKey}, Zone: madrid},
		"hour":            {By: []activity.Dimension{activity.ByHour}, Since: end.AddDate(0, 0, -1)},
		"key":             {By: []activity.Dimension{activity.ByKey}},
		"model":           {By: []activity.Dimension{activity.ByModel, activity.ByEndpoint}},
		"tag":             {By: []activity.Dimension{activity.ByTag}},
		"session":         {By: []activity.Dimension{activity.BySession}},
	} {
		b.Run("usage/"+name, func(b *testing.B) {
			ask(b, func(a *activity.Archive) error {
				lines, err := a.Usage(ctx, q)
				if len(lines) == 0 {
					return fmt.Errorf("no lines")
				}
				return err
			})
		})
	}
}
