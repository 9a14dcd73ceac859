package bedrock

import (
	"bytes"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

const (
	versionBedrock = "bedrock-2023-05-31"
	version2023    = "2023-06-01" // Anthropic's own name of the same rules
	version2026    = "2026-10-21"
	versionSDK     = version2026 // in the header of every request that the SDK makes
)

// version is the rule that the package's documentation gives. When the body has
// its own, the result is that one.
func (b *backend) version(model, header string, body []byte, members jsonspan.Members) (string, error) {
	if m, ok := members.Get("anthropic_version"); ok {
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
	return version2026, legal2026(model, body, members)
}

// legal2026 refuses what version 2026-10-21 took away, before it is sent: the
// service's own refusal names neither the version nor the way out.
// Source: Anthropic's page on API versions, 2026-10-21.
func legal2026(model string, body []byte, members jsonspan.Members) error {
	gone := func(where, what, instead string) error {
		e := badRequest("%s%s is not part of version %s, which %s is called with", where, what, version2026, model)
		e.Hint = instead + `; or ask for the older rules with option.WithJSONSet("anthropic_version", "` + versionBedrock + `")`
		return e
	}
	for _, key := range []string{"temperature", "top_p", "top_k"} {
		if m, ok := members.Get(key); ok && string(m.Value(body)) != "null" {
			return gone("", key, "leave it out")
		}
	}
	// Both marks are rare; without them there is nothing to walk through.
	if !bytes.Contains(body, []byte(`"document"`)) && !bytes.Contains(body, []byte(`"citations"`)) {
		return nil
	}
	m, ok := members.Get("messages")
	if !ok {
		return nil
	}
	for i, message := range elements(m.Value(body)) {
		role, content := text(message, "role"), member(message, "content")
		for j, block := range elements(content) {
			kind := text(block, "type")
			where := fmt.Sprintf("messages.%d.content.%d: ", i, j)
			switch {
			case role == "assistant" && kind == "document":
				return gone(where, "a document in an assistant message", "put it into a user message")
			case role == "user" && kind == "text" && len(member(block, "citations")) > 0 && string(member(block, "citations")) != "null":
				return gone(where, "citations on a user's text", "switch citations on at a document or search result")
			default:
			}
		}
	}
	return nil
}

// elements, member and text read values for a check that only refuses: what
// they cannot read is the service's to judge.
func elements(array []byte) [][]byte {
	spans, err := jsonspan.ScanArray(nil, array)
	if err != nil {
		return nil
	}
	all := make([][]byte, len(spans))
	for i, s := range spans {
		all[i] = s.Value(array)
	}
	return all
}

func member(object []byte, key string) []byte {
	m, err := jsonspan.Scan(nil, object, nil)
	if err != nil {
		return nil
	}
	v, ok := m.Get(key)
	if !ok {
		return nil
	}
	return v.Value(object)
}

func text(object []byte, key string) string {
	s, err := jsonspan.String(nil, member(object, key))
	if err != nil {
		return ""
	}
	return string(s)
}
