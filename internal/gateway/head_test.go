package gateway

import (
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// TestSchema: what the schema refuses, in the words of AWS on its own surface and
// in Anthropic's on the Messages API.
func TestSchema(t *testing.T) {
	aws := func(s string) string {
		return "Malformed input request: " + s + ", please reformat your input and try again."
	}
	for _, test := range []struct {
		body     string // without the members that differ by surface
		invoke   string
		messages string
	}{
		{`"messages":[{}]`, aws("#: required key [max_tokens] not found"), "max_tokens: Field required"},
		{`"max_tokens":1`, aws("#: required key [messages] not found"), "messages: Field required"},
		{`"max_tokens":0,"messages":[{}]`, aws("#/max_tokens: expected an integer of at least 1"), "max_tokens: Input should be an integer of at least 1"},
		{`"max_tokens":-1,"messages":[{}]`, aws("#/max_tokens: expected an integer of at least 1"), "max_tokens: Input should be an integer of at least 1"},
		{`"max_tokens":1.5,"messages":[{}]`, aws("#/max_tokens: expected an integer of at least 1"), "max_tokens: Input should be an integer of at least 1"},
		{`"max_tokens":"1","messages":[{}]`, aws("#/max_tokens: expected an integer of at least 1"), "max_tokens: Input should be an integer of at least 1"},
		{`"max_tokens":null,"messages":[{}]`, aws("#/max_tokens: expected an integer of at least 1"), "max_tokens: Input should be an integer of at least 1"},
		{`"max_tokens":9223372036854775808,"messages":[{}]`, aws("#/max_tokens: expected an integer of at least 1"), "max_tokens: Input should be an integer of at least 1"},
		{`"max_tokens":1,"messages":"hi"`, aws("#/messages: expected an array"), "messages: Input should be an array"},
		{`"max_tokens":1,"messages":null`, aws("#/messages: expected an array"), "messages: Input should be an array"},
		{`"max_tokens":1,"messages":[ ]`, "messages: at least one message is required", "messages: at least one message is required"},
		{`"max_tokens":1,"messages":[{}],"anthropic_beta":"a"`, aws("#/anthropic_beta: expected an array of strings"), "anthropic_beta: Input should be an array of strings"},
		{`"max_tokens":1,"messages":[{}],"anthropic_beta":[1]`, aws("#/anthropic_beta: expected an array of strings"), "anthropic_beta: Input should be an array of strings"},
		{`"max_tokens":1,"messages":[{}],"anthropic_beta":["a\nb"]`, aws("#/anthropic_beta: expected an array of strings without control characters"), "anthropic_beta: Input should be an array of strings without control characters"},
		{`"max_tokens":1,"messages":[{}],"anthropic_beta":["a","b,c\u007f"]`, aws("#/anthropic_beta: expected an array of strings without control characters"), "anthropic_beta: Input should be an array of strings without control characters"},
	} {
		g, _ := newGateway(t, &canned{})
		for _, op := range []*bedrockapi.Operation{bedrockapi.InvokeModel, bedrockapi.InvokeModelStream, bedrockapi.CountTokens} {
			if got := refused(t, g, newCall(op, opus, `{"anthropic_version":"bedrock-2023-05-31",`+test.body+`}`)); got.Message != test.invoke {
				t.Errorf("%s {%s}: %q, want %q", op.Name, test.body, got.Message, test.invoke)
			}
		}
		if got := refused(t, g, newCall(bedrockapi.CreateMessage, "", `{"model":"`+opus+`",`+test.body+`}`)); got.Message != test.messages {
			t.Errorf("messages {%s}: %q, want %q", test.body, got.Message, test.messages)
		}
	}
}

// TestSchemaOfOneSurface: what only one of the two surfaces has.
func TestSchemaOfOneSurface(t *testing.T) {
	const rest = `"max_tokens":1,"messages":[{"role":"user","content":"x"}]}`
	for _, test := range []struct {
		op   *bedrockapi.Operation
		body string
		want string // "": accepted
	}{
		{bedrockapi.InvokeModel, `{` + rest, "required key [anthropic_version] not found"},
		{bedrockapi.InvokeModel, `{"anthropic_version":5,` + rest, "#/anthropic_version: expected a non-empty string"},
		{bedrockapi.InvokeModel, `{"anthropic_version":"bedrock-2023-05-31","model":"x",` + rest, "#: extraneous key [model] is not permitted"},
		{bedrockapi.InvokeModel, `{"anthropic_version":"bedrock-2023-05-31","stream":false,` + rest, "#: extraneous key [stream] is not permitted"},
		{bedrockapi.InvokeModel, `{"anthropic_version":"2019-01-01",` + rest, "#/anthropic_version: expected a version that"},
		{bedrockapi.InvokeModel, `{"anthropic_version":"bedrock-2023-05-31",` + rest, ""},
		{bedrockapi.InvokeModel, `{"anthropic_version":"2023-06-01",` + rest, ""},
		{bedrockapi.CreateMessage, `{` + rest, "model: Field required"},
		{bedrockapi.CreateMessage, `{"model":"",` + rest, "model: Input should be a non-empty string"},
		{bedrockapi.CreateMessage, `{"model":7,` + rest, "model: Input should be a non-empty string"},
		{bedrockapi.CreateMessage, `{"model":"` + opus + `","stream":"yes",` + rest, "stream: Input should be a boolean"},
		{bedrockapi.CreateMessage, `{"model":"` + opus + `","anthropic_version":"2019-01-01",` + rest, "anthropic_version: Input should be a version that"},
		{bedrockapi.CreateMessage, `{"model":"` + opus + `",` + rest, ""},
		{bedrockapi.CountMessage, `{"model":"` + opus + `","messages":[{"role":"user","content":"x"}]}`, ""},
		{bedrockapi.CountMessageBare, `{"model":"` + opus + `","stream":true,"messages":[{"role":"user","content":"x"}]}`, ""},
		{bedrockapi.CountMessage, `{"model":"` + opus + `"}`, "messages: Field required"},
	} {
		g, _ := newGateway(t, &canned{frames: whole(), count: 3})
		ref := opus
		if onMessages(test.op) {
			ref = ""
		}
		err := g.Do(t.Context(), newCall(test.op, ref, test.body), &paper{})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %s: %v, want %q", test.op.Name, test.body, err, test.want)
		}
	}
}

