package bedrock

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// TestLive calls AWS itself, once for each operation, with the default chain: a
// few cents at most. OUTCROP_TEST_AWS_REGION and OUTCROP_TEST_AWS_MODEL choose
// where and what.
func TestLive(t *testing.T) {
	if os.Getenv("OUTCROP_TEST_AWS") != "1" {
		t.Skip("SKIPPED: no call to real AWS was made; set OUTCROP_TEST_AWS=1 to spend a few cents on it")
	}
	region, model := "us-east-1", "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	if v := os.Getenv("OUTCROP_TEST_AWS_REGION"); v != "" {
		region = v
	}
	if v := os.Getenv("OUTCROP_TEST_AWS_MODEL"); v != "" {
		model = v
	}
	u, err := New(t.Context(), Options{FirstContent: time.Minute, Idle: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if err := u.Warm(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	r := routes(t, model, region, false)[0]
	const hello = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":20,"messages":[{"role":"user","content":"Say hello."}]}`
	const converse = `{"messages":[{"role":"user","content":[{"text":"Say hello."}]}],"inferenceConfig":{"maxTokens":20}}`
	for name, req := range map[string]gateway.Request{
		"InvokeModel": request(t, hello, false), "InvokeModelWithResponseStream": request(t, hello, true),
		"Converse": requestIn(t, gateway.Converse, converse, false), "ConverseStream": requestIn(t, gateway.Converse, converse, true),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := u.Send(t.Context(), r, req)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			events, data, wire, err := pull(s)
			if err != nil || s.UpstreamRequestID() == "" || !bytes.Contains(bytes.ToLower(bytes.Join(data, nil)), []byte("hello")) || req.Stream != (len(wire) > 0) {
				t.Errorf("%v %s %v", events, data, err)
			}
		})
	}
	t.Run("CountTokens", func(t *testing.T) {
		if c, err := u.CountTokens(t.Context(), r, request(t, hello, false)); err != nil || c.Tokens < 5 || c.Tokens > 50 || c.Estimate {
			t.Errorf("%+v %v", c, err)
		}
	})
	t.Run("native Messages", func(t *testing.T) {
		u.opts.NativeMessages = true
		s, err := u.Send(t.Context(), r, request(t, hello, true))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if events, _, _, err := pull(s); err != nil || events[len(events)-1] != messages.EventMessageStop {
			t.Errorf("%v %v", events, err)
		}
	})
}
