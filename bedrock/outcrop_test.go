package bedrock_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsbedrock "github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/outcroptest"
)

// The other tests hold the client to fakes of the wire; here it talks to a real
// Outcrop, which knows the service's rules by itself.
func TestAgainstAnOutcrop(t *testing.T) {
	from := func(region string) outcroptest.Match {
		return outcroptest.Match{Header: map[string]string{"Authorization": "/" + region + "/bedrock/"}}
	}
	cut := outcroptest.Say("never seen")
	cut.CutAtFrame = 2 // behind content_block_start
	s := outcroptest.NewServer(t, outcroptest.Scenario{Name: "client", Rules: []outcroptest.Rule{
		{Match: from("us-east-1"), Answer: outcroptest.Fail("ThrottlingException", "Too many requests, please wait before trying again.")},
		{Match: from("us-east-2"), Answer: cut},
		{Match: from("eu-west-1"), Answer: outcroptest.Fail("ValidationException", "bad")},
		{Answer: outcroptest.Say("Hello, world")},
	}})
	regionsOf := func() string {
		var all []string
		for _, r := range s.Requests() {
			all = append(all, r.Region)
		}
		return strings.Join(all, " ")
	}
	c := s.Client(bedrock.WithRegions("us-east-1", "us-east-2", "us-west-2"), bedrock.WithMaxRetries(0))
	stream := c.Messages.NewStreaming(t.Context(), hello(opus46))
	defer stream.Close()
	var m anthropic.Message
	for stream.Next() {
		if err := m.Accumulate(stream.Current()); err != nil {
			t.Fatal(err)
		}
	}
	if stream.Err() != nil || m.Content[0].Text != "Hello, world" || regionsOf() != "us-east-1 us-east-2 us-west-2" {
		t.Fatalf("%v from %s: %v", m.Content, regionsOf(), stream.Err())
	}

	c = s.Client(bedrock.WithRegions("eu-west-1", "us-west-2"), bedrock.WithRegion("eu-west-1"))
	if _, err := c.Messages.New(t.Context(), hello(opus46)); !errors.Is(err, bedrock.ErrValidation) {
		t.Errorf("its own fault: %v", err)
	}

	c = s.Client(bedrock.WithRegion("us-west-2"))
	n, err := c.CountTokens(t.Context(), hello(opus46))
	if err != nil || n.InputTokens == 0 {
		t.Errorf("%v %v", n, err)
	}
	out, err := c.Runtime().Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(opus46),
		Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Hello"}}}}})
	if err != nil || out.StopReason != types.StopReasonEndTurn {
		t.Errorf("%v %v", out, err)
	}
	list, err := c.ControlPlane().ListInferenceProfiles(t.Context(), &awsbedrock.ListInferenceProfilesInput{})
	if err != nil || len(list.InferenceProfileSummaries) == 0 {
		t.Errorf("%v %v", list, err)
	}
	me, err := c.STS().GetCallerIdentity(t.Context(), nil)
	if err != nil || *me.Account != s.Account {
		t.Errorf("%v %v", me, err)
	}
	key, err := bedrock.New(t.Context(), bedrock.WithBearerToken(s.APIKey), bedrock.WithBaseURL(s.URL), bedrock.WithRegion("us-west-2"))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := key.Messages.New(t.Context(), hello(opus46)); err == nil && m.Content[0].Text != "Hello, world" {
		t.Errorf("%v", m.Content)
	} else if err != nil {
		t.Error(err)
	}
}
