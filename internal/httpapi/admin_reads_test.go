package httpapi_test

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

func TestAdminLimits(t *testing.T) {
	a := newAdministered(t)
	a.Gateway.KeyLimits = limit.Limits{RequestsPerMinute: 2, TokensPerMinute: 5000}
	admin := signed(a.admin)
	var made httpapi.MadeKey
	a.must(admin, 201, "POST", "/outcrop/v1/keys", `{"name":"ci","limits":{"concurrent_streams":3}}`, &made)
	ci := signed(sigv4.Credentials{AccessKeyID: made.ID, SecretAccessKey: made.Secret})
	path := "/outcrop/v1/limits/" + made.ID
	invoke := func() *httptest.ResponseRecorder {
		t.Helper()
		return a.ask(ci, "POST", "/model/global.anthropic.claude-opus-4-6-v1/invoke", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"hi"}]}`)
	}
	if w := invoke(); w.Code != 200 {
		t.Fatal(w.Body)
	}
	var got httpapi.KeyLimits
	a.must(admin, 200, "GET", path, "", &got)
	if got.Effective != (limit.Limits{RequestsPerMinute: 2, TokensPerMinute: 5000, Streams: 3}) || got.Limits != made.Limits || got.Used == nil || *got.Used.RequestsLeft != 1 || *got.Used.TokensLeft >= 5000 || got.Used.Today != "0.00" {
		t.Errorf("%+v %+v", got, got.Used)
	}
	// A limit counts from the next call on.
	a.must(admin, 200, "PATCH", path, `{"requests_per_minute":1}`, &got)
	if w := invoke(); w.Code != 200 {
		t.Fatal(w.Body)
	}
	w := invoke()
	if w.Code != 429 || w.Header().Get("Retry-After") != "60" || w.Header().Get("X-Should-Retry") != "" || !strings.Contains(w.Body.String(), "The limit of this key is 1 requests a minute; it frees in 60 s.") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	got = httpapi.KeyLimits{}
	a.must(admin, 200, "PATCH", path, `{"requests_per_minute":-1}`, &got)
	if w := invoke(); w.Code != 200 || got.Used.RequestsLeft != nil {
		t.Errorf("%d %+v", w.Code, got.Used)
	}
	var list httpapi.LimitList
	a.must(admin, 200, "GET", "/outcrop/v1/limits", "", &list)
	if list.Server != a.Gateway.KeyLimits || len(list.Keys) != 2 || list.Keys[1].Effective.RequestsPerMinute != limit.None {
		t.Errorf("%+v", list)
	}
}

// Usage is of every operation that asks a model, and of no other.
func TestModelCalls(t *testing.T) {
	for _, op := range bedrockapi.Operations() {
		asks := op.Method == "POST" && (op.Surface == bedrockapi.SurfaceRuntime || op.Surface == bedrockapi.SurfaceMessages)
		if got := activity.ModelCall(op.Name); got != asks {
			t.Errorf("%s %s: %t", op.Method, op.Path, got)
		}
	}
}

// What was called, as administrators see it.
func TestAdminLogs(t *testing.T) {
	a := newAdministered(t)
	now := func() time.Time { return a.Clock }
	dir := filepath.Join(t.TempDir(), "activity")
	store, err := activity.OpenStore(dir, activity.Options{Now: now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	a.Gateway.Journal, a.Archive = store, activity.NewArchive(dir, nil)
	admin := signed(a.admin)
	w := a.ask(admin, "POST", "/model/global.anthropic.claude-opus-4-6-v1/invoke", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"the question"}]}`)
	if w.Code != 200 {
		t.Fatal(w.Body)
	}
	id := w.Header().Get("X-Amzn-Requestid")
	a.must(admin, 201, "POST", "/outcrop/v1/keys", `{"name":"x"}`, nil)
	var calls httpapi.CallList
	a.must(admin, 200, "GET", "/outcrop/v1/logs", "", &calls)
	if len(calls.Calls) != 2 || calls.Calls[0].Operation != "outcrop:CreateKey" || calls.Calls[1].RequestID != id || calls.Calls[1].Input.Body != nil {
		t.Fatalf("%+v", calls)
	}
	a.must(admin, 200, "GET", "/outcrop/v1/logs?operation=InvokeModel&status=ok&limit=1&since=2026-11-22T00:00:00Z&min_cost=0.000001", "", &calls)
	if len(calls.Calls) != 1 || calls.Calls[0].RequestID != id {
		t.Errorf("%+v", calls)
	}
	if w := a.ask(admin, "GET", "/outcrop/v1/logs/"+id, ""); w.Code != 200 || !strings.Contains(w.Body.String(), "the question") || !strings.Contains(w.Body.String(), `"schemaType":"ModelInvocationLog"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	var usage struct {
		Usage []httpapi.UsageRow `json:"usage"`
	}
	a.must(admin, 200, "GET", "/outcrop/v1/usage?by=model", "", &usage)
	if len(usage.Usage) != 1 || usage.Usage[0].By["model"] == "" {
		t.Errorf("usage of no model: %+v", usage)
	}
	a.must(admin, 200, "GET", "/outcrop/v1/usage?by=key,model&model=anthropic.claude-opus-4-6-v1", "", &usage)
	if len(usage.Usage) != 1 || usage.Usage[0].By["key"] != a.admin.AccessKeyID || usage.Usage[0].Calls != 1 || usage.Usage[0].WouldCost == "0.00" || usage.Usage[0].Billed != "0.00" {
		t.Errorf("%+v", usage)
	}
}
