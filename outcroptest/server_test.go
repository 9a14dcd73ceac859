package outcroptest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/outcroptest"
)

const opus = "global.anthropic.claude-opus-4-6-v1:0"

func ask(text string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{Model: opus, MaxTokens: 256,
		System:   []anthropic.TextBlockParam{{Text: "Be kind."}},
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))}}
}

func textOf(m *anthropic.Message) string {
	var b strings.Builder
	for _, block := range m.Content {
		b.WriteString(block.Text)
	}
	return b.String()
}

// stand is a testing.TB that keeps what it is told.
type stand struct {
	testing.TB
	mu   sync.Mutex
	said []string
	done []func()
}

func (s *stand) Helper() {}
func (s *stand) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, strings.TrimSpace(fmt.Sprintf(format, args...)))
}
func (s *stand) Cleanup(f func()) { s.done = append(s.done, f) }
func (s *stand) end() {
	for _, f := range slices.Backward(s.done) {
		f()
	}
}

// The three Go clients of Bedrock, on one scenario.
func TestClients(t *testing.T) {
	weather := outcroptest.Answer{Content: []outcroptest.Block{outcroptest.Thinking("Hm."), outcroptest.Text("I will look."),
		outcroptest.ToolUse("get_weather", map[string]any{"city": "Taipei"})}, Usage: &outcroptest.Usage{InputTokens: 21, OutputTokens: 7}}
	s := outcroptest.NewServer(t, outcroptest.Scenario{Name: "clients", Rules: []outcroptest.Rule{
		{Match: outcroptest.Match{Text: "weather"}, Answer: weather},
		{Match: outcroptest.Match{Text: "greet"}, Answer: outcroptest.Say("Hello, world")},
	}})
	ctx := t.Context()

	t.Run("bedrock", func(t *testing.T) {
		client := s.Client()
		m, err := client.Messages.New(ctx, ask("greet me"))
		if err != nil || textOf(m) != "Hello, world" {
			t.Fatalf("%+v, %v", m, err)
		}
		stream := client.Messages.NewStreaming(ctx, ask("what is the weather"))
		var got anthropic.Message
		for stream.Next() {
			if err := got.Accumulate(stream.Current()); err != nil {
				t.Fatal(err)
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		if textOf(&got) != "I will look." || len(got.Content) != 3 || string(got.Content[2].Input) != `{"city":"Taipei"}` ||
			got.Content[0].Thinking != "Hm." || got.Usage.InputTokens != 21 || got.Usage.OutputTokens != 7 || got.StopReason != "tool_use" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("anthropic", func(t *testing.T) {
		client := anthropic.NewClient(bedrock.Option(ctx, bedrock.WithAccessKey(s.AccessKeyID, s.SecretAccessKey), bedrock.WithBaseURL(s.URL), bedrock.WithRegion("eu-west-1")))
		m, err := client.Messages.New(ctx, ask("greet me"))
		if err != nil || textOf(m) != "Hello, world" {
			t.Fatalf("%+v, %v", m, err)
		}
		if r := s.LastRequest(); r.Region != "eu-west-1" {
			t.Errorf("%+v", r)
		}
		// The Messages API itself, by the API key.
		client = anthropic.NewClient(option.WithBaseURL(s.URL), option.WithAPIKey(s.APIKey))
		if m, err = client.Messages.New(ctx, ask("greet me")); err != nil || textOf(m) != "Hello, world" {
			t.Fatalf("%+v, %v", m, err)
		}
		if r := s.LastRequest(); r.Operation != "CreateMessage" || r.Model != opus || r.AccessKeyID != "" || r.Region != s.Region {
			t.Errorf("%+v", r)
		}
	})
	t.Run("aws", func(t *testing.T) {
		client := bedrockruntime.NewFromConfig(s.AWSConfig())
		said := []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "greet me"}}}}
		out, err := client.Converse(ctx, &bedrockruntime.ConverseInput{ModelId: aws.String(opus), Messages: said,
			System:          []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: "Be kind."}},
			InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(99)}})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value; got != "Hello, world" {
			t.Errorf("%q", got)
		}
		r := s.LastRequest("Converse")
		if r.System() != "Be kind." || r.Text() != "greet me" || r.MaxTokens() != 99 || r.Model != opus || r.AccessKeyID != s.AccessKeyID || len(r.Messages()) != 1 {
			t.Errorf("%+v", r)
		}
		body := []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"greet"}]}`)
		count, err := client.CountTokens(ctx, &bedrockruntime.CountTokensInput{ModelId: aws.String("anthropic.claude-opus-4-6-v1"),
			Input: &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: body}}})
		if err != nil || *count.InputTokens == 0 {
			t.Errorf("%+v, %v", count, err)
		}
		if r := s.LastRequest(); r.Operation != "CountTokens" || r.Text() != "greet" {
			t.Errorf("%+v", r)
		}
		who, err := sts.NewFromConfig(s.AWSConfig()).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil || *who.Account != s.Account {
			t.Errorf("%+v, %v", who, err)
		}
	})
}

func TestRequests(t *testing.T) {
	s := outcroptest.NewServer(t, outcroptest.Scenario{Otherwise: outcroptest.Echo}, outcroptest.WithRegion("us-west-2"))
	p := ask("hello")
	p.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{Name: "get_weather", InputSchema: anthropic.ToolInputSchemaParam{}}}}
	if _, err := s.Client().Messages.New(t.Context(), p, option.WithHeader("anthropic-beta", "context-1m-2025-08-07, other-2026-01-01"), option.WithHeader("x-team", "red")); err != nil {
		t.Fatal(err)
	}
	s.AssertCalls(t, 1)
	s.AssertCalls(t, 0, "Converse", "CountTokens")
	r := s.LastRequest()
	if r.Operation != "InvokeModel" || r.Model != opus || r.Region != "us-west-2" || r.AccessKeyID != s.AccessKeyID || r.Header.Get("X-Team") != "red" ||
		!strings.HasSuffix(r.Path, "/invoke") || r.Method != "POST" {
		t.Errorf("%+v", r)
	}
	m := r.Messages()
	if len(m) != 1 || m[0].Role != "user" || m[0].Text != "hello" || m[0].Blocks[0]["type"] != "text" {
		t.Errorf("%+v", m)
	}
	if !slices.Equal(r.Tools(), []string{"get_weather"}) || !slices.Equal(r.Betas(), []string{"context-1m-2025-08-07", "other-2026-01-01"}) ||
		r.MaxTokens() != 256 || r.System() != "Be kind." {
		t.Errorf("%q %q %d %q", r.Tools(), r.Betas(), r.MaxTokens(), r.System())
	}
	var body map[string]any
	if err := r.Decode(&body); err != nil || body["anthropic_version"] == nil {
		t.Errorf("%v, %v", body, err)
	}

	watch := &stand{TB: t}
	s.AssertCalls(watch, 2)
	if len(watch.said) != 1 || !strings.Contains(watch.said[0], "1 requests came, want 2\n\t1. InvokeModel "+opus) {
		t.Errorf("%q", watch.said)
	}
}

// A call without a rule fails the test, and says what each rule asked for.
func TestUnmatched(t *testing.T) {
	watch := &stand{TB: t}
	s := outcroptest.NewServer(watch, outcroptest.Scenario{Rules: []outcroptest.Rule{
		{Match: outcroptest.Match{Text: "weather", Operation: "Converse*"}},
		{Match: outcroptest.Match{Text: "hello"}, Times: 1},
	}})
	client := s.Client(bedrock.WithMaxRetries(0))
	if _, err := client.Messages.New(t.Context(), ask("hello")); err != nil {
		t.Fatal(err)
	}
	_, err := client.Messages.New(t.Context(), ask("hello"))
	if api, ok := errors.AsType[*anthropic.Error](err); !ok || api.StatusCode != 404 {
		t.Errorf("%v", err)
	}
	watch.end()
	if len(watch.said) != 1 {
		t.Fatalf("%q", watch.said)
	}
	for _, want := range []string{
		`no rule of the scenario answers call 2: InvokeModel, model ` + opus + `, last user text "hello"`,
		"\n\trule 1: operation: want Converse*, it is InvokeModel, text: \"weather\" is not within \"hello\"",
		"\n\trule 2: has answered 1 times",
	} {
		if !strings.Contains(watch.said[0], want) {
			t.Errorf("%s\n  does not say %s", watch.said[0], want)
		}
	}
}

func TestFaults(t *testing.T) {
	long := outcroptest.Say("one two three four five six seven eight nine ten")
	at := func(f func(*outcroptest.Answer)) outcroptest.Answer { a := long; f(&a); return a }
	s := outcroptest.NewServer(t, outcroptest.Scenario{Rules: []outcroptest.Rule{
		{Match: outcroptest.Match{Text: "busy"}, Times: 1, Answer: outcroptest.Answer{Error: &outcroptest.Fault{Exception: "ThrottlingException", Message: "Slow down.", RetryAfter: time.Second}}},
		{Match: outcroptest.Match{Text: "midway"}, Answer: at(func(a *outcroptest.Answer) {
			a.Error = &outcroptest.Fault{Exception: "ThrottlingException", AtFrame: 3}
		})},
		{Match: outcroptest.Match{Text: "cut"}, Answer: at(func(a *outcroptest.Answer) { a.CutAtFrame = 3 })},
		{Match: outcroptest.Match{Text: "garble"}, Answer: at(func(a *outcroptest.Answer) { a.CorruptAtFrame = 3 })},
		{Match: outcroptest.Match{Text: "denied"}, Answer: outcroptest.Fail("AccessDeniedException", "No.")},
		{Answer: long},
	}})
	client := s.Client(bedrock.WithMaxRetries(0))
	_, err := client.Messages.New(t.Context(), ask("busy"))
	if api, ok := errors.AsType[*anthropic.Error](err); !ok || !errors.Is(err, bedrock.ErrThrottling) || api.Response.Header.Get("Retry-After") != "1" {
		t.Errorf("%v", err)
	}
	if _, err := client.Messages.New(t.Context(), ask("busy")); err != nil {
		t.Errorf("the second call: %v", err)
	}
	for text, is := range map[string]func(error) bool{
		"midway": func(err error) bool { return errors.Is(err, bedrock.ErrThrottling) },
		"cut":    func(err error) bool { return err != nil },
		"garble": func(err error) bool { return err != nil && strings.Contains(err.Error(), "checksum") },
	} {
		stream := client.Messages.NewStreaming(t.Context(), ask(text))
		words := ""
		for stream.Next() {
			words += stream.Current().Delta.Text
		}
		if err := stream.Err(); !is(err) || words != "one two three fo" {
			t.Errorf("%s: %q, %v", text, words, err)
		}
		stream.Close()
	}
	_, err = bedrockruntime.NewFromConfig(s.AWSConfig()).InvokeModel(t.Context(), &bedrockruntime.InvokeModelInput{ModelId: aws.String(opus),
		Body: []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"denied"}]}`)})
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "AccessDeniedException" || api.ErrorMessage() != "No." {
		t.Errorf("%v", err)
	}
}

