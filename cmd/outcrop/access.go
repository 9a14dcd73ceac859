package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
)

type accessCmd struct {
	List    accessListCmd    `cmd:"" help:"List the models and whether the account has them."`
	Offers  accessOffersCmd  `cmd:"" help:"Show a model's terms and prices."`
	Request accessRequestCmd `cmd:"" help:"Agree to the terms of models."`
	UseCase accessUseCaseCmd `cmd:"" name:"use-case" help:"Submit or show the form that Anthropic asks for once."`
	Revoke  accessRevokeCmd  `cmd:"" help:"Give models back."`
}

func (accessCmd) Help() string {
	return `Examples:

  outcrop access list
  outcrop access request claude-opus-4-6 --aws --region us-west-2

Model access of one account in one Region, by Amazon Bedrock's own operations.

` + controlHelp
}

const controlHelp = `Who is asked, with which credentials:

  --endpoint URL                     that one, the environment's
  --aws                              the real AWS, the environment's
  AWS_ENDPOINT_URL_BEDROCK is set    that one, the environment's (this is what outcrop env does)
  otherwise                          the server on the data folder, with its administrator's access key

Without --aws or an endpoint the real AWS is never asked.`

type accessListCmd struct {
	controlOption
	JSON bool `name:"json" help:"Print JSON."`
}

func (accessListCmd) Help() string {
	return `Examples:

  outcrop access list
  outcrop access list --aws --region eu-central-1

` + controlHelp
}

// modelAccess is a row of the list.
type modelAccess struct {
	ID          string `json:"modelId"`
	Name        string `json:"modelName"`
	Agreement   string `json:"agreement"`
	Authorized  string `json:"authorization"`
	Entitlement string `json:"entitlement"`
	Region      string `json:"region"`
	Lifecycle   string `json:"lifecycle"`
}

// listers is how many questions are asked at once.
const listers = 6

func (a *accessListCmd) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c, err := a.open(ctx)
	if err != nil {
		return err
	}
	out, err := c.ListFoundationModels(ctx, &bedrock.ListFoundationModelsInput{ByProvider: aws.String("anthropic")})
	if err != nil {
		return c.explain(err)
	}
	rows := make([]modelAccess, len(out.ModelSummaries))
	errs := make([]error, len(rows))
	var wg sync.WaitGroup
	turn := make(chan struct{}, listers)
	for i, m := range out.ModelSummaries {
		rows[i] = modelAccess{ID: aws.ToString(m.ModelId), Name: aws.ToString(m.ModelName)}
		if m.ModelLifecycle != nil {
			rows[i].Lifecycle = string(m.ModelLifecycle.Status)
		}
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			var got *bedrock.GetFoundationModelAvailabilityOutput
			if got, errs[i] = c.GetFoundationModelAvailability(ctx, &bedrock.GetFoundationModelAvailabilityInput{ModelId: m.ModelId}); errs[i] == nil {
				rows[i].fill(got)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return c.explain(err)
		}
	}
	if a.JSON {
		return con.writeJSON(rows)
	}
	w := table(con.Out)
	fmt.Fprintln(w, "MODEL\tNAME\tAGREEMENT\tAUTHORIZED\tENTITLED\tIN REGION\tLIFECYCLE")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Name, yes(r.Agreement, "AVAILABLE"), yes(r.Authorized, "AUTHORIZED"), yes(r.Entitlement, "AVAILABLE"), yes(r.Region, "AVAILABLE"), strings.ToLower(r.Lifecycle))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(con.Err, "%s, %s\n", c.where(), c.region)
	return nil
}

func (r *modelAccess) fill(got *bedrock.GetFoundationModelAvailabilityOutput) {
	if got.AgreementAvailability != nil {
		r.Agreement = string(got.AgreementAvailability.Status)
	}
	r.Authorized, r.Entitlement, r.Region = string(got.AuthorizationStatus), string(got.EntitlementAvailability), string(got.RegionAvailability)
}

// yes shortens AWS's words where they are yes or no.
func yes(got, yes string) string {
	switch got {
	case yes:
		return "yes"
	case "NOT_" + yes:
		return "no"
	default:
		return strings.ToLower(got)
	}
}

type accessOffersCmd struct {
	controlOption
	Model string `arg:"" help:"Model, by any of its ids."`
	JSON  bool   `name:"json" help:"Print JSON, the offer's token included."`
}

