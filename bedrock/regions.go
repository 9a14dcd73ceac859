package bedrock

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// WithRegions names the Regions that calls may be made from, the preferred one
// first: that one is the client's Region. A call that is throttled, meets a failing
// service or reaches nobody goes on to the next of them, signed anew, until the
// first content of the answer; so does CountTokens. After a fault of the service
// another part of the world comes first; a Region that has just throttled or failed
// is left alone while another is open; a prompt with cache points goes where it was
// stored. Each Region is asked once in a try of a call; [WithMaxRetries] counts tries.
// What failed after the service had begun to answer may be on the bill.
//
// An id keeps its promise. One without prefix stays in the first Region; one of a
// geography goes only where AWS may take it no farther than from the first; a
// global one goes to all. An id that the catalog does not know, an account's own
// ARN and a call with a base URL of its own are not moved.
//
// A base URL says {region} where the Region's name belongs. A short-term API key is
// of one Region alone. Source of the sets: AWS's page on inference profiles.
func WithRegions(regions ...string) ClientOption {
	return optionFunc(func(s *settings) {
		if len(regions) == 0 {
			s.fault("WithRegions: no Region is given")
		}
		for i, region := range regions {
			if s.some("WithRegions", "Region", region) && slices.Contains(regions[:i], region) {
				s.fault("WithRegions: %s is there twice", region)
			}
		}
		s.regions = regions
	})
}

// WithResidency keeps Messages calls within a geography, which is named as in an
// id: us, eu, jp, au, apac, in, us-gov. Its Regions are those that AWS may take a
// call of such an id to, wherever it is made from: eu is Frankfurt, Stockholm,
// Milan, Spain, Ireland and Paris, and neither London nor Zurich. What could leave
// it is refused before it is sent, with [ErrResidency]: global ids, ids of another
// geography, an ARN that does not show what it was made from.
//
// Calls go to all of these Regions, as with [WithRegions], or to those of them that
// WithRegions names, or to one where the base URL is of one; the client's Region must
// be one of them, and without any Region named it is the first. AWS's own clients
// ([Client.Runtime]) are not kept.
func WithResidency(geography string) ClientOption {
	return optionFunc(func(s *settings) {
		if s.some("WithResidency", "geography", geography) {
			s.residency = geography
		}
	})
}

// findRegions gives the Regions of the sites, home first, and sets the fence.
func (s *settings) findRegions(ctx context.Context, b *backend, shared *sharedConfig) (regions []string, source string, err error) {
	var inside []string
	if s.residency != "" {
		if inside, err = geography(b.catalog, s.residency); err != nil {
			return nil, "", err
		}
		if b.fence, err = routing.NewFence(b.catalog, inside, nil, false); err != nil {
			return nil, "", misconfigured("WithResidency: %v", err)
		}
	}
	switch {
	case len(s.regions) > 0 && (s.regionChain || s.region != "" && s.region != s.regions[0]):
		return nil, "", misconfigured("WithRegions names the client's Region, its first (%s): leave WithRegion and WithAWSRegionChain out", s.regions[0])
	case len(s.regions) > 0:
		regions, source = s.regions, "WithRegions"
	default:
		var home string
		if home, source, err = s.findRegion(ctx, shared); err != nil {
			return nil, "", err
		}
		if source == sourceDefault && inside != nil {
			return inside, "WithResidency", nil
		}
		regions = []string{home}
		for _, region := range inside {
			if region != home {
				regions = append(regions, region)
			}
		}
	}
	for _, region := range regions {
		switch {
		case !validRegion(region):
			return nil, "", misconfigured("%s: %q is not the name of a Region, such as us-east-1", source, region)
		case inside != nil && !slices.Contains(inside, region):
			return nil, "", misconfigured("%s (from %s) is not in %s: WithResidency has %s", region, source, s.residency, strings.Join(inside, ", "))
		}
	}
	if len(regions) == 1 {
		return regions, source, nil
	}
	partition, _ := b.catalog.Partition(regions[0])
	for _, region := range regions {
		switch p, ok := b.catalog.Partition(region); {
		case !ok:
			return nil, "", misconfigured("%s: this version knows no Region %q with Claude, and so not which calls may go there", source, region)
		case p != partition:
			return nil, "", misconfigured("%s: %s is of partition %s, %s of %s; no credentials are of both", source, regions[0], partition, region, p)
		}
	}
	return regions, source, nil
}

// connectSites checks the sites and makes what they share. named: the caller has
// asked for each of them.
func (b *backend) connectSites(named bool) error {
	if len(b.sites) == 1 {
		return nil
	}
	if _, signs := b.auth.(*signature); !signs && b.sites[1].base.String() == b.base.String() {
		if !named {
			b.sites = b.sites[:1]
			return nil
		}
		return misconfigured("%s is one endpoint for all Regions, and nothing in an unsigned call would say which: put {region} into it", b.base.Redacted())
	}
	// No Patience: between tries it is the SDK that waits. The attempt too many is
	// never made, for no way is open then; to look for one tells when the next is.
	b.health = routing.NewHealth(routing.Options{Attempts: len(b.sites) + 1})
	return nil
}

