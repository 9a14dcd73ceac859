package messages_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	anthropic "github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/upstream/messages"
)

// TestSent: what the upstream is sent: the body without what is Bedrock's, this
// server's key and no other, the hops.
func TestSent(t *testing.T) {
	for _, test := range []struct {
		name   string
		opts   messages.Options
		head   gateway.Head
		stream bool
		body   string
		want   map[string]string // header -> value
	}{
		{"plain", messages.Options{}, gateway.Head{Version: "bedrock-2023-05-31"}, false,
			`{"max_tokens":64,"messages":[{"role":"user","content":"hi"}],"stream":false,"model":"claude-opus-4-6"}`,
			map[string]string{"Anthropic-Version": "2023-06-01", "X-Api-Key": "", "Authorization": "", "Anthropic-Beta": "", "X-Outcrop-Hop": ""}},
		{"all of it", messages.Options{APIKey: "k", Model: "llama", Hop: "me"}, gateway.Head{Version: "2026-10-21", Betas: []string{"a", "b"}, Hops: []string{"one", "two"}}, true,
			`{"max_tokens":64,"messages":[{"role":"user","content":"hi"}],"stream":true,"model":"llama"}`,
			map[string]string{"Anthropic-Version": "2026-10-21", "X-Api-Key": "k", "Authorization": "", "Anthropic-Beta": "a,b", "X-Outcrop-Hop": "one, two, me"}},
		{"bearer", messages.Options{APIKey: "k", Bearer: true}, gateway.Head{}, false,
			`{"max_tokens":64,"messages":[{"role":"user","content":"hi"}],"stream":false,"model":"claude-opus-4-6"}`,
			map[string]string{"Anthropic-Version": "2023-06-01", "X-Api-Key": "", "Authorization": "Bearer k"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != "POST" || r.RequestURI != "/v1/messages" || string(body) != test.body {
					t.Errorf("%s %s %s, want %s", r.Method, r.RequestURI, body, test.body)
				}
				for name, want := range test.want {
					if got := strings.Join(r.Header.Values(name), "|"); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
				for name := range r.Header {
					switch name {
					case "Accept-Encoding", "Content-Type", "Content-Length", "User-Agent", "Anthropic-Version", "Anthropic-Beta", "X-Api-Key", "Authorization", "X-Outcrop-Hop":
					default:
						t.Errorf("%s is nobody's business", name)
					}
				}
				w.WriteHeader(500)
			}, test.opts)
			req := request(t, hello, test.stream)
			req.Head = &test.head
			u.Send(t.Context(), route(t), req)
			if string(req.Body.Bytes()) != hello {
				t.Error("the caller's body has changed")
			}
		})
	}
}

func TestNew(t *testing.T) {
	for url, want := range map[string]string{
		"http://h": "", "https://h:1/": "", "http://h/v1": "", "http://h/v1/messages": "", "http://h/anthropic/": "",
		"h:1": "not an http", "ftp://h": "not an http", "http://": "not an http", "http://u:secret@h": "in the URL", "http://h?key=secret": "in the URL", "http://h#x": "in the URL",
	} {
		_, err := messages.New(messages.Options{URL: url})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "u:secret") {
			t.Errorf("the password is shown: %v", err)
		}
	}
	for _, suffix := range []string{"", "/", "/v1", "/v1/", "/v1/messages", "/v1/messages/"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/base/v1/messages" {
				t.Errorf("base %q: %s", suffix, r.URL.Path)
			}
		}))
		u, err := messages.New(messages.Options{URL: server.URL + "/base" + suffix})
		if err != nil {
			t.Fatal(err)
		}
		u.Send(t.Context(), route(t), request(t, hello, false))
		server.Close()
	}
}

