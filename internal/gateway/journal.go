package gateway

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
)

// Journal is the activity log: activity.Store is one. What was admitted is
// opened before the model runs and closed before the last byte of the answer
// leaves; what was denied is recorded alone.
type Journal interface {
	Open(ctx context.Context, o activity.Opening) (*activity.Entry, error)
	activity.Log
}

// Deliver says where a copy of a call goes, as the account has it for the Region
// now; nil: nowhere.
type Deliver func(ctx context.Context, account, region string, op *bedrockapi.Operation) *activity.Delivery

func (g *Gateway) delivery(ctx context.Context, call *Call, caller identity.Caller) *activity.Delivery {
	if g.Journal == nil || g.Deliver == nil || isCount(call.Operation) { // AWS logs no counts
		return nil
	}
	return g.Deliver(ctx, caller.Account, g.CallRegion(caller, call.HostRegion), call.Operation)
}

// open denies the call if the log must be written and cannot be.
func (g *Gateway) open(ctx context.Context, call *Call, t *trail) (err error) {
	if g.Journal == nil || t.head.count() {
		return nil
	}
	rec := g.recordOf(ctx, call, t, nil)
	t.entry, err = g.Journal.Open(ctx, activity.Opening{Record: &rec, Body: call.Data, Policy: t.caller.Settings().Activity})
	t.open = err == nil
	return err
}

// close writes the record of an open call, once.
func (g *Gateway) close(ctx context.Context, call *Call, t *trail, err error) error {
	if !t.open {
		return nil
	}
	t.open = false
	rec := g.recordOf(ctx, call, t, err)
	return t.entry.Close(&rec)
}

// Record records a call that Do has not seen: one that was refused before, or one
// that is about no model.
func (g *Gateway) Record(rec activity.Record) {
	if g.Journal != nil {
		g.Journal.Record(rec)
	}
	g.Log.Record(rec)
}

// record says how a call ended, whatever became of it.
func (g *Gateway) record(ctx context.Context, call *Call, t *trail, err error) {
	opened := t.entry != nil
	_ = g.close(ctx, call, t, err) // the answer is over; the journal has said so itself
	rec := g.recordOf(ctx, call, t, err)
	if g.Journal != nil && !opened && t.caller.Settings().Activity != activity.None {
		g.Journal.Record(rec)
	}
	g.Log.Record(rec)
}
