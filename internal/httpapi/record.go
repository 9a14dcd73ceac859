package httpapi

import (
	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// record is the Record of a call that the gateway has not seen.
func (x *exchange) record(err error) activity.Record {
	rec := activity.Record{RequestID: x.requestID, Time: x.start, Duration: x.Now().Sub(x.start), Ref: x.label}
	if x.op != nil {
		rec.Operation, rec.Status = x.op.Name, x.op.Success
	}
	if err != nil {
		e := messages.AsError(err)
		rec.Status, rec.ErrorCode, rec.Error = bedrockapi.Status(x.surface, e.Kind), bedrockapi.ExceptionOf(e.Kind).Name, e.Error()
	}
	return rec
}

// recordRefused records a model call that never became one.
func (x *exchange) recordRefused(err error) {
	rec := x.record(err)
	rec.Upstream = x.Gateway.Upstream.Name()
	rec.InputBytes = max(x.r.ContentLength, 0)
	x.Gateway.Record(rec)
}

// unknownOperation is the operation of a record whose path is none; what the path
// says is the record's Ref, since metrics count by operation.
const unknownOperation = "UnknownOperation"

func (x *exchange) recordUnknown(path string, err error) {
	rec := x.record(err)
	rec.Operation, rec.Ref = unknownOperation, x.r.Method+" "+path
	x.Gateway.Record(rec)
}

// recordControl records a call that is about no model. One that has only read
// and was not refused stands in the access log, not in the activity log.
func (x *exchange) recordControl(c identity.Caller, err error) {
	rec := x.record(err)
	rec.Account, rec.Principal, rec.KeyID, rec.Region = c.Account, c.ARN, c.KeyID, x.region(c)
	if err == nil && !x.changes() {
		x.Gateway.Log.Record(rec)
		return
	}
	x.Gateway.Record(rec)
}

// changes: whether the operation leaves anything different, or must be known of
// anyway, as all that administrators do.
func (x *exchange) changes() bool {
	_, changes := manage(x.op)
	return changes || isAdmin(x.op)
}
