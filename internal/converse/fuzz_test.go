package converse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

func seed(f *testing.F, folder string, sections ...string) {
	files, _ := filepath.Glob("testdata/" + folder + "/*.txtar")
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, s := range a.Files {
			for _, name := range sections {
				if s.Name == name {
					f.Add(s.Data)
				}
			}
		}
	}
}

// sound holds an error to what may be shown: one of ours, short, valid text.
func sound(t *testing.T, err error, kinds ...messages.Kind) {
	t.Helper()
	var e *messages.Error
	if !errors.As(err, &e) {
		t.Fatalf("not a *messages.Error: %v", err)
	}
	for _, k := range kinds {
		if e.Kind == k && utf8.ValidString(e.Message) && e.Message != "" && len(e.Message) < 16<<10 {
			return
		}
	}
	t.Fatalf("kind %v, %d bytes: %q", e.Kind, len(e.Message), e.Message)
}

// strict refuses what JSON parsers disagree on, as the gateway does.
func strict(t *testing.T, doc []byte) {
	t.Helper()
	if _, err := jsonspan.Scan(nil, doc, nil); err != nil || !json.Valid(doc) {
		t.Fatalf("not sound JSON (%v): %s", err, doc)
	}
}

// Whatever Converse request is accepted translates to sound JSON, back to
// Converse, and there again to the same; lossy changes nothing about it.
func FuzzToMessages(f *testing.F) {
	seed(f, "request", "converse", "back")
	for _, r := range refusals {
		if len(r.in) < 4<<10 {
			f.Add([]byte(r.in))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o := converse.Options{TextOf: textOf, DefaultMaxTokens: 10}
		r, err := converse.ToMessages(body, o)
		if err != nil {
			sound(t, err, messages.InvalidRequest, messages.ModelRejected)
			o.Lossy = true
			if r, err = converse.ToMessages(body, o); err != nil {
				sound(t, err, messages.InvalidRequest, messages.ModelRejected)
			} else if len(r.Dropped) == 0 {
				t.Fatalf("lossy accepted it and names nothing: %s", r.Body)
			}
			return
		}
		strict(t, r.Body)
		o.Lossy = true
		if l, err := converse.ToMessages(body, o); err != nil || !bytes.Equal(l.Body, r.Body) {
			t.Fatalf("lossy differs: %v", err)
		}
		if _, err := converse.ReadSettings(body); err != nil {
			t.Fatalf("ReadSettings refuses what ToMessages accepts: %v", err)
		}
		if m, _ := jsonspan.Scan(nil, body, nil); len(m) > 0 {
			if _, ok := m.Get("additionalModelRequestFields"); ok {
				return // its members are the caller's own
			}
		}
		back, dropped, err := converse.FromMessages(r.Body, false)
		if err != nil || dropped != nil {
			t.Fatalf("back: %v, dropped %q\n%s", err, dropped, r.Body)
		}
		strict(t, back)
		again, err := converse.ToMessages(back, converse.Options{TextOf: textOf})
		if err != nil {
			t.Fatalf("there again: %v\n%s", err, back)
		}
		twice, _, err := converse.FromMessages(again.Body, false)
		if err != nil || !bytes.Equal(back, twice) {
			t.Fatalf("not stable (%v):\n%s\n%s", err, back, twice)
		}
	})
}

// Whatever Messages request is accepted translates to sound JSON; if AWS's rules
// let that pass, there and back is stable.
func FuzzFromMessages(f *testing.F) {
	seed(f, "request", "messages")
	f.Fuzz(func(t *testing.T, body []byte) {
		c, dropped, err := converse.FromMessages(body, false)
		if err != nil {
			sound(t, err, messages.InvalidRequest)
			return
		}
		if dropped != nil {
			t.Fatalf("dropped %q unasked", dropped)
		}
		strict(t, c)
		r, err := converse.ToMessages(c, converse.Options{TextOf: textOf})
		if err != nil {
			sound(t, err, messages.InvalidRequest, messages.ModelRejected)
			return
		}
		twice, _, err := converse.FromMessages(r.Body, false)
		if err != nil || !equalJSON(t, c, twice) {
			t.Fatalf("not stable (%v):\n%s\n%s", err, c, twice)
		}
	})
}

