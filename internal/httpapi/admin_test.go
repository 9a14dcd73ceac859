package httpapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// administered is a front door over a real data folder and a real activity log.
type administered struct {
	*setup
	t      testing.TB
	folder *datadir.Folder
	admin  sigv4.Credentials
	audit  *journal
	asked  int
}

func newAdministered(t testing.TB) *administered {
	t.Helper()
	a := &administered{setup: newSetup(t, scripted.Scenario{}), t: t, audit: &journal{}}
	now := func() time.Time { return a.Clock }
	var err error
	if a.folder, err = datadir.Open(filepath.Join(t.TempDir(), "data"), datadir.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.folder.Close() })
	if a.admin, _, err = a.folder.FirstKey(); err != nil {
		t.Fatal(err)
	}
	a.Auth.Keys, a.Keys = a.folder, a.folder
	a.Gateway.Limits = &limit.Counters{Now: now}
	a.Gateway.Journal = a.audit
	a.Prices = func(model string) (any, error) {
		if model == "unknown" {
			return nil, messages.Errorf(messages.NotFound, "no such model")
		}
		return map[string]string{"model": model}, nil
	}
	return a
}

// as is how a request proves who sends it.
type as func(t testing.TB, a *administered, req *http.Request, body string)

func signed(c sigv4.Credentials) as {
	return func(t testing.TB, a *administered, req *http.Request, body string) {
		t.Helper()
		sum := sha256.Sum256([]byte(body))
		if err := new(sigv4.Signer).Sign(req, hex.EncodeToString(sum[:]), c, "us-west-2", "bedrock", a.Clock); err != nil {
			t.Fatal(err)
		}
	}
}

func bearer(key string) as {
	return func(_ testing.TB, _ *administered, req *http.Request, _ string) {
		req.Header.Set("Authorization", "Bearer "+key)
	}
}

func nobody(testing.TB, *administered, *http.Request, string) {}

func (a *administered) ask(who as, method, path, body string, header ...string) *httptest.ResponseRecorder {
	a.t.Helper()
	a.asked++
	req := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
	if body == "" {
		req.Body = http.NoBody
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	who(a.t, a, req, body)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, req)
	return w
}

