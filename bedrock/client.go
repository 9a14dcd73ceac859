package bedrock

import (
	"context"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

// Client is the official client, connected to Amazon Bedrock. Messages and
// Beta.Messages work, CountTokens included; every other service answers
// [ErrUnsupported] with the name of what to use in its place, and sends nothing.
type Client struct {
	anthropic.Client
	backend *backend
}

// New makes a client. It reads the environment and, unless keys or a token are
// given, AWS's shared files; it does not touch the network. The error is an
// [*Error] that matches [ErrConfiguration].
func New(ctx context.Context, opts ...ClientOption) (*Client, error) {
	s, b, err := configure(ctx, opts)
	if err != nil {
		return nil, err
	}
	doer := s.httpClient
	if doer == nil {
		doer = defaultHTTPClient()
	}
	all := []option.RequestOption{
		option.WithoutEnvironmentDefaults(),
		b.address(),
		option.WithHTTPClient(lastSigner{doer}),
	}
	all = append(all, s.requestOptions...)
	all = append(all, option.WithMiddleware(b.handle))
	return &Client{Client: anthropic.NewClient(all...), backend: b}, nil
}

// Option is the same for code that makes its own client:
//
//	client := anthropic.NewClient(bedrock.Option(ctx))
//
// A mistake in opts fails each call with the error that [New] would have given.
// A middleware that changes requests must stand before Option: what comes after
// it sees the signed request.
func Option(ctx context.Context, opts ...ClientOption) option.RequestOption {
	s, b, err := configure(ctx, opts)
	if err != nil {
		return option.Join(option.WithoutEnvironmentDefaults(),
			option.WithMiddleware(func(*http.Request, option.MiddlewareNext) (*http.Response, error) { return final(err) }))
	}
	all := []option.RequestOption{option.WithoutEnvironmentDefaults(), b.address()}
	if s.httpClient != nil {
		all = append(all, option.WithHTTPClient(s.httpClient))
	}
	all = append(all, s.requestOptions...)
	return option.Join(append(all, option.WithMiddleware(b.handle))...)
}

// address ends the base URL with a slash: the SDK would add one to the decoded
// path alone, and lose a %2F in it.
func (b *backend) address() option.RequestOption { return option.WithBaseURL(b.base.String() + "/") }

// Region is the one that calls are signed for; with [WithRegions] the first.
func (c *Client) Region() string { return c.backend.region }

// BaseURL is where calls go, without a slash at the end; with [WithRegions] those
// of the first Region.
func (c *Client) BaseURL() string { return c.backend.base.String() }
