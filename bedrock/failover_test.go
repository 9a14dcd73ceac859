package bedrock_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
)

// world is a fake for each Region, under the hosts REGION.bedrock.test.
type world struct {
	t     *testing.T
	mu    sync.Mutex
	at    map[string]*fake
	order []string // the Regions that were asked
}

type reply = func(n int, w http.ResponseWriter, r *http.Request)

// regions serves; a nil reply refuses the connection.
func regions(t *testing.T, replies map[string]reply) *world {
	t.Helper()
	w := &world{t: t, at: map[string]*fake{}}
	for region, reply := range replies {
		if reply == nil {
			w.at[region] = nil
			continue
		}
		w.at[region] = serve(t, func(n int, rw http.ResponseWriter, r *http.Request) {
			w.mu.Lock()
			w.order = append(w.order, region)
			w.mu.Unlock()
			reply(n, rw, r)
		})
	}
	return w
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	region, _, _ := strings.Cut(address, ".")
	f, ok := w.at[region]
	if !ok {
		w.t.Errorf("%s was called", address)
	}
	target := "127.0.0.1:1"
	if f == nil {
		w.mu.Lock()
		w.order = append(w.order, region)
		w.mu.Unlock()
	} else {
		target = f.Listener.Addr().String()
	}
	return new(net.Dialer).DialContext(ctx, network, target)
}

func (w *world) client(opts ...bedrock.ClientOption) *bedrock.Client {
	w.t.Helper()
	clean(w.t)
	transport := &http.Transport{DialContext: w.dial}
	w.t.Cleanup(transport.CloseIdleConnections)
	c, err := bedrock.New(w.t.Context(), append([]bedrock.ClientOption{
		bedrock.WithCredentials(keyID, secret, ""), bedrock.WithBaseURL("http://{region}.bedrock.test/prefix"),
		bedrock.WithHTTPClient(&http.Client{Transport: transport}), bedrock.WithMaxRetries(0),
	}, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) asked() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.order, " ")
}

var (
	throttles = failing(429, "ThrottlingException", `{"message":"Too many requests, please wait before trying again."}`)
	down      = failing(503, "ServiceUnavailableException", `{"message":"Bedrock is unable to process your request."}`)
	denies    = failing(403, "AccessDeniedException", `{"message":"You don't have access to the model with the specified model ID."}`)
	invalid   = failing(400, "ValidationException", `{"message":"messages: at least one is needed"}`)
	answers   = plain(answerA)
)

func modelThrows(name string, before ...string) reply {
	return streamed(append(framed(before...), eventstream.AppendException(nil, name, []byte(`{"message":"later"}`))...))
}

