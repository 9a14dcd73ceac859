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
			return res, err
		}
		e.Hint = b.hint(c, e)
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
	s := &stream{closer: body, backend: b, call: c, requestID: res.Header.Get("Request-Id")}
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
		return res, &Error{Code: codeCorrupted, Status: res.StatusCode, RequestID: s.requestID,
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
// standard mode does, with full jitter, unless the service says how long.
func (b *backend) again(c *call, res *http.Response, kind messages.Kind, status int) {
	retry := false
	switch {
	case res.Header.Get("X-Should-Retry") != "":
		return // the service's own wish
	case kind == messages.ExpiredToken:
		retry = b.auth.renew()
	case kind == messages.Loop:
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusFailedDependency,
		status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		retry = true
	}
	res.Header.Set("X-Should-Retry", strconv.FormatBool(retry))
	if retry && res.Header.Get("Retry-After") == "" && res.Header.Get("Retry-After-Ms") == "" {
		wait := rand.N(min(20*time.Second, time.Second<<min(c.retries, 5)) + 1)
		res.Header.Set("Retry-After-Ms", strconv.FormatInt(wait.Milliseconds(), 10))
	}
}

func replaceBody(res *http.Response, body []byte) {
	res.Body = io.NopCloser(bytes.NewReader(body))
	res.ContentLength = int64(len(body))
	res.Header.Del("Content-Length")
}
