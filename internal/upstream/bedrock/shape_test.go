package bedrock

import (
	"bytes"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// shaped is what would be sent.
func shaped(t *testing.T, o Options, ref string, mantle bool, req gateway.Request) (*outgoing, error) {
	t.Helper()
	o.Accounts = []Account{{Credentials: static{keyID, keySecret, ""}}}
	u, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return u.shape(routes(t, ref, "us-east-1", mantle)[0], req)
}

// A body that needs no change is the caller's own bytes, with the digest that it
// came with.
func TestShapeIsTheIdentity(t *testing.T) {
	for _, body := range []string{
		helloBody,
		" \n" + strings.Replace(helloBody, "{", "{ \"unknown\" : {\"x\":[1, 2]},", 1) + "\n",
		`{"anthropic_beta":["interleaved-thinking-2025-05-14","context-1m-2025-08-07"],` + helloBody[1:],
	} {
		req := request(t, body, false, "context-1m-2025-08-07", "interleaved-thinking-2025-05-14")
		if !strings.Contains(body, "anthropic_beta") {
			req = request(t, body, false)
		}
		out, err := shaped(t, Options{}, opus46, false, req)
		if err != nil {
			t.Fatal(err)
		}
		if &out.data[0] != &req.Body.Bytes()[0] || len(out.data) != len(body) || len(out.warnings) != 0 {
			t.Errorf("%s\nwas changed to %s", body, out.data)
		}
	}
	conv := requestIn(t, gateway.Converse, `{"messages":[],"additionalModelRequestFields":{"anthropic_beta":["context-1m-2025-08-07"],"top_k":5}}`, false)
	out, err := shaped(t, Options{}, opus46, false, conv)
	if err != nil || &out.data[0] != &conv.Body.Bytes()[0] {
		t.Errorf("%s %v", out.data, err)
	}
}

func TestShape(t *testing.T) {
	const rest = `"max_tokens":1,"messages":[]`
	tests := []struct {
		name   string
		opts   Options
		ref    string
		mantle bool
		body   string
		betas  []string
		want   string
		header string // version and betas
		warn   string // within the warnings
		err    string
	}{
		{name: "Messages to InvokeModel", ref: opus46, body: `{"model":"x","stream":false,` + rest + `}`,
			want: `{` + rest + `,"anthropic_version":"bedrock-2023-05-31"}`},
		{name: "Anthropic's name of the version", ref: opus46, body: `{"anthropic_version":"2023-06-01",` + rest + `}`,
			want: `{"anthropic_version":"bedrock-2023-05-31",` + rest + `}`},
		{name: "betas of the header join the body's", ref: opus46, betas: []string{"context-1m-2025-08-07", "interleaved-thinking-2025-05-14"},
			body: `{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["interleaved-thinking-2025-05-14"],` + rest + `}`,
			want: `{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["context-1m-2025-08-07","interleaved-thinking-2025-05-14"],` + rest + `}`},
		{name: "a beta that nobody knows passes", ref: opus46, betas: []string{"brand-new-2027-01-01"}, body: `{` + rest + `}`,
			want: `{` + rest + `,"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["brand-new-2027-01-01"]}`},
		{name: "a refused one goes, with its field", ref: opus46, betas: []string{"mcp-client-2025-11-20"}, body: `{"mcp_servers":[{"a":1}],` + rest + `,"anthropic_beta":["mcp-client-2025-11-20"]}`,
			want: `{` + rest + `,"anthropic_version":"bedrock-2023-05-31"}`, warn: "beta mcp-client-2025-11-20 was left out: AWS refuses it for claude-opus-4-6, and with it mcp_servers"},
		{name: "a refused one goes, with its field wherever that stands", ref: opus46, betas: []string{"prompt-caching-scope-2026-01-05"},
			body: `{"cache_control":{"type":"ephemeral","scope":"global"},"system":[{"type":"text","text":"s","cache_control":{"scope":"global","type":"ephemeral","ttl":"1h"}}],"tools":[{"name":"a","cache_control":{"type":"ephemeral","scope":"global"}}],"max_tokens":1,"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"text","text":"c","cache_control":{"type":"ephemeral","scope":"global"}}]}]}`,
			want: `{"cache_control":{"type":"ephemeral"},"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],"tools":[{"name":"a","cache_control":{"type":"ephemeral"}}],"max_tokens":1,"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"text","text":"c","cache_control":{"type":"ephemeral"}}]}],"anthropic_version":"bedrock-2023-05-31"}`,
			warn: "beta prompt-caching-scope-2026-01-05 was left out: AWS refuses it for claude-opus-4-6, and with it cache_control.scope"},
		{name: "pass passes", opts: Options{Betas: Pass}, ref: opus46, betas: []string{"mcp-client-2025-11-20"}, body: `{"anthropic_version":"bedrock-2023-05-31","mcp_servers":[],"anthropic_beta":["mcp-client-2025-11-20"],` + rest + `}`,
			want: `{"anthropic_version":"bedrock-2023-05-31","mcp_servers":[],"anthropic_beta":["mcp-client-2025-11-20"],` + rest + `}`},
		{name: "strict refuses", opts: Options{Betas: Strict}, ref: opus46, betas: []string{"mcp-client-2025-11-20"}, body: `{` + rest + `}`, err: "invalid beta flag"},
		{name: "one that has another name at AWS", ref: opus46, betas: []string{"advanced-tool-use-2025-11-20"}, body: `{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["advanced-tool-use-2025-11-20"],"tools":[{"name":"a","defer_loading":true}],` + rest + `}`,
			want: `{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["tool-search-tool-2025-10-19"],"tools":[{"name":"a","defer_loading":true}],` + rest + `}`, warn: "was sent as tool-search-tool-2025-10-19"},
		{name: "the newer version, where it is known", ref: opus5, body: `{"anthropic_version":"2026-10-21",` + rest + `}`,
			want: `{"anthropic_version":"2026-10-21",` + rest + `}`},
		{name: "and where it is not", ref: opus46, body: `{"anthropic_version":"2026-10-21",` + rest + `}`,
			want: `{"anthropic_version":"bedrock-2023-05-31",` + rest + `}`, warn: "sent as bedrock-2023-05-31"},
		{name: "mantle", ref: "anthropic.claude-opus-5", mantle: true, body: `{"model":"claude-opus-5",` + rest + `}`, betas: []string{"a-1", "b-2"},
			want: `{"model":"anthropic.claude-opus-5",` + rest + `}`, header: "2023-06-01 a-1,b-2"},
		{name: "mantle takes the newer version", ref: "anthropic.claude-opus-5", mantle: true, body: `{"model":"anthropic.claude-opus-5","anthropic_version":"2026-10-21",` + rest + `}`,
			want: `{"model":"anthropic.claude-opus-5",` + rest + `}`, header: "2026-10-21"},
		{name: "a model without the Messages API", opts: Options{NativeMessages: true}, ref: opus46, body: `{"anthropic_version":"bedrock-2023-05-31",` + rest + `}`,
			want: `{"anthropic_version":"bedrock-2023-05-31",` + rest + `}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := shaped(t, tt.opts, tt.ref, tt.mantle, request(t, tt.body, false, tt.betas...))
			if tt.err != "" {
				e := asError(t, err)
				if e.Kind != messages.ModelRejected || e.Message != tt.err || e.Hint == "" {
					t.Fatalf("got %v (hint %q)", err, e.Hint)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(out.data) != tt.want {
				t.Errorf("got  %s\nwant %s", out.data, tt.want)
			}
			if got := strings.TrimSpace(out.version + " " + out.betas); got != tt.header {
				t.Errorf("header %q, want %q", got, tt.header)
			}
			if got := strings.Join(out.warnings, "; "); (got == "") != (tt.warn == "") || !strings.Contains(got, tt.warn) {
				t.Errorf("warnings %q, want %q", got, tt.warn)
			}
		})
	}
}

// Converse has its betas among the additional fields, and refuses others.
func TestShapeConverse(t *testing.T) {
	req := requestIn(t, gateway.Converse, `{"messages":[],"additionalModelRequestFields":{"anthropic_beta":["compact-2026-01-12","context-1m-2025-08-07"],"context_management":{"edits":[]},"top_k":5}}`, false)
	out, err := shaped(t, Options{}, opus46, false, req)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"messages":[],"additionalModelRequestFields":{"anthropic_beta":["context-1m-2025-08-07"],"top_k":5}}`; string(out.data) != want {
		t.Errorf("got  %s\nwant %s", out.data, want)
	}
	if len(out.warnings) != 1 {
		t.Errorf("warnings %q", out.warnings)
	}
	if out.api != catalog.Converse || out.op != "converse" {
		t.Errorf("%v %s", out.api, out.op)
	}
	if _, err := shaped(t, Options{}, "anthropic.claude-opus-5", true, req); asError(t, err).Kind != messages.InvalidRequest {
		t.Errorf("Converse at mantle: %v", err)
	}
}

// A guardrail that is ignored is worse than none; bedrock-mantle has none.
func TestGuardrailAtMantle(t *testing.T) {
	for _, mantle := range []bool{false, true} {
		req, ref := request(t, helloBody, false), opus5
		if mantle {
			ref = "anthropic.claude-opus-5"
		}
		req.Head.Options = gateway.Options{GuardrailID: "gr-1", GuardrailVersion: "2"}
		_, err := shaped(t, Options{}, ref, mantle, req)
		if !mantle && err != nil || mantle && (err == nil || asError(t, err).Kind != messages.InvalidRequest) {
			t.Errorf("mantle %t: %v", mantle, err)
		}
	}
}

func TestDrop(t *testing.T) {
	tests := []struct{ in, path, want string }{
		{`{"a":1,"b":2}`, "a", `{"b":2}`},
		{`{"a":1}`, "a", `{}`},
		{`{"a":1}`, "b", `{"a":1}`},
		{`{"a":{"b":1,"c":2},"d":3}`, "a.b", `{"a":{"c":2},"d":3}`},
		{`{"a":{"b":1},"d":3}`, "a.b", `{"d":3}`},
		{`{"a":[{"b":1,"c":2}, {"c":3} ,{"b":4}],"d":5}`, "a[].b", `{"a":[{"c":2}, {"c":3} ,{}],"d":5}`},
		{`{"a":[1,"x",null]}`, "a[].b", `{"a":[1,"x",null]}`},
		{`{"a":7}`, "a.b", `{"a":7}`},
		{`{"a":7}`, "a[].b", `{"a":7}`},
		{`{"a":[]}`, "a[].b", `{"a":[]}`},
		{`{"a":{"b":1,"b":2}}`, "a.b", `{"a":{"b":1,"b":2}}`}, // AWS's to judge
	}
	for _, tt := range tests {
		got, ok := drop([]byte(tt.in), tt.path)
		if string(got) != tt.want || ok != (tt.in != tt.want) {
			t.Errorf("%s without %s: %s %t, want %s", tt.in, tt.path, got, ok, tt.want)
		}
	}
}

func FuzzDrop(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[{"c":1}]},"tools":[{"defer_loading":true}]}`), "tools[].defer_loading")
	f.Add([]byte(`{"a":{"b":[{"c":1}]}}`), "a.b[].c")
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		if _, err := gateway.NewBody(gateway.Messages, data); err != nil || strings.ContainsAny(path, "\"\\") {
			return
		}
		cut, ok := drop(data, path)
		if !ok && !bytes.Equal(cut, data) {
			t.Fatal("changed, and says that it has not")
		}
		if _, err := gateway.NewBody(gateway.Messages, cut); err != nil {
			t.Fatalf("%s without %s is %s: %v", data, path, cut, err)
		}
		if again, ok := drop(cut, path); ok {
			t.Fatalf("%s is still in %s; then %s", path, cut, again)
		}
	})
}
