package outcroptest_test

import (
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/outcroptest"
)

func TestGreeting(t *testing.T) {
	s := outcroptest.NewServer(t, outcroptest.Answers(
		outcroptest.Fail("ThrottlingException", "Too many tokens, please wait before trying again."),
		outcroptest.Say("Hello, Ada!"),
	))
	client := s.Client() // or bedrockruntime.NewFromConfig(s.AWSConfig()), or s.Setenv(t) and any other

	m, err := client.Messages.New(t.Context(), anthropic.MessageNewParams{
		Model: bedrock.Global(bedrock.ClaudeOpus4_6), MaxTokens: 256,
		System:   []anthropic.TextBlockParam{{Text: "Be kind."}},
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Greet Ada"))},
	})
	if err != nil || m.Content[0].Text != "Hello, Ada!" {
		t.Fatal(m, err)
	}

	s.AssertCalls(t, 2) // the client tried again
	if r := s.LastRequest(); r.System() != "Be kind." || r.Text() != "Greet Ada" || r.MaxTokens() != 256 {
		t.Errorf("sent %+v", r)
	}
}
