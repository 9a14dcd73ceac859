package catalog

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// entry is one spelling of one id, with its answers kept as they are first
// asked for: what the data allows bounds their number, not what callers send.
type entry struct {
	model  *Model
	prefix string
	aws    bool // AWS itself knows this spelling
	once   sync.Once
	kept   []atomic.Pointer[Resolution] // by mode, then Region number
}

func (c *Catalog) indexRefs() error {
	for _, m := range c.models {
		for _, id := range append([]string{m.ID}, m.Aliases...) {
			if err := c.addRef(id, &entry{model: m, aws: id == m.ID}); err != nil {
				return err
			}
			if !strings.HasPrefix(id, "anthropic.") {
				continue
			}
			for _, p := range m.Profiles {
				if err := c.addRef(join(p.Prefix, id), &entry{model: m, prefix: p.Prefix, aws: id == m.ID && !p.PageOnly}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *Catalog) addRef(ref string, e *entry) error {
	if other, ok := c.refs[ref]; ok {
		return fmt.Errorf("%s names both %s and %s", ref, other.model.ID, e.model.ID)
	}
	c.refs[ref] = e
	return nil
}

func (c *Catalog) resolveEntry(e *entry, ref, region string, p Policy) (*Resolution, error) {
	r, err := c.keptOrComputed(e, ref, region, p)
	if err == nil && p.Mantle && p.MantleHere && e.prefix == "" && r.Profile != "" {
		return nil, messages.Errorf(messages.NotFound, "The model '%s' does not exist", ref).
			WithHint("%s is not offered in %s but by profiles, which reach further; call %s.%s", e.model.Name, region, r.Profile, e.model.ID)
	}
	return r, err
}

func (c *Catalog) keptOrComputed(e *entry, ref, region string, p Policy) (*Resolution, error) {
	i, ok := c.regions.index[region]
	if !ok || p.Idle || p.Counts {
		return c.compute(e, ref, region, p)
	}
	n := len(c.regions.names)
	e.once.Do(func() { e.kept = make([]atomic.Pointer[Resolution], 5*n) })
	switch {
	case p.PageOnly: // whatever the surface
		i += 4 * n
	case p.Strict && p.Mantle:
		i += 3 * n
	case p.Mantle:
		i += 2 * n
	case p.Strict:
		i += n
	default:
	}
	now := c.at(p)
	if r := e.kept[i].Load(); r != nil && !now.Before(r.from) && now.Before(r.until) {
		return r, nil
	}
	r, err := c.compute(e, ref, region, p)
	if err != nil {
		return nil, err
	}
	e.kept[i].Store(r)
	return r, nil
}

// arn is arn:partition:bedrock:region:account:kind/name.
type arn struct{ partition, region, account, kind, name string }

func parseARN(s string) (arn, bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "bedrock" {
		return arn{}, false
	}
	kind, name, ok := strings.Cut(p[5], "/")
	return arn{p[1], p[3], p[4], kind, name}, ok && name != ""
}

// own nesting: a profile is made from a profile or a model, never from another
// application profile.
const maxOwnDepth = 1

func (c *Catalog) resolveARN(ref, region string, p Policy, depth int) (*Resolution, error) {
	a, ok := parseARN(ref)
	if !ok || p.Mantle && p.strict() { // mantle takes plain ids alone
		return nil, c.unknownRef(ref, p)
	}
	if a.region != region {
		return nil, invalid("the ARN is of Region %q, the call of %s", a.region, region)
	}
	if part, ok := c.Partition(region); !ok || part != a.partition {
		return nil, invalid("partition %q does not hold Region %s", a.partition, region)
	}
	switch a.kind {
	case "foundation-model", "inference-profile":
		e, ok := c.refs[a.name]
		if !ok || (e.prefix == "") != (a.kind == "foundation-model") || (a.account == "") != (a.kind == "foundation-model") || !strings.Contains(a.name, "anthropic.") {
			return nil, invalid("no Claude model or profile is named %q", a.name)
		}
		inner, err := c.resolveEntry(e, a.name, region, p)
		if err != nil {
			return nil, err
		}
		r := *inner
		r.Ref, r.Account = ref, a.account
		return &r, nil
	case "application-inference-profile", "provisioned-model":
		return c.resolveOwn(ref, a, region, p, depth)
	default:
		return nil, invalid("%s ARNs do not name a Claude model", a.kind)
	}
}

// resolveOwn answers for an account's own resource. AWS keeps it in one Region,
// so there is one candidate, called by its ARN, inside the Wall of what it was
// made from.
func (c *Catalog) resolveOwn(ref string, a arn, region string, p Policy, depth int) (*Resolution, error) {
	missing := messages.Errorf(messages.NotFound, "Could not resolve the foundation model from the provided model identifier.")
	var from string
	var ok, here bool
	if depth < maxOwnDepth {
		if p.Own != nil && (p.OwnAccount == "" || p.OwnAccount == a.account) {
			from, ok = p.Own(ref)
			here = ok && p.OwnHere
		}
		if !ok && p.Theirs != nil {
			from, ok = p.Theirs(ref)
		}
	}
	if !ok {
		return nil, missing
	}
	if e, bare := c.bareEntry(from); bare && !here { // capacity in that Region, whatever the model is offered by
		r := &Resolution{Ref: ref, Model: e.model, Account: a.account, Source: "aws", Confidence: "high"}
		if err := r.lifecycle(e, c.at(p), p); err != nil {
			return nil, err
		}
		r.stay(ref, c.only(region), c.at(p), "made from "+from)
		return r, nil
	}
	var inner *Resolution
	var err error
	if e, found := c.refs[from]; found {
		inner, err = c.resolveEntry(e, from, region, p)
	} else {
		inner, err = c.resolveARN(from, region, p, depth+1)
	}
	if err != nil {
		return nil, err
	}
	r := *inner
	r.Ref, r.Account = ref, a.account
	if here {
		r.Account = "" // whoever pays for the calls knows nothing of it
		return &r, nil
	}
	r.Candidates = []Candidate{inner.Candidates[0]}
	r.Candidates[0].ID = ref
	r.Candidates[0].Reason = "made from " + from
	return &r, nil
}

// bareEntry finds what names a model and no profile of it.
func (c *Catalog) bareEntry(ref string) (*entry, bool) {
	if a, ok := parseARN(ref); ok && a.kind == "foundation-model" {
		ref = a.name
	}
	e, ok := c.refs[ref]
	return e, ok && e.prefix == ""
}
