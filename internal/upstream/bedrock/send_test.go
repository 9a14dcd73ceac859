package bedrock

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

func TestInvoke(t *testing.T) {
	f := serve(t, plain(answer1))
	u := connect(t, f)
	s, err := u.Send(t.Context(), route(t, opus46), request(t, helloBody, false))
	if err != nil {
		t.Fatal(err)
	}
	events, data, _, err := pull(s)
	if err != nil || fmt.Sprint(events) != "["+gateway.EventMessage+"]" || string(data[0]) != answer1 {
		t.Errorf("%v %s %v", events, data, err)
	}
	a := s.(Answer)
	if a.UpstreamRequestID() != awsID || a.Header().Get("X-Amzn-Bedrock-Input-Token-Count") != "3" || len(a.Warnings()) != 0 {
		t.Errorf("id %q, header %v, warnings %v", a.UpstreamRequestID(), a.Header(), a.Warnings())
	}
	got := f.one()
	if got.Path != "/model/us.anthropic.claude-opus-4-6-v1/invoke" || got.Region != "us-east-1" || got.Body != helloBody {
		t.Errorf("sent %s to %s: %s", got.Path, got.Region, got.Body)
	}
	if got.Signed.Region != "us-east-1" || got.Signed.Service != "bedrock" || got.Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("signed %v; %v", got.Signed, got.Header)
	}
}

// The frames of a stream are AWS's own bytes, checksum and padding included, and
// the event within them.
func TestInvokeStream(t *testing.T) {
	frames := chunks(events1...)
	f := serve(t, streamed(frames, nil))
	u := connect(t, f)
	s, err := u.Send(t.Context(), route(t, opus46), request(t, helloBody, true))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	events, data, wire, err := pull(s)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(wire, bytes.Join(frames, nil)) {
		t.Error("the frames are not those that came")
	}
	for i, e := range events1 {
		if string(data[i]) != e || events[i] != messages.EventType([]byte(e)) {
			t.Errorf("event %d: %s %s, want %s", i, events[i], data[i], e)
		}
	}
	if got := f.one(); got.Path != "/model/us.anthropic.claude-opus-4-6-v1/invoke-with-response-stream" || got.Header.Get("Accept") != "application/vnd.amazon.eventstream" {
		t.Errorf("%s %v", got.Path, got.Header)
	}
}

func TestConverse(t *testing.T) {
	const body = `{"messages":[{"role":"user","content":[{"text":"Hello"}]}],"inferenceConfig":{"maxTokens":100},"unmodelled":{"a":1}}`
	const reply = `{"output":{"message":{"role":"assistant","content":[{"text":"Hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}`
	var frames [][]byte
	var want []string
	for _, e := range []struct{ name, payload string }{
		{"messageStart", `{"role":"assistant","p":"abc"}`},
		{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"abcdef"}`},
		{"contentBlockStop", `{"contentBlockIndex":0,"p":"a"}`},
		{"messageStop", `{"stopReason":"end_turn"}`},
		{"metadata", `{"usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5},"metrics":{"latencyMs":7}}`},
	} {
		frames = append(frames, eventstream.AppendEvent(nil, e.name, "application/json", []byte(e.payload)))
		want = append(want, e.name+" "+e.payload)
	}
	f := serve(t, func(w http.ResponseWriter, r *http.Request, s seen) {
		if strings.HasSuffix(s.Path, "/converse-stream") {
			streamed(frames, nil)(w, r, s)
			return
		}
		plain(reply)(w, r, s)
	})
	u := connect(t, f)
	s, err := u.Send(t.Context(), route(t, opus46), requestIn(t, gateway.Converse, body, false))
	if err != nil {
		t.Fatal(err)
	}
	if events, data, _, err := pull(s); err != nil || events[0] != gateway.EventAnswer || string(data[0]) != reply {
		t.Errorf("%s %v", data, err)
	}
	if got := f.one(); got.Body != body || got.Path != "/model/us.anthropic.claude-opus-4-6-v1/converse" {
		t.Errorf("sent %s: %s", got.Path, got.Body)
	}
	s, err = u.Send(t.Context(), route(t, opus46), requestIn(t, gateway.Converse, body, true))
	if err != nil {
		t.Fatal(err)
	}
	events, data, wire, err := pull(s)
	if err != nil || !bytes.Equal(wire, bytes.Join(frames, nil)) {
		t.Errorf("%v, or other frames", err)
	}
	for i := range events {
		if got := events[i] + " " + string(data[i]); got != want[i] {
			t.Errorf("got %s, want %s", got, want[i])
		}
	}
}

func sseStream(events ...string) func(http.ResponseWriter, *http.Request, seen) {
	return func(w http.ResponseWriter, r *http.Request, _ seen) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, e := range events {
			w.Write(sse.AppendEvent(nil, messages.EventType([]byte(e)), []byte(e)))
		}
	}
}

