// Package bedrock is real Amazon Bedrock, or whatever stands at an endpoint that
// speaks as it does. Bytes that need no change pass unchanged, both ways. It never
// forwards a client's credentials, and it sends nothing twice but what AWS refused
// for its signature: the way from Region to Region is routing's.
package bedrock

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/http1"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// BetaPolicy says what becomes of betas that AWS is known to refuse.
type BetaPolicy uint8

const (
	Strip  BetaPolicy = iota // leave them out, with their body fields, and say so
	Pass                     // send them all
	Strict                   // refuse the call, as AWS would
)

// Options of an Upstream. The zero Options call AWS with the default credentials.
type Options struct {
	Name      string // as records and x-outcrop-upstream say it; "": bedrock
	Endpoints Endpoints
	Accounts  []Account // none: the default chain alone
	Region    string    // where roles are assumed; "": as AWS's own configuration says, else us-east-1
	Betas     BetaPolicy

	// NativeMessages sends Messages bodies to /anthropic/v1/messages, where the
	// model has that, and not to InvokeModel.
	NativeMessages bool

	FirstContent time.Duration // from the call to its first content, of streams; 0: no limit
	Idle         time.Duration // of a stream, while we wait for it; 0: no limit

	Hop    string                      // this server's own id, told to endpoints that are not AWS's
	Self   []netip.AddrPort            // where this server listens: never called
	OwnKey func(idOrToken string) bool // keys that this server has made: never used

	Log   *slog.Logger     // told of credentials that AWS refuses; nil: nobody is
	Agent string           // User-Agent; "": outcrop
	TLS   *tls.Config      // nil: the system's roots
	AWS   aws.HTTPClient   // of STS and SSO; nil: the SDK's
	Now   func() time.Time // nil: time.Now
}

// Upstream implements gateway.Upstream.
type Upstream struct {
	opts      Options
	endpoints endpoints
	accounts  map[string]*account
	listed    []routing.Account
	client    http1.Client
	agent     []string // a header's value
	signer    sigv4.Signer
	buffers   sync.Pool // *frames
	answers   sync.Pool // *[]byte
	notices   notices
	skew      atomic.Int64 // nanoseconds that AWS's clock is ahead of ours
}

