package bedrock

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// plan finds the ways that c may go. Where there is one, r goes it.
func (b *backend) plan(c *call, r *http.Request) ([]routing.Route, error) {
	if c.op == nil {
		return nil, nil
	}
	var routes []routing.Route
	if b.health != nil || b.residency != "" {
		var err error
		if routes, err = b.ways(c.ref); err != nil {
			return nil, err
		}
	}
	if c.op != bedrockapi.CountTokens { // counted by the id of the model, wherever it runs
		here := b.amazon
		if r.URL.Host != b.base.Host {
			here = regionOfHost(r.URL.Hostname())
		}
		if err := b.offered(here, c.ref); err != nil {
			return nil, err
		}
	}
	if b.health == nil || r.URL.Host != b.base.Host || r.URL.Scheme != b.base.Scheme || c.prefix != b.base.EscapedPath() {
		return nil, nil // a request option has given the call an endpoint of its own
	}
	if len(routes) > 1 {
		return routes, nil
	}
	return nil, c.aim(r, b.home(c.ref), c.model)
}

// native holds a call of a path of Bedrock's own to the residency.
func (b *backend) native(path string) error {
	if b.residency == "" {
		return nil
	}
	label, _, ok := "", "", false
	for _, op := range []*bedrockapi.Operation{bedrockapi.InvokeModel, bedrockapi.InvokeModelStream, bedrockapi.Converse, bedrockapi.ConverseStream, bedrockapi.CountTokens} {
		if i := len(b.base.EscapedPath()); len(path) > i && !ok {
			label, ok = op.Match(http.MethodPost, path[i:])
		}
	}
	if !ok {
		return nil
	}
	id, err := url.PathUnescape(label)
	if err != nil {
		return badRequest("the path %q: %v", path, err)
	}
	_, err = b.ways(id)
	return err
}

// aim points r and c at a site, where the model is called by id.
func (c *call) aim(r *http.Request, at *site, id string) error {
	if r.Host == r.URL.Host {
		r.Host = at.base.Host
	}
	r.URL.Scheme, r.URL.Host, r.URL.User = at.base.Scheme, at.base.Host, at.base.User
	c.at, c.prefix, c.model = at, at.base.EscapedPath(), id
	return setPath(r.URL, c.prefix, c.op, id)
}

// failover tries the routes in the order that routing gives, until one has content
// or none is left.
func (b *backend) failover(c *call, r *http.Request, next option.MiddlewareNext, routes []routing.Route) (*http.Response, error) {
	plan := b.health.Plan(routing.Call{
		Routes: routes, Input: routing.Estimate(c.body), MaxTokens: c.maxTokens, Counts: c.op == bedrockapi.CountTokens,
		Prefix: b.cachePrefix(c), Deadline: c.patience, Once: true,
	})
	for {
		route, _, err := plan.Next() // no Patience, so no wait
		if err != nil {
			return c.spent(plan, err)
		}
		try := *c
		try.plan = plan
		id := c.model
		if strings.HasPrefix(id, "arn:") && route.Region() != routes[0].Region() {
			id = route.ID() // an ARN is of its Region
		}
		req := r.Clone(r.Context())
		try.carry(req)
		if err := try.aim(req, b.siteOf(route.Region()), id); err != nil {
			plan.Close()
			return final(err)
		}
		res, err := b.attempt(&try, req, next)
		switch {
		case err == nil:
			plan.Began()
			if c.op != bedrockapi.InvokeModelStream {
				try.settle(ResponseMetrics(res))
			}
			return res, nil
		case errors.Is(r.Context().Err(), context.DeadlineExceeded) && c.patience.IsZero():
			plan.Failed(hung) // the attempt's time is over, the caller's is not: the next try goes elsewhere
			return res, err
		case r.Context().Err() != nil, try.obey, res == nil:
			plan.Close()
			return res, err
		}
		plan.Failed(judged(&try, res, err))
	}
}

