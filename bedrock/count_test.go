package bedrock_test

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/bedrock"
)

func TestCountTokens(t *testing.T) {
	counted := plain(`{"inputTokens":42}`)
	params := anthropic.MessageCountTokensParams{Model: opus46, Messages: hello("").Messages}
	const messages = `"messages":[{"content":[{"text":"Hello, world","type":"text"}],"role":"user"}]`
	for _, tc := range []struct {
		name string
		call func(c *bedrock.Client) (int64, error)
		path string
		body string
	}{
		{"Messages.CountTokens", func(c *bedrock.Client) (int64, error) {
			n, err := c.Messages.CountTokens(t.Context(), params)
			return n.InputTokens, err
		}, "anthropic.claude-opus-4-6-v1:0", `{` + messages + `,"anthropic_version":"bedrock-2023-05-31","max_tokens":1}`},
		{"Beta.Messages.CountTokens", func(c *bedrock.Client) (int64, error) {
			n, err := c.Beta.Messages.CountTokens(t.Context(), anthropic.BetaMessageCountTokensParams{Model: bedrock.ClaudeOpus5,
				Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock("Hello, world"))},
				Betas:    []anthropic.AnthropicBeta{"context-1m-2025-08-07"}}, option.WithHeaderAdd("anthropic-beta", "token-counting-2024-11-01"))
			return n.InputTokens, err
		}, bedrock.ClaudeOpus5, `{` + messages + `,"anthropic_version":"2026-10-21","anthropic_beta":["context-1m-2025-08-07"],"max_tokens":1}`},
		{"of a call to Messages.New", func(c *bedrock.Client) (int64, error) {
			n, err := c.CountTokens(t.Context(), hello("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6"))
			if err != nil {
				return 0, err
			}
			return n.InputTokens, nil
		}, "anthropic.claude-sonnet-4-6", `{"max_tokens":256,` + messages + `,"anthropic_version":"bedrock-2023-05-31"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, counted)
			n, err := tc.call(connect(t, f, bedrock.WithBaseURL(f.URL+"/p")))
			if err != nil || n != 42 {
				t.Fatalf("%d tokens, error %v", n, err)
			}
			s := f.one(t)
			if want := "/p/model/" + tc.path + "/count-tokens"; s.Path != want {
				t.Errorf("path %s, want %s", s.Path, want)
			}
			input := s.JSON(t)["input"].(map[string]any)["invokeModel"].(map[string]any)
			body, err := base64.StdEncoding.DecodeString(input["body"].(string))
			if err != nil || string(body) != tc.body {
				t.Errorf("body\n%s\nwant\n%s\n%v", body, tc.body, err)
			}
		})
	}
}

// An account's own profile says nothing of its model: its ARN goes as it is.
func TestCountTokensOfAnApplicationProfile(t *testing.T) {
	f := serve(t, plain(`{"inputTokens":1}`))
	arn := "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
	if _, err := connect(t, f).CountTokens(t.Context(), hello(arn)); err != nil {
		t.Fatal(err)
	}
	if s := f.one(t); s.Path != "/model/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile%2Fabc/count-tokens" {
		t.Errorf("path %s", s.Path)
	}
}

func TestCountTokensAnswers(t *testing.T) {
	for body, want := range map[string]struct {
		n   int64
		err error
	}{
		`{"input_tokens":7}`:                   {7, nil}, // a gateway that speaks Anthropic's
		`{"inputTokens":"7"}`:                  {0, bedrock.ErrCorrupted},
		`oops`:                                 {0, bedrock.ErrCorrupted},
		`{"inputTokens":9007199254740993}`:     {9007199254740993, nil},
		`{"inputTokens":3,"somethingElse":[]}`: {3, nil},
	} {
		n, err := connect(t, serve(t, plain(body))).CountTokens(t.Context(), hello(opus46))
		if !errors.Is(err, want.err) || err == nil && n.InputTokens != want.n {
			t.Errorf("%s: %v, error %v", body, n, err)
		}
	}
	f := serve(t, failing(400, "ValidationException", `{"message":"The provided model doesn't support counting tokens."}`))
	if _, err := connect(t, f).CountTokens(t.Context(), hello(opus46)); !errors.Is(err, bedrock.ErrValidation) {
		t.Errorf("error %v", err)
	}
}
