package gateway

import (
	"slices"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// versions that any model of the service takes; which one takes which is the
// catalog's.
var versions = []string{"bedrock-2023-05-31", "2023-06-01", version2026}

// version2026 is the API version of 2026-10-21: sampling members are gone.
const version2026 = "2026-10-21"

// checkModel holds the request to what its model takes.
func (g *Gateway) checkModel(head *Head, body *Body, m *catalog.Model) error {
	say := schemaOf(head.Operation)
	if head.Version != "" {
		known := slices.Contains(versions, head.Version)
		if !known || g.Policy.Strict && !m.AcceptsVersion(head.Version, apiOf(head)) {
			return say.wrong("anthropic_version", "a version that "+m.ID+" accepts, not \""+head.Version+"\"")
		}
	}
	if limit := m.OutputLimit(head.Betas, g.Policy); limit > 0 && head.MaxTokens > limit {
		return messages.Errorf(messages.InvalidRequest,
			"The maximum tokens you requested exceeds the model limit of %d. Try again with a maximum tokens value lower than %d.", limit, limit)
	}
	if head.Version == version2026 {
		for _, key := range []string{"temperature", "top_p", "top_k"} {
			if _, ok := body.Get(key); ok {
				return messages.Errorf(messages.ModelRejected, "%s: Extra inputs are not permitted", key).
					WithHint("API version %s has no sampling parameters; leave %s out, or send anthropic_version bedrock-2023-05-31", version2026, key)
			}
		}
	}
	return g.checkFeatures(head, body, m)
}

func apiOf(h *Head) catalog.API {
	switch {
	case h.Mantle:
		return catalog.Mantle
	case h.count():
		return catalog.Count
	case onMessages(h.Operation):
		return catalog.Messages
	default:
		return catalog.Invoke
	}
}