// TestWhole: the answer leaves in the service's shape; what the service has is
// kept, what it has not is not.
func TestWhole(t *testing.T) {
	for _, test := range []struct{ name, answer, want string }{
		{"a service's own answer passes", `{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"hi","citations":[{"type":"char_location"}]}],"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal"},"usage":{"input_tokens":1,"output_tokens":2,"cache_creation":{"ephemeral_5m_input_tokens":3},"service_tier":"standard","server_tool_use":{"web_search_requests":0}},"context_management":{"applied_edits":[]},"container":null,"amazon-bedrock-guardrailAction":"NONE","amazon-bedrock-trace":{"g":1}}`,
			`{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[{"type":"text","text":"hi","citations":[{"type":"char_location"}]}],"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal"},"usage":{"input_tokens":1,"output_tokens":2,"cache_creation":{"ephemeral_5m_input_tokens":3},"service_tier":"standard","server_tool_use":{"web_search_requests":0}},"context_management":{"applied_edits":[]},"container":null,"amazon-bedrock-guardrailAction":"NONE","amazon-bedrock-trace":{"g":1}}`},
		{"a foreign one is brought into shape", `{"id":"msg_abc","object":"chat","model":"llama","role":"bot","content":[{"type":"tool_use","id":"call_7","name":"f","input":{"a":1},"extra":true},{"type":"tomorrow","x":1}],"stop_reason":"tool_calls","timings":{},"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}`,
			`{"id":"msg_bdrk_abc","type":"message","role":"assistant","model":"claude-opus-4-6","content":[{"type":"tool_use","id":"toolu_bdrk_call_7","name":"f","input":{"a":1},"extra":true},{"type":"tomorrow","x":1}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2}}`},
		{"what is missing is filled", `{"id":"chatcmpl-1","content":null}`,
			`{"id":"msg_bdrk_chatcmpl-1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}`},
		{"reasons", `{"id":"msg_1","content":[],"stop_reason":"length","stop_sequence":"###"}`,
			`{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":"max_tokens","stop_sequence":"###","usage":{"input_tokens":0,"output_tokens":0}}`},
		{"ids of the first party", `{"id":"msg_01","content":[{"type":"tool_use","id":"toolu_01","name":"f","input":{}}],"stop_reason":"tool_use"}`,
			`{"id":"msg_bdrk_01","type":"message","role":"assistant","model":"claude-opus-4-6","content":[{"type":"tool_use","id":"toolu_bdrk_01","name":"f","input":{}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}`},
	} {
		u := serve(t, says(200, "application/json", test.answer), messages.Options{})
		s, err := u.Send(t.Context(), route(t), request(t, hello, false))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if s.UpstreamRequestID() != "req_up" {
			t.Errorf("%s: id %q", test.name, s.UpstreamRequestID())
		}
		frames, err := read(s)
		if err != io.EOF || len(frames) != 1 || frames[0] != "message "+test.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", test.name, err, frames, test.want)
		}
	}
}

func TestUnreadableAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"html": "<html>", "empty": "", "array": "[]", "null": "null", "no id": `{"content":[]}`, "no content": `{"id":"x"}`,
		"content of text": `{"id":"x","content":"hi"}`, "a block of text": `{"id":"x","content":["hi"]}`, "an id of 7": `{"id":7,"content":[]}`,
		"a reason of 7": `{"id":"x","content":[],"stop_reason":7}`, "usage of 7": `{"id":"x","content":[],"usage":7}`,
		"a tool's id of 7": `{"id":"x","content":[{"type":"tool_use","id":7}]}`,
	} {
		u := serve(t, says(200, "application/json", answer), messages.Options{})
		_, err := u.Send(t.Context(), route(t), request(t, hello, false))
		if e := anthropic.AsError(err); e == nil || e.Kind != anthropic.ModelFailed || e.Message != "The upstream's answer cannot be read." {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStream(t *testing.T) {
	u := serve(t, says(200, "text/event-stream; charset=utf-8", sseOf(
		`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"llama","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1,"total":4},"x":1}}`,
		`{"type":"ping"}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"call_1","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"},"extra":[1.50]}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"later","x":{}}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_calls","stop_sequence":null,"container":null},"usage":{"output_tokens":9,"total":12}}`,
		`{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}`)+"data: [DONE]\n\n"), messages.Options{})
	s, err := u.Send(t.Context(), route(t), request(t, hello, true))
	if err != nil {
		t.Fatal(err)
	}
	frames, err := read(s)
	want := []string{
		`message_start {"type":"message_start","message":{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}`,
		`content_block_start {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_bdrk_call_1","name":"f","input":{}}}`,
		`content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"},"extra":[1.50]}`,
		`content_block_stop {"type":"content_block_stop","index":0}`,
		`later {"type":"later","x":{}}`,
		`message_delta {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,"container":null},"usage":{"output_tokens":9}}`,
		`message_stop {"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}`,
	}
	if err != io.EOF || strings.Join(frames, "\n") != strings.Join(want, "\n") {
		t.Errorf("%v\n%s", err, strings.Join(frames, "\n"))
	}
}

const start = `{"type":"message_start","message":{"id":"m","content":[],"usage":{}}}`

// TestStreamFails: however a stream ends before its end, that is an error.
func TestStreamFails(t *testing.T) {
	for _, test := range []struct {
		name, body string
		frames     int
		kind       anthropic.Kind
		message    string
	}{
		{"nothing", "", 0, anthropic.ModelStreamFailed, "stream ended before message_stop"},
		{"after a frame", sseOf(start), 1, anthropic.ModelStreamFailed, "stream ended before message_stop"},
		{"within a frame", sseOf(start) + "event: x\ndata: {\"type\":", 1, anthropic.ModelStreamFailed, "stream ended before message_stop"},
		{"overloaded", sseOf(start, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), 1, anthropic.Unavailable, "Overloaded"},
		{"throttled", sseOf(`{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}`), 0, anthropic.Throttled, "slow down"},
		{"of itself", sseOf(start, `{"type":"error","error":{"type":"api_error","message":"boom"}}`), 1, anthropic.ModelStreamFailed, "boom"},
		{"our credentials", sseOf(start, `{"type":"error","error":{"type":"authentication_error","message":"key k3y is bad"}}`), 1, anthropic.Unavailable, "The upstream test refused this server's credentials."},
		{"quotes our key", sseOf(start, `{"type":"error","error":{"type":"api_error","message":"with k3y"}}`), 1, anthropic.ModelStreamFailed, "with (key)"},
		{"an error of no form", sseOf(start, `{"type":"error"}`), 1, anthropic.ModelStreamFailed, "The upstream's stream failed."},
		{"no type", sseOf(start) + "data: {}\n\n", 1, anthropic.ModelStreamFailed, "The upstream sent an event that cannot be read."},
		{"a start of no form", sseOf(`{"type":"message_start","message":7}`), 0, anthropic.ModelFailed, "The upstream's answer cannot be read."},
	} {
		u := serve(t, says(200, "text/event-stream", test.body), messages.Options{APIKey: "k3y"})
		s, err := u.Send(t.Context(), route(t), request(t, hello, true))
		if err != nil {
			t.Fatal(err)
		}
		frames, err := read(s)
		e := anthropic.AsError(err)
		if len(frames) != test.frames || e.Kind != test.kind || e.Message != test.message || strings.Contains(err.Error(), "k3y") {
			t.Errorf("%s: %d frames, kind %d, %v", test.name, len(frames), e.Kind, err)
		}
	}
}

// TestCutAnywhere: a stream cut at any byte is an error, never a quiet success.
func TestCutAnywhere(t *testing.T) {
	whole := sseOf(start, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"é"}}`, `{"type":"message_stop"}`)
	for cut := range len(whole) - 1 { // without the last line end the event is whole already
		u := serve(t, says(200, "text/event-stream", whole[:cut]), messages.Options{})
		s, err := u.Send(t.Context(), route(t), request(t, hello, true))
		if err != nil {
			t.Fatal(err)
		}
		if frames, err := read(s); err == io.EOF {
			t.Fatalf("cut at %d of %d: %q and no error", cut, len(whole), frames)
		}
	}
}

func TestWrongContentType(t *testing.T) {
	u := serve(t, says(200, "application/json", `{"id":"m","content":[]}`), messages.Options{})
	_, err := u.Send(t.Context(), route(t), request(t, hello, true))
	if e := anthropic.AsError(err); e == nil || e.Kind != anthropic.ModelFailed || !strings.Contains(e.Message, "application/json") {
		t.Errorf("%v", err)
	}
}

// TestFailures: every status has its Kind; of this server's own credentials the
// caller learns nothing.
func TestFailures(t *testing.T) {
	body := func(kind, message string) string {
		return fmt.Sprintf(`{"type":"error","error":{"type":%q,"message":%q}}`, kind, message)
	}
	const refusal = "The upstream test refused this server's credentials."
	for _, test := range []struct {
		status  int
		body    string
		kind    anthropic.Kind
		message string
	}{
		{400, body("invalid_request_error", "prompt is too long: 5 tokens > 4 maximum"), anthropic.ModelRejected, "prompt is too long: 5 tokens > 4 maximum"},
		{401, body("authentication_error", "invalid x-api-key k3y"), anthropic.Unavailable, refusal},
		{401, "no JSON k3y", anthropic.Unavailable, refusal},
		{402, body("billing_error", "spend limit reached"), anthropic.SpendLimit, "spend limit reached"},
		{403, body("permission_error", "k3y may not"), anthropic.Unavailable, refusal},
		{403, body("invalid_request_error", "k3y may not"), anthropic.Unavailable, refusal},
		{404, body("not_found_error", "model: llama"), anthropic.NotFound, "model: llama"},
		{408, "", anthropic.ModelTimeout, "The upstream answered with status 408."},
		{413, body("request_too_large", "big"), anthropic.TooLarge, "big"},
		{422, `{"detail":"x"}`, anthropic.ModelRejected, "The upstream answered with status 422."},
		{429, body("rate_limit_error", "slow"), anthropic.Throttled, "slow"},
		{500, body("api_error", "k3y broke"), anthropic.ModelFailed, "(key) broke"},
		{500, "<html>k3y</html>", anthropic.ModelFailed, "The upstream answered with status 500."},
		{502, "", anthropic.ModelFailed, "The upstream answered with status 502."},
		{503, "", anthropic.Unavailable, "The upstream answered with status 503."},
		{504, "", anthropic.ModelTimeout, "The upstream answered with status 504."},
		{508, body("api_error", "loop"), anthropic.Loop, "loop"},
		{529, body("overloaded_error", "Overloaded"), anthropic.Unavailable, "Overloaded"},
		{204, "", anthropic.ModelFailed, "The upstream answered with status 204."},
	} {
		for _, stream := range []bool{false, true} {
			u := serve(t, says(test.status, "application/json", test.body), messages.Options{APIKey: "k3y"})
			_, err := u.Send(t.Context(), route(t), request(t, hello, stream))
			e := anthropic.AsError(err)
			if e == nil || e.Kind != test.kind || e.Message != test.message || e.RequestID != "req_up" || strings.Contains(err.Error(), "k3y") {
				t.Errorf("%d %s: kind %d, id %s, %v", test.status, test.body, e.Kind, e.RequestID, err)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"3": 3 * time.Second, "0": 0, "-1": 0, "soon": 0, "": 0, "99999999999999": 24 * time.Hour, "Wed, 21 Oct 2026 07:28:00 GMT": 0,
	} {
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(429)
		}, messages.Options{})
		_, err := u.Send(t.Context(), route(t), request(t, hello, false))
		if got := anthropic.AsError(err).RetryAfter; got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// A redirect would carry the key to whom it names.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("followed, with key %q", r.Header.Get("X-Api-Key"))
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		mine := &http.Client{Transport: http.DefaultTransport}
		u := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) }, messages.Options{APIKey: "k3y", Client: mine})
		_, err := u.Send(t.Context(), route(t), request(t, hello, false))
		if e := anthropic.AsError(err); e == nil || e.Kind != anthropic.Unavailable || !strings.Contains(e.Message, "redirect") {
			t.Errorf("%d: %v", status, err)
		}
		if mine.CheckRedirect != nil {
			t.Error("the caller's client was changed")
		}
	}
}

func TestNoCookies(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			t.Errorf("cookies %v", r.Cookies())
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		w.WriteHeader(500)
	}, messages.Options{Client: &http.Client{Jar: jar}})
	for range 2 {
		u.Send(t.Context(), route(t), request(t, hello, false))
	}
}

func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	u, err := messages.New(messages.Options{Name: "gone", URL: "http://" + ln.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Send(t.Context(), route(t), request(t, hello, false))
	if e := anthropic.AsError(err); e == nil || e.Kind != anthropic.Unavailable || e.Message != "The upstream gone cannot be reached." || e.Cause == nil {
		t.Errorf("%v", err)
	}
}

// endless is an answer that never ends.
func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"id":"`)
	for chunk := bytes.Repeat([]byte("a"), 1<<20); ; {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func TestHugeAnswersAreBounded(t *testing.T) {
	u := serve(t, endless, messages.Options{})
	_, err := u.Send(t.Context(), route(t), request(t, hello, false))
	if e := anthropic.AsError(err); e == nil || e.Kind != anthropic.ModelFailed || !strings.Contains(e.Message, "larger than") {
		t.Errorf("%v", err)
	}
	u = serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); endless(w, r) }, messages.Options{})
	if _, err = u.Send(t.Context(), route(t), request(t, hello, false)); err == nil {
		t.Error("no error")
	}
	if n := len(err.Error()); n > 4096 {
		t.Errorf("an error of %d bytes", n)
	}
	u = serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: ")
		endless(w, r)
	}, messages.Options{})
	s, err := u.Send(t.Context(), route(t), request(t, hello, true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(s); anthropic.AsError(err).Kind != anthropic.ModelStreamFailed {
		t.Errorf("%v", err)
	}
}

func TestShortAnswer(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, `{"id":"m"`)
	}, messages.Options{})
	_, err := u.Send(t.Context(), route(t), request(t, hello, false))
	if e := anthropic.AsError(err); e == nil || e.Kind != anthropic.ModelFailed || e.Message != "The upstream's answer broke off." {
		t.Errorf("%v", err)
	}
}

