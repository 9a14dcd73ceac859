package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

type whoamiCmd struct {
	dataOption
	Endpoint string `placeholder:"URL" xor:"where" help:"Ask this endpoint, with the environment's AWS credentials."`
	AWS      bool   `name:"aws" xor:"where" help:"Ask the real AWS, with the environment's AWS credentials."`
	Region   string `placeholder:"REGION" help:"Region to sign for. Default: the credentials' own, else us-east-1."`
	JSON     bool   `name:"json" help:"Print JSON."`
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
	asker, err := c.asker(ctx)
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

func (c *whoamiCmd) asker(ctx context.Context) (*asker, error) {
	endpoint := c.Endpoint
	if endpoint == "" && !c.AWS {
		for _, name := range []string{"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"} {
			if endpoint = os.Getenv(name); endpoint != "" {
				break
			}
		}
	}
	if endpoint != "" || c.AWS {
		return environmentAsker(ctx, endpoint, c.Region)
	}
	st, ok := running(ctx, c.Data)
	if !ok {
		return nil, nobody("whoami", c.Data)
	}
	folder, err := c.open()
	if err != nil {
		return nil, err
	}
	key, _, err := folder.FirstKey()
	if err != nil {
		return nil, err
	}
	region := c.Region
	if region == "" {
		region = st.Region
	}
	return newAsker(st.URL, region, key, filepath.Join(folder.Path(), caCertFile))
}

// asker asks an STS who it is.
type asker struct {
	endpoint string // "": the real AWS
	cfg      aws.Config
}

// environmentAsker takes the credentials that the environment and AWS's shared
// files give. EC2's metadata service is asked for the real AWS alone.
func environmentAsker(ctx context.Context, endpoint, region string) (*asker, error) {
	opts := []func(*config.LoadOptions) error{config.WithRegion(region)}
	if endpoint != "" {
		if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, misuse("endpoint %q is not an http or https URL", endpoint)
		}
		opts = append(opts, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, misuse("AWS configuration: %v", err)
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	return &asker{endpoint, cfg}, nil
}

// noCredentials says where they were looked for. Where nothing is set AWS's chain
// ends at EC2's metadata, whose error would tell nobody what is missing.
func noCredentials(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var said *told
	if errors.As(err, &said) {
		return said
	}
	why := "the environment's AWS credentials: " + err.Error()
	if strings.Contains(why, "no EC2 IMDS role found") {
		why = "no AWS credentials; looked at " + strings.Join(lookedAt(), ", ")
	}
	return tell(bedrock.ErrNoCredentials, "%s\n  for an outcrop on this machine: eval \"$(%s env)\"", why, self())
}

// lookedAt is the order of AWS's chain, with what is known without asking.
func lookedAt() []string {
	var all []string
	for _, name := range []string{"AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		state := " (not set)"
		if os.Getenv(name) != "" {
			state = " (set)"
		}
		all = append(all, name+state)
	}
	return append(all, "~/.aws/credentials and ~/.aws/config", "the EC2 metadata service")
}

// newAsker asks an endpoint with one key. A local CA is trusted beside the
// system's where its file is there.
func newAsker(endpoint, region string, key sigv4.Credentials, ca string) (*asker, error) {
	client, err := clientTrusting(ca)
	if err != nil {
		return nil, err
	}
	return &asker{endpoint, aws.Config{
		Region: region, HTTPClient: client,
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken),
	}}, nil
}

func clientTrusting(ca string) (*http.Client, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	pem, err := os.ReadFile(ca)
	if errors.Is(err, os.ErrNotExist) {
		return &http.Client{Transport: t}, nil
	}
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: t}, nil
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
