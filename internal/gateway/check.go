package gateway

import (
	"slices"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// checkModel holds the request to what its model takes.
func (g *Gateway) checkModel(head *Head, body *Body, m *catalog.Model) error {
	policy := g.policy(head)
	say := schemaOf(head.Operation)
	form := formOf(head)
	if policy.Strict && !m.Serves(form) {
		return messages.Errorf(messages.InvalidRequest, "The model '%s' does not support the '%s' API", head.Ref, head.Operation.Path)
	}
	if head.Version != "" {
		known := slices.Contains(versions, head.Version)
		if !known || policy.Strict && !m.AcceptsVersion(head.Version, form) {
			return say.wrong("anthropic_version", "a version that "+m.ID+" accepts, not \""+head.Version+"\"")
		}
	}
	if limit := m.OutputLimit(head.Betas, policy); limit > 0 && head.MaxTokens > limit {
		return messages.Errorf(messages.InvalidRequest,
			"The maximum tokens you requested exceeds the model limit of %d. Try again with a maximum tokens value lower than %d.", limit, limit)
	}
	if head.Version == version2026 && body.dialect == Messages {
		if err := check2026(body); err != nil {
			return err
		}
	}
	if body.dialect == Converse {
		return nil // relayed as it is: AWS itself says what it does not take
	}
	if err := g.checkWindow(head, body, m, policy); err != nil {
		return err
	}
	return g.checkFeatures(head, body, m)
}

// formOf is the API whose form the body has: a count has that of the call it
// counts for.
func formOf(h *Head) catalog.API {
	switch {
	case h.Mantle:
		return catalog.Mantle
	case onMessages(h.Operation):
		return catalog.Messages
	case h.Settings != nil:
		return catalog.Converse
	default:
		return catalog.Invoke
	}
}

func apiOf(h *Head) catalog.API {
	if h.count() && !h.Mantle {
		return catalog.Count
	}
	return formOf(h)
}

// checkWindow holds the prompt to the window that the model has with the betas of
// the call. AWS counts for itself; elsewhere our estimate stands for its count.
func (g *Gateway) checkWindow(head *Head, body *Body, m *catalog.Model, policy catalog.Policy) error {
	if g.Upstream.Capabilities().Bills || len(body.data) < 1<<18 { // no window is so small
		return nil
	}
	limit := m.ContextWindow(head.Betas, policy)
	if n := routing.Estimate(body.data); limit > 0 && n > limit {
		e := messages.Errorf(messages.ModelRejected, "prompt is too long: %d tokens > %d maximum", n, limit)
		if m.ContextBeta.Beta != "" && m.ContextBeta.Tokens >= n {
			return e.WithHint("the beta %s raises the window to %d tokens; the count is an estimate", m.ContextBeta.Beta, m.ContextBeta.Tokens)
		}
		return e.WithHint("the count is an estimate")
	}
	return nil
}
