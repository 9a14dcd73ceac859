package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/delivery"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/s3"
)

// destinations are the places that a logging configuration may name, by the
// bucket's name. Nothing of the activity log goes anywhere else.
type destinations map[string]destination

// destination is a folder, a store that speaks S3's API, or S3 itself.
type destination struct {
	Folder string `json:"folder"`

	Endpoint  string `json:"endpoint"`
	AWS       bool   `json:"aws"`
	Region    string `json:"region"`
	PathStyle *bool  `json:"path_style"` // of an endpoint; nil: true
	Profile   string `json:"profile"`    // of AWS's shared files
	Env       string `json:"env"`        // NAME_ACCESS_KEY_ID, NAME_SECRET_ACCESS_KEY, NAME_SESSION_TOKEN
}

// bucketName is S3's rule for names; it keeps them from being paths, too.
var bucketName = regexp.MustCompile(`\A[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\z`)

// UnmarshalText reads the JSON that the configuration file's map becomes.
func (d *destinations) UnmarshalText(text []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode((*map[string]destination)(d)); err != nil {
		return fmt.Errorf("destinations: want bucket names, each with folder, endpoint or aws, and region, path_style, profile, env: %w", err)
	}
	for name, to := range *d {
		if !bucketName.MatchString(name) || strings.Contains(name, "..") {
			return fmt.Errorf("destinations: %q is not the name of a bucket", name)
		}
		if err := to.check(); err != nil {
			return fmt.Errorf("destinations: %s: %w", name, err)
		}
	}
	return nil
}

func (d destination) check() error {
	kinds := 0
	for _, is := range []bool{d.Folder != "", d.Endpoint != "", d.AWS} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("want exactly one of folder, endpoint and aws: true")
	case d.Folder != "" && !filepath.IsAbs(d.Folder):
		return fmt.Errorf("the folder %q is not a whole path", d.Folder)
	case d.Folder != "" && (d.Region != "" || d.PathStyle != nil || d.Profile != "" || d.Env != ""):
		return errors.New("a folder has no region, path_style, profile or env")
	case d.Folder != "":
		return nil
	case d.Region == "":
		return errors.New("region is missing")
	case d.AWS && d.PathStyle != nil:
		return errors.New("path_style is for an endpoint")
	case d.Profile != "" && d.Env != "":
		return errors.New("want one of profile and env")
	// AWS's default credentials are not for other people's stores.
	case d.Endpoint != "" && d.Profile == "" && d.Env == "":
		return errors.New("an endpoint needs credentials: profile, or env")
	case d.Endpoint != "":
		u, err := url.Parse(d.Endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("%q is not an http(s) address", d.Endpoint)
		}
	}
	return nil
}

func (d destination) String() string {
	switch {
	case d.Folder != "":
		return d.Folder
	case d.Endpoint != "":
		return d.Endpoint
	default:
		return "Amazon S3 in " + d.Region
	}
}

// open finds the credentials; it calls nobody.
func (d destination) open(ctx context.Context, name string) (delivery.Destination, error) {
	if d.Folder != "" {
		return delivery.Folder(d.Folder), nil
	}
	creds, err := d.credentials(ctx)
	if err != nil {
		return nil, err
	}
	return &s3.Bucket{Name: name, Region: d.Region, Endpoint: d.Endpoint, VirtualHost: d.PathStyle != nil && !*d.PathStyle, Credentials: creds}, nil
}

func (d destination) credentials(ctx context.Context) (aws.CredentialsProvider, error) {
	if d.Env == "" {
		options := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(d.Region)}
		if d.Profile != "" {
			options = append(options, awsconfig.WithSharedConfigProfile(d.Profile))
		}
		cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
		return cfg.Credentials, err
	}
	read := func(suffix string) string { return os.Getenv(d.Env + suffix) }
	creds := aws.Credentials{AccessKeyID: read("_ACCESS_KEY_ID"), SecretAccessKey: read("_SECRET_ACCESS_KEY"), SessionToken: read("_SESSION_TOKEN"), Source: d.Env}
	if !creds.HasKeys() {
		return nil, fmt.Errorf("%[1]s_ACCESS_KEY_ID and %[1]s_SECRET_ACCESS_KEY are not both set", d.Env)
	}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil }), nil
}

func (d destinations) open(ctx context.Context) (map[string]delivery.Destination, error) {
	open := map[string]delivery.Destination{}
	for _, name := range slices.Sorted(maps.Keys(d)) {
		to, err := d[name].open(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("destinations: %s: %w", name, err)
		}
		open[name] = to
	}
	return open, nil
}

// deliveries says where a copy of a call goes, by the logging configuration of
// its account in its Region. AWS logs the calls of bedrock-runtime alone; those
// of Anthropic Messages are logged here too, unless the server is strict.
func deliveries(own *access.Service, known access.Buckets, strict bool, log *slog.Logger) gateway.Deliver {
	var said sync.Map // of logging configurations whose bucket has no place any more
	return func(ctx context.Context, account, region string, op *bedrockapi.Operation) *activity.Delivery {
		if strict && op.Surface != bedrockapi.SurfaceRuntime {
			return nil
		}
		l, err := own.Logging(ctx, access.Scope{Account: account, Region: region})
		switch {
		case err != nil:
			log.Error("activity log: a call is not delivered, since its logging configuration cannot be read", "account", account, "region", region, "error", err)
			return nil
		case l == nil || l.S3 == nil:
			return nil
		case !known.Has(l.S3.Name):
			if _, before := said.LoadOrStore([3]string{account, region, l.S3.Name}, true); !before {
				log.Warn("activity log: calls are not delivered, since destinations has no place for their bucket any more", "account", account, "region", region, "bucket", l.S3.Name)
			}
			return nil
		}
		d := &activity.Delivery{Bucket: l.S3.Name, Prefix: l.S3.Prefix, NoText: off(l.Text)}
		// Documents go with images: user guide, "Monitor model invocation".
		d.NoImages, d.NoDocuments = off(l.Image), off(l.Image)
		return d
	}
}

// off: a switch that was not given is on. AWS documents no default; Terraform's
// provider has had true since aws_bedrock_model_invocation_logging_configuration exists.
func off(b *bool) bool { return b != nil && !*b }
