package jsonspan

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestString(t *testing.T) {
	for in, want := range map[string]string{
		`""`:                       "",
		`"abc"`:                    "abc",
		`"\"\\\/\b\f\n\r\t\u00e9"`: "\"\\/\b\f\n\r\té",
		`"\ud83d\ude00"`:           "😀",
		`"\ud83dx"`:                "\ufffdx",
		`"\ude00\ud83d"`:           "\ufffd\ufffd",
		`"\ud83d\u0041"`:           "\ufffdA",
		"\"a\xff\xe2\x82b\"":       "a\ufffd\ufffd\ufffdb",
	} {
		got, err := String([]byte(">"), []byte(in))
		if err != nil || string(got) != ">"+want {
			t.Errorf("%s: got %q, %v", in, got, err)
		}
	}
	for _, in := range []string{``, `1`, `null`, `"`, `"a`, `"a"b`, ` "a"`, `"\"`, `"\u12"`, "\"\n\""} {
		if got, err := String(nil, []byte(in)); err == nil {
			t.Errorf("%s: got %q", in, got)
		}
	}
}

func FuzzString(f *testing.F) {
	for _, s := range []string{`""`, `"a\u00e9\ud83d\ude00"`, `"\ud83d"`, "\"\xff\"", `"\ud83d\u12"`, `x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want string
		wantErr := json.Unmarshal(raw, &want)
		got, err := String(nil, raw)
		switch {
		case err == nil && (wantErr != nil || string(got) != want):
			t.Fatalf("%q: got %q, encoding/json %q, %v", raw, got, want, wantErr)
		case err != nil && wantErr == nil && raw[0] == '"' && raw[len(raw)-1] == '"':
			t.Fatalf("%q: %v", raw, err)
		}
	})
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a\"\\\x00\x1f\x7f\n\r\té\u2028", "\xff\xe2\x82"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw := AppendString(nil, s)
		var got string
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		want := s
		if !utf8.ValidString(s) {
			want = strings.Map(func(r rune) rune { return r }, s) // each bad byte becomes U+FFFD
		}
		if got != want {
			t.Fatalf("%q became %s", s, raw)
		}
	})
}

func TestInt(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "-0": 0, "7": 7, "-12": -12,
		"9223372036854775807": 9223372036854775807, "-9223372036854775808": -9223372036854775808,
	} {
		if got, ok := Int([]byte(in)); !ok || got != want {
			t.Errorf("%s: got %d, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "-", "01", "+1", "1.0", "1e3", " 1", "1 ", `"1"`, "null", "true", "-a",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999"} {
		if got, ok := Int([]byte(in)); ok {
			t.Errorf("%s: got %d", in, got)
		}
	}
}

func FuzzInt(f *testing.F) {
	for _, s := range []string{"0", "-1", "9223372036854775808", "1e3", "18446744073709551616"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var want *int64
		err := json.Unmarshal([]byte(raw), &want)
		got, ok := Int([]byte(raw))
		if ok != (err == nil && want != nil && strings.TrimSpace(raw) == raw) || ok && got != *want {
			t.Fatalf("%q: got %d, %v; encoding/json %v", raw, got, ok, err)
		}
	})
}

func TestBool(t *testing.T) {
	for in, want := range map[string][2]bool{
		"true": {true, true}, "false": {false, true}, "null": {}, "True": {}, "1": {}, "": {}, `"true"`: {},
	} {
		if v, ok := Bool([]byte(in)); v != want[0] || ok != want[1] {
			t.Errorf("%s: got %v, %v", in, v, ok)
		}
	}
}
