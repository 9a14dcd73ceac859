package clients

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// conversed holds an answer of Converse to the service's shape: the scripted upstream echoes.
func conversed(t *testing.T, l line, text string) {
	t.Helper()
	if l.Text != text || l.Stop != "end_turn" {
		t.Errorf("the answer is %+v", l)
	}
	if l.InputTokens <= 0 || l.OutputTokens <= 0 || l.TotalTokens != l.InputTokens+l.OutputTokens || l.Latency < 0 {
		t.Errorf("usage is %d in, %d out, %d in all; latency %d ms", l.InputTokens, l.OutputTokens, l.TotalTokens, l.Latency)
	}
}

func conversePlain(t *testing.T, s *subject) {
	l := s.done(t, "converse", hello)
	conversed(t, l, hello)
	if l.RequestID == "" {
		t.Error("the answer names no request")
	}
}

// converseStream is streams, and the order of the events: no start for text, metadata last.
func converseStream(t *testing.T, s *subject) {
	l := gated(t, s, "converse-stream")
	conversed(t, l, gateFirst+gateRest)
	if want := []string{"messageStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}; !slices.Equal(l.Order, want) {
		t.Errorf("the events come as %q, want %q", l.Order, want)
	}
}

func converseTools(t *testing.T, s *subject) {
	l := s.done(t, "converse-tools", "What is the weather in Taipei?")
	calls(t, l)
	conversed(t, l, "It is 18 degrees in Taipei.")
}

func converseCount(t *testing.T, s *subject) { counts(t, s, "converse-count") }

// converseError: a stream that fails after some words, a stream that is cut, and a request that AWS's own check refuses.
func converseError(t *testing.T, s *subject) {
	breaks(t, s, "converse-stream", "throttle midway", s.throttled)
	breaks(t, s, "converse-stream", "cut midway", s.cut)
	l := s.run(t, "converse", " ")
	fails(t, l, s.invalid)
	if !strings.Contains(l.Message, blankText) || l.RequestID == "" {
		t.Errorf("the client says %q of request %q", l.Message, l.RequestID)
	}
}

const blankText = "The text field in the ContentBlock object at messages.0.content.0 is blank. Add text to the text field, and try again."

// report is a page with a table and a chart, in ASCII, which version 1 of the CLI can carry.
var reportPDF = filepath.Join("testdata", "report.pdf")

// conversePDF gives the client a PDF, which reaches the upstream as text, and as itself once it may be cited.
func conversePDF(t *testing.T, s *subject) {
	for _, op := range []string{"converse-pdf", "converse-pdf-cited"} {
		t.Run(op, func(t *testing.T) {
			file, err := filepath.Abs(reportPDF)
			if err != nil {
				t.Fatal(err)
			}
			ticket := "gate-" + s.name + "-" + op
			l, err := run(s.call(t, shared.gated, []string{"PDF=" + file}, op, ticket), nil)
			if err != nil || l.Event != "done" {
				t.Fatalf("%s: %+v: %v", op, l, err)
			}
			reads(t, l, ticket, op == "converse-pdf-cited")
		})
	}
}

// reads holds what came of a PDF, at the upstream and with the client.
func reads(t *testing.T, l line, ticket string, cited bool) {
	t.Helper()
	pdf, err := os.ReadFile(reportPDF)
	if err != nil {
		t.Fatal(err)
	}
	got := shared.gate.got(ticket)
	var asked struct {
		Messages []struct {
			Content []struct {
				Type, Text, Title string
				Source            struct {
					Type      string
					MediaType string `json:"media_type"`
					Data      string
				}
				Citations struct{ Enabled bool }
			}
		}
	}
	if err := json.Unmarshal(got, &asked); err != nil || len(asked.Messages) != 1 || len(asked.Messages[0].Content) != 2 {
		t.Fatalf("the upstream got %s: %v", got, err)
	}
	d := asked.Messages[0].Content[1]
	if d.Type != "document" || d.Title != "report" || d.Citations.Enabled != cited {
		t.Errorf("the upstream got %s", got)
	}
	if cited {
		data, err := base64.StdEncoding.DecodeString(d.Source.Data)
		if err != nil || d.Source.Type != "base64" || d.Source.MediaType != "application/pdf" || !bytes.Equal(data, pdf) {
			t.Errorf("the PDF reached the upstream as %s %s of %d bytes: %v", d.Source.Type, d.Source.MediaType, len(data), err)
		}
		if l.Text != gateCited || l.Page != 1 || l.Quoted != "Lanyang 4120" {
			t.Errorf("the client has %q, page %d, %q", l.Text, l.Page, l.Quoted)
		}
		return
	}
	if d.Source.Type != "text" || d.Source.MediaType != "text/plain" {
		t.Errorf("the document reached the upstream as %s %s", d.Source.Type, d.Source.MediaType)
	}
	for _, word := range []string{"Harvest report 2026", "Lanyang", "4120", "Taitung", "3333"} {
		if !strings.Contains(d.Source.Data, word) {
			t.Errorf("the upstream got no %q in %q", word, d.Source.Data)
		}
	}
	if l.Text != gateWhole || l.Page != 0 {
		t.Errorf("the client has %q, page %d", l.Text, l.Page)
	}
}