// Which failures move a call on, and which are its own.
func TestFailover(t *testing.T) {
	hangsUp := func(_ int, _ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	for _, tc := range []struct {
		name  string
		first reply
		asked string
		err   error
	}{
		{"an answer", answers, "us-east-1", nil},
		{"throttled", throttles, "us-east-1 us-west-2", nil},
		{"503", down, "us-east-1 us-west-2", nil},
		{"500", failing(500, "InternalServerException", `{"message":"x"}`), "us-east-1 us-west-2", nil},
		{"the model took too long", failing(408, "ModelTimeoutException", `{"message":"x"}`), "us-east-1 us-west-2", nil},
		{"the model is loading", failing(429, "ModelNotReadyException", `{"message":"x"}`), "us-east-1 us-west-2", nil},
		{"a proxy's 502", failing(502, "", "<html>"), "us-east-1 us-west-2", nil},
		{"nobody there", nil, "us-east-1 us-west-2", nil},
		{"the connection breaks", hangsUp, "us-east-1 us-west-2", nil},
		{"the request's own fault", invalid, "us-east-1", bedrock.ErrValidation},
		{"no access where it was asked for", denies, "us-east-1", bedrock.ErrAccessDenied},
		{"a wrong signature", failing(403, "InvalidSignatureException", `{"message":"x"}`), "us-east-1", bedrock.ErrAuthentication},
		{"the model's fault with this request", failing(424, "ModelErrorException", `{"message":"x"}`), "us-east-1", bedrock.ErrModel},
		{"a gateway that wants no other try", func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Should-Retry", "false")
			down(n, w, r)
		}, "us-east-1", bedrock.ErrServiceUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := regions(t, map[string]reply{"us-east-1": tc.first, "us-west-2": answers})
			var res *http.Response
			m, err := w.client(bedrock.WithRegions("us-east-1", "us-west-2")).Messages.New(t.Context(), hello(opus46), option.WithResponseInto(&res))
			if w.asked() != tc.asked {
				t.Errorf("asked %s, want %s", w.asked(), tc.asked)
			}
			if tc.err != nil {
				var e *bedrock.Error
				if !errors.Is(err, tc.err) || !errors.As(err, &e) || e.Region != "us-east-1" || e.RequestID == "" {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil || m.Content[0].Text != "Hello!" {
				t.Fatal(err)
			}
			last := tc.asked[len(tc.asked)-len("us-xxxx-1"):]
			if got := bedrock.ResponseRegion(res); got != last {
				t.Errorf("answered from %q, want %s", got, last)
			}
			s := w.at[last].one(t)
			if s.Signed == nil || s.Signed.Region != last || s.Host != last+".bedrock.test" || s.Path != "/prefix/model/"+opus46+"/invoke" || !strings.Contains(s.Body, "Hello, world") {
				t.Errorf("sent %s%s, signed %v: %s", s.Host, s.Path, s.Signed, s.Body)
			}
		})
	}
}

// A stream moves on until its first content has come, and never after it.
func TestFailoverOfStreams(t *testing.T) {
	const count = 7
	for _, tc := range []struct {
		name  string
		first reply
		asked string
		err   error
	}{
		{"an exception in place of the first event", modelThrows("throttlingException"), "us-east-1 us-west-2", nil},
		{"an exception after message_start", modelThrows("modelStreamErrorException", helloEvents[0]), "us-east-1 us-west-2", nil},
		{"an exception after content_block_start", modelThrows("serviceUnavailableException", helloEvents[:2]...), "us-east-1 us-west-2", nil},
		{"cut before content", streamed(framed(helloEvents[:2]...)), "us-east-1 us-west-2", nil},
		{"nothing at all", streamed(nil), "us-east-1 us-west-2", nil},
		{"a page of a proxy", plain("hello"), "us-east-1 us-west-2", nil},
		{"throttled", throttles, "us-east-1 us-west-2", nil},
		{"its own fault, in the stream", modelThrows("validationException"), "us-east-1", bedrock.ErrValidation},
		{"an exception after content", modelThrows("serviceUnavailableException", helloEvents[:3]...), "us-east-1", bedrock.ErrServiceUnavailable},
		{"cut after content", streamed(framed(helloEvents[:4]...)), "us-east-1", bedrock.ErrTruncated},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := regions(t, map[string]reply{"us-east-1": tc.first, "us-west-2": streamed(framed(helloEvents...))})
			s := w.client(bedrock.WithRegions("us-east-1", "us-west-2")).Messages.NewStreaming(t.Context(), hello(opus46))
			defer s.Close()
			n := 0
			for s.Next() {
				n++
			}
			if w.asked() != tc.asked || !errors.Is(s.Err(), tc.err) || tc.err == nil && n != count {
				t.Errorf("asked %s, %d events, error %v", w.asked(), n, s.Err())
			}
			var e *bedrock.Error
			if tc.err != nil && (!errors.As(s.Err(), &e) || e.Region != "us-east-1") {
				t.Errorf("%+v", e)
			}
		})
	}
}

// Content that is held back while another Region could still answer comes in
// order, and at once when it is there.
func TestHeldEventsComeInOrder(t *testing.T) {
	gate := make(chan struct{})
	w := regions(t, map[string]reply{"us-west-2": answers, "us-east-1": func(_ int, rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", frameType)
		rw.Write(framed(helloEvents[:3]...))
		rw.(http.Flusher).Flush()
		<-gate
		rw.Write(framed(helloEvents[3:]...))
	}})
	s := w.client(bedrock.WithRegions("us-east-1", "us-west-2")).Messages.NewStreaming(t.Context(), hello(opus46))
	defer s.Close()
	var got []string
	for s.Next() {
		got = append(got, string(s.Current().Type))
		if len(got) == 3 {
			close(gate) // three have come while the rest was not written
		}
	}
	if want := "message_start content_block_start content_block_delta content_block_delta content_block_stop message_delta message_stop"; s.Err() != nil || strings.Join(got, " ") != want {
		t.Errorf("%v %v", got, s.Err())
	}
}

