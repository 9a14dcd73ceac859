package bedrock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Account is an AWS account that calls are made with. Without Role, Bearer and
// Credentials it is whoever the default AWS chain says.
type Account struct {
	Name       string
	Number     string   // twelve digits; "": that of Role, if there is one
	Regions    []string // where it may be used; none: everywhere
	Role       string   // ARN, assumed with the default chain
	ExternalID string
	Session    string // of the role; "": outcrop
	Bearer     string // a Bedrock API key, sent instead of signatures

	Credentials aws.CredentialsProvider
}

// number is the account's own, read from its role where it is not given.
func (a Account) number() string {
	if p := strings.Split(a.Role, ":"); a.Number == "" && len(p) > 5 {
		return p[4]
	}
	return a.Number
}

// Routed is what routing has to know of a.
func (a Account) Routed() routing.Account {
	return routing.Account{Name: a.Name, Number: a.number(), Regions: a.Regions}
}

// account is an Account that is ready.
type account struct {
	name   string
	vault  *vault // nil: bearer
	bearer []string
}

func (a *account) close() {
	if a.vault != nil {
		a.vault.close()
	}
}

// chain is the default AWS chain, loaded once and only where it is needed.
type chain struct {
	opts *Options
	cfg  *aws.Config
}

func (c *chain) open(ctx context.Context, a Account) (*account, error) {
	ways := 0
	for _, set := range []bool{a.Role != "", a.Bearer != "", a.Credentials != nil} {
		if set {
			ways++
		}
	}
	switch {
	case ways > 1:
		return nil, errors.New("role, API key and credentials exclude each other")
	case a.Bearer != "":
		return openBearer(a, c.opts)
	}
	provider := a.Credentials
	if provider == nil {
		cfg, err := c.load(ctx)
		if err != nil {
			return nil, err
		}
		provider = cfg.Credentials
		if a.Role != "" {
			provider = stscreds.NewAssumeRoleProvider(c.sts(a), a.Role, func(o *stscreds.AssumeRoleOptions) {
				o.RoleSessionName = "outcrop"
				if a.Session != "" {
					o.RoleSessionName = a.Session
				}
				if a.ExternalID != "" {
					o.ExternalID = aws.String(a.ExternalID)
				}
			})
		}
	}
	return &account{name: a.Name, vault: newVault(provider, c.opts.OwnKey, c.opts.Now)}, nil
}

func openBearer(a Account, opts *Options) (*account, error) {
	if strings.ContainsAny(a.Bearer, " \r\n\t") {
		return nil, errors.New("the API key has a space in it")
	}
	if opts.OwnKey != nil && opts.OwnKey(a.Bearer) {
		return nil, errOwnKey
	}
	for _, template := range []string{opts.Endpoints.Runtime, opts.Endpoints.Mantle} {
		if base, err := parseBase(template, "us-east-1"); err == nil && (&endpoint{base: base}).clear() {
			return nil, fmt.Errorf("an API key over http could be read on the way: %s must be https, or this machine", template)
		}
	}
	return &account{name: a.Name, bearer: []string{"Bearer " + a.Bearer}}, nil
}

// ignoreEndpoints is the SDK's one switch for what AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_STS
// and the like say, in the environment and in files, that reaches every client of
// its chain: those of STS, SSO and aws login.
const ignoreEndpoints = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"

var loading sync.Mutex // the environment is one

// load reads AWS's own variables and files, but for where AWS is: AWS_ENDPOINT_URL
// is for the clients of this server, and would send us to ourselves. The switch
// stands no longer than that: commands that this process starts are such clients.
func (c *chain) load(ctx context.Context) (*aws.Config, error) {
	if c.cfg != nil {
		return c.cfg, nil
	}
	loading.Lock()
	defer loading.Unlock()
	was, set := os.LookupEnv(ignoreEndpoints)
	if err := os.Setenv(ignoreEndpoints, "true"); err != nil {
		return nil, err
	}
	defer func() {
		if set {
			os.Setenv(ignoreEndpoints, was)
		} else {
			os.Unsetenv(ignoreEndpoints)
		}
	}()
	e := c.opts.Endpoints
	var opts []func(*config.LoadOptions) error
	if c.opts.Region != "" {
		opts = append(opts, config.WithRegion(c.opts.Region))
	}
	if c.opts.AWS != nil {
		opts = append(opts, config.WithHTTPClient(c.opts.AWS))
	}
	if e.FIPS {
		opts = append(opts, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	if e.DualStack {
		opts = append(opts, config.WithUseDualStackEndpoint(aws.DualStackEndpointStateEnabled))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	c.cfg = &cfg
	return c.cfg, nil
}

// sts is STS in the account's first Region, which has its partition.
func (c *chain) sts(a Account) *sts.Client {
	return sts.NewFromConfig(*c.cfg, func(o *sts.Options) {
		if len(a.Regions) > 0 {
			o.Region = a.Regions[0]
		}
	})
}
