package converse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// textOf stands in for the extraction of a document's text.
func textOf(document []byte, format, name string) (string, error) {
	return "text of " + name + " (" + format + ")", nil
}

func options(comment string) converse.Options {
	o := converse.Options{DefaultMaxTokens: 4096, TextOf: textOf}
	_, list, _ := strings.Cut(comment, "options:")
	for _, name := range strings.Fields(list) {
		switch name {
		case "lossy":
			o.Lossy = true
		case "count":
			o.Count = true
		default:
			panic("unknown option " + name)
		}
	}
	return o
}

// golden runs one txtar file: it gives the sections that run makes of it, and
// compares or rewrites them.
func golden(t *testing.T, pattern string, run func(t *testing.T, a *txtar.Archive) []txtar.File) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := a.Files[1:]
			got := run(t, a)
			if *update {
				a.Files = append(a.Files[:1:1], got...)
				if err := os.WriteFile(file, txtar.Format(a), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(got) != len(want) {
				t.Fatalf("%d sections, want %d (-update rewrites)", len(got), len(want))
			}
			for i := range got {
				if got[i].Name != want[i].Name || !bytes.Equal(got[i].Data, want[i].Data) {
					t.Errorf("section %s:\n%s\nwant %s:\n%s", got[i].Name, got[i].Data, want[i].Name, want[i].Data)
				}
			}
		})
	}
}

func section(name string, data []byte) txtar.File {
	return txtar.File{Name: name, Data: append(bytes.TrimSuffix(data, []byte("\n")), '\n')}
}

// pretty breaks JSON into a line for each member of the outer object and each
// element of a list in it, so that a change is seen where it is; the bytes of
// what stands on a line are kept.
func pretty(t *testing.T, doc []byte) []byte {
	t.Helper()
	if !json.Valid(doc) {
		t.Fatalf("not JSON: %s", doc)
	}
	var out []byte
	depth, quoted := 0, false
	for i := 0; i < len(doc); i++ {
		c := doc[i]
		out = append(out, c)
		switch {
		case quoted && c == '\\':
			i++
			out = append(out, doc[i])
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && (depth <= 2 || depth == 4): // members, turns and tools, blocks
			out = append(out, '\n')
		}
	}
	return out
}

func TestRequests(t *testing.T) {
	golden(t, "testdata/request/*.txtar", func(t *testing.T, a *txtar.Archive) []txtar.File {
		in := a.Files[0].Data
		o := options(string(a.Comment))
		r, err := converse.ToMessages(in, o)
		if err != nil {
			t.Fatal(err)
		}
		sections := []txtar.File{section("messages", pretty(t, r.Body))}
		if len(r.Dropped) > 0 {
			sections = append(sections, section("dropped", []byte(strings.Join(r.Dropped, "\n"))))
		}
		back, dropped, err := converse.FromMessages(r.Body, false)
		if err != nil || dropped != nil {
			t.Fatalf("back: %v, dropped %q", err, dropped)
		}
		sections = append(sections, section("back", pretty(t, back)))
		stable(t, r.Body, back, o)
		return sections
	})
}

// stable holds there-and-back to a fixed point: what came back translates to the
// same Messages request again, byte for byte.
func stable(t *testing.T, body, back []byte, o converse.Options) {
	t.Helper()
	o.DefaultMaxTokens, o.Version, o.Lossy = 0, "", false
	again, err := converse.ToMessages(back, o)
	if err != nil {
		t.Fatalf("there again: %v\n%s", err, back)
	}
	twice, dropped, err := converse.FromMessages(again.Body, false)
	if err != nil || dropped != nil {
		t.Fatalf("and back again: %v, dropped %q", err, dropped)
	}
	if !bytes.Equal(back, twice) {
		t.Errorf("not stable:\n%s\n%s", back, twice)
	}
	if !equalJSON(t, without(t, body, "anthropic_version"), again.Body) { // left to the service
		t.Errorf("not stable:\n%s\n%s", body, again.Body)
	}
}

func equalJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	return bytes.Equal(canonical(t, a), canonical(t, b))
}

func without(t *testing.T, body []byte, key string) []byte {
	t.Helper()
	members, err := jsonspan.Scan(nil, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	return jsonspan.Splice(nil, body, members, jsonspan.Edit{Key: key})
}

// canonical sorts members and keeps the spelling of numbers.
func canonical(t *testing.T, doc []byte) []byte {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func asError(t *testing.T, err error) *messages.Error {
	t.Helper()
	var e *messages.Error
	if !errors.As(err, &e) {
		t.Fatalf("not a *messages.Error: %v", err)
	}
	return e
}
