package jsonspan

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestSplice(t *testing.T) {
	set := func(k, v string) Edit { return Edit{k, []byte(v)} }
	drop := func(k string) Edit { return Edit{Key: k} }
	const abc = " {\n  \"a\": 1,\n  \"b\" : [2] ,\n\t\"c\":{ }\n}\n"
	for _, tt := range []struct {
		name, in string
		edits    []Edit
		want     string
	}{
		{"none", abc, nil, abc},
		{"drop first", abc, []Edit{drop("a")}, " {\n  \"b\" : [2] ,\n\t\"c\":{ }\n}\n"},
		{"drop middle", abc, []Edit{drop("b")}, " {\n  \"a\": 1 ,\n\t\"c\":{ }\n}\n"},
		{"drop last", abc, []Edit{drop("c")}, " {\n  \"a\": 1,\n  \"b\" : [2]\n}\n"},
		{"drop first and middle", abc, []Edit{drop("b"), drop("a")}, " {\n  \"c\":{ }\n}\n"},
		{"drop middle and last", abc, []Edit{drop("b"), drop("c")}, " {\n  \"a\": 1\n}\n"},
		{"drop all", abc, []Edit{drop("a"), drop("b"), drop("c")}, " {\n  \n}\n"},
		{"drop absent", abc, []Edit{drop("d")}, abc},
		{"replace", abc, []Edit{set("b", `"x"`)}, " {\n  \"a\": 1,\n  \"b\" : \"x\" ,\n\t\"c\":{ }\n}\n"},
		{"append", abc, []Edit{set("d", `4`)}, " {\n  \"a\": 1,\n  \"b\" : [2] ,\n\t\"c\":{ },\"d\":4\n}\n"},
		{"append two", `{"a":1}`, []Edit{set("b", `2`), set("c", `3`)}, `{"a":1,"b":2,"c":3}`},
		{"append, key to be escaped", `{}`, []Edit{set("a\"\n", `1`)}, `{"a\"\n":1}`},
		{"drop all, append", `{"a":1,"b":2}`, []Edit{drop("b"), drop("a"), set("c", `3`)}, `{"c":3}`},
		{"empty, append", `{}`, []Edit{set("a", `1`)}, `{"a":1}`},
		{"empty with space, append two", " { \n} ", []Edit{set("a", `1`), set("b", `2`)}, " {\"a\":1,\"b\":2 \n} "},
		{"empty, drop", `{ }`, []Edit{drop("a")}, `{ }`},
		{"later counts: set", `{"a":1}`, []Edit{drop("a"), set("a", `2`)}, `{"a":2}`},
		{"later counts: drop", `{"a":1}`, []Edit{set("a", `2`), drop("a")}, `{}`},
		{"later counts: appended", `{}`, []Edit{set("a", `1`), set("a", `2`)}, `{"a":2}`},
		{"later counts: not appended", `{}`, []Edit{set("a", `1`), drop("a")}, `{}`},
	} {
		m, err := Scan(nil, []byte(tt.in), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := Splice([]byte("before"), []byte(tt.in), m, tt.edits...)
		if string(got) != "before"+tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// FuzzSplice compares with the same edits made on a decoded map.
func FuzzSplice(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":2,"c":3}`), "a", "b", "d")
	f.Add([]byte(` { "a" : 1 } `), "a", "a", "a")
	f.Add([]byte(`{}`), "", "x", "y")
	f.Fuzz(func(t *testing.T, doc []byte, drop, set, drop2 string) {
		m, err := Scan(nil, doc, nil)
		if err != nil {
			return
		}
		want := map[string]json.RawMessage{}
		if err := json.Unmarshal(doc, &want); err != nil {
			t.Fatal(err)
		}
		quoted := AppendString(nil, set)
		var key string
		if err := json.Unmarshal(quoted, &key); err != nil {
			t.Fatal(err)
		}
		if key != set { // not UTF-8: no JSON key can be it
			return
		}
		delete(want, drop)
		want[set] = json.RawMessage(`"new"`)
		delete(want, drop2)
		out := Splice(nil, doc, m, Edit{Key: drop}, Edit{set, []byte(`"new"`)}, Edit{Key: drop2})
		got := map[string]json.RawMessage{}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%q became %q: %v", doc, out, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%q became %q", doc, out)
		}
		for k, v := range want {
			if !bytes.Equal(got[k], v) {
				t.Fatalf("%q became %q: %q is %q, want %q", doc, out, k, got[k], v)
			}
		}
	})
}
