package bedrock

import (
	"bytes"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// answer makes of Bedrock's answer what the SDK expects of Anthropic's. A
// response that comes back beside an error is there for its headers: the SDK
// decides by them whether to try again.
func (b *backend) answer(c *call, res *http.Response) (*http.Response, error) {
	if res.Header == nil {
		res.Header = http.Header{}
	}
	if id := res.Header.Get(bedrockapi.HeaderRequestID); id != "" && res.Header.Get("Request-Id") == "" {
		res.Header.Set("Request-Id", id) // the only name that the SDK reads
	}
	if res.StatusCode >= http.StatusBadRequest {
		e, err := answered(res)
		if err != nil {
			return res, &Error{Code: codeConnection, Status: res.StatusCode, Message: "the answer broke off", RequestID: res.Header.Get("Request-Id"), Region: c.at.region, cause: err}
		}
		e.Hint, e.Region = b.hint(c, e), c.at.region
		if e.Hint == "" {
			e.Hint = res.Header.Get(headerGatewayHint)
		}
		b.again(c, res, e.kind, e.Status)
		return res, e
	}
	switch c.op {
	case bedrockapi.InvokeModelStream:
		return b.open(c, res)
	case bedrockapi.CountTokens:
		if err := counted(res); err != nil {
			return res, err
		}
	}
	if c.op != nil && res.Header.Get("Content-Type") == "" {
		res.Header.Set("Content-Type", "application/json")
	}
	return res, nil
}

// open puts the translator between Bedrock's stream and the SDK, and reads the
// first event: an error that comes in its place is still one to try again after.
func (b *backend) open(c *call, res *http.Response) (*http.Response, error) {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	body := res.Body
	if b.idle > 0 {
		body = watch(body, b.idle)
	}
	s := &stream{closer: body, call: c, requestID: res.Header.Get("Request-Id")}
	switch kind {
	case bedrockapi.TypeEventStream:
		s.from = newFrames(body)
	case "text/event-stream":
		s.from = newEvents(body)
	default:
		body.Close()
		replaceBody(res, nil)
		res.Header.Set("X-Should-Retry", "false")
		if kind == "" {
			kind = "no Content-Type"
		}
		return res, &Error{Code: codeCorrupted, Status: res.StatusCode, RequestID: s.requestID, Region: c.at.region,
			Message: "a stream was asked for and answered with " + kind}
	}
	s.response = res
	res.Body = s
	res.Header.Set("Content-Type", "text/event-stream")
	res.Header.Del("Content-Length")
	res.ContentLength = -1
	if err := s.first(); err != nil {
		s.Close()
		res.Body = http.NoBody
		status := http.StatusServiceUnavailable // a stream without any event may be asked for again
		e, ok := err.(*Error)
		if ok && e.kind != 0 {
			status = e.Status
		}
		if ok {
			b.again(c, res, e.kind, status)
		}
		return res, err
	}
	return res, nil
}

// again tells the SDK's loop what to try again: 408, 409, 424, 429 and 5xx, and
// credentials that ended before their time. Between tries it waits as AWS's
// standard mode does, with full jitter, unless the service says how long. A wait
// that the caller's deadline would cut short is none: the error comes at once.
func (b *backend) again(c *call, res *http.Response, kind messages.Kind, status int) {
	retry := false
	switch {
	case res.Header.Get("X-Should-Retry") != "":
		c.obey = res.Header.Get("X-Should-Retry") == "false"
		return // the service's own wish
	case kind == messages.ExpiredToken:
		retry = c.at.auth.renew()
	case kind == messages.Loop:
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusFailedDependency,
		status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		retry = true
	}
	c.repeat(res, retry, 0)
}

// longestWait: who is told to come back after more decides that himself.
const longestWait = time.Minute

// repeat writes the decision where the SDK's loop reads it. least is when another
// try can come to something.
func (c *call) repeat(res *http.Response, retry bool, least time.Duration) {
	wait, told := retryAfter(res.Header, time.Now())
	if told {
		c.told = wait
	} else {
		wait = rand.N(min(20*time.Second, time.Second<<min(c.retries, 5)) + 1)
	}
	if least > wait {
		wait, told = least, false
		res.Header.Del("Retry-After")
	}
	if wait > longestWait || !c.patience.IsZero() && time.Now().Add(wait).After(c.patience) {
		retry = false
	}
	res.Header.Set("X-Should-Retry", strconv.FormatBool(retry))
	if retry && !told {
		res.Header.Set("Retry-After-Ms", strconv.FormatInt(int64((wait+time.Millisecond-1)/time.Millisecond), 10))
	}
}

// retryAfter reads the service's word on when to come back, as the SDK does.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return time.Duration(ms * float64(time.Millisecond)), true
	}
	text := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(text, 64); err == nil {
		return time.Duration(s * float64(time.Second)), true
	}
	if at, err := time.Parse(time.RFC1123, text); err == nil {
		return max(at.Sub(now), 0), true
	}
	return 0, false
}

// patienceOf is the caller's deadline. The SDK puts the timeout of each attempt
// into the same context; that one comes anew with the next.
func patienceOf(r *http.Request) time.Time {
	deadline, ok := r.Context().Deadline()
	if !ok {
		return time.Time{}
	}
	if s, err := strconv.Atoi(r.Header.Get("X-Stainless-Timeout")); err == nil {
		timeout, left := time.Duration(s)*time.Second, time.Until(deadline)
		if timeout-time.Second < left && left <= timeout+time.Second {
			return time.Time{}
		}
	}
	return deadline
}

// unreached makes the error of a request that nobody answered.
func (b *backend) unreached(c *call, r *http.Request, err error) (*http.Response, error) {
	if r.Context().Err() != nil {
		return nil, err // the caller has left, or the attempt's time is over
	}
	res := &http.Response{Header: http.Header{}, Body: http.NoBody}
	c.repeat(res, true, 0)
	return res, &Error{Code: codeConnection, Message: "no answer from " + r.URL.Scheme + "://" + r.URL.Host, Region: c.at.region, cause: err}
}

func replaceBody(res *http.Response, body []byte) {
	res.Body = io.NopCloser(bytes.NewReader(body))
	res.ContentLength = int64(len(body))
	res.Header.Del("Content-Length")
}
