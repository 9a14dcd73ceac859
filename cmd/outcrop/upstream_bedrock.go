package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
	bedrockup "github.com/outcrop-dev/outcrop/internal/upstream/bedrock"
)

// bedrockOptions are the settings of --upstream bedrock.
type bedrockOptions struct {
	BedrockEndpoint       string `placeholder:"URL" help:"Where Bedrock is, in place of AWS's public endpoints: a VPC endpoint, a proxy; {region} stands for the Region."`
	BedrockMantleEndpoint string `placeholder:"URL" help:"The same for bedrock-mantle, which is not called where --bedrock-endpoint stands alone."`
	BedrockFips           bool   `help:"Call AWS's FIPS endpoints."`
	BedrockDualStack      bool   `help:"Call AWS's dual-stack endpoints."`
	BedrockBetas          string `enum:"strip,pass,strict" default:"strip" placeholder:"WHAT" help:"What becomes of a beta that AWS is known to refuse: strip it with its fields and say so, pass it on, or refuse the call (strict). Default: ${default}."`
	BedrockKey            string `placeholder:"KEY" help:"Bedrock API key to call AWS with, in place of AWS credentials. Better in the environment than on the command line."`
	wayOptions
	Quotas    quotas        `placeholder:"JSON" help:"Quotas of your AWS accounts, best as a list in outcrop.yaml: account, region, model or profile, rpm, tpm, tpd. Calls move to other Regions before one is spent. What is not told is learnt from AWS's 429s."`
	QuotaWait time.Duration `default:"3s" placeholder:"TIME" help:"How long a call waits in all for a quota to free, or to try a Region again, before it is refused; 0s: not at all. Default: ${default}."`
}

// wayOptions say where calls to real Bedrock may go, and with whom.
type wayOptions struct {
	AllowRegions []string `placeholder:"REGION" help:"Call these Regions alone, and refuse what AWS could take elsewhere."`
	DenyRegions  []string `placeholder:"REGION" help:"Never call these Regions, and refuse what AWS could take there."`
	DenyGlobal   bool     `help:"Refuse global. ids."`
	Accounts     accounts `placeholder:"JSON" help:"AWS accounts to call with, best as a list in outcrop.yaml: name, number, regions, role, external_id, key_env, allow_regions, deny_regions, deny_global. Without it: the default AWS credentials."`

	BedrockMantleProfiles bool     `help:"Let a bare id of the bedrock-mantle surface go by a geographic profile where its Region has no other way to the model. Without it the call is refused: mantle itself stays in its Region."`
	BedrockProfiles       profiles `placeholder:"JSON" help:"Application profiles and provisioned throughput in your AWS accounts that callers may name, best as a list in outcrop.yaml: arn, from (the model or profile that it was made from)."`
}

// profile is an entry of bedrock_profiles.
type profile struct {
	ARN  string `json:"arn"`
	From string `json:"from"`
}

type profiles []profile

// UnmarshalText reads the JSON that the configuration file's list becomes.
func (p *profiles) UnmarshalText(text []byte) error {
	return readEntries("bedrock_profiles", text, (*[]profile)(p))
}

// table holds p to the catalog, and gives it in its form.
func (p profiles) table(c *catalog.Catalog) (func(arn string) (string, bool), error) {
	if len(p) == 0 {
		return nil, nil
	}
	made := map[string]string{}
	for _, e := range p {
		made[e.ARN] = e.From
	}
	find := func(arn string) (string, bool) { from, ok := made[arn]; return from, ok }
	for i, e := range p {
		part := strings.Split(e.ARN, ":")
		if len(part) < 6 || part[0] != "arn" {
			return nil, fmt.Errorf("bedrock_profiles[%d]: %q is not an ARN", i, e.ARN)
		}
		if _, err := c.Resolve(e.ARN, part[3], catalog.Policy{Theirs: find}); err != nil {
			said := messages.AsError(err)
			return nil, fmt.Errorf("bedrock_profiles[%d]: %s, made from %q: %s %s", i, e.ARN, e.From, said.Message, said.Hint)
		}
	}
	return find, nil
}

// Validate holds what names Regions, models and accounts to the catalog, so that
// config check finds what is wrong.
func (o *bedrockOptions) Validate() error {
	if len(o.Quotas) == 0 && len(o.Accounts) == 0 && len(o.AllowRegions) == 0 && len(o.DenyRegions) == 0 && len(o.BedrockProfiles) == 0 {
		return nil
	}
	c, err := catalog.Load()
	if err != nil {
		return err
	}
	if _, err := o.fence(c); err != nil {
		return err
	}
	if _, err := o.BedrockProfiles.table(c); err != nil {
		return err
	}
	if _, err := o.Accounts.routed(c); err != nil {
		return err
	}
	_, err = o.Quotas.table(c, o.Accounts)
	return err
}

func (o *wayOptions) fence(c *catalog.Catalog) (routing.Fence, error) {
	if err := knownRegions(c, o.AllowRegions, o.DenyRegions); err != nil {
		return routing.Fence{}, err
	}
	return routing.NewFence(c, o.AllowRegions, o.DenyRegions, o.DenyGlobal)
}

func knownRegions(c *catalog.Catalog, lists ...[]string) error {
	for _, list := range lists {
		for _, region := range list {
			if _, ok := c.Partition(region); !ok {
				return errors.New(unknownRegion(c, region))
			}
		}
	}
	return nil
}

