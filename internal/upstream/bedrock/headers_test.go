package bedrock

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// TestFrontHeaders: what AWS says beside its answer reaches the client, but what
// is of AWS's connection or host; and AWS's own id, of a refusal too, is the
// client's and the record's.
func TestFrontHeaders(t *testing.T) {
	d := playAWS(t, nil)
	refuse := false
	d.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for name, value := range map[string]string{
			"X-Amzn-Requestid": awsID, "X-Amzn-Bedrock-Service-Tier": "default", "X-Amzn-New": "a", "Anthropic-Ratelimit-Unified-Status": "allowed", "X-Should-Retry": "false",
			"Connection": "X-Hop", "X-Hop": "a", "Keep-Alive": "timeout=5", "Set-Cookie": "AWSALB=a", "Server": "them", "Content-Language": "en", "X-Outcrop-Upstream": "them",
		} {
			w.Header().Set(name, value)
		}
		if refuse {
			fail(w, 400, "ValidationException", "No.")
			return
		}
		if strings.HasSuffix(r.URL.Path, "stream") {
			w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
			for _, f := range chunks(events1...) {
				w.Write(f)
			}
			return
		}
		io.WriteString(w, answer1)
	})
	f := openFront(t, d)
	for _, refuse = range []bool{false, true} {
		for _, op := range []tell{tells[0], tells[1], tells[4], tells[5]} {
			name := fmt.Sprintf("%s, refused %t", op.name, refuse)
			s, err := f.ask(op, opus46, "us-east-1", name, "hi", "X-Amzn-Bedrock-Service-Tier", "priority")
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"X-Amzn-Requestid": awsID, "Request-Id": awsID, "X-Outcrop-Upstream": "bedrock",
				"X-Hop": "", "Keep-Alive": "", "Set-Cookie": "", "Server": "", "Content-Language": ""}
			if !refuse {
				want["X-Amzn-Bedrock-Service-Tier"], want["X-Amzn-New"] = "default", "a"
				want["Anthropic-Ratelimit-Unified-Status"], want["X-Should-Retry"] = "allowed", "false"
			}
			for header, value := range want {
				if got := strings.Join(s.header[header], " and "); got != value {
					t.Errorf("%s: %s: %q, want %q", name, header, got, value)
				}
			}
			if refuse != (s.status != http.StatusOK) {
				t.Errorf("%s: %d", name, s.status)
			}
			if refuse && op.path == tells[4].path && !strings.Contains(string(s.body), `"request_id":"`+awsID+`"`) {
				t.Errorf("%s: %s", name, s.body)
			}
			for _, rec := range f.records.Records() {
				if rec.RequestID == s.id && rec.UpstreamRequestID != awsID {
					t.Errorf("%s: the record holds %q", name, rec.UpstreamRequestID)
				}
			}
		}
	}
}

// A header that cannot be sent is its caller's fault, whether he has sent it or it
// is made of his body; what is wrong with our own is not. No Region seems to be out
// of reach for it.
func TestFrontHeadersThatCannotBeSent(t *testing.T) {
	f := openFront(t, playAWS(t, nil), func(o *Options) { o.NativeMessages = true })
	var betas []string
	for i := range 2000 {
		betas = append(betas, fmt.Sprintf("beta-%d", i))
	}
	body := `{"model":"%m","max_tokens":5,"messages":[{"role":"user","content":"%s"}]}`
	many := strings.Replace(body, "{", `{"anthropic_beta":["`+strings.Join(betas, `","`)+`"],`, 1)
	for i, tt := range []struct {
		body   string
		header []string
		status int
		text   string
	}{
		{many, nil, 400, "The header Anthropic-Beta cannot be sent to Amazon Bedrock"},
		{body, []string{"Baggage", strings.Repeat("a", 20_000)}, 400, "The header Baggage cannot be sent to Amazon Bedrock"},
		{body, nil, 200, ""},
	} {
		s, err := f.ask(tell{path: "/anthropic/v1/messages", body: tt.body}, "us.anthropic.claude-opus-5", "us-east-1", fmt.Sprint(i), "hi", tt.header...)
		if err != nil || s.status != tt.status || !strings.Contains(string(s.body), tt.text) || (len(f.seen(fmt.Sprint(i))) == 0) != (tt.text != "") {
			t.Errorf("%d %s %v", s.status, s.body, err)
		}
	}
	u := connect(t, serve(t, plain(answer1)), func(o *Options) {
		o.Accounts = []Account{{Credentials: static{keyID, keySecret, "token\n"}}}
	})
	_, err := u.Send(t.Context(), route(t, opus46), request(t, helloBody, false))
	if e := asError(t, err); e.Kind != messages.Unavailable || strings.Contains(err.Error(), "token\n") {
		t.Errorf("a token of ours with a line's end: %v", err)
	}
}