// geography is the Regions that every id of a prefix stays within: for each model
// what AWS may reach from all of its source Regions alike.
func geography(c *catalog.Catalog, prefix string) ([]string, error) {
	known := map[string]bool{}
	in := map[string]bool{}
	for _, m := range c.Models() {
		for _, p := range m.Profiles {
			sources := p.Sources()
			if to, _ := p.Destinations(sources[0]); to.Anywhere() {
				continue
			}
			known[p.Prefix] = true
			if p.Prefix != prefix {
				continue
			}
			for _, region := range c.Regions() {
				if !slices.ContainsFunc(sources, func(from string) bool {
					to, _ := p.Destinations(from)
					return !to.Contains(region)
				}) {
					in[region] = true
				}
			}
		}
	}
	if len(in) == 0 {
		var names []string
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, misconfigured("WithResidency: %q is no geography of Claude's ids; they are %s", prefix, strings.Join(names, ", "))
	}
	var out []string
	for _, region := range c.Regions() {
		if in[region] {
			out = append(out, region)
		}
	}
	return out, nil
}

// ways gives where a call for ref may go, the caller's Region first. None: the
// catalog cannot tell, and so it stays. The error is one of residency.
func (b *backend) ways(ref string) ([]routing.Route, error) {
	home := b.home(ref)
	res, err := b.catalog.Resolve(ref, home.region, catalog.Policy{})
	if err != nil {
		return nil, b.stays(ref)
	}
	names := make([]string, len(b.sites))
	for i, s := range b.sites {
		names[i] = s.region
	}
	routes, out := routing.Routes(res, routing.Amazon(), b.fence, []routing.Account{{Regions: names}})
	if b.residency != "" && (len(routes) == 0 || routes[0].Region() != home.region) {
		why := "its Regions are not known"
		if len(out) > 0 {
			why = out[0].Reason
		}
		return nil, b.leaves(ref, why)
	}
	if res.Profile == "" || res.Profile != prefixOf(ref) {
		return nil, nil // in-Region, or an id that AWS has no such way for
	}
	slices.SortStableFunc(routes, func(x, y routing.Route) int {
		return b.rank(home, x.Region()) - b.rank(home, y.Region())
	})
	return routes, nil
}

func (b *backend) rank(home *site, region string) int {
	if region == home.region {
		return -1
	}
	return slices.IndexFunc(b.sites, func(s *site) bool { return s.region == region })
}

// home is the site where a call for ref begins: an ARN's own, if there is one.
func (b *backend) home(ref string) *site {
	if id, err := ParseModelID(ref); err == nil && id.Region != "" {
		if s := b.siteOf(id.Region); s != nil {
			return s
		}
	}
	return b.site
}

func (b *backend) siteOf(region string) *site {
	for _, s := range b.sites {
		if s.region == region {
			return s
		}
	}
	return nil
}

func prefixOf(ref string) string {
	id, _ := ParseModelID(ref) // none: ""
	return id.Prefix
}

// stays judges an id that the catalog does not know by its form.
func (b *backend) stays(ref string) error {
	if b.residency == "" {
		return nil
	}
	id, err := ParseModelID(ref)
	switch {
	case err != nil:
		return b.leaves(ref, "it is no id of Bedrock's")
	case id.Prefix == b.residency:
		return nil
	case id.Prefix != "":
		return b.leaves(ref, "its prefix is "+id.Prefix)
	case id.Kind == "", id.Kind == "foundation-model", id.Kind == "provisioned-model": // of one Region
		return nil
	default:
		return b.leaves(ref, "the ARN does not show what it was made from")
	}
}

func (b *backend) leaves(ref, why string) error {
	e := &Error{Code: codeResidency, Message: fmt.Sprintf("%s could leave %s: %s", ref, b.residency, why)}
	if id, err := ParseModelID(Geo(b.residency, ref)); err == nil && id.Base != "" {
		if m, ok := b.catalog.Lookup(id.Base); ok {
			if _, ok := m.Profile(b.residency); ok {
				e.Hint = "call " + b.residency + "." + m.ID
			}
		}
	}
	return e
}

// WithUnlistedModels sends every id. Without it, an id that the catalog of this
// version knows, and of which it says that AWS does not have it in the Region, is
// refused before it is sent to AWS, with [ErrNotOffered] and the ids that work; ids
// that the catalog does not know always pass, and so does what goes to a gateway.
func WithUnlistedModels() ClientOption {
	return optionFunc(func(s *settings) { s.unlisted = true })
}