// How long a stream may be silent: before its first content (a long prompt with
// much thinking takes minutes), and between two frames.
const (
	firstContent = 5 * time.Minute
	streamIdle   = 5 * time.Minute
)

// account is an entry of accounts.
type account struct {
	Name       string   `json:"name"`
	Number     string   `json:"number"`
	Regions    []string `json:"regions"`
	Role       string   `json:"role"`
	ExternalID string   `json:"external_id"`
	KeyEnv     string   `json:"key_env"` // variable that holds a Bedrock API key

	AllowRegions []string `json:"allow_regions"`
	DenyRegions  []string `json:"deny_regions"`
	DenyGlobal   bool     `json:"deny_global"`
}

type accounts []account

// UnmarshalText reads the JSON that the configuration file's list becomes.
func (a *accounts) UnmarshalText(text []byte) error {
	return readEntries("accounts", text, (*[]account)(a))
}

// routed is what routing has to know of each account.
func (a accounts) routed(c *catalog.Catalog) (out []routing.Account, err error) {
	for i, one := range a {
		r := bedrockup.Account{Name: one.Name, Number: one.Number, Regions: one.Regions, Role: one.Role}.Routed()
		if err = knownRegions(c, one.Regions, one.AllowRegions, one.DenyRegions); err == nil {
			r.Fence, err = routing.NewFence(c, one.AllowRegions, one.DenyRegions, one.DenyGlobal)
		}
		if err != nil {
			return nil, fmt.Errorf("accounts[%d]: %w", i, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// payers are the accounts with their keys; none: the default AWS chain.
func (o *bedrockOptions) payers() (out []bedrockup.Account, err error) {
	if o.BedrockKey != "" {
		if len(o.Accounts) > 0 {
			return nil, misuse("--bedrock-key and accounts exclude each other; an account has key_env")
		}
		return []bedrockup.Account{{Bearer: o.BedrockKey}}, nil
	}
	for _, a := range o.Accounts {
		key := ""
		if a.KeyEnv != "" {
			if key = os.Getenv(a.KeyEnv); key == "" {
				return nil, misuse("account %q: %s is not set, which is to hold its key", a.Name, a.KeyEnv)
			}
		}
		out = append(out, bedrockup.Account{Name: a.Name, Number: a.Number, Regions: a.Regions, Role: a.Role, ExternalID: a.ExternalID, Bearer: key})
	}
	return out, nil
}

// openBedrock is real Amazon Bedrock. It is always named, and says who is billed.
func (s *server) openBedrock(ctx context.Context, o *serveOptions, self netip.AddrPort, hop string, log *slog.Logger) (err error) {
	betas, ok := map[string]bedrockup.BetaPolicy{"strip": bedrockup.Strip, "pass": bedrockup.Pass, "strict": bedrockup.Strict}[o.BedrockBetas]
	if !ok {
		return misuse("--bedrock-betas %q: want strip, pass or strict", o.BedrockBetas)
	}
	if o.Strict && betas == bedrockup.Strip {
		betas = bedrockup.Strict // AWS leaves nothing out
	}
	options := bedrockup.Options{
		Endpoints: bedrockup.Endpoints{Runtime: o.BedrockEndpoint, Mantle: o.BedrockMantleEndpoint, FIPS: o.BedrockFips, DualStack: o.BedrockDualStack},
		Region:    o.Region, Betas: betas, Hop: hop, Self: []netip.AddrPort{self}, OwnKey: s.ownKey, Agent: "outcrop/" + version, Log: log,
		FirstContent: firstContent, Idle: streamIdle,
	}
	if options.Accounts, err = o.payers(); err != nil {
		return err
	}
	up, err := bedrockup.New(ctx, options)
	if err != nil {
		return misuse("%v", err)
	}
	s.closers = append(s.closers, up.Close)
	if s.fence, err = o.fence(s.Catalog); err != nil {
		return err
	}
	quota, err := o.Quotas.table(s.Catalog, o.Accounts)
	if err != nil {
		return err
	}
	if s.theirs, err = o.BedrockProfiles.table(s.Catalog); err != nil {
		return err
	}
	for _, p := range o.BedrockProfiles {
		s.told = append(s.told, httpapi.TheirProfile(p))
	}
	s.Upstream, s.accounts, s.mantleHere = up, up.Accounts(), !o.BedrockMantleProfiles
	if len(o.Accounts) > 0 {
		if s.accounts, err = o.Accounts.routed(s.Catalog); err != nil {
			return misuse("%v", err)
		}
	}
	s.lanes = routing.NewHealth(routing.Options{Quota: quota, Patience: o.QuotaWait})
	s.warm(up, o.Region)
	return nil
}

// warmWithin is how long the server tries, beside its first calls.
const warmWithin = 30 * time.Second

// warm gets credentials and a connection before the first call wants them.
func (s *server) warm(up *bedrockup.Upstream, region string) {
	ctx, stop := context.WithTimeout(context.Background(), warmWithin)
	over := make(chan struct{})
	s.closers = append(s.closers, func() error { stop(); <-over; return nil })
	go func() {
		defer close(over)
		defer stop()
		_ = up.Warm(ctx, region) // it has logged what failed; calls try again
	}()
}

// ownKey says that a key is one of this server's: it would call itself with it.
func (s *server) ownKey(id string) bool {
	keys, err := s.Data.List()
	if err != nil {
		return false
	}
	for _, k := range keys {
		if k.ID == id {
			return true
		}
	}
	_, err = s.Data.APIKey(context.Background(), sha256.Sum256([]byte(id)))
	return err == nil
}
