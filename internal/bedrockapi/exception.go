package bedrockapi

import (
	"net/http"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Exception is how a Kind looks on AWS's own surfaces.
type Exception struct {
	Name    string // x-amzn-ErrorType
	Status  int
	Stream  string // :exception-type of an event-stream frame
	Capital bool   // AWS's authentication layer writes "Message" with a capital
	Prefix  string // before the text
}

const modelErrors = "The model returned the following errors: "

// One row a Kind. Statuses: the error shapes of bedrock-runtime 2023-09-30; the
// stream column is closed to the members of ResponseStream. ConverseStreamOutput has
// them all but modelTimeoutException.
var exceptions = map[messages.Kind]Exception{
	messages.InvalidRequest:    {Name: "ValidationException", Status: 400, Stream: "validationException"},
	messages.ModelRejected:     {Name: "ValidationException", Status: 400, Stream: "validationException", Prefix: modelErrors},
	messages.TooLarge:          {Name: "ValidationException", Status: 400, Stream: "validationException"},
	messages.UnknownOperation:  {Name: "UnknownOperationException", Status: 404, Stream: "validationException"},
	messages.Conflict:          {Name: "ConflictException", Status: 400, Stream: "validationException"},
	messages.QuotaExceeded:     {Name: "ServiceQuotaExceededException", Status: 400, Stream: "validationException"},
	messages.TooManyTags:       {Name: "TooManyTagsException", Status: 400, Stream: "validationException"},
	messages.MissingToken:      {Name: "MissingAuthenticationTokenException", Status: 403, Stream: "validationException"},
	messages.IncompleteToken:   {Name: "IncompleteSignatureException", Status: 400, Stream: "validationException"},
	messages.InvalidSignature:  {Name: "InvalidSignatureException", Status: 403, Stream: "validationException"},
	messages.UnknownKey:        {Name: "UnrecognizedClientException", Status: 403, Stream: "validationException"},
	messages.ExpiredToken:      {Name: "ExpiredTokenException", Status: 403, Stream: "validationException"},
	messages.InvalidAPIKey:     {Name: "AccessDeniedException", Status: 403, Stream: "validationException", Capital: true},
	messages.AccessDenied:      {Name: "AccessDeniedException", Status: 403, Stream: "validationException"},
	messages.NotFound:          {Name: "ResourceNotFoundException", Status: 404, Stream: "validationException"},
	messages.Throttled:         {Name: "ThrottlingException", Status: 429, Stream: "throttlingException"},
	messages.SpendLimit:        {Name: "ThrottlingException", Status: 429, Stream: "throttlingException"},
	messages.NotReady:          {Name: "ModelNotReadyException", Status: 429, Stream: "serviceUnavailableException"},
	messages.ModelTimeout:      {Name: "ModelTimeoutException", Status: 408, Stream: "modelTimeoutException"},
	messages.ModelFailed:       {Name: "ModelErrorException", Status: 424, Stream: "modelStreamErrorException"},
	messages.ModelStreamFailed: {Name: "ModelStreamErrorException", Status: 424, Stream: "modelStreamErrorException"},
	messages.Internal:          {Name: "InternalServerException", Status: 500, Stream: "internalServerException"},
	messages.Unavailable:       {Name: "ServiceUnavailableException", Status: 503, Stream: "serviceUnavailableException"},
	messages.Loop:              {Name: "InternalServerException", Status: http.StatusLoopDetected, Stream: "internalServerException"},
}

// ExceptionOf gives the row of a Kind.
func ExceptionOf(k messages.Kind) Exception {
	if x, ok := exceptions[k]; ok {
		return x
	}
	return exceptions[messages.Internal]
}

// Named finds the Kind of an exception by either spelling: ThrottlingException or
// the stream's throttlingException.
func Named(name string) (messages.Kind, bool) {
	for _, k := range messages.Kinds() {
		switch k {
		case messages.ModelRejected, messages.TooLarge, messages.InvalidAPIKey, messages.Loop:
			continue // each shares its name with a Kind that is likelier
		}
		if strings.EqualFold(exceptions[k].Name, name) {
			return k, true
		}
	}
	return 0, false
}

// KindOf reads the error type of an AWS answer or exception frame: "Name",
// "Name:http://…", "prefix#Name" or the stream's spelling. A name that is not
// known falls back to the status.
func KindOf(errorType string, status int) messages.Kind {
	name, _, _ := strings.Cut(errorType, ":") // first, for the URL may hold a #
	name = name[strings.LastIndexByte(name, '#')+1:]
	if k, ok := Named(name); ok {
		return k
	}
	switch {
	case status == http.StatusTooManyRequests:
		return messages.Throttled
	case status == http.StatusRequestTimeout || status == http.StatusGatewayTimeout:
		return messages.ModelTimeout
	case status == http.StatusNotFound:
		return messages.NotFound
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return messages.AccessDenied
	case status == http.StatusRequestEntityTooLarge:
		return messages.TooLarge
	case status == http.StatusFailedDependency:
		return messages.ModelFailed
	case status == http.StatusServiceUnavailable:
		return messages.Unavailable
	case status == http.StatusLoopDetected:
		return messages.Loop
	case status >= 400 && status < 500:
		return messages.InvalidRequest
	default:
		return messages.Internal
	}
}

// Status is the HTTP status of a Kind on a surface.
func Status(s Surface, k messages.Kind) int {
	if s == SurfaceMessages {
		return k.Face().Status
	}
	return ExceptionOf(k).Status
}

// AppendBody renders {"message":…}, AWS's error body and the payload of an
// exception frame.
func AppendBody(dst []byte, e *messages.Error) []byte {
	x := ExceptionOf(e.Kind)
	if x.Capital {
		dst = append(dst, `{"Message":`...)
	} else {
		dst = append(dst, `{"message":`...)
	}
	dst = messages.AppendString(dst, Text(e))
	return append(dst, '}')
}

// Text is e's message as AWS words it.
func Text(e *messages.Error) string {
	x := ExceptionOf(e.Kind)
	if x.Prefix != "" && !strings.HasPrefix(e.Message, x.Prefix) {
		return x.Prefix + e.Message
	}
	return e.Message
}
