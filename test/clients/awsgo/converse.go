package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/outcrop-dev/outcrop/test/clients/report"
)

var brief = []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: "Be brief."}}

func says(text string) *types.ContentBlockMemberText {
	return &types.ContentBlockMemberText{Value: text}
}

func asks(blocks ...types.ContentBlock) types.Message {
	return types.Message{Role: types.ConversationRoleUser, Content: blocks}
}

func weatherTool() *types.ToolConfiguration {
	return &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
		Name: aws.String("get_weather"), Description: aws.String("The weather in a city"),
		InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{
			"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"},
		})},
	}}}}
}

func converse(ctx context.Context, in *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
	in.ModelId, in.InferenceConfig = aws.String(model), &types.InferenceConfiguration{MaxTokens: aws.Int32(256)}
	return bedrockruntime.NewFromConfig(load(ctx)).Converse(ctx, in)
}

// conversed reports an answer of Converse.
func conversed(blocks []types.ContentBlock, stop types.StopReason, u *types.TokenUsage, latency *int64) (report.Fields, error) {
	f := report.Fields{"stop": stop, "input_tokens": *u.InputTokens, "output_tokens": *u.OutputTokens, "total_tokens": *u.TotalTokens, "latency": *latency}
	text := ""
	for _, b := range blocks {
		switch b := b.(type) {
		case *types.ContentBlockMemberText:
			text += b.Value
		case *types.ContentBlockMemberToolUse: // tools reads it
		case *types.ContentBlockMemberCitationsContent:
			for _, part := range b.Value.Content {
				if t, ok := part.(*types.CitationGeneratedContentMemberText); ok {
					text += t.Value
				}
			}
			place, ok := b.Value.Citations[0].Location.(*types.CitationLocationMemberDocumentPage)
			source, quoted := b.Value.Citations[0].SourceContent[0].(*types.CitationSourceContentMemberText)
			if !ok || !quoted {
				return nil, errors.New("the citation names no page or no text")
			}
			f["page"], f["quoted"] = *place.Value.Start, source.Value
		default:
			return nil, errors.New("a block of another kind")
		}
	}
	f["text"] = text
	return f, nil
}

func answer(out *bedrockruntime.ConverseOutput) (report.Fields, error) {
	m, ok := out.Output.(*types.ConverseOutputMemberMessage)
	if !ok {
		return nil, errors.New("the output is no message")
	}
	return conversed(m.Value.Content, out.StopReason, out.Usage, out.Metrics.LatencyMs)
}

func conversePlain(ctx context.Context, prompt string) (report.Fields, error) {
	out, err := converse(ctx, &bedrockruntime.ConverseInput{Messages: []types.Message{asks(says(prompt))}, System: brief})
	if err != nil {
		return nil, err
	}
	f, err := answer(out)
	if id, ok := middleware.GetRequestIDMetadata(out.ResultMetadata); ok && err == nil {
		f["request_id"] = id
	}
	return f, err
}

// streamed is what a stream adds up to, and the order of its events.
type streamed struct {
	content []types.ContentBlock
	inputs  map[int]string // of tool calls, as their JSON came
	stop    types.StopReason
	usage   *types.TokenUsage
	latency *int64
	order   []string
}

func (s *streamed) saw(kind string) {
	if n := len(s.order); n == 0 || s.order[n-1] != kind {
		s.order = append(s.order, kind)
	}
}

