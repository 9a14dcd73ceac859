package gateway

import (
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/identity"
)

// Credential is what a caller presented; it becomes a Caller once the digest of
// the whole body is known. identity.Pending is one.
type Credential interface {
	Finish(bodySHA256 [sha256.Size]byte) (identity.Caller, error)
}

// Call is one request as a surface read it: bytes in a dialect, what its headers
// say, and who claims to send it.
type Call struct {
	RequestID  string
	Operation  *bedrockapi.Operation
	Credential Credential
	Start      time.Time

	WireSum    [sha256.Size]byte // of the body as it came, which is what was signed
	WireLength int64
	Dialect    Dialect
	Data       []byte // the body as it came

	// Decode, if set, finds the body in Dialect within Data. It runs once the
	// caller is known.
	Decode func(wire []byte) (Dialect, []byte, error)

	Ref        string // the model in the path, decoded; empty where the body names it
	HostRegion string // of a Bedrock host name
	Mantle     bool   // the host is bedrock-mantle's
	Version    string // the anthropic-version header
	Betas      []string
	Options    Options
	Forward    http.Header // the request header as it came
	Refused    error       // what the surface found wrong with the headers; said once the caller is known
	Hops       []string    // servers like this one that the call has passed
	Client     activity.ClientIDs
}

// Options are the X-Amzn-Bedrock-* request headers.
type Options struct {
	GuardrailID      string
	GuardrailVersion string
	Trace            string
	Latency          string
	ServiceTier      string
	Metadata         map[string]string
}

// Meta is what a surface may say about an answer before its first frame.
type Meta struct {
	Upstream  string
	Region    string
	ModelID   string // the catalog's id
	Warnings  []string
	Header    http.Header        // of the upstream's answer, if it has one
	Dropped   []string           // what was left out of a translation
	Settings  *converse.Settings // of a Converse call
	Bills     bool
	Estimate  bool   // the answer is a count, and nobody has counted
	RequestID string // the upstream's, if it gave one
}

// Writer is a surface's side of an answer. Begin comes once, before the first
// Frame; the Meter is live. Flush sends what Frame wrote.
type Writer interface {
	Begin(Meta, *Meter) error
	Frame(Frame) error
	Flush() error
}

// Ender is what a Writer may be besides: one that sends the last of an answer
// together with the end that its transport puts behind it.
type Ender interface {
	End() error // in place of the last Flush
}
