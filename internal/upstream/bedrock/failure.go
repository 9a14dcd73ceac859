package bedrock

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// authError is AWS's refusal of this server's own signature or key. The caller,
// who signed well, is not shown it.
type authError struct {
	kind messages.Kind
	text string
}

func (e *authError) Error() string { return e.text }

// failureBody is what AWS, its authentication layer and the Messages API say.
type failureBody struct {
	Type    string          `json:"__type"`
	Message string          `json:"message"`
	Capital string          `json:"Message"`
	Error   json.RawMessage `json:"error"`
}

// UnmarshalJSON keeps message and Message apart, which encoding/json does not.
func (b *failureBody) UnmarshalJSON(raw []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	for key, into := range map[string]*string{"__type": &b.Type, "message": &b.Message, "Message": &b.Capital} {
		_ = json.Unmarshal(m[key], into) // of another type: as good as absent
	}
	b.Error = m["error"]
	return nil
}

// readFailure turns an answer that is no 200 into its error and closes it.
func readFailure(resp *http.Response, name string) *messages.Error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	discard(resp)
	var body failureBody
	_ = json.Unmarshal(raw, &body) // no JSON: the status speaks
	errorType := resp.Header.Get(bedrockapi.HeaderErrorType)
	if errorType == "" {
		errorType = body.Type
	}
	kind, text := bedrockapi.KindOf(errorType, resp.StatusCode), body.Message
	if text == "" {
		text = body.Capital
	}
	var inner struct{ Type, Message, Code string }
	if errorType == "" && json.Unmarshal(body.Error, &inner) == nil && inner.Message != "" {
		kind, text = messages.KindOf(inner.Type, resp.StatusCode), inner.Message
		if inner.Type == "permission_error" {
			kind = messages.AccessDenied // several kinds have this face
		}
	}
	cause := fmt.Errorf("%s answered %s: %.500q", name, resp.Status, raw)
	id := requestID(resp.Header)
	if foreign(kind, body.Capital != "" && body.Message == "", resp.StatusCode, inner.Code) {
		e := messages.Errorf(messages.Unavailable, "The upstream %s refused this server's credentials.", name).
			WithCause(&routing.Fault{Ours: true, Err: fmt.Errorf("%w (%s answered %s)", &authError{kind, plainRefusal(text)}, name, resp.Status)})
		e.RequestID = id
		return e
	}
	if text == "" {
		text = fmt.Sprintf("Amazon Bedrock answered with status %d.", resp.StatusCode)
	}
	if kind == messages.InvalidAPIKey {
		kind = messages.AccessDenied // one name for two kinds
	}
	// bedrockapi writes the prefix again where AWS does, and nowhere else.
	if rest, ok := strings.CutPrefix(text, bedrockapi.ExceptionOf(messages.ModelRejected).Prefix); ok && kind == messages.InvalidRequest {
		kind, text = messages.ModelRejected, rest
	}
	e := messages.Errorf(kind, "%s", text).WithCause(cause)
	e.RequestID, e.RetryAfter = id, retryAfter(resp.Header.Get("Retry-After"))
	return e
}

// foreign says that a refusal is about our credentials: of a name that is about
// nothing else, or in the spelling of AWS's authentication layer.
func foreign(k messages.Kind, capital bool, status int, code string) bool {
	switch k {
	case messages.MissingToken, messages.IncompleteToken, messages.InvalidSignature, messages.UnknownKey, messages.ExpiredToken:
		return true
	case messages.InvalidAPIKey, messages.AccessDenied:
		return capital || status == http.StatusUnauthorized || code == "invalid_api_key"
	default:
		return false
	}
}

// retryAfter reads seconds or a date, of a day at most.
func retryAfter(s string) time.Duration {
	const day = 24 * time.Hour
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return time.Duration(min(n, int(day/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(time.Until(at), 0), day)
	}
	return 0
}

// broken is the end of a stream that should not have ended.
func broken(text string, err error) error {
	return messages.Errorf(messages.ModelStreamFailed, "%s", text).WithCause(&routing.Fault{MayBill: true, Err: err})
}

// thrown turns an exception frame into its error.
func thrown(m *eventstream.Message) error {
	name, _ := m.Header(eventstream.ExceptionType)
	var body struct {
		Message        string `json:"message"`
		OriginalStatus int    `json:"originalStatusCode"`
		OriginalText   string `json:"originalMessage"`
	}
	_ = json.Unmarshal(m.Payload, &body)
	text, _ := m.Header(eventstream.ErrorMessage)
	if body.Message != "" {
		text = body.Message
	}
	if name == "" {
		name, _ = m.Header(eventstream.ErrorCode)
	}
	if text == "" {
		text = "The model's stream failed."
	}
	cause := fmt.Errorf("%s in the stream", name)
	if body.OriginalText != "" || body.OriginalStatus != 0 {
		cause = fmt.Errorf("%w; the model said %d: %s", cause, body.OriginalStatus, body.OriginalText)
	}
	kind := bedrockapi.KindOf(name, http.StatusFailedDependency)
	if kind == messages.ModelFailed {
		kind = messages.ModelStreamFailed
	}
	return messages.Errorf(kind, "%s", text).WithCause(&routing.Fault{MayBill: true, Err: cause})
}

// toldError turns an error event of the Messages API into its error.
func toldError(data []byte) error {
	var e struct {
		Error struct{ Type, Message string } `json:"error"`
	}
	if err := json.Unmarshal(data, &e); err != nil || e.Error.Message == "" {
		return broken("The model's stream failed.", err)
	}
	return messages.Errorf(messages.KindOf(e.Error.Type, 0), "%s", e.Error.Message).WithCause(&routing.Fault{MayBill: true})
}
