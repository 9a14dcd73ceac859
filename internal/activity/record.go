// Package activity is the log of calls: one Record each, denied and failed ones
// included, in one file a day.
//
// Invariant: once Entry.Close has returned, the call has exactly one record,
// whatever the process dies of (Options.Durability says what of the machine); a
// record never holds a secret.
//
// Not a goal: to decide or to bill. A Store writes, an Archive reads, an Index
// answers questions and can be made again from the files at any time.
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
	Endpoint  string // of the route: global, geographic, in-Region
	Served    string // the Region that answered, where it is known to be another than Region
	Tried     []Attempt

	Status      int    // of the surface's answer
	ErrorCode   string // the AWS exception, empty on success
	Error       string
	Partial     bool // failed after the first frame
	Interrupted bool // the server stopped before the call was over

	StopReason string
	Usage      messages.Usage
	Billed     catalog.Nanodollars // what someone pays for this call
	WouldCost  catalog.Nanodollars // what Bedrock would have charged; never added to Billed
	Premium    catalog.Nanodollars // the part of either that a global route would not have cost
	CacheSaved catalog.Nanodollars // what either would have been more without a cache; below zero where filling it cost more
	OwnPrice   bool                // a rate in it is the operator's, not the list's
	Estimated  bool                // Usage is an estimate

	InputBytes  int64
	OutputBytes int64
	Warnings    []string
	Trace       string            // X-Amzn-Bedrock-Trace
	Latency     string            // performanceConfig
	Tier        string            // X-Amzn-Bedrock-Service-Tier
	Version     string            // anthropic-version, of the header
	Betas       []string          // anthropic-beta, of the header
	Guardrail   string            // its identifier, a space and its version
	Metadata    map[string]string // signed request metadata
	Client      ClientIDs

	Content Content   // set by the Store
	Deliver *Delivery // where a copy goes; nil: nowhere
}

// Attempt is a route that was tried and left.
type Attempt struct {
	RouteID string
	Region  string
	Code    string // why it was left
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

// Content says what has become of a call's request and answer.
type Content uint8

const (
	NotKept Content = iota // by policy, or the call was never admitted
	Kept
	Dropped // to make room
	Lost    // they could not be written
)

func (c Content) String() string {
	switch c {
	case NotKept:
		return "not kept"
	case Kept:
		return "kept"
	case Dropped:
		return "dropped"
	case Lost:
		return "lost"
	default:
		return "unknown"
	}
}

// Delivery is a logging configuration as it was when the call came in.
type Delivery struct {
	Bucket string
	Prefix string
	// What is left out of the copy.
	NoText, NoImages, NoDocuments bool
}

// Charge sets the money of the call: u at price, beside what the same tokens
// cost on a global route. bills: real money is paid.
func (r *Record) Charge(u messages.Usage, price, global catalog.Price, bills bool) {
	cost := catalog.Cost(u, price)
	r.Billed, r.WouldCost = 0, cost
	if bills {
		r.Billed, r.WouldCost = cost, 0
	}
	r.OwnPrice = price.Owned(u)
	r.Premium = cost - catalog.Cost(u, global)
	r.CacheSaved = catalog.Cost(messages.Usage{InputTokens: u.PromptTokens(), OutputTokens: u.OutputTokens}, price) - cost
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