// Frames wait for the test, so that it can say what happens first.
func TestOnFrame(t *testing.T) {
	seen := make(chan struct{})
	s := outcroptest.NewServer(t, outcroptest.Answers(outcroptest.Answer{Content: []outcroptest.Block{outcroptest.Text("first second")}, Chunk: 6,
		OnFrame: func(frame int) error {
			if frame == 3 { // the second delta
				<-seen
			}
			return nil
		}}))
	stream := s.Client().Messages.NewStreaming(t.Context(), ask("x"))
	defer stream.Close()
	var words []string
	for stream.Next() {
		if text := stream.Current().Delta.Text; text != "" {
			words = append(words, text)
			if len(words) == 1 {
				close(seen)
			}
		}
	}
	if err := stream.Err(); err != nil || !slices.Equal(words, []string{"first ", "second"}) {
		t.Errorf("%q, %v", words, err)
	}
}

// A held stream ends when its client leaves, and the server with the test.
func TestHold(t *testing.T) {
	watch := &stand{TB: t}
	s := outcroptest.NewServer(watch, outcroptest.Answers(outcroptest.Answer{Hold: 2}))
	ctx, leave := context.WithCancel(t.Context())
	stream := s.Client().Messages.NewStreaming(ctx, ask("x"))
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	leave()
	watch.end()
	if len(watch.said) > 0 {
		t.Error(watch.said)
	}
	if _, err := http.Get(s.URL + "/healthz"); err == nil {
		t.Error("the server serves still")
	}
}

