package messages

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the closed set of failures. Each surface renders it from one table
// (bedrockapi for AWS's exceptions, this package for Anthropic's types).
type Kind uint8

const (
	InvalidRequest    Kind = iota + 1 // the caller's input; AWS ValidationException
	ModelRejected                     // the model's own validation; AWS prefixes its text
	TooLarge                          // a body over the surface's limit
	UnknownOperation                  // no such path on this surface
	Conflict                          // control plane
	QuotaExceeded                     // AWS ServiceQuotaExceededException
	TooManyTags                       // control plane
	MissingToken                      // no credentials at all
	IncompleteToken                   // credentials that cannot be parsed
	InvalidSignature                  // wrong signature, scope or date
	UnknownKey                        // no such access key
	ExpiredToken                      // temporary credentials past their end
	InvalidAPIKey                     // bearer or x-api-key not accepted
	AccessDenied                      // known caller, not allowed
	NotFound                          // no such model, profile or resource
	Throttled                         // requests, tokens or slots used up
	SpendLimit                        // money used up; no retry helps before the reset
	NotReady                          // the model is loading
	ModelTimeout                      // the model took too long
	ModelFailed                       // the model failed before the first frame
	ModelStreamFailed                 // the model failed after the first frame
	Internal                          // a fault of ours
	Unavailable                       // capacity, or an upstream that is down
	Loop                              // the server would call itself
	kindEnd
)

// Kinds lists every Kind, for the tests that hold each table to it.
func Kinds() []Kind {
	ks := make([]Kind, 0, kindEnd-1)
	for k := InvalidRequest; k < kindEnd; k++ {
		ks = append(ks, k)
	}
	return ks
}

// Error is the one error that reaches a client. Message and Hint may be shown;
// the cause is for logs alone.
type Error struct {
	Kind       Kind
	Message    string
	Hint       string        // what to do about it; header and log, not the service's text
	RequestID  string        // the upstream's id where it gave one
	RetryAfter time.Duration // 0: unknown
	Cause      error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Cause)
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error whose text may be shown to the client.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// WithCause attaches a cause that is logged and never sent.
func (e *Error) WithCause(err error) *Error {
	c := *e
	c.Cause = err
	return &c
}

// WithHint attaches advice for the operator or caller.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// AsError finds the Error in err's chain; any other error becomes Internal with
// err as its cause, so that nothing internal is shown.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Internal, Message: "The system encountered an unexpected error during processing. Try your request again.", Cause: err}
}
