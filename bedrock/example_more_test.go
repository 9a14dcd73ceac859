package bedrock_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsbedrock "github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/outcrop-dev/outcrop/bedrock"
)

// One Region is throttled: the call goes on to the next, signed for that.
func ExampleWithRegions() {
	defer service(func(n int, w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/us-east-1/") {
			throttles(n, w, r)
			return
		}
		plain(answerA)(n, w, r)
	})()
	ctx := context.Background()
	client, err := bedrock.New(ctx,
		bedrock.WithAccessKey("<access key>", "<secret key>"),
		bedrock.WithRegions("us-east-1", "us-west-2", "eu-west-1"),
		bedrock.WithBaseURL(os.Getenv("ANTHROPIC_BEDROCK_BASE_URL")+"/{region}"), // not needed for AWS's own endpoints
	)
	if err != nil {
		log.Fatal(err)
	}
	var res *http.Response
	message, err := client.Messages.New(ctx, anthropic.MessageNewParams{
		Model:     bedrock.Geo("us", bedrock.ClaudeOpus4_6), // never goes to eu-west-1
		MaxTokens: 256,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
	}, option.WithResponseInto(&res))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Content[0].Text, "from", bedrock.ResponseRegion(res))
	// Output: Hello! from us-west-2
}

// Which Region answered: of an answer, and of an error.
func ExampleResponseRegion() {
	defer service(down)()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"), bedrock.WithRegion("eu-west-1"), bedrock.WithMaxRetries(0))
	if err != nil {
		log.Fatal(err)
	}
	var res *http.Response
	_, err = client.Messages.New(ctx, hello(bedrock.Geo("eu", bedrock.ClaudeOpus4_6)), option.WithResponseInto(&res))
	var e *bedrock.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code, "from", e.Region, bedrock.ResponseRegion(res))
	}
	// Output: ServiceUnavailableException from eu-west-1 eu-west-1
}

// What could leave the geography is refused before it is sent.
func ExampleWithResidency() {
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"), bedrock.WithResidency("eu"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("calls begin in", client.Region())
	_, err = client.Messages.New(ctx, anthropic.MessageNewParams{
		Model:     bedrock.Global(bedrock.ClaudeOpus4_6),
		MaxTokens: 256,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
	})
	var e *bedrock.Error
	if errors.Is(err, bedrock.ErrResidency) && errors.As(err, &e) {
		fmt.Println(e.Hint)
	}
	// Output:
	// calls begin in eu-central-1
	// call eu.anthropic.claude-opus-4-6-v1
}

// A Bedrock API key: given here, or in AWS_BEARER_TOKEN_BEDROCK.
func ExampleWithBearerToken() {
	defer service(plain(answerA))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithBearerToken("ABSKexample"))
	if err != nil {
		log.Fatal(err)
	}
	message, err := client.Messages.New(ctx, hello(bedrock.Global(bedrock.ClaudeOpus4_6)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Content[0].Text)
	// Output: Hello!
}

// A gateway signs: the client sends what the gateway wants to see.
func ExampleWithSkipAuth() {
	defer service(plain(answerA))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithSkipAuth(), bedrock.WithRequestOptions(option.WithHeader("Authorization", "Bearer <gateway key>")))
	if err != nil {
		log.Fatal(err)
	}
	message, err := client.Messages.New(ctx, hello(bedrock.Global(bedrock.ClaudeOpus4_6)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Content[0].Text)
	// Output: Hello!
}

// Code that has loaded AWS's configuration hands it on.
func ExampleWithAWSConfig() {
	defer service(plain(answerA))()
	ctx := context.Background()
	cfg := aws.Config{Region: "eu-west-1", Credentials: provider(func() (aws.Credentials, error) { // config.LoadDefaultConfig(ctx)
		return aws.Credentials{AccessKeyID: "<access key>", SecretAccessKey: "<secret key>"}, nil
	})}
	client, err := bedrock.New(ctx, bedrock.WithAWSConfig(cfg))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Region())
	// Output: eu-west-1
}

// A stream that falls silent ends with an error, as one that is cut off.
func ExampleWithIdleTimeout() {
	defer service(streamed(framed(helloEvents[:3]...)))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"), bedrock.WithIdleTimeout(2*60e9))
	if err != nil {
		log.Fatal(err)
	}
	stream := client.Messages.NewStreaming(ctx, hello(bedrock.Global(bedrock.ClaudeOpus4_6)))
	defer stream.Close()
	for stream.Next() {
	}
	fmt.Println(errors.Is(stream.Err(), bedrock.ErrTruncated))
	// Output: true
}

