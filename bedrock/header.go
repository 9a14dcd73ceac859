package bedrock

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// ServiceTier asks for a tier: default, priority, flex or reserved. The answer's
// header of the same name (X-Amzn-Bedrock-Service-Tier) says which served it.
// Source of this and of what follows: the service model of bedrock-runtime, 2023-09-30.
func ServiceTier(tier string) option.RequestOption {
	return option.WithHeader(bedrockapi.HeaderServiceTier, tier)
}

// Guardrail applies a guardrail, by its id or ARN; version is a number or DRAFT.
// For all calls of a client: WithRequestOptions(Guardrail(…)).
func Guardrail(id, version string) option.RequestOption {
	return option.Join(option.WithHeader(bedrockapi.HeaderGuardrailID, id), option.WithHeader(bedrockapi.HeaderGuardrailVersion, version))
}

// Trace asks for a guardrail's trace in the answer: ENABLED, DISABLED or
// ENABLED_FULL.
func Trace(mode string) option.RequestOption { return option.WithHeader(bedrockapi.HeaderTrace, mode) }

// PerformanceLatency asks for a latency: standard or optimized.
func PerformanceLatency(latency string) option.RequestOption {
	return option.WithHeader(bedrockapi.HeaderLatency, latency)
}

// RequestMetadata puts tags into the invocation log: at most 16, of up to 256
// characters each, or the service answers with [ErrValidation].
func RequestMetadata(tags map[string]string) option.RequestOption {
	value, _ := json.Marshal(tags) // strings cannot fail
	return option.WithHeader(bedrockapi.HeaderMetadata, string(value))
}

// Metrics are Bedrock's own figures of a call. Source: the headers of InvokeModel's
// answer, and amazon-bedrock-invocationMetrics in the last event of its stream.
type Metrics struct {
	InputTokens           int64         // that the cache neither served nor stored
	OutputTokens          int64         // thinking included
	CacheReadInputTokens  int64         // served by the cache
	CacheWriteInputTokens int64         // stored in it
	Latency               time.Duration // at the service, in whole milliseconds
	FirstByteLatency      time.Duration // of streams alone; else 0
}

// ResponseMetrics reads the figures of an answer that was not streamed, from the
// response that option.WithResponseInto gives.
func ResponseMetrics(res *http.Response) (Metrics, bool) {
	if res == nil || res.Header.Get(bedrockapi.HeaderOutputTokens) == "" {
		return Metrics{}, false
	}
	n := func(name string) int64 {
		v, _ := strconv.ParseInt(res.Header.Get(name), 10, 64) // not there: 0
		return v
	}
	return Metrics{
		InputTokens: n(bedrockapi.HeaderInputTokens), OutputTokens: n(bedrockapi.HeaderOutputTokens),
		CacheReadInputTokens: n(bedrockapi.HeaderCacheRead), CacheWriteInputTokens: n(bedrockapi.HeaderCacheWrite),
		Latency: time.Duration(n(bedrockapi.HeaderLatencyMS)) * time.Millisecond,
	}, true
}

// StreamMetrics reads the figures that come with a stream's message_stop event.
func StreamMetrics(event interface{ RawJSON() string }) (Metrics, bool) {
	return streamMetrics([]byte(event.RawJSON()))
}

func streamMetrics(event []byte) (Metrics, bool) {
	figures := member(event, "amazon-bedrock-invocationMetrics")
	if figures == nil {
		return Metrics{}, false
	}
	n := func(name string) int64 {
		v, _ := jsonspan.Int(member(figures, name)) // not there: 0
		return v
	}
	return Metrics{
		InputTokens: n("inputTokenCount"), OutputTokens: n("outputTokenCount"),
		CacheReadInputTokens: n("cacheReadInputTokenCount"), CacheWriteInputTokens: n("cacheWriteInputTokenCount"),
		Latency:          time.Duration(n("invocationLatency")) * time.Millisecond,
		FirstByteLatency: time.Duration(n("firstByteLatency")) * time.Millisecond,
	}, true
}
