package gateway

import (
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// fence is the operator's, narrowed by that of the caller's key. What a key's
// fence names must be known: otherwise nothing is inside it.
func (g *Gateway) fence(caller identity.Caller) (routing.Fence, error) {
	s := caller.Set
	if s == nil || !s.Fenced() {
		return g.Fence, nil
	}
	own, err := routing.NewFence(g.Catalog, s.AllowRegions, s.DenyRegions, s.DenyGlobal)
	if err != nil {
		return routing.Fence{}, messages.Errorf(messages.AccessDenied, "The Regions of this key are not all known, so it may go nowhere.").WithCause(err)
	}
	return g.Fence.Narrow(own), nil
}

// fenced says that a call fails for its key's fence alone, in IAM's words; nil:
// it does not.
func (g *Gateway) fenced(caller identity.Caller, head *Head, res *catalog.Resolution, out []catalog.RuledOut) error {
	if caller.Set == nil || !caller.Set.Fenced() {
		return nil
	}
	routes, _ := routing.Routes(res, g.Upstream.Capabilities().Place, g.Fence, g.Accounts)
	if len(routes) == 0 || len(out) == 0 {
		return nil
	}
	return denied(caller, head, "an explicit deny").
		WithHint("the settings of the key %s: %s in %s: %s", caller.KeyID, out[0].ID, out[0].Region, out[0].Reason)
}

// denied is a refusal in IAM's words.
func denied(caller identity.Caller, head *Head, by string) *messages.Error {
	action := "InvokeModel"
	switch {
	case head.count():
		action = "CountTokens"
	case head.Stream:
		action = "InvokeModelWithResponseStream"
	}
	return messages.Errorf(messages.AccessDenied, "User: %s is not authorized to perform: bedrock:%s on resource: %s with %s", caller.ARN, action, head.Ref, by)
}
