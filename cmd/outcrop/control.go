package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/datadir"
)

// controlOption says whose control plane is asked, or whose STS.
type controlOption struct {
	dataOption
	Endpoint string `placeholder:"URL" xor:"where" help:"Ask this endpoint, with the environment's AWS credentials."`
	AWS      bool   `name:"aws" xor:"where" help:"Ask the real AWS, with the environment's AWS credentials."`
	Region   string `placeholder:"REGION" help:"Region to ask in. Default: the credentials' own, else us-east-1."`
}

// control is a control plane with what is known of it.
type control struct {
	*bedrock.Client
	endpoint string // "": the real AWS
	region   string
	outcrop  bool // it has said so in its last answer
	mu       sync.Mutex
	models   *catalog.Catalog
}

func (o *controlOption) open(ctx context.Context) (*control, error) {
	who, err := o.asker(ctx, "access", "AWS_ENDPOINT_URL_BEDROCK", (*datadir.Folder).AdministratorKey)
	if err != nil {
		return nil, err
	}
	if os.Getenv("AWS_BEARER_TOKEN_BEDROCK") == "" { // which the client takes by itself
		if _, err := who.cfg.Credentials.Retrieve(ctx); err != nil {
			return nil, noCredentials(ctx, err)
		}
	}
	c := &control{endpoint: who.endpoint, region: who.cfg.Region}
	if c.models, err = catalog.Load(); err != nil {
		return nil, err
	}
	c.Client = bedrock.NewFromConfig(who.cfg, func(b *bedrock.Options) {
		b.BaseEndpoint = nil // AWS_ENDPOINT_URL and profiles do not count for --aws
		if who.endpoint != "" {
			b.BaseEndpoint = &who.endpoint
		}
	})
	return c, nil
}

// asker goes where the flags say, else where the variable does, which AWS's clients
// heed too, else to the server on the data folder.
func (o *controlOption) asker(ctx context.Context, verb, variable string, of folderKey) (*asker, error) {
	endpoint := o.Endpoint
	if endpoint == "" && !o.AWS {
		endpoint, _ = firstSet([]string{variable, "AWS_ENDPOINT_URL"})
	}
	if endpoint != "" || o.AWS {
		return environmentAsker(ctx, endpoint, o.Region)
	}
	st, key, region, err := o.server(ctx, verb, of)
	if err != nil {
		return nil, err
	}
	return newAsker(st.URL, cmp.Or(o.Region, region), key, filepath.Join(o.Data, caCertFile))
}

func (c *control) where() string {
	if c.endpoint == "" {
		return "https://bedrock." + c.region + ".amazonaws.com"
	}
	return c.endpoint
}

// id is AWS's id of a model that may be named in any way.
func (c *control) id(name string) string {
	if m, ok := c.models.Lookup(name); ok {
		return m.ID
	}
	return name
}

// heard notes whether Outcrop has answered.
func (c *control) heard(m middleware.Metadata) {
	raw, ok := awsmiddleware.GetRawResponse(m).(*smithyhttp.Response)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcrop = ok && raw.Header.Get("X-Outcrop-Upstream") != ""
}

// explain leaves the SDK's layers out of what a person reads.
func (c *control) explain(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%s: %w", c.where(), err)
	}
	hint := ""
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil {
		hint = resp.Response.Header.Get("X-Outcrop-Hint")
	}
	return tell(err, "%s refuses: %s: %s%s", c.where(), api.ErrorCode(), api.ErrorMessage(), below(hint))
}
