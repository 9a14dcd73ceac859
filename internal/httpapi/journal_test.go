package httpapi_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// journal keeps records in memory.
type journal struct {
	mu      sync.Mutex
	records []activity.Record
	opened  int
}

func (j *journal) Open(context.Context, activity.Opening) (*activity.Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.opened++
	return &activity.Entry{}, nil
}

func (j *journal) Record(r activity.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, r)
}

// Every call that is refused is in the activity log, once, wherever it was
// refused; of calls about no model those that change something are.
func TestRefusedIsKept(t *testing.T) {
	s := newSetup(t, scripted.Scenario{})
	j := &journal{}
	s.Gateway.Journal = j
	const invoke = "/model/global.anthropic.claude-opus-4-6-v1:0/invoke"
	logging := `{"loggingConfig":{"s3Config":{"bucketName":"%s"}}}`
	for _, c := range []struct {
		name, method, path, body, auth string
		header                         []string
		want                           string // "": not in the log
	}{
		{"no credentials", "POST", invoke, "{}", "none", nil, "403 InvokeModel"},
		{"a wrong signature", "POST", invoke, "{}", "wrong", nil, "403 InvokeModel"},
		{"an unknown key", "POST", invoke, "{}", "unknown", nil, "403 InvokeModel"},
		{"no route", "GET", "/nowhere", "", "", nil, "404 UnknownOperation GET /nowhere"},
		{"an encoding", "POST", invoke, "{}", "", []string{"Content-Encoding", "br"}, "400 InvokeModel"},
		{"too large", "POST", invoke, strings.Repeat(" ", 2000), "", nil, "400 InvokeModel"},
		{"round and round", "POST", invoke, "{}", "", []string{"X-Outcrop-Hop", "test-hop"}, "508 InvokeModel"},
		{"no model", "POST", "/model/nothing/invoke", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`, "", nil, "400 InvokeModel"},
		{"a list", "GET", "/foundation-models", "", "", nil, ""},
		{"a list refused", "GET", "/foundation-models", "", "wrong", nil, "403 ListFoundationModels"},
		{"a change", "PUT", "/logging/modelinvocations", strings.Replace(logging, "%s", "invocation-logs", 1), "", nil, "200 PutModelInvocationLoggingConfiguration"},
		{"a change refused", "PUT", "/logging/modelinvocations", strings.Replace(logging, "%s", "other", 1), "", nil, "400 PutModelInvocationLoggingConfiguration"},
	} {
		s.MaxBody = 1000
		j.records = nil
		req := httptest.NewRequest(c.method, "http://outcrop.test"+c.path, strings.NewReader(c.body))
		req.Header.Set("X-Test-Auth", c.auth)
		for i := 0; i+1 < len(c.header); i += 2 {
			req.Header.Set(c.header[i], c.header[i+1])
		}
		s.sign(t, req, []byte(c.body))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		var got []string
		for _, r := range j.records {
			line := strconv.Itoa(r.Status) + " " + r.Operation
			if r.Operation == "UnknownOperation" {
				line += " " + r.Ref
			}
			got = append(got, line)
			if r.RequestID != w.Header().Get("X-Outcrop-Request-Id") || r.Status != w.Code || r.Status >= 400 && r.ErrorCode == "" {
				t.Errorf("%s: %+v, answered %d", c.name, r, w.Code)
			}
		}
		want := []string{c.want}
		if c.want == "" {
			want = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: recorded %q, want %q", c.name, got, want)
		}
	}
	if j.opened != 0 {
		t.Errorf("%d calls were opened", j.opened)
	}
}
