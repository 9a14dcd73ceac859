package bedrock

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// backend is what all calls of a client share. Nothing in it changes but health.
type backend struct {
	*site             // the first of sites: home
	sites     []*site // Regions that calls may be made from, best first
	doer      option.HTTPClient
	catalog   *catalog.Catalog
	health    *routing.Health // nil: there is one site
	fence     routing.Fence
	residency string // the geography of fence; "" for none
	explicit  bool   // the base URL is the caller's, not the environment's
	unlisted  bool   // what the catalog does not list is sent all the same
	idle      time.Duration
}

// site is a Region and the way in to it.
type site struct {
	region string
	base   *url.URL // no slash at the end
	own    bool     // a base URL was given: not AWS's for the Region
	amazon string   // the Region that an endpoint of AWS's is of; "" for a gateway
	auth   authorizer
}

const (
	envRegion        = "AWS_REGION"
	envDefaultRegion = "AWS_DEFAULT_REGION"
	envToken         = "AWS_BEARER_TOKEN_BEDROCK"
	envBaseURL       = "ANTHROPIC_BEDROCK_BASE_URL"
	envEndpoint      = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
	envIgnore        = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
	envFIPS          = "AWS_USE_FIPS_ENDPOINT"
	envDualStack     = "AWS_USE_DUALSTACK_ENDPOINT"

	defaultRegion = "us-east-1" // the page's rule
	sourceDefault = "the default"
)

func on(name string) bool { return strings.EqualFold(os.Getenv(name), "true") }

func configure(ctx context.Context, opts []ClientOption) (*settings, *backend, error) {
	s := &settings{}
	for _, o := range opts {
		if o == nil {
			s.fault("a ClientOption is nil")
			continue
		}
		o.apply(s)
	}
	if len(s.faults) > 0 {
		return nil, nil, misconfigured("%s", strings.Join(s.faults, "; "))
	}
	id, err := s.identify()
	if err != nil {
		return nil, nil, err
	}
	c, err := catalog.Load()
	if err != nil {
		e := misconfigured("the catalog of models cannot be read")
		e.cause = err
		return nil, nil, e
	}
	b := &backend{doer: s.httpClient, catalog: c, unlisted: s.unlisted, explicit: s.baseURL != "", idle: s.idle, residency: s.residency}
	shared := sharedConfig{settings: s}
	regions, source, err := s.findRegions(ctx, b, &shared)
	if err != nil {
		return nil, nil, err
	}
	auth, err := s.authorizer(ctx, id, regions[0], &shared)
	if err != nil {
		return nil, nil, err
	}
	for _, region := range regions {
		base, own, err := s.findBase(region, source)
		if err != nil && len(b.sites) > 0 && len(s.regions) == 0 {
			continue // of the residency alone: an endpoint of the first Region's is not theirs
		}
		if err != nil {
			return nil, nil, err
		}
		if err := auth.permit(base); err != nil {
			return nil, nil, err
		}
		b.sites = append(b.sites, &site{region: region, base: base, own: own, amazon: regionOfHost(base.Hostname()), auth: auth.in(region)})
	}
	b.site = b.sites[0]
	return s, b, b.connectSites(len(s.regions) > 0)
}

// identify picks the caller: one explicit identity, else the environment's
// token, else the default AWS providers (the zero identity).
func (s *settings) identify() (identity, error) {
	if len(s.identity) > 1 {
		var names []string
		for _, id := range s.identity {
			names = append(names, id.option)
		}
		return identity{}, misconfigured("%s exclude each other: a call has one identity", strings.Join(names, " and "))
	}
	if len(s.identity) == 1 {
		id := s.identity[0]
		if s.role != "" && id.provider == nil && !id.profile {
			return identity{}, misconfigured("WithRole needs AWS credentials to assume the role with; %s gives none", id.option)
		}
		return id, nil
	}
	if token := os.Getenv(envToken); token != "" && s.role == "" {
		return identity{option: envToken, bearer: staticToken(token)}, nil
	}
	return identity{}, nil
}