// The Messages API, on runtime and on mantle: model and stream in the body,
// version and betas in the header.
func TestNativeMessages(t *testing.T) {
	const body = `{"model":"claude-opus-5","max_tokens":10,"messages":[{"role":"user","content":"Hi"}],"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["context-management-2025-06-27"]}`
	tests := []struct {
		name, ref string
		mantle    bool
		stream    bool
		model     string
		service   string
	}{
		{"runtime", opus5, false, false, opus5, "bedrock"},
		{"runtime, streamed", opus5, false, true, opus5, "bedrock"},
		{"mantle", "anthropic.claude-opus-5", true, false, "anthropic.claude-opus-5", "bedrock-mantle"},
		{"mantle, streamed", "anthropic.claude-opus-5", true, true, "anthropic.claude-opus-5", "bedrock-mantle"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply := plain(answer1)
			if tt.stream {
				reply = sseStream(events1...)
			}
			f := serve(t, reply)
			u := connect(t, f, func(o *Options) { o.NativeMessages = true })
			s, err := u.Send(t.Context(), routes(t, tt.ref, "us-east-1", tt.mantle)[0], request(t, body, tt.stream, "context-management-2025-06-27"))
			if err != nil {
				t.Fatal(err)
			}
			events, data, wire, err := pull(s)
			if err != nil || wire != nil {
				t.Fatalf("%v, wire %q", err, wire)
			}
			if tt.stream && (len(events) != len(events1) || string(data[3]) != events1[3]) || !tt.stream && string(data[0]) != answer1 {
				t.Errorf("%v %s", events, data)
			}
			got := f.one()
			want := `{"model":"` + tt.model + `","max_tokens":10,"messages":[{"role":"user","content":"Hi"}]`
			if tt.stream {
				want += `,"stream":true`
			}
			if got.Body != want+"}" || got.Path != "/anthropic/v1/messages" {
				t.Errorf("sent %s: %s\nwant %s}", got.Path, got.Body, want)
			}
			if got.Signed.Service != tt.service || got.Header.Get("Anthropic-Version") != "2023-06-01" || got.Header.Get("Anthropic-Beta") != "context-management-2025-06-27" {
				t.Errorf("%v %v", got.Signed, got.Header)
			}
		})
	}
}