// must reads an answer with that status.
func (a *administered) must(who as, status int, method, path, body string, into any) {
	a.t.Helper()
	w := a.ask(who, method, path, body)
	if w.Code != status {
		a.t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, w.Code, w.Body, status)
	}
	if into == nil {
		return
	}
	dec := json.NewDecoder(w.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// refuses is like must, of an error.
func (a *administered) refuses(who as, status int, exception, words, method, path, body string) {
	a.t.Helper()
	w := a.ask(who, method, path, body)
	var e struct{ Message string }
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != status || w.Header().Get("X-Amzn-Errortype") != exception || !strings.Contains(e.Message, words) {
		a.t.Errorf("%s %s %.100s: %d %s %s, want %d %s %q", method, path, body, w.Code, w.Header().Get("X-Amzn-Errortype"), w.Body, status, exception, words)
	}
}

// A key's life, from the admin API alone.
func TestAdminKeys(t *testing.T) {
	a := newAdministered(t)
	admin := signed(a.admin)
	var made httpapi.MadeKey
	a.must(admin, 201, "POST", "/outcrop/v1/keys", `{"name":"ci","region":"eu-west-1","limits":{"requests_per_minute":60,"usd_per_day":"5","usd_per_month":12.5},"allow_regions":["eu-west-1"]}`, &made)
	want := identity.Settings{Limits: limit.Limits{RequestsPerMinute: 60, Day: 5e9, Month: 12.5e9}, AllowRegions: []string{"eu-west-1"}}
	if made.Kind != identity.AccessKeyKind || made.Secret == "" || made.APIKey != "" || !reflect.DeepEqual(made.Settings, want) || made.ARN != "arn:aws:iam::"+account(t, a)+":user/ci" {
		t.Errorf("%+v", made)
	}
	ci := signed(sigv4.Credentials{AccessKeyID: made.ID, SecretAccessKey: made.Secret})
	a.must(ci, 200, "GET", "/foundation-models", "", nil)
	a.refuses(ci, 403, "AccessDeniedException", "User: "+made.ARN+" is not authorized to perform: outcrop:ListKeys because no identity-based policy allows the outcrop:ListKeys action", "GET", "/outcrop/v1/keys", "")

	// What is not named stays as it is.
	var k identity.Key
	a.must(admin, 200, "PATCH", "/outcrop/v1/keys/"+made.ID, `{"role":"administrator","limits":{"requests_per_minute":0,"concurrent_streams":-1},"activity":"metadata"}`, &k)
	want.Role, want.Activity = identity.RoleAdministrator, activity.Metadata
	want.Limits.RequestsPerMinute, want.Limits.Streams = 0, limit.None
	if !reflect.DeepEqual(k.Settings, want) || k.ID != made.ID {
		t.Errorf("%+v, want %+v", k, want)
	}
	var list httpapi.KeyList
	a.must(ci, 200, "GET", "/outcrop/v1/keys", "", &list)
	if len(list.Keys) != 2 || !reflect.DeepEqual(list.Keys[1], k) {
		t.Errorf("%+v", list)
	}
	a.must(ci, 200, "GET", "/outcrop/v1/keys/"+made.ID, "", &k)

	// An API key of an administrator works as well; it ends.
	var api httpapi.MadeKey
	expires := a.Clock.Add(time.Hour).Format(time.RFC3339)
	a.must(ci, 201, "POST", "/outcrop/v1/keys", `{"kind":"API key","name":"laptop","role":"administrator","expires":"`+expires+`"}`, &api)
	if !strings.HasPrefix(api.APIKey, "ABSK") || api.Secret != "" || api.Expires.Format(time.RFC3339) != expires {
		t.Errorf("%+v", api)
	}
	a.must(bearer(api.APIKey), 200, "GET", "/outcrop/v1/keys", "", &list)
	if w := a.ask(bearer(api.APIKey), "GET", "/outcrop/v1/keys", ""); strings.Contains(w.Body.String(), made.Secret) || strings.Contains(w.Body.String(), api.APIKey) || w.Header().Get("Cache-Control") != "no-store" {
		t.Error("a list tells secrets, or may be kept")
	}

	a.must(admin, 200, "DELETE", "/outcrop/v1/keys/"+made.ID, "", nil)
	a.refuses(ci, 403, "UnrecognizedClientException", "", "GET", "/outcrop/v1/keys", "")
	for method, body := range map[string]string{"GET": "", "PATCH": "{}", "DELETE": ""} {
		a.refuses(admin, 404, "ResourceNotFoundException", "There is no key with the id", method, "/outcrop/v1/keys/"+made.ID, body)
	}
	a.Clock = a.Clock.Add(time.Hour)
	a.refuses(bearer(api.APIKey), 403, "AccessDeniedException", "Authentication failed", "GET", "/outcrop/v1/keys", "")
}

func account(t testing.TB, a *administered) string {
	t.Helper()
	id, err := a.folder.Account()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Nobody can lock everybody out from afar.
func TestLastAdministrator(t *testing.T) {
	a := newAdministered(t)
	admin := signed(a.admin)
	path := "/outcrop/v1/keys/" + a.admin.AccessKeyID
	last := func() {
		t.Helper()
		a.refuses(admin, 400, "ConflictException", "the last key of an administrator", "DELETE", path, "")
		a.refuses(admin, 400, "ConflictException", "the last key of an administrator", "PATCH", path, `{"role":"caller"}`)
	}
	last()
	a.must(admin, 201, "POST", "/outcrop/v1/keys", `{"name":"caller"}`, nil)
	a.must(admin, 201, "POST", "/outcrop/v1/keys", `{"kind":"API key","name":"ends","role":"administrator","expires":"2026-12-01T00:00:00Z"}`, nil)
	last()
	a.must(admin, 200, "PATCH", path, `{"limits":{"requests_per_minute":1000}}`, nil)
	var other httpapi.MadeKey
	a.must(admin, 201, "POST", "/outcrop/v1/keys", `{"name":"other","role":"administrator"}`, &other)
	a.must(admin, 200, "PATCH", path, `{"role":"caller"}`, nil)
	a.refuses(admin, 403, "AccessDeniedException", "outcrop:RevokeKey", "DELETE", path, "")
	a.must(signed(sigv4.Credentials{AccessKeyID: other.ID, SecretAccessKey: other.Secret}), 200, "DELETE", path, "", nil)
}

// everything is a request for each operation of the admin API.
var everything = []struct{ operation, method, path, body string }{
	{"ListKeys", "GET", "/outcrop/v1/keys", ""},
	{"CreateKey", "POST", "/outcrop/v1/keys", `{"name":"x"}`},
	{"GetKey", "GET", "/outcrop/v1/keys/ID", ""},
	{"UpdateKey", "PATCH", "/outcrop/v1/keys/ID", `{"activity":"full"}`},
	{"ListLimits", "GET", "/outcrop/v1/limits", ""},
	{"GetLimits", "GET", "/outcrop/v1/limits/ID", ""},
	{"SetLimits", "PATCH", "/outcrop/v1/limits/ID", `{"requests_per_minute":500}`},
	{"ListAccess", "GET", "/outcrop/v1/access", ""},
	{"ListPrices", "GET", "/outcrop/v1/prices?model=m", ""},
	{"GetUsage", "GET", "/outcrop/v1/usage?by=key,model&since=2026-11-01T00:00:00Z", ""},
	{"ListLogs", "GET", "/outcrop/v1/logs?status=failed&limit=5", ""},
	{"GetLog", "GET", "/outcrop/v1/logs/some-id", ""},
	{"GetHealth", "GET", "/outcrop/v1/health", ""},
	{"RevokeKey", "DELETE", "/outcrop/v1/keys/ID", ""},
}

// Each operation is for administrators alone, and each call to it is in the
// activity log, whoever made it and whatever came of it.
func TestAdminIsForAdministrators(t *testing.T) {
	a := newAdministered(t)
	callerKey, callerSecret, err := a.folder.Create(identity.NewKey{Kind: identity.AccessKeyKind, Name: "caller"})
	if err != nil {
		t.Fatal(err)
	}
	_, apiSecret, err := a.folder.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: "caller"})
	if err != nil {
		t.Fatal(err)
	}
	short, err := sigv4.PresignAPIKey(a.admin, "us-west-2", a.Clock, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	wrong := a.admin
	wrong.SecretAccessKey += "x"
	for _, who := range []struct {
		name      string
		as        as
		exception string
	}{
		{"a caller", signed(sigv4.Credentials{AccessKeyID: callerKey.ID, SecretAccessKey: callerSecret.Reveal()}), "AccessDeniedException"},
		{"a caller's API key", bearer(apiSecret.Reveal()), "AccessDeniedException"},
		{"a short-term key of the administrator's", bearer(short), "AccessDeniedException"},
		{"nobody", nobody, "MissingAuthenticationTokenException"},
		{"a wrong signature", signed(wrong), "InvalidSignatureException"},
		{"x-api-key", func(_ testing.TB, _ *administered, req *http.Request, _ string) {
			req.Header.Set("X-Api-Key", apiSecret.Reveal())
		}, "MissingAuthenticationTokenException"},
	} {
		for _, op := range everything {
			before := len(a.audit.records)
			a.refuses(who.as, 403, who.exception, "", op.method, strings.Replace(op.path, "ID", callerKey.ID, 1), op.body)
			if len(a.audit.records) != before+1 || a.audit.records[before].Operation != "outcrop:"+op.operation || a.audit.records[before].ErrorCode != who.exception {
				t.Errorf("%s, %s: %+v", who.name, op.operation, a.audit.records[before:])
			}
		}
	}
	if keys, err := a.folder.List(); err != nil || len(keys) != 3 {
		t.Errorf("%+v, %v", keys, err)
	}
	// Who need not prove anything administrates nothing.
	a.Auth.SkipAuth = true
	for _, op := range everything {
		a.refuses(nobody, 403, "AccessDeniedException", "outcrop:"+op.operation, op.method, strings.Replace(op.path, "ID", callerKey.ID, 1), op.body)
	}
	a.Auth.SkipAuth = false

	// And the administrator may do each of them.
	a.Archive = activity.NewArchive(filepath.Join(t.TempDir(), "none"), nil)
	for _, op := range everything {
		before := len(a.audit.records)
		w := a.ask(signed(a.admin), op.method, strings.Replace(op.path, "ID", callerKey.ID, 1), op.body)
		want := map[string]int{"CreateKey": 201, "GetLog": 404}[op.operation]
		if want == 0 {
			want = 200
		}
		if w.Code != want {
			t.Errorf("%s: %d %s", op.operation, w.Code, w.Body)
		}
		if len(a.audit.records) != before+1 {
			t.Fatalf("%s: %d records", op.operation, len(a.audit.records)-before)
		}
		rec := a.audit.records[before]
		if rec.Operation != "outcrop:"+op.operation || rec.Status != want || rec.KeyID != a.admin.AccessKeyID || rec.Principal == "" {
			t.Errorf("%+v", rec)
		}
		if strings.Contains(op.path, "ID") && rec.Ref != callerKey.ID || op.operation == "CreateKey" && !strings.HasPrefix(rec.Ref, "AKIA") {
			t.Errorf("%s is recorded as about %q", op.operation, rec.Ref)
		}
		var made httpapi.MadeKey
		if op.operation == "CreateKey" {
			if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || made.Secret == "" {
				t.Fatal(err)
			}
			if text, err := json.Marshal(rec); err != nil || strings.Contains(string(text), made.Secret) {
				t.Errorf("%s, %v", text, err)
			}
		}
	}
	names := map[string]bool{}
	for _, op := range everything {
		names[op.operation] = true
	}
	if n := httpapi.AdminOperations(); len(n) != len(names) || slices.ContainsFunc(n, func(name string) bool { return !names[strings.TrimPrefix(name, "outcrop:")] }) {
		t.Errorf("the test knows %v, the API has %v", names, n)
	}
}

// Without a store of keys the API is not there.
func TestWithoutAdmin(t *testing.T) {
	a := newAdministered(t)
	a.Keys = nil
	if w := a.ask(signed(a.admin), "GET", "/outcrop/v1/keys", ""); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	a.Keys = a.folder
	a.refuses(signed(a.admin), 404, "ResourceNotFoundException", "This server keeps no calls.", "GET", "/outcrop/v1/logs", "")
	a.Access = nil
	a.refuses(signed(a.admin), 404, "ResourceNotFoundException", "This server keeps no model access.", "GET", "/outcrop/v1/access", "")
	for _, request := range [][2]string{{"GET", "/outcrop/v1/"}, {"GET", "/outcrop/v1/keys/"}, {"GET", "/outcrop/v1/keys/a/b"}, {"PUT", "/outcrop/v1/keys"}, {"GET", "/outcrop/v2/keys"}, {"GET", "/OUTCROP/v1/keys"}, {"GET", "/outcrop/v1//keys"}, {"HEAD", "/outcrop/v1/keys"}} {
		if w := a.ask(signed(a.admin), request[0], request[1], ""); w.Code != 404 {
			t.Errorf("%v: %d %s", request, w.Code, w.Body)
		}
	}
}

// What cannot be meant is refused by name, and nothing is changed.
func TestAdminRefuses(t *testing.T) {
	a := newAdministered(t)
	admin := signed(a.admin)
	k, _, err := a.folder.Create(identity.NewKey{Kind: identity.AccessKeyKind, Name: "k", Settings: identity.Settings{Activity: activity.None}})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := a.folder.List()
	key := "/outcrop/v1/keys/" + k.ID
	limits := "/outcrop/v1/limits/" + k.ID
	for _, test := range []struct{ method, path, body, words string }{
		{"POST", "/outcrop/v1/keys", ``, "is not a name"},
		{"POST", "/outcrop/v1/keys", `[]`, "not a JSON object"},
		{"POST", "/outcrop/v1/keys", `{"name":"a"`, "Malformed input request"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","name":"b"}`, "Malformed input request"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","Name":"b"}`, "Malformed input request"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","limits":{"usd_per_day":"1","usd_per_day":"100"}}`, "Malformed input request"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","secret":"mine"}`, `unknown field \"secret\"`},
		{"POST", "/outcrop/v1/keys", `{"name":5}`, "#/name: expected string"},
		{"POST", "/outcrop/v1/keys", `{"name":"../../etc"}`, "is not a name"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","region":"mars"}`, "is not a Region's name"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","kind":"password"}`, `The kind \"password\" is none of`},
		{"POST", "/outcrop/v1/keys", `{"name":"a","role":"root"}`, "is none of caller, administrator"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","role":1}`, "#/role: expected string"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","expires":"2026-12-01T00:00:00Z"}`, "An access key does not end"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","kind":"API key","expires":"2020-01-01T00:00:00Z"}`, "would never be valid"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","kind":"API key","expires":"tomorrow"}`, "Malformed input request"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","allow_regions":["mars-north-1"]}`, `unknown Region \"mars-north-1\"`},
		{"POST", "/outcrop/v1/keys", `{"name":"a","limits":{"requests_per_minute":1.5}}`, "#/limits/requests_per_minute: expected integer"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","limits":{"requests_per_minute":-2}}`, "requests_per_minute: a limit is above 0"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","limits":{"usd_per_day":"1e9"}}`, "is not an amount of dollars"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","limits":{"usd_per_day":1e-99999999}}`, "is not an amount of dollars"},
		{"POST", "/outcrop/v1/keys", `{"name":"a","activity":"none","limits":{"usd_per_day":1}}`, "needs the records of what was spent"},
		{"PATCH", key, `{"id":"AKIAOTHER"}`, `unknown field \"id\"`},
		{"PATCH", key, `{"name":"other"}`, `unknown field \"name\"`},
		{"PATCH", key, `{"deny_regions":["us-east-99"]}`, "unknown Region"},
		{"PATCH", key, `{"limits":{"usd_per_month":5}}`, "needs the records of what was spent"},
		{"PATCH", key, `null`, "not a JSON object"},
		{"PATCH", limits, `{"limits":{}}`, `unknown field \"limits\"`},
		{"PATCH", limits, `{"usd_per_day":"many"}`, "is not an amount of dollars"},
		{"PATCH", limits, `{"concurrent_streams":99999999999999999999}`, "Malformed input request"},
		{"POST", "/outcrop/v1/keys?name=a", `{"name":"a"}`, `The parameter \"name\" is not known`},
		{"GET", "/outcrop/v1/logs?limit=0", ``, "The parameter limit: a number from 1 to 1000."},
		{"GET", "/outcrop/v1/logs?limit=1001", ``, "The parameter limit"},
		{"GET", "/outcrop/v1/logs?limit=1&limit=2", ``, "is given more than once"},
		{"GET", "/outcrop/v1/logs?status=6xx", ``, "The parameter status"},
		{"GET", "/outcrop/v1/logs?since=yesterday", ``, "The parameter since"},
		{"GET", "/outcrop/v1/logs?min_cost=x", ``, "The parameter min_cost"},
		{"GET", "/outcrop/v1/usage?by=colour", ``, "The parameter by"},
		{"GET", "/outcrop/v1/usage?by=" + strings.Repeat("day,", 500) + "day", ``, "The parameter by: more than there are."},
		{"GET", "/outcrop/v1/usage?by=session,tag", ``, "not by both together"},
		{"GET", "/outcrop/v1/usage?zone=../../etc/passwd", ``, "The parameter zone"},
		{"GET", "/outcrop/v1/usage?zone=Local", ``, "The parameter zone"},
	} {
		a.Archive = activity.NewArchive(filepath.Join(t.TempDir(), "none"), nil)
		// The words stand in a JSON string.
		w := a.ask(admin, test.method, test.path, test.body)
		if w.Code != 400 || !strings.Contains(w.Body.String(), test.words) {
			t.Errorf("%s %.80s %s: %d %s, want %s", test.method, test.path, test.body, w.Code, w.Body, test.words)
		}
	}
	if w := a.ask(admin, "POST", "/outcrop/v1/keys", `{"name":"`+strings.Repeat("a", 70<<10)+`"}`); w.Code != 400 || !strings.Contains(w.Body.String(), "less than or equal to 65536") {
		t.Errorf("%d %.200s", w.Code, w.Body)
	}
	if w := a.ask(admin, "POST", "/outcrop/v1/keys", `{"name":"a"}`, "Content-Encoding", "gzip"); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if _, api, err := a.folder.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: "k", Settings: identity.Settings{Role: identity.RoleAdministrator}}); err != nil {
		t.Fatal(err)
	} else {
		a.refuses(bearer(api.Reveal()), 400, "ValidationException", "The query cannot be read", "GET", "/outcrop/v1/logs?since=%zz", "")
		before, _ = a.folder.List()
	}
	a.refuses(admin, 404, "ResourceNotFoundException", "There is no key", "GET", "/outcrop/v1/keys/"+strings.Repeat("A", 4000), "")
	a.refuses(admin, 404, "ResourceNotFoundException", "There is no key", "GET", "/outcrop/v1/keys/..%2f..%2fkeys", "")
	a.refuses(admin, 404, "ResourceNotFoundException", "no such model", "GET", "/outcrop/v1/prices?model=unknown", "")
	if after, err := a.folder.List(); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("%+v, %v: something was changed", after, err)
	}
	for _, r := range a.audit.records {
		if len(r.Ref) > 2100 {
			t.Errorf("a record of %d bytes", len(r.Ref))
		}
	}
}

