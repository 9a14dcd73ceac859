package recording

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
)

func frames(events ...string) []byte {
	var b []byte
	for _, e := range events {
		raw, _ := json.Marshal(map[string][]byte{"bytes": []byte(e)})
		b = eventstream.AppendEvent(b, "chunk", "application/json", raw)
	}
	return b
}

func answer(kind string, body []byte) Answer {
	return Answer{Status: 200, Header: http.Header{"Content-Type": {kind}}, Body: body}
}

const stream = "application/vnd.amazon.eventstream"

// Whatever an answer is, its bytes come back.
func TestRoundTrip(t *testing.T) {
	damaged := frames(`{"type":"message_stop"}`)
	damaged[len(damaged)-1] ^= 1
	padded := eventstream.AppendEvent(nil, "chunk", "application/json", []byte(`{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(`{"type":"a","b":"} c"}`))+`","p":"abcdef"}`))
	padded = eventstream.AppendEvent(padded, "messageStop", "application/json", []byte(`{"p":"a"}`))
	padded = eventstream.AppendException(padded, "throttlingException", []byte(`{"message":"x"}`))
	padded = eventstream.AppendEvent(padded, "chunk", "text/plain", []byte("{\"bytes\" : \"e30K\"}"))
	var want []Exchange
	file := AppendHead(nil)
	for i, tt := range []struct {
		Answer
		text string // in the file
	}{
		{answer("application/json", []byte(`{"a":"ü\u00fc","b":[]}`)), "{\n  \"a\": \"ü\\u00fc\",\n  \"b\": []\n}"},
		{answer("application/json", []byte(`{"a": 1}`)), "Encoding: base64"},
		{answer("application/json", []byte("{\"a\":1}\n")), "Encoding: base64"},
		{answer("application/json", nil), "200\nContent-Type: application/json\n\n"},
		{answer(stream, frames(`{"type":"message_start"}`, `{"type":"message_stop"}`)), "\nchunk {\"type\":\"message_start\"}\nchunk {\"type\":\"message_stop\"}\n"},
		{answer(stream, padded), "\nchunk {\"type\":\"a\",\"b\":\"} c\"} abcdef\nmessageStop {\"p\":\"a\"}\n{\"headers\":{\":exception-type\""},
		{answer(stream, damaged), "Encoding: base64"},
		{answer(stream, []byte("half a frame")), "Encoding: base64"},
		{answer("text/event-stream; charset=utf-8", []byte("event: ping\ndata: {}\n\n")), "event: ping\ndata: {}\n\n"},
		{answer("text/event-stream", []byte("event: ping\r\ndata: {}\r\n\r\n")), "Encoding: base64"},
		{answer("text/plain", []byte("-- call 9 --\n")), "Encoding: base64"},
		{answer("text/plain", []byte("no line end")), "Encoding: base64"},
		{Answer{Status: 429, Header: http.Header{"Retry-After": {"2"}, "Content-Type": {"application/json"}}, Body: []byte(`{"message":"x"}`)}, "429\nContent-Type: application/json\nRetry-After: 2\n"},
	} {
		e := Exchange{Call{Operation: "CountTokens", Model: "m:0", Converse: i%2 == 0, Header: http.Header{"Anthropic-Beta": {"a, b"}}, Body: []byte(`{"n":1.50}`)}, tt.Answer}
		text, err := e.AppendText(nil, i+1)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(tt.text)) {
			t.Errorf("%q is not within\n%s", tt.text, text)
		}
		file = append(file, text...)
		want = append(want, e)
	}
	for name, file := range map[string][]byte{"as written": file, "checked out on Windows": bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n"))} {
		got, err := Parse(bytes.NewReader(file))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) && !(len(want[i].Answer.Body) == 0 && len(got[i].Answer.Body) == 0) {
				t.Errorf("%s: %d\n got  %+v\n want %+v", name, i+1, got[i], want[i])
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const call = "-- call 1 --\nInvokeModel m\n\n{}\n"
	const reply = "-- answer 1 --\n200\nContent-Type: application/json\n\n{}\n"
	for text, want := range map[string]string{
		"":                                 "this is no recording",
		"rules: []":                        "this is no recording",
		magic + "\n" + reply:               "want call 1",
		magic + "\n" + call:                "call 1 has no answer",
		magic + "\n" + call + call:         "line 6: call 1: want answer 1",
		magic + "\n" + call + reply + call: "want call 2",
		magic + "\n-- note --\nx\n" + call: "line 2: note: want call 1",
		magic + "\n-- call 1 --\nListFoundationModels\n\n{}\n" + reply:                                   `"ListFoundationModels" is no operation`,
		magic + "\n-- call 1 --\nInvokeModel m\n\n{\n" + reply:                                           "line 2: call 1: the body",
		magic + "\n-- call 1 --\nInvokeModel m\nAuthorization: x\n\n{}\n":                                "the header Authorization is none",
		magic + "\n-- call 1 --\nInvokeModel m\nInput: converse\n\n{}\n":                                 "is not known",
		magic + "\n-- call 1 --\nInvokeModel m\nnot a header\n\n{}\n":                                    "is no header",
		magic + "\n-- call 1 --\nInvokeModel m\nanthropic-beta: a\n\n{}\n":                               "is no header",
		magic + "\n-- call 1 --\nInvokeModel m\n":                                                        "no empty line",
		magic + "\n" + call + "-- answer 1 --\nOK\n\n{}\n":                                               "no HTTP status",
		magic + "\n" + call + "-- answer 1 --\n200\nSet-Cookie: a\n\n{}\n":                               "the header Set-Cookie is none",
		magic + "\n" + call + "-- answer 1 --\n200\nEncoding: gzip\n\n{}\n":                              `"gzip" is not known`,
		magic + "\n" + call + "-- answer 1 --\n200\nEncoding: base64\n\n{}\n":                            "illegal base64",
		magic + "\n" + call + strings.NewReplacer("application/json", stream, "{}", "[]").Replace(reply): "frame 1",
	} {
		if _, err := Parse(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if got, err := Parse(strings.NewReader(magic + "\n" + call + reply)); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	e := Exchange{Call{Operation: "InvokeModel", Model: "m", Header: http.Header{"Anthropic-Beta": {"a"}}, Body: []byte(`{"a":[1]}`)}, answer(stream, frames(`{"type":"ping"}`))}
	text, err := e.AppendText(AppendHead(nil), 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(magic + "\n-- call 1 --\nConverseStream m\n\n{}\n-- answer 1 --\n200\nContent-Type: " + stream + "\n\nmessageStop {\"p\":\"\"}\nchunk {} a\nchunk x\n"))
	e.Answer = answer("text/event-stream", []byte("event: ping\ndata: {}\n\n"))
	if text, err = e.AppendText(AppendHead(nil), 1); err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	e.Answer = answer("application/json", []byte(`{"a": 1}`))
	if text, err = e.AppendText(AppendHead(nil), 1); err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, file []byte) {
		first, err := Parse(bytes.NewReader(file))
		if err != nil {
			return
		}
		again := AppendHead(nil)
		for i := range first {
			if again, err = first[i].AppendText(again, i+1); err != nil {
				t.Fatal(err)
			}
		}
		second, err := Parse(bytes.NewReader(again))
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		if len(second) != len(first) {
			t.Fatalf("%d exchanges, then %d", len(first), len(second))
		}
		for i := range first {
			if !bytes.Equal(first[i].Answer.Body, second[i].Answer.Body) || first[i].Answer.Status != second[i].Answer.Status {
				t.Errorf("answer %d: %q, then %q", i+1, first[i].Answer.Body, second[i].Answer.Body)
			}
			a, err := first[i].Call.Meaning()
			if err != nil {
				continue // a body with two values, say
			}
			if b, err := second[i].Call.Meaning(); err != nil || a.Key() != b.Key() {
				t.Errorf("call %d: %v\n%s", i+1, err, again)
			}
		}
	})
}

func TestMeaning(t *testing.T) {
	same := func(a, b string) bool {
		x, err := Call{Operation: "Converse", Body: []byte(a)}.Meaning()
		if err != nil {
			t.Fatal(err)
		}
		y, err := Call{Operation: "Converse", Body: []byte(b)}.Meaning()
		if err != nil {
			t.Fatal(err)
		}
		return x.Key() == y.Key() && len(x.Diff(y)) == 0
	}
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":2}`, "{ \"b\" : 2,\n\"a\" : 1 }", true},
		{`{"a":1}`, `{"a":1.0}`, true},
		{`{"a":1}`, `{"a":10e-1}`, true},
		{`{"a":100}`, `{"a":1E+2}`, true},
		{`{"a":0.5}`, `{"a":5e-1}`, true},
		{`{"a":0}`, `{"a":-0.0e9}`, true},
		{`{"a":-1}`, `{"a":1}`, false},
		{`{"a":1}`, `{"a":10}`, false},
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
		{`{"a":1e999999999}`, `{"a":10e999999998}`, true},
		{`{"a":"ü"}`, `{"a":"\u00fc"}`, true},
		{`{"a":"1"}`, `{"a":1}`, false},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{`{"a":null}`, `{}`, false},
		{`{"a":{}}`, `{"a":[]}`, false},
		{`{"a":1,"metadata":{"user_id":"x"}}`, `{"a":1,"requestMetadata":{"team":"y"}}`, true},
		{`{"a":{"metadata":1}}`, `{"a":{"metadata":2}}`, false},
		{`{"mcp_servers":[{"authorization_token":"x"}]}`, `{"mcp_servers":[{"authorization_token":"y"}]}`, true},
	} {
		if got := same(tt.a, tt.b); got != tt.want {
			t.Errorf("%s and %s: the same %v", tt.a, tt.b, got)
		}
	}
}

// What a tape leaves out, it names.
func TestTapeLeavesOut(t *testing.T) {
	key := "sk" + "-ant-" + strings.Repeat("k", 30)
	const path, body = "/model/m/invoke", `{"messages":[]}`
	reply := func(kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, text)
		}
	}
	for name, tt := range map[string]struct {
		h          http.HandlerFunc
		path, body string
		kept       int
		left       string
	}{
		"good":        {reply("application/json", "{}"), path, body, 1, ""},
		"no call":     {reply("application/json", "{}"), "/foundation-models", body, 0, ""},
		"half":        {reply("application/json", `{"a":`), path, body, 0, "not whole"},
		"half stream": {reply(stream, string(frames(`{"type":"message_start"}`))), path, body, 0, "not whole"},
		"cut stream":  {reply(stream, string(frames(`{"type":"message_stop"}`)[:20])), path, body, 0, "not whole"},
		"half sse":    {reply("text/event-stream", "event: ping\ndata: {}\n\n"), "/v1/messages", body, 0, "not whole"},
		"sse":         {reply("text/event-stream", "event: message_stop\ndata: {}\n\n"), "/v1/messages", body, 1, ""},
		"a key":       {reply("application/json", `{"a":"`+key+`"}`), path, body, 0, "shows a key"},
		"a key asked": {reply("application/json", `{}`), path, `{"a":"` + key + `"}`, 1, ""},
		"broken off": {func(w http.ResponseWriter, r *http.Request) {
			reply(stream, string(frames(`{"type":"message_start"}`)))(w, r)
			panic(http.ErrAbortHandler)
		}, path, body, 0, "not whole"},
		"no JSON":  {reply("application/json", `{}`), path, `x`, 0, "not JSON"},
		"no count": {reply("application/json", `{}`), "/model/m/count-tokens", `{"input":{"invokeModel":{"body":"*"}}}`, 0, "not base64"},
		"no model": {reply("application/json", `{}`), "/model/m%0A/invoke", body, 0, "model id"},
		"a stranger": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Amzn-Errortype", "UnrecognizedClientException")
			reply("application/json", "{}")(w, r)
		}, path, body, 0, "credentials"},
	} {
		var file bytes.Buffer
		tape, err := NewTape(&file)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(context.Background(), "POST", tt.path, strings.NewReader(tt.body))
		func() {
			defer func() { _ = recover() }()
			tape.Handler(tt.h).ServeHTTP(httptest.NewRecorder(), r)
		}()
		n, left, err := tape.End()
		if n != tt.kept || err != nil || (tt.left == "") != (len(left) == 0) || !strings.Contains(strings.Join(left, ""), tt.left) {
			t.Errorf("%s: %d kept, left %q, %v", name, n, left, err)
		}
		if strings.Contains(file.String(), key) {
			t.Errorf("%s: the key is in the file", name)
		}
		if _, err := Parse(&file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
