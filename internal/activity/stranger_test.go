package activity

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Callers who are not known fill no disk, and none of their calls is left out
// without a word.
func TestStrangers(t *testing.T) {
	now := noon
	s := openStore(t, t.TempDir(), Options{Now: func() time.Time { return now }})
	refuse := func(n int) {
		for range n {
			s.Record(Record{RequestID: "junk", Time: now, Status: 403, Ref: strings.Repeat("x", 100_000), Metadata: map[string]string{"k": "v"}})
		}
	}
	count := func() (junk, known int, left []string) {
		t.Helper()
		_, err := NewArchive(s.Dir(), nil).Walk(context.Background(), DayOf(noon), 0, func(_ Ref, r *Record) error {
			switch {
			case r.ErrorCode == ErrorCodeLeftOut:
				left = append(left, r.Error)
			case r.Principal != "":
				known++
			default:
				junk++
				if len(r.Ref) > strangerText || r.Metadata != nil {
					t.Errorf("%d bytes of a stranger's", len(r.Ref))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return junk, known, left
	}
	refuse(strangerBurst + 900)
	for range 500 { // who is known is always recorded
		s.Record(Record{RequestID: "known", Time: now, Status: 400, Principal: "arn:aws:iam::123456789012:user/a"})
	}
	if err := s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if junk, known, left := count(); junk != strangerBurst || known != 500 || len(left) != 1 || !strings.HasPrefix(left[0], "900 more calls") {
		t.Errorf("%d, %d, %q", junk, known, left)
	}
	now = now.Add(10 * strangerEvery)
	refuse(15)
	now = now.Add(1000 * strangerEvery)
	refuse(strangerBurst)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	junk, _, left := count()
	if want := 2*strangerBurst + 10; junk != want || len(left) != 2 || !strings.HasPrefix(left[1], "5 more calls") {
		t.Errorf("%d junk, want %d; %q", junk, want, left)
	}
	if total := fmt.Sprint(left); strings.Contains(total, "xxx") {
		t.Error(total)
	}
}