func (accessOffersCmd) Help() string {
	return `Examples:

  outcrop access offers claude-opus-4-6
  outcrop access offers claude-opus-4-6 --aws

` + controlHelp
}

func (a *accessOffersCmd) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := a.open(ctx)
	if err != nil {
		return err
	}
	offers, err := c.offers(ctx, a.Model)
	if err != nil {
		return err
	}
	if a.JSON {
		return con.writeJSON(offers)
	}
	for _, o := range offers {
		fmt.Fprintf(con.Out, "offer   %s of %s\nterms   %s\nrefunds %s\n\n", aws.ToString(o.OfferId), c.id(a.Model), o.terms(), o.refunds())
		w := table(con.Out)
		fmt.Fprintln(w, "PRICE\tFOR\tDIMENSION")
		for _, r := range o.rates() {
			fmt.Fprintf(w, "$%s\t%s\t%s\n", aws.ToString(r.Price), aws.ToString(r.Description), aws.ToString(r.Dimension))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// offer reads what may be missing of one.
type offer struct{ types.Offer }

func (o offer) terms() string {
	if t := o.TermDetails; t != nil && t.LegalTerm != nil {
		return aws.ToString(t.LegalTerm.Url)
	}
	return ""
}

func (o offer) refunds() string {
	if t := o.TermDetails; t != nil && t.SupportTerm != nil {
		return aws.ToString(t.SupportTerm.RefundPolicyDescription)
	}
	return ""
}

func (o offer) rates() []types.DimensionalPriceRate {
	if t := o.TermDetails; t != nil && t.UsageBasedPricingTerm != nil {
		return t.UsageBasedPricingTerm.RateCard
	}
	return nil
}

func (c *control) offers(ctx context.Context, model string) ([]offer, error) {
	out, err := c.ListFoundationModelAgreementOffers(ctx, &bedrock.ListFoundationModelAgreementOffersInput{ModelId: aws.String(c.id(model)), OfferType: types.OfferTypeAll})
	if err != nil {
		return nil, c.explain(err)
	}
	c.heard(out.ResultMetadata)
	if len(out.Offers) == 0 {
		return nil, fmt.Errorf("%s has no offer for %s", c.where(), model)
	}
	offers := make([]offer, len(out.Offers))
	for i, o := range out.Offers {
		offers[i] = offer{o}
	}
	return offers, nil
}

type accessRequestCmd struct {
	controlOption
	Models []string `arg:"" name:"model" help:"Models, by any of their ids."`
	Offer  string   `placeholder:"ID" env:"OUTCROP_ACCESS_OFFER" help:"Take this offer, where there are more than one."`
	Yes    bool     `env:"OUTCROP_ACCESS_YES" help:"Agree to the terms without being asked. Outcrop itself has no terms and does not ask."`
}

func (accessRequestCmd) Help() string {
	return `Examples:

  outcrop access request claude-opus-4-6
  outcrop access request claude-opus-4-6 claude-sonnet-4-6 --aws --region us-west-2

An agreement with AWS is a contract: its terms are shown, and asked about, first.

` + controlHelp
}

func (a *accessRequestCmd) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // somebody may have to read
	defer cancel()
	c, err := a.open(ctx)
	if err != nil {
		return err
	}
	for _, model := range a.Models {
		if err := a.request(ctx, c, con, model); err != nil {
			return err
		}
	}
	return nil
}

func (a *accessRequestCmd) request(ctx context.Context, c *control, con console, model string) error {
	offers, err := c.offers(ctx, model)
	if err != nil {
		return err
	}
	take, err := a.choose(offers)
	if err != nil {
		return fmt.Errorf("%s: %w", model, err)
	}
	id := c.id(model)
	if !c.outcrop && !a.Yes {
		if err := agree(con, id, take.terms()); err != nil {
			return err
		}
	}
	_, err = c.CreateFoundationModelAgreement(ctx, &bedrock.CreateFoundationModelAgreementInput{ModelId: &id, OfferToken: take.OfferToken})
	var conflict *types.ConflictException
	switch {
	case errors.As(err, &conflict):
		fmt.Fprintf(con.Err, "%s: there is an agreement already\n", id)
	case err != nil:
		return c.explain(err)
	}
	got, err := c.GetFoundationModelAvailability(ctx, &bedrock.GetFoundationModelAvailabilityInput{ModelId: &id})
	if err != nil {
		return c.explain(err)
	}
	var row modelAccess
	row.fill(got)
	fmt.Fprintf(con.Out, "%s\t%s\n", id, strings.ToLower(row.Agreement))
	if row.Agreement == string(types.AgreementStatusPending) {
		fmt.Fprintf(con.Err, "AWS takes a few minutes; %s access list tells when it is there\n", self())
	}
	return nil
}

func (a *accessRequestCmd) choose(offers []offer) (offer, error) {
	var ids []string
	for _, o := range offers {
		id := aws.ToString(o.OfferId)
		if a.Offer == id || a.Offer == "" && len(offers) == 1 {
			return o, nil
		}
		ids = append(ids, id)
	}
	return offer{}, misuse("the offers are %s: choose one with --offer", strings.Join(ids, ", "))
}

// agree asks the person who has to: an agreement with AWS is a contract.
func agree(con console, model, terms string) error {
	if u, err := url.Parse(terms); err == nil {
		u.RawQuery = "" // of a presigned link, which is a page long
		terms = u.String()
	}
	if !con.terminal() {
		return misuse("%s: its terms are at %s: read them, then say --yes", model, terms)
	}
	fmt.Fprintf(con.Err, "The terms of %s: %s\n", model, terms)
	yes, err := con.agrees("Do you agree to them?")
	if err == nil && !yes {
		err = errors.New("not agreed; nothing was requested")
	}
	return err
}

type accessUseCaseCmd struct {
	controlOption
	File string `arg:"" optional:"" type:"existingfile" help:"JSON file with the form, - for standard input. Without it the form that was submitted is printed."`
}

func (accessUseCaseCmd) Help() string {
	return `Examples:

  outcrop access use-case
  outcrop access use-case form.json --aws

The form has these members, all of them strings:

  {"companyName": "...", "companyWebsite": "https://...", "intendedUsers": "0",
   "industryOption": "...", "otherIndustryOption": "...", "useCases": "..."}

intendedUsers is 0 for your own people, 1 for others, 2 for both. AWS takes the form once for all Regions, those that
must be enabled excepted, and in us-east-1.

` + controlHelp
}

func (a *accessUseCaseCmd) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := a.open(ctx)
	if err != nil {
		return err
	}
	if a.File == "" {
		out, err := c.GetUseCaseForModelAccess(ctx, &bedrock.GetUseCaseForModelAccessInput{})
		if err != nil {
			return c.explain(err)
		}
		_, err = fmt.Fprintf(con.Out, "%s\n", strings.TrimSpace(string(out.FormData)))
		return err
	}
	form, err := readForm(con, a.File)
	if err != nil {
		return err
	}
	if _, err := c.PutUseCaseForModelAccess(ctx, &bedrock.PutUseCaseForModelAccessInput{FormData: form}); err != nil {
		return c.explain(err)
	}
	fmt.Fprintf(con.Err, "submitted to %s\n", c.where())
	return nil
}

func readForm(con console, name string) ([]byte, error) {
	in := con.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	form, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return nil, err
	}
	if !json.Valid(form) {
		return nil, fmt.Errorf("%s is no JSON: %s access use-case --help shows the form", name, self())
	}
	return form, nil
}

type accessRevokeCmd struct {
	controlOption
	Models []string `arg:"" name:"model" help:"Models, by any of their ids."`
}

func (accessRevokeCmd) Help() string {
	return `Examples:

  outcrop access revoke claude-opus-4-6
  outcrop access revoke claude-opus-4-6 --aws --region us-west-2

` + controlHelp
}

func (a *accessRevokeCmd) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := a.open(ctx)
	if err != nil {
		return err
	}
	for _, model := range a.Models {
		id := c.id(model)
		out, err := c.DeleteFoundationModelAgreement(ctx, &bedrock.DeleteFoundationModelAgreementInput{ModelId: &id})
		if err != nil {
			return c.explain(err)
		}
		c.heard(out.ResultMetadata)
		fmt.Fprintf(con.Out, "%s\tgiven back\n", id)
		if !c.outcrop {
			fmt.Fprintln(con.Err, "AWS takes it again with the next call: only a policy keeps it away")
		}
	}
	return nil
}