// What may leave is an allow-list: no key, no cookie, nothing unknown.
func TestRequestHeaders(t *testing.T) {
	client := http.Header{
		"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIASOMEONE"}, "X-Api-Key": {"sk-secret"}, "Cookie": {"session=1"}, "X-Amz-Security-Token": {"token"},
		"X-Amz-Date": {"20200101T000000Z"}, "Proxy-Authorization": {"Basic x"}, "X-Forwarded-For": {"10.0.0.1"}, "X-Outcrop-Hop": {"forged"}, "X-Stainless-Os": {"Linux"}, "Host": {"elsewhere"},
		"Content-Type": {"application/octet-stream"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"me"}, "X-Amzn-Bedrock-Accept": {"*/*"},
		"Anthropic-Beta": {"mcp-client-2025-11-20"}, "Anthropic-Version": {"2023-06-01"},
		"Anthropic-Workspace": {"proj_1"}, "X-Amzn-Bedrock-New-Thing": {"yes"}, "Traceparent": {"00-abc"}, "Tracestate": {"a=b"}, "Baggage": {"k=v"},
		"Connection": {"close, anthropic-hop, x-outcrop-hop, x-amzn-bedrock-trace"}, "Anthropic-Hop": {"1"},
	}
	f := serve(t, plain(answer1))
	u := connect(t, f, func(o *Options) { o.Agent = "outcrop/test"; o.Hop = "hop-1" })
	req := request(t, helloBody, false)
	req.Head.Hops = []string{"hop-0"}
	req.Head.Options = gateway.Options{GuardrailID: "gr-1", GuardrailVersion: "2", Trace: "ENABLED", ServiceTier: "default", Metadata: map[string]string{"team": "a", "app": "b"}}
	req.Forward = client
	if _, err := u.Send(t.Context(), route(t, opus46), req); err != nil {
		t.Fatal(err)
	}
	got := f.one()
	want := map[string]string{
		"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json", "User-Agent": "outcrop/test",
		"Content-Length": fmt.Sprint(len(helloBody)), "X-Outcrop-Hop": "hop-0, hop-1",
		"Anthropic-Workspace": "proj_1", "X-Amzn-Bedrock-New-Thing": "yes", "Traceparent": "00-abc", "Tracestate": "a=b", "Baggage": "k=v",
		"X-Amzn-Bedrock-Guardrailidentifier": "gr-1", "X-Amzn-Bedrock-Guardrailversion": "2", "X-Amzn-Bedrock-Trace": "ENABLED",
		"X-Amzn-Bedrock-Service-Tier": "default", "X-Amzn-Bedrock-Request-Metadata": `{"app":"b","team":"a"}`,
	}
	for name, values := range got.Header {
		switch name {
		case "Authorization", "X-Amz-Date": // ours; the fake has checked them
		default:
			if want[name] != strings.Join(values, ",") {
				t.Errorf("%s: %q left", name, values)
			}
			delete(want, name)
		}
	}
	for name := range want {
		t.Errorf("%s did not leave", name)
	}
	if !slices.Contains(got.Signed.SignedHeaders, "x-amzn-bedrock-request-metadata") {
		t.Errorf("the metadata is not signed: %v", got.Signed.SignedHeaders)
	}
	if got := client["Traceparent"]; len(got) != 1 || len(client) != 23 {
		t.Errorf("the client's header was changed: %v", client)
	}
}

func TestResponseHeaders(t *testing.T) {
	f := serve(t, func(w http.ResponseWriter, r *http.Request, s seen) {
		w.Header().Set("X-Amzn-Bedrock-Service-Tier", "default")
		w.Header().Set("X-New", "yes")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("Proxy-Authenticate", "Basic")
		plain(answer1)(w, r, s)
	})
	s, err := connect(t, f).Send(t.Context(), route(t, opus46), request(t, helloBody, false))
	if err != nil {
		t.Fatal(err)
	}
	h := s.(Answer).Header()
	if h.Get("X-Amzn-Bedrock-Service-Tier") != "default" || h.Get("X-New") != "yes" {
		t.Errorf("%v: what AWS said is missing", h)
	}
	if h.Get("Keep-Alive") != "" || h.Get("Proxy-Authenticate") != "" || h.Get("Connection") != "" {
		t.Errorf("%v: hop-by-hop headers have passed", h)
	}
}