// The prompt's tokens, before the call is made.
func ExampleClient_CountTokens() {
	defer service(plain(`{"inputTokens":12}`))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"))
	if err != nil {
		log.Fatal(err)
	}
	count, err := client.CountTokens(ctx, anthropic.MessageNewParams{
		Model:     bedrock.Global(bedrock.ClaudeOpus4_6),
		MaxTokens: 256,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(count.InputTokens, "tokens")
	// Output: 12 tokens
}

// Converse, in AWS's own types.
func ExampleClient_Runtime() {
	defer service(gateway)()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"))
	if err != nil {
		log.Fatal(err)
	}
	out, err := client.Runtime().Converse(ctx, &bedrockruntime.ConverseInput{
		ModelId: aws.String(bedrock.Global(bedrock.ClaudeOpus4_6)),
		Messages: []types.Message{{
			Role:    types.ConversationRoleUser,
			Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Hello, world"}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	message := out.Output.(*types.ConverseOutputMemberMessage).Value
	fmt.Println(message.Content[0].(*types.ContentBlockMemberText).Value)
	// Output: Hi
}

// aws bedrock list-foundation-models --by-provider anthropic
func ExampleClient_ControlPlane() {
	defer service(gateway)()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"))
	if err != nil {
		log.Fatal(err)
	}
	list, err := client.ControlPlane().ListFoundationModels(ctx, &awsbedrock.ListFoundationModelsInput{ByProvider: aws.String("anthropic")})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range list.ModelSummaries {
		fmt.Println(*m.ModelId)
	}
	// Output: anthropic.claude-opus-4-6-v1
}

// aws sts get-caller-identity
func ExampleClient_STS() {
	defer service(gateway)()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"))
	if err != nil {
		log.Fatal(err)
	}
	me, err := client.STS().GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*me.Arn)
	// Output: arn:aws:iam::123456789012:user/me
}

// The three kinds of ids, from any of them and from Anthropic's own name.
func ExampleGlobal() {
	fmt.Println(bedrock.Global(bedrock.ClaudeOpus4_6))
	fmt.Println(bedrock.Geo("eu", anthropic.ModelClaudeOpus4_6))
	fmt.Println(bedrock.Regional("us.anthropic.claude-3-haiku-20240307-v1:0"))
	// Output:
	// global.anthropic.claude-opus-4-6-v1
	// eu.anthropic.claude-opus-4-6-v1
	// anthropic.claude-3-haiku-20240307-v1:0
}

// A PDF and a question about it.
func ExamplePDF() {
	defer service(plain(answerA))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"))
	if err != nil {
		log.Fatal(err)
	}
	data := []byte("%PDF-1.7 …") // os.ReadFile("report.pdf")
	report, err := bedrock.PDF(data, "Report of 2026")
	if err != nil {
		log.Fatal(err)
	}
	message, err := client.Messages.New(ctx, anthropic.MessageNewParams{
		Model:     bedrock.Global(bedrock.ClaudeOpus4_6),
		MaxTokens: 256,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(report, anthropic.NewTextBlock("What does it say?"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Content[0].Text)
	// Output: Hello!
}

// The type of an image is that of its bytes.
func ExampleImage() {
	block, err := bedrock.Image([]byte("\x89PNG\r\n\x1a\n…")) // os.ReadFile("chart.png")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(block.OfImage.Source.OfBase64.MediaType)
	_, err = bedrock.Image([]byte("BM…"))
	fmt.Println(errors.Is(err, bedrock.ErrValidation))
	// Output:
	// image/png
	// true
}

// A long text that stands in each call is stored for an hour.
func ExampleCachePoint() {
	book, err := bedrock.CachePoint(anthropic.NewTextBlock("<a whole book>"), "1h")
	if err != nil {
		log.Fatal(err)
	}
	// anthropic.NewUserMessage(book, anthropic.NewTextBlock("Who did it?"))
	fmt.Println(book.OfText.CacheControl.TTL)
	// Output: 1h
}

// A million tokens, for models that have them by a beta.
func ExampleContext1M() {
	defer service(plain(answerA))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"))
	if err != nil {
		log.Fatal(err)
	}
	message, err := client.Messages.New(ctx, hello(bedrock.Global(bedrock.ClaudeSonnet4_5)), bedrock.Context1M())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Content[0].Text)
	// Output: Hello!
}

// A guardrail for each call of a client, and its trace for one.
func ExampleGuardrail() {
	defer service(plain(answerA))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"),
		bedrock.WithRequestOptions(bedrock.Guardrail("<guardrail id>", "DRAFT")))
	if err != nil {
		log.Fatal(err)
	}
	message, err := client.Messages.New(ctx, hello(bedrock.Global(bedrock.ClaudeOpus4_6)), bedrock.Trace("ENABLED"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Content[0].Text)
	// Output: Hello!
}

// Tags of a call, for the invocation log and the bill.
func ExampleRequestMetadata() {
	defer service(plain(answerA))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"))
	if err != nil {
		log.Fatal(err)
	}
	message, err := client.Messages.New(ctx, hello(bedrock.Global(bedrock.ClaudeOpus4_6)),
		bedrock.RequestMetadata(map[string]string{"team": "ops", "job": "nightly"}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Content[0].Text)
	// Output: Hello!
}

func counted(n int, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amzn-Bedrock-Input-Token-Count", "10")
	w.Header().Set("X-Amzn-Bedrock-Output-Token-Count", "3")
	w.Header().Set("X-Amzn-Bedrock-Invocation-Latency", "321")
	plain(answerA)(n, w, r)
}

// Bedrock's own figures of a call.
func ExampleResponseMetrics() {
	defer service(counted)()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"))
	if err != nil {
		log.Fatal(err)
	}
	var res *http.Response
	if _, err = client.Messages.New(ctx, hello(bedrock.Global(bedrock.ClaudeOpus4_6)), option.WithResponseInto(&res)); err != nil {
		log.Fatal(err)
	}
	if m, ok := bedrock.ResponseMetrics(res); ok {
		fmt.Println(m.InputTokens, m.OutputTokens, m.Latency)
	}
	// Output: 10 3 321ms
}

// The same of a stream; they come with its last event.
func ExampleStreamMetrics() {
	defer service(streamed(framed(helloEvents...)))()
	ctx := context.Background()
	client, err := bedrock.New(ctx, bedrock.WithAccessKey("<access key>", "<secret key>"))
	if err != nil {
		log.Fatal(err)
	}
	stream := client.Messages.NewStreaming(ctx, hello(bedrock.Global(bedrock.ClaudeOpus4_6)))
	defer stream.Close()
	for stream.Next() {
		if m, ok := bedrock.StreamMetrics(stream.Current()); ok {
			fmt.Println(m.OutputTokens, "tokens, the first after", m.FirstByteLatency)
		}
	}
	if stream.Err() != nil {
		log.Fatal(stream.Err())
	}
	// Output: 3 tokens, the first after 123ms
}
