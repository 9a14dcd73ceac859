package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/outcrop-dev/outcrop/internal/datadir"
)

type whoamiCmd struct {
	controlOption
	JSON bool `name:"json" help:"Print JSON."`
}

func (whoamiCmd) Help() string {
	return `Examples:

  outcrop whoami
  outcrop whoami --aws

The same question as aws sts get-caller-identity. Who is asked, with which credentials:

  --endpoint URL                 that one, the environment's
  --aws                          the real AWS, the environment's
  AWS_ENDPOINT_URL_STS is set    that one, the environment's (this is what outcrop env does)
  otherwise                      the server on the data folder, with its first access key

Without --aws or an endpoint the real AWS is never asked.`
}

func (c *whoamiCmd) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	asker, err := c.asker(ctx, "whoami", "AWS_ENDPOINT_URL_STS", (*datadir.Folder).FirstKey)
	if err != nil {
		return err
	}
	who, err := asker.ask(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return con.writeJSON(who)
	}
	w := table(con.Out)
	fmt.Fprintf(w, "Account\t%s\nArn\t%s\nUserId\t%s\n", who.Account, who.Arn, who.UserID)
	fmt.Fprintf(w, "answered by\t%s\n", who.by())
	return w.Flush()
}

type identityAnswer struct {
	Account  string `json:"Account"`
	Arn      string `json:"Arn"`
	UserID   string `json:"UserId"`
	Endpoint string `json:"Endpoint"`
	Upstream string `json:"Upstream,omitempty"` // Outcrop's: who answers model calls there
}

func (a *asker) ask(ctx context.Context) (*identityAnswer, error) {
	if _, err := a.cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, noCredentials(ctx, err)
	}
	client := sts.NewFromConfig(a.cfg, func(o *sts.Options) {
		if a.endpoint != "" {
			o.BaseEndpoint = &a.endpoint
		} else {
			o.BaseEndpoint = nil // AWS_ENDPOINT_URL and profiles do not count for --aws
		}
	})
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, a.explain(err)
	}
	who := &identityAnswer{Account: aws.ToString(out.Account), Arn: aws.ToString(out.Arn), UserID: aws.ToString(out.UserId), Endpoint: a.where()}
	if raw, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response); ok {
		who.Upstream = raw.Header.Get("X-Outcrop-Upstream")
	}
	return who, nil
}

func (a *asker) where() string {
	if a.endpoint == "" {
		return "https://sts." + a.cfg.Region + ".amazonaws.com"
	}
	return a.endpoint
}

// explain leaves the SDK's layers out of what a person reads.
func (a *asker) explain(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		return tell(err, "%s refuses: %s: %s", a.where(), api.ErrorCode(), api.ErrorMessage())
	}
	return fmt.Errorf("%s: %w", a.where(), err)
}

func (i *identityAnswer) by() string {
	if i.Upstream != "" {
		return fmt.Sprintf("%s (outcrop; model calls there go to %s)", i.Endpoint, i.Upstream)
	}
	return i.Endpoint
}
