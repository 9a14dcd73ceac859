package gateway

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/limit"
)

// Text that begins as base64 does is reserved as text, wherever it stands, and
// pictures and PDFs as what they are.
func TestMostPrompt(t *testing.T) {
	const sly = 30_000
	text := strings.Repeat("A", 64) + strings.Repeat("b c", (sly-64)/3)
	picture := base64.StdEncoding.EncodeToString(make([]byte, 300_000))
	pdf := base64.StdEncoding.EncodeToString(append([]byte("%PDF-1.7\n"), make([]byte, 60_000)...))
	messages := func(block string) string { return `{"messages":[{"role":"user","content":[` + block + `]}]}` }
	for _, test := range []struct {
		name        string
		dialect     Dialect
		body        string
		least, most int64
	}{
		{"sly text", Messages, messages(`{"type":"text","text":"` + text + `"}`), sly / 3, sly/3 + 100},
		{"a sly turn", Messages, `{"messages":[{"role":"user","content":"` + text + `"}]}`, sly / 3, sly/3 + 100},
		{"sly arguments of a tool", Messages, messages(`{"type":"tool_use","input":{"type":"image","source":{"type":"base64","data":"` + text + `"}}}`), sly / 3, sly/3 + 100},
		{"a document that is text", Messages, messages(`{"type":"document","source":{"type":"text","data":"` + text + `"}}`), sly / 3, sly/3 + 100},
		{"a picture", Messages, messages(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + picture + `"}}`), 3300, 3400},
		{"a picture beside sly text", Messages, messages(`{"type":"image","source":{"type":"base64","data":"` + picture + `"}},{"type":"text","text":"` + text + `"}`), 3300 + sly/3, 3400 + sly/3},
		{"a picture that a tool gives", Messages, messages(`{"type":"tool_result","content":[{"type":"image","source":{"type":"base64","data":"` + picture + `"}}]}`), 3300, 3400},
		{"a picture in a document", Messages, messages(`{"type":"document","source":{"type":"content","content":[{"type":"image","source":{"type":"base64","data":"` + picture + `"}}]}}`), 3300, 3400},
		{"a PDF", Messages, messages(`{"type":"document","source":{"type":"base64","data":"` + pdf + `"}}`), 6000, 6100},
		{"Converse: sly text", Converse, messages(`{"text":"` + text + `"}`), sly / 3, sly/3 + 100},
		{"Converse: a picture", Converse, messages(`{"image":{"format":"png","source":{"bytes":"` + picture + `"}}}`), 3300, 3400},
		{"Converse: a picture that a tool gives", Converse, messages(`{"toolResult":{"content":[{"image":{"source":{"bytes":"` + picture + `"}}}]}}`), 3300, 3400},
		{"Converse: a PDF", Converse, messages(`{"document":{"format":"pdf","source":{"bytes":"` + pdf + `"}}}`), 6000, 6100},
		{"Converse: a document that is text", Converse, messages(`{"document":{"format":"txt","source":{"bytes":"` + picture + `"}}}`), 400_000 / 3, 400_000/3 + 100},
	} {
		body, err := NewBody(test.dialect, []byte(test.body))
		if err != nil {
			t.Fatal(test.name, err)
		}
		if got := mostPrompt(body); got < test.least || got > test.most {
			t.Errorf("%s: %d, want %d to %d", test.name, got, test.least, test.most)
		}
	}
}

// A limit is held against it, and what no model could read is not reserved.
func TestReservedWhateverItLooksLike(t *testing.T) {
	for size, want := range map[int]int64{300_000: 100_000, 6_000_000: 1_000_000} {
		l := limit.Limits{TokensPerMinute: 2_000_000}
		var held limit.State
		up := &watched{Upstream: &canned{frames: whole(), capabilities: Capabilities{Bills: true}}}
		g, _, call := limited(t, up, l)
		up.look = func() { held = g.state(l) }
		body := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[{"role":"user","content":"` + strings.Repeat("A", 64) + strings.Repeat("b ", size/2) + `"}]}`
		if err := g.Do(t.Context(), call(bedrockapi.InvokeModel, body), &paper{}); err != nil {
			t.Fatal(err)
		}
		if got := l.TokensPerMinute - held.Tokens; got < want || got > want+100 {
			t.Errorf("%d bytes: %d tokens are reserved, want %d", size, got, want)
		}
	}
}