// settle tells what the call has used; not ok: the service has not said.
func (c *call) settle(m Metrics, ok bool) {
	switch {
	case c.plan == nil:
	case ok:
		c.plan.Began()
		c.plan.Done(messages.Usage{InputTokens: m.InputTokens, OutputTokens: m.OutputTokens,
			CacheReadInputTokens: m.CacheReadInputTokens, CacheCreationInputTokens: m.CacheWriteInputTokens})
	default:
		c.plan.Close()
	}
}

// hung is a Region that has not answered in an attempt's time. It is left at once,
// as one that cannot be reached, but may have answered to nobody.
var hung = &messages.Error{Kind: messages.Unavailable, Message: "no answer in time", Cause: &routing.Fault{Unsent: true, MayBill: true}}

// outcome is a failed attempt, as the SDK is shown it if there is no better.
type outcome struct {
	res *http.Response
	err error
}

func (o *outcome) Error() string { return o.err.Error() }
func (o *outcome) Unwrap() error { return o.err }

// judged says of a failure what routing asks.
func judged(c *call, res *http.Response, err error) error {
	f := &routing.Fault{Err: &outcome{res, err}}
	out := &messages.Error{Kind: messages.Unavailable, Message: err.Error(), RetryAfter: c.told, Cause: f}
	var e *Error
	var dial *net.OpError
	switch {
	case !errors.As(err, &e): // the connection broke within an answer
		f.MayBill = true
	case e.kind != 0:
		out.Kind, out.Message = e.kind, e.Message
		f.MayBill = res.StatusCode == http.StatusOK
	case e.Code == codeTruncated, e.Code == codeCorrupted:
		out.Kind, f.MayBill = messages.ModelStreamFailed, true
	case e.Code == codeConnection:
		f.Unsent = errors.As(err, &dial) && dial.Op == "dial"
		f.MayBill = !f.Unsent
	default: // of our own making, so the same everywhere
		out.Kind = messages.InvalidRequest
	}
	return out
}

// spent is what a try of a call ends with when no way is left: the failure that
// routing picks, or its refusal where every way is known to be shut.
func (c *call) spent(plan *routing.Plan, err error) (*http.Response, error) {
	known := messages.AsError(err)
	res, retry := &http.Response{Header: http.Header{}, Body: http.NoBody}, true
	var o *outcome
	if errors.As(err, &o) {
		res, err = o.res, o.err
		retry = res.Header.Get("X-Should-Retry") == "true"
	} else {
		err = &Error{Code: bedrockapi.ExceptionOf(known.Kind).Name, Message: known.Message, Hint: known.Hint, kind: known.Kind}
	}
	var e *Error
	if tries := plan.Tries(); len(tries) > 1 && errors.As(err, &e) {
		var regions []string
		for _, t := range tries {
			regions = append(regions, t.Route.Region())
		}
		if e.Hint != "" {
			e.Hint += "; "
		}
		e.Hint += "tried " + strings.Join(regions, ", ")
	}
	c.repeat(res, retry, known.RetryAfter)
	return res, err
}

// cachePrefix names what a prompt cache may hold of the call, so that it goes
// where that lies: nothing, if nothing in it is marked.
func (b *backend) cachePrefix(c *call) routing.Prefix {
	if !bytes.Contains(c.body, []byte("cache_control")) {
		return 0
	}
	parts := [][]byte{[]byte(c.ref), member(c.body, "tools"), member(c.body, "system")}
	if turns := elements(member(c.body, "messages")); len(turns) > 0 {
		parts = append(parts, turns[0])
	}
	return b.health.PrefixOf(parts...)
}

// ResponseRegion tells which Region gave an answer, from the response that
// option.WithResponseInto gives; "" for a response of another client. Of a failed
// call it is the Error's Region.
func ResponseRegion(res *http.Response) string {
	if res == nil || res.Request == nil {
		return ""
	}
	if c, ok := res.Request.Context().Value(callKey{}).(*call); ok {
		return c.at.region
	}
	return ""
}