func TestModelIDsInThePath(t *testing.T) {
	for id, want := range map[string]string{
		"global.anthropic.claude-opus-4-6-v1":                                      "global.anthropic.claude-opus-4-6-v1",
		"us.anthropic.claude-sonnet-4-5-20250929-v1:0":                             "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0",
		"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc": "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc",
		"a b?c#d%2F": "a%20b%3Fc%23d%252F",
	} {
		if got := escape(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	f := serve(t, plain(answer1))
	if _, err := connect(t, f).Send(t.Context(), route(t, "us.anthropic.claude-sonnet-4-5-20250929-v1:0"), request(t, helloBody, false)); err != nil {
		t.Fatal(err)
	}
	if got := f.one().Path; got != "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke" {
		t.Errorf("sent to %s", got)
	}
}

// AWS's texts reach the caller word for word, with the request's id; what it says
// of our own credentials does not.
func TestFailures(t *testing.T) {
	type reply struct {
		status     int
		name, body string
		after      string
	}
	said := func(s string) string { return fmt.Sprintf(`{"message":%q}`, s) }
	tests := []struct {
		name  string
		reply reply
		kind  messages.Kind
		text  string
		ours  bool
	}{
		{"throttled", reply{429, "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/", said("Too many tokens, please wait before trying again."), ""}, messages.Throttled, "Too many tokens, please wait before trying again.", false},
		{"with a word on when", reply{429, "ThrottlingException", said("Too many requests, please wait before trying again."), "7"}, messages.Throttled, "Too many requests, please wait before trying again.", false},
		{"validation", reply{400, "ValidationException", said("The provided model identifier is invalid."), ""}, messages.InvalidRequest, "The provided model identifier is invalid.", false},
		{"the model's own", reply{400, "ValidationException", said("The model returned the following errors: prompt is too long: 200049 tokens > 200000 maximum"), ""}, messages.ModelRejected, "prompt is too long: 200049 tokens > 200000 maximum", false},
		{"on demand", reply{400, "ValidationException", said("Invocation of model ID x with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."), ""}, messages.InvalidRequest, "Invocation of model ID x with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.", false},
		{"denied", reply{403, "AccessDeniedException", said("You don't have access to the model with the specified model ID."), ""}, messages.AccessDenied, "You don't have access to the model with the specified model ID.", false},
		{"use case", reply{404, "ResourceNotFoundException", said("Model use case details have not been submitted for this account."), ""}, messages.NotFound, "Model use case details have not been submitted for this account.", false},
		{"not ready", reply{429, "ModelNotReadyException", said("The model is not ready."), ""}, messages.NotReady, "The model is not ready.", false},
		{"timeout", reply{408, "ModelTimeoutException", said("The model timed out."), ""}, messages.ModelTimeout, "The model timed out.", false},
		{"capacity", reply{503, "ServiceUnavailableException", said("Bedrock is unable to process your request."), ""}, messages.Unavailable, "Bedrock is unable to process your request.", false},
		{"no name, no JSON", reply{502, "", "<html>Bad Gateway</html>", ""}, messages.Internal, "Amazon Bedrock answered with status 502.", false},
		{"mantle", reply{400, "", `{"type":"error","request_id":"x","error":{"type":"invalid_request_error","message":"max_tokens: Field required"}}`, ""}, messages.ModelRejected, "max_tokens: Field required", false},
		{"mantle denies", reply{403, "", `{"type":"error","error":{"type":"permission_error","message":"not authorized to perform: bedrock-mantle:CreateInference"}}`, ""}, messages.AccessDenied, "not authorized to perform: bedrock-mantle:CreateInference", false},
		{"our token", reply{403, "UnrecognizedClientException", said("The security token included in the request is invalid."), ""}, messages.Unavailable, "The upstream bedrock refused this server's credentials.", true},
		{"our key", reply{403, "AccessDeniedException", `{"Message":"Authentication failed: Please make sure your API Key is valid."}`, ""}, messages.Unavailable, "The upstream bedrock refused this server's credentials.", true},
		{"our key at mantle", reply{401, "", `{"error":{"code":"invalid_api_key","message":"Invalid bearer token","type":"authentication_error"}}`, ""}, messages.Unavailable, "The upstream bedrock refused this server's credentials.", true},
	}
	for _, tt := range tests {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %t", tt.name, stream), func(t *testing.T) {
				f := serve(t, func(w http.ResponseWriter, _ *http.Request, _ seen) {
					if tt.reply.name != "" {
						w.Header().Set("X-Amzn-Errortype", tt.reply.name)
					}
					if tt.reply.after != "" {
						w.Header().Set("Retry-After", tt.reply.after)
					}
					w.WriteHeader(tt.reply.status)
					io.WriteString(w, tt.reply.body)
				})
				_, err := connect(t, f).Send(t.Context(), route(t, opus46), request(t, helloBody, stream))
				e := asError(t, err)
				if e.Kind != tt.kind || e.Message != tt.text || e.RequestID != awsID {
					t.Errorf("got kind %d %q, id %s\nwant kind %d %q", e.Kind, e.Message, e.RequestID, tt.kind, tt.text)
				}
				if tt.reply.after != "" && e.RetryAfter.Seconds() != 7 {
					t.Errorf("retry after %v", e.RetryAfter)
				}
				if routing.MayHaveBilled(err) {
					t.Error("a refusal is on nobody's bill")
				}
				f.one()
			})
		}
	}
}

