package httpapi

import (
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// HealthRow is one member of /healthz.
type HealthRow struct {
	Name  string
	Value string
}

// healthz needs no credentials and says nothing that the banner would not.
func (x *exchange) healthz() {
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		x.w.Header().Set("Allow", "GET, HEAD")
		http.Error(x.w, "GET or HEAD", http.StatusMethodNotAllowed)
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
