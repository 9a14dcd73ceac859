package gateway

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// TestWindow: over 200K tokens Sonnet 4.5 needs the page's beta, from the header
// or the body, in InvokeModel and in Converse; Opus 4.6 has a million anyway.
func TestWindow(t *testing.T) {
	const sonnet, long = "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "context-1m-2025-08-07"
	text := strings.Repeat("word ", 300_000) // some 375,000 tokens by length
	invoke := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":5,%"messages":[{"role":"user","content":"` + text + `"}]}`
	converse := `{%"messages":[{"role":"user","content":[{"text":"` + text + `"}]}]}`
	for _, test := range []struct {
		name, model, body, insert string
		op                        *bedrockapi.Operation
		header                    []string
		fits                      bool
	}{
		{"without the beta", sonnet, invoke, "", bedrockapi.InvokeModel, nil, false},
		{"in the body", sonnet, invoke, `"anthropic_beta":["` + long + `"],`, bedrockapi.InvokeModel, nil, true},
		{"in the header", sonnet, invoke, "", bedrockapi.InvokeModel, []string{long}, true},
		{"Converse without", sonnet, converse, "", bedrockapi.Converse, nil, false},
		{"Converse with", sonnet, converse, `"additionalModelRequestFields":{"anthropic_beta":["` + long + `"]},`, bedrockapi.Converse, nil, true},
		{"a model that needs none", opus, invoke, "", bedrockapi.InvokeModel, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := newGateway(t, &canned{frames: whole()})
			call := newCall(test.op, test.model, strings.Replace(test.body, "%", test.insert, 1))
			if test.op == bedrockapi.Converse {
				call.Dialect = Converse
			}
			call.Betas = test.header
			err := g.Do(t.Context(), call, &paper{})
			if test.fits {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if e := messages.AsError(err); err == nil || e.Kind != messages.ModelRejected || !strings.HasSuffix(e.Message, "tokens > 200000 maximum") || !strings.Contains(e.Hint, long) {
				t.Fatalf("%v", err)
			}
		})
	}
}