// The signature is checked: another secret is refused, and the request is seen.
func TestRefused(t *testing.T) {
	s := outcroptest.NewServer(t, outcroptest.Answers(outcroptest.Say("x")))
	client, err := bedrock.New(t.Context(), bedrock.WithAccessKey(s.AccessKeyID, "wrong"), bedrock.WithBaseURL(s.URL), bedrock.WithMaxRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Messages.New(t.Context(), ask("x"))
	if api, ok := errors.AsType[*anthropic.Error](err); !ok || api.StatusCode != 403 {
		t.Errorf("%v", err)
	}
	s.AssertCalls(t, 1, "InvokeModel")
	resp, err := http.Get(s.URL + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	var health struct{ Status, Upstream string }
	if err != nil || json.Unmarshal(raw, &health) != nil || health.Status != "ok" || health.Upstream != "scripted" {
		t.Errorf("%s, %v", raw, err)
	}
	s.AssertCalls(t, 1)
}

func TestEnvironment(t *testing.T) {
	s := outcroptest.NewServer(t, outcroptest.Answers(outcroptest.Say("from the environment")))
	env := s.Environ([]string{"PATH=/bin", "AWS_PROFILE=mine", "AWS_REGION=mars-1"})
	for _, want := range []string{"PATH=/bin", "AWS_REGION=us-east-1", "ANTHROPIC_BEDROCK_BASE_URL=" + s.URL, "AWS_ACCESS_KEY_ID=" + s.AccessKeyID} {
		if !slices.Contains(env, want) {
			t.Errorf("no %s in %q", want, env)
		}
	}
	if slices.Contains(env, "AWS_PROFILE=mine") {
		t.Errorf("%q", env)
	}
	t.Setenv("AWS_BEARER_TOKEN_BEDROCK", "someone else's")
	t.Run("set", func(t *testing.T) {
		s.Setenv(t)
		client, err := bedrock.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m, err := client.Messages.New(t.Context(), ask("x")); err != nil || textOf(m) != "from the environment" {
			t.Errorf("%+v, %v", m, err)
		}
	})
	if os.Getenv("AWS_BEARER_TOKEN_BEDROCK") != "someone else's" || os.Getenv("ANTHROPIC_BEDROCK_BASE_URL") == s.URL {
		t.Error("the environment did not come back")
	}
}

var schema = document.NewLazyDocument(map[string]any{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}})

// Strict is as AWS is: a base id of a model that has profiles alone is refused.
func TestStrict(t *testing.T) {
	const base = "anthropic.claude-opus-4-6-v1"
	for _, opts := range [][]outcroptest.Option{nil, {outcroptest.WithStrict()}} {
		s := outcroptest.NewServer(t, outcroptest.Answers(outcroptest.Say("x")), opts...)
		_, err := bedrockruntime.NewFromConfig(s.AWSConfig()).InvokeModel(t.Context(), &bedrockruntime.InvokeModelInput{ModelId: aws.String(base),
			Body: []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"x"}]}`)})
		if strict := len(opts) > 0; (err != nil) != strict || strict && !strings.Contains(err.Error(), "on-demand throughput") {
			t.Errorf("strict %v: %v", strict, err)
		}
	}
}

// Documents of Converse come as their text; a PDF says how long it is. A count is
// what its rule says.
func TestDocumentsAndCounts(t *testing.T) {
	s := outcroptest.NewServer(t, outcroptest.Scenario{Rules: []outcroptest.Rule{
		{Match: outcroptest.Match{Text: "What is it?"}, Answer: outcroptest.Say("a document")},
		{Match: outcroptest.Match{Operation: "CountTokens"}, Answer: outcroptest.Answer{Usage: &outcroptest.Usage{InputTokens: 2048}}},
	}})
	client := bedrockruntime.NewFromConfig(s.AWSConfig())
	for _, tt := range []struct {
		format types.DocumentFormat
		data   string
		want   string
	}{{types.DocumentFormatCsv, "a,b\n1,2", "a,b\n1,2"}, {types.DocumentFormatPdf, "%PDF-", "(pdf document of 5 bytes)"}} {
		_, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(opus), Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
			&types.ContentBlockMemberText{Value: "What is it?"},
			&types.ContentBlockMemberDocument{Value: types.DocumentBlock{Name: aws.String("it"), Format: tt.format, Source: &types.DocumentSourceMemberBytes{Value: []byte(tt.data)}}},
		}}}})
		if err != nil {
			t.Errorf("%s: %v", tt.format, err)
			continue
		}
		blocks := s.LastRequest().Messages()[0].Blocks
		if len(blocks) != 2 || blocks[1]["type"] != "document" || blocks[1]["source"].(map[string]any)["data"] != tt.want {
			t.Errorf("%s: %v", tt.format, blocks)
		}
	}
	n, err := s.Client().CountTokens(t.Context(), ask("x"))
	if err != nil || n.InputTokens != 2048 {
		t.Errorf("%+v, %v", n, err)
	}
}
