package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/v2"
	officialbedrock "github.com/anthropics/anthropic-sdk-go/v2/bedrock"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// The page's own ids.
const (
	pageModel  = "anthropic.claude-opus-4-6-v1:0"
	pageGlobal = "global." + pageModel
	pageRegion = "us-west-2"
)

// promises are the page's, in its order.
func promises() []promise {
	return []promise{
		{1, "aws configure, then aws sts get-caller-identity confirms the credentials",
			"STS answers for the server's own keys", "aws sts get-caller-identity", "", meetIdentity},
		{2, "Anthropic's client SDKs support Bedrock; boto3 works too",
			"every official client works unmodified, and there is a Go client of our own", "make test", "", meetOfficialClient},
		{3, "Subscribe to Anthropic models under Model access",
			"access per account and Region, and Bedrock's own refusal without it", "outcrop access list", "", meetAccess},
		{4, "The table of 10 models x {global, us, eu, jp, apac}, with two deprecated marks",
			"the catalog answers exactly that table, and every later model", "outcrop models --page", "", meetTable},
		{5, `aws bedrock list-foundation-models --region=us-west-2 --by-provider anthropic --query "modelSummaries[*].modelId"`,
			"that very command works", `aws bedrock list-foundation-models --region=us-west-2 --by-provider anthropic --query "modelSummaries[*].modelId"`, "", meetList},
		{6, "AnthropicBedrock takes four arguments, or the default AWS providers; the Region from AWS_REGION, else us-east-1, and never from ~/.aws/config",
			"the Go client takes the same four, by the same rules", "go doc github.com/outcrop-dev/outcrop/bedrock", "", meetFourArguments},
		{7, "client.messages.create(model=\"global.anthropic.claude-opus-4-6-v1:0\", max_tokens=256, …Hello, world) prints the content",
			"the same call answers, plain and streamed", "outcrop exec -- python page.py", "", meetHello},
		{8, "Log your activity, at least the last 30 days",
			"Bedrock's invocation logging, kept on your own machine", "outcrop logs", "", meetLog},
		{9, "All features currently supported on Bedrock",
			"a matrix of features that the server enforces", "outcrop features", "", meetFeatures},
		{10, "PDF through Converse and InvokeModel; seen page by page with citations",
			"both modes: by AWS itself, or by the text and the pictures of the pages for a model here", "outcrop tour", "", meetPDF},
		{11, "1M-token context with the beta context-1m-2025-08-07",
			"the beta is accepted where the model has it, and priced", "outcrop explain " + pageGlobal, "", meetMillion},
		{12, "Global endpoints route dynamically over Regions, with no premium",
			"global. ids go over all source Regions and accounts by availability, at the list price", "outcrop serve --upstream bedrock", "", meetGlobal},
		{13, "Regional endpoints keep traffic in their geography, for 10 % more",
			"an id never leaves its wall, and is not answered outside of it", "outcrop explain eu." + pageModel + " --region eu-west-1", "", meetWalls},
		{14, "Without the global. prefix a call is regional",
			"it works; --strict answers as AWS does today", "outcrop explain " + pageModel + " --region us-west-2", "", meetNoPrefix},
		{15, "Pricing",
			"a price book, and the cost in every record", "outcrop usage", "", meetPrice},
	}
}

func meetIdentity(ctx context.Context, v *visit) (string, error) {
	a := &asker{v.url, aws.Config{Region: v.region, HTTPClient: v.http, Credentials: v.provider()}}
	who, err := a.ask(ctx)
	if err != nil {
		return "", err
	}
	return who.Arn, nil
}

func (v *visit) provider() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(v.key.AccessKeyID, v.key.SecretAccessKey, v.key.SessionToken)
}

