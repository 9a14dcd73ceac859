package converse_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/outcrop-dev/outcrop/internal/converse"
)

func TestMessages(t *testing.T) {
	golden(t, "testdata/messages/*.txtar", func(t *testing.T, a *txtar.Archive) []txtar.File {
		o := options(string(a.Comment))
		c, dropped, err := converse.FromMessages(a.Files[0].Data, o.Lossy)
		if err != nil {
			t.Fatal(err)
		}
		out := append([]txtar.File{section("converse", pretty(t, c))}, named(dropped)...)
		r, err := converse.ToMessages(c, converse.Options{TextOf: textOf})
		if err != nil {
			t.Fatal(err)
		}
		twice, dropped, err := converse.FromMessages(r.Body, false)
		if err != nil || dropped != nil || !o.Lossy && !bytes.Equal(c, twice) {
			t.Errorf("not stable: %v, dropped %q\n%s\n%s", err, dropped, c, twice)
		}
		return append(out, section("back", pretty(t, r.Body)))
	})
}

// Every object of a request is closed: a member that nobody knows is refused, by
// its name or, in a union, by the union's.
func TestEveryObjectIsClosed(t *testing.T) {
	for _, a := range append(corpus(t, "request"), beside()) {
		o := options(string(a.Comment))
		if o.Lossy {
			continue
		}
		doc := parse(t, a.Files[0].Data)
		for _, path := range objects(rootShape, rootName, doc) {
			in := put(t, doc, append(path, "zzz"), 1)
			_, err := converse.ToMessages(in, o)
			if err == nil || !strings.Contains(asError(t, err).Message, "zzz") && !strings.Contains(asError(t, err).Message, "exactly one member") {
				t.Errorf("%v: %v", path, err)
			}
		}
	}
	for _, a := range corpus(t, "messages") {
		if options(string(a.Comment)).Lossy {
			continue
		}
		doc := parse(t, a.Files[0].Data).(map[string]any)
		for _, path := range plainObjects(doc["messages"], []any{"messages"}) {
			in := put(t, doc, append(path, "zzz"), 1)
			_, _, err := converse.FromMessages(in, false)
			if err == nil || !strings.Contains(asError(t, err).Message, "zzz") {
				t.Errorf("%v: %v", path, err)
			}
		}
	}
}

// Every member has a type: another is refused, not passed on.
func TestEveryMemberHasAType(t *testing.T) {
	for _, a := range append(corpus(t, "request"), beside()) {
		o := options(string(a.Comment))
		if o.Lossy {
			continue
		}
		doc := parse(t, a.Files[0].Data)
		for _, m := range find(rootShape, rootName, doc) {
			if strings.Contains(members[m.row].in, "at the top") || m.row == "ToolUseBlock.type" {
				continue // any JSON; a closed set
			}
			for _, wrong := range []any{5, "x", []any{true}, map[string]any{"zzz": 1}, false} {
				if same(valueAt(doc, m.path), wrong) {
					continue
				}
				if _, err := converse.ToMessages(put(t, doc, m.path, wrong), o); err == nil {
					t.Errorf("%s as %v is accepted", m.row, wrong)
				}
			}
		}
	}
}
