package gateway

import (
	"context"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// settle reads the Head of a Converse call from its settings.
func (h *Head) settle(body *Body) error {
	s, err := converse.ReadSettings(body.data)
	if err != nil {
		return err
	}
	h.Settings = s
	h.MaxTokens = s.MaxTokens
	h.Betas = slices.Clone(s.Betas)
	for _, b := range s.Betas {
		if !sendable(b) {
			return messages.Errorf(messages.InvalidRequest, "additionalModelRequestFields.anthropic_beta: control characters are not allowed")
		}
	}
	if s.Version != "" {
		h.Version = s.Version
	}
	o := &h.Options
	if s.Guardrail.ID != "" || s.Guardrail.Version != "" {
		o.GuardrailID, o.GuardrailVersion = s.Guardrail.ID, s.Guardrail.Version
	}
	if s.Latency != "" {
		o.Latency = s.Latency
	}
	if s.ServiceTier != "" {
		o.ServiceTier = s.ServiceTier
	}
	if s.Metadata != nil {
		o.Metadata = s.Metadata
	}
	return nil
}

// translate puts the body into a dialect that the upstream speaks. What was left
// out is named.
func (g *Gateway) translate(ctx context.Context, head *Head, body *Body, m *catalog.Model) (*Body, []string, error) {
	if body.dialect == Messages || g.Upstream.Capabilities().Converse {
		return body, nil, nil
	}
	r, err := converse.ToMessages(body.data, converse.Options{
		DefaultMaxTokens: m.OutputLimit(head.Betas, g.policy(head)), Lossy: g.Lossy, Count: head.count(),
		TextOf: g.textOf(ctx),
	})
	if err != nil {
		return nil, nil, err
	}
	if body, err = NewBody(Messages, r.Body); err != nil {
		return nil, nil, err
	}
	if head.MaxTokens == 0 {
		head.MaxTokens = r.Settings.MaxTokens
	}
	return body, r.Dropped, nil
}

// forceConverse is Gateway.Forced for a Converse body: to Messages and back.
func (g *Gateway) forceConverse(body *Body, count bool) (*Body, error) {
	if count {
		return body, nil // its input is no whole request
	}
	r, err := converse.ToMessages(body.data, converse.Options{TextOf: func([]byte, string, string) (string, error) {
		return "", messages.Errorf(messages.InvalidRequest, "not forced")
	}})
	if err != nil {
		return body, nil // the normal path says so in its order
	}
	if len(r.Dropped) > 0 {
		return body, nil // the names would be lost on the way
	}
	back, _, err := converse.FromMessages(r.Body, false)
	if err != nil {
		return body, nil
	}
	// What stands beside the Messages body is kept as it was.
	for _, key := range []string{"guardrailConfig", "requestMetadata", "performanceConfig", "serviceTier", "additionalModelResponseFieldPaths"} {
		if v, ok := body.Get(key); ok {
			b, err := NewBody(Converse, back)
			if err != nil {
				return nil, err
			}
			if b, err = b.With(jsonspan.Edit{Key: key, Value: v}); err != nil {
				return nil, err
			}
			back = b.data
		}
	}
	return NewBody(Converse, back)
}
