package httpapi

import (
	"net/http"
	"net/netip"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// HealthRow is one member of /healthz.
type HealthRow struct {
	Name  string
	Value string
}

// healthz needs no credentials and says nothing that the banner would not.
func (x *exchange) healthz() {
	if !x.reads() {
		return
	}
	rows := []HealthRow{{"status", "ok"}, {"version", x.Version}, {"upstream", x.Gateway.Upstream.Name()}}
	if x.Health != nil {
		rows = append(rows, x.Health()...)
	}
	body := []byte{'{'}
	for i, row := range rows {
		if i > 0 {
			body = append(body, ',')
		}
		body = messages.AppendString(body, row.Name)
		body = append(body, ':')
		body = messages.AppendString(body, row.Value)
	}
	x.reply("application/json", append(body, "}\n"...))
}

// reads refuses what is neither GET nor HEAD.
func (x *exchange) reads() bool {
	if x.r.Method == http.MethodGet || x.r.Method == http.MethodHead {
		return true
	}
	x.w.Header().Set("Allow", "GET, HEAD")
	http.Error(x.w, "GET or HEAD", http.StatusMethodNotAllowed)
	return false
}

// readyz is for load balancers: a server that is about to stop takes calls still,
// and asks for no more; one that cannot answer any says so.
func (x *exchange) readyz() {
	var ready error
	if x.Ready != nil {
		ready = x.Ready()
	}
	switch {
	case !x.reads():
	case x.Leaving != nil && x.Leaving.Load():
		http.Error(x.w, "leaving", http.StatusServiceUnavailable)
	case ready != nil:
		http.Error(x.w, ready.Error(), http.StatusServiceUnavailable)
	default:
		x.reply("text/plain; charset=utf-8", []byte("ready\n"))
	}
}

// metrics needs no credentials, so that it is for this machine alone unless the
// operator says otherwise. What a proxy brings is from elsewhere.
func (x *exchange) metrics() {
	from, err := netip.ParseAddrPort(x.r.RemoteAddr)
	here := err == nil && from.Addr().Unmap().IsLoopback()
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "Via"} {
		here = here && x.r.Header.Get(name) == ""
	}
	switch {
	case x.Metrics == nil:
		http.Error(x.w, "metrics are off", http.StatusNotFound)
	case !here && !x.Outside:
		http.Error(x.w, "metrics are for this machine alone; serve --metrics=all opens them", http.StatusForbidden)
	case x.reads():
		x.Metrics.ServeHTTP(x.w, x.r)
	default: // refused
	}
}
