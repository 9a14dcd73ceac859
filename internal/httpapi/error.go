package httpapi

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

func unescape(label string) (string, error) { return url.PathUnescape(label) }

// fail answers with e in the surface's own error shape. Nothing has been sent.
func (x *exchange) fail(e *messages.Error) {
	h := x.w.Header()
	id := x.requestID
	if e.RequestID != "" && x.Gateway.Upstream.Capabilities().Bills {
		id = e.RequestID
		x.answeredAs(id)
	}
	if e.Hint != "" {
		h.Set("X-Outcrop-Hint", headerSafe(e.Hint))
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if e.Kind == messages.SpendLimit { // no retry helps before the reset
		h.Set("X-Should-Retry", "false")
	}
	exception := bedrockapi.ExceptionOf(e.Kind)
	status := bedrockapi.Status(x.surface, e.Kind)
	var body []byte
	switch x.surface {
	case bedrockapi.SurfaceMessages:
		h.Set("Content-Type", "application/json")
		body = e.AppendError(nil, id)
	case bedrockapi.SurfaceSTS:
		h.Set("Content-Type", "text/xml")
		body = stsError(e, id)
	default:
		h.Set("Content-Type", "application/json")
		if e.Kind == messages.UnknownOperation {
			h.Set("Content-Type", "application/xml")
			body = []byte("<UnknownOperationException/>\n")
		} else {
			body = bedrockapi.AppendBody(nil, e)
		}
	}
	h.Set(bedrockapi.HeaderErrorType, exception.Name)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if cause := e.Unwrap(); cause != nil && status >= 500 {
		x.Log.Error("call failed", "id", x.requestID, "error", e.Message, "cause", cause)
	}
	x.begin(status)
	if x.r.Method != http.MethodHead {
		_ = x.send(body) // the client may be gone
	}
}

// headerSafe keeps a hint, which may quote a caller's text, on one line.
func headerSafe(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s)
}

func stsError(e *messages.Error, requestID string) []byte {
	type errorBody struct{ Type, Code, Message string }
	kind := "Sender"
	if bedrockapi.ExceptionOf(e.Kind).Status >= 500 {
		kind = "Receiver"
	}
	// STS names its errors without the suffix that Bedrock's JSON protocol has.
	code := strings.TrimSuffix(bedrockapi.ExceptionOf(e.Kind).Name, "Exception")
	switch e.Kind {
	case messages.UnknownKey:
		code = "InvalidClientTokenId"
	case messages.InvalidSignature:
		code = "SignatureDoesNotMatch"
	case messages.UnknownOperation:
		code = "InvalidAction"
	}
	out, err := xml.Marshal(struct {
		XMLName   xml.Name  `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
		Error     errorBody `xml:"Error"`
		RequestID string    `xml:"RequestId"`
	}{Error: errorBody{kind, code, e.Message}, RequestID: requestID})
	if err != nil {
		return nil
	}
	return out
}
