package bedrock

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

const (
	keyID     = "AKIAIOSFODNN7EXAMPLE"
	keySecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	opus46    = "us.anthropic.claude-opus-4-6-v1"
	opus5     = "us.anthropic.claude-opus-5"
	helloBody = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}`
	answer1   = `{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}`
	awsID     = "11111111-2222-3333-4444-555555555555"
)

// events1 is a stream as AWS sends it.
var events1 = []string{
	`{"type":"message_start","message":{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}`,
	`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"H"}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"i"}}`,
	`{"type":"content_block_stop","index":0}`,
	`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`,
	`{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":2,"invocationLatency":321,"firstByteLatency":123}}`,
}

func chunk(event string) []byte {
	return eventstream.AppendEvent(nil, "chunk", "application/json",
		[]byte(`{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(event))+`","p":"abcdefghijklmnop"}`))
}

func chunks(events ...string) (frames [][]byte) {
	for _, e := range events {
		frames = append(frames, chunk(e))
	}
	return frames
}

// seen is a request as AWS got it.
type seen struct {
	Region, Path, Query string
	Header              http.Header
	Body                string
	Signed              *sigv4.Presented
	SignatureErr        error
}

// fake is AWS as far as the wire goes: an endpoint for each Region, by the first
// segment of the path, that checks signatures and plays reply.
type fake struct {
	*httptest.Server
	t     testing.TB
	now   func() time.Time
	reply func(w http.ResponseWriter, r *http.Request, s seen)

	mu   sync.Mutex
	seen []seen
}

func serve(t testing.TB, reply func(w http.ResponseWriter, r *http.Request, s seen)) *fake {
	t.Helper()
	f := &fake{t: t, reply: reply, now: time.Now}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	path, query, _ := strings.Cut(r.RequestURI, "?")
	region, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	s := seen{Region: region, Path: "/" + rest, Query: query, Header: r.Header.Clone(), Body: string(body)}
	if p, err := sigv4.Parse(r); err == nil {
		s.Signed, s.SignatureErr = p, p.Verify(r, keySecret, sha256.Sum256(body), f.now())
	} else {
		s.SignatureErr = err
	}
	f.mu.Lock()
	f.seen = append(f.seen, s)
	f.mu.Unlock()
	var skew *sigv4.SkewError
	w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
	w.Header().Set("X-Amzn-Requestid", awsID)
	switch {
	case errors.As(s.SignatureErr, &skew):
		fail(w, 403, "InvalidSignatureException", skew.Error())
	case s.SignatureErr != nil && s.Signed != nil:
		fail(w, 403, "InvalidSignatureException", s.SignatureErr.Error())
	default:
		f.reply(w, r, s)
	}
}

func (f *fake) all() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.seen...)
}

// one is the only request, well signed.
func (f *fake) one() seen {
	f.t.Helper()
	all := f.all()
	if len(all) != 1 {
		f.t.Fatalf("%d requests, want 1", len(all))
	}
	if all[0].SignatureErr != nil {
		f.t.Fatalf("signature: %v", all[0].SignatureErr)
	}
	return all[0]
}

func fail(w http.ResponseWriter, status int, name, text string) {
	w.Header().Set("Content-Type", "application/json")
	if name != "" {
		w.Header().Set(bedrockapi.HeaderErrorType, name+":http://internal.amazon.com/coral/com.amazon.bedrock/")
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":%q}`, text)
}

// plain answers everything with body.
func plain(body string) func(http.ResponseWriter, *http.Request, seen) {
	return func(w http.ResponseWriter, _ *http.Request, _ seen) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Bedrock-Input-Token-Count", "3")
		io.WriteString(w, body)
	}
}

// streamed sends the frames, each flushed, and then end.
func streamed(frames [][]byte, end func(w http.ResponseWriter, r *http.Request)) func(http.ResponseWriter, *http.Request, seen) {
	return func(w http.ResponseWriter, r *http.Request, _ seen) {
		w.Header().Set("Content-Type", bedrockapi.TypeEventStream)
		for _, f := range frames {
			w.Write(f)
			w.(http.Flusher).Flush()
		}
		if end != nil {
			end(w, r)
		}
	}
}

// abort cuts the connection without an end.
func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// silent holds the stream open until the client leaves.
func silent(w http.ResponseWriter, r *http.Request) {
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// static are credentials that do not end.
type static struct{ id, secret, token string }

func (s static) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret, SessionToken: s.token, Source: "test"}, nil
}

// connect makes an Upstream of the fake.
func connect(t testing.TB, f *fake, change ...func(*Options)) *Upstream {
	t.Helper()
	o := Options{Endpoints: Endpoints{Runtime: f.URL + "/{region}", Mantle: f.URL + "/{region}"},
		Accounts: []Account{{Credentials: static{keyID, keySecret, ""}}}}
	for _, c := range change {
		c(&o)
	}
	u, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u
}

var theCatalog = sync.OnceValues(func() (*catalog.Catalog, error) { return catalog.Load() })

// routes resolves ref as the server does.
func routes(t testing.TB, ref, region string, mantle bool) []routing.Route {
	t.Helper()
	c, err := theCatalog()
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Resolve(ref, region, catalog.Policy{Mantle: mantle})
	if err != nil {
		t.Fatal(err)
	}
	all, _ := routing.Routes(res, routing.Amazon(), routing.Fence{}, nil)
	return all
}

func route(t testing.TB, ref string) routing.Route { return routes(t, ref, "us-east-1", false)[0] }

// request is a Messages request as the gateway hands it over.
func request(t testing.TB, body string, stream bool, betas ...string) gateway.Request {
	return requestIn(t, gateway.Messages, body, stream, betas...)
}

func requestIn(t testing.TB, d gateway.Dialect, body string, stream bool, betas ...string) gateway.Request {
	t.Helper()
	b, err := gateway.NewBody(d, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	h := &gateway.Head{Stream: stream, Betas: betas, Operation: bedrockapi.InvokeModel}
	if raw, ok := b.Get("anthropic_version"); ok {
		h.Version = text(raw)
	}
	return gateway.Request{Body: b, Head: h, Stream: stream}
}

// pull reads a stream to its end.
func pull(s gateway.Stream) (events []string, data [][]byte, wire []byte, err error) {
	for {
		f, err := s.Next()
		if err == io.EOF {
			return events, data, wire, nil
		}
		if err != nil {
			return events, data, wire, err
		}
		events = append(events, f.Event)
		data = append(data, bytes.Clone(f.Data))
		wire = append(wire, f.Wire...)
	}
}

// asError is err as the caller will see it; nil fails.
func asError(t testing.TB, err error) *messages.Error {
	t.Helper()
	var e *messages.Error
	if !errors.As(err, &e) {
		t.Fatalf("not an error for callers: %v", err)
	}
	return e
}

// withAccount is the first route of ref by u's first account.
func withAccount(t testing.TB, u *Upstream, ref string) routing.Route {
	t.Helper()
	c, err := theCatalog()
	if err != nil {
		t.Fatal(err)
	}
	region := "us-east-1"
	if a := u.Accounts()[0]; len(a.Regions) > 0 {
		region, ref = a.Regions[0], strings.Replace(ref, "us.", "eu.", 1)
	}
	res, err := c.Resolve(ref, region, catalog.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	all, _ := routing.Routes(res, routing.Amazon(), routing.Fence{}, u.Accounts())
	return all[0]
}
