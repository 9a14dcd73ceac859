package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

type explainCmd struct {
	Ref    string `arg:"" name:"model" help:"Model as a client names it: an id, a profile id, an ARN or an alias."`
	Region string `default:"${region}" placeholder:"REGION" help:"Region of the call. Default: ${default}."`
	Strict bool   `help:"As AWS answers today."`
	Mantle bool   `help:"As the bedrock-mantle endpoint answers."`
	JSON   bool   `name:"json" help:"Print JSON."`

	Config string    `type:"path" placeholder:"FILE" help:"Configuration file whose accounts, fence and prices hold; default: the one that serve reads."`
	Prices ownPrices `placeholder:"JSON" help:"Prices of your own, as the list prices of outcrop.yaml."`
	wayOptions
}

// BeforeResolve takes what the configuration file says of a server.
func (c *explainCmd) BeforeResolve(k *kong.Kong, ctx *kong.Context) error {
	return new(answerOptions).BeforeResolve(k, ctx)
}

func (explainCmd) Help() string {
	return `Examples:

  outcrop explain anthropic.claude-opus-4-6-v1:0 --region us-west-2
  outcrop explain anthropic.claude-opus-4-6-v1:0 --region us-west-2 --strict
  outcrop explain eu.anthropic.claude-sonnet-4-5-20250929-v1:0 --region eu-west-2
  outcrop explain global.anthropic.claude-opus-5 --config outcrop.yaml
  outcrop explain us.anthropic.claude-opus-5 --region us-east-1 --deny-regions us-west-2

It prints the ways that a call to real Amazon Bedrock may take, best first, each
with its wall: the Regions outside of which nothing may see the call; with the
accounts and the fence (allow_regions, deny_regions, deny_global) of outcrop.yaml,
if there are any. Then what was looked at and not taken, and why. Where the call
would be refused it prints the refusal, and ends as that call would: with exit code 3
where the id is none or cannot be called there, with 4 where the fence forbids it.`
}

func (c *explainCmd) Run(con console) error {
	cat, err := catalog.Load(c.Prices...)
	if err != nil {
		return err
	}
	fence, err := c.fence(cat)
	if err != nil {
		return misuse("%v", err)
	}
	theirs, err := c.BedrockProfiles.table(cat)
	if err != nil {
		return err
	}
	res, err := cat.Resolve(c.Ref, c.Region, catalog.Policy{Strict: c.Strict, Mantle: c.Mantle, Now: time.Now(), Theirs: theirs, MantleHere: !c.BedrockMantleProfiles})
	if err != nil {
		return c.refused(con, err)
	}
	with, err := c.Accounts.routed(cat)
	if err != nil {
		return misuse("%v", err)
	}
	w := newWays(res, fence, with)
	if c.JSON {
		err = con.writeJSON(newExplanation(w, c.Region))
	} else {
		explain(con.Out, w, c.Region, cat.AsOf())
	}
	if err == nil && len(w.open) == 0 {
		return exitCode(exitAccess)
	}
	return err
}

// ways is a resolution as the operator's accounts and fence leave it.
type ways struct {
	*catalog.Resolution
	open     []catalog.Candidate
	accounts map[string][]string // by Region, of the open ones
	shut     []catalog.RuledOut  // those of the resolution too
}

func newWays(res *catalog.Resolution, fence routing.Fence, with []routing.Account) ways {
	routes, shut := routing.Routes(res, routing.Amazon(), fence, with)
	w := ways{Resolution: res, accounts: map[string][]string{}, shut: append(shut, res.RuledOut...)}
	open := map[string]bool{}
	for _, r := range routes {
		open[r.Region()] = true
		if r.Account() != "" {
			w.accounts[r.Region()] = append(w.accounts[r.Region()], r.Account())
		}
	}
	for _, c := range res.Candidates {
		if open[c.Region] {
			w.open = append(w.open, c)
		}
	}
	return w
}

func (c *explainCmd) refused(con console, err error) error {
	var e *messages.Error
	if !errors.As(err, &e) {
		return err
	}
	x := bedrockapi.ExceptionOf(e.Kind)
	if c.JSON {
		if err := con.writeJSON(struct {
			Ref     string `json:"ref"`
			Region  string `json:"region"`
			Error   string `json:"error"`
			Status  int    `json:"status"`
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
		}{c.Ref, c.Region, x.Name, x.Status, e.Message, e.Hint}); err != nil {
			return err
		}
		return exitCode(statusOfKind(e.Kind))
	}
	fmt.Fprintf(con.Out, "%s in %s is refused\n  %s (%d): %s\n", c.Ref, c.Region, x.Name, x.Status, e.Message)
	if e.Hint != "" {
		fmt.Fprintf(con.Out, "  %s\n", e.Hint)
	}
	return exitCode(statusOfKind(e.Kind))
}

