package bedrock

import (
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

const (
	versionBedrock   = "bedrock-2023-05-31"
	version2023      = "2023-06-01" // the first-party name of the same
	version2026      = "2026-10-21"
	versionSDK       = version2026 // what the SDK sets on every request
	parametersHint   = "leave it out; models before 2026-10-21 still take it, and option.WithJSONSet(\"anthropic_version\", \"bedrock-2023-05-31\") asks for the older rules"
	documentHint     = "put the document into a user message"
	citationsHint    = "citations go on documents and search results"
	assistantRole    = "assistant"
	userRole         = "user"
	documentBlock    = "document"
	textBlock        = "text"
	citationsMember  = "citations"
	versionInTheBody = "anthropic_version"
)

// version is the rule of the package's documentation. The value is of no use when
// the body has its own.
func (b *backend) version(model, header string, body []byte, members jsonspan.Members) (string, error) {
	if m, ok := members.Get(versionInTheBody); ok {
		v, err := jsonspan.String(nil, m.Value(body))
		if err != nil {
			return "", badRequest("anthropic_version is not a string")
		}
		return string(v), nil
	}
	switch header {
	case "", versionSDK:
	case version2023:
		return versionBedrock, nil
	default:
		return header, nil
	}
	if m, ok := b.catalog.Lookup(model); !ok || !m.AcceptsVersion(version2026, catalog.Invoke) {
		return versionBedrock, nil
	}
	return version2026, legal2026(body, members)
}


func legal2026(body []byte, members jsonspan.Members) error { return nil }
