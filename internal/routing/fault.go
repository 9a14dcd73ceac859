package routing

import (
	"context"
	"errors"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Fault stands in the chain of an upstream's error and says what its kind and
// text do not.
type Fault struct {
	Unsent  bool // nothing of the request was sent
	MayBill bool // the upstream may have begun to answer
	Ours    bool // this server's credentials were refused, not the caller's
	Err     error
}

func (f *Fault) Error() string {
	if f.Err == nil {
		return "no answer"
	}
	return f.Err.Error()
}

func (f *Fault) Unwrap() error { return f.Err }

// MayHaveBilled says that a failed attempt may still stand on the bill.
func MayHaveBilled(err error) bool { return faultOf(err).MayBill }

func faultOf(err error) Fault {
	var f *Fault
	if errors.As(err, &f) {
		return *f
	}
	return Fault{}
}

// verdict is what a failure says of the way that it came.
type verdict uint8

const (
	final     verdict = iota + 1 // the call's own fault: the same everywhere
	throttled                    // a quota: elsewhere, or later
	notReady                     // the model is loading there
	broken                       // the service or the way to it
	refused                      // this way is shut to us
	left                         // the client has gone: it says nothing
	verdicts
)

// reasons are verdicts for people, of attempts that were left for others.
var reasons = [verdicts]string{throttled: "throttled", notReady: "not ready", broken: "failed", refused: "refused"}

// AWS's answer to a profile that a Region does not have.
const textNoSuchModel = "The provided model identifier is invalid."

// judge reads a failure. home says that it came from the way that the caller
// asked for: what AWS refuses there is its answer; what it refuses elsewhere
// says only that we should not have gone there.
func judge(err error, home bool) verdict {
	e := messages.AsError(err)
	switch {
	case errors.Is(err, context.Canceled):
		return left
	case faultOf(err).Ours:
		return refused
	}
	switch e.Kind {
	case messages.Throttled:
		return throttled
	case messages.NotReady:
		return notReady
	case messages.ModelTimeout, messages.ModelStreamFailed, messages.Internal, messages.Unavailable:
		return broken
	case messages.AccessDenied, messages.NotFound, messages.UnknownKey, messages.InvalidAPIKey:
		if !home {
			return refused
		}
		return final
	case messages.InvalidRequest:
		if !home && e.Message == textNoSuchModel {
			return refused
		}
		return final
	default:
		return final
	}
}
