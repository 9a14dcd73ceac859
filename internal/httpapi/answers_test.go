package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// send signs a request and gives its answer with the body read.
func (s *setup) send(t testing.TB, base, method, path, body string, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	s.sign(t, req, []byte(body))
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, raw
}

const (
	invokePath  = "/model/global.anthropic.claude-opus-4-6-v1/invoke"
	messagePath = "/anthropic/v1/messages"
	invokeBody  = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`
)

// TestHeadersOnEveryAnswer: the request id in both spellings, who answered, a
// type of content and, on a refusal, the exception.
func TestHeadersOnEveryAnswer(t *testing.T) {
	s := newSetup(t, scripted.Scenario{Rules: []scripted.Rule{{Match: scripted.Match{Text: "slow down"},
		Answer: scripted.Answer{Error: &scripted.Fault{Exception: "ThrottlingException", Message: "later", RetryAfter: 1500 * time.Millisecond}}}}})
	s.MaxBody = 4096
	server := httptest.NewServer(s.Server)
	defer server.Close()
	big := strings.Repeat(" ", 5000)
	for _, test := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		contentType, exception   string
	}{
		{"invoke", "POST", invokePath, invokeBody, nil, 200, "application/json", ""},
		{"invoke stream", "POST", invokePath + "-with-response-stream", invokeBody, nil, 200, "application/vnd.amazon.eventstream", ""},
		{"converse", "POST", strings.Replace(invokePath, "invoke", "converse", 1), `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`, nil, 200, "application/json", ""},
		{"messages", "POST", messagePath, streams[1].body, nil, 200, "text/event-stream; charset=utf-8", ""},
		{"models", "GET", "/v1/models", "", nil, 200, "application/json", ""},
		{"profiles", "GET", "/inference-profiles", "", nil, 200, "application/json", ""},
		{"identity", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", []string{"X-Test-Service", "sts"}, 200, "text/xml", ""},
		{"health", "GET", "/healthz", "", []string{"X-Test-Auth", "none"}, 200, "application/json", ""},
		{"health, head", "HEAD", "/healthz", "", []string{"X-Test-Auth", "none"}, 200, "application/json", ""},
		{"bad body", "POST", invokePath, "{", nil, 400, "application/json", "ValidationException"},
		{"bad body, messages", "POST", messagePath, "{", nil, 400, "application/json", "ValidationException"},
		{"no credentials", "POST", invokePath, invokeBody, []string{"X-Test-Auth", "none"}, 403, "application/json", "MissingAuthenticationTokenException"},
		{"no credentials, messages", "POST", messagePath, "{}", []string{"X-Test-Auth", "none"}, 401, "application/json", "MissingAuthenticationTokenException"},
		{"no credentials, identity", "POST", "/", "x", []string{"X-Test-Auth", "none"}, 403, "text/xml", "MissingAuthenticationTokenException"},
		{"no credentials, models", "GET", "/foundation-models", "", []string{"X-Test-Auth", "none"}, 403, "application/json", "MissingAuthenticationTokenException"},
		{"too large", "POST", invokePath, big, nil, 400, "application/json", "ValidationException"},
		{"too large, messages", "POST", messagePath, big, nil, 413, "application/json", "ValidationException"},
		{"unknown model", "POST", "/model/nobody/invoke", invokeBody, nil, 400, "application/json", "ValidationException"},
		{"throttled", "POST", invokePath, strings.Replace(invokeBody, "hi", "slow down", 1), nil, 429, "application/json", "ThrottlingException"},
		{"throttled, messages", "POST", messagePath, strings.Replace(streams[1].body, "one two", "slow down", 1), nil, 429, "application/json", "ThrottlingException"},
		{"unknown path, runtime", "POST", "/model/x/embed", "", nil, 404, "application/xml", "UnknownOperationException"},
		{"unknown path, control", "DELETE", "/guardrails/x", "", nil, 404, "application/xml", "UnknownOperationException"},
		{"unknown path, messages", "POST", "/v1/messages/batches", "", nil, 404, "application/json", "UnknownOperationException"},
		{"unknown path, anthropic", "GET", "/anthropic/v2", "", nil, 404, "application/json", "UnknownOperationException"},
		{"unknown method, identity", "GET", "/", "", nil, 404, "text/xml", "UnknownOperationException"},
		{"unknown action", "POST", "/", "Action=Else", []string{"X-Test-Service", "sts"}, 404, "text/xml", "UnknownOperationException"},
		{"what Claude Code asks first", "HEAD", "/api/hello", "", []string{"X-Test-Auth", "none"}, 404, "application/xml", "UnknownOperationException"},
		{"head of an operation", "HEAD", "/foundation-models", "", nil, 404, "application/xml", "UnknownOperationException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp, raw := s.send(t, server.URL, test.method, test.path, test.body, test.header...)
			h := resp.Header
			if resp.StatusCode != test.status || h.Get("Content-Type") != test.contentType || h.Get("X-Amzn-ErrorType") != test.exception {
				t.Errorf("%d %s %s, want %d %s %s: %s", resp.StatusCode, h.Get("Content-Type"), h.Get("X-Amzn-ErrorType"), test.status, test.contentType, test.exception, raw)
			}
			id := h.Get("x-amzn-RequestId")
			if len(id) != 36 || h.Get("request-id") != id || h.Get("x-outcrop-request-id") != id {
				t.Errorf("ids %q %q %q", id, h.Get("request-id"), h.Get("x-outcrop-request-id"))
			}
			if h.Get("X-Outcrop-Upstream") != "scripted" {
				t.Errorf("upstream %q", h.Get("X-Outcrop-Upstream"))
			}
			if got, want := h.Get("Retry-After"), map[bool]string{true: "2"}[test.status == 429]; got != want {
				t.Errorf("Retry-After %q, want %q", got, want)
			}
			if test.method == "HEAD" {
				if len(raw) > 0 {
					t.Errorf("HEAD has a body: %s", raw)
				}
				return
			}
			if test.exception != "" {
				checkErrorShape(t, test.path, resp, raw)
			}
		})
	}
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// checkErrorShape holds a refusal to the shape of its surface.
func checkErrorShape(t testing.TB, path string, resp *http.Response, raw []byte) {
	t.Helper()
	switch resp.Header.Get("Content-Type") {
	case "text/xml":
		var e struct {
			XMLName xml.Name
			Error   struct{ Type, Code, Message string }
			ID      string `xml:"RequestId"`
		}
		if err := xml.Unmarshal(raw, &e); err != nil || e.XMLName.Local != "ErrorResponse" || e.Error.Code == "" || e.Error.Message == "" || e.ID == "" {
			t.Errorf("%s: %v: %s", path, err, raw)
		}
	case "application/xml":
		if string(raw) != "<UnknownOperationException/>\n" {
			t.Errorf("%s: %s", path, raw)
		}
	case "application/json":
		var e struct {
			Type  string `json:"type"`
			Error struct {
				Type    string `json:"type"`
				Message string `json:"message"`
			} `json:"error"`
			RequestID string `json:"request_id"`
			Lower     string `json:"message"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Errorf("%s: %v: %s", path, err, raw)
		}
		anthropic := e.Type == "error" && e.Error.Type != "" && e.Error.Message != "" && e.RequestID == resp.Header.Get("request-id")
		aws := e.Lower != "" && e.Type == ""
		if onMessages := strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/anthropic/"); onMessages != anthropic || onMessages == aws {
			t.Errorf("%s: %s", path, raw)
		}
	default:
		t.Errorf("%s: content type %q: %s", path, resp.Header.Get("Content-Type"), raw)
	}
}

