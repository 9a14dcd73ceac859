package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// kept runs calls over a real Store and tells what stands in it, a line a call.
func kept(t *testing.T, run func(g *Gateway, up *canned)) []string {
	t.Helper()
	up := &canned{frames: whole()}
	g, _ := newGateway(t, up)
	store, err := activity.OpenStore(t.TempDir(), activity.Options{Now: func() time.Time { return clock }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	g.Journal = store
	run(g, up)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	a := activity.NewArchive(store.Dir(), nil)
	if _, err = a.Walk(t.Context(), activity.DayOf(clock), 0, func(ref activity.Ref, r *activity.Record) error {
		x, err := a.Exchange(ref)
		line := fmt.Sprintf("%d %s in %d out %d", r.Status, r.Operation, len(x.Input), len(x.Events))
		if r.Deliver != nil {
			line += " to " + r.Deliver.Bucket
		}
		lines = append(lines, line)
		return err
	}); err != nil && !errors.Is(err, fs.ErrNotExist) { // a day without a record has no file
		t.Fatal(err)
	}
	return lines
}

// A key's policy says what is kept of its calls, answered or not.
func TestPolicyOfKey(t *testing.T) {
	toLogs := func(_ context.Context, account, region string, _ *bedrockapi.Operation) *activity.Delivery {
		return &activity.Delivery{Bucket: account + " " + region}
	}
	n := fmt.Sprint(len(hello))
	for policy, want := range map[activity.Policy][]string{
		activity.Full: {
			"200 InvokeModel in " + n + " out 1 to 123456789012 us-west-2", "429 InvokeModel in " + n + " out 0 to 123456789012 us-west-2",
			"400 InvokeModel in 0 out 0 to 123456789012 us-west-2", "200 CountTokens in 0 out 0",
		},
		activity.Metadata: {
			"200 InvokeModel in 0 out 0 to 123456789012 us-west-2", "429 InvokeModel in 0 out 0 to 123456789012 us-west-2",
			"400 InvokeModel in 0 out 0 to 123456789012 us-west-2", "200 CountTokens in 0 out 0",
		},
		activity.None: nil,
	} {
		got := kept(t, func(g *Gateway, up *canned) {
			g.Deliver = toLogs
			who := someone
			who.Set = &identity.Settings{Activity: policy}
			do := func(op *bedrockapi.Operation, ref, body string) {
				call := newCall(op, ref, body)
				call.Credential = pending{caller: who}
				_ = g.Do(t.Context(), call, &paper{})
			}
			do(bedrockapi.InvokeModel, opus, hello)
			up.send = messages.Errorf(messages.Throttled, "slowly")
			do(bedrockapi.InvokeModel, opus, hello)
			do(bedrockapi.InvokeModel, "no-such-model", hello)
			up.send = nil
			do(bedrockapi.CountTokens, "anthropic.claude-opus-4-6-v1", hello)
		})
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", policy, got, want)
		}
	}
}