// A try of a call asks each Region once; tries are counted by WithMaxRetries.
func TestTriesOverRegions(t *testing.T) {
	w := regions(t, map[string]reply{"us-east-1": down, "us-west-2": func(n int, rw http.ResponseWriter, r *http.Request) {
		if n < 2 {
			down(n, rw, r)
			return
		}
		answers(n, rw, r)
	}})
	c := w.client(bedrock.WithRegions("us-east-1", "us-west-2"), bedrock.WithMaxRetries(1))
	if _, err := c.Messages.New(t.Context(), hello(opus46)); err != nil {
		t.Fatal(err)
	}
	if got := w.asked(); got != "us-east-1 us-west-2 us-east-1 us-west-2" {
		t.Errorf("asked %s", got)
	}
}

// A Region that has just throttled is left alone while another is open, and while
// none is, the call waits for the first that opens.
func TestThrottledRegionsAreLeftAlone(t *testing.T) {
	w := regions(t, map[string]reply{"us-east-1": throttles, "us-west-2": answers})
	c := w.client(bedrock.WithRegions("us-east-1", "us-west-2"))
	for range 2 {
		if _, err := c.Messages.New(t.Context(), hello(opus46)); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.asked(); got != "us-east-1 us-west-2 us-west-2" {
		t.Errorf("asked %s", got)
	}
	w = regions(t, map[string]reply{"us-east-1": throttles, "us-west-2": func(n int, rw http.ResponseWriter, r *http.Request) {
		if n == 1 {
			throttles(n, rw, r)
			return
		}
		answers(n, rw, r)
	}})
	begun := time.Now()
	if _, err := w.client(bedrock.WithRegions("us-east-1", "us-west-2"), bedrock.WithMaxRetries(5)).Messages.New(t.Context(), hello(opus46)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < 700*time.Millisecond { // a second, less a fifth of jitter
		t.Errorf("after %v", took)
	}
}

// A prompt that a cache may hold goes where it lies.
func TestCachedPromptStays(t *testing.T) {
	w := regions(t, map[string]reply{"us-west-2": answers, "us-east-1": func(n int, rw http.ResponseWriter, r *http.Request) {
		if n == 1 {
			failing(408, "ModelTimeoutException", `{"message":"x"}`)(n, rw, r)
			return
		}
		answers(n, rw, r)
	}})
	c := w.client(bedrock.WithRegions("us-east-1", "us-west-2"))
	cached := hello(opus46)
	cached.System = []anthropic.TextBlockParam{{Text: "long", CacheControl: anthropic.NewCacheControlEphemeralParam()}}
	for _, p := range []anthropic.MessageNewParams{cached, cached, hello(opus46)} {
		if _, err := c.Messages.New(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.asked(); got != "us-east-1 us-west-2 us-west-2 us-east-1" {
		t.Errorf("asked %s", got)
	}
}

func TestFailoverElsewhere(t *testing.T) {
	t.Run("tokens are counted", func(t *testing.T) {
		w := regions(t, map[string]reply{"us-east-1": down, "us-west-2": plain(`{"inputTokens":4}`)})
		n, err := w.client(bedrock.WithRegions("us-east-1", "us-west-2")).CountTokens(t.Context(), hello(opus46))
		if err != nil || n.InputTokens != 4 || w.at["us-west-2"].one(t).Path != "/prefix/model/anthropic.claude-opus-4-6-v1:0/count-tokens" {
			t.Errorf("%v %v", n, err)
		}
	})
	t.Run("a base URL of the call's own", func(t *testing.T) {
		f := serve(t, down)
		w := regions(t, nil)
		w.at["127"] = f
		_, err := w.client(bedrock.WithRegions("us-east-1", "us-west-2")).Messages.New(t.Context(), hello(opus46), option.WithBaseURL(f.URL+"/"))
		if !errors.Is(err, bedrock.ErrServiceUnavailable) || len(f.all()) != 1 {
			t.Errorf("%v, %d requests", err, len(f.all()))
		}
	})
	t.Run("a caller who has left", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := regions(t, map[string]reply{"us-west-2": answers, "us-east-1": func(int, http.ResponseWriter, *http.Request) {
			cancel()
			time.Sleep(time.Millisecond)
			panic(http.ErrAbortHandler)
		}})
		if _, err := w.client(bedrock.WithRegions("us-east-1", "us-west-2")).Messages.New(ctx, hello(opus46)); !errors.Is(err, context.Canceled) || w.asked() != "us-east-1" {
			t.Errorf("asked %s: %v", w.asked(), err)
		}
	})
	t.Run("option for an own client", func(t *testing.T) {
		w := regions(t, map[string]reply{"us-east-1": down, "us-west-2": answers})
		clean(t)
		c := anthropic.NewClient(bedrock.Option(t.Context(), bedrock.WithAccessKey(keyID, secret), bedrock.WithRegions("us-east-1", "us-west-2"),
			bedrock.WithBaseURL("http://{region}.bedrock.test"), bedrock.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: w.dial, DisableKeepAlives: true}})))
		if _, err := c.Messages.New(t.Context(), hello(opus46)); err != nil || w.asked() != "us-east-1 us-west-2" {
			t.Errorf("asked %s: %v", w.asked(), err)
		}
	})
}