// Bytes on which parsers disagree are refused with their reason.
func TestMalformed(t *testing.T) {
	for body, want := range map[string]string{
		``:                                "unexpected end of JSON",
		`[]`:                              "not a JSON object",
		`{"max_tokens":1`:                 "unexpected end of JSON",
		`{"max_tokens":1,"max_tokens":2}`: `duplicate key "max_tokens"`,
		`{"Max_Tokens":1}`:                `differs from "max_tokens" only in case`,
		`{"\u006dax_tokens":1}`:           "escape",
		hello + `{}`:                      "data after the end",
	} {
		g, _ := newGateway(t, &canned{})
		e := refused(t, g, newCall(bedrockapi.InvokeModel, opus, body))
		if e.Kind != messages.InvalidRequest || !strings.HasPrefix(e.Message, "Malformed input request: ") || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %q, want %q", body, e.Message, want)
		}
	}
}

func TestBetas(t *testing.T) {
	for _, test := range []struct {
		name   string
		header []string
		body   string
		want   []string
	}{
		{"none", nil, "", nil},
		{"header alone", []string{"a", "b"}, "", []string{"a", "b"}},
		{"body alone", nil, `["a","b"]`, []string{"a", "b"}},
		{"both the same, as Python sends them: split at the comma, not trimmed", []string{"a", "b"}, `["a"," b"]`, []string{"a", "b"}},
		{"both, different, as Claude Code sends them", []string{"claude-code-20250219"}, `["interleaved-thinking-2025-05-14"]`, []string{"claude-code-20250219", "interleaved-thinking-2025-05-14"}},
		{"a list in one string", nil, `["a, b","b,,c "]`, []string{"a", "b", "c"}},
		{"null", []string{"a"}, `null`, []string{"a"}},
		{"empty", nil, `[]`, nil},
	} {
		up := &canned{frames: whole()}
		g, _ := newGateway(t, up)
		body := hello
		if test.body != "" {
			body = strings.Replace(hello, `{`, `{"anthropic_beta":`+test.body+`,`, 1)
		}
		call := newCall(bedrockapi.InvokeModel, opus, body)
		call.Betas = test.header
		if err := g.Do(t.Context(), call, &paper{}); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := up.got.Head.Betas; !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if test.header != nil && len(call.Betas) != len(test.header) {
			t.Errorf("%s: the call itself was changed", test.name)
		}
	}
}

