package gateway

import (
	"encoding/base64"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/document"
	"github.com/outcrop-dev/outcrop/internal/document/pdftest"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// documents is one reader for all tests: PDFium is compiled once.
var documents = sync.OnceValues(func() (*document.Reader, error) {
	return document.New(document.Options{})
})

func newDocuments(t *testing.T) *document.Reader {
	t.Helper()
	r, err := documents()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// report is a page of two lines.
func report() []byte {
	f := pdftest.New()
	f.Page(pdftest.Page{Fonts: map[string]int{"F": f.Helvetica()}, Content: pdftest.Lines("F", 12, 50, 700, "Revenue 2026", "Taipei 42")})
	return f.Bytes()
}

// TestDocumentsForUpstreamsThatReadNone: a PDF in an InvokeModel body comes to
// the upstream as its text, with pictures where it sees them, and the record
// says so; cited, it is refused by name.
func TestDocumentsForUpstreamsThatReadNone(t *testing.T) {
	reader := newDocuments(t)
	pdf := base64.StdEncoding.EncodeToString(report())
	body := func(document string) string {
		return `{"anthropic_version":"bedrock-2023-05-31","max_tokens":5,"messages":[{"role":"user","content":[` + document + `,{"type":"text","text":"Sum it up."}]}]}`
	}
	source := `"source":{"type":"base64","media_type":"application/pdf","data":"` + pdf + `"}`
	for _, test := range []struct {
		name, document string
		capabilities   Capabilities
		kinds          string // of the blocks that the upstream gets
		holds          string
		warning, error string
	}{
		{"text alone", `{"type":"document","title":"Report","context":"internal",` + source + `}`, Capabilities{},
			"text text", "Document: Report\ninternal\nRevenue 2026", "Report was given as its text alone", ""},
		{"text and pictures", `{"type":"document",` + source + `}`, Capabilities{Images: true},
			"text image text", "Page 1 of 1\nRevenue 2026", "document 1 was given as the text and a picture of its 1 pages", ""},
		{"as it is", `{"type":"document",` + source + `}`, Capabilities{Documents: true}, "document text", "", "", ""},
		{"in a tool's result", `{"type":"tool_result","tool_use_id":"t","content":[{"type":"document",` + source + `}]}`, Capabilities{},
			"tool_result text", "", "document 1 was given as its text alone", ""},
		{"plain text", `{"type":"document","source":{"type":"text","media_type":"text/plain","data":"plain words"}}`, Capabilities{},
			"text text", "plain words", "document 1 was given as its text alone", ""},
		{"blocks", `{"type":"document","source":{"type":"content","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}}`, Capabilities{},
			"text text", "one\n\ntwo", "document 1 was given as its text alone", ""},
		{"cited", `{"type":"document","citations":{"enabled":true},` + source + `}`, Capabilities{}, "", "", "",
			"Citations are not supported by the upstream canned."},
		{"broken", `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0xLjQK"}}`, Capabilities{}, "", "", "", "The PDF specified was not valid."},
		{"another format", `{"type":"document","source":{"type":"base64","media_type":"application/msword","data":"AAAA"}}`, Capabilities{}, "", "", "",
			"document.source.base64.media_type: Input should be 'application/pdf'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			up := &canned{frames: whole(), capabilities: test.capabilities}
			g, ring := newGateway(t, up)
			g.Documents = reader
			err := g.Do(t.Context(), newCall(bedrockapi.InvokeModel, "global.anthropic.claude-opus-4-6-v1", body(test.document)), &paper{})
			if test.error != "" {
				if err == nil || messages.AsError(err).Message != test.error {
					t.Fatalf("got %v, want %s", err, test.error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p, err := up.got.Body.Params()
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, b := range p.Messages[0].Content.Blocks {
				kinds = append(kinds, b.BlockType())
			}
			if got := strings.Join(kinds, " "); got != test.kinds {
				t.Errorf("the upstream gets %s, want %s", got, test.kinds)
			}
			if text, ok := p.Messages[0].Content.Blocks[0].(messages.Text); test.holds != "" && (!ok || !strings.Contains(text.Text, test.holds)) {
				t.Errorf("the upstream gets %q, want %q in it", text.Text, test.holds)
			}
			if got := strings.Join(ring.Records()[0].Warnings, "; "); got != test.warning {
				t.Errorf("record says %q, want %q", got, test.warning)
			}
		})
	}
}

// TestConversePDFIsText: without citations Converse reads the text of a PDF,
// whatever the upstream could see of it; with them the upstream gets the PDF.
func TestConversePDFIsText(t *testing.T) {
	pdf := base64.StdEncoding.EncodeToString(report())
	for cited, want := range map[string]string{"": "text", `,"citations":{"enabled":true}`: "document"} {
		up := &canned{frames: whole(), capabilities: Capabilities{Documents: true, Images: true}}
		g, _ := newGateway(t, up)
		g.Documents = newDocuments(t)
		call := newCall(bedrockapi.Converse, "global.anthropic.claude-opus-4-6-v1",
			`{"messages":[{"role":"user","content":[{"text":"Sum it up."},{"document":{"format":"pdf","name":"Report","source":{"bytes":"`+pdf+`"}`+cited+`}}]}]}`)
		call.Dialect = Converse
		if err := g.Do(t.Context(), call, &paper{}); err != nil {
			t.Fatal(err)
		}
		p, err := up.got.Body.Params()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, b := range p.Messages[0].Content.Blocks {
			switch b := b.(type) {
			case messages.Document:
				found = found || b.Source.MediaType == "application/pdf" && want == "document" || b.Source.Type == "text" && want == "text" && strings.Contains(b.Source.Data, "Taipei 42")
			case messages.Text:
				found = found || want == "text" && strings.Contains(b.Text, "Taipei 42")
			}
		}
		if !found {
			t.Errorf("citations %q: the upstream gets %s", cited, up.got.Body.Bytes())
		}
	}
}

var _ Documents = (*document.Reader)(nil)