// Every Region is known to be shut: the error says so, is of the same kind as the
// service's own, and nothing is sent.
func TestAllShut(t *testing.T) {
	w := regions(t, map[string]reply{"us-east-1": nil, "us-west-2": nil})
	c := w.client(bedrock.WithRegions("us-east-1", "us-west-2"))
	_, err := c.Messages.New(t.Context(), hello(opus46))
	if !errors.Is(err, bedrock.ErrConnection) || w.asked() != "us-east-1 us-west-2" {
		t.Fatalf("asked %s: %v", w.asked(), err)
	}
	_, err = c.Messages.New(t.Context(), hello(opus46))
	var e *bedrock.Error
	if !errors.Is(err, bedrock.ErrServiceUnavailable) || !errors.As(err, &e) || e.Status != 0 || !strings.Contains(e.Hint, "left alone for") || w.asked() != "us-east-1 us-west-2" {
		t.Errorf("asked %s: %v", w.asked(), err)
	}
}

// A Region that does not answer within an attempt's time is left for the next try.
func TestHungRegion(t *testing.T) {
	w := regions(t, map[string]reply{"us-west-2": answers, "us-east-1": func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	c := w.client(bedrock.WithRegions("us-east-1", "us-west-2"), bedrock.WithTimeout(300*time.Millisecond), bedrock.WithMaxRetries(3))
	if _, err := c.Messages.New(t.Context(), hello(opus46)); err != nil || !strings.HasPrefix(w.asked(), "us-east-1 us-west-2") {
		t.Errorf("asked %s: %v", w.asked(), err)
	}
}

// Many calls at once, some of which nobody reads to their end.
func TestFailoverConcurrently(t *testing.T) {
	half := func(ok reply) reply {
		return func(n int, w http.ResponseWriter, r *http.Request) {
			if n%2 == 0 {
				failing(408, "ModelTimeoutException", `{"message":"x"}`)(n, w, r)
				return
			}
			ok(n, w, r)
		}
	}
	stream := streamed(framed(helloEvents...))
	w := regions(t, map[string]reply{"us-east-1": half(stream), "us-west-2": stream, "us-east-2": stream})
	c := w.client(bedrock.WithRegions("us-east-1", "us-west-2", "us-east-2"))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			s := c.Messages.NewStreaming(t.Context(), hello(opus46))
			defer s.Close()
			for s.Next() && i%3 > 0 {
			}
			if s.Err() != nil {
				t.Error(s.Err())
			}
		})
	}
	wg.Wait()
}
