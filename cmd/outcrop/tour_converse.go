package main

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// tourPDF is a page with a table and a chart, 923 bytes.
//
//go:embed tour.pdf
var tourPDF []byte

// converse sends a body to Converse, and gives the text and the usage of the
// answer.
func (v *visit) converse(ctx context.Context, region, model string, body map[string]any) (text string, inputTokens int64, err error) {
	r, err := v.converseReply(ctx, region, model, body)
	if err != nil {
		return "", 0, err
	}
	if r.status != http.StatusOK {
		return "", 0, fmt.Errorf("Converse with %s: %s", model, r.refusal())
	}
	var a struct {
		Output struct {
			Message struct {
				Content []struct{ Text string }
			}
		}
		StopReason string
		Usage      struct{ InputTokens, OutputTokens, TotalTokens int64 }
	}
	if err := json.Unmarshal(r.body, &a); err != nil {
		return "", 0, err
	}
	if a.StopReason == "" || a.Usage.InputTokens <= 0 || len(a.Output.Message.Content) == 0 {
		return "", 0, fmt.Errorf("Converse with %s: content, stopReason or usage is missing", model)
	}
	return a.Output.Message.Content[0].Text, a.Usage.InputTokens, nil
}

func (v *visit) converseReply(ctx context.Context, region, model string, body map[string]any) (*reply, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return v.send(ctx, http.MethodPost, region, "/model/"+url.PathEscape(model)+"/converse", raw)
}

func converseBody(blocks ...map[string]any) map[string]any {
	return map[string]any{
		"messages":        []any{map[string]any{"role": "user", "content": blocks}},
		"inferenceConfig": map[string]any{"maxTokens": 32},
	}
}

// meetPDF sends the same PDF through both APIs. That its text has reached the
// model shows in the tokens of the prompt.
func meetPDF(ctx context.Context, v *visit) (string, error) {
	question := map[string]any{"text": "What is in the report?"}
	document := func(cited bool) map[string]any {
		d := map[string]any{"format": "pdf", "name": "report", "source": map[string]any{"bytes": tourPDF}}
		if cited {
			d["citations"] = map[string]any{"enabled": true}
		}
		return map[string]any{"document": d}
	}
	_, without, err := v.converse(ctx, v.region, pageGlobal, converseBody(question))
	if err != nil {
		return "", err
	}
	_, with, err := v.converse(ctx, v.region, pageGlobal, converseBody(question, document(false)))
	if err != nil {
		return "", err
	}
	if with < without+10 {
		return "", fmt.Errorf("with the PDF the prompt has %d tokens, without it %d: its text has not come", with, without)
	}
	m, err := v.answers(ctx, v.region, pageGlobal, map[string]any{"max_tokens": 32, "messages": []any{map[string]any{"role": "user", "content": []any{
		map[string]any{"type": "document", "source": map[string]any{"type": "base64", "media_type": "application/pdf", "data": base64.StdEncoding.EncodeToString(tourPDF)}},
		map[string]any{"type": "text", "text": "What is in the report?"}}}}})
	if err != nil {
		return "", err
	}
	cited, err := v.converseReply(ctx, v.region, pageGlobal, converseBody(question, document(true)))
	if err != nil {
		return "", err
	}
	said := "cited, it is read page by page"
	if cited.status != http.StatusOK {
		if said = cited.refusal(); cited.status != http.StatusBadRequest {
			return "", fmt.Errorf("with citations: %s", said)
		}
		said = "cited, it is refused by name: " + said
	}
	return fmt.Sprintf("a page with a table and a chart: Converse reads its text (%d tokens of prompt, %d without), InvokeModel answers with %d; %s",
		with, without, m.Usage.InputTokens, said), nil
}