// TestCancel: when the client leaves, the upstream's request ends, before and
// within its answer.
func TestCancel(t *testing.T) {
	for _, begun := range []bool{false, true} {
		asked, ended := make(chan struct{}), make(chan struct{})
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if begun {
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, sseOf(start))
				http.NewResponseController(w).Flush()
			}
			io.Copy(io.Discard, r.Body) // net/http sees a client leave once the body is read
			close(asked)
			<-r.Context().Done()
			close(ended)
		}, messages.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if !begun {
			go func() { <-asked; cancel() }()
		}
		s, err := u.Send(ctx, route(t), request(t, hello, true))
		if begun {
			if err != nil {
				t.Fatal(err)
			}
			go func() { <-asked; cancel() }()
			_, err = read(s)
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("begun %v: %v", begun, err)
		}
		<-ended
	}
}

// A stream that is closed early lets go of its server.
func TestCloseEndsTheRequest(t *testing.T) {
	ended := make(chan struct{})
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, sseOf(start))
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(ended)
	}, messages.Options{})
	s, err := u.Send(t.Context(), route(t), request(t, hello, true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	<-ended
}

// TestSilence: an upstream that says nothing is given up, in the end.
func TestSilence(t *testing.T) {
	for _, test := range []struct {
		name   string
		stream bool
		say    string        // before the silence, a line at a time
		pause  time.Duration // behind each
		after  time.Duration
	}{
		{"no head", false, "", 0, 10 * time.Minute},
		{"no head of a stream", true, "", 0, 10 * time.Minute},
		{"half a body", false, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", 0, 5 * time.Minute},
		{"half a stream", true, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + sseOf(start), 0, 5 * time.Minute},
		{"a slow body", false, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\n\n\n\n\n ", 2 * time.Minute, 21 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
					client, server := net.Pipe()
					go func() {
						buf := make([]byte, 4096)
						for n := 0; !bytes.Contains(buf[:n], []byte(`"hi"`)); {
							m, err := server.Read(buf[n:])
							if err != nil {
								return
							}
							n += m
						}
						for _, part := range strings.SplitAfter(test.say, "\n") {
							io.WriteString(server, part)
							time.Sleep(test.pause)
						}
						io.Copy(io.Discard, server)
					}()
					return client, nil
				}}
				defer transport.CloseIdleConnections()
				u, err := messages.New(messages.Options{Name: "test", URL: "http://h", Client: &http.Client{Transport: transport}})
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				s, err := u.Send(t.Context(), route(t), request(t, hello, test.stream))
				if err == nil {
					_, err = read(s)
				}
				e := anthropic.AsError(err)
				if e == nil || e.Kind != anthropic.ModelTimeout || e.Message != "The upstream test was silent for too long." {
					t.Errorf("%v", err)
				}
				if took := time.Since(begun); took != test.after {
					t.Errorf("after %v, want %v", took, test.after)
				}
			})
		})
	}
}