func read(ctx context.Context, in *bedrockruntime.ConverseStreamInput) (*streamed, error) {
	in.ModelId, in.InferenceConfig = aws.String(model), &types.InferenceConfiguration{MaxTokens: aws.Int32(256)}
	out, err := bedrockruntime.NewFromConfig(load(ctx)).ConverseStream(ctx, in)
	if err != nil {
		return nil, err
	}
	events := out.GetStream()
	defer events.Close()
	s := &streamed{inputs: map[int]string{}}
	for e := range events.Events() {
		switch e := e.(type) {
		case *types.ConverseStreamOutputMemberMessageStart:
			s.saw("messageStart")
		case *types.ConverseStreamOutputMemberContentBlockStart:
			s.saw("contentBlockStart")
			start, ok := e.Value.Start.(*types.ContentBlockStartMemberToolUse)
			if !ok {
				return nil, errors.New("a start of another kind")
			}
			s.content = append(s.content, &types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{ToolUseId: start.Value.ToolUseId, Name: start.Value.Name}})
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			s.saw("contentBlockDelta")
			i := int(*e.Value.ContentBlockIndex)
			switch d := e.Value.Delta.(type) {
			case *types.ContentBlockDeltaMemberText:
				if i == len(s.content) {
					s.content = append(s.content, says(""))
					if i == 0 {
						report.Say("first", report.Fields{"text": d.Value})
					}
				}
				s.content[i].(*types.ContentBlockMemberText).Value += d.Value
			case *types.ContentBlockDeltaMemberToolUse:
				s.inputs[i] += *d.Value.Input
			default:
				return nil, errors.New("a delta of another kind")
			}
		case *types.ConverseStreamOutputMemberContentBlockStop:
			s.saw("contentBlockStop")
		case *types.ConverseStreamOutputMemberMessageStop:
			s.saw("messageStop")
			s.stop = e.Value.StopReason
		case *types.ConverseStreamOutputMemberMetadata:
			s.saw("metadata")
			s.usage, s.latency = e.Value.Usage, e.Value.Metrics.LatencyMs
		default:
			return nil, errors.New("an event of another kind")
		}
	}
	return s, events.Err()
}

func converseStream(ctx context.Context, prompt string) (report.Fields, error) {
	s, err := read(ctx, &bedrockruntime.ConverseStreamInput{Messages: []types.Message{asks(says(prompt))}})
	if err != nil {
		return nil, err
	}
	f, err := conversed(s.content, s.stop, s.usage, s.latency)
	if err != nil {
		return nil, err
	}
	f["order"] = s.order
	return f, nil
}

func converseTools(ctx context.Context, prompt string) (report.Fields, error) {
	turns := []types.Message{asks(says(prompt))}
	first, err := read(ctx, &bedrockruntime.ConverseStreamInput{Messages: turns, ToolConfig: weatherTool()})
	if err != nil {
		return nil, err
	}
	var call *types.ContentBlockMemberToolUse
	var input map[string]any
	for i, b := range first.content {
		if use, ok := b.(*types.ContentBlockMemberToolUse); ok {
			if err := json.Unmarshal([]byte(first.inputs[i]), &input); err != nil {
				return nil, err
			}
			use.Value.Input, call = document.NewLazyDocument(input), use
		}
	}
	if call == nil {
		return nil, errors.New("no tool was called")
	}
	turns = append(turns, types.Message{Role: types.ConversationRoleAssistant, Content: first.content},
		asks(&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{
			ToolUseId: call.Value.ToolUseId, Status: types.ToolResultStatusSuccess,
			Content: []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberJson{Value: document.NewLazyDocument(map[string]any{"degrees": 18})}},
		}}))
	out, err := converse(ctx, &bedrockruntime.ConverseInput{Messages: turns, ToolConfig: weatherTool()})
	if err != nil {
		return nil, err
	}
	f, err := answer(out)
	if err != nil {
		return nil, err
	}
	f["tool"], f["tool_id"], f["tool_input"], f["tool_stop"] = *call.Value.Name, *call.Value.ToolUseId, input, first.stop
	return f, nil
}

func conversePDF(citations *types.CitationsConfig) report.Operation {
	return func(ctx context.Context, prompt string) (report.Fields, error) {
		pdf, err := os.ReadFile(os.Getenv("PDF"))
		if err != nil {
			return nil, err
		}
		out, err := converse(ctx, &bedrockruntime.ConverseInput{Messages: []types.Message{asks(says(prompt),
			&types.ContentBlockMemberDocument{Value: types.DocumentBlock{
				Format: types.DocumentFormatPdf, Name: aws.String("report"), Source: &types.DocumentSourceMemberBytes{Value: pdf}, Citations: citations,
			}})}})
		if err != nil {
			return nil, err
		}
		return answer(out)
	}
}

func converseCount(ctx context.Context, prompt string) (report.Fields, error) {
	n, err := bedrockruntime.NewFromConfig(load(ctx)).CountTokens(ctx, &bedrockruntime.CountTokensInput{
		ModelId: aws.String("anthropic.claude-opus-4-6-v1:0"),
		Input: &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{
			Messages: []types.Message{asks(says(prompt))}, System: brief, ToolConfig: weatherTool(),
		}},
	})
	if err != nil {
		return nil, err
	}
	return report.Fields{"input_tokens": *n.InputTokens}, nil
}
