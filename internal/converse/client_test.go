package converse_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// clientOf is AWS's client, unmodified, before a server that answers with what
// the handler makes.
func clientOf(t *testing.T, h http.HandlerFunc) *bedrockruntime.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return bedrockruntime.New(bedrockruntime.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
}

// A request that AWS's own client writes is understood, and it understands the
// answer, whole and streamed.
func TestAWSClient(t *testing.T) {
	var message, stream []byte
	for _, a := range corpus(t, "answer") {
		if strings.HasPrefix(string(a.Comment), "An answer with all") {
			message = a.Files[0].Data
		}
	}
	for _, a := range corpus(t, "stream") {
		if strings.HasPrefix(string(a.Comment), "The service's order") {
			stream = a.Files[0].Data
		}
	}
	client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		req, err := converse.ToMessages(body, converse.Options{DefaultMaxTokens: 10, TextOf: textOf})
		if err != nil {
			t.Error(err)
			return
		}
		if !strings.Contains(string(req.Body), `"input":{"zip":1}`) || !strings.Contains(string(req.Body), `text of a (pdf)`) {
			t.Errorf("request %s", req.Body)
		}
		if strings.HasSuffix(r.URL.Path, "/converse") {
			answer, _, err := converse.AppendAnswer(nil, message, req.Settings.Envelope())
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "application/json")
			w.Write(answer)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		s := converse.NewStream(req.Settings.Envelope())
		s.Latency = func() time.Duration { return time.Second }
		for line := range strings.Lines(string(stream)) {
			data := []byte(strings.TrimSpace(line))
			events, err := s.Event(messages.EventType(data), data)
			if err != nil {
				t.Error(err)
			}
			for _, e := range events {
				w.Write(eventstream.AppendEvent(nil, e.Type, "application/json", e.Payload))
			}
		}
	})
	turns := []types.Message{
		{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Hi"},
			&types.ContentBlockMemberDocument{Value: types.DocumentBlock{Name: aws.String("a"), Format: types.DocumentFormatPdf, Source: &types.DocumentSourceMemberBytes{Value: []byte("%PDF-1.4")}}}}},
		{Role: types.ConversationRoleAssistant, Content: []types.ContentBlock{&types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{
			ToolUseId: aws.String("u1"), Name: aws.String("t"), Input: document.NewLazyDocument(map[string]any{"zip": 1})}}}},
		{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{
			ToolUseId: aws.String("u1"), Content: []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberText{Value: "x"}}}}}},
	}
	config := &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
		Name: aws.String("t"), InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{"type": "object"})}}}}}
	whole, err := client.Converse(context.Background(), &bedrockruntime.ConverseInput{
		ModelId: aws.String("m"), Messages: turns, ToolConfig: config, AdditionalModelResponseFieldPaths: []string{"/stop_sequence"},
	})
	if err != nil {
		t.Fatal(err)
	}
	content := whole.Output.(*types.ConverseOutputMemberMessage).Value.Content
	if whole.StopReason != types.StopReasonToolUse || *whole.Usage.TotalTokens != 52 || *whole.Usage.CacheReadInputTokens != 5 ||
		len(whole.Usage.CacheDetails) != 2 || whole.Usage.CacheDetails[0].Ttl != types.CacheTTLOneHour || len(content) != 5 {
		t.Fatalf("answer %+v, usage %+v", whole, whole.Usage)
	}
	if b := content[1].(*types.ContentBlockMemberReasoningContent).Value.(*types.ReasoningContentBlockMemberRedactedContent); string(b.Value) != "Encrypted" {
		t.Errorf("redacted %q", b.Value)
	}
	if c := content[3].(*types.ContentBlockMemberCitationsContent).Value.Citations; len(c) != 4 || *c[0].Location.(*types.CitationLocationMemberDocumentPage).Value.Start != 3 {
		t.Errorf("citations %+v", c)
	}
	var fields struct {
		StopSequence string `document:"stop_sequence"`
	}
	if err := whole.AdditionalModelResponseFields.UnmarshalSmithyDocument(&fields); err != nil || fields.StopSequence != "END" {
		t.Errorf("fields %+v, %v", fields, err)
	}

	out, err := client.ConverseStream(context.Background(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String("m"), Messages: turns, ToolConfig: config})
	if err != nil {
		t.Fatal(err)
	}
	defer out.GetStream().Close()
	var text, input, order string
	for e := range out.GetStream().Events() {
		switch e := e.(type) {
		case *types.ConverseStreamOutputMemberMessageStart:
			order += "S"
		case *types.ConverseStreamOutputMemberContentBlockStart:
			order += "b"
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			switch d := e.Value.Delta.(type) {
			case *types.ContentBlockDeltaMemberText:
				text += d.Value
			case *types.ContentBlockDeltaMemberToolUse:
				input += *d.Value.Input
			case *types.ContentBlockDeltaMemberReasoningContent, *types.ContentBlockDeltaMemberCitation:
			default:
				t.Errorf("delta %T", d)
			}
		case *types.ConverseStreamOutputMemberContentBlockStop:
			order += "e"
		case *types.ConverseStreamOutputMemberMessageStop:
			order += "M" + string(e.Value.StopReason)
		case *types.ConverseStreamOutputMemberMetadata:
			order += "D"
			if *e.Value.Metrics.LatencyMs != 1000 || *e.Value.Usage.OutputTokens != 42 {
				t.Errorf("metadata %+v", e.Value)
			}
		default:
			t.Errorf("event %T", e)
		}
	}
	if err := out.GetStream().Err(); err != nil {
		t.Fatal(err)
	}
	if order != "SeeebebeeeMstop_sequenceD" || text != "Café \"so\"\nWhole" || input != `{"zip": 1.00, "city":"Paris"}{"a":1.0}` {
		t.Errorf("order %s, text %q, input %s", order, text, input)
	}
}