// New loads the AWS configuration, once. It calls nobody: credentials are got on
// the first call, or by Warm.
func New(ctx context.Context, opts Options) (*Upstream, error) {
	if opts.Name == "" {
		opts.Name = "bedrock"
	}
	if opts.Agent == "" {
		opts.Agent = "outcrop"
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if len(opts.Accounts) == 0 {
		opts.Accounts = []Account{{}}
	}
	u := &Upstream{opts: opts, accounts: map[string]*account{}, client: http1.Client{Transport: newTransport(opts.TLS, opts.Self)},
		notices: notices{log: opts.Log, now: opts.Now}, agent: []string{opts.Agent}}
	if err := u.endpoints.set(opts.Endpoints); err != nil {
		return nil, err
	}
	chain := chain{opts: &u.opts}
	for _, a := range opts.Accounts {
		if _, twice := u.accounts[a.Name]; twice {
			return nil, fmt.Errorf("bedrock: two accounts are named %q", a.Name)
		}
		acc, err := chain.open(ctx, a)
		if err != nil {
			u.Close()
			return nil, fmt.Errorf("bedrock: account %q: %w", a.Name, err)
		}
		u.accounts[a.Name] = acc
		u.listed = append(u.listed, a.Routed())
	}
	return u, nil
}

// Close ends the refreshing of credentials and the idle connections.
func (u *Upstream) Close() error {
	for _, a := range u.accounts {
		a.close()
	}
	u.client.CloseIdleConnections()
	return nil
}

func (u *Upstream) Name() string { return u.opts.Name }

// Accounts is what routing.Routes has to know of the accounts.
func (u *Upstream) Accounts() []routing.Account { return u.listed }

// Capabilities implements gateway.Upstream: what AWS has is for the catalog's
// features to say.
func (u *Upstream) Capabilities() gateway.Capabilities {
	return gateway.Capabilities{Place: routing.Amazon(), Bills: true, Converse: true, Images: true, Documents: true,
		Guardrails: true, Tiers: true, Optimized: true, Tools: true, Thinking: true}
}

// Warm gets credentials and opens a connection to each Region, so that the first
// call finds both. What fails is logged, too.
func (u *Upstream) Warm(ctx context.Context, regions ...string) error {
	var errs []error
	for name, a := range u.accounts {
		if a.vault != nil {
			if _, err := a.vault.get(ctx); err != nil {
				u.notices.refused(name, "", err)
				errs = append(errs, fmt.Errorf("account %q: %w", name, err))
			}
		}
	}
	for _, region := range regions {
		e, err := u.endpoints.at(region, catalog.Invoke)
		if err == nil {
			var resp *http.Response
			resp, _, err = u.client.Do(ctx, &http1.Request{Method: http.MethodGet, Scheme: e.base.Scheme, Host: e.base.Host,
				Target: e.base.EscapedPath() + "/ping", Header: http.Header{"User-Agent": u.agent}})
			if err == nil {
				discard(resp)
			}
		}
		if err != nil {
			if u.opts.Log != nil && ctx.Err() == nil {
				u.opts.Log.Warn("Amazon Bedrock cannot be reached", "region", region, "cause", err.Error())
			}
			errs = append(errs, fmt.Errorf("%s: %w", region, err))
		}
	}
	return errors.Join(errs...)
}

// Send implements gateway.Upstream. A stream comes back with its first content
// read: until then an error may be answered by another route. The Stream is also
// an [Answer].
func (u *Upstream) Send(ctx context.Context, route routing.Route, req gateway.Request) (gateway.Stream, error) {
	out, err := u.shape(route, req)
	if err != nil {
		return nil, err
	}
	if !req.Stream {
		return u.whole(ctx, route, out)
	}
	ctx, watch := newWatch(ctx, u.opts)
	resp, err := u.exchange(ctx, route, out)
	if err != nil {
		return nil, watch.end(err)
	}
	a := answer{id: requestID(resp.Header), header: passed(resp.Header), warnings: out.warnings}
	s, err := newStream(resp, out.api, watch, a, &u.buffers)
	if err != nil {
		return nil, watch.end(err)
	}
	return s, nil
}

// whole sends what is not streamed and reads the answer.
func (u *Upstream) whole(ctx context.Context, route routing.Route, out *outgoing) (gateway.Stream, error) {
	resp, err := u.exchange(ctx, route, out)
	w := &whole{pool: &u.answers, event: gateway.EventMessage}
	if err == nil {
		w.data, _ = u.answers.Get().(*[]byte)
		if w.data == nil {
			w.data = new([]byte)
		}
		*w.data, err = readWhole(resp, *w.data)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	}
	if out.api == catalog.Converse {
		w.event = gateway.EventAnswer
	}
	w.answer = answer{id: requestID(resp.Header), header: passed(resp.Header), warnings: out.warnings}
	return w, nil
}

// Answer is what a Stream of this package has besides. It is valid as soon as
// Send has returned.
type Answer interface {
	gateway.Stream
	Header() http.Header // AWS's, without the hop-by-hop ones; do not change
	Warnings() []string  // what was changed on the way to AWS
}

// answer implements what all Answers share.
type answer struct {
	id       string
	header   http.Header
	warnings []string
}

func (a *answer) UpstreamRequestID() string { return a.id }
func (a *answer) Header() http.Header       { return a.header }
func (a *answer) Warnings() []string        { return a.warnings }

var _, _ Answer = (*whole)(nil), (*stream)(nil)

// refusal is an error of this package's own, before anything is sent.
func refusal(kind messages.Kind, format string, args ...any) *messages.Error {
	return messages.Errorf(kind, format, args...).WithCause(&routing.Fault{Unsent: true})
}
