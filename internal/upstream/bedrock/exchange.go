package bedrock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/http1"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// headerHop names the servers that a call has passed, so that a ring of gateways
// is seen and cut.
const headerHop = "X-Outcrop-Hop"

// outgoing is a call in AWS's form.
type outgoing struct {
	api      catalog.API
	op       string // last segment of the path, of an API that names the model there
	id       string // of the model
	stream   bool
	data     []byte
	sum      string            // hex
	options  map[string]string // X-Amzn-Bedrock-* headers
	hops     []string          // servers that the call has passed
	version  string            // headers of the Messages APIs
	betas    string
	client   http.Header // the caller's; what may leave of it is sent
	warnings []string
}

// path is the operation's, behind the endpoint's own.
func (o *outgoing) path(base string) string {
	switch o.api {
	case catalog.Messages, catalog.Mantle:
		return base + "/anthropic/v1/messages" + o.op
	default:
		return base + "/model/" + escape(o.id) + "/" + o.op
	}
}

// escape makes one path segment, as AWS's SDKs do: %3A and %2F, not ":" and "/".
func escape(id string) string {
	const hex = "0123456789ABCDEF"
	var room [128]byte
	b := room[:0]
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// exchange sends the call and gives the answer's head; the answer is a 200. What
// AWS refuses for our clock or for credentials that have ended is sent once more.
func (u *Upstream) exchange(ctx context.Context, route routing.Route, out *outgoing) (*http.Response, error) {
	acc, ok := u.accounts[route.Account()]
	if !ok {
		return nil, refusal(messages.Internal, "There is no account %q.", route.Account())
	}
	e, err := u.endpoints.at(route.Region(), out.api)
	if err != nil {
		return nil, err
	}
	for again := true; ; again = false {
		resp, key, err := u.send(ctx, e, acc, route.Region(), out)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusOK {
			return resp, nil
		}
		fail := readFailure(resp, u.opts.Name)
		if !again || acc.vault == nil || !u.mend(ctx, fail, acc, key, resp) {
			if auth, ok := errors.AsType[*authError](fail); ok {
				u.notices.refused(route.Account(), route.Region(), auth)
			}
			return nil, fail
		}
	}
}

// mend removes the cause of a refusal, if it is one that a second try overcomes.
func (u *Upstream) mend(ctx context.Context, fail *messages.Error, acc *account, key string, resp *http.Response) bool {
	var auth *authError
	if !errors.As(fail, &auth) {
		return false
	}
	switch auth.kind {
	case messages.ExpiredToken:
		c, err := acc.vault.renew(ctx, key)
		return err == nil && c.AccessKeyID != key
	case messages.InvalidSignature:
		theirs, err := http.ParseTime(resp.Header.Get("Date"))
		if err != nil || !strings.HasPrefix(auth.text, "Signature expired") && !strings.HasPrefix(auth.text, "Signature not yet current") {
			return false
		}
		u.skew.Store(int64(theirs.Sub(u.opts.Now())))
		return true
	default:
		return false
	}
}

// send makes one attempt. key is the access key that signed it.
func (u *Upstream) send(ctx context.Context, e *endpoint, acc *account, region string, out *outgoing) (resp *http.Response, key string, err error) {
	req := http1.Request{Method: http.MethodPost, Scheme: e.base.Scheme, Host: e.base.Host, Target: out.path(e.base.EscapedPath()),
		Header: make(http.Header, 16), Body: out.data}
	if err := u.setHeader(req.Header, e, out, out.client); err != nil {
		return nil, "", u.unsent(region, err, false)
	}
	if acc.vault == nil {
		if e.clear() {
			return nil, "", u.unsent(region, errors.New("an API key over http could be read on the way"), true)
		}
		req.Header["Authorization"] = acc.bearer
	} else {
		c, err := acc.vault.get(ctx)
		if err != nil {
			u.notices.refused(acc.name, region, err)
			return nil, "", u.unsent(region, err, true)
		}
		key = c.AccessKeyID
		at := u.opts.Now().Add(time.Duration(u.skew.Load()))
		signed := http.Request{Method: req.Method, Host: req.Host, RequestURI: req.Target, Header: req.Header, ContentLength: int64(len(out.data))}
		if err := u.signer.Sign(&signed, out.sum, sigv4.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, region, e.service, at); err != nil {
			return nil, "", u.unsent(region, err, true)
		}
	}
	resp, sent, err := u.client.Do(ctx, &req)
	header, _ := errors.AsType[*http1.HeaderError](err)
	switch {
	case err == nil:
		return resp, key, nil
	case header != nil && !signers(header.Name):
		return nil, "", refusal(messages.InvalidRequest, "The header %s cannot be sent to Amazon Bedrock: %s.", header.Name, header.Why)
	case header != nil:
		return nil, "", u.unsent(region, err, true)
	case !sent:
		return nil, "", u.unsent(region, err, false)
	default:
		return nil, "", messages.Errorf(messages.Unavailable, "Amazon Bedrock in %s did not answer.", region).
			WithCause(&routing.Fault{MayBill: true, Err: err})
	}
}

// signers says that a header is made of this server's credentials; the others that
// vary are made of the call.
func signers(name string) bool { return name == "Authorization" || strings.HasPrefix(name, "X-Amz-") }

// unsent is the error of an attempt that has not left this machine.
func (u *Upstream) unsent(region string, err error, ours bool) error {
	switch {
	case errors.Is(err, errSelf), errors.Is(err, errOwnKey):
		return messages.Errorf(messages.Loop, "This server is its own upstream.").WithCause(&routing.Fault{Unsent: true, Ours: ours, Err: err}).
			WithHint("%v", err)
	case ours:
		return messages.Errorf(messages.Unavailable, "The upstream %s cannot be called: this server has no good credentials for it.", u.opts.Name).
			WithCause(&routing.Fault{Unsent: true, Ours: true, Err: err})
	default:
		return messages.Errorf(messages.Unavailable, "Amazon Bedrock in %s cannot be reached.", region).
			WithCause(&routing.Fault{Unsent: true, Err: err})
	}
}

// Header values that never change.
var (
	typeJSON     = []string{"application/json"}
	typeFrames   = []string{"application/vnd.amazon.eventstream"}
	typeEvents   = []string{"text/event-stream"}
	encodingNone = []string{"identity"}
)

func (u *Upstream) setHeader(h http.Header, e *endpoint, out *outgoing, client http.Header) error {
	forward(h, client)
	if u.opts.Hop != "" {
		if slices.Contains(out.hops, u.opts.Hop) {
			return errSelf
		}
		if !e.aws {
			h[headerHop] = []string{strings.Join(append(slices.Clip(out.hops), u.opts.Hop), ", ")}
		}
	}
	for name, value := range out.options {
		h[name] = []string{value}
	}
	h["Content-Type"], h["Accept-Encoding"], h["Accept"] = typeJSON, encodingNone, typeJSON
	h["User-Agent"] = u.agent
	delete(h, "X-Amzn-Bedrock-Accept")
	switch {
	case native(out.api):
		h["Anthropic-Version"] = []string{out.version}
		if out.betas != "" {
			h["Anthropic-Beta"] = []string{out.betas}
		}
		if out.stream {
			h["Accept"] = typeEvents
		}
	case out.stream:
		h["Accept"] = typeFrames
		if out.api == catalog.Invoke {
			h["X-Amzn-Bedrock-Accept"] = typeJSON
		}
	}
	return nil
}

// optionsOf is the request headers that the gateway has read and checked.
func optionsOf(o gateway.Options) (map[string]string, error) {
	if o.GuardrailID == "" && o.GuardrailVersion == "" && o.Trace == "" && o.Latency == "" && o.ServiceTier == "" && len(o.Metadata) == 0 {
		return nil, nil
	}
	set := map[string]string{
		bedrockapi.HeaderGuardrailID: o.GuardrailID, bedrockapi.HeaderGuardrailVersion: o.GuardrailVersion,
		bedrockapi.HeaderTrace: o.Trace, bedrockapi.HeaderLatency: o.Latency, bedrockapi.HeaderServiceTier: o.ServiceTier,
	}
	if len(o.Metadata) > 0 {
		raw, err := json.Marshal(o.Metadata)
		if err != nil {
			return nil, err
		}
		set[bedrockapi.HeaderMetadata] = string(raw)
	}
	for name, value := range set {
		if value == "" {
			delete(set, name)
		}
	}
	return set, nil
}

// forward copies the request headers that may leave: an allow-list, so that no
// key or cookie can; nor what the client says is of its connection. Versions and
// betas are shape's.
func forward(dst, src http.Header) {
	defer dropNamed(dst, src["Connection"])
	for name, values := range src {
		switch name {
		case "Anthropic-Version", "Anthropic-Beta":
		case "Traceparent", "Tracestate", "Baggage":
			dst[name] = values[:len(values):len(values)]
		default:
			if strings.HasPrefix(name, "X-Amzn-Bedrock-") || strings.HasPrefix(name, "Anthropic-") {
				dst[name] = values[:len(values):len(values)]
			}
		}
	}
}

// passed is AWS's response header without what concerns one connection.
func passed(h http.Header) http.Header {
	dropNamed(h, h["Connection"])
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		delete(h, name)
	}
	return h
}

// dropNamed deletes what a Connection header names.
func dropNamed(h http.Header, connection []string) {
	for _, line := range connection {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
}

func requestID(h http.Header) string {
	if id := h.Get("X-Amzn-Requestid"); id != "" {
		return id
	}
	return h.Get("Request-Id")
}

// discard reads what is left of a small answer, so that its connection lives on.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}

// maxAnswer bounds an answer that is not streamed.
const maxAnswer = 64 << 20

// readWhole reads an answer, into buf if it fits.
func readWhole(resp *http.Response, buf []byte) ([]byte, error) {
	defer resp.Body.Close()
	var data []byte
	var err error
	if n := resp.ContentLength; n >= 0 && n <= maxAnswer {
		data = slices.Grow(buf[:0], int(n))[:n]
		_, err = io.ReadFull(resp.Body, data)
	} else {
		data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		if err == nil && len(data) > maxAnswer {
			err = fmt.Errorf("larger than %d bytes", maxAnswer)
		}
	}
	if err != nil {
		return nil, messages.Errorf(messages.Unavailable, "The answer of Amazon Bedrock broke off.").
			WithCause(&routing.Fault{MayBill: true, Err: err})
	}
	return data, nil
}
