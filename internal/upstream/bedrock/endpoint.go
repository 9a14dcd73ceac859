package bedrock

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Endpoints says where AWS is. The zero Endpoints are AWS's public ones, which
// GovCloud's Regions have under the same names.
type Endpoints struct {
	// Runtime and Mantle replace AWS's: a URL, with a path before the
	// operation's or not, in which {region} stands for the Region. One without
	// {region} serves the Region that its host names, or all of them. Where
	// Runtime alone is given, mantle is not called: the operator has shut the
	// public way.
	Runtime, Mantle string

	FIPS, DualStack bool // of AWS's own
}

// endpoint is where one Region is.
type endpoint struct {
	base    *url.URL // no slash at its end
	service string   // of the signature
	aws     bool     // AWS's own name
}

type endpoints struct {
	opts Endpoints
	seen sync.Map // place -> *endpoint; a catalog has few Regions
}

type place struct {
	region string
	mantle bool
}

func (e *endpoints) set(opts Endpoints) error {
	e.opts = opts
	for _, template := range []string{opts.Runtime, opts.Mantle} {
		if template == "" {
			continue
		}
		if _, err := parseBase(template, "us-east-1"); err != nil {
			return err
		}
	}
	return nil
}

// at gives the endpoint of an API in a Region.
func (e *endpoints) at(region string, api catalog.API) (*endpoint, error) {
	p := place{region, api == catalog.Mantle}
	if v, ok := e.seen.Load(p); ok {
		return v.(*endpoint), nil
	}
	found, err := e.find(p)
	if err != nil {
		return nil, err
	}
	v, _ := e.seen.LoadOrStore(p, found)
	return v.(*endpoint), nil
}

func (e *endpoints) find(p place) (*endpoint, error) {
	template, out := e.opts.Runtime, &endpoint{service: "bedrock"}
	if p.mantle {
		template, out.service = e.opts.Mantle, "bedrock-mantle"
	}
	if template == "" {
		if !regionName(p.region) {
			return nil, refusal(messages.Internal, "%q is not the name of a Region", p.region)
		}
		host, err := e.public(p)
		out.base, out.aws = &url.URL{Scheme: "https", Host: host}, true
		return out, err
	}
	base, err := parseBase(template, p.region)
	if err != nil {
		return nil, err
	}
	out.base, out.aws = base, amazonHost(base.Hostname())
	if named := hostRegion(base.Hostname()); named != "" && named != p.region {
		// The signature would be for another Region than the host's.
		return nil, messages.Errorf(messages.Unavailable, "Amazon Bedrock in %s cannot be reached.", p.region).
			WithCause(&routing.Fault{Unsent: true, Ours: true, Err: fmt.Errorf("the endpoint %s is that of %s", base.Hostname(), named)})
	}
	return out, nil
}

// errNoMantle: calls to bedrock-mantle cannot be made.
var errNoMantle = errors.New("bedrock-mantle has no endpoint here")

func noMantle(why string) error {
	return messages.Errorf(messages.InvalidRequest, "bedrock-mantle cannot be called from here: %s.", why).
		WithCause(&routing.Fault{Unsent: true, Err: errNoMantle})
}

// public: the endpoint rule set of bedrock-runtime 2023-09-30, and the Amazon
// Bedrock User Guide, endpoints, for mantle, which has one name alone.
func (e *endpoints) public(p place) (string, error) {
	switch {
	case p.mantle && e.opts.FIPS:
		return "", noMantle("it has no FIPS endpoint")
	case p.mantle && e.opts.Runtime != "":
		return "", noMantle("the server's operator has given an endpoint for bedrock-runtime alone")
	case p.mantle:
		return "bedrock-mantle." + p.region + ".api.aws", nil
	}
	host, suffix := "bedrock-runtime", ".amazonaws.com"
	if e.opts.FIPS {
		host += "-fips"
	}
	if e.opts.DualStack {
		suffix = ".api.aws"
	}
	return host + "." + p.region + suffix, nil
}

func parseBase(template, region string) (*url.URL, error) {
	u, err := url.Parse(strings.ReplaceAll(template, "{region}", region))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("bedrock: endpoint %q is not an http or https URL", template)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("bedrock: endpoint %q is more than scheme, host and path", u.Redacted())
	case strings.ContainsAny(u.Path, "{}"):
		return nil, fmt.Errorf("bedrock: endpoint %q has a brace that is none of {region}'s", template)
	case u.Hostname() == "" || !isPort(u.Port()):
		return nil, fmt.Errorf("bedrock: endpoint %q has no host, or a port that cannot be", template)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// isPort: of net/url any digits are one.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

func regionName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return s != "" && s[0] != '-' && s[len(s)-1] != '-'
}

func amazonHost(host string) bool {
	host = strings.ToLower(host)
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".api.aws")
}

// hostRegion finds the Region in one of AWS's names, those of VPC endpoints
// included (vpce-….bedrock-runtime.us-east-1.vpce.amazonaws.com); "" elsewhere.
func hostRegion(host string) string {
	if !amazonHost(host) {
		return ""
	}
	for _, service := range []string{"bedrock-runtime.", "bedrock-runtime-fips.", "bedrock-mantle."} {
		if _, rest, ok := strings.Cut("."+strings.ToLower(host), "."+service); ok {
			region, _, _ := strings.Cut(rest, ".")
			return region
		}
	}
	return ""
}

// clear says that what is sent to e can be read on the way.
func (e *endpoint) clear() bool {
	if e.base.Scheme == "https" || e.base.Hostname() == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(e.base.Hostname())
	return err != nil || !ip.IsLoopback()
}
