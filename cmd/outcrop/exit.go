package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Exit codes, by what has to be done about it. exec has its command's, and those
// of shells besides.
const (
	exitFailed      = 1 // anything else
	exitUsage       = 2 // the command line or the configuration is wrong
	exitInvalid     = 3 // the request is not valid, or its model is none
	exitAccess      = 4 // no credentials, or they are not let in
	exitLimit       = 5 // throttled, or a quota is used up
	exitUnavailable = 6 // nobody answers, or the one that does has failed
	exitInterrupted = 7 // out of time, or the answer broke off
)

const exitCodes = `Exit codes: 0 done, 1 failed, 2 usage, 3 request not valid, 4 credentials or access, 5 throttled or over a quota,
6 nobody there or upstream failed, 7 timed out or broken off, 130 Ctrl-C. exec: its command's.`

// exitCode ends a command with a status and no further message.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// told is an error in a person's words. What it came from decides the exit code.
type told struct {
	words string
	cause error
}

func tell(cause error, format string, args ...any) error {
	return &told{fmt.Sprintf(format, args...), cause}
}

// misuse is of a command line or a configuration that is wrong.
func misuse(format string, args ...any) error {
	return tell(bedrock.ErrConfiguration, format, args...)
}

func (t *told) Error() string { return t.words }
func (t *told) Unwrap() error { return t.cause }

// hintOf is the advice of an error that nobody has put in words.
func hintOf(err error) string {
	var said *told
	var refusal *messages.Error
	if errors.As(err, &said) || !errors.As(err, &refusal) {
		return ""
	}
	return below(refusal.Hint)
}

// statusOfError is the exit code of a command that ends with err.
func statusOfError(err error) int {
	var exit exitCode
	var api smithy.APIError
	var timeout net.Error
	var connection *net.OpError
	var exchange *url.Error
	var refusal *messages.Error
	var answered *bedrock.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &answered) && answered.Code == "ModelStreamErrorException": // ErrModel, but it had begun
		return exitInterrupted
	case errors.Is(err, bedrock.ErrConfiguration):
		return exitUsage
	case errors.Is(err, bedrock.ErrUnsupported), errors.Is(err, bedrock.ErrValidation), errors.Is(err, bedrock.ErrNotFound):
		return exitInvalid
	case errors.Is(err, bedrock.ErrNoCredentials), errors.Is(err, bedrock.ErrAuthentication), errors.Is(err, bedrock.ErrAccessDenied):
		return exitAccess
	case errors.Is(err, bedrock.ErrThrottling), errors.Is(err, bedrock.ErrQuotaExceeded):
		return exitLimit
	case errors.Is(err, bedrock.ErrModelTimeout), errors.Is(err, bedrock.ErrTruncated), errors.Is(err, bedrock.ErrCorrupted):
		return exitInterrupted
	case errors.Is(err, bedrock.ErrModelNotReady), errors.Is(err, bedrock.ErrModel), errors.Is(err, bedrock.ErrInternal), errors.Is(err, bedrock.ErrServiceUnavailable):
		return exitUnavailable
	case errors.Is(err, context.Canceled):
		return exitCtrlC
	case errors.As(err, &api):
		return statusOfKind(kindOfAPI(err, api))
	case errors.As(err, &refusal):
		return statusOfKind(refusal.Kind)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &timeout) && timeout.Timeout():
		return exitInterrupted
	case errors.As(err, &connection) && connection.Op == "listen": // our own port
		return exitFailed
	case errors.As(err, &connection), errors.As(err, &exchange):
		return exitUnavailable
	default:
		return exitFailed
	}
}

// kindOfAPI reads an error of AWS's own clients, which name it as the service does.
func kindOfAPI(err error, api smithy.APIError) messages.Kind {
	status := http.StatusInternalServerError
	if api.ErrorFault() == smithy.FaultClient {
		status = http.StatusBadRequest
	}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil && resp.Response.StatusCode >= http.StatusBadRequest {
		status = resp.Response.StatusCode
	}
	return bedrockapi.KindOf(api.ErrorCode(), status)
}

func statusOfKind(k messages.Kind) int {
	switch k {
	case messages.InvalidRequest, messages.ModelRejected, messages.TooLarge, messages.UnknownOperation, messages.Conflict, messages.TooManyTags, messages.NotFound:
		return exitInvalid
	case messages.MissingToken, messages.IncompleteToken, messages.InvalidSignature, messages.UnknownKey, messages.ExpiredToken, messages.InvalidAPIKey, messages.AccessDenied:
		return exitAccess
	case messages.QuotaExceeded, messages.Throttled, messages.SpendLimit:
		return exitLimit
	case messages.ModelTimeout, messages.ModelStreamFailed:
		return exitInterrupted
	case messages.NotReady, messages.ModelFailed, messages.Internal, messages.Unavailable, messages.Loop:
		return exitUnavailable
	default:
		return exitFailed
	}
}
