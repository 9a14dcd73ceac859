package bedrock_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/bedrock"
)

func TestBedrocksOwnHeaders(t *testing.T) {
	f := serve(t, plain(answerA))
	_, err := connect(t, f).Messages.New(t.Context(), hello(opus46),
		bedrock.ServiceTier("priority"), bedrock.Guardrail("gr-1", "DRAFT"), bedrock.Trace("ENABLED"), bedrock.PerformanceLatency("optimized"),
		bedrock.RequestMetadata(map[string]string{"team": "ops & co", "cost": "1"}))
	if err != nil {
		t.Fatal(err)
	}
	s := f.one(t)
	for name, want := range map[string]string{
		"X-Amzn-Bedrock-Service-Tier":              "priority",
		"X-Amzn-Bedrock-GuardrailIdentifier":       "gr-1",
		"X-Amzn-Bedrock-GuardrailVersion":          "DRAFT",
		"X-Amzn-Bedrock-Trace":                     "ENABLED",
		"X-Amzn-Bedrock-PerformanceConfig-Latency": "optimized",
		"X-Amzn-Bedrock-Request-Metadata":          `{"cost":"1","team":"ops \u0026 co"}`,
	} {
		if got := s.Header.Get(name); got != want || !s.Signed.Signed(name) {
			t.Errorf("%s: %q, signed %v", name, got, s.Signed.Signed(name))
		}
	}
}

func TestResponseMetrics(t *testing.T) {
	f := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{"Input-Token-Count": "10", "Output-Token-Count": "3", "Cache-Read-Input-Token-Count": "100", "Cache-Write-Input-Token-Count": "7", "Invocation-Latency": "1234"} {
			w.Header().Set("X-Amzn-Bedrock-"+name, value)
		}
		w.Header()["Content-Type"] = nil // and no type: it is JSON all the same
		io.WriteString(w, answerA)
	})
	var res *http.Response
	message, err := connect(t, f).Messages.New(t.Context(), hello(opus46), option.WithResponseInto(&res))
	if err != nil || message.Content[0].Text != "Hello!" {
		t.Fatal(err)
	}
	want := bedrock.Metrics{InputTokens: 10, OutputTokens: 3, CacheReadInputTokens: 100, CacheWriteInputTokens: 7, Latency: 1234 * time.Millisecond}
	if got, ok := bedrock.ResponseMetrics(res); !ok || got != want {
		t.Errorf("metrics %+v", got)
	}
	if _, ok := bedrock.ResponseMetrics(&http.Response{}); ok {
		t.Error("metrics of a response without any")
	}
	if _, ok := bedrock.StreamMetrics(message); ok {
		t.Error("metrics of a message without any")
	}
}
