package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/outcroptest"
)

// changing is what of an answer differs from call to call.
var changing = regexp.MustCompile(`(msg|toolu)_bdrk_[A-Z0-9]+|"(invocationLatency|firstByteLatency|latencyMs)":[0-9]+|"request_id":"[^"]*"`)

// said sends one request and gives status and answer, frame by frame.
func said(t *testing.T, url, key, path, body string) string {
	t.Helper()
	req, err := http.NewRequest("POST", url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	text := resp.Status + " " + resp.Header.Get("X-Outcrop-Upstream") + "\n"
	if !strings.Contains(resp.Header.Get("Content-Type"), "eventstream") {
		return changing.ReplaceAllString(text+string(raw), "-")
	}
	frames := eventstream.NewReader(bytes.NewReader(raw))
	for {
		m, err := frames.Next()
		if err == io.EOF {
			return changing.ReplaceAllString(text, "-")
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _ := m.Header(":event-type")
		exception, _ := m.Header(":exception-type")
		var payload map[string]any
		if err := json.Unmarshal(m.Payload, &payload); err != nil {
			t.Fatal(err)
		}
		delete(payload, "p") // padding
		if packed, ok := payload["bytes"].(string); ok {
			event, err := base64.StdEncoding.DecodeString(packed)
			if err != nil {
				t.Fatal(err)
			}
			text += kind + " " + string(event) + "\n"
			continue
		}
		plain, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		text += kind + exception + " " + string(plain) + "\n"
	}
}

// A scenario file gives the same answers in a Go test and behind outcrop serve.
func TestOneScenarioTwoServers(t *testing.T) {
	const file = "../../test/clients/testdata/scenario.yaml"
	scenario, err := outcroptest.LoadScenario(file)
	if err != nil {
		t.Fatal(err)
	}
	scenario.Otherwise = outcroptest.Echo // as serve has it where the file says nothing
	kit := outcroptest.NewServer(t, scenario, outcroptest.WithRegion("us-west-2"))
	serve := scriptedServer(t, func(o *serveOptions) { o.InsecureSkipAuth, o.Upstream = true, "scripted:"+file })
	defer serve.shutdown()
	const tools = `,"tools":[{"name":"get_weather","input_schema":{"type":"object"}}]`
	body := func(text, more string) string {
		return `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"` + text + `"}]` + more + `}`
	}
	const model = "/model/global.anthropic.claude-opus-4-6-v1:0"
	for _, tt := range []struct{ path, body, shows string }{
		{model + "/invoke", body("an echo", ""), "an echo"},
		{model + "/invoke", body("the weather in Taipei", tools), "get_weather"},
		{model + "/invoke-with-response-stream", body("the weather in Taipei", tools), "input_json_delta"},
		{model + "/invoke-with-response-stream", body("throttle midway", ""), "throttlingException"},
		{model + "/invoke-with-response-stream", body("cut midway", ""), "modelStreamErrorException"},
		{model + "/converse", `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`, "hello"},
		{model + "/converse-stream", `{"messages":[{"role":"user","content":[{"text":"throttle midway"}]}]}`, "contentBlockDelta"},
		{"/v1/messages", `{"model":"global.anthropic.claude-opus-4-6-v1:0","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`, "hi"},
		{model + "/invoke", `{}`, "anthropic_version"},
	} {
		a, b := said(t, kit.URL, kit.APIKey, tt.path, tt.body), said(t, serve.URL, kit.APIKey, tt.path, tt.body)
		if a != b || !strings.Contains(a, tt.shows) {
			t.Errorf("%s %s\n  outcroptest: %s\n  serve:       %s\n  want %s in both", tt.path, tt.body, a, b, tt.shows)
		}
	}
}