func explain(w io.Writer, r ways, region string, asOf time.Time) {
	best := r.Candidates[0]
	fmt.Fprintf(w, "%s in %s\n", r.Ref, region)
	fmt.Fprintf(w, "  model     %s (%s; answers say %s)\n", r.Model.Name, r.Model.ID, r.Model.FirstPartyID)
	fmt.Fprintf(w, "  route     %s; wall: %s\n", best.Endpoint, best.Wall)
	fmt.Fprintf(w, "  price     %s\n", priceLine(best.Price))
	if best.Price.Own != 0 {
		fmt.Fprintf(w, "            your own (prices in outcrop.yaml): %s\n", ownLine(best.Price.Own))
	}
	fmt.Fprintf(w, "  source    %s\n", sourceLine(r.Resolution, asOf))
	if r.Warning != "" {
		fmt.Fprintf(w, "  warning   %s\n", r.Warning)
	}
	if len(r.open) == 0 {
		fmt.Fprintln(w, "may go nowhere: the call would be refused")
	} else {
		fmt.Fprintln(w, "may go, best first:")
	}
	for _, g := range together(r.open) {
		for i, region := range g.regions {
			if with := r.accounts[region]; len(with) > 0 {
				g.regions[i] += " (" + strings.Join(with, ", ") + ")"
			}
		}
		fmt.Fprintf(w, "  %s in %s\n", g.first.ID, strings.Join(g.regions, ", "))
		fmt.Fprintf(w, "    %s", g.first.Reason)
		if g.first.Reach != g.first.Wall {
			fmt.Fprintf(w, "; reaches %s", g.first.Reach)
		}
		fmt.Fprintln(w)
	}
	if len(r.shut) > 0 {
		fmt.Fprintln(w, "ruled out:")
	}
	for _, o := range r.shut {
		fmt.Fprintf(w, "  %s in %s: %s\n", o.ID, o.Region, o.Reason)
	}
}

// group is candidates that differ in their Region alone.
type group struct {
	first   catalog.Candidate
	regions []string
}

func together(cs []catalog.Candidate) []group {
	var out []group
	for _, c := range cs {
		if n := len(out); n > 0 {
			g := &out[n-1]
			if g.first.ID == c.ID && g.first.Reason == c.Reason && g.first.Wall == c.Wall && g.first.Reach == c.Reach {
				g.regions = append(g.regions, c.Region)
				continue
			}
		}
		out = append(out, group{c, []string{c.Region}})
	}
	return out
}

func priceLine(p catalog.Price) string {
	s := ratesLine(p.Rates)
	if p.LongOver > 0 {
		s += fmt.Sprintf("; over %s tokens of prompt: %s", tokens(p.LongOver), ratesLine(p.Long))
	}
	return s + " (per million tokens)"
}

// ownLine names the rates that the operator has set.
func ownLine(own catalog.Own) string {
	var names []string
	for class, name := range catalog.Classes() {
		for _, long := range []bool{false, true} {
			if !own.Has(class, long) {
				continue
			}
			if long {
				name += " of long prompts"
			}
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func ratesLine(r catalog.Rates) string {
	s := fmt.Sprintf("$%s in, $%s out", r.Input.USD(), r.Output.USD())
	for _, c := range []struct {
		what string
		rate catalog.Nanodollars
	}{{"cache write 5m", r.CacheWrite5m}, {"1h", r.CacheWrite1h}, {"cache read", r.CacheRead}} {
		if c.rate > 0 {
			s += fmt.Sprintf(", %s $%s", c.what, c.rate.USD())
		}
	}
	return s
}

func sourceLine(r *catalog.Resolution, asOf time.Time) string {
	if r.Source == "page" {
		return "the page; AWS today would refuse this call"
	}
	return "AWS as of " + date(asOf) + ", confidence " + r.Confidence
}

type explanation struct {
	Ref        string         `json:"ref"`
	Region     string         `json:"region"`
	Model      string         `json:"model"`
	Profile    string         `json:"profile,omitempty"`
	Source     string         `json:"source"`
	Confidence string         `json:"confidence"`
	Warning    string         `json:"warning,omitempty"`
	Candidates []candidateRow `json:"candidates"`
	RuledOut   []ruledOutRow  `json:"ruled_out"`
}

type candidateRow struct {
	ID       string   `json:"id"`
	Region   string   `json:"region"`
	Endpoint string   `json:"endpoint"`
	Anywhere bool     `json:"anywhere"`
	Wall     []string `json:"wall"`
	Reach    []string `json:"reach"`
	Accounts []string `json:"accounts,omitempty"`
	Price    priceRow `json:"price"`
	Reason   string   `json:"reason"`
}

type ruledOutRow struct {
	ID     string `json:"id"`
	Region string `json:"region"`
	Reason string `json:"reason"`
}

func newExplanation(r ways, region string) explanation {
	e := explanation{Ref: r.Ref, Region: region, Model: r.Model.ID, Profile: r.Profile, Source: r.Source, Confidence: r.Confidence,
		Warning: r.Warning, Candidates: []candidateRow{}, RuledOut: []ruledOutRow{}}
	for _, c := range r.open {
		e.Candidates = append(e.Candidates, candidateRow{c.ID, c.Region, c.Endpoint.String(), c.Wall.Anywhere(),
			append([]string{}, c.Wall.Regions()...), append([]string{}, c.Reach.Regions()...), r.accounts[c.Region], newPriceRow(c.Price), c.Reason})
	}
	for _, o := range r.shut {
		e.RuledOut = append(e.RuledOut, ruledOutRow(o))
	}
	return e
}
