package bedrock

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// TestFrontBetas: a beta that AWS refuses, and the body field that comes with it,
// through every surface. strip takes both out before anybody refuses the field,
// and says so to the client and in the record; pass leaves both to AWS; strict
// refuses the call, as does a field that no beta has brought.
func TestFrontBetas(t *testing.T) {
	const (
		beta     = "mcp-client-2025-11-20"
		left     = "beta " + beta + " was left out: AWS refuses it for claude-opus-4-6, and with it mcp_servers"
		messages = `"max_tokens":5,"mcp_servers":[{"type":"url"}],"messages":[{"role":"user","content":"%s"}]`
		invoke   = `{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["` + beta + `"],` + messages + `}`
		additive = `"additionalModelRequestFields":{"anthropic_beta":["` + beta + `"],"mcp_servers":[{"type":"url"}]}`
	)
	surfaces := []tell{
		{name: "invoke", path: "/model/%s/invoke", body: invoke},
		{name: "invoke stream", path: "/model/%s/invoke-with-response-stream", body: invoke},
		{name: "messages", path: "/anthropic/v1/messages", body: `{"model":"%m","anthropic_beta":["` + beta + `"],` + messages + `}`},
		{name: "count message", path: "/anthropic/v1/messages/count_tokens", body: `{"model":"%m","anthropic_beta":["` + beta + `"],` + messages + `}`},
		{name: "converse", path: "/model/%s/converse", body: `{"messages":[{"role":"user","content":[{"text":"%s"}]}],` + additive + `}`},
		{name: "converse stream", path: "/model/%s/converse-stream", body: `{"messages":[{"role":"user","content":[{"text":"%s"}]}],` + additive + `}`},
	}
	for _, policy := range []BetaPolicy{Strip, Pass, Strict} {
		for _, op := range surfaces {
			t.Run(fmt.Sprint(policy, " ", op.name), func(t *testing.T) {
				f := openFront(t, playAWS(t, nil), func(o *Options) { o.Betas = policy })
				s, err := f.ask(op, opus46, "us-east-1", "one", "hi")
				if err != nil {
					t.Fatal(err)
				}
				f.Close()
				rec, reached := f.byID(t)[s.id], f.seen("one")
				told, recorded := strings.Join(s.warnings, "; "), strings.Join(rec.Warnings, "; ")
				switch policy {
				case Strip:
					if s.status != http.StatusOK || s.failed != "" || !strings.Contains(told, left) || !strings.Contains(recorded, left) || strings.Contains(recorded, "AWS would refuse") {
						t.Errorf("%d %s, told %q, recorded %q", s.status, s.body, told, recorded)
					}
				case Pass:
					if len(reached) == 0 || s.status != http.StatusBadRequest || strings.Contains(recorded, "left out") {
						t.Errorf("AWS was to judge: reached %v, %d %s, recorded %q", reached, s.status, s.body, recorded)
					}
				case Strict:
					if len(reached) != 0 || s.status != http.StatusBadRequest || !bytes.Contains(s.body, []byte("invalid beta flag")) {
						t.Errorf("reached %v, %d %s", reached, s.status, s.body)
					}
				}
			})
		}
	}
	for name, body := range map[string]string{"a field without its beta": strings.Replace(invoke, beta, "context-1m-2025-08-07", 1), "another feature beside it": strings.Replace(invoke, `{"anthropic_version"`, `{"speed":"fast","anthropic_version"`, 1)} {
		f := openFront(t, playAWS(t, nil))
		s, err := f.ask(tell{path: "/model/%s/invoke", body: body}, opus46, "us-east-1", "one", "hi")
		if err != nil || s.status != http.StatusBadRequest || len(f.seen("one")) != 0 || !bytes.Contains(s.body, []byte("Not supported by claude-opus-4-6")) {
			t.Errorf("%s: %d %s, reached %v, %v", name, s.status, s.body, f.seen("one"), err)
		}
	}
}

