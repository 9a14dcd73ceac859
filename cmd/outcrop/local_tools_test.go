package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/modelfiles"
)

// localServer is the built binary's server on the real engine and weights.
func localServer(t *testing.T) *visit {
	t.Helper()
	const bin = "../../bin/outcrop"
	if _, err := os.Stat(bin); err != nil {
		t.Skip("SKIP(binary): no bin/outcrop; make build makes it")
	}
	if _, err := modelfiles.Find(modelfiles.Options{}); err != nil {
		t.Skipf("SKIP(weights): %v", err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	cmd := exec.Command(bin, "serve", "--listen", "127.0.0.1:0", "--data", dir, "--upstream", "local", "--log", "off")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if st, ok := running(t.Context(), dir); ok {
			f, err := datadir.Attach(dir, datadir.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			key, _, err := f.FirstKey()
			if err != nil {
				t.Fatal(err)
			}
			return &visit{url: st.URL, region: "us-east-1", key: key, http: http.DefaultClient}
		}
		if time.Now().After(deadline) {
			t.Fatal("no server")
		}
	}
}

// Tools and structured output on the embedded model, as a client sees them: both
// dialects, through signature, translation and grammar.
func TestToolsOnTheLocalModel(t *testing.T) {
	v := localServer(t)
	const schema = `{"type":"object","properties":{"city":{"type":"string","minLength":2,"maxLength":20},"days":{"type":"integer","minimum":1,"maximum":7}},"required":["city","days"],"additionalProperties":false}`
	const tool = `{"name":"get_forecast","description":"The weather of the next days","input_schema":` + schema + `}`
	const spec = `{"toolSpec":{"name":"get_forecast","description":"The weather of the next days","inputSchema":{"json":` + schema + `}}}`
	ask := func(path, body string) []byte {
		t.Helper()
		r, err := v.send(t.Context(), http.MethodPost, v.region, "/model/global.anthropic.claude-opus-4-6-v1:0/"+path, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if r.status != http.StatusOK {
			t.Fatalf("%s: %s", path, r.refusal())
		}
		return r.body
	}
	valid := func(what string, raw json.RawMessage) {
		t.Helper()
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatalf("%s: %s: %v", what, raw, err)
		}
		city, _ := got["city"].(string)
		days, _ := got["days"].(float64)
		if len(got) != 2 || len(city) < 2 || days < 1 || days > 7 {
			t.Errorf("%s: %s is not valid", what, raw)
		}
	}

	const messagesHead = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{"role":"user","content":"Will it rain in Lisbon in the next 3 days?"}],`
	for _, choice := range []string{`{"type":"any"}`, `{"type":"tool","name":"get_forecast"}`} {
		var m struct {
			Stop    string `json:"stop_reason"`
			Content []struct {
				Type, Name, ID string
				Input          json.RawMessage
			}
		}
		raw := ask("invoke", messagesHead+`"tools":[`+tool+`],"tool_choice":`+choice+`}`)
		if err := json.Unmarshal(raw, &m); err != nil || m.Stop != "tool_use" || len(m.Content) != 1 || m.Content[0].Name != "get_forecast" || !strings.HasPrefix(m.Content[0].ID, "toolu_bdrk_") {
			t.Fatalf("tool_choice %s: %s", choice, raw)
		}
		valid("tool_choice "+choice, m.Content[0].Input)
	}

	const converseHead = `{"messages":[{"role":"user","content":[{"text":"Will it rain in Lisbon in the next 3 days?"}]}],"inferenceConfig":{"maxTokens":100},`
	var c struct {
		StopReason string
		Output     struct {
			Message struct {
				Content []struct {
					Text    string
					ToolUse struct {
						Name, ToolUseID string
						Input           json.RawMessage
					}
				}
			}
		}
	}
	raw := ask("converse", converseHead+`"toolConfig":{"tools":[`+spec+`],"toolChoice":{"any":{}}}}`)
	if err := json.Unmarshal(raw, &c); err != nil || c.StopReason != "tool_use" || len(c.Output.Message.Content) != 1 || c.Output.Message.Content[0].ToolUse.Name != "get_forecast" {
		t.Fatalf("toolChoice any: %s", raw)
	}
	valid("toolChoice any", c.Output.Message.Content[0].ToolUse.Input)

	quoted, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	raw = ask("converse", converseHead+`"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"name":"forecast","schema":`+string(quoted)+`}}}}}`)
	if err := json.Unmarshal(raw, &c); err != nil || c.StopReason != "end_turn" || len(c.Output.Message.Content) != 1 {
		t.Fatalf("textFormat: %s", raw)
	}
	valid("textFormat", json.RawMessage(c.Output.Message.Content[0].Text))

	// The answer to a call goes back in, and tool_choice none never calls.
	var m struct {
		Stop    string `json:"stop_reason"`
		Content []struct{ Type, Text string }
	}
	raw = ask("invoke", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":40,"temperature":0,"messages":[{"role":"user","content":"Will it rain in Lisbon?"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"get_forecast","input":{"city":"Lisbon","days":3}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"Rain for 3 days"}]}],"tools":[`+tool+`],"tool_choice":{"type":"none"}}`)
	if err := json.Unmarshal(raw, &m); err != nil || m.Stop == "tool_use" || len(m.Content) == 0 || m.Content[0].Type != "text" {
		t.Errorf("tool_choice none: %s", raw)
	}
}
