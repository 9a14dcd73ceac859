package bedrock_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/bedrock"
)

// What AWS does not have in the Region is refused before it is sent, with the ids
// that work there; what the catalog cannot know passes.
func TestOffered(t *testing.T) {
	const vpce = "https://vpce-1a2b-3c.bedrock-runtime.us-east-1.vpce.amazonaws.com"
	for _, tc := range []struct {
		name, region, model string
		opts                []bedrock.ClientOption
		hint                string // "": it is sent
	}{
		{"a geography's id, from there", "eu-west-1", bedrock.Geo("eu", bedrock.ClaudeOpus4_6), nil, ""},
		{"a geography's id, from elsewhere", "us-east-1", bedrock.Geo("eu", bedrock.ClaudeOpus4_6), nil, "us.anthropic.claude-opus-4-6-v1"},
		{"a global id", "ap-south-1", bedrock.Global(bedrock.ClaudeOpus4_6), nil, ""},
		{"a global id that few Regions have", "eu-central-1", bedrock.Global(bedrock.ClaudeSonnet4), nil, "eu.anthropic.claude-sonnet-4-20250514-v1:0"},
		{"a profile that no Region has of the model", "ap-northeast-1", bedrock.Geo("jp", bedrock.ClaudeOpus4_5), nil, "global.anthropic.claude-opus-4-5-20251101-v1:0"},
		{"a profile that the page alone has", "ap-northeast-1", "jp.anthropic.claude-opus-4-6-v1:0", nil, ""},
		{"in-Region, where it is offered", "eu-west-2", bedrock.ClaudeOpus4_6, nil, ""},
		{"in-Region, where it is not", "us-east-1", bedrock.ClaudeOpus4_6, nil, "from us-east-1, Claude Opus 4.6 is called by global.anthropic.claude-opus-4-6-v1, us.anthropic.claude-opus-4-6-v1"},
		{"the page's spelling", "us-east-1", "us.anthropic.claude-opus-4-6-v1:0", nil, ""},
		{"Anthropic's own name", "us-east-1", anthropic.ModelClaudeOpus4_6, nil, "us.anthropic.claude-opus-4-6-v1"},
		{"a model of tomorrow", "us-east-1", "anthropic.claude-opus-7", nil, ""},
		{"a model of tomorrow, in a geography of tomorrow", "us-east-1", "mx.anthropic.claude-opus-7", nil, ""},
		{"a geography of tomorrow", "ca-central-1", "ca.anthropic.claude-opus-4-6-v1", nil, ""},
		{"a Region of tomorrow", "eu-south-9", bedrock.Geo("us", bedrock.ClaudeOpus4_6), nil, ""},
		{"another vendor's", "us-east-1", "amazon.nova-pro-v1:0", nil, ""},
		{"another vendor's, without a dot", "us-east-1", "command-r", nil, ""},
		{"an ARN of the Region", "us-east-1", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", nil, ""},
		{"an ARN of another", "us-east-1", "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abc", nil, "see WithRegion"},
		{"a model that no profile has", "us-east-1", "anthropic.claude-mythos-5", nil, ""},
		{"a VPC endpoint is AWS's", "us-east-1", bedrock.ClaudeOpus4_6, []bedrock.ClientOption{bedrock.WithBaseURL(vpce)}, "us.anthropic.claude-opus-4-6-v1"},
		{"a gateway may serve what AWS does not", "us-east-1", bedrock.ClaudeOpus4_6, []bedrock.ClientOption{bedrock.WithBaseURL("https://gateway.example/us-east-1")}, ""},
		{"on the caller's word", "us-east-1", bedrock.ClaudeOpus4_6, []bedrock.ClientOption{bedrock.WithUnlistedModels()}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clean(t)
			sent := 0
			c, err := bedrock.New(t.Context(), append([]bedrock.ClientOption{
				bedrock.WithAccessKey(keyID, secret), bedrock.WithRegion(tc.region),
				bedrock.WithHTTPClient(doer(func(r *http.Request) (*http.Response, error) {
					sent++
					return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answerA)), Request: r}, nil
				})),
			}, tc.opts...)...)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Messages.New(t.Context(), hello(tc.model))
			if tc.hint == "" {
				if err != nil || sent != 1 {
					t.Errorf("%v, sent %d times", err, sent)
				}
				return
			}
			var e *bedrock.Error
			if !errors.Is(err, bedrock.ErrNotOffered) || !errors.As(err, &e) || !strings.Contains(e.Hint, tc.hint) || sent != 0 {
				t.Errorf("error %v, sent %d times; want a hint of %s", err, sent, tc.hint)
			}
		})
	}
}

// Tokens are counted by the model's own id, also where it is no id to call.
func TestCountingIsNotBoundToARegion(t *testing.T) {
	clean(t)
	c, err := bedrock.New(t.Context(), bedrock.WithAccessKey(keyID, secret), bedrock.WithHTTPClient(canned("application/json", []byte(`{"inputTokens":4}`))))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.CountTokens(t.Context(), hello(bedrock.ClaudeOpus4_6)); err != nil || n.InputTokens != 4 {
		t.Errorf("%v %v", n, err)
	}
}
