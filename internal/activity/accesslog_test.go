package activity

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

func logged(r Record) string {
	var b bytes.Buffer
	AccessLog{slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))}.Record(r)
	return b.String()
}

// TestAccessLog: one line, with the figures that there are.
func TestAccessLog(t *testing.T) {
	for _, test := range []struct {
		name string
		r    Record
		want string
	}{
		{"a call", Record{RequestID: "r1", Operation: "InvokeModel", Status: 200, Ref: "m", Region: "us-east-1", KeyID: "AKIA", Upstream: "scripted",
			Duration: 1234567 * time.Nanosecond, FirstFrame: time.Millisecond, Usage: messages.Usage{InputTokens: 3, CacheReadInputTokens: 4, OutputTokens: 5}, WouldCost: 1_000_000_000},
			`level=INFO msg=call id=r1 op=InvokeModel status=200 model=m region=us-east-1 key=AKIA upstream=scripted took=1.2ms first=1ms in=7 out=5 billed=0.00 would_cost=1.00` + "\n"},
		{"a refusal", Record{RequestID: "r2", Operation: "Converse", Status: 400, ErrorCode: "ValidationException", Error: "two\nlines", Warnings: []string{"w"}},
			`level=INFO msg=call id=r2 op=Converse status=400 model="" region="" key="" upstream="" took=0s error=ValidationException message="two\nlines" warning=w` + "\n"},
		{"our fault", Record{RequestID: "r3", Operation: "Converse", Status: 500, ErrorCode: "InternalServerException"},
			`level=WARN msg=call id=r3 op=Converse status=500 model="" region="" key="" upstream="" took=0s error=InternalServerException message=""` + "\n"},
	} {
		if got := logged(test.r); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
	if got := logged(Record{Status: 200, Partial: true}); !strings.HasPrefix(got, "level=WARN") {
		t.Errorf("a broken stream: %s", got)
	}
}

func TestRing(t *testing.T) {
	r := NewRing(3)
	for i, want := range []string{"", "0", "01", "012", "123", "234"} {
		var got strings.Builder
		for _, rec := range r.Records() {
			got.WriteString(rec.RequestID)
		}
		if got.String() != want {
			t.Errorf("after %d: %q, want %q", i, got.String(), want)
		}
		r.Record(Record{RequestID: string(rune('0' + i))})
	}
	one := NewRing(0)
	Logs{one, r}.Record(Record{RequestID: "x"})
	if got := one.Records(); len(got) != 1 || got[0].RequestID != "x" {
		t.Errorf("%+v", got)
	}
}
