package bedrock

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// headerGatewayHint is where an Outcrop says what to do about an error.
const headerGatewayHint = "X-Outcrop-Hint"

// hints: what the service's words mean in practice, by a part of them. The first
// that fits counts.
var hints = [...]struct{ part, hint string }{
	{"signature we calculated does not match", "the secret access key is not that of the access key id, or something changed the request after it was signed"},
	{"Signature expired", "this machine's clock is slow"},
	{"Signature not yet current", "this machine's clock is fast"},
	{"security token included in the request is expired", "the temporary credentials have ended; get new ones"},
	{"security token included in the request is invalid", "no such access key, or a session token is missing"},
	{"valid region, not", "the endpoint is of another Region than the signature: see WithRegion and WithBaseURL"},
	{"use case details have not been submitted", "fill in the use-case form under Model access in the Bedrock console, once for the account"},
	{"AWS Marketplace", "the first call of a model subscribes to it: the caller needs aws-marketplace:Subscribe and ViewSubscriptions, or an administrator calls it once"},
	{"API Key", "the Bedrock API key is wrong, has ended, or is of another Region"},
	{"Too many tokens per day", "a daily quota: trying again today will not help"},
	{"Too many tokens", "max_tokens counts against the quota before the answer is there: ask for less, or use a global. id"},
	{"doesn't support counting tokens", "AWS counts tokens for some models alone, by the id without prefix"},
	{"does not support assistant message prefill", "let the conversation end with a user message"},
}

func (b *backend) hint(c *call, e *Error) string {
	says := func(part string) bool { return strings.Contains(e.Message, part) }
	switch {
	case e.kind == messages.UnknownOperation, e.Status == http.StatusNotFound && e.bare:
		return fmt.Sprintf("the server at %s does not know the path: is it Bedrock's runtime?", c.at.base.Redacted())
	case says("invalid beta flag") && len(c.betas) > 0:
		return "sent: " + strings.Join(c.betas, ", ")
	case says("on-demand throughput"), says("model identifier is invalid"):
		return b.callable(c.at.region, c.model)
	}
	for _, h := range hints {
		if says(h.part) {
			return h.hint
		}
	}
	return ""
}

// callable lists the ids of the same model that AWS takes in a Region.
func (b *backend) callable(here, ref string) string {
	base := ref
	if id, err := ParseModelID(ref); err == nil {
		if id.Region != "" && id.Region != here {
			return fmt.Sprintf("the ARN is of %s, and calls go to %s: see WithRegion", id.Region, here)
		}
		if id.Base != "" {
			base = id.Base
		}
	}
	m, ok := b.catalog.Lookup(base)
	if !ok {
		return ""
	}
	var ids []string
	for _, region := range m.InRegion {
		if region == here {
			ids = append(ids, m.ID)
		}
	}
	for _, p := range m.Profiles {
		if _, ok := p.Destinations(here); ok && !p.PageOnly {
			ids = append(ids, p.Prefix+"."+m.ID)
		}
	}
	if len(ids) == 0 {
		return fmt.Sprintf("%s cannot be called from %s", m.Name, here)
	}
	return fmt.Sprintf("from %s, %s is called by %s", here, m.Name, strings.Join(ids, ", "))
}

// offered refuses what the catalog says that AWS does not have in the Region. What
// it does not know, a model, a prefix or a Region, passes; so does what goes to
// another server (here is ""), which may know better.
func (b *backend) offered(here, ref string) error {
	if _, known := b.catalog.Partition(here); b.unlisted || !known {
		return nil
	}
	refuse := func(format string, args ...any) error {
		return &Error{Code: codeNotOffered, Message: fmt.Sprintf(format, args...), Hint: b.callable(here, ref)}
	}
	id, err := ParseModelID(ref)
	if err != nil {
		if _, known := b.catalog.Lookup(ref); known {
			return refuse("%s is Anthropic's name of a model, not Bedrock's", ref)
		}
		return nil
	}
	if id.Region != "" && id.Region != here {
		return refuse("%s is of another Region than %s", ref, here)
	}
	m, known := b.catalog.Lookup(id.Base)
	if !known {
		return nil
	}
	if id.Prefix == "" {
		if slices.Contains(m.InRegion, here) || len(m.Profiles) == 0 {
			return nil
		}
		return refuse("%s is not offered on demand in %s, where it is called by a profile's id", ref, here)
	}
	p, has := m.Profile(id.Prefix)
	switch {
	case !has && !slices.ContainsFunc(b.catalog.Models(), func(m *catalog.Model) bool { _, has := m.Profile(id.Prefix); return has }):
		return nil // a geography of tomorrow
	case !has:
		return refuse("AWS has no %s. id of %s", id.Prefix, m.Name)
	case p.PageOnly:
		return nil // two sources disagree
	}
	if _, from := p.Destinations(here); !from {
		return refuse("AWS does not take %s in %s", ref, here)
	}
	return nil
}