func (s *settings) findRegion(ctx context.Context, shared *sharedConfig) (region, source string, err error) {
	switch env := os.Getenv(envRegion); {
	case s.region != "":
		region, source = s.region, "WithRegion"
	case s.awsConfig != nil && s.awsConfig.Region != "":
		region, source = s.awsConfig.Region, "WithAWSConfig"
	case env != "":
		region, source = env, envRegion
	case s.regionChain:
		cfg, err := shared.load(ctx, "")
		if err != nil {
			return "", "", err
		}
		if cfg.Region == "" {
			return "", "", misconfigured("no Region: looked at WithRegion (not given), %s (not set), %s (not set), %s (no region)",
				envRegion, envDefaultRegion, s.profileName())
		}
		region, source = cfg.Region, "the AWS chain ("+envDefaultRegion+", "+s.profileName()+")"
	default:
		region, source = defaultRegion, sourceDefault
	}
	if !validRegion(region) {
		return "", "", misconfigured("%s: %q is not the name of a Region, such as us-east-1", source, region)
	}
	return region, source, nil
}

// profileName says which profile of the shared files AWS's loader reads.
func (s *settings) profileName() string {
	name := s.profile
	if name == "" {
		name = os.Getenv("AWS_PROFILE")
	}
	if name == "" {
		name = "default"
	}
	return fmt.Sprintf("profile %q of ~/.aws/config", name)
}

// validRegion keeps what is not a DNS label out of the host.
func validRegion(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

func (s *settings) findBase(region, regionSource string) (base *url.URL, own bool, err error) {
	text, source := s.baseURL, "WithBaseURL"
	if text == "" {
		text, source = os.Getenv(envBaseURL), envBaseURL
	}
	if text == "" && !on(envIgnore) {
		text, source = os.Getenv(envEndpoint), envEndpoint
	}
	if text == "" {
		return &url.URL{Scheme: "https", Host: endpointHost(region, on(envFIPS), on(envDualStack))}, false, nil
	}
	// {region} stands for the Region's name: one endpoint for each.
	u, err := url.Parse(strings.ReplaceAll(text, "{region}", region))
	switch {
	case err != nil:
		return nil, false, misconfigured("%s is not a URL", source) // the parser's text repeats it, and it may hold a password
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, false, misconfigured("%s: %q does not begin with https:// or http://", source, u.Redacted())
	case u.Hostname() == "":
		return nil, false, misconfigured("%s: %q names no host", source, u.Redacted())
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, false, misconfigured("%s: %q has a query or a fragment; a base URL is scheme, host and path", source, u.Redacted())
	}
	if named := regionOfHost(u.Hostname()); named != "" && named != region {
		return nil, false, misconfigured("%s names %s, but calls would be signed for %s (from %s), and AWS would refuse them: give WithRegion(%q)",
			source, named, region, regionSource, named)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, true, nil
}

// partitions: the DNS names of AWS's partitions, by what a Region begins with.
// Source: the endpoint rule set of bedrock-runtime 2023-09-30 and AWS's partition table.
var partitions = [...]struct{ prefix, suffix, dual string }{
	{"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
	{"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
	{"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
	{"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
	{"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
	{"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
	{"", "amazonaws.com", "api.aws"},
}

func endpointHost(region string, fips, dualStack bool) string {
	service := "bedrock-runtime"
	if fips {
		service += "-fips"
	}
	for _, p := range partitions {
		if !strings.HasPrefix(region, p.prefix) {
			continue
		}
		if dualStack {
			return service + "." + region + "." + p.dual
		}
		return service + "." + region + "." + p.suffix
	}
	panic("unreachable: the last row fits every Region")
}

// regionOfHost finds the Region in one of AWS's own hosts, VPC endpoints
// (vpce-….bedrock-runtime.us-east-1.vpce.amazonaws.com) included; "" elsewhere.
func regionOfHost(host string) string {
	host = strings.ToLower(host)
	aws := false
	for _, p := range partitions {
		aws = aws || strings.HasSuffix(host, "."+p.suffix) || strings.HasSuffix(host, "."+p.dual)
	}
	if !aws {
		return ""
	}
	for _, service := range []string{"bedrock-runtime.", "bedrock-runtime-fips."} {
		if _, rest, ok := strings.Cut("."+host, "."+service); ok {
			region, _, _ := strings.Cut(rest, ".")
			return region
		}
	}
	return ""
}

// defaultHTTPClient bounds the wait for headers, as the SDK does for a client
// that it makes itself. A replaced http.DefaultTransport is respected.
func defaultHTTPClient() *http.Client {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return &http.Client{Transport: http.DefaultTransport}
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = 10 * time.Minute
	return &http.Client{Transport: t}
}
