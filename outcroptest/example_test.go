package outcroptest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/outcroptest"
)

// example runs f as a test would be run: an example has no *testing.T of its own.
func example(f func(t testing.TB)) {
	t := &stand{}
	f(t)
	t.end()
	for _, said := range t.said {
		fmt.Println(said)
	}
}

// hello is the code under test.
func hello(ctx context.Context, client *bedrock.Client, name string) (string, error) {
	m, err := client.Messages.New(ctx, anthropic.MessageNewParams{
		Model:     bedrock.Global(bedrock.ClaudeOpus4_6),
		MaxTokens: 256,
		System:    []anthropic.TextBlockParam{{Text: "Be kind."}},
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Greet " + name))},
	})
	if err != nil {
		return "", err
	}
	return m.Content[0].Text, nil
}

func ExampleNewServer() {
	example(func(t testing.TB) {
		s := outcroptest.NewServer(t, outcroptest.Answers(outcroptest.Say("Hello, Ada!")))

		fmt.Println(hello(context.Background(), s.Client(), "Ada"))

		s.AssertCalls(t, 1)
		r := s.LastRequest()
		fmt.Println(r.Operation, r.Model)
		fmt.Println(r.System(), r.Text(), r.MaxTokens())
	})
	// Output:
	// Hello, Ada! <nil>
	// InvokeModel global.anthropic.claude-opus-4-6-v1
	// Be kind. Greet Ada 256
}

// A throttled first attempt: the client tries again.
func ExampleFail() {
	example(func(t testing.TB) {
		s := outcroptest.NewServer(t, outcroptest.Answers(
			outcroptest.Fail("ThrottlingException", "Too many tokens, please wait before trying again."),
			outcroptest.Say("Here I am."),
		))
		fmt.Println(hello(context.Background(), s.Client(), "Ada"))
		s.AssertCalls(t, 2)
	})
	// Output: Here I am. <nil>
}

// A stream that breaks with an exception after its second delta.
func ExampleFault() {
	example(func(t testing.TB) {
		s := outcroptest.NewServer(t, outcroptest.Answers(outcroptest.Answer{
			Content: []outcroptest.Block{outcroptest.Text("one two three four")},
			Chunk:   4,
			Error:   &outcroptest.Fault{Exception: "ThrottlingException", Message: "Slow down.", AtFrame: 4},
		}))
		stream := s.Client().Messages.NewStreaming(context.Background(), anthropic.MessageNewParams{
			Model: bedrock.Global(bedrock.ClaudeOpus4_6), MaxTokens: 256,
			Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Count"))}})
		for stream.Next() {
			fmt.Print(stream.Current().Delta.Text)
		}
		fmt.Println("…", errors.Is(stream.Err(), bedrock.ErrThrottling))
	})
	// Output: one two … true
}

// Rules by what a call asks for: a tool's call, then what is said of its result.
func ExampleScenario() {
	example(func(t testing.TB) {
		s := outcroptest.NewServer(t, outcroptest.Scenario{Rules: []outcroptest.Rule{
			{
				Match:  outcroptest.Match{Text: "weather", Tool: "get_weather", ToolResult: new(false)},
				Answer: outcroptest.Answer{Content: []outcroptest.Block{outcroptest.ToolUse("get_weather", map[string]any{"city": "Taipei"})}},
			},
			{
				Match:  outcroptest.Match{ToolResult: new(true)},
				Answer: outcroptest.Answer{Content: []outcroptest.Block{outcroptest.Text("18 degrees.")}, Delay: 5 * time.Millisecond},
			},
		}})
		client := bedrockruntime.NewFromConfig(s.AWSConfig())
		out, err := client.Converse(context.Background(), &bedrockruntime.ConverseInput{
			ModelId:    aws.String("global.anthropic.claude-opus-4-6-v1:0"),
			Messages:   []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "the weather?"}}}},
			ToolConfig: &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{Name: aws.String("get_weather"), InputSchema: &types.ToolInputSchemaMemberJson{Value: schema}}}}},
		})
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		fmt.Println(out.StopReason, s.LastRequest().Tools())
	})
	// Output: tool_use [get_weather]
}

// A call that no rule answers fails the test, and says why.
func ExampleScenario_unmatched() {
	example(func(t testing.TB) {
		s := outcroptest.NewServer(t, outcroptest.Scenario{Rules: []outcroptest.Rule{
			{Match: outcroptest.Match{Text: "weather"}, Answer: outcroptest.Say("18 degrees.")},
		}})
		_, err := hello(context.Background(), s.Client(), "Ada")
		fmt.Println(errors.Is(err, bedrock.ErrNotFound))
	})
	// Output:
	// true
	// outcroptest: no rule of the scenario answers call 1: InvokeModel, model global.anthropic.claude-opus-4-6-v1, last user text "Greet Ada"
	// 	rule 1: text: "weather" is not within "Greet Ada"
}

// The file that outcrop serve --upstream scripted:FILE takes.
func ExampleLoadScenario() {
	example(func(t testing.TB) {
		scenario, err := outcroptest.LoadScenario("testdata/greeting.yaml")
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		s := outcroptest.NewServer(t, scenario)
		fmt.Println(hello(context.Background(), s.Client(), "Ada"))
	})
	// Output: Hello from a file. <nil>
}
