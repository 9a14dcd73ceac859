package jsonspan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

var bodyKeys = NewKeys("model", "max_tokens", "messages", "system", "stream", "stop_sequences", "anthropic_version")

func TestScan(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`{}`, ``},
		{" \r\n\t{ \n} ", ``},
		{`{"a":1}`, `a=1`},
		{`{ "a" : 1 , "b" : "x,}" }`, `a=1 b="x,}"`},
		{`{"a":{"a":1,"A":2,"\u0061":3},"b":[[],{},[{"x":[]}]]}`, `a={"a":1,"A":2,"\u0061":3} b=[[],{},[{"x":[]}]]`},
		{`{"":null,"x":true,"y":false,"z":-0.5e+10}`, `=null x=true y=false z=-0.5e+10`},
		{`{"é":"\ud83d\ude00 \\ \" \/"}`, `é="\ud83d\ude00 \\ \" \/"`},
		{"{\"a\":\"\xff\"}", "a=\"\xff\""}, // JSON text with a bad byte in a value: encoding/json takes it
		{`{"名前":1,"` + "\ufffd" + `":2,"h":"\uAFaf\u09F0"}`, `名前=1 ` + "\ufffd" + `=2 h="\uAFaf\u09F0"`},
		{`{"max_tokens":1,"Other":2}`, `max_tokens=1 Other=2`},
	} {
		members, err := Scan(nil, []byte(tt.in), bodyKeys)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		var got []string
		for _, m := range members {
			got = append(got, string(m.Key)+"="+string(m.Value([]byte(tt.in))))
			if tt.in[m.KeyStart] != '"' {
				t.Errorf("%s: KeyStart %d is not at a quote", tt.in, m.KeyStart)
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, s, tt.want)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	nest := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":0`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for _, tt := range []struct {
		in     string
		offset int
		reason string
		key    string
	}{
		{``, 0, `unexpected end of JSON`, ``},
		{`  `, 2, `unexpected end of JSON`, ``},
		{`[]`, 0, `not a JSON object`, ``},
		{` null`, 1, `not a JSON object`, ``},
		{"\ufeff{}", 0, `not a JSON object`, ``},
		{`{}x`, 2, `data after the end of the JSON value`, ``},
		{`{} {}`, 3, `data after the end of the JSON value`, ``},
		{`{"a":1}x`, 7, `data after the end of the JSON value`, ``},
		{`{"a":1,}`, 7, `expected a key in double quotes`, ``},
		{`{a:1}`, 1, `expected a key in double quotes`, ``},
		{`{"a" 1}`, 5, `expected ':' after a key`, ``},
		{`{"a":1 "b":2}`, 7, `expected ',' or '}' after a value`, ``},
		{`{"a":}`, 5, `expected a JSON value`, ``},
		{`{"a":[1 2]}`, 8, `expected ',' or ']' after an element`, ``},
		{`{"a":[1,]}`, 8, `expected a JSON value`, ``},
		{`{"a":[1}`, 7, `expected ',' or ']' after an element`, ``},
		{`{"a":{"b":1]`, 11, `expected ',' or '}' after a value`, ``},
		{`{"a":{"b":1,}}`, 12, `expected a key in double quotes`, ``},
		{`{"a":01}`, 6, `expected ',' or '}' after a value`, ``},
		{`{"a":-}`, 5, `invalid number`, ``},
		{`{"a":1.}`, 5, `invalid number`, ``},
		{`{"a":1e}`, 5, `invalid number`, ``},
		{`{"a":+1}`, 5, `expected a JSON value`, ``},
		{`{"a":nul}`, 5, `expected a JSON value`, ``},
		{`{"a":NaN}`, 5, `expected a JSON value`, ``},
		{`{"a":"\x"}`, 6, `invalid escape in a string`, ``},
		{`{"a":"\u12g4"}`, 6, `invalid \u escape in a string`, ``},
		{"{\"a\":\"1\n\"}", 7, `control character in a string`, ``},
		{"{\"a\x01\":1}", 3, `control character in a key`, ``},
		{`{"a":"bc`, 8, `unexpected end of JSON`, ``},
		{`{"a`, 3, `unexpected end of JSON`, ``},

		{`{"a":1,"a":2}`, 7, `duplicate key "a"`, `a`},
		{`{"max_tokens":10,"Max_Tokens":99999}`, 17, `key "Max_Tokens" differs from "max_tokens" only in case`, `Max_Tokens`},
		{`{"Max_Tokens":10}`, 1, `key "Max_Tokens" differs from "max_tokens" only in case`, `Max_Tokens`},
		{`{"max_to` + "\u212a" + `ens":1}`, 1, `key "max_to` + "\u212a" + `ens" differs from "max_tokens" only in case`, "max_to\u212aens"},
		{`{"` + "\u017f" + `ystem":1}`, 1, `key "` + "\u017f" + `ystem" differs from "system" only in case`, "\u017fystem"},
		{`{"x":1,"é":2,"É":3}`, 14, `key "É" differs from "é" only in case`, `É`},
		{`{"ς":1,"Σ":2}`, 8, `key "Σ" differs from "ς" only in case`, `Σ`},
		{`{"max_toke\u006es":1}`, 1, `escape sequence in a key`, `max_toke`},
		{`{"zone":1,"Zone":2}`, 10, `key "Zone" differs from "zone" only in case`, `Zone`},
		{"{\"\x80\":1}", 1, `key is not valid UTF-8`, "\x80"},
		{"{\"a\xff\":1}", 1, `key is not valid UTF-8`, "a\xff"},
		{`{"` + strings.Repeat("k", 65) + `":1,"` + strings.Repeat("k", 65) + `":1}`, 71,
			`duplicate key "` + strings.Repeat("k", 61) + `..."`, strings.Repeat("k", 61) + "..."},
		{nest(MaxDepth + 1), MaxDepth + 4, `nested deeper than 1000 levels`, ``},
		{many(MaxMembers + 1), len(many(MaxMembers)), `more than 1000 members in one object`, ``},
	} {
		name := tt.in
		if len(name) > 80 {
			name = name[:80]
		}
		members, err := Scan(nil, []byte(tt.in), bodyKeys)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: got %v, %v", name, members, err)
			continue
		}
		if len(members) != 0 {
			t.Errorf("%s: refused, but with members", name)
		}
		if want := (SyntaxError{tt.offset, tt.reason, tt.key}); *syntax != want {
			t.Errorf("%s: got %+v, want %+v", name, *syntax, want)
		}
	}
	for _, in := range []string{nest(MaxDepth), many(MaxMembers)} {
		if _, err := Scan(nil, []byte(in), nil); err != nil {
			t.Errorf("at the limit: %v", err)
		}
	}
}

