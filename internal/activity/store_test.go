package activity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// openStore opens a store whose clock stands still at noon unless o says.
func openStore(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s, err := OpenStore(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func started(id string) *Record {
	return &Record{RequestID: id, Time: noon, Operation: "InvokeModelWithResponseStream", KeyID: "AKIA", Region: "us-east-1", Ref: "global.x"}
}

// call makes one call of two events.
func call(t testing.TB, s *Store, id string, body []byte, p Policy) {
	t.Helper()
	e, err := s.Open(context.Background(), Opening{Record: started(id), Body: body, Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	e.Frame("message_start", []byte(`{"type":"message_start"}`))
	e.Frame("message_stop", []byte(`{"type":"message_stop"}`))
	if err := e.Close(ended(id)); err != nil {
		t.Fatal(err)
	}
}

func ended(id string) *Record {
	r := started(id)
	r.Status, r.Duration = 200, time.Second
	r.Usage = messages.Usage{InputTokens: 10, OutputTokens: 20}
	return r
}

// records reads every record from the segments.
func records(t testing.TB, dir string) (all []Record) {
	t.Helper()
	a := NewArchive(dir, nil)
	days, err := a.Days()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range days {
		if _, err := a.Walk(context.Background(), d, 0, func(_ Ref, r *Record) error {
			all = append(all, *r)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func get(t testing.TB, dir, id string) *Exchange {
	t.Helper()
	x, err := NewArchive(dir, nil).Get(context.Background(), id)
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	return x
}

func TestStore(t *testing.T) {
	for _, mode := range []Durability{Default, Power, Relaxed} {
		t.Run(mode.String(), func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir, Options{Durability: mode})
			picture := randomBase64(30_000)
			bodies := map[string][]byte{
				"plain": []byte(`{"messages":[]}`), "empty": {}, "picture": []byte("[" + image(picture) + "]"),
				"again": []byte(`{"x":1,"content":[` + image(picture) + `,` + image(randomBase64(9000)) + `]}`), "long": bytes.Repeat([]byte("text "), 100_000),
			}
			for id, body := range bodies {
				call(t, s, id, body, Full)
			}
			call(t, s, "figures alone", []byte("secret"), Metadata)
			call(t, s, "nothing", []byte("secret"), None)
			s.Record(Record{RequestID: "denied", Time: noon, Status: 403})

			// An answer of more than is kept in memory.
			e, err := s.Open(t.Context(), Opening{Record: started("stream"), Body: []byte("{}")})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range 2000 {
				data := fmt.Sprintf(`{"type":"content_block_delta","delta":{"text":"%d %s"}}`, i, strings.Repeat(string(rune('a'+i%26)), i%300))
				want = append(want, data)
				e.Frame("content_block_delta", []byte(data))
			}
			if err := e.Close(ended("stream")); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}

			if got := records(t, dir); len(got) != len(bodies)+3 {
				t.Errorf("%d records", len(got))
			}
			for id, body := range bodies {
				x := get(t, dir, id)
				if !bytes.Equal(x.Input, body) || x.Input == nil || len(x.Events) != 2 || x.Record.Content != Kept || x.Record.Status != 200 {
					t.Errorf("%s: %d bytes of %d, %d events, %s", id, len(x.Input), len(body), len(x.Events), x.Record.Content)
				}
			}
			if x := get(t, dir, "figures alone"); x.Input != nil || x.Events != nil || x.Record.Content != NotKept {
				t.Errorf("metadata alone: %+v", x)
			}
			x := get(t, dir, "stream")
			for i, e := range x.Events {
				if string(e.Data) != want[i] {
					t.Fatalf("event %d: %s", i, e.Data)
				}
			}
			if len(x.Events) != len(want) {
				t.Errorf("%d events", len(x.Events))
			}
			raw, err := os.ReadFile(filepath.Join(dir, "2026-11-22.seg"))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(raw, []byte(picture)); n != 1 {
				t.Errorf("the picture is there %d times", n)
			}
			if bytes.Contains(raw, []byte("secret")) {
				t.Error("what the policy forbids is in the file")
			}
			if _, err := NewArchive(dir, nil).Get(t.Context(), "nothing"); !errors.Is(err, ErrNoRecord) {
				t.Errorf("a call that must leave no trace: %v", err)
			}
			// The digests are known again after a restart.
			s = openStore(t, dir, Options{Durability: mode})
			call(t, s, "next", bodies["picture"], Full)
			s.Close()
			if raw, _ = os.ReadFile(filepath.Join(dir, "2026-11-22.seg")); bytes.Count(raw, []byte(picture)) != 1 {
				t.Error("the picture was stored again after a restart")
			}
			if x := get(t, dir, "next"); !bytes.Equal(x.Input, bodies["picture"]) {
				t.Error("the request after a restart")
			}
		})
	}
}

// What a crash leaves open is closed once, with what had been written of it.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	call(t, s, "before", []byte("{}"), Full)
	e, _ := s.Open(t.Context(), Opening{Record: started("cut"), Body: []byte(`{"q":1}`)})
	for range 3000 {
		e.Frame("content_block_delta", []byte(randomBase64(40)))
	}
	s.Open(t.Context(), Opening{Record: started("not begun"), Policy: Metadata})
	call(t, s, "after", []byte("{}"), Full)
	crash(t, s, dir)

	for range 2 { // the second time there is nothing left to close
		openStore(t, dir, Options{}).Close()
		all := records(t, dir)
		if len(all) != 4 {
			t.Fatalf("%d records", len(all))
		}
		x := get(t, dir, "cut")
		if r := x.Record; !r.Interrupted || !r.Partial || r.ErrorCode != "Interrupted" || r.KeyID != "AKIA" || string(x.Input) != `{"q":1}` || len(x.Events) == 0 {
			t.Errorf("%+v, %q, %d events", r, x.Input, len(x.Events))
		}
		if r := get(t, dir, "not begun").Record; !r.Interrupted || r.Partial || r.Content != NotKept {
			t.Errorf("%+v", r)
		}
		if get(t, dir, "before").Record.Interrupted || get(t, dir, "after").Record.Interrupted {
			t.Error("a call that was over is interrupted")
		}
	}
}

// crash leaves the files as a killed process does, in a new place: dir holds
// them as they are now.
func crash(t testing.TB, s *Store, dir string) {
	t.Helper()
	saved := map[string][]byte{}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		saved[name], _ = os.ReadFile(name)
	}
	s.Close()
	for name, data := range saved {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A segment cut at any byte shows no torn record and no record twice, and each
// opening that is whole has one.
func TestTornAnywhere(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	call(t, s, "a", []byte("{}"), Full)
	e, _ := s.Open(t.Context(), Opening{Record: started("b"), Body: []byte(`[` + image(randomBase64(8000)) + `]`)})
	call(t, s, "c", []byte("{}"), Metadata)
	s.Record(Record{RequestID: "d", Time: noon, Status: 403})
	e.Frame("message", []byte("answer"))
	e.Close(ended("b"))
	s.Close()
	name := filepath.Join(dir, "2026-11-22.seg")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	clear(whole[16:28]) // the mark that an orderly end has left
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	type point struct {
		end  int64
		kind byte
		id   string
	}
	var points []point
	f, _, err := segment.Open(name, segment.Options{Seen: func(e segment.Entry) error {
		var r Record
		switch e.Kind {
		case kindOpen:
			decodeOpening(e.Payload, &r)
		case kindClose:
			decodeClose(e.Payload, &r)
		}
		points = append(points, point{e.End(), e.Kind, r.RequestID})
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if len(points) < 8 {
		t.Fatalf("%d entries", len(points))
	}
	step := 1
	if testing.Short() {
		step = 37
	}
	torn := t.TempDir()
	for n := 0; n < len(whole); n += step {
		if n > 600 && n < len(whole)-500 && n%97 != 0 {
			continue // within the picture
		}
		if err := os.WriteFile(filepath.Join(torn, "2026-11-22.seg"), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{} // id: it was over
		for _, p := range points {
			if p.end <= int64(n) && p.id != "" {
				want[p.id] = p.kind == kindClose
			}
		}
		os.Remove(filepath.Join(torn, "2026-11-22.seg.cut"))
		o, _ := faulty(Options{}) // which does not wait for the disk
		openStore(t, torn, o).Close()
		seen := map[string]bool{}
		for _, r := range records(t, torn) {
			over, ok := want[r.RequestID]
			if _, twice := seen[r.RequestID]; twice || !ok || r.Interrupted == over {
				t.Fatalf("cut at %d: %+v, twice %v", n, r, twice)
			}
			seen[r.RequestID] = true
			if _, err := NewArchive(torn, nil).Get(t.Context(), r.RequestID); err != nil {
				t.Fatalf("cut at %d: %s: %v", n, r.RequestID, err)
			}
		}
		if len(seen) != len(want) {
			t.Fatalf("cut at %d: %d records of %d", n, len(seen), len(want))
		}
	}
}

func TestUnknownKind(t *testing.T) {
	dir := t.TempDir()
	f, _, err := segment.Open(filepath.Join(dir, "2026-11-22.seg"), segment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.Append(99, []byte("of a later version"))
	f.Close()
	if _, err := OpenStore(dir, Options{Now: time.Now, Log: slog.Default()}); err == nil || !strings.Contains(err.Error(), "later version") {
		t.Errorf("%v", err)
	}
}

func TestPolicyText(t *testing.T) {
	for _, p := range []Policy{Full, Metadata, None} {
		text, _ := p.MarshalText()
		var got Policy
		if err := got.UnmarshalText(text); err != nil || got != p {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	var p Policy
	if p.UnmarshalText([]byte("FULL")) == nil {
		t.Error("FULL is a policy")
	}
	var d Durability
	if d.UnmarshalText([]byte("fast")) == nil {
		t.Error("fast is a mode")
	}
}

func TestScan(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	for i := range 10 {
		callAt(t, s, fmt.Sprint(i), noon.AddDate(0, 0, -i%2), []byte(`{"n":1}`))
	}
	s.Close()
	var ids []string
	last, all := int64(-1), int64(0)
	err := NewArchive(dir, nil).Scan(t.Context(), Filter{}, func(done, total int64) {
		if done < last || done > total {
			t.Errorf("progress %d after %d, of %d", done, last, total)
		}
		last, all = done, total
	}, func(x *Exchange) bool {
		ids = append(ids, x.Record.RequestID)
		return string(x.Input) == `{"n":1}` && len(x.Events) == 1
	})
	if err != nil || strings.Join(ids, "") != "8642097531" || last < all/2 {
		t.Errorf("%v, %v, %d of %d", ids, err, last, all)
	}
	n := 0
	if err := NewArchive(dir, nil).Scan(t.Context(), Filter{}, nil, func(*Exchange) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("stopped: %d, %v", n, err)
	}
}
