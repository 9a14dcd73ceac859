package recording

import "regexp"

// Forms of keys: long-term Bedrock API keys (whose base64 begins with
// BedrockAPIKey), short-term ones, Anthropic's. The
// token of an MCP server stands in the body of a request by the API's own design.
var (
	keys  = regexp.MustCompile(`\bABSKQmVkcm9ja0FQSUtle[A-Za-z0-9+/=]{20,}|\bbedrock-api-key-[A-Za-z0-9+/=_-]{40,}|\bsk-ant-[A-Za-z0-9_-]{20,}`)
	token = regexp.MustCompile(`("authorization_token"\s*:\s*)"(?:[^"\\]|\\.)*"`)
)

// redacted stands where a secret was.
const redacted = "REDACTED"

// redact takes secrets out of JSON. It does the same to a call that is matched, so
// that it still is.
func redact(text []byte) []byte {
	text = token.ReplaceAll(text, []byte(`${1}"`+redacted+`"`))
	return keys.ReplaceAll(text, []byte(redacted))
}

// HasKey says that a text shows a key, which no recording may.
func HasKey(text []byte) bool { return keys.Match(text) }