func TestModelID(t *testing.T) {
	long := strings.Repeat("a", 2049)
	for _, test := range []struct {
		op   *bedrockapi.Operation
		ref  string
		want string
	}{
		{bedrockapi.InvokeModel, opus, ""},
		{bedrockapi.InvokeModel, "claude-opus-4-6", ""},
		{bedrockapi.InvokeModel, "arn:aws:bedrock:us-west-2:123456789012:inference-profile/" + opus, ""},
		{bedrockapi.InvokeModel, "anthropic.claude-v99", "The provided model identifier is invalid."},
		{bedrockapi.InvokeModel, "with space", "1 validation error detected: Value 'with space' at 'modelId' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:aws"},
		{bedrockapi.InvokeModel, "a/b", "Member must satisfy regular expression pattern"},
		{bedrockapi.InvokeModel, "é", "Member must satisfy regular expression pattern"},
		{bedrockapi.InvokeModel, "a\n", "Member must satisfy regular expression pattern"},
		{bedrockapi.InvokeModel, "", "Member must satisfy regular expression pattern"},
		{bedrockapi.InvokeModel, long[1:], "The provided model identifier is invalid."},
		{bedrockapi.InvokeModel, long, "1 validation error detected: Value '" + long[1:] + "' at 'modelId' failed to satisfy constraint: Member must have length less than or equal to 2048"},
		{bedrockapi.CountTokens, opus, ""},
		{bedrockapi.CountTokens, long[:257], "Member must have length less than or equal to 256"},
		{bedrockapi.CountTokens, "a b", `Member must satisfy regular expression pattern: [a-zA-Z_\.\-/0-9:]+`},
	} {
		g, ring := newGateway(t, &canned{frames: whole()})
		// Not even JSON: the id is looked at first.
		body := "{"
		if test.want == "" || strings.HasPrefix(test.want, "The provided") {
			body = hello
		}
		err := g.Do(t.Context(), newCall(test.op, test.ref, body), &paper{})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want) && !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %.60q: %v, want %.80q", test.op.Name, test.ref, err, test.want)
		}
		if rec := ring.Records()[0]; len(rec.Ref) > maxModelID {
			t.Errorf("the record keeps %d bytes of an id", len(rec.Ref))
		}
	}
}

// FuzzModelID: what the pattern lets pass, the catalog answers; nothing panics.
func FuzzModelID(f *testing.F) {
	f.Add("a")
	f.Add("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude")
	g, _ := newGateway(f, &canned{frames: whole()})
	f.Fuzz(func(t *testing.T, id string) {
		if err := g.Do(t.Context(), newCall(bedrockapi.InvokeModel, id, hello), &paper{}); err != nil && messages.AsError(err).Kind == messages.Internal {
			t.Fatalf("%q: %v", id, err)
		}
	})
}

// FuzzBody: no body panics, and none is an internal error.
func FuzzBody(f *testing.F) {
	f.Add([]byte(hello), uint8(0))
	f.Add([]byte(helloMessages), uint8(1))
	f.Add([]byte(strings.Replace(hello, "bedrock-2023-05-31", "2026-10-21", 1)), uint8(2))
	f.Add([]byte(`{"anthropic_version":"2026-10-21","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"document"}]}],"tools":[{"type":"web_search_1"}]}`), uint8(0))
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"text":"hi"},{"document":{"format":"txt","name":"a","source":{"bytes":"aGk="}}}]}],"inferenceConfig":{"maxTokens":5}}`), uint8(4))
	ops := []*bedrockapi.Operation{bedrockapi.InvokeModel, bedrockapi.CreateMessage, bedrockapi.CountTokens, bedrockapi.CountMessage, bedrockapi.Converse}
	f.Fuzz(func(t *testing.T, body []byte, which uint8) {
		op := ops[int(which)%len(ops)]
		ref := ""
		if !onMessages(op) {
			ref = "global.anthropic.claude-opus-4-7"
		}
		for _, strict := range []bool{false, true} {
			g, _ := newGateway(t, &canned{frames: whole()})
			g.Policy.Strict = strict
			call := newCall(op, ref, string(body))
			if op == bedrockapi.Converse {
				call.Dialect = Converse
			}
			if err := g.Do(t.Context(), call, &paper{}); err != nil && messages.AsError(err).Kind == messages.Internal {
				t.Fatalf("%v", err)
			}
		}
	})
}
