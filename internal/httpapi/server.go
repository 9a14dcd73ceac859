// Package httpapi is the front door: Bedrock's runtime, Anthropic Messages, the
// control plane and STS on one listener at the root path. It turns requests into
// gateway.Calls and answers into bytes; it decides nothing about a call.
package httpapi

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Server is an http.Handler. Its fields are set once, before the first request.
type Server struct {
	Gateway *gateway.Gateway
	Auth    *identity.Authenticator
	Access  *access.Service                 // nil: the operations on it are not served
	Account string                          // whose models and profiles the control plane lists
	Keys    Keys                            // nil: the admin API is not served
	Archive *activity.Archive               // what the admin API tells of calls; nil: nothing is kept
	Prices  func(model string) (any, error) // the price book of the admin API, of one model or ("") all; nil: there is none
	Theirs  []TheirProfile                  // application profiles of the AWS accounts that calls are made with
	Version string
	Hop     string             // this server's own id; a request that carries it has come round
	Bodies  *Budget            // memory for request bodies
	MaxBody int64              // lowers the surfaces' own limits; 0: theirs
	Health  func() []HealthRow // what /healthz adds
	Metrics http.Handler       // nil: /metrics is not served
	Outside bool               // /metrics is for callers from other machines too
	Ready   func() error       // why /readyz says no, if it does; nil: it never does
	Leaving *atomic.Bool       // set: /readyz says no, and connections end with their answer; nil: never
	Log     *slog.Logger

	Now func() time.Time

	keysMu sync.Mutex // of changes by the admin API

	frames sync.Pool // *[]byte: what streams have grown
}

// HeaderHop names the servers that a call has passed; see upstream/messages.
const HeaderHop = "X-Outcrop-Hop"

// exchange is one request with what every handler needs.
type exchange struct {
	*Server
	w         http.ResponseWriter
	rc        http.ResponseController
	r         *http.Request
	op        *bedrockapi.Operation
	surface   bedrockapi.Surface
	label     string // of the path, decoded, or what the body names in its place
	requestID string
	start     time.Time
	begun     bool           // the status has been written
	bounded   time.Time      // until when the write deadline is late enough
	held      int64          // of the budget for bodies
	promised  *gateway.Meter // its cost will be a trailer; nil: there is none
	bills     bool           // that cost is billed

	values []string // of the headers that set has set
	first  [16]string
}

// set sets a header of the answer. name is in canonical form. The values of all of
// them are one piece of memory.
func (x *exchange) set(name, value string) {
	if x.values == nil {
		x.values = x.first[:0]
	}
	n := len(x.values)
	x.values = append(x.values, value)
	x.w.Header()[name] = x.values[n : n+1 : n+1]
}

// begin writes the status; the headers are set.
func (x *exchange) begin(status int) {
	x.begun = true
	x.w.WriteHeader(status)
}

// writeTimeout is how long a client may take no bytes.
const writeTimeout = 60 * time.Second

// writeSlack is how much earlier it may end: so seldom is the deadline of an
// HTTP/1 connection put off.
const writeSlack = 5 * time.Second

// send writes and flushes within writeTimeout. HTTP/2 resets a stream when its
// deadline passes, written to or not, so it has none between writes; that of
// HTTP/1 stays, for the end of the answer too. A transport that has neither
// deadlines nor buffers does without.
func (x *exchange) send(p []byte) error { return x.write(p, true) }

// sendLast leaves it to net/http to flush, with the end of the answer, if that is
// written at all.
func (x *exchange) sendLast(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	return x.write(p, !x.chunked())
}

func (x *exchange) write(p []byte, flush bool) error {
	if now := time.Now(); now.After(x.bounded) {
		_ = x.rc.SetWriteDeadline(now.Add(writeTimeout))
		if x.r.ProtoMajor == 1 {
			x.bounded = now.Add(writeSlack)
		} else {
			defer x.rc.SetWriteDeadline(time.Time{})
		}
	}
	c := x.gathering(len(p))
	c.hold()
	_, err := x.w.Write(p)
	if err == nil && !flush {
		c.join()
		return nil
	}
	if err == nil {
		if err = x.rc.Flush(); errors.Is(err, http.ErrNotSupported) {
			err = nil
		}
	}
	if sent := c.release(); err == nil {
		err = sent
	}
	return err
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{Server: s, w: w, rc: *http.NewResponseController(w), r: r, start: s.Now(), requestID: newRequestID()}
	h := w.Header()
	x.set("X-Outcrop-Request-Id", x.requestID)
	h[bedrockapi.HeaderRequestID], h["Request-Id"] = h["X-Outcrop-Request-Id"], h["X-Outcrop-Request-Id"]
	x.set("X-Outcrop-Upstream", s.Gateway.Upstream.Name())
	if r.ProtoMajor == 1 {
		_ = x.rc.SetWriteDeadline(time.Time{}) // of the answer before
	}
	defer func() {
		x.release()
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.Log.Error("panic", "id", x.requestID, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if x.begun { // all that is left to say is that the answer is not whole
				panic(http.ErrAbortHandler)
			}
			x.fail(messages.AsError(fmt.Errorf("panic: %v", p)))
		}
	}()

	path := r.URL.EscapedPath()
	if s.Leaving != nil && s.Leaving.Load() {
		h.Set("Connection", "close")
	}
	switch path {
	case "/healthz":
		x.healthz()
		return
	case "/readyz":
		x.readyz()
		return
	case "/metrics":
		x.metrics()
		return
	default: // an operation
	}
	x.surface = bedrockapi.SurfaceOf(path)
	if op, label := s.operation(r.Method, path); op != nil {
		x.op, x.surface = op, op.Surface
		var err error
		if x.label, err = unescape(label); err != nil {
			e := messages.Errorf(messages.InvalidRequest, "The path holds an escape that cannot be decoded.").WithCause(err)
			x.recordRefused(e)
			x.fail(e)
			return
		}
	} else {
		e := messages.Errorf(messages.UnknownOperation, "There is no operation %s %s.", r.Method, path)
		x.recordUnknown(path, e)
		x.fail(e)
		return
	}
	hops := hopsOf(r.Header)
	if s.Hop != "" && slices.Contains(hops, s.Hop) || len(hops) > maxHops {
		x.recordRefused(errLoop)
		x.fail(errLoop)
		return
	}
	if err := x.handle(); err != nil && !x.begun {
		x.fail(messages.AsError(err))
	}
}

