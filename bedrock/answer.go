package bedrock

import (
	"mime"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
)

// answer makes of Bedrock's answer what the SDK expects of Anthropic's.
func (b *backend) answer(c *call, r *http.Request, res *http.Response) (*http.Response, error) {
	if res.Header == nil {
		res.Header = http.Header{}
	}
	if id := res.Header.Get(bedrockapi.HeaderRequestID); id != "" && res.Header.Get("Request-Id") == "" {
		res.Header.Set("Request-Id", id) // the only name that the SDK reads
	}
	if res.StatusCode >= 400 {
		e, err := answered(res)
		if err != nil {
			return res, err
		}
		retryable(r, res)
		return res, e
	}
	if c.op != bedrockapi.InvokeModelStream {
		return res, nil
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var from source
	switch kind {
	case bedrockapi.TypeEventStream:
		from = newFrames(res.Body)
	case "text/event-stream":
		from = newEvents(res.Body)
	default:
		res.Body.Close()
		res.Body = http.NoBody
		res.Header.Set("X-Should-Retry", "false")
		return res, &Error{Code: codeRequest, Status: res.StatusCode, RequestID: res.Header.Get("Request-Id"),
			Message: "asked for a stream and was answered with " + nonEmpty(kind, "no Content-Type")}
	}
	res.Body = &stream{from: from, closer: res.Body, res: res}
	res.Header.Set("Content-Type", "text/event-stream")
	res.Header.Del("Content-Length")
	res.ContentLength = -1
	return res, nil
}

func nonEmpty(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func retryable(r *http.Request, res *http.Response) {
	if res.StatusCode == http.StatusFailedDependency {
		res.Header.Set("X-Should-Retry", "true")
	}
}
