package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// adminPrefix is of the paths of the admin API, which is not AWS's.
const adminPrefix = "/outcrop/v1/"

// adminNames begins the names of its operations, in records and in refusals.
const adminNames = "outcrop:"

// admin is an operation of the admin API.
type admin struct {
	*bedrockapi.Operation
	query []string // parameters that it knows
	serve func(*exchange, identity.Caller, []byte) error
}

func adminOp(name, method, path string, serve func(*exchange, identity.Caller, []byte) error, query ...string) admin {
	success := http.StatusOK
	if method == http.MethodPost {
		success = http.StatusCreated
	}
	return admin{bedrockapi.NewOperation(bedrockapi.SurfaceControl, adminNames+name, method, adminPrefix+path, success), query, serve}
}

// admins is the admin API. It is served where there are Keys.
var admins = []admin{
	adminOp("ListKeys", "GET", "keys", (*exchange).listKeys),
	adminOp("CreateKey", "POST", "keys", (*exchange).createKey),
	adminOp("GetKey", "GET", "keys/{keyId}", (*exchange).getKey),
	adminOp("UpdateKey", "PATCH", "keys/{keyId}", (*exchange).updateKey),
	adminOp("RevokeKey", "DELETE", "keys/{keyId}", (*exchange).revokeKey),
	adminOp("ListLimits", "GET", "limits", (*exchange).listLimits),
	adminOp("GetLimits", "GET", "limits/{keyId}", (*exchange).getLimits),
	adminOp("SetLimits", "PATCH", "limits/{keyId}", (*exchange).setLimits),
	adminOp("ListAccess", "GET", "access", (*exchange).listAccess),
	adminOp("ListPrices", "GET", "prices", (*exchange).listPrices, "model"),
	adminOp("GetUsage", "GET", "usage", (*exchange).getUsage, "by", "since", "until", "key", "model", "region", "endpoint", "session", "tag", "zone"),
	adminOp("ListLogs", "GET", "logs", (*exchange).listLogs, "since", "until", "key", "model", "region", "operation", "session", "status", "min_cost", "max_cost", "limit"),
	adminOp("GetLog", "GET", "logs/{requestId}", (*exchange).getLog),
	adminOp("GetHealth", "GET", "health", (*exchange).getHealth),
}

// isAdmin says that an operation is of the admin API.
func isAdmin(op *bedrockapi.Operation) bool {
	return op != nil && strings.HasPrefix(op.Name, adminNames)
}

// operation finds what a request asks for; nil: nothing that is served.
func (s *Server) operation(method, path string) (op *bedrockapi.Operation, label string) {
	if strings.HasPrefix(path, adminPrefix) {
		if s.Keys == nil {
			return nil, ""
		}
		for _, a := range admins {
			if label, ok := a.Match(method, path); ok {
				return a.Operation, label
			}
		}
		return nil, ""
	}
	for _, op := range bedrockapi.Operations() {
		if label, ok := op.Match(method, path); ok {
			return op, label
		}
	}
	return nil, ""
}

// administer serves an operation of the admin API: for administrators alone, and
// with a record whatever comes of it.
func (x *exchange) administer() error {
	x.about(x.label)
	i := slices.IndexFunc(admins, func(a admin) bool { return a.Operation == x.op })
	return x.control(func(x *exchange, caller identity.Caller, body []byte) error {
		if !caller.Administrator() {
			return messages.Errorf(messages.AccessDenied, "User: %s is not authorized to perform: %[2]s because no identity-based policy allows the %[2]s action", caller.ARN, x.op.Name).
				WithHint("this needs the key of an administrator, and no short-term one")
		}
		if err := knownQuery(x.r.URL, admins[i].query); err != nil {
			return err
		}
		x.w.Header().Set("Cache-Control", "no-store")
		return admins[i].serve(x, caller, body)
	})
}

// knownQuery refuses what would be left undone in silence.
func knownQuery(u *url.URL, known []string) error {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return messages.Errorf(messages.InvalidRequest, "The query cannot be read.").WithCause(err)
	}
	for name, values := range q {
		switch {
		case !slices.Contains(known, name):
			return messages.Errorf(messages.InvalidRequest, "The parameter %q is not known; %s", name, "known are: "+strings.Join(known, ", "))
		case len(values) > 1:
			return messages.Errorf(messages.InvalidRequest, "The parameter %q is given more than once.", name)
		}
	}
	return nil
}

// AdminOperations names the operations of the admin API, as records do.
func AdminOperations() []string {
	names := make([]string, len(admins))
	for i, a := range admins {
		names[i] = a.Name
	}
	return names
}
