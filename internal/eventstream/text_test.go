package eventstream

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestDump(t *testing.T) {
	odd := AppendMessage(nil, []Header{StringHeader("a", "1"), StringHeader("a", "2")}, nil)
	in := append(stream(), odd...)
	const want = `{"headers":{":event-type":"chunk",":content-type":"application/json",":message-type":"event"},"payload":{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"abc"},"event":{"type":"ping"}}
{"headers":{}}
{"headers":{"yes":{"bool":true},"no":{"bool":false},"i8":{"int8":-49},"i16":{"int16":-2},"i32":{"int32":40972},"i64":{"int64":-9223372036854775808},"bytes":{"bytes":"AP8="},"text":"ü","at":{"timestamp":8675309},"id":{"uuid":"01020304-0506-0708-090a-0b0c0d0e0f10"}},"base64":"bm90IEpTT04="}
{"headers":{":exception-type":"throttlingException",":content-type":"application/json",":message-type":"exception"},"payload":{"message":"slow down"}}
{"raw":"AAAAHAAAAAzJhOnBAWEHAAExAWEHAAEySTSqXA=="}
`
	var text, back bytes.Buffer
	if err := Dump(&text, bytes.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	if text.String() != want {
		t.Errorf("got\n%swant\n%s", text.Bytes(), want)
	}
	if err := Load(&back, &text); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Bytes(), in) {
		t.Error("Load gives other bytes")
	}
	text.Reset()
	if err := Dump(&text, bytes.NewReader(in[:len(in)-1])); err != io.ErrUnexpectedEOF {
		t.Errorf("cut: %v", err)
	}
	if n := strings.Count(text.String(), "\n"); n != 4 {
		t.Errorf("cut: %d lines", n)
	}
}

func TestPayloadForms(t *testing.T) {
	deep := strings.Repeat("[", 10000) + strings.Repeat("]", 10000) // as deep as encoding/json goes
	for _, tt := range []struct{ payload, want string }{
		{`null`, `"payload":null`},
		{`"a\u00e9"`, `"payload":"a\u00e9"`},
		{`[1,2]`, `"payload":[1,2]`},
		{`[1, 2]`, `"base64":"WzEsIDJd"`},
		{"1\n", `"base64":"MQo="`},
		{`1],[2`, `"base64":"MV0sWzI="`},
		{"\"\xff\"", `"base64":"Iv8i"`},
		{`<&>`, `"base64":"PCY+"`},
		{`{"bytes":"e30="}`, `"payload":{"bytes":"e30="},"event":{}`},
		{`{"bytes":"e30"}`, `"payload":{"bytes":"e30"}`},
		{`{"bytes":"eyB9"}`, `"payload":{"bytes":"eyB9"}`}, // "{ }": not compact
		{`{"bytes":7}`, `"payload":{"bytes":7}`},
		{`{"Bytes":"e30="}`, `"payload":{"Bytes":"e30="}`},
		{deep, `"base64":"W1tb`},
	} {
		frame := AppendMessage(nil, nil, []byte(tt.payload))
		var text, back bytes.Buffer
		if err := Dump(&text, bytes.NewReader(frame)); err != nil {
			t.Fatal(err)
		}
		line := text.String()
		if !strings.HasPrefix(line, `{"headers":{},`+tt.want) {
			t.Errorf("%.40s: %.80s", tt.payload, line)
		}
		if err := Load(&back, &text); err != nil || !bytes.Equal(back.Bytes(), frame) {
			t.Errorf("%.40s: Load: %v", tt.payload, err)
		}
	}
}

// What a person may write beyond what Dump does.
func TestLoadByHand(t *testing.T) {
	const in = `
		{ "headers" : { "a" : { "int8" : 7 } , "b" : "x" },
		  "event" : { "type" : "ping" } }

		{} {"payload":{"bytes": "e30="},"event":{ }}`
	want := AppendMessage(nil, []Header{IntHeader("a", Int8, 7), StringHeader("b", "x")}, []byte(`{"bytes":"eyJ0eXBlIjoicGluZyJ9"}`))
	want = AppendMessage(want, nil, nil)
	want = AppendMessage(want, nil, []byte(`{"bytes":"e30="}`))
	var got bytes.Buffer
	if err := Load(&got, strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got %q, want %q", got.Bytes(), want)
	}
}

func TestLoadRefuses(t *testing.T) {
	for in, want := range map[string]string{
		`{"headers":{}`:                                `frame 2: unexpected EOF`,
		`[]`:                                           `not a JSON object`,
		`{"header":{}}`:                                `unknown member "header"`,
		`{"payload":1,"payload":2}`:                    `member "payload" twice`,
		`{"payload":1,"base64":"MQ=="}`:                `both payload and base64`,
		`{"base64":"MQ==","payload":1}`:                `both payload and base64`,
		`{"base64":"MQ"}`:                              `base64: illegal base64 data`,
		`{"base64":null}`:                              `not a JSON string`,
		`{"headers":null}`:                             `headers: not a JSON object`,
		`{"headers":{"a":1}}`:                          `header "a": not a JSON object`,
		`{"headers":{"a":{}}}`:                         `header "a": 0 types`,
		`{"headers":{"a":{"int8":1,"int16":1}}}`:       `header "a": 2 types`,
		`{"headers":{"a":{"int8":128}}}`:               `out of range`,
		`{"headers":{"a":{"int32":1.5}}}`:              `invalid syntax`,
		`{"headers":{"a":{"float":1}}}`:                `unknown type "float"`,
		`{"headers":{"a":{"bool":null}}}`:              `neither true nor false`,
		`{"headers":{"a":{"uuid":"0102"}}}`:            `header "a" has a value of 2 bytes`,
		`{"headers":{"":"x"}}`:                         `header name of 0 bytes`,
		`{"headers":{"a":"x","a":"y"}}`:                `member "a" twice`,
		`{"payload":{"bytes":"e30="},"event":{"a":1}}`: `event is not what payload.bytes holds`,
		`{"payload":{},"event":{}}`:                    `event is not what payload.bytes holds`,
		`{"raw":"AAAA"}`:                               `raw: unexpected EOF`,
		`{"raw":"AAAA","payload":1}`:                   `raw stands for the whole frame`,
		`{"raw":"AAAAEAAAAAAAAAAAAAAAAA=="}`:           `raw: eventstream: frame at byte 0`,
		`{"base64":"` + strings.Repeat("AAAA", MaxPayload/3+1) + `"}`: `frame larger than the limit`,
	} {
		err := Load(io.Discard, strings.NewReader("{}\n"+in))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "frame 2: ") {
			t.Errorf("%.60s: got %v, want %s", in, err, want)
		}
	}
	two := AppendMessage(AppendMessage(nil, nil, nil), nil, nil)
	if err := Load(io.Discard, strings.NewReader(`{"raw":"`+base64.StdEncoding.EncodeToString(two)+`"}`)); err == nil || !strings.Contains(err.Error(), "more than one frame") {
		t.Errorf("two frames in one raw: %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteErrors(t *testing.T) {
	if err := Dump(failingWriter{}, bytes.NewReader(stream())); err == nil || err.Error() != "disk full" {
		t.Errorf("Dump: %v", err)
	}
	if err := Load(failingWriter{}, strings.NewReader("{}")); err == nil || err.Error() != "disk full" {
		t.Errorf("Load: %v", err)
	}
}
