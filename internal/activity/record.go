// Package activity is the log of calls: one Record each, denied and failed ones
// included. A record never holds a secret. It does not decide and does not bill.
package activity

import (
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Record is one call from first byte to last.
type Record struct {
	RequestID         string
	UpstreamRequestID string
	Time              time.Time
	FirstFrame        time.Duration // from Time to the first model frame, 0 if none came
	Duration          time.Duration

	Operation string
	Account   string
	Principal string // ARN
	KeyID     string
	Region    string
	Ref       string // the model as the caller named it
	ModelID   string // the catalog's id
	RouteID   string // the id that was called
	Upstream  string
	Wall      string

	Status    int    // of the surface's answer
	ErrorCode string // the AWS exception, empty on success
	Error     string
	Partial   bool // failed after the first frame

	StopReason string
	Usage      messages.Usage
	Billed     catalog.Nanodollars // what someone pays for this call
	WouldCost  catalog.Nanodollars // what Bedrock would have charged; never added to Billed
	Estimated  bool                // Usage is an estimate

	InputBytes  int64
	OutputBytes int64
	Warnings    []string
	Trace       string            // X-Amzn-Bedrock-Trace
	Metadata    map[string]string // signed request metadata
	Client      ClientIDs
}

// ClientIDs are the ids that Claude Code sends. They are claims, never grounds
// for a decision.
type ClientIDs struct {
	Session     string
	Agent       string
	ParentAgent string
	Prompt      string
	Class       string
}

// Log takes finished records. Record must not block.
type Log interface {
	Record(Record)
}

// Logs sends each record to all of them.
type Logs []Log

func (ls Logs) Record(r Record) {
	for _, l := range ls {
		l.Record(r)
	}
}

// Ring keeps the last records in memory.
type Ring struct {
	mu   sync.Mutex
	buf  []Record
	next int
	full bool
}

// NewRing keeps n records, at least one.
func NewRing(n int) *Ring { return &Ring{buf: make([]Record, max(n, 1))} }

func (r *Ring) Record(rec Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf[r.next] = rec
	r.next++
	if r.next == len(r.buf) {
		r.next, r.full = 0, true
	}
}

// Records returns the kept records, oldest first.
func (r *Ring) Records() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.full {
		return append([]Record(nil), r.buf[:r.next]...)
	}
	return append(append([]Record(nil), r.buf[r.next:]...), r.buf[:r.next]...)
}