var errLoop = messages.Errorf(messages.Loop, "This server is its own upstream, or one of too many in a row.").WithHint("point --upstream at another server")

// maxHops is how many servers may stand behind one another.
const maxHops = 8

func hopsOf(h http.Header) []string {
	var hops []string
	for _, line := range h.Values(HeaderHop) {
		for hop := range strings.SplitSeq(line, ",") {
			if hop = strings.TrimSpace(hop); hop != "" {
				hops = append(hops, hop)
			}
		}
	}
	return hops
}

// handle serves the operation. An error that it returns has not been answered,
// unless the answer has begun: then nobody takes it any more.
func (x *exchange) handle() error {
	switch x.op {
	case bedrockapi.InvokeModel, bedrockapi.InvokeModelStream:
		return x.invoke()
	case bedrockapi.Converse, bedrockapi.ConverseStream:
		return x.converse()
	case bedrockapi.CountTokens:
		return x.countTokens()
	case bedrockapi.CreateMessage, bedrockapi.CreateMessageBare, bedrockapi.CountMessage, bedrockapi.CountMessageBare:
		return x.message()
	case bedrockapi.ListModels, bedrockapi.ListAnthropicModels:
		return x.control((*exchange).listModels)
	case bedrockapi.GetModel, bedrockapi.GetAnthropicModel:
		return x.control((*exchange).getModel)
	case bedrockapi.ListFoundationModels:
		return x.control((*exchange).listFoundationModels)
	case bedrockapi.GetFoundationModel:
		return x.control((*exchange).getFoundationModel)
	case bedrockapi.ListInferenceProfiles:
		return x.control((*exchange).listInferenceProfiles)
	case bedrockapi.GetInferenceProfile:
		return x.control((*exchange).getInferenceProfile)
	case bedrockapi.GetCallerIdentity:
		return x.control((*exchange).getCallerIdentity)
	default:
		if isAdmin(x.op) {
			return x.administer()
		}
		if m, changes := manage(x.op); m != nil && x.Access != nil {
			return x.managed(m, changes)
		}
		return messages.Errorf(messages.UnknownOperation, "%s is not served yet.", x.op.Name)
	}
}

// control serves an operation that is not a model call: authenticate, answer,
// record.
func (x *exchange) control(answer func(*exchange, identity.Caller, []byte) error) error {
	var caller identity.Caller
	err := errPanic // until serve has returned
	defer func() {
		x.recordControl(caller, err)
	}()
	serve := func() error {
		cred, err := x.Auth.Begin(x.r, x.authSurface())
		if err != nil {
			return err
		}
		body, err := x.readBody(x.limit(64 << 10))
		if err != nil {
			return err
		}
		if caller, err = cred.Finish(sha256.Sum256(body)); err != nil {
			return err
		}
		return answer(x, caller, body)
	}
	err = serve()
	return err
}

var errPanic = errors.New("panic")

// authSurface maps a surface to the services that a signature may name.
func (x *exchange) authSurface() identity.Surface {
	switch x.surface {
	case bedrockapi.SurfaceMessages:
		return identity.SurfaceMessages
	case bedrockapi.SurfaceSTS:
		return identity.SurfaceSTS
	case bedrockapi.SurfaceRuntime:
		return identity.SurfaceRuntime
	default:
		return identity.SurfaceControl
	}
}

func (x *exchange) region(c identity.Caller) string {
	return x.Gateway.CallRegion(c, hostRegion(x.r.Host))
}

// hostRegion reads the Region out of a Bedrock host name, as in
// bedrock-runtime.eu-west-1.amazonaws.com or bedrock-mantle.us-east-1.api.aws.
func hostRegion(host string) string {
	name, _, _ := strings.Cut(strings.ToLower(host), ":")
	service, rest, _ := strings.Cut(name, ".")
	region, domain, _ := strings.Cut(rest, ".")
	switch domain {
	case "amazonaws.com", "api.aws", "amazonaws.com.cn":
		if (strings.HasPrefix(service, "bedrock") || service == "sts") && identity.RegionName(region) {
			return region
		}
	}
	return ""
}

func newRequestID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var room [36]byte
	id := hex.AppendEncode(room[:0], b[:4])
	for _, at := range [...]int{4, 6, 8} {
		id = hex.AppendEncode(append(id, '-'), b[at:at+2])
	}
	return string(hex.AppendEncode(append(id, '-'), b[10:]))
}
