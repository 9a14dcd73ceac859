// A user's program on aws-sdk-go-v2: bedrockruntime, bedrock and sts.
package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/outcrop-dev/outcrop/test/clients/report"
)

const model = "global.anthropic.claude-opus-4-6-v1:0"

type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	ToolUseID string          `json:"tool_use_id,omitempty"`
	Content   string          `json:"content,omitempty"`
}

type turn struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

type reply struct {
	ID         string
	Model      string
	Content    []block
	StopReason string `json:"stop_reason"`
	Usage      struct {
		InputTokens  int `json:"input_tokens"`
		OutputTokens int `json:"output_tokens"`
	}
}

type event struct {
	Type    string
	Message reply
	Delta   struct {
		Text       string
		StopReason string `json:"stop_reason"`
	}
	Usage struct {
		OutputTokens int `json:"output_tokens"`
	}
	Metrics json.RawMessage `json:"amazon-bedrock-invocationMetrics"`
}

func user(b block) turn { return turn{Role: "user", Content: []block{b}} }

func body(turns []turn, tools ...any) []byte {
	m := map[string]any{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 256, "messages": turns}
	if len(tools) > 0 {
		m["tools"] = tools
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func load(ctx context.Context) aws.Config {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		panic(err)
	}
	return cfg
}

func invoke(ctx context.Context, turns []turn, tools ...any) (reply, error) {
	var m reply
	out, err := bedrockruntime.NewFromConfig(load(ctx)).InvokeModel(ctx, &bedrockruntime.InvokeModelInput{
		ModelId: aws.String(model), Body: body(turns, tools...),
	})
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(out.Body, &m)
}

func message(m reply) report.Fields {
	text := ""
	for _, b := range m.Content {
		text += b.Text
	}
	return report.Fields{
		"id": m.ID, "model": m.Model, "text": text, "stop": m.StopReason,
		"input_tokens": m.Usage.InputTokens, "output_tokens": m.Usage.OutputTokens,
	}
}

func plain(ctx context.Context, prompt string) (report.Fields, error) {
	m, err := invoke(ctx, []turn{user(block{Type: "text", Text: prompt})})
	return message(m), err
}

func stream(ctx context.Context, prompt string) (report.Fields, error) {
	out, err := bedrockruntime.NewFromConfig(load(ctx)).InvokeModelWithResponseStream(ctx,
		&bedrockruntime.InvokeModelWithResponseStreamInput{
			ModelId: aws.String(model), Body: body([]turn{user(block{Type: "text", Text: prompt})}),
		})
	if err != nil {
		return nil, err
	}
	events := out.GetStream()
	defer events.Close()
	var m reply
	var metrics json.RawMessage
	text := ""
	for frame := range events.Events() {
		chunk, ok := frame.(*types.ResponseStreamMemberChunk)
		if !ok {
			continue
		}
		var e event
		if err := json.Unmarshal(chunk.Value.Bytes, &e); err != nil {
			return nil, err
		}
		switch e.Type {
		case "message_start":
			m = e.Message
		case "content_block_delta":
			if text == "" {
				report.Say("first", report.Fields{"text": e.Delta.Text})
			}
			text += e.Delta.Text
		case "message_delta":
			m.StopReason, m.Usage.OutputTokens = e.Delta.StopReason, e.Usage.OutputTokens
		case "message_stop":
			metrics = e.Metrics
		default: // content_block_start, content_block_stop, ping: nothing to keep
		}
	}
	m.Content = []block{{Type: "text", Text: text}}
	f := message(m)
	f["metrics"] = metrics
	return f, events.Err()
}

func tools(ctx context.Context, prompt string) (report.Fields, error) {
	weather := map[string]any{
		"name": "get_weather", "description": "The weather in a city",
		"input_schema": map[string]any{
			"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"},
		},
	}
	turns := []turn{user(block{Type: "text", Text: prompt})}
	first, err := invoke(ctx, turns, weather)
	if err != nil {
		return nil, err
	}
	var call block
	for _, b := range first.Content {
		if b.Type == "tool_use" {
			call = b
		}
	}
	turns = append(turns, turn{Role: "assistant", Content: first.Content},
		user(block{Type: "tool_result", ToolUseID: call.ID, Content: "18 degrees"}))
	last, err := invoke(ctx, turns, weather)
	if err != nil {
		return nil, err
	}
	f := message(last)
	f["tool"], f["tool_id"], f["tool_input"], f["tool_stop"] = call.Name, call.ID, call.Input, first.StopReason
	return f, nil
}