// The CLI's version 1 has no converse-stream.
var cliConverse = map[string]func(*testing.T, *subject){
	"converse": func(t *testing.T, s *subject) {
		conversed(t, cliAsk(t, s, shared.outcrop, said(hello), nil), hello)
	},
	"converse-tools": func(t *testing.T, s *subject) {
		tool := []string{"--tool-config", `{"tools":[{"toolSpec":{"name":"get_weather","inputSchema":{"json":{"type":"object","properties":{"city":{"type":"string"}}}}}}]}`}
		turns := said("What is the weather in Taipei?")
		first := cliAsk(t, s, shared.outcrop, turns, tool)
		turns = append(turns, first.answer, map[string]any{"role": "user", "content": []any{map[string]any{"toolResult": map[string]any{
			"toolUseId": first.ToolID, "content": []any{map[string]any{"json": map[string]any{"degrees": 18}}}, "status": "success"}}}})
		last := cliAsk(t, s, shared.outcrop, turns, tool)
		conversed(t, last, "It is 18 degrees in Taipei.")
		last.Tool, last.ToolID, last.ToolInput, last.ToolStop = first.Tool, first.ToolID, first.ToolInput, first.Stop
		calls(t, last)
	},
	"converse-pdf": func(t *testing.T, s *subject) {
		pdf, err := os.ReadFile(reportPDF)
		if err != nil {
			t.Fatal(err)
		}
		for _, cited := range []bool{false, true} {
			ticket := map[bool]string{false: "gate-aws-cli-pdf", true: "gate-aws-cli-pdf-cited"}[cited]
			turns := said(ticket)
			content := turns[0]["content"].([]any)
			// Version 1 of the CLI encodes blobs within a structure itself.
			turns[0]["content"] = append(content, map[string]any{"document": map[string]any{"format": "pdf", "name": "report",
				"source": map[string]any{"bytes": string(pdf)}, "citations": map[string]any{"enabled": cited}}})
			reads(t, cliAsk(t, s, shared.gated, turns, nil), ticket, cited)
		}
	},
	"converse-count": func(t *testing.T, s *subject) {
		input, err := json.Marshal(map[string]any{"converse": map[string]any{"messages": said(hello)}})
		if err != nil {
			t.Fatal(err)
		}
		var n int
		cli(t, s, &n, `aws bedrock-runtime count-tokens --model-id anthropic.claude-opus-4-6-v1:0 --input "$INPUT" --query inputTokens`, "INPUT="+string(input))
		if n <= 0 {
			t.Errorf("the count is %d", n)
		}
	},
	"converse-error": func(t *testing.T, s *subject) {
		cmd := shellOf(t, s, `aws bedrock-runtime converse --model-id global.anthropic.claude-opus-4-6-v1:0 --messages '[{"role":"user","content":[{"text":" "}]}]'`)
		out, err := cmd.CombinedOutput()
		if want := "An error occurred (ValidationException) when calling the Converse operation: " + blankText; err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s", err, out)
		}
	},
}

func said(text string) []map[string]any {
	return []map[string]any{{"role": "user", "content": []any{map[string]any{"text": text}}}}
}

func cliAsk(t *testing.T, s *subject, srv *server, turns []map[string]any, more []string) line {
	t.Helper()
	raw, err := json.Marshal(turns)
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Output struct{ Message json.RawMessage }
		Stop   string `json:"stopReason"`
		Usage  struct{ InputTokens, OutputTokens, TotalTokens int }
		Metric struct{ LatencyMs int } `json:"metrics"`
	}
	cmd := shellOn(t, s, srv, `aws bedrock-runtime converse --model-id global.anthropic.claude-opus-4-6-v1:0 --messages "$MESSAGES" `+
		`--inference-config maxTokens=256 "$@"`, "MESSAGES="+string(raw))
	cmd.Args = append(append(cmd.Args, "aws"), more...)
	out := output(t, cmd)
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	l := line{Stop: a.Stop, InputTokens: a.Usage.InputTokens, OutputTokens: a.Usage.OutputTokens, TotalTokens: a.Usage.TotalTokens, Latency: a.Metric.LatencyMs}
	var m struct {
		Content []struct {
			Text    string
			ToolUse struct {
				ToolUseId, Name string
				Input           json.RawMessage
			}
			CitationsContent struct {
				Content   []struct{ Text string }
				Citations []struct {
					Location      struct{ DocumentPage struct{ Start int } }
					SourceContent []struct{ Text string }
				}
			}
		}
	}
	if err := json.Unmarshal(a.Output.Message, &m); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(a.Output.Message, &l.answer); err != nil {
		t.Fatal(err)
	}
	for _, b := range m.Content {
		l.Text += b.Text
		if b.ToolUse.Name != "" {
			l.Tool, l.ToolID, l.ToolInput = b.ToolUse.Name, b.ToolUse.ToolUseId, b.ToolUse.Input
		}
		for _, part := range b.CitationsContent.Content {
			l.Text += part.Text
		}
		for _, c := range b.CitationsContent.Citations {
			l.Page, l.Quoted = c.Location.DocumentPage.Start, c.SourceContent[0].Text
		}
	}
	return l
}