func TestErrorText(t *testing.T) {
	_, err := Scan(nil, []byte(`{"a":1,"a":2}`), nil)
	if got, want := err.Error(), `duplicate key "a" (at byte 7)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A document cut anywhere is refused, and as ended too early rather than as
// holding something wrong.
func TestScanCut(t *testing.T) {
	doc := []byte(`{"a":"x\n\u00e9","b":[1,-2.5e3,{"c":null,"d":[]}],"e":true,"f":{},"g":false}`)
	for cut := range len(doc) {
		_, err := Scan(nil, doc[:cut], nil)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Reason != "unexpected end of JSON" {
			t.Errorf("cut at %d (%s): %v", cut, doc[:cut], err)
		}
	}
}

// Every kind of container at every depth is closed by its own bracket only.
func TestDepthKeepsKinds(t *testing.T) {
	for _, pattern := range []string{"[", "{", "[{", "{[", "[[{", "{{["} {
		for _, depth := range []int{1, 2, 63, 64, 65, 66, 127, 128, 129, 130, MaxDepth - 1} {
			open, shut := "", ""
			for i := range depth {
				if pattern[i%len(pattern)] == '[' {
					open, shut = open+"[", "]"+shut
				} else {
					open, shut = open+`{"k":`, "}"+shut
				}
			}
			for i := range depth {
				doc := []byte(`{"a":` + open + "0" + shut + "}")
				if _, err := Scan(nil, doc, nil); err != nil {
					t.Fatalf("%s, depth %d: %v", pattern, depth, err)
				}
				if depth > 130 && i%50 != 0 {
					continue
				}
				at := len(doc) - 1 - depth + i
				doc[at] ^= '}' ^ ']'
				if _, err := Scan(nil, doc, nil); err == nil || err.(*SyntaxError).Offset != at {
					t.Fatalf("%s, depth %d, bracket %d is wrong: %v", pattern, depth, i, err)
				}
			}
		}
	}
}

// Sums are a first look only: keys whose sums collide are different keys.
func TestSumsCollide(t *testing.T) {
	a, b := "ZVMHI", "EJDAP" // found by trying
	sumA, _ := foldSum([]byte(a))
	if sumB, _ := foldSum([]byte(b)); sumA != sumB {
		t.Fatalf("%s and %s do not collide", a, b)
	}
	doc := []byte(`{"` + a + `":1,"` + b + `":2}`)
	for _, known := range []*Keys{nil, NewKeys(a), NewKeys(a, b)} {
		if m, err := Scan(nil, doc, known); err != nil || len(m) != 2 {
			t.Errorf("got %v, %v", m, err)
		}
	}
	doc = []byte(`{"` + strings.ToLower(b) + `":1}`)
	if _, err := Scan(nil, doc, NewKeys(a, b)); err == nil || !strings.Contains(err.Error(), b) {
		t.Errorf("variant of the second of two: %v", err)
	}
}

func TestScanAppends(t *testing.T) {
	first, _ := Scan(nil, []byte(`{"a":1}`), nil)
	both, err := Scan(first, []byte(`{"a":2,"b":3}`), nil) // not a duplicate of another document's key
	if err != nil || len(both) != 3 {
		t.Fatalf("got %v, %v", both, err)
	}
	if kept, err := Scan(first, []byte(`{"a":2,"b":x}`), nil); err == nil || len(kept) != 1 {
		t.Errorf("after a refusal: %v, %v", kept, err)
	}
}

func TestNewKeysRefusesVariants(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	NewKeys("a", "b", "A")
}

func TestScanArray(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`[]`, ``},
		{` [ ] `, ``},
		{`[1]`, `1`},
		{` [ "a,]" , {"b":[1,2]} ,[[]], null ] `, `"a,]" {"b":[1,2]} [[]] null`},
	} {
		spans, err := ScanArray(nil, []byte(tt.in))
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
		}
		var got []string
		for _, s := range spans {
			got = append(got, string(s.Value([]byte(tt.in))))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: got %s", tt.in, s)
		}
	}
	for _, tt := range []struct {
		in     string
		offset int
		reason string
	}{
		{``, 0, `unexpected end of JSON`},
		{`{}`, 0, `not a JSON array`},
		{`[1,]`, 3, `expected a JSON value`},
		{`[ `, 2, `unexpected end of JSON`},
		{`[]x`, 2, `data after the end of the JSON value`},
		{`[1`, 2, `unexpected end of JSON`},
		{`[1}`, 2, `expected ',' or ']' after an element`},
		{`[1]]`, 3, `data after the end of the JSON value`},
		{`[` + strings.Repeat("0,", MaxElements) + `0]`, 1 + 2*MaxElements, `more than 100000 elements in one array`},
	} {
		_, err := ScanArray(nil, []byte(tt.in))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != tt.offset || syntax.Reason != tt.reason {
			t.Errorf("%.20s: %v", tt.in, err)
		}
	}
}

func TestAllocations(t *testing.T) {
	doc := sampleBody(4 << 10)
	members := make(Members, 0, 16)
	out := make([]byte, 0, 2*len(doc))
	array := []byte(`[1,{"a":"b"},[],"c"]`)
	spans := make([]Span, 0, 8)
	version, text := []byte(`"bedrock-2023-05-31"`), []byte(`"a\n\u00e9\ud83d\ude00"`)
	for name, f := range map[string]func(){
		"Scan":      func() { members, _ = Scan(members[:0], doc, bodyKeys) },
		"ScanArray": func() { spans, _ = ScanArray(spans[:0], array) },
		"Splice": func() {
			out = Splice(out[:0], doc, members, Edit{Key: "model"}, Edit{Key: "stream"}, Edit{"anthropic_version", version})
		},
		"String":       func() { out, _ = String(out[:0], text) },
		"AppendString": func() { out = AppendString(out[:0], "a\n\x00é\xff") },
		"Get":          func() { members.Get("stream") },
	} {
		members, _ = Scan(members[:0], doc, bodyKeys)
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzScan holds Scan to encoding/json: what it accepts is valid and has the
// same members; what it refuses is invalid or refused by name.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1}`, `{"a":1,"A":2}`, `{"a":[{"b":"\u0041\n"}],"c":-1.5e+3}`, `{"\u0061":1}`, `[]`, `{"a":1}}`,
		"{\"\u017f\":1,\"s\":2}", "{\"\xff\":1}", `{"a":"` + "\x1f" + `"}`, `{"a":"12345678\"12345678"}`,
	} {
		f.Add([]byte(s))
	}
	named := []string{"not a JSON object", "escape sequence in a key", "duplicate key ", "key \"",
		"key is not valid UTF-8", "nested deeper", "more than 1000 members"}
	f.Fuzz(func(t *testing.T, doc []byte) {
		members, err := Scan(nil, doc, nil)
		var syntax *SyntaxError
		if err != nil {
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(doc) {
				t.Fatalf("error %#v", err)
			}
			if !json.Valid(doc) {
				return
			}
			for _, n := range named {
				if strings.HasPrefix(syntax.Reason, n) {
					return
				}
			}
			t.Fatalf("valid JSON refused: %v", err)
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(doc, &want); err != nil {
			t.Fatalf("accepted, but encoding/json says %v", err)
		}
		if len(want) != len(members) {
			t.Fatalf("%d members, want %d", len(members), len(want))
		}
		for _, m := range members {
			if v, ok := want[string(m.Key)]; !ok || !bytes.Equal(v, m.Value(doc)) {
				t.Fatalf("member %q is %q, want %q", m.Key, m.Value(doc), v)
			}
		}
		if same := Splice(nil, doc, members); !bytes.Equal(same, doc) {
			t.Fatalf("splice without edits changed %q to %q", doc, same)
		}
	})
}

// FuzzFold holds case folding to the rule of encoding/json: a struct field is
// filled from a key exactly when Scan takes the key for a variant of it.
func FuzzFold(f *testing.F) {
	for _, s := range []string{"sk", "SK", "\u017fk", "s\u212a", "s", "ks", "sk "} {
		f.Add(s)
	}
	known := NewKeys("sk")
	f.Fuzz(func(t *testing.T, key string) {
		quoted, err := json.Marshal(key)
		if err != nil || strings.ContainsAny(string(quoted), "\\\ufffd") {
			return
		}
		doc := []byte(`{` + string(quoted) + `:1}`)
		var v struct {
			SK int `json:"sk"`
		}
		if err := json.Unmarshal(doc, &v); err != nil {
			t.Fatal(err)
		}
		_, err = Scan(nil, doc, known)
		if want := v.SK == 1 && key != "sk"; (err != nil) != want {
			t.Fatalf("key %q: error %v, encoding/json takes it: %v", key, err, v.SK == 1)
		}
	})
}

func sampleBody(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"global.anthropic.claude-opus-4-6-v1:0","max_tokens":1024,"stream":true,"system":"You are terse.","messages":[`)
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"role":%q,"content":[{"type":"text","text":"Turn %d: the quick brown fox jumps over the lazy dog.\nIt said \"well\" and went on to the far side of the outcrop, where the rock comes to the surface."}]}`,
			[]string{"user", "assistant"}[i%2], i)
	}
	b.WriteString(`],"anthropic_version":"bedrock-2023-05-31"}`)
	return b.Bytes()
}

func BenchmarkScanSplice(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		doc := sampleBody(size)
		members := make(Members, 0, 16)
		out := make([]byte, 0, 2*len(doc))
		version := []byte(`"bedrock-2023-05-31"`)
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				members, _ = Scan(members[:0], doc, bodyKeys)
				out = Splice(out[:0], doc, members, Edit{Key: "model"}, Edit{Key: "stream"}, Edit{"anthropic_version", version})
			}
		})
	}
}
