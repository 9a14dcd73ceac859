package messages

import "net/http"

// Face is how a Kind looks on a surface that speaks Anthropic Messages.
type Face struct {
	Type   string
	Status int
}

// faces has one row a Kind.
var faces = [kindEnd]Face{
	InvalidRequest:    {"invalid_request_error", http.StatusBadRequest},
	ModelRejected:     {"invalid_request_error", http.StatusBadRequest},
	TooLarge:          {"request_too_large", http.StatusRequestEntityTooLarge},
	UnknownOperation:  {"not_found_error", http.StatusNotFound},
	Conflict:          {"invalid_request_error", http.StatusConflict},
	QuotaExceeded:     {"invalid_request_error", http.StatusBadRequest},
	TooManyTags:       {"invalid_request_error", http.StatusBadRequest},
	MissingToken:      {"authentication_error", http.StatusUnauthorized},
	IncompleteToken:   {"authentication_error", http.StatusUnauthorized},
	InvalidSignature:  {"permission_error", http.StatusForbidden},
	UnknownKey:        {"permission_error", http.StatusForbidden},
	ExpiredToken:      {"permission_error", http.StatusForbidden},
	InvalidAPIKey:     {"authentication_error", http.StatusUnauthorized},
	AccessDenied:      {"permission_error", http.StatusForbidden},
	NotFound:          {"not_found_error", http.StatusNotFound},
	Throttled:         {"rate_limit_error", http.StatusTooManyRequests},
	SpendLimit:        {"billing_error", http.StatusTooManyRequests},
	NotReady:          {"rate_limit_error", http.StatusTooManyRequests},
	ModelTimeout:      {"timeout_error", http.StatusGatewayTimeout},
	ModelFailed:       {"api_error", http.StatusInternalServerError},
	ModelStreamFailed: {"api_error", http.StatusInternalServerError},
	Internal:          {"api_error", http.StatusInternalServerError},
	Unavailable:       {"overloaded_error", http.StatusServiceUnavailable},
	Loop:              {"api_error", http.StatusLoopDetected},
}

// Face is the Anthropic error type and HTTP status of k.
func (k Kind) Face() Face {
	if k == 0 || k >= kindEnd {
		return faces[Internal]
	}
	return faces[k]
}

// kindOfType is the way back. One type stands for several Kinds, of which this
// is what an upstream means by it; api_error means nothing without its status.
var kindOfType = map[string]Kind{
	"invalid_request_error": ModelRejected,
	"request_too_large":     TooLarge,
	"authentication_error":  InvalidAPIKey,
	"permission_error":      AccessDenied,
	"billing_error":         SpendLimit,
	"not_found_error":       NotFound,
	"rate_limit_error":      Throttled,
	"timeout_error":         ModelTimeout,
	"overloaded_error":      Unavailable,
}

// KindOf reads an answer of a server that speaks Anthropic Messages: the error
// type wins over the status, an unknown type falls back to it.
func KindOf(errorType string, status int) Kind {
	if k, ok := kindOfType[errorType]; ok {
		return k
	}
	switch {
	case status == http.StatusRequestTimeout || status == http.StatusGatewayTimeout:
		return ModelTimeout
	case status == http.StatusTooManyRequests:
		return Throttled
	case status == http.StatusServiceUnavailable || status == 529: // Anthropic's overloaded
		return Unavailable
	case status == http.StatusLoopDetected:
		return Loop
	case status == http.StatusRequestEntityTooLarge:
		return TooLarge
	case status == http.StatusNotFound:
		return NotFound
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return AccessDenied
	case status >= 400 && status < 500:
		return ModelRejected
	case errorType == "api_error" && status == 0:
		return ModelStreamFailed
	default:
		return ModelFailed
	}
}

// AppendError renders {"type":"error",…}, the body of a failed Messages call and
// the data of an SSE error event.
func (e *Error) AppendError(dst []byte, requestID string) []byte {
	dst = append(dst, `{"type":"error","error":{"type":`...)
	dst = AppendString(dst, e.Kind.Face().Type)
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, e.Message)
	dst = append(dst, '}')
	if requestID != "" {
		dst = append(dst, `,"request_id":`...)
		dst = AppendString(dst, requestID)
	}
	return append(dst, '}')
}
