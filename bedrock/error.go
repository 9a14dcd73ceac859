package bedrock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Error is every error of this package, from Bedrock and of its own: find it
// with errors.As, and its kind with errors.Is and one of the Err values. What
// came from the service can also be had as an [anthropic.Error], with
// Anthropic's name for its type.
type Error struct {
	Code      string // AWS's name: ThrottlingException; a name of ours where nothing was sent
	Status    int    // HTTP; in the middle of a stream that of the exception; 0 where nothing was sent
	Message   string // the service's own words
	Hint      string // what to do about it; "" where there is nothing to add
	RequestID string // x-amzn-RequestId
	Region    string // the one that the call went to; "" where nothing was sent

	kind  messages.Kind // 0: not from the service
	again bool          // nothing was sent, and another try may come to more
	bare  bool          // no AWS error at all: some other server's answer
	api   *anthropic.Error
	cause error
}

// The kinds of an [Error], for errors.Is: behind each, the exceptions of AWS's and
// their HTTP status. * is tried again, as often as [WithMaxRetries] says.
// Source: the service model of bedrock-runtime, 2023-09-30.
var (
	ErrValidation         = errors.New("bedrock: the request is not valid")             // ValidationException 400; or refused by this package, and nothing was sent
	ErrAuthentication     = errors.New("bedrock: the signature or the key was refused") // InvalidSignature, UnrecognizedClient, ExpiredToken, AccessDenied of a key 403
	ErrAccessDenied       = errors.New("bedrock: access denied")                        // AccessDeniedException 403
	ErrNotFound           = errors.New("bedrock: no such model, profile or resource")   // ResourceNotFoundException 404
	ErrQuotaExceeded      = errors.New("bedrock: service quota exceeded")               // ServiceQuotaExceededException 400
	ErrThrottling         = errors.New("bedrock: throttled")                            // ThrottlingException 429 *
	ErrModelNotReady      = errors.New("bedrock: the model is not ready")               // ModelNotReadyException 429 *
	ErrModelTimeout       = errors.New("bedrock: the model took too long")              // ModelTimeoutException 408 *
	ErrModel              = errors.New("bedrock: the model failed")                     // ModelErrorException, ModelStreamErrorException 424 *
	ErrInternal           = errors.New("bedrock: internal server error")                // InternalServerException 500 *
	ErrServiceUnavailable = errors.New("bedrock: service unavailable")                  // ServiceUnavailableException 503 *

	ErrConfiguration = errors.New("bedrock: configuration")             // of the client; nothing was sent
	ErrNoCredentials = errors.New("bedrock: no credentials")            // nothing was sent; * where a provider was given
	ErrUnsupported   = errors.New("bedrock: not on Amazon Bedrock")     // nothing was sent
	ErrResidency     = errors.New("bedrock: outside the residency")     // see [WithResidency]; nothing was sent
	ErrNotOffered    = errors.New("bedrock: no such model there")       // by the catalog, see [WithUnlistedModels]; nothing was sent
	ErrConnection    = errors.New("bedrock: no answer")                 // the service was not reached, or broke off *
	ErrTruncated     = errors.New("bedrock: stream ended early")        // before message_stop; * before the first event
	ErrCorrupted     = errors.New("bedrock: answer damaged on the way") // a checksum is wrong, or what came is no such answer
)

// Codes of errors that are not the service's.
const (
	codeConfiguration = "ClientConfiguration"
	codeCredentials   = "ClientCredentials"
	codeRequest       = "ClientRequest"
	codeUnsupported   = "ClientUnsupported"
	codeResidency     = "ClientResidency"
	codeNotOffered    = "ClientModel"
	codeConnection    = "ConnectionFailed"
	codeTruncated     = "StreamTruncated"
	codeCorrupted     = "AnswerCorrupted"
)

var ownSentinels = map[string]error{
	codeConfiguration: ErrConfiguration,
	codeCredentials:   ErrNoCredentials,
	codeRequest:       ErrValidation,
	codeUnsupported:   ErrUnsupported,
	codeResidency:     ErrResidency,
	codeNotOffered:    ErrNotOffered,
	codeConnection:    ErrConnection,
	codeTruncated:     ErrTruncated,
	codeCorrupted:     ErrCorrupted,
}

// One row a Kind: a test holds it to that.
var sentinels = map[messages.Kind]error{
	messages.InvalidRequest:    ErrValidation,
	messages.ModelRejected:     ErrValidation,
	messages.TooLarge:          ErrValidation,
	messages.UnknownOperation:  ErrNotFound,
	messages.Conflict:          ErrValidation,
	messages.QuotaExceeded:     ErrQuotaExceeded,
	messages.TooManyTags:       ErrValidation,
	messages.MissingToken:      ErrAuthentication,
	messages.IncompleteToken:   ErrAuthentication,
	messages.InvalidSignature:  ErrAuthentication,
	messages.UnknownKey:        ErrAuthentication,
	messages.ExpiredToken:      ErrAuthentication,
	messages.InvalidAPIKey:     ErrAuthentication,
	messages.AccessDenied:      ErrAccessDenied,
	messages.NotFound:          ErrNotFound,
	messages.Throttled:         ErrThrottling,
	messages.SpendLimit:        ErrThrottling,
	messages.NotReady:          ErrModelNotReady,
	messages.ModelTimeout:      ErrModelTimeout,
	messages.ModelFailed:       ErrModel,
	messages.ModelStreamFailed: ErrModel,
	messages.Internal:          ErrInternal,
	messages.Unavailable:       ErrServiceUnavailable,
	messages.Loop:              ErrInternal,
}