func TestCount(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.RequestURI != "/v1/messages/count_tokens" || string(body) != `{"messages":[{"role":"user","content":"hi"}],"model":"claude-opus-4-6"}` {
			t.Errorf("%s %s", r.RequestURI, body)
		}
		io.WriteString(w, `{"input_tokens":17,"x":1}`)
	}, messages.Options{})
	if n, err := u.Count(t.Context(), route(t), request(t, hello, false)); n != 17 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, test := range []struct {
		status int
		body   string
		kind   anthropic.Kind
	}{
		{200, `{}`, anthropic.ModelFailed}, {200, `{"input_tokens":"7"}`, anthropic.ModelFailed}, {200, ``, anthropic.ModelFailed}, {200, `{"input_tokens":-1}`, anthropic.ModelFailed},
		{404, ``, anthropic.InvalidRequest}, {405, ``, anthropic.InvalidRequest}, {501, ``, anthropic.InvalidRequest}, {429, ``, anthropic.Throttled}, {401, ``, anthropic.Unavailable},
	} {
		u := serve(t, says(test.status, "application/json", test.body), messages.Options{})
		if _, err := u.Count(t.Context(), route(t), request(t, hello, false)); anthropic.AsError(err) == nil || anthropic.AsError(err).Kind != test.kind {
			t.Errorf("%d %s: %v", test.status, test.body, err)
		}
	}
}