// meetOfficialClient runs the official client that is at hand; make test runs
// them all.
func meetOfficialClient(ctx context.Context, v *visit) (string, error) {
	official := anthropic.NewClient(
		officialbedrock.WithConfig(aws.Config{Region: v.region, Credentials: v.provider()}),
		option.WithBaseURL(v.url), option.WithHTTPClient(v.http))
	m, err := official.Messages.New(ctx, greeting(pageGlobal, 16))
	if err != nil {
		return "", fmt.Errorf("anthropic-sdk-go: %w", err)
	}
	if err := isAnswer(m); err != nil {
		return "", fmt.Errorf("anthropic-sdk-go: %w", err)
	}
	return fmt.Sprintf("anthropic-sdk-go v2, unmodified, got %s; make test runs the others", m.ID), nil
}

// isAnswer holds a message to the service's shape.
func isAnswer(m *anthropic.Message) error {
	switch {
	case !strings.HasPrefix(m.ID, "msg_bdrk_"):
		return fmt.Errorf("the id is %q", m.ID)
	case m.Model != "claude-opus-4-6":
		return fmt.Errorf("the model is %q", m.Model)
	case m.StopReason == "" || m.Usage.InputTokens <= 0:
		return errors.New("stop_reason or usage is missing")
	}
	return nil
}

// meetAccess finds the page's models subscribed. On a server of the tour's own
// it gives one back, is refused, and asks for it again.
func meetAccess(ctx context.Context, v *visit) (string, error) {
	for _, row := range pageTable {
		var a struct {
			Agreement struct{ Status string } `json:"agreementAvailability"`
			Status    string                  `json:"authorizationStatus"`
		}
		if err := v.get(ctx, pageRegion, "/foundation-model-availability/"+row.id, &a); err != nil {
			return "", err
		}
		if a.Agreement.Status != "AVAILABLE" || a.Status != "AUTHORIZED" {
			return "", fmt.Errorf("%s in %s: agreement %s, %s", row.id, pageRegion, a.Agreement.Status, a.Status)
		}
	}
	if !v.own {
		return fmt.Sprintf("all %d models in %s", len(pageTable), pageRegion), nil
	}
	if _, err := v.post(ctx, pageRegion, "/delete-foundation-model-agreement", map[string]string{"modelId": pageModel}); err != nil {
		return "", err
	}
	refusal, err := v.refuses(ctx, pageRegion, pageGlobal, nil, "You don't have access to the model")
	if err != nil {
		return "", err
	}
	var offers struct {
		Offers []struct{ OfferToken string }
	}
	if err := v.get(ctx, pageRegion, "/list-foundation-model-agreement-offers/"+pageModel, &offers); err != nil {
		return "", err
	}
	if len(offers.Offers) == 0 {
		return "", errors.New("no offer")
	}
	if _, err := v.post(ctx, pageRegion, "/create-foundation-model-agreement", map[string]string{"modelId": pageModel, "offerToken": offers.Offers[0].OfferToken}); err != nil {
		return "", err
	}
	if _, err := v.answers(ctx, pageRegion, pageGlobal, nil); err != nil {
		return "", err
	}
	return fmt.Sprintf("all %d models in %s; one given back: %s; asked for again, it answers", len(pageTable), pageRegion, refusal), nil
}

// pageTable is what the page prints.
var pageTable = []struct{ id, yes string }{
	{"anthropic.claude-opus-4-6-v1:0", "global us eu jp apac"},
	{"anthropic.claude-sonnet-4-5-20250929-v1:0", "global us eu jp"},
	{"anthropic.claude-sonnet-4-20250514-v1:0", "global us eu apac"},
	{"anthropic.claude-3-7-sonnet-20250219-v1:0", "us eu apac"},
	{"anthropic.claude-opus-4-5-20251101-v1:0", "global us eu"},
	{"anthropic.claude-opus-4-1-20250805-v1:0", "us"},
	{"anthropic.claude-opus-4-20250514-v1:0", "us"},
	{"anthropic.claude-haiku-4-5-20251001-v1:0", "global us eu"},
	{"anthropic.claude-3-5-haiku-20241022-v1:0", "us"},
	{"anthropic.claude-3-haiku-20240307-v1:0", "us eu apac"},
}

