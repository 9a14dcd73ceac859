package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/gateway"
)

// jsonWriter answers with one body.
type jsonWriter struct {
	x      *exchange
	counts bool // InvokeModel's token-count headers
	meter  *gateway.Meter
	bills  bool
	count  bool // the answer is a number of tokens, which costs nothing anywhere
	body   []byte
}

func (w *jsonWriter) Begin(meta gateway.Meta, m *gateway.Meter) error {
	w.meter, w.bills = m, meta.Bills
	w.x.announce(meta)
	return nil
}

func (w *jsonWriter) Frame(f gateway.Frame) error {
	if f.Event == gateway.EventCount {
		w.count = true
		if w.x.op == bedrockapi.CountTokens {
			w.body = append(strconv.AppendInt(append(w.body, `{"inputTokens":`...), w.meter.Count, 10), '}')
			return nil
		}
	}
	w.body = f.Data
	return nil
}

func (w *jsonWriter) Flush() error {
	if w.body == nil {
		return nil
	}
	if w.counts {
		u := w.meter.Usage
		set := func(name string, n int64) { w.x.set(name, strconv.FormatInt(n, 10)) }
		set(bedrockapi.HeaderInputTokens, u.InputTokens)
		set(bedrockapi.HeaderOutputTokens, u.OutputTokens)
		if u.CacheReadInputTokens > 0 || u.CacheCreationInputTokens > 0 {
			set(bedrockapi.HeaderCacheRead, u.CacheReadInputTokens)
			set(bedrockapi.HeaderCacheWrite, u.CacheCreationInputTokens)
		}
		set(bedrockapi.HeaderLatencyMS, w.meter.Elapsed().Milliseconds())
	}
	if !w.count {
		w.x.setCost(w.meter, w.bills)
	}
	w.x.set("Content-Type", "application/json")
	w.x.set("Content-Length", strconv.Itoa(len(w.body)))
	w.x.begin(http.StatusOK)
	body := w.body
	w.body = nil
	return w.x.send(body)
}

// announce sets the headers that say who answered.
func (x *exchange) announce(meta gateway.Meta) {
	h := x.w.Header()
	for name, values := range meta.Header { // AWS's own; what this surface sets wins
		if passes(name) {
			h[name] = values
		}
	}
	x.set("X-Outcrop-Region", meta.Region)
	for _, warning := range meta.Warnings {
		h.Add("X-Outcrop-Warning", headerSafe(warning))
	}
	x.dropped(meta.Dropped)
	if meta.Estimate {
		x.set("X-Outcrop-Estimate", "true")
	}
	if meta.Bills {
		x.answeredAs(meta.RequestID)
	}
	for _, name := range []string{bedrockapi.HeaderServiceTier, bedrockapi.HeaderLatency} {
		if asked := x.r.Header.Get(name); asked != "" && h.Get(name) == "" { // AWS says what it gave, which may be less
			x.set(name, asked)
		}
	}
}

// passes says that a header of the upstream's answer is for the client: it is not
// of the upstream's connection or host, or of the form of its body, or Outcrop's.
func passes(name string) bool {
	switch name {
	case "Date", "Server", "Via", "Alt-Svc", "Set-Cookie", "Strict-Transport-Security", "Request-Id", bedrockapi.HeaderRequestID:
		return false
	default:
		return !strings.HasPrefix(name, "Content-") && !strings.HasPrefix(name, "Access-Control-") && !strings.HasPrefix(name, "X-Outcrop-")
	}
}

// answeredAs tells the client AWS's own id of the call, if there is one: what
// AWS's support asks for. Ours stays in x-outcrop-request-id.
func (x *exchange) answeredAs(id string) {
	if id == "" {
		return
	}
	x.set(bedrockapi.HeaderRequestID, id)
	h := x.w.Header()
	h["Request-Id"] = h[bedrockapi.HeaderRequestID]
}
