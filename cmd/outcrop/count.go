package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/outcrop-dev/outcrop/bedrock"
)

type countCmd struct {
	targetOption `set:"aws=Ask the real Amazon Bedrock, with the environment's AWS credentials. CountTokens is not billed."`
	promptOption
	JSON bool `name:"json" help:"Print JSON."`
}

func (countCmd) Help() string {
	return `Examples:

  outcrop count "Hello, world"
  outcrop count --pdf report.pdf "What is in the table?"

What send would send is counted and not sent: the tokens of its prompt, by the operation CountTokens.
Where AWS counts for the model, it is AWS's number. An Outcrop says when its own is an estimate.

` + targetHelp
}

func (c *countCmd) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	p, err := c.prompt(con)
	if err != nil {
		return err
	}
	t, err := c.open(ctx, "count")
	if err != nil {
		return err
	}
	if c.Converse && t.clear() {
		return errClear
	}
	p.ModelID = t.modelID(p.ModelID)
	n, err := t.count(ctx, p, c.Converse)
	if err != nil {
		return t.explain(err)
	}
	estimate := t.heard.says("X-Outcrop-Estimate") == "true"
	if c.JSON {
		return con.writeJSON(struct {
			InputTokens int64  `json:"input_tokens"`
			Estimate    bool   `json:"estimate"`
			Model       string `json:"model"`
			By          string `json:"by"`
		}{n, estimate, p.ModelID, t.BaseURL()})
	}
	fmt.Fprintln(con.Out, n)
	how := "counted"
	if estimate {
		how = "an estimate, high rather than low,"
	}
	_, err = fmt.Fprintf(visible{con.Err}, "outcrop: %s by %s, for %s\n", how, t.who(), p.ModelID)
	return err
}

func (t *target) count(ctx context.Context, p *prompt, converse bool) (int64, error) {
	if !converse {
		params, opts, err := p.params()
		if err != nil {
			return 0, err
		}
		params.MaxTokens = 1 // AWS wants a body that InvokeModel would take
		got, err := t.CountTokens(ctx, params, opts...)
		if err != nil {
			return 0, err
		}
		return got.InputTokens, nil
	}
	in := p.converse()
	model := p.ModelID
	if id, err := bedrock.ParseModelID(model); err == nil && id.Base != "" {
		model = id.Base // AWS counts for models, and not for profiles
	}
	got, err := t.Runtime().CountTokens(ctx, &bedrockruntime.CountTokensInput{ModelId: &model,
		Input: &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{Messages: in.Messages, System: in.System}}})
	if err != nil {
		return 0, err
	}
	return int64(aws.ToInt32(got.InputTokens)), nil
}
