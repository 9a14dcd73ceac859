// A user's program on anthropic-sdk-go v1: bedrock.WithConfig, and bedrock.NewMantleClient for the mantle operations.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/bedrock"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/outcrop-dev/outcrop/test/clients/report"
)

const (
	model       = "global.anthropic.claude-opus-4-6-v1:0"
	mantleModel = "anthropic.claude-opus-4-8"
)

// runtime is given its address by hand: this SDK reads no variable for it.
func runtime(ctx context.Context) (anthropic.MessageService, error) {
	client, err := newClient(ctx)
	return client.Messages, err
}

func newClient(ctx context.Context) (anthropic.Client, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return anthropic.Client{}, err
	}
	return anthropic.NewClient(
		bedrock.WithConfig(cfg),
		option.WithBaseURL(os.Getenv("ANTHROPIC_BEDROCK_BASE_URL")),
	), nil
}

func mantle(ctx context.Context) (anthropic.MessageService, error) {
	client, err := bedrock.NewMantleClient(ctx, bedrock.MantleClientConfig{})
	if err != nil {
		return anthropic.MessageService{}, err
	}
	return client.Messages, nil
}

type connect func(context.Context) (anthropic.MessageService, error)

func params(model, prompt string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model:     anthropic.Model(model),
		MaxTokens: 256,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(prompt))},
	}
}

func message(m *anthropic.Message) report.Fields {
	text := ""
	for _, b := range m.Content {
		text += b.Text
	}
	return report.Fields{
		"id": m.ID, "model": m.Model, "text": text, "stop": m.StopReason,
		"input_tokens": m.Usage.InputTokens, "output_tokens": m.Usage.OutputTokens,
	}
}

func plain(to connect, model string) report.Operation {
	return func(ctx context.Context, prompt string) (report.Fields, error) {
		messages, err := to(ctx)
		if err != nil {
			return nil, err
		}
		m, err := messages.New(ctx, params(model, prompt))
		if err != nil {
			return nil, err
		}
		return message(m), nil
	}
}

func stream(to connect, model string) report.Operation {
	return func(ctx context.Context, prompt string) (report.Fields, error) {
		messages, err := to(ctx)
		if err != nil {
			return nil, err
		}
		var m anthropic.Message
		first := true
		events := messages.NewStreaming(ctx, params(model, prompt))
		for events.Next() {
			event := events.Current()
			if err := m.Accumulate(event); err != nil {
				return nil, err
			}
			if event.Type == "content_block_delta" && first {
				report.Say("first", report.Fields{"text": event.Delta.Text})
				first = false
			}
		}
		if err := events.Err(); err != nil {
			return nil, err
		}
		return message(&m), nil
	}
}

func tools(ctx context.Context, prompt string) (report.Fields, error) {
	messages, err := runtime(ctx)
	if err != nil {
		return nil, err
	}
	p := params(model, prompt)
	p.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{
		Name:        "get_weather",
		Description: anthropic.String("The weather in a city"),
		InputSchema: anthropic.ToolInputSchemaParam{
			Properties: map[string]any{"city": map[string]any{"type": "string"}},
			Required:   []string{"city"},
		},
	}}}
	first, err := messages.New(ctx, p)
	if err != nil {
		return nil, err
	}
	var call anthropic.ToolUseBlock
	for _, b := range first.Content {
		if b.Type == "tool_use" {
			call = b.AsToolUse()
		}
	}
	p.Messages = append(p.Messages, first.ToParam(),
		anthropic.NewUserMessage(anthropic.NewToolResultBlock(call.ID, "18 degrees", false)))
	last, err := messages.New(ctx, p)
	if err != nil {
		return nil, err
	}
	f := message(last)
	f["tool"], f["tool_id"], f["tool_stop"] = call.Name, call.ID, first.StopReason
	f["tool_input"] = json.RawMessage(call.Input)
	return f, nil
}

func beta(ctx context.Context, prompt string) (report.Fields, error) {
	client, err := newClient(ctx)
	if err != nil {
		return nil, err
	}
	m, err := client.Beta.Messages.New(ctx, anthropic.BetaMessageNewParams{
		Model:     model,
		MaxTokens: 256,
		Messages:  []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock(prompt))},
		Betas:     []anthropic.AnthropicBeta{"context-1m-2025-08-07"},
	})
	if err != nil {
		return nil, err
	}
	return report.Fields{
		"id": m.ID, "model": m.Model, "text": m.Content[0].Text, "stop": m.StopReason,
		"input_tokens": m.Usage.InputTokens, "output_tokens": m.Usage.OutputTokens,
	}, nil
}

func count(to connect, model string) report.Operation {
	return func(ctx context.Context, prompt string) (report.Fields, error) {
		messages, err := to(ctx)
		if err != nil {
			return nil, err
		}
		n, err := messages.CountTokens(ctx, anthropic.MessageCountTokensParams{
			Model:    anthropic.Model(model),
			Messages: params(model, prompt).Messages,
		})
		if err != nil {
			return nil, err
		}
		return report.Fields{"input_tokens": n.InputTokens}, nil
	}
}

func list(ctx context.Context, _ string) (report.Fields, error) {
	client, err := newClient(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	pages := client.Models.ListAutoPaging(ctx, anthropic.ModelListParams{})
	for pages.Next() {
		ids = append(ids, string(pages.Current().ID))
	}
	return report.Fields{"models": ids}, pages.Err()
}

func explain(err error) report.Fields {
	var refused *anthropic.Error
	if errors.As(err, &refused) {
		return report.Fields{
			"type": "*anthropic.Error", "status": refused.StatusCode, "code": refused.Type(), "request_id": refused.RequestID,
		}
	}
	return report.Fields{"type": "error"}
}

func main() {
	report.Main(map[string]report.Operation{
		"plain":               plain(runtime, model),
		"stream":              stream(runtime, model),
		"beta":                beta,
		"tools":               tools,
		"list":                list,
		"count-tokens":        count(runtime, model),
		"mantle":              plain(mantle, mantleModel),
		"mantle-stream":       stream(mantle, mantleModel),
		"mantle-count-tokens": count(mantle, mantleModel),
	}, explain)
}