// meetTable asks a Region of each column for its profiles.
func meetTable(ctx context.Context, v *visit) (string, error) {
	listed := map[string]bool{}
	for _, region := range []string{"us-east-1", "eu-west-1", "ap-northeast-1", "ap-southeast-1"} {
		next := ""
		for {
			var page struct {
				Summaries []struct {
					ID string `json:"inferenceProfileId"`
				} `json:"inferenceProfileSummaries"`
				NextToken string `json:"nextToken"`
			}
			if err := v.get(ctx, region, "/inference-profiles?maxResults=100&type=SYSTEM_DEFINED"+next, &page); err != nil {
				return "", err
			}
			for _, s := range page.Summaries {
				listed[s.ID] = true
			}
			if page.NextToken == "" {
				break
			}
			next = "&nextToken=" + page.NextToken
		}
	}
	yes, since := 0, 0
	for _, row := range pageTable {
		for _, prefix := range catalog.PagePrefixes() {
			says := slices.Contains(strings.Fields(row.yes), prefix)
			is := listed[prefix+"."+row.id]
			switch {
			case says && !is:
				return "", fmt.Errorf("%s.%s is Yes on the page and is not listed", prefix, row.id)
			case says:
				yes++
			case is:
				since++
			}
		}
	}
	return fmt.Sprintf("all %d Yes cells are listed as profiles, %d cells have become Yes since; outcrop models --page prints the table", yes, since), nil
}

func meetList(ctx context.Context, v *visit) (string, error) {
	var list struct {
		Models []struct {
			ID string `json:"modelId"`
		} `json:"modelSummaries"`
	}
	if err := v.get(ctx, pageRegion, "/foundation-models?byProvider=anthropic", &list); err != nil {
		return "", err
	}
	for i, row := range pageTable {
		if i >= len(list.Models) || list.Models[i].ID != row.id {
			return "", fmt.Errorf("model %d of the list is not %s", i+1, row.id)
		}
	}
	return fmt.Sprintf("%d models, the page's %d first: %s …", len(list.Models), len(pageTable), list.Models[0].ID), nil
}

// meetFourArguments makes the client in each of the ways that the page has.
func meetFourArguments(ctx context.Context, v *visit) (string, error) {
	ask := func(c *bedrock.Client, err error, region string) error {
		if err != nil {
			return err
		}
		if c.Region() != region {
			return fmt.Errorf("the Region is %s, want %s", c.Region(), region)
		}
		_, err = c.Messages.New(ctx, greeting(pageGlobal, 16))
		return err
	}
	c, err := v.client(ctx, pageRegion)
	if err := ask(c, err, pageRegion); err != nil {
		return "", fmt.Errorf("explicit keys: %w", err)
	}

	// A home whose config says what must not be read, and whose credentials
	// must.
	dir, err := os.MkdirTemp("", "outcrop-aws-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	configFile, credentialsFile := filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	if err := os.WriteFile(configFile, []byte("[default]\nregion = sa-east-1\n"), 0o600); err != nil {
		return "", err
	}
	secret := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", v.key.AccessKeyID, v.key.SecretAccessKey)
	if v.key.SessionToken != "" {
		secret += "aws_session_token = " + v.key.SessionToken + "\n"
	}
	if err := os.WriteFile(credentialsFile, []byte(secret), 0o600); err != nil {
		return "", err
	}
	home := map[string]string{"AWS_CONFIG_FILE": configFile, "AWS_SHARED_CREDENTIALS_FILE": credentialsFile, "AWS_EC2_METADATA_DISABLED": "true"}
	variables := map[string]string{"AWS_CONFIG_FILE": configFile, "AWS_REGION": pageRegion, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": v.key.AccessKeyID, "AWS_SECRET_ACCESS_KEY": v.key.SecretAccessKey, "AWS_SESSION_TOKEN": v.key.SessionToken}
	for _, way := range []struct {
		name   string
		env    map[string]string
		region string
	}{{"~/.aws/credentials", home, "us-east-1"}, {"AWS_* variables", variables, pageRegion}} {
		restore := replaceEnv(way.env)
		c, err := bedrock.New(ctx, bedrock.WithBaseURL(v.url), bedrock.WithHTTPClient(v.http))
		err = ask(c, err, way.region)
		restore()
		if err != nil {
			return "", fmt.Errorf("%s: %w", way.name, err)
		}
	}
	return "explicit keys, AWS_* variables and ~/.aws/credentials all answer; without a Region it is us-east-1, whatever ~/.aws/config says", nil
}

// replaceEnv gives this process an AWS environment of its own for a moment:
// the default providers read nothing else. The tour does one thing at a time.
func replaceEnv(set map[string]string) (restore func()) {
	was := map[string]string{}
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "ANTHROPIC_") {
			was[name] = value
			os.Unsetenv(name)
		}
	}
	for name, value := range set {
		if value != "" {
			os.Setenv(name, value)
		}
	}
	return func() {
		for name := range set {
			os.Unsetenv(name)
		}
		for name, value := range was {
			os.Setenv(name, value)
		}
	}
}