// Error says code, status, message, hint and request id, in this order.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("bedrock: ")
	if e.kind != 0 {
		b.WriteString(e.Code)
		if e.Status != 0 {
			b.WriteString(" (" + strconv.Itoa(e.Status) + ")")
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	if e.Hint != "" {
		b.WriteString(" [" + e.Hint + "]")
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// Is reports whether target is the Err value of e's kind.
func (e *Error) Is(target error) bool {
	if e.kind != 0 {
		return target == sentinels[e.kind]
	}
	return target == ownSentinels[e.Code]
}

// Unwrap gives the [anthropic.Error] and the cause, where there are such.
func (e *Error) Unwrap() []error {
	var all []error
	if e.api != nil {
		all = append(all, e.api)
	}
	if e.cause != nil {
		all = append(all, e.cause)
	}
	return all
}

func misconfigured(format string, args ...any) *Error {
	return &Error{Code: codeConfiguration, Message: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *Error {
	return &Error{Code: codeRequest, Message: fmt.Sprintf(format, args...)}
}

// final ends a call that sent nothing. Without a response the SDK would take the
// error for a broken connection and try again.
func final(err error) (*http.Response, error) {
	return &http.Response{Header: http.Header{"X-Should-Retry": {"false"}}, Body: http.NoBody}, err
}

// maxErrorBody bounds what is read of an error's body.
const maxErrorBody = 1 << 20

// answered makes the error of an HTTP answer, and leaves its body to be read again.
func answered(res *http.Response) (*Error, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	e := parse(body, res.Header.Get(bedrockapi.HeaderErrorType), res.StatusCode)
	e.RequestID = res.Header.Get("request-id")
	if e.Message == "" {
		e.Message = http.StatusText(res.StatusCode)
	}
	e.describe(res, body)
	return e, nil
}

// parse finds code and message in any of the shapes that runtime, gateways and
// AWS's authentication layer use.
func parse(body []byte, errorType string, status int) *Error {
	e := &Error{Status: status}
	var anthropicType string
	capital := false
	if m, err := jsonspan.Scan(nil, body, nil); err == nil {
		text := func(m jsonspan.Members, data []byte, key string) string {
			v, ok := m.Get(key)
			if !ok {
				return ""
			}
			s, err := jsonspan.String(nil, v.Value(data))
			if err != nil {
				return ""
			}
			return string(s)
		}
		if e.Message = text(m, body, "message"); e.Message == "" {
			e.Message = text(m, body, "Message")
			capital = e.Message != ""
		}
		for _, key := range []string{"__type", "code"} {
			if errorType == "" {
				errorType = text(m, body, key)
			}
		}
		if v, ok := m.Get("error"); ok {
			inner := v.Value(body)
			if m, err := jsonspan.Scan(nil, inner, nil); err == nil {
				anthropicType = text(m, inner, "type")
				if s := text(m, inner, "message"); s != "" {
					e.Message = s
				}
			}
		}
	} else if e.bare = errorType == ""; len(body) > 0 && len(body) < 512 {
		e.Message = strings.TrimSpace(string(body))
	}
	if errorType == "" && anthropicType != "" {
		e.kind = messages.KindOf(anthropicType, status)
		e.Code = bedrockapi.ExceptionOf(e.kind).Name
	} else {
		e.kind, e.Code = kindOf(errorType, status, capital)
	}
	return e
}

// kindOf also gives AWS's spelling of the name; one that the table does not have
// stays as it came.
func kindOf(errorType string, status int, capital bool) (messages.Kind, string) {
	kind := bedrockapi.KindOf(errorType, status)
	if kind == messages.AccessDenied && capital {
		kind = messages.InvalidAPIKey // one name for two kinds: only the authentication layer writes "Message"
	}
	name, _, _ := strings.Cut(errorType, ":") // first: what follows is a URL
	name = name[strings.LastIndexByte(name, '#')+1:]
	if x := bedrockapi.ExceptionOf(kind); name == "" || strings.EqualFold(x.Name, name) {
		name = x.Name
	}
	return kind, name
}

// describe makes the same error as the SDK knows it. Its JSON is the service's
// with Anthropic's members beside, so that Type and Message work as documented.
func (e *Error) describe(res *http.Response, body []byte) {
	inner := append([]byte(`{"type":`), jsonspan.AppendString(nil, e.kind.Face().Type)...)
	inner = append(append(inner, `,"message":`...), jsonspan.AppendString(nil, e.Message)...)
	inner = append(inner, '}')
	m, err := jsonspan.Scan(nil, body, nil)
	if err != nil {
		body, m = []byte("{}"), nil
	}
	body = jsonspan.Splice(nil, body, m,
		jsonspan.Edit{Key: "type", Value: []byte(`"error"`)},
		jsonspan.Edit{Key: "error", Value: inner})
	e.api = &anthropic.Error{StatusCode: e.Status, RequestID: e.RequestID, Response: res}
	e.api.Request = detached(res)
	// Cannot fail: body is JSON.
	_ = e.api.UnmarshalJSON(body)
}

// detached is the request of res, to be looked at after the attempt: the SDK has
// ended the attempt's context by then, and a dump would fail with it.
func detached(res *http.Response) *http.Request {
	if res == nil || res.Request == nil {
		return nil
	}
	return res.Request.WithContext(context.WithoutCancel(res.Request.Context()))
}
