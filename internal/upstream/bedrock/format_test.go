package bedrock

import (
	"net/http"
	"strings"
	"testing"
)

// TestFormatMoves: a schema that came with the beta of structured outputs goes
// where the model takes it, and nothing is moved over something else.
func TestFormatMoves(t *testing.T) {
	const (
		beta    = "structured-outputs-2025-11-13"
		schema  = `{"type":"json_schema","schema":{"type":"object"}}`
		moved   = `"output_config":{"format":` + schema + `}`
		left    = "beta " + beta + " was left out: AWS refuses it for "
		told    = "; its output_format was sent as output_config.format"
		dropped = ", and with it output_format"
	)
	u, err := New(t.Context(), Options{Accounts: []Account{{Credentials: static{keyID, keySecret, ""}}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ model, body, want, not, warning string }{
		"alone":           {"us.anthropic.claude-opus-4-6-v1", `"output_format":` + schema, moved, "output_format", told},
		"beside effort":   {"us.anthropic.claude-opus-4-6-v1", `"output_config":{"effort":"low"},"output_format":` + schema, `"output_config":{"effort":"low","format":` + schema + `}`, "output_format", told},
		"both":            {"us.anthropic.claude-opus-4-6-v1", `"output_config":{"format":{"type":"x"}},"output_format":` + schema, `"output_config":{"format":{"type":"x"}}`, "output_format", dropped},
		"null":            {"us.anthropic.claude-opus-4-6-v1", `"output_format":null`, `"max_tokens":5`, "output_", dropped},
		"no config":       {"us.anthropic.claude-opus-4-6-v1", `"output_config":[],"output_format":` + schema, `"output_config":[]`, "output_format", dropped},
		"no such feature": {"us.anthropic.claude-opus-4-7", `"output_format":` + schema, `"max_tokens":5`, "output_", dropped},
		"nothing to move": {"us.anthropic.claude-opus-4-6-v1", `"top_k":1`, `"top_k":1`, "output_", dropped},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := u.shape(route(t, c.model), request(t, `{"anthropic_version":"bedrock-2023-05-31",`+c.body+`,"max_tokens":5,"messages":[]}`, false, beta))
			if err != nil {
				t.Fatal(err)
			}
			if sent := string(out.data); !strings.Contains(sent, c.want) || strings.Contains(sent, c.not) {
				t.Errorf("sent %s", sent)
			}
			if w := strings.Join(out.warnings, "|"); !strings.HasPrefix(w, left) || !strings.HasSuffix(w, c.warning) {
				t.Errorf("said %q", w)
			}
		})
	}

	// Through the front door, where what is moved is then looked at like any other.
	f := openFront(t, playAWS(t, nil))
	s, err := f.ask(tell{path: "/model/%s/invoke", body: `{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["` + beta + `"],"output_format":` + schema + `,"max_tokens":5,"messages":[{"role":"user","content":"%s"}]}`}, opus46, "us-east-1", "one", "hi")
	if err != nil || s.status != http.StatusOK || !strings.Contains(strings.Join(s.warnings, ""), told) {
		t.Errorf("%d %s %q %v", s.status, s.body, s.warnings, err)
	}
}