func meetHello(ctx context.Context, v *visit) (string, error) {
	c, err := v.client(ctx, v.region)
	if err != nil {
		return "", err
	}
	m, err := c.Messages.New(ctx, greeting(pageGlobal, 256))
	if err != nil {
		return "", fmt.Errorf("plain: %w", err)
	}
	if err := isAnswer(m); err != nil {
		return "", fmt.Errorf("plain: %w", err)
	}
	var streamed anthropic.Message
	pieces := 0
	stream := c.Messages.NewStreaming(ctx, greeting(pageGlobal, 256))
	for stream.Next() {
		pieces++
		if err := streamed.Accumulate(stream.Current()); err != nil {
			return "", fmt.Errorf("streamed: %w", err)
		}
	}
	if err := errors.Join(stream.Err(), stream.Close()); err != nil {
		return "", fmt.Errorf("streamed: %w", err)
	}
	if err := isAnswer(&streamed); err != nil {
		return "", fmt.Errorf("streamed: %w", err)
	}
	return fmt.Sprintf("streamed in %d events, %d tokens: %s", pieces, streamed.Usage.OutputTokens, textOf(&streamed)), nil
}

func meetFeatures(ctx context.Context, v *visit) (string, error) {
	said, err := v.refuses(ctx, v.region, pageGlobal,
		map[string]any{"tools": []any{map[string]any{"type": "web_search_20250305", "name": "web_search"}}}, "eb search")
	if err != nil {
		return "", err
	}
	if _, _, err := v.converse(ctx, v.region, pageGlobal, converseBody(map[string]any{"text": "Hello, world"})); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d features in the matrix, InvokeModel and Converse answer; one that Bedrock lacks is refused by name: %s", len(v.catalog.Features()), said), nil
}

func meetMillion(ctx context.Context, v *visit) (string, error) {
	beta := map[string]any{"anthropic_beta": []string{"context-1m-2025-08-07"}}
	for _, model := range []string{pageGlobal, "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "global.anthropic.claude-sonnet-4-20250514-v1:0"} {
		if _, err := v.answers(ctx, v.region, model, beta); err != nil {
			return "", err
		}
	}
	body := converseBody(map[string]any{"text": "Hello, world"})
	body["additionalModelRequestFields"] = beta
	if _, _, err := v.converse(ctx, v.region, pageGlobal, body); err != nil {
		return "", err
	}
	return "Opus 4.6, Sonnet 4.5 and Sonnet 4 take the beta, in InvokeModel and in Converse; how long a prompt can really be is the upstream's", nil
}
