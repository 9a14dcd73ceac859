package bedrock_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/bedrock"
)

// service stands in for Bedrock, so that the examples run: any Outcrop does the same.
func service(reply func(int, http.ResponseWriter, *http.Request)) (close func()) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reply(0, w, r) }))
	os.Setenv("ANTHROPIC_BEDROCK_BASE_URL", s.URL)
	return func() {
		os.Unsetenv("ANTHROPIC_BEDROCK_BASE_URL")
		s.Close()
	}
}

// AnthropicBedrock(aws_access_key=…, aws_secret_key=…, aws_region=…) of Python.
// Without the keys, the default AWS providers are asked.
func ExampleNew() {
	defer service(plain(answerA))()
	ctx := context.Background()
	client, err := bedrock.New(ctx,
		bedrock.WithCredentials("<access key>", "<secret key>", "<session token>"),
		bedrock.WithRegion("us-west-2"),
	)
	if err != nil {
		log.Fatal(err)
	}
	message, err := client.Messages.New(ctx, anthropic.MessageNewParams{
		Model:     "global.anthropic.claude-opus-4-6-v1:0",
		MaxTokens: 256,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Content[0].Text)
	// Output: Hello!
}

func ExampleNew_streaming() {
	defer service(streamed(framed(helloEvents...)))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"), bedrock.WithIdleTimeout(2*time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	stream := client.Messages.NewStreaming(ctx, anthropic.MessageNewParams{
		Model:     bedrock.Global(bedrock.ClaudeOpus4_6),
		MaxTokens: 256,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
	})
	defer stream.Close()
	for stream.Next() {
		event := stream.Current()
		fmt.Print(event.Delta.Text)
		if m, ok := bedrock.StreamMetrics(event); ok {
			fmt.Printf("\n%d tokens in, %d out\n", m.InputTokens, m.OutputTokens)
		}
	}
	if err := stream.Err(); err != nil { // also when the stream ended before its time
		log.Fatal(err)
	}
	// Output:
	// Hello!
	// 10 tokens in, 3 out
}

// One line moves code that has a client of its own.
func ExampleOption() {
	defer service(plain(answerA))()
	ctx := context.Background()
	client := anthropic.NewClient(bedrock.Option(ctx, bedrock.WithAccessKey("<access key>", "<secret key>")))
	message, err := client.Messages.New(ctx, anthropic.MessageNewParams{
		Model:     bedrock.Geo("eu", anthropic.ModelClaudeSonnet4_5),
		MaxTokens: 256,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Content[0].Text)
	// Output: Hello!
}

func ExampleError() {
	defer service(failing(429, "ThrottlingException", `{"message":"Too many tokens, please wait before trying again."}`))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"), bedrock.WithMaxRetries(0))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.CountTokens(ctx, anthropic.MessageNewParams{
		Model:    bedrock.ClaudeOpus4_6,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
	})
	var e *bedrock.Error
	if errors.Is(err, bedrock.ErrThrottling) && errors.As(err, &e) {
		fmt.Println(e.Status, e.Code, "-", e.Hint)
	}
	var api *anthropic.Error
	if errors.As(err, &api) {
		fmt.Println(api.Type())
	}
	// Output:
	// 429 ThrottlingException - max_tokens counts against the quota before the answer is there: ask for less, or use a global. id
	// rate_limit_error
}

// Options of one call: those of the SDK, and Bedrock's own headers. Sampling
// parameters are no longer in the SDK's types; the models of before 2026-10-21
// take them.
func ExampleServiceTier() {
	defer service(plain(answerA))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"))
	if err != nil {
		log.Fatal(err)
	}
	var res *http.Response
	_, err = client.Messages.New(ctx, anthropic.MessageNewParams{
		Model:     bedrock.Global(bedrock.ClaudeOpus4_6),
		MaxTokens: 256,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
	},
		bedrock.ServiceTier("priority"),
		bedrock.RequestMetadata(map[string]string{"team": "ops"}),
		option.WithJSONSet("temperature", 0.2),
		option.WithResponseInto(&res),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Header.Get("request-id"))
	// Output: 11111111-2222-3333-4444-555555555555
}

func ExampleParseModelID() {
	id, err := bedrock.ParseModelID("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(id.Prefix, id.Base, id.Region)
	// Output: us anthropic.claude-sonnet-4-6 us-east-1
}
