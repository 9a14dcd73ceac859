package httpapi_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/routing"
	bedrockup "github.com/outcrop-dev/outcrop/internal/upstream/bedrock"
	messagesup "github.com/outcrop-dev/outcrop/internal/upstream/messages"
)

// backend is a kind of upstream: a real one, as cmd/outcrop opens it, before a
// server that keeps what it is sent.
type backend struct {
	name    string
	door    *setup
	wire    *wire
	oneByte bool // a read of a request's body gives
}

func backends(t *testing.T) (amazon, server, reading *backend) {
	t.Helper()
	open := func(name string, upstream func(url string) (gateway.Upstream, error)) *backend {
		w := &wire{}
		s := httptest.NewServer(w)
		t.Cleanup(s.Close)
		up, err := upstream(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		b := &backend{name: name, wire: w, door: newSetupOver(t, up)}
		b.door.Gateway.Documents = reader{}
		return b
	}
	amazon = open("Amazon Bedrock", func(url string) (gateway.Upstream, error) {
		up, err := bedrockup.New(t.Context(), bedrockup.Options{Endpoints: bedrockup.Endpoints{Runtime: url, Mantle: url},
			Accounts: []bedrockup.Account{{Credentials: credentials.NewStaticCredentialsProvider(testKey, testSecret, "")}}})
		if err == nil {
			t.Cleanup(func() { up.Close() })
		}
		return up, err
	})
	speaks := func(name string, can gateway.Capabilities) *backend {
		can.Place = routing.Here()
		return open(name, func(url string) (gateway.Upstream, error) {
			return messagesup.New(messagesup.Options{Name: name, URL: url, Capabilities: can})
		})
	}
	return amazon, speaks("Messages server", gateway.Capabilities{Images: true, Documents: true, Tools: true, Thinking: true}), speaks("text only", gateway.Capabilities{})
}

// wire is the server behind an upstream. It answers with content, or a text.
type wire struct {
	content string
	header  http.Header // of the last request; nil: there was none
	body    string
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.header, w.body = r.Header, string(body)
	rw.Header().Set("Content-Type", "application/json")
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/count-tokens"):
		io.WriteString(rw, `{"inputTokens":7}`)
	case strings.HasSuffix(path, "/count_tokens"):
		io.WriteString(rw, `{"input_tokens":7}`)
	case strings.HasSuffix(path, "/converse"):
		io.WriteString(rw, `{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}`)
	default:
		fmt.Fprintf(rw, `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[%s],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}`,
			cmp.Or(w.content, `{"type":"text","text":"x"}`))
	}
}

// knock sends a request through the front door.
func (b *backend) knock(t *testing.T, o *bedrockapi.Operation, header http.Header, body string) *httptest.ResponseRecorder {
	t.Helper()
	b.wire.header, b.wire.body = nil, ""
	path := strings.NewReplacer("{modelId}", opusRef, "{model_id}", "claude-opus-4-6", "{modelIdentifier}", "anthropic.claude-opus-4-6-v1", "{inferenceProfileIdentifier}", opusRef).Replace(o.Path)
	req := httptest.NewRequest(o.Method, "http://outcrop.test"+path, strings.NewReader(body))
	maps.Copy(req.Header, header)
	if o.Surface == bedrockapi.SurfaceSTS {
		req.Header.Set("X-Test-Service", "sts")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	b.door.sign(t, req, []byte(body))
	if b.oneByte {
		req.Body = io.NopCloser(iotest.OneByteReader(strings.NewReader(body)))
	}
	w := httptest.NewRecorder()
	b.door.ServeHTTP(w, req)
	return w
}

// agree sends a request {as it is, through decode and encode} x {whole reads, one
// byte a read}: the upstream gets the same, and so does the client.
func (b *backend) agree(t *testing.T, o *bedrockapi.Operation, body string) {
	t.Helper()
	var first [2]string
	for way := range 4 {
		b.door.Gateway.Forced, b.oneByte = way&1 != 0, way&2 != 0
		w := b.knock(t, o, nil, body)
		got := [2]string{canonical(b.wire.body), canonical(volatile.ReplaceAllString(w.Body.String(), "REQUEST-ID"))}
		switch {
		case way == 0:
			first = got
		case got != first:
			t.Errorf("forced %v, a byte a read %v: %s\ngives %s\nand elsewhere %s", way&1 != 0, way&2 != 0, body, got, first)
		}
	}
	b.door.Gateway.Forced, b.oneByte = false, false
}

const opusRef = "global.anthropic.claude-opus-4-6-v1"

// Verdicts on one field of one operation before one upstream.
const (
	native     = "native"     // it goes on as it came
	translated = "translated" // it is there in other words
	here       = "here"       // this server sees to it, the upstream gets nothing of it
	refused    = "refused"    // by name, before the upstream is called
)

// verdict sends a request, and one without what is asked about: a header, or the
// members of the body.
func (b *backend) verdict(t *testing.T, o *bedrockapi.Operation, header http.Header, with, without string) (verdict, says string) {
	t.Helper()
	w := b.knock(t, o, header, with)
	switch {
	case w.Code != http.StatusOK && b.wire.header != nil:
		t.Fatalf("%s before %s: %d %s after the upstream was called: %s", o.Name, b.name, w.Code, w.Body, with)
	case w.Code != http.StatusOK:
		return refused, messageOf(t, w)
	case b.wire.header == nil:
		t.Fatalf("%s: the upstream was not called: %s", o.Name, with)
	}
	got, sent := *b.wire, inner(t, with)
	if w := b.knock(t, o, nil, without); w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s: %s", o.Name, w.Code, w.Body, without)
	}
	base := *b.wire
	kept := true
	for name := range header {
		kept = kept && got.header.Get(name) == header.Get(name)
	}
	if header == nil { // the members that the body has and the other has not
		theirs, plain := membersOf(t, inner(t, got.body)), membersOf(t, inner(t, without))
		for name, raw := range membersOf(t, sent) {
			kept = kept && (string(plain[name]) == string(raw) || string(theirs[name]) == string(raw))
		}
	}
	same := got.body == base.body
	for _, name := range []string{"Anthropic-Beta", bedrockapi.HeaderMetadata} {
		same = same && got.header.Get(name) == base.header.Get(name)
	}
	switch {
	case kept:
		return native, ""
	case same:
		return here, ""
	default:
		return translated, ""
	}
}

func membersOf(t *testing.T, body string) (m map[string]json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return m
}

// inner is the body within CountTokens' input, or the body itself.
func inner(t *testing.T, body string) string {
	t.Helper()
	var in struct {
		Input struct {
			InvokeModel *struct{ Body []byte }
			Converse    json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(body), &in); err != nil {
		t.Fatal(err)
	}
	switch {
	case in.Input.InvokeModel != nil:
		return string(in.Input.InvokeModel.Body)
	case in.Input.Converse != nil:
		return string(in.Input.Converse)
	default:
		return body
	}
}

func messageOf(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var e struct {
		Message string
		Error   struct{ Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return e.Message + e.Error.Message
}