func TestBearer(t *testing.T) {
	f := serve(t, plain(answer1))
	u := connect(t, f, func(o *Options) { o.Accounts = []Account{{Bearer: "ABSKexample"}} })
	if _, err := u.Send(t.Context(), route(t, opus46), request(t, helloBody, false)); err != nil {
		t.Fatal(err)
	}
	if got := f.all()[0].Header; got.Get("Authorization") != "Bearer ABSKexample" || got.Get("X-Amz-Date") != "" {
		t.Errorf("%v", got)
	}
	if _, err := New(t.Context(), Options{Endpoints: Endpoints{Runtime: "http://proxy.example/{region}"}, Accounts: []Account{{Bearer: "ABSKexample"}}}); err == nil {
		t.Error("a key may go in the clear")
	}
}

// Each account signs with its own credentials.
func TestAccounts(t *testing.T) {
	f := serve(t, plain(answer1))
	u := connect(t, f, func(o *Options) {
		o.Accounts = []Account{
			{Name: "a", Credentials: static{keyID, keySecret, ""}, Regions: []string{"us-east-1"}},
			{Name: "b", Credentials: static{"AKIAOTHER", keySecret, "session"}},
		}
	})
	c, err := theCatalog()
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Resolve(opus46, "us-east-1", catalog.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	all, _ := routing.Routes(res, routing.Amazon(), routing.Fence{}, u.Accounts())
	for _, r := range all {
		if _, err := u.Send(t.Context(), r, request(t, helloBody, false)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, s := range f.all() {
		if s.SignatureErr != nil {
			t.Error(s.SignatureErr)
		}
		got = append(got, s.Region+" "+s.Signed.AccessKeyID+" "+s.Header.Get("X-Amz-Security-Token"))
	}
	want := []string{"us-east-1 " + keyID + " ", "us-east-1 AKIAOTHER session", "us-east-2 AKIAOTHER session", "us-west-2 AKIAOTHER session"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestWarm(t *testing.T) {
	var opened sync.Map
	f := serve(t, func(w http.ResponseWriter, r *http.Request, s seen) {
		opened.Store(r.RemoteAddr, true)
		plain(answer1)(w, r, s)
	})
	u := connect(t, f)
	if err := u.Warm(t.Context(), "us-east-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Send(t.Context(), route(t, opus46), request(t, helloBody, false)); err != nil {
		t.Fatal(err)
	}
	n := 0
	opened.Range(func(any, any) bool { n++; return true })
	if n != 1 || f.all()[0].Header.Get("Authorization") != "" {
		t.Errorf("%d connections; %v", n, f.all()[0].Header)
	}
	if err := connect(t, f, func(o *Options) { o.Endpoints.Runtime = "http://127.0.0.1:1" }).Warm(t.Context(), "us-east-1"); err == nil {
		t.Error("nobody is there, and Warm says nothing")
	}
}