// FuzzAdmin: whatever is asked, there is an answer that is no fault of ours, and
// whoever is not an administrator changes nothing.
func FuzzAdmin(f *testing.F) {
	for _, op := range everything {
		f.Add(op.method, op.path, op.body, true)
		f.Add(op.method, op.path, op.body, false)
	}
	f.Add("PATCH", "/outcrop/v1/keys/ID", `{"limits":{"usd_per_day":"9223372036.854775808"}}`, true)
	f.Add("GET", "/outcrop/v1/usage?by=hour&zone=America/St_Johns", "", true)
	f.Fuzz(func(t *testing.T, method, path, body string, admin bool) {
		req, err := http.NewRequest(method, "http://127.0.0.1"+path, nil)
		if err != nil || !strings.HasPrefix(req.URL.EscapedPath(), "/outcrop/v1/") || method == "CONNECT" {
			t.Skip()
		}
		a := newAdministered(t)
		a.Archive = activity.NewArchive(filepath.Join(t.TempDir(), "none"), nil)
		k, secret, err := a.folder.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: "k"})
		if err != nil {
			t.Fatal(err)
		}
		before, _ := a.folder.List()
		who := bearer(secret.Reveal())
		if admin {
			if k, secret, err = a.folder.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: "a", Settings: identity.Settings{Role: identity.RoleAdministrator}}); err != nil {
				t.Fatal(err)
			}
			who = bearer(secret.Reveal())
		}
		req, err = http.NewRequest(method, "http://127.0.0.1"+strings.ReplaceAll(path, "ID", k.ID), strings.NewReader(body))
		if err != nil {
			t.Skip()
		}
		who(t, a, req, body)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, req)
		if w.Code >= 500 || w.Code < 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if after, err := a.folder.List(); !admin && (w.Code < 400 || err != nil || !reflect.DeepEqual(after, before)) {
			t.Fatalf("a caller: %d %s", w.Code, w.Body)
		}
	})
}