func TestRelayedFrameAllocatesLittle(t *testing.T) {
	delta := `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"again"}}`
	const frames = 2000
	u := serve(t, says(200, "text/event-stream", sseOf(start)+strings.Repeat(sseOf(delta), frames)+sseOf(`{"type":"message_stop"}`)), messages.Options{})
	r, req := route(t), request(t, hello, true)
	got := testing.AllocsPerRun(3, func() {
		s, err := u.Send(t.Context(), r, req)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for {
			if _, err := s.Next(); err != nil {
				if err != io.EOF {
					t.Fatal(err)
				}
				return
			}
		}
	})
	if got/frames > 0.5 {
		t.Errorf("%.2f allocations a frame", got/frames)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"id":"m","content":[{"type":"tool_use","id":"x"}],"usage":{}}`), false)
	f.Add([]byte(sseOf(start, `{"type":"content_block_start","content_block":{"type":"tool_use","id":"x"}}`, `{"type":"message_delta","delta":{"stop_reason":"x"},"usage":{}}`, `{"type":"message_stop"}`)), true)
	r := route(f)
	f.Fuzz(func(t *testing.T, answer []byte, stream bool) {
		contentType := "application/json"
		if stream {
			contentType = "text/event-stream"
		}
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(answer)), Request: r}, nil
		})
		u, err := messages.New(messages.Options{URL: "http://h", Client: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := u.Send(t.Context(), r, request(t, hello, stream))
		if err == nil {
			_, err = read(s)
		}
		if err != io.EOF && anthropic.AsError(err).Kind == anthropic.Internal {
			t.Fatal(err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
