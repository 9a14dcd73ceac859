package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

func canonical(t *testing.T, raw []byte) string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestWith: edits that change nothing give the same body; others keep every byte
// that they are not about, and leave the first body as it was.
func TestWith(t *testing.T) {
	const text = "{ \"model\" : \"m\",\t\"max_tokens\":5, \"x\":1.50 }"
	b, err := NewBody(Messages, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, edits := range [][]jsonspan.Edit{
		nil,
		{{Key: "model", Value: []byte(`"m"`)}},
		{{Key: "absent"}},
		{{Key: "absent"}, {Key: "max_tokens", Value: []byte("5")}},
	} {
		if same, err := b.With(edits...); err != nil || same != b {
			t.Errorf("%v: another body, %v", edits, err)
		}
	}
	for _, test := range []struct {
		edit jsonspan.Edit
		want string
	}{
		{jsonspan.Edit{Key: "model", Value: []byte(`"n"`)}, "{ \"model\" : \"n\",\t\"max_tokens\":5, \"x\":1.50 }"},
		{jsonspan.Edit{Key: "model"}, "{ \"max_tokens\":5, \"x\":1.50 }"},
		{jsonspan.Edit{Key: "stream", Value: []byte("true")}, "{ \"model\" : \"m\",\t\"max_tokens\":5, \"x\":1.50,\"stream\":true }"},
	} {
		other, err := b.With(test.edit)
		if err != nil || string(other.Bytes()) != test.want || other.Dialect() != Messages {
			t.Errorf("%+v: %q, %v; want %q", test.edit, other.Bytes(), err, test.want)
		}
		if _, ok := other.Get("x"); !ok || other.SHA256() != sha256.Sum256([]byte(test.want)) {
			t.Errorf("%+v: spans or sum are of another body", test.edit)
		}
	}
	if string(b.Bytes()) != text || b.SHA256() != sha256.Sum256([]byte(text)) {
		t.Error("the body has changed")
	}
}

func TestIn(t *testing.T) {
	b, err := NewBody(Messages, []byte(hello))
	if err != nil {
		t.Fatal(err)
	}
	if same, err := b.In(Messages); err != nil || same != b {
		t.Errorf("%v", err)
	}
	p, err := b.Params()
	if err != nil || p.LastUser().Content.PlainText() != "hi" {
		t.Fatalf("%+v %v", p, err)
	}
	if again, _ := b.Params(); !reflect.DeepEqual(again, p) || again != p {
		t.Error("decoded twice")
	}
}
