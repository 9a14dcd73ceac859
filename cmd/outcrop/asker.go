package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// asker is an endpoint, and as whom it is asked.
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

// folderKey is one of a data folder's, to ask its server with.
type folderKey func(*datadir.Folder) (sigv4.Credentials, identity.Key, error)

// server is the one that runs on the data folder, with a key, and the Region of
// either.
func (d dataOption) server(ctx context.Context, verb string, of folderKey) (st state, key sigv4.Credentials, region string, err error) {
	st, ok := running(ctx, d.Data)
	if !ok {
		return st, key, "", nobody(verb, d.Data)
	}
	folder, err := d.open()
	if err != nil {
		return st, key, "", err
	}
	key, kept, err := of(folder)
	if errors.Is(err, identity.ErrNoKey) {
		err = tell(bedrock.ErrNoCredentials, "%s: %v\n  make one: %s key create --role administrator", verb, err, self())
	}
	return st, key, cmp.Or(kept.Region, st.Region), err
}

// nobody is what a command says that needs a server and finds none.
func nobody(verb, data string) error {
	return tell(bedrock.ErrServiceUnavailable, `%s: nobody to ask
  no server runs on %s: start one with %[3]s serve, or for one command: %[3]s exec -- %[3]s %[1]s …
  another endpoint: --endpoint URL; the real AWS: --aws`, verb, data, self())
}
