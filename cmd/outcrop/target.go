package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/datadir"
)

// targetOption says who is asked for an answer. What --aws costs is the command's
// to say: set:"aws=…".
type targetOption struct {
	dataOption
	Endpoint string `placeholder:"URL" xor:"where" help:"Ask this endpoint, with the environment's AWS credentials."`
	AWS      bool   `name:"aws" xor:"where" help:"${aws}"`
	Region   string `placeholder:"REGION" help:"Region of the call. Default: the server's; elsewhere AWS_REGION, else us-east-1."`
}

const targetHelp = `Who is asked, with which credentials:

  --endpoint URL                        that one, the environment's
  --aws                                 the real Amazon Bedrock, the environment's
  ANTHROPIC_BEDROCK_BASE_URL or AWS_ENDPOINT_URL_BEDROCK_RUNTIME is set
                                        that one, the environment's (this is what outcrop env does)
  otherwise                             the server on the data folder, with its first access key

Without --aws or an endpoint the real AWS is never asked.`

// Variables that move our client, the first that is set, and AWS's clients beside it.
var (
	runtimeEndpoints = []string{"ANTHROPIC_BEDROCK_BASE_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"}
	controlEndpoints = []string{"AWS_ENDPOINT_URL_BEDROCK", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"}
)

func firstSet(names []string) (value, name string) {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v, name
		}
	}
	return "", ""
}

// target is somebody who answers, by way of our own client.
type target struct {
	*bedrock.Client
	heard   *listener
	catalog *catalog.Catalog
	aws     bool
}

func (o *targetOption) open(ctx context.Context, verb string) (*target, error) {
	cat, err := catalog.Load()
	if err != nil {
		return nil, err
	}
	t := &target{catalog: cat, aws: o.AWS}
	endpoint := o.Endpoint
	if o.AWS {
		for _, name := range slices.Concat(runtimeEndpoints, controlEndpoints) {
			os.Unsetenv(name) // what points elsewhere does not count
		}
	} else if endpoint == "" {
		endpoint, _ = firstSet(runtimeEndpoints)
	}
	ca := filepath.Join(o.Data, caCertFile)
	var opts []bedrock.ClientOption
	switch {
	case o.AWS:
		ca = ""
	case endpoint != "":
		opts = append(opts, bedrock.WithBaseURL(endpoint))
		if os.Getenv("AWS_BEARER_TOKEN_BEDROCK") == "" {
			who, err := environmentAsker(ctx, endpoint, o.Region)
			if err != nil {
				return nil, err
			}
			opts = append(opts, bedrock.WithCredentialsProvider(explained{who.cfg.Credentials}))
		}
	default:
		st, key, region, err := o.server(ctx, verb, (*datadir.Folder).FirstKey)
		if err != nil {
			return nil, err
		}
		o.Region = cmp.Or(o.Region, region)
		opts = append(opts, bedrock.WithBaseURL(st.URL), bedrock.WithAccessKey(key.AccessKeyID, key.SecretAccessKey))
	}
	client, err := clientTrusting(ca)
	if err != nil {
		return nil, err
	}
	t.heard = &listener{base: client.Transport}
	opts = append(opts, bedrock.WithHTTPClient(&http.Client{Transport: t.heard}))
	if o.Region != "" {
		opts = append(opts, bedrock.WithRegion(o.Region))
	}
	if t.Client, err = bedrock.New(ctx, opts...); err != nil {
		return nil, t.explain(err)
	}
	return t, nil
}

// explained says of missing credentials what a person can do.
type explained struct{ aws.CredentialsProvider }

func (n explained) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := n.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return c, noCredentials(ctx, err)
	}
	return c, nil
}

// clear: AWS's own clients send an API key over TLS alone.
func (t *target) clear() bool {
	return t.AWSConfig().BearerAuthTokenProvider != nil && strings.HasPrefix(t.BaseURL(), "http://")
}

var errClear = misuse("AWS's own client, which Converse goes through here, sends an API key over https alone: name an https endpoint, or leave out --converse")