func FuzzAppendAnswer(f *testing.F) {
	seed(f, "answer", "message", "back")
	f.Fuzz(func(t *testing.T, message []byte) {
		answer, _, err := converse.AppendAnswer(nil, message, converse.Envelope{ResponseFields: []string{"/stop_sequence", "/usage"}})
		if err != nil {
			sound(t, err, messages.ModelFailed)
			return
		}
		strict(t, answer)
		back, e, _, err := converse.ReadAnswer(answer, "m", "m", false)
		if err != nil {
			if strings.Contains(err.Error(), "location") { // of the web
				return
			}
			t.Fatalf("back: %v\n%s", err, answer)
		}
		strict(t, back)
		again, _, err := converse.AppendAnswer(nil, back, e)
		if err != nil || !bytes.Equal(answer, again) {
			t.Fatalf("not stable (%v):\n%s\n%s", err, answer, again)
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	seed(f, "answer", "converse", "again")
	f.Fuzz(func(t *testing.T, answer []byte) {
		message, e, _, err := converse.ReadAnswer(answer, "m", "m", false)
		if err != nil {
			sound(t, err, messages.ModelFailed)
			return
		}
		strict(t, message)
		again, _, err := converse.AppendAnswer(nil, message, e)
		if err != nil {
			t.Fatalf("again: %v\n%s", err, message)
		}
		strict(t, again)
	})
}

// A stream of any events gives sound JSON in the service's order, which reads
// back to the same.
func FuzzStream(f *testing.F) {
	seed(f, "stream", "messages", "back")
	f.Fuzz(func(t *testing.T, lines []byte) {
		s := converse.NewStream(converse.Envelope{ResponseFields: []string{"/delta/stop_sequence"}})
		var out []byte
		last := ""
		for line := range bytes.Lines(lines) {
			line = bytes.TrimSpace(line)
			events, err := s.Event(messages.EventType(line), line)
			if err != nil {
				sound(t, err, messages.ModelStreamFailed)
				break
			}
			for _, e := range events {
				strict(t, e.Payload)
				if last == converse.Metadata || (last == "") != (e.Type == converse.MessageStart) {
					t.Fatalf("%s after %q", e.Type, last)
				}
				last = e.Type
				out = append(append(append(append(out, e.Type...), ' '), e.Payload...), '\n')
			}
		}
		if s.Ended() != (last == converse.Metadata) {
			t.Fatalf("ended %v after %s", s.Ended(), last)
		}
		if !s.Ended() {
			return
		}
		r := &converse.StreamReader{}
		var twice []byte
		for line := range bytes.Lines(out) {
			kind, payload, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
			events, err := r.Event(string(kind), payload)
			if err != nil {
				if strings.Contains(err.Error(), "location") { // of the web
					return
				}
				t.Fatalf("%s: %v", line, err)
			}
			for _, e := range events {
				strict(t, e.Payload)
				twice = append(append(twice, e.Payload...), '\n')
			}
		}
		if !r.Ended() {
			t.Fatalf("the reader did not see the end:\n%s", out)
		}
		if got := toConverse(t, converse.NewStream(r.Envelope()), twice); !bytes.Equal(got, out) {
			t.Fatalf("not stable:\n%s\n%s", out, got)
		}
	})
}

func FuzzStreamReader(f *testing.F) {
	seed(f, "stream", "converse", "again")
	f.Fuzz(func(t *testing.T, lines []byte) {
		r := &converse.StreamReader{}
		for line := range bytes.Lines(lines) {
			kind, payload, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
			events, err := r.Event(string(kind), payload)
			if err != nil {
				sound(t, err, messages.ModelStreamFailed)
				return
			}
			for _, e := range events {
				strict(t, e.Payload)
			}
		}
	})
}
