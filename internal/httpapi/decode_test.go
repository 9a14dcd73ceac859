package httpapi

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

type decoded struct {
	Name  string `json:"name"`
	Flag  *bool  `json:"flag"`
	Blob  []byte `json:"blob"`
	Inner *struct {
		List []struct {
			Key string `json:"key"`
		} `json:"list"`
	} `json:"inner"`
}

func TestDecode(t *testing.T) {
	for _, test := range []struct{ body, words string }{ // "": taken
		{`{}`, ""},
		{``, ""},
		{" \n", ""},
		{`{"name":null,"flag":true,"blob":"aGk=","inner":{"list":[{"key":"a"},{"key":"A"}]}}`, ""},
		{`[]`, "not a JSON object"},
		{`"name"`, "not a JSON object"},
		{`{"name":"a"} {}`, "after the"},
		{`{"name":`, "unexpected end"},
		{`{"other":1}`, `unknown field "other"`},
		{`{"inner":{"other":1}}`, `unknown field "other"`},
		{`{"name":"a","name":"b"}`, `"name"`},
		{`{"name":"a","Name":"b"}`, "only in case"},
		{`{"inner":{"list":[],"LIST":[]}}`, "only in case"},
		{`{"inner":{"list":[{"key":"a","key":"b"}]}}`, `"key"`},
		{`{"name":1}`, "#/name: expected string, found number"},
		{`{"flag":"yes"}`, "#/flag: expected boolean, found string"},
		{`{"inner":[]}`, "#/inner: expected object, found array"},
		{`{"inner":{"list":{}}}`, "#/inner/list: expected array, found object"},
		{`{"blob":"?"}`, "base64"},
	} {
		err := decode([]byte(test.body), new(decoded))
		switch {
		case test.words == "" && err != nil:
			t.Errorf("%s: %v", test.body, err)
		case test.words != "" && (err == nil || messages.AsError(err).Kind != messages.InvalidRequest || !strings.Contains(err.Error(), test.words)):
			t.Errorf("%s: %v, want %s", test.body, err, test.words)
		}
	}
}

// What decode takes, encoding/json takes, and understands the same.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `{"name":"a","inner":{"list":[{"key":"b"}]}}`, `{"a":[[[{}]]]}`, `{"a":1}x`, "{\"\\u006eame\":1}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var got, want decoded
		if decode([]byte(body), &got) != nil || strings.TrimSpace(body) == "" {
			return
		}
		if err := json.Unmarshal([]byte(body), &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, %+v, %v", body, got, want, err)
		}
	})
}
