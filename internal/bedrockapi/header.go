package bedrockapi

// Header names of bedrock-runtime, in their canonical spelling.
const (
	HeaderRequestID        = "X-Amzn-Requestid"
	HeaderErrorType        = "X-Amzn-Errortype"
	HeaderAccept           = "X-Amzn-Bedrock-Accept"
	HeaderContentType      = "X-Amzn-Bedrock-Content-Type"
	HeaderTrace            = "X-Amzn-Bedrock-Trace"
	HeaderGuardrailID      = "X-Amzn-Bedrock-Guardrailidentifier"
	HeaderGuardrailVersion = "X-Amzn-Bedrock-Guardrailversion"
	HeaderLatency          = "X-Amzn-Bedrock-Performanceconfig-Latency"
	HeaderServiceTier      = "X-Amzn-Bedrock-Service-Tier"
	HeaderMetadata         = "X-Amzn-Bedrock-Request-Metadata"
	HeaderInputTokens      = "X-Amzn-Bedrock-Input-Token-Count"
	HeaderOutputTokens     = "X-Amzn-Bedrock-Output-Token-Count"
	HeaderCacheRead        = "X-Amzn-Bedrock-Cache-Read-Input-Token-Count"
	HeaderCacheWrite       = "X-Amzn-Bedrock-Cache-Write-Input-Token-Count"
	HeaderLatencyMS        = "X-Amzn-Bedrock-Invocation-Latency"
)

// TypeEventStream is the Content-Type of a Bedrock stream. Claude Code refuses a
// stream that carries any other.
const TypeEventStream = "application/vnd.amazon.eventstream"