func list(ctx context.Context, _ string) (report.Fields, error) {
	client := bedrock.NewFromConfig(load(ctx))
	models, err := client.ListFoundationModels(ctx, &bedrock.ListFoundationModelsInput{ByProvider: aws.String("anthropic")})
	if err != nil {
		return nil, err
	}
	var ids, profiles []string
	for _, m := range models.ModelSummaries {
		ids = append(ids, *m.ModelId)
	}
	var arn string
	pages := bedrock.NewListInferenceProfilesPaginator(client, &bedrock.ListInferenceProfilesInput{
		MaxResults: aws.Int32(7), TypeEquals: bedrocktypes.InferenceProfileTypeSystemDefined,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range page.InferenceProfileSummaries {
			profiles, arn = append(profiles, *p.InferenceProfileId), *p.InferenceProfileArn
		}
	}
	one, err := client.GetFoundationModel(ctx, &bedrock.GetFoundationModelInput{
		ModelIdentifier: aws.String("anthropic.claude-opus-4-6-v1:0"),
	})
	if err != nil {
		return nil, err
	}
	byARN, err := client.GetInferenceProfile(ctx, &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: aws.String(arn)})
	if err != nil {
		return nil, err
	}
	return report.Fields{
		"models": ids, "profiles": profiles, "model": *one.ModelDetails.ModelName,
		"same": *byARN.InferenceProfileId == profiles[len(profiles)-1],
	}, nil
}

func count(ctx context.Context, prompt string) (report.Fields, error) {
	n, err := bedrockruntime.NewFromConfig(load(ctx)).CountTokens(ctx, &bedrockruntime.CountTokensInput{
		ModelId: aws.String("anthropic.claude-opus-4-6-v1:0"),
		Input: &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{
			Body: body([]turn{user(block{Type: "text", Text: prompt})}),
		}},
	})
	if err != nil {
		return nil, err
	}
	return report.Fields{"input_tokens": *n.InputTokens}, nil
}

func identity(ctx context.Context, _ string) (report.Fields, error) {
	who, err := sts.NewFromConfig(load(ctx)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, err
	}
	return report.Fields{"account": *who.Account, "arn": *who.Arn, "user": *who.UserId}, nil
}

func explain(err error) report.Fields {
	f := report.Fields{"type": "error"}
	if refused, ok := errors.AsType[smithy.APIError](err); ok {
		f["type"], f["code"] = "smithy.APIError", refused.ErrorCode()
	}
	if _, ok := errors.AsType[*types.ThrottlingException](err); ok {
		f["type"] = "*types.ThrottlingException"
	}
	if _, ok := errors.AsType[*types.ValidationException](err); ok {
		f["type"] = "*types.ValidationException"
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		f["status"], f["request_id"] = response.HTTPStatusCode(), response.ServiceRequestID()
	}
	return f
}

func main() {
	report.Main(map[string]report.Operation{
		"plain":        plain,
		"stream":       stream,
		"tools":        tools,
		"list":         list,
		"count-tokens": count,
		"identity":     identity,

		"converse":           conversePlain,
		"converse-stream":    converseStream,
		"converse-tools":     converseTools,
		"converse-pdf":       conversePDF(nil),
		"converse-pdf-cited": conversePDF(&types.CitationsConfig{Enabled: aws.Bool(true)}),
		"converse-count":     converseCount,
	}, explain)
}
