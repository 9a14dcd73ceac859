package bedrock_test

import (
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
)

func TestThePagesCall(t *testing.T) {
	f := serve(t, plain(answerA))
	message, err := connect(t, f).Messages.New(t.Context(), hello(opus46))
	if err != nil {
		t.Fatal(err)
	}
	if got := message.Content[0].Text; got != "Hello!" {
		t.Errorf("text %q", got)
	}
	s := f.one(t)
	if want := "/model/global.anthropic.claude-opus-4-6-v1:0/invoke"; s.Method != "POST" || s.Path != want || s.Query != "" {
		t.Errorf("sent %s %s?%s, want POST %s", s.Method, s.Path, s.Query, want)
	}
	if want := `{"max_tokens":256,"messages":[{"content":[{"text":"Hello, world","type":"text"}],"role":"user"}],"anthropic_version":"bedrock-2023-05-31"}`; s.Body != want {
		t.Errorf("body\n%s\nwant\n%s", s.Body, want)
	}
	if s.Signed == nil || s.Signed.AccessKeyID != keyID || s.Signed.Region != "us-east-1" || s.Signed.Service != "bedrock" {
		t.Errorf("signed by %v", s.Signed)
	}
}

func TestThePagesCallStreamed(t *testing.T) {
	f := serve(t, streamed(framed(helloEvents...)))
	stream := connect(t, f).Messages.NewStreaming(t.Context(), hello(opus46))
	defer stream.Close()
	var message anthropic.Message
	n := 0
	for stream.Next() {
		n++
		if err := message.Accumulate(stream.Current()); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if n != len(helloEvents) || message.Content[0].Text != "Hello!" || message.Usage.OutputTokens != 3 {
		t.Errorf("%d events, message %+v", n, message)
	}
	if s := f.one(t); s.Path != "/model/global.anthropic.claude-opus-4-6-v1:0/invoke-with-response-stream" || s.JSON(t)["stream"] != nil {
		t.Errorf("sent %s with %s", s.Path, s.Body)
	}
}
