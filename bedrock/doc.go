// Package bedrock is AnthropicBedrock for Go: the official client of package
// github.com/anthropics/anthropic-sdk-go/v2, with its types and its calls, sent
// to Claude on Amazon Bedrock.
//
//	client, err := bedrock.New(ctx, bedrock.WithRegion("us-west-2"))
//	...
//	message, err := client.Messages.New(ctx, anthropic.MessageNewParams{
//		Model:     bedrock.Global(bedrock.ClaudeOpus4_6),
//		MaxTokens: 256,
//		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello, world"))},
//	})
//
// # Who is calling
//
// The first of these that is there decides, and naming two of them explicitly is
// an error:
//
//  1. [WithSkipAuth]: nothing is signed; a gateway in front does it
//  2. [WithBearerToken], [WithBearerTokenFunc]: a Bedrock API key
//  3. [WithCredentials], [WithCredentialsProvider], [WithAWSConfig], [WithProfile]
//  4. AWS_BEARER_TOKEN_BEDROCK
//  5. the default AWS providers: AWS_ACCESS_KEY_ID and its like, web identity,
//     ~/.aws/credentials and ~/.aws/config (AWS_PROFILE), container, EC2
//
// # Where
//
// The Region is that of [WithRegion], else AWS_REGION, else us-east-1;
// ~/.aws/config is not read for it unless [WithAWSRegionChain] says so. The
// endpoint is that of [WithBaseURL], else ANTHROPIC_BEDROCK_BASE_URL, else
// AWS_ENDPOINT_URL_BEDROCK_RUNTIME, else AWS's for the Region; AWS_USE_FIPS_ENDPOINT
// and AWS_USE_DUALSTACK_ENDPOINT choose among AWS's. No ANTHROPIC_ variable but that
// one has any effect.
//
// With [WithRegions] or [WithResidency] there are several Regions, and a call that
// one cannot serve goes on to the next, inside the wall of its id. In a base URL
// {region} stands for the Region's name.
//
// # Which version of the API
//
// Bedrock takes the version in the body. A model of which the catalog knows that
// it takes 2026-10-21 is sent that; every other one, and every id that the catalog
// does not know (a new model, an application inference profile), is sent
// bedrock-2023-05-31, which all of them take. anthropic_version in the body
// (option.WithJSONSet) wins over the rule, and so does an anthropic-version header
// other than the SDK's own.
//
// Invariant: a stream whose Err is nil has given message_stop.
//
// Non-goal: a second vocabulary. Requests, answers and events are the SDK's types.
package bedrock
