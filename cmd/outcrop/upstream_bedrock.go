package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/routing"
	bedrockup "github.com/outcrop-dev/outcrop/internal/upstream/bedrock"
)

// bedrockOptions are the settings of --upstream bedrock.
type bedrockOptions struct {
	BedrockEndpoint  string `placeholder:"URL" help:"Where Bedrock is, in place of AWS's public endpoints: a VPC endpoint, a proxy; {region} stands for the Region."`
	BedrockFips      bool   `help:"Call AWS's FIPS endpoints."`
	BedrockDualStack bool   `help:"Call AWS's dual-stack endpoints."`
	BedrockBetas     string `enum:"strip,pass,strict" default:"strip" help:"What becomes of a beta that AWS is known to refuse: strip it with its fields and say so, pass it on, or refuse the call (strict)."`
	wayOptions
	Quotas    quotas        `placeholder:"JSON" help:"Quotas of your AWS accounts, best as a list in outcrop.yaml: account, region, model or profile, rpm, tpm, tpd. Calls move to other Regions before one is spent. What is not told is learnt from AWS's 429s."`
	QuotaWait time.Duration `default:"3s" placeholder:"TIME" help:"How long a call waits in all for a quota to free, or to try a Region again, before it is refused; 0s: not at all. Default: ${default}."`
}

// wayOptions say where calls to real Bedrock may go, and with whom.
type wayOptions struct {
	AllowRegions []string `placeholder:"REGION" help:"Call these Regions alone, and refuse what AWS could take elsewhere."`
	DenyRegions  []string `placeholder:"REGION" help:"Never call these Regions, and refuse what AWS could take there."`
	DenyGlobal   bool     `help:"Refuse global. ids."`
	Accounts     accounts `placeholder:"JSON" help:"AWS accounts to call with, best as a list in outcrop.yaml: name, number, regions, role, external_id. Without it: the default AWS credentials."`
}

// Validate holds what names Regions, models and accounts to the catalog, so that
// config check finds what is wrong.
func (o *bedrockOptions) Validate() error {
	if len(o.Quotas) == 0 && len(o.AllowRegions) == 0 && len(o.DenyRegions) == 0 {
		return nil
	}
	c, err := catalog.Load()
	if err != nil {
		return err
	}
	if _, err := o.fence(c); err != nil {
		return err
	}
	_, err = o.Quotas.table(c, o.Accounts)
	return err
}

func (o *wayOptions) fence(c *catalog.Catalog) (routing.Fence, error) {
	for _, list := range [][]string{o.AllowRegions, o.DenyRegions} {
		for _, region := range list {
			if _, ok := c.Partition(region); !ok {
				return routing.Fence{}, fmt.Errorf("unknown Region %q%s", region, oneOf(region, c.Regions()))
			}
		}
	}
	return routing.NewFence(c, o.AllowRegions, o.DenyRegions, o.DenyGlobal)
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
}

type accounts []account

// UnmarshalText reads the JSON that the configuration file's list becomes.
func (a *accounts) UnmarshalText(text []byte) error {
	return readEntries("accounts", text, (*[]account)(a))
}

// openBedrock is real Amazon Bedrock. It is always named, and says who is billed.
func (s *server) openBedrock(ctx context.Context, o *serveOptions, self netip.AddrPort, hop string, log *slog.Logger) error {
	betas, ok := map[string]bedrockup.BetaPolicy{"strip": bedrockup.Strip, "pass": bedrockup.Pass, "strict": bedrockup.Strict}[o.BedrockBetas]
	if !ok {
		return fmt.Errorf("--bedrock-betas %q: want strip, pass or strict", o.BedrockBetas)
	}
	if o.Strict && betas == bedrockup.Strip {
		betas = bedrockup.Strict // AWS leaves nothing out
	}
	options := bedrockup.Options{
		Endpoints: bedrockup.Endpoints{Runtime: o.BedrockEndpoint, FIPS: o.BedrockFips, DualStack: o.BedrockDualStack},
		Region:    o.Region, Betas: betas, Hop: hop, Self: []netip.AddrPort{self}, OwnKey: s.ownKey, Agent: "outcrop/" + version, Log: log,
		FirstContent: firstContent, Idle: streamIdle,
	}
	for _, a := range o.Accounts {
		options.Accounts = append(options.Accounts, bedrockup.Account{Name: a.Name, Number: a.Number, Regions: a.Regions, Role: a.Role, ExternalID: a.ExternalID})
	}
	up, err := bedrockup.New(ctx, options)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, up.Close)
	if s.fence, err = o.fence(s.Catalog); err != nil {
		return err
	}
	quota, err := o.Quotas.table(s.Catalog, o.Accounts)
	if err != nil {
		return err
	}
	s.Upstream, s.accounts = up, up.Accounts()
	s.lanes = routing.NewHealth(routing.Options{Quota: quota, Patience: o.QuotaWait})
	return nil
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
	return false
}