// CountTokens of a Converse request loses a beta as the call itself would.
func TestCountConverseBetas(t *testing.T) {
	f := openFront(t, playAWS(t, nil))
	inner := `{"converse":{"messages":[{"role":"user","content":[{"text":"hi"}]}],"additionalModelRequestFields":{"anthropic_beta":["mcp-client-2025-11-20"],"mcp_servers":[]}}}`
	s, err := f.ask(tell{path: "/model/%s/count-tokens", body: `{"input":` + inner + `}`}, opus46, "us-east-1", "one", "hi")
	if err != nil || s.status != http.StatusOK || !strings.Contains(strings.Join(s.warnings, ""), "was left out") {
		t.Errorf("%d %s %v %v", s.status, s.body, s.warnings, err)
	}
	inner = `{"invokeModel":{"body":"` + base64.StdEncoding.EncodeToString([]byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":5,"anthropic_beta":["mcp-client-2025-11-20"],"mcp_servers":[],"messages":[{"role":"user","content":"hi"}]}`)) + `"}}`
	s, err = f.ask(tell{path: "/model/%s/count-tokens", body: `{"input":` + inner + `}`}, opus46, "us-east-1", "two", "hi")
	if err != nil || s.status != http.StatusOK || !strings.Contains(strings.Join(s.warnings, ""), "was left out") {
		t.Errorf("%d %s %v %v", s.status, s.body, s.warnings, err)
	}
}

// Trim leaves nothing for shape to do: what was checked is what is sent.
func TestTrimThenShape(t *testing.T) {
	req := request(t, `{"anthropic_version":"bedrock-2023-05-31","mcp_servers":[],"output_format":{},"tools":[{"name":"a","defer_loading":true}],"max_tokens":1,"messages":[]}`, false,
		"mcp-client-2025-11-20", "structured-outputs-2025-11-13", "advanced-tool-use-2025-11-20", "new-2027-01-01")
	u, err := New(t.Context(), Options{Accounts: []Account{{Credentials: static{keyID, keySecret, ""}}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := theCatalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Models() {
		for _, f := range m.Profiles {
			for _, region := range c.Regions() {
				if _, err := c.Resolve(f.Prefix+"."+m.ID, region, catalog.Policy{}); err != nil {
					continue
				}
				r := routes(t, f.Prefix+"."+m.ID, region, false)[0]
				cut, err := u.Trim(r, req)
				if err != nil {
					t.Fatal(err)
				}
				again := req
				head := *req.Head
				head.Betas, again.Body, again.Head = cut.Betas, cut.Body, &head
				out, err := u.shape(r, again)
				if err != nil {
					t.Fatal(err)
				}
				whole, err := u.shape(r, req)
				if err != nil || !bytes.Equal(out.data, whole.data) || len(out.warnings) != 0 || len(cut.Warnings) != len(whole.warnings) {
					t.Errorf("%s: %s %q\nat once %s %q", r.ID(), out.data, out.warnings, whole.data, whole.warnings)
				}
				break
			}
		}
	}
}

// A beta that no header can have is its caller's fault: no Region seems to be out
// of reach for it.
func TestFrontBetaOfNoHeader(t *testing.T) {
	f := openFront(t, playAWS(t, nil), func(o *Options) { o.NativeMessages = true })
	op := tell{path: "/anthropic/v1/messages", body: `{"model":"%m","anthropic_beta":["a\nb"],"max_tokens":5,"messages":[{"role":"user","content":"%s"}]}`}
	if s, err := f.ask(op, "anthropic.claude-opus-5", "us-east-1", "one", "hi"); err != nil || s.status != http.StatusBadRequest {
		t.Errorf("%d %s %v", s.status, s.body, err)
	}
	op.body = strings.Replace(op.body, `a\nb`, "a", 1)
	if s, err := f.ask(op, "anthropic.claude-opus-5", "us-east-1", "two", "hi"); err != nil || s.status != http.StatusOK {
		t.Errorf("the next call: %d %s %v", s.status, s.body, err)
	}
}