// Tier and latency that the upstream gives are said in the answer.
func TestTierAndLatencyAreEchoed(t *testing.T) {
	s := newSetup(t, scripted.Scenario{})
	server := httptest.NewServer(s.Server)
	defer server.Close()
	for _, path := range []string{invokePath, invokePath + "-with-response-stream"} {
		resp, raw := s.send(t, server.URL, "POST", path, invokeBody, "X-Amzn-Bedrock-Service-Tier", "default", "X-Amzn-Bedrock-PerformanceConfig-Latency", "standard")
		if resp.StatusCode != 200 || resp.Header.Get("X-Amzn-Bedrock-Service-Tier") != "default" || resp.Header.Get("X-Amzn-Bedrock-PerformanceConfig-Latency") != "standard" {
			t.Errorf("%s: %d %v %s", path, resp.StatusCode, resp.Header, raw)
		}
	}
	resp, _ := s.send(t, server.URL, "POST", invokePath, invokeBody)
	if v := resp.Header.Values("X-Amzn-Bedrock-Service-Tier"); len(v) > 0 {
		t.Errorf("nobody asked for %q", v)
	}
}

func TestTokenCountHeaders(t *testing.T) {
	s := newSetup(t, scripted.Scenario{Rules: []scripted.Rule{{Answer: scripted.Answer{Usage: &scripted.Usage{InputTokens: 1, OutputTokens: 2, CacheReadInputTokens: 3, CacheCreationInputTokens: 4}}}}})
	server := httptest.NewServer(s.Server)
	defer server.Close()
	resp, _ := s.send(t, server.URL, "POST", invokePath, invokeBody)
	for name, want := range map[string]string{"Input-Token-Count": "1", "Output-Token-Count": "2", "Cache-Read-Input-Token-Count": "3", "Cache-Write-Input-Token-Count": "4", "Invocation-Latency": "0"} {
		if got := resp.Header.Get("X-Amzn-Bedrock-" + name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestMetadata: what goes into the record, and what is refused.
func TestMetadata(t *testing.T) {
	s := newSetup(t, scripted.Scenario{})
	server := httptest.NewServer(s.Server)
	defer server.Close()
	many := make([]string, 17)
	for i := range many {
		many[i] = `"k` + string(rune('a'+i)) + `":"v"`
	}
	long := strings.Repeat("a", 257)
	for name, test := range map[string]struct {
		metadata string
		want     string // in the refusal; "": accepted
	}{
		"one":                 {`{"team":"a b:_@$#=/+,-.1"}`, ""},
		"an empty value":      {`{"team":""}`, ""},
		"sixteen":             {"{" + strings.Join(many[:16], ",") + "}", ""},
		"of full length":      {`{"` + long[1:] + `":"` + long[1:] + `"}`, ""},
		"none":                {`{}`, "1 to 16 entries"},
		"seventeen":           {"{" + strings.Join(many, ",") + "}", "1 to 16 entries"},
		"a long key":          {`{"` + long + `":"v"}`, "256 characters"},
		"a long value":        {`{"k":"` + long + `"}`, "256 characters"},
		"an empty key":        {`{"":"v"}`, "1 to 256 characters"},
		"another character":   {`{"k":"a*b"}`, "regular expression pattern"},
		"beyond ASCII":        {`{"k":"\u00e9"}`, "regular expression pattern"},
		"a number":            {`{"k":1}`, "JSON object of strings"},
		"nested":              {`{"k":{"a":"b"}}`, "JSON object of strings"},
		"an array":            {`["k"]`, "JSON object of strings"},
		"null":                {`null`, "JSON object of strings"},
		"no JSON":             {`team=a`, "JSON object of strings"},
		"a key twice":         {`{"k":"a","k":"b"}`, "JSON object of strings"},
		"more than 8500":      {`{"k":"v"` + strings.Repeat(" ", 8500) + `}`, "8500"},
		"empty but there":     {` `, "JSON object of strings"},
		"a key in other case": {`{"k":"a","K":"b"}`, "JSON object of strings"},
	} {
		before := len(s.Records.Records())
		resp, raw := s.send(t, server.URL, "POST", invokePath, invokeBody, "X-Amzn-Bedrock-Request-Metadata", test.metadata)
		if (resp.StatusCode == 200) != (test.want == "") || !bytes.Contains(raw, []byte(test.want)) {
			t.Errorf("%s: %d %s, want %q", name, resp.StatusCode, raw, test.want)
		}
		for range 1000 {
			if len(s.Records.Records()) > before {
				break
			}
			time.Sleep(time.Millisecond)
		}
		r := s.Records.Records()[before]
		if r.Account != testAccount || test.want == "" && len(r.Metadata) == 0 {
			t.Errorf("%s: record %+v", name, r)
		}
	}
	// It must be signed.
	req := s.request(t, server.URL, invokePath, invokeBody)
	req.Header.Set("X-Amzn-Bedrock-Request-Metadata", `{"team":"b"}`)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 || resp.Header.Get("X-Amzn-ErrorType") != "InvalidSignatureException" {
		t.Errorf("unsigned: %d %s", resp.StatusCode, resp.Header.Get("X-Amzn-ErrorType"))
	}
	// Two values: which one would count?
	resp, raw := s.send(t, server.URL, "POST", invokePath, invokeBody, "X-Amzn-Bedrock-Trace", "ENABLED", "X-Amzn-Bedrock-Trace", "DISABLED")
	if resp.StatusCode != 400 || !bytes.Contains(raw, []byte("more than one X-Amzn-Bedrock-Trace header")) {
		t.Errorf("%d %s", resp.StatusCode, raw)
	}
}

// TestCountTokens: the input's form, strictly; the limit is the decoded body's.
func TestCountTokens(t *testing.T) {
	s := newSetup(t, scripted.Scenario{})
	s.MaxBody = 300
	server := httptest.NewServer(s.Server)
	defer server.Close()
	encode := func(body string) string {
		return `{"input":{"invokeModel":{"body":"` + base64Of(body) + `"}}}`
	}
	padded := invokeBody + strings.Repeat(" ", 300-len(invokeBody))
	for name, test := range map[string]struct{ body, want string }{
		"a body":            {encode(invokeBody), `{"inputTokens":`},
		"just fits":         {encode(padded), `{"inputTokens":`},
		"one too many":      {encode(padded + " "), "less than or equal to 300"},
		"far too many":      {encode(padded + strings.Repeat(" ", 3000)), "less than or equal to"},
		"no input":          {`{}`, "required key [input] not found"},
		"an empty input":    {`{"input":{}}`, "exactly one of"},
		"both":              {`{"input":{"invokeModel":{"body":""},"converse":{}}}`, "exactly one of"},
		"no body":           {`{"input":{"invokeModel":{}}}`, "required key [body] not found"},
		"not base64":        {`{"input":{"invokeModel":{"body":"{}"}}}`, "expected base64"},
		"null":              {`{"input":{"invokeModel":{"body":null}}}`, "expected base64"},
		"an object":         {`{"input":{"invokeModel":{"body":{}}}}`, "expected base64"},
		"input of text":     {`{"input":"x"}`, "not a JSON object"},
		"no JSON":           {`x`, "not a JSON object"},
		"a key twice":       {`{"input":{"invokeModel":{"body":"e30="},"invokeModel":{"body":"e30="}}}`, "duplicate key"},
		"another case":      {`{"Input":{"invokeModel":{"body":"e30="}}}`, "only in case"},
		"not JSON inside":   {encode("x"), "not a JSON object"},
		"missing inside":    {encode(`{"anthropic_version":"bedrock-2023-05-31","messages":[{}]}`), "required key [max_tokens] not found"},
		"an empty body":     {`{"input":{"invokeModel":{"body":""}}}`, "unexpected end of JSON"},
		"a long wrapping":   {`{"input":{"invokeModel":{"body":"` + base64Of(invokeBody) + `"}}` + strings.Repeat(" ", 1000) + `}`, `{"inputTokens":`},
		"a wrapping beyond": {`{"input":{"invokeModel":{"body":"` + base64Of(invokeBody) + `"}}` + strings.Repeat(" ", 3000) + `}`, "less than or equal to"},
	} {
		resp, raw := s.send(t, server.URL, "POST", strings.Replace(invokePath, "/invoke", "/count-tokens", 1), test.body)
		if !bytes.Contains(raw, []byte(test.want)) || (resp.StatusCode == 200) != strings.HasPrefix(test.want, "{") {
			t.Errorf("%s: %d %s, want %q", name, resp.StatusCode, raw, test.want)
		}
	}
}

// TestHops: a call that has passed this server before, or too many, is cut.
func TestHops(t *testing.T) {
	s := newSetup(t, scripted.Scenario{})
	server := httptest.NewServer(s.Server)
	defer server.Close()
	for hops, cut := range map[string]bool{
		"": false, "other": false, "a, b, c": false, "test-hop": true, "a, test-hop": true, "test-hop, b": true,
		"1,2,3,4,5,6,7,8": false, "1,2,3,4,5,6,7,8,9": true, "test-hope": false,
	} {
		resp, raw := s.send(t, server.URL, "POST", invokePath, invokeBody, "X-Outcrop-Hop", hops)
		if (resp.StatusCode == 508) != cut || !cut && resp.StatusCode != 200 {
			t.Errorf("%q: %d %s", hops, resp.StatusCode, raw)
		}
	}
	if resp, _ := s.send(t, server.URL, "POST", invokePath, invokeBody, "X-Outcrop-Hop", "a", "X-Outcrop-Hop", "test-hop"); resp.StatusCode != 508 {
		t.Errorf("in a second line: %d", resp.StatusCode)
	}
}

// TestPanicWithinAStream: what has begun is broken off, so that nobody takes it
// for whole; the record has the failure.
func TestPanicWithinAStream(t *testing.T) {
	for _, st := range streams {
		s := newSetup(t, scripted.Scenario{Rules: []scripted.Rule{{Answer: scripted.Answer{Before: func(frame int) error {
			if frame == 2 {
				panic("secret cause")
			}
			return nil
		}}}}})
		server := httptest.NewServer(s.Server)
		resp, err := http.DefaultTransport.RoundTrip(s.request(t, server.URL, st.path, st.body))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		server.Close()
		if err == nil || bytes.Contains(raw, []byte("message_stop")) || bytes.Contains(raw, []byte("unexpected error")) || bytes.Contains(raw, []byte("secret")) {
			t.Errorf("%s: %v: %s", st.name, err, raw)
		}
		if r := s.Records.Records(); len(r) != 1 || r[0].ErrorCode != "InternalServerException" || !r[0].Partial {
			t.Errorf("%s: %+v", st.name, r)
		}
	}
}

// Whole seconds, and never fewer than are to be waited.
func TestRetryAfterIsRoundedUp(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2", time.Hour: "3600"} {
		s := newSetupOver(t, failing{messages.Throttled, wait})
		server := httptest.NewServer(s.Server)
		resp, _ := s.send(t, server.URL, "POST", invokePath, invokeBody)
		server.Close()
		if got := resp.Header.Get("Retry-After"); got != want {
			t.Errorf("%v: %q, want %q", wait, got, want)
		}
	}
}

// TestModelPages walks GET /v1/models both ways and meets each model once.
func TestModelPages(t *testing.T) {
	s := newSetup(t, scripted.Scenario{})
	server := httptest.NewServer(s.Server)
	defer server.Close()
	type page struct {
		Data    []struct{ ID string }
		HasMore bool   `json:"has_more"`
		FirstID string `json:"first_id"`
		LastID  string `json:"last_id"`
	}
	get := func(query string) (p page) {
		t.Helper()
		resp, raw := s.send(t, server.URL, "GET", "/v1/models?"+query, "")
		if err := json.Unmarshal(raw, &p); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", query, resp.StatusCode, raw)
		}
		return p
	}
	all := get("limit=1000")
	if all.HasMore || len(all.Data) < 10 {
		t.Fatalf("%+v", all)
	}
	var forward, backward []string
	for query := "limit=3"; ; {
		p := get(query)
		for _, m := range p.Data {
			forward = append(forward, m.ID)
		}
		if !p.HasMore {
			break
		}
		query = "limit=3&after_id=" + p.LastID
	}
	for query := "limit=3&before_id=" + all.LastID; ; {
		p := get(query)
		for i := range p.Data {
			backward = append(backward, p.Data[len(p.Data)-1-i].ID)
		}
		if !p.HasMore {
			break
		}
		query = "limit=3&before_id=" + p.FirstID
	}
	for i, m := range all.Data {
		if forward[i] != m.ID {
			t.Errorf("forward %q", forward)
		}
		if n := len(all.Data) - 2 - i; n >= 0 && backward[n] != m.ID {
			t.Errorf("backward %q", backward)
		}
	}
	if len(forward) != len(all.Data) || len(backward) != len(all.Data)-1 {
		t.Errorf("%d forward, %d backward, of %d", len(forward), len(backward), len(all.Data))
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "after_id=nobody", "before_id=nobody", "after_id=" + all.FirstID + "&before_id=" + all.LastID} {
		if resp, raw := s.send(t, server.URL, "GET", "/v1/models?"+query, ""); resp.StatusCode != 400 {
			t.Errorf("%s: %d %s", query, resp.StatusCode, raw)
		}
	}
}
