package invocationlog

import (
	"encoding/json"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/activity"
)

func TestContains(t *testing.T) {
	x := exchange("InvokeModelWithResponseStream", `{"text":"\u4e16\u754c says \"Hi\"\n\ud83d\ude00 C:\\new ÄRGER","n":1}`, stream)
	for text, want := range map[string]bool{
		"世界": true, `says "hi"`: true, "😀": true, `c:\new`: true, "ärger": true, // of the request
		"hello 世界": true, `hm "so"`: true, // of the answer, over the border of two events
		"nothing of it": false,
	} {
		if got := Contains(x, text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	x.Events = []activity.Event{{Name: "of_tomorrow", Data: []byte(`{"x":"needle"}`)}}
	if !Contains(x, "Needle") {
		t.Error("an answer of another form")
	}
	if Contains(&activity.Exchange{}, "x") {
		t.Error("nothing contains x")
	}
}

func FuzzUnescape(f *testing.F) {
	f.Add("a\"b\\c\n\u4e16\U0001f600\t\x00")
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := json.Marshal(s)
		if err != nil {
			t.Skip()
		}
		var want string
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		for _, c := range want {
			if c == '\b' || c == '\f' {
				t.Skip() // they become spaces
			}
		}
		if got := string(unescape(raw)); got != `"`+want+`"` {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}

func FuzzUnescapeAnything(f *testing.F) {
	for _, s := range []string{`\`, `\u`, `\u12`, `\ud83d`, `\ud83d\u`, `\ud83d\ud83d`, `\uzzzz`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { unescape(raw) })
}