// flagged speaks of flags where our client speaks of its options.
var flagged = strings.NewReplacer(
	"see WithRegion and WithBaseURL", "see --region and --endpoint",
	"see WithRegion", "see --region",
	`; or ask for the older rules with option.WithJSONSet("anthropic_version", "bedrock-2023-05-31")`, "",
	"give WithRegion(", "give --region (",
	"WithRegion:", "--region:",
	"WithBaseURL", "--endpoint",
)

// explain says who refuses and why, without the layers of the clients.
func (t *target) explain(err error) error {
	var e *bedrock.Error
	var api smithy.APIError
	var said *told
	switch {
	case errors.As(err, &said): // as noCredentials has it
		return said
	case errors.As(err, &e) && e.Status != 0:
		return tell(err, "%s refuses: %s: %s%s%s", t.BaseURL(), e.Code, e.Message, below(flagged.Replace(e.Hint)), below(requestID(e.RequestID)))
	case errors.As(err, &e):
		text := strings.TrimPrefix(e.Error(), "bedrock: ")
		if e.Hint != "" {
			text = strings.Replace(text, " ["+e.Hint+"]", "", 1) + below(e.Hint)
		}
		return tell(err, "%s", flagged.Replace(text))
	case errors.As(err, &api):
		hint, id := "", ""
		var resp *smithyhttp.ResponseError
		if errors.As(err, &resp) && resp.Response != nil {
			hint, id = resp.Response.Header.Get("X-Outcrop-Hint"), resp.Response.Header.Get("X-Amzn-Requestid")
		}
		return tell(err, "%s refuses: %s: %s%s%s", t.BaseURL(), api.ErrorCode(), api.ErrorMessage(), below(hint), below(requestID(id)))
	default:
		return err
	}
}

func requestID(id string) string {
	if id == "" {
		return ""
	}
	return "request " + id
}

func below(s string) string {
	if s == "" {
		return ""
	}
	return "\n  " + s
}

// modelID is the id to call for what the user wrote: Anthropic's own names, and
// shorter ones, become the id that goes furthest from the Region. What is an id
// already stays as it is.
func (t *target) modelID(name string) string {
	if strings.HasPrefix(name, "arn:") || strings.Contains(name, "anthropic.") {
		return name
	}
	m, ok := t.catalog.Lookup(name)
	if !ok {
		return name // the service says what is wrong with it
	}
	for _, p := range m.Profiles { // global comes first
		if _, ok := p.Destinations(t.Client.Region()); ok && !p.PageOnly {
			return p.Prefix + "." + m.ID
		}
	}
	return m.ID
}

// listener keeps the response that came last: its headers say who answers, and
// its trailers what it cost.
type listener struct {
	base http.RoundTripper
	last atomic.Pointer[http.Response]
	keep bool // in body, what comes
	body bytes.Buffer
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	l.last.Store(resp)
	if l.keep {
		l.body.Reset()
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(resp.Body, &l.body), resp.Body}
	}
	return resp, nil
}

// says is a header of the last answer, or its trailer.
func (l *listener) says(name string) string {
	resp := l.last.Load()
	if resp == nil {
		return ""
	}
	if v := resp.Header.Get(name); v != "" {
		return v
	}
	return resp.Trailer.Get(name)
}

// warnings are Outcrop's, of the last answer.
func (l *listener) warnings() []string {
	resp := l.last.Load()
	if resp == nil {
		return nil
	}
	return resp.Header.Values("X-Outcrop-Warning")
}

// who has answered.
func (t *target) who() string {
	switch upstream := t.heard.says("X-Outcrop-Upstream"); {
	case upstream == "" && t.aws:
		return "Amazon Bedrock, " + t.Client.Region()
	case upstream == "":
		return t.BaseURL()
	case t.bills():
		return upstream + ", through " + t.BaseURL()
	default:
		return upstream + ", not Claude, through " + t.BaseURL()
	}
}

// bills: an Outcrop that has said what a call would have cost bills nothing.
func (t *target) bills() bool {
	upstream := t.heard.says("X-Outcrop-Upstream")
	return upstream == "" || upstream == "bedrock" || strings.HasPrefix(upstream, "bedrock/")
}
