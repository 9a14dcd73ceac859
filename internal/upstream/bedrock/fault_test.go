package bedrock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// contentAt is the first frame of events1 with content: until it has come an error
// is Send's, so that another Region may answer.
const contentAt = 2

// play sends a stream's frames and gives how many reached us, and the error, with
// where it came from.
func play(t *testing.T, u *Upstream, ref string) (frames int, err error, atSend bool) {
	t.Helper()
	s, err := u.Send(t.Context(), route(t, ref), request(t, helloBody, true))
	if err != nil {
		return 0, err, true
	}
	defer s.Close()
	events, _, _, err := pull(s)
	return len(events), err, false
}

func TestExceptionAtFrame(t *testing.T) {
	frames := chunks(events1...)
	exceptions := map[string]messages.Kind{
		"throttlingException": messages.Throttled, "internalServerException": messages.Internal, "serviceUnavailableException": messages.Unavailable,
		"modelStreamErrorException": messages.ModelStreamFailed, "validationException": messages.InvalidRequest, "modelTimeoutException": messages.ModelTimeout,
		"somethingNewException": messages.ModelStreamFailed,
	}
	for name, kind := range exceptions {
		for n := range len(frames) {
			thrown := eventstream.AppendException(nil, name, []byte(`{"message":"It was thrown.","originalStatusCode":529,"originalMessage":"Overloaded"}`))
			f := serve(t, streamed(append(append([][]byte{}, frames[:n]...), thrown), nil))
			got, err, atSend := play(t, connect(t, f), opus46)
			e := asError(t, err)
			if e.Kind != kind || e.Message != "It was thrown." || !strings.Contains(err.Error(), "Overloaded") {
				t.Errorf("%s at %d: kind %d, %v", name, n, e.Kind, err)
			}
			if atSend != (n <= contentAt) || !atSend && got != n || !routing.MayHaveBilled(err) {
				t.Errorf("%s at %d: %d frames came, at Send %t, may be billed %t", name, n, got, atSend, routing.MayHaveBilled(err))
			}
			f.Close()
		}
	}
}

func TestErrorMessageInTheStream(t *testing.T) {
	m := eventstream.AppendMessage(nil, []eventstream.Header{
		eventstream.StringHeader(":message-type", "error"), eventstream.StringHeader(":error-code", "InternalServerException"), eventstream.StringHeader(":error-message", "Oh."),
	}, nil)
	f := serve(t, streamed([][]byte{chunk(events1[0]), m}, nil))
	_, err, _ := play(t, connect(t, f), opus46)
	if e := asError(t, err); e.Kind != messages.Internal || e.Message != "Oh." {
		t.Errorf("%d %v", e.Kind, err)
	}
}

// A stream that ends too soon is an error wherever it ends, and however: with the
// end of the answer, or without.
func TestCutAtFrame(t *testing.T) {
	frames := chunks(events1...)
	whole := bytes.Join(frames, nil)
	borders := map[int]int{0: 0}
	n := 0
	for i, f := range frames {
		n += len(f)
		borders[n] = i + 1
	}
	for _, end := range []func(http.ResponseWriter, *http.Request){nil, abort} {
		for cut := 0; cut < len(whole); cut += 7 {
			_, onBorder := borders[cut]
			if !onBorder && cut%3 != 0 && !testing.Short() {
				continue
			}
			f := serve(t, streamed([][]byte{whole[:cut]}, end))
			_, err, _ := play(t, connect(t, f), opus46)
			if e := asError(t, err); e.Kind != messages.ModelStreamFailed || e.Message != "stream ended before message_stop" {
				t.Fatalf("cut at byte %d: %v", cut, err)
			}
			f.Close()
		}
		for at, whole := range borders {
			if whole == len(frames) {
				continue
			}
			f := serve(t, streamed([][]byte{bytes.Join(frames, nil)[:at]}, end))
			got, err, atSend := play(t, connect(t, f), opus46)
			if e := asError(t, err); e.Message != "stream ended before message_stop" || atSend != (whole <= contentAt) || !atSend && got != whole {
				t.Errorf("cut after frame %d: %d frames, at Send %t, %v", whole, got, atSend, err)
			}
			f.Close()
		}
	}
}

// After message_stop all has been said: a connection that breaks then is no error.
func TestCutAfterTheEnd(t *testing.T) {
	f := serve(t, streamed(chunks(events1...), abort))
	got, err, _ := play(t, connect(t, f), opus46)
	if err != nil || got != len(events1) {
		t.Errorf("%d frames, %v", got, err)
	}
}

func TestWrongChecksum(t *testing.T) {
	for i := range events1 {
		frames := chunks(events1...)
		frames[i][len(frames[i])-1] ^= 1
		f := serve(t, streamed(frames, nil))
		got, err, atSend := play(t, connect(t, f), opus46)
		if e := asError(t, err); e.Kind != messages.ModelStreamFailed || e.Message != "The model's stream was damaged on the way." || !errors.Is(err, eventstream.ErrMessageCRC) {
			t.Errorf("frame %d: %v", i, err)
		}
		if atSend != (i <= contentAt) || !atSend && got != i {
			t.Errorf("frame %d: %d frames came, at Send %t", i, got, atSend)
		}
		f.Close()
	}
}

// script is a body whose reads come when the test says, and end with the context.
type script struct {
	ctx   context.Context
	parts chan []byte
}

func (s *script) Read(p []byte) (int, error) {
	select {
	case b, ok := <-s.parts:
		if !ok {
			return 0, io.EOF
		}
		return copy(p, b), nil
	case <-s.ctx.Done():
		return 0, context.Cause(s.ctx)
	}
}

func (s *script) Close() error { return nil }

// The watchdog counts the stream's silence alone: not the time that our own reader
// takes, and not what comes before the first content.
func TestWatch(t *testing.T) {
	open := func(t *testing.T, o Options) (*script, func() (*stream, error)) {
		ctx, w := newWatch(t.Context(), o)
		body := &script{ctx: ctx, parts: make(chan []byte, 100)}
		return body, func() (*stream, error) {
			var pool sync.Pool
			resp := &http.Response{Header: http.Header{"Content-Type": typeFrames}, Body: body}
			return newStream(resp, catalog.Invoke, w, answer{}, &pool)
		}
	}
	limits := Options{FirstContent: time.Minute, Idle: 10 * time.Second}
	frames := chunks(events1...)
	t.Run("slow reader", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			body, begin := open(t, limits)
			for _, f := range frames {
				body.parts <- f
			}
			close(body.parts)
			s, err := begin()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for range frames {
				time.Sleep(time.Hour)
				if _, err := s.Next(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Next(); err != io.EOF {
				t.Error(err)
			}
		})
	})
	t.Run("slow model", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			body, begin := open(t, limits)
			go func() {
				for i, f := range frames {
					if i == contentAt {
						time.Sleep(59 * time.Second)
					} else if i > contentAt {
						time.Sleep(9 * time.Second)
					}
					body.parts <- f
				}
				close(body.parts)
			}()
			s, err := begin()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if events, _, _, err := pull(s); err != nil || len(events) != len(frames) {
				t.Errorf("%v %v", events, err)
			}
		})
	})
	// The timer is not set at each read: it finds out by itself how long one takes.
	for name, pause := range map[string]time.Duration{"silence": 3 * time.Second, "silence after a slow reader": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body, begin := open(t, limits)
				for _, f := range frames[:len(frames)-2] {
					body.parts <- f
				}
				s, err := begin()
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				for range frames[:len(frames)-2] {
					time.Sleep(pause)
					if _, err := s.Next(); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(pause)
				began := time.Now()
				if _, err := s.Next(); !errors.Is(err, errSilent) || time.Since(began) != limits.Idle {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
		})
	}
	t.Run("no content", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			body, begin := open(t, limits)
			body.parts <- frames[0]
			if _, err := begin(); !errors.Is(err, errNoContent) || time.Since(began) != time.Minute {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		})
	})
	t.Run("no end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			body, begin := open(t, Options{})
			for _, f := range frames {
				body.parts <- f
			}
			s, err := begin()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			began := time.Now()
			if _, _, _, err := pull(s); err != nil || time.Since(began) != endWait {
				t.Errorf("all had come, but after %v: %v", time.Since(began), err)
			}
		})
	})
}

// When the client leaves, AWS is let go of at once.
func TestClientLeaves(t *testing.T) {
	for _, n := range []int{0, 1, 4} {
		here, gone := make(chan struct{}), make(chan struct{})
		f := serve(t, streamed(chunks(events1[:n]...), func(w http.ResponseWriter, r *http.Request) {
			close(here)
			silent(w, r)
			close(gone)
		}))
		ctx, leave := context.WithCancelCause(t.Context())
		go func() {
			<-here
			leave(errors.New("left"))
		}()
		s, err := connect(t, f).Send(ctx, route(t, opus46), request(t, helloBody, true))
		if err == nil {
			_, _, _, err = pull(s)
			s.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after %d frames: %v", n, err)
		}
		<-gone
		f.Close()
	}
}

// Close cuts a stream that has not ended.
func TestClose(t *testing.T) {
	gone := make(chan struct{})
	f := serve(t, streamed(chunks(events1[:4]...), func(w http.ResponseWriter, r *http.Request) {
		silent(w, r)
		close(gone)
	}))
	s, err := connect(t, f).Send(t.Context(), route(t, opus46), request(t, helloBody, true))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	<-gone
}

// A connection is used again after a whole stream, and after a refusal.
func TestConnectionsLive(t *testing.T) {
	var fails atomic.Bool
	var mu sync.Mutex
	opened := map[string]bool{}
	f := serve(t, func(w http.ResponseWriter, r *http.Request, s seen) {
		mu.Lock()
		opened[r.RemoteAddr] = true
		mu.Unlock()
		if fails.Load() {
			fail(w, 429, "ThrottlingException", "Too many requests, please wait before trying again.")
			return
		}
		streamed(chunks(events1...), nil)(w, r, s)
	})
	u := connect(t, f)
	for i := range 6 {
		fails.Store(i%2 == 1)
		if _, err, _ := play(t, u, opus46); (err != nil) != fails.Load() {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(opened) != 1 {
		t.Errorf("%d connections for six calls", len(opened))
	}
}

func TestDeadHost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	f := serve(t, plain(answer1))
	u := connect(t, f, func(o *Options) { o.Endpoints.Runtime = "http://" + addr })
	_, err = u.Send(t.Context(), route(t, opus46), request(t, helloBody, false))
	var fault *routing.Fault
	if e := asError(t, err); e.Kind != messages.Unavailable || !errors.As(err, &fault) || !fault.Unsent || fault.MayBill {
		t.Errorf("%+v %v", fault, err)
	}
}

// A connection that breaks after the request was sent may stand on the bill.
func TestHungUp(t *testing.T) {
	f := serve(t, func(w http.ResponseWriter, _ *http.Request, _ seen) { panic(http.ErrAbortHandler) })
	_, err := connect(t, f).Send(t.Context(), route(t, opus46), request(t, helloBody, false))
	if e := asError(t, err); e.Kind != messages.Unavailable || !routing.MayHaveBilled(err) {
		t.Errorf("%v", err)
	}
	f = serve(t, func(w http.ResponseWriter, _ *http.Request, _ seen) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, `{"id":`)
	})
	_, err = connect(t, f).Send(t.Context(), route(t, opus46), request(t, helloBody, false))
	if e := asError(t, err); e.Kind != messages.Unavailable || !routing.MayHaveBilled(err) {
		t.Errorf("half an answer: %v", err)
	}
}

func TestWrongContentType(t *testing.T) {
	f := serve(t, plain(answer1))
	_, err, _ := play(t, connect(t, f), opus46)
	if e := asError(t, err); e.Kind != messages.ModelFailed || !strings.Contains(e.Message, `"application/json"`) {
		t.Errorf("%v", err)
	}
}

// Events and frames that are new pass as they came.
func TestUnknownFramesPass(t *testing.T) {
	news := eventstream.AppendEvent(nil, "usageReport", "application/json", []byte(`{"a":1}`))
	event := chunk(`{"type":"content_block_ping","x":1}`)
	frames := append(chunks(events1[:3]...), news, event)
	frames = append(frames, chunks(events1[3:]...)...)
	f := serve(t, streamed(frames, nil))
	s, err := connect(t, f).Send(t.Context(), route(t, opus46), request(t, helloBody, true))
	if err != nil {
		t.Fatal(err)
	}
	events, data, wire, err := pull(s)
	if err != nil || events[3] != "usageReport" || string(data[3]) != `{"a":1}` || events[4] != "content_block_ping" || !bytes.Equal(wire, bytes.Join(frames, nil)) {
		t.Errorf("%v %v", events, err)
	}
}

func TestUnreadableChunks(t *testing.T) {
	for _, payload := range []string{`{"bytes":"`, `{"bytes":"!!!!"}`, `{"b":"e30="}`, `[]`, `{"bytes":"e30="}`, `{"bytes":7}`, ``} {
		f := serve(t, streamed([][]byte{eventstream.AppendEvent(nil, "chunk", "application/json", []byte(payload))}, nil))
		_, err, _ := play(t, connect(t, f), opus46)
		if e := asError(t, err); e.Kind != messages.ModelStreamFailed {
			t.Errorf("%s: %v", payload, err)
		}
		f.Close()
	}
	// Other spellings of the same.
	for _, payload := range []string{`{"p":"x","bytes":"eyJ0eXBlIjoicGluZyJ9"}`, ` { "bytes" : "eyJ0eXBlIjoicGluZyJ9" }`, `{"bytes":"\u0065yJ0eXBlIjoicGluZyJ9"}`} {
		got, err := appendChunk(nil, []byte(payload))
		if err != nil || string(got) != `{"type":"ping"}` {
			t.Errorf("%s: %s %v", payload, got, err)
		}
	}
}

// ended gives credentials that AWS calls expired, then good ones.
type ended struct{ calls atomic.Int32 }

func (e *ended) Retrieve(context.Context) (aws.Credentials, error) {
	n := e.calls.Add(1)
	return aws.Credentials{AccessKeyID: fmt.Sprintf("ASIA%d", n), SecretAccessKey: keySecret, SessionToken: fmt.Sprint("session ", n), Source: "test"}, nil
}

func TestExpiredCredentials(t *testing.T) {
	refuse := func(w http.ResponseWriter, r *http.Request, s seen) {
		if s.Signed.AccessKeyID == "ASIA1" {
			fail(w, 403, "ExpiredTokenException", "The security token included in the request is expired")
			return
		}
		plain(answer1)(w, r, s)
	}
	f := serve(t, refuse)
	p := new(ended)
	u := connect(t, f, func(o *Options) { o.Accounts = []Account{{Credentials: p}} })
	if _, err := u.Send(t.Context(), route(t, opus46), request(t, helloBody, false)); err != nil {
		t.Fatal(err)
	}
	if n := len(f.all()); n != 2 || p.calls.Load() != 2 {
		t.Errorf("%d requests, %d credentials", n, p.calls.Load())
	}
	// Without new ones there is no second try, and the caller is not told.
	f = serve(t, func(w http.ResponseWriter, _ *http.Request, _ seen) {
		fail(w, 403, "ExpiredTokenException", "The security token included in the request is expired")
	})
	_, err := connect(t, f).Send(t.Context(), route(t, opus46), request(t, helloBody, false))
	if e := asError(t, err); e.Kind != messages.Unavailable || strings.Contains(e.Message, "token") || !strings.Contains(err.Error(), "expired") || len(f.all()) != 1 {
		t.Errorf("%d requests: %v", len(f.all()), err)
	}
}

// A clock that is wrong is put right by AWS's own date.
func TestClockSkew(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		f := serve(t, plain(answer1))
		f.now = func() time.Time { return time.Now().Add(off) }
		u := connect(t, f)
		for range 3 {
			if _, err := u.Send(t.Context(), route(t, opus46), request(t, helloBody, false)); err != nil {
				t.Fatalf("off by %v: %v", off, err)
			}
		}
		if n := len(f.all()); n != 4 {
			t.Errorf("off by %v: %d requests for three calls, want one more to learn", off, n)
		}
	}
}

// The server does not call itself: not by its address, not with its own keys, not
// in a ring.
func TestSelf(t *testing.T) {
	f := serve(t, plain(answer1))
	addr := netip.MustParseAddrPort(f.Listener.Addr().String())
	tests := map[string]func(*Options){
		"its address": func(o *Options) { o.Self = []netip.AddrPort{addr} },
		"any address": func(o *Options) { o.Self = []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())} },
		"any, v6":     func(o *Options) { o.Self = []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())} },
		"its keys":    func(o *Options) { o.OwnKey = func(id string) bool { return id == keyID } },
		"its hop":     func(o *Options) { o.Hop = "hop-1" },
		"none of it":  nil,
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			u := connect(t, f, func(o *Options) {
				if change != nil {
					change(o)
				}
			})
			req := request(t, helloBody, false)
			req.Head.Hops = []string{"hop-0", "hop-1"}
			before := len(f.all())
			_, err := u.Send(t.Context(), route(t, opus46), req)
			if change == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if e := asError(t, err); e.Kind != messages.Loop || len(f.all()) != before {
				t.Errorf("%d requests, %v", len(f.all())-before, err)
			}
		})
	}
	if _, err := New(t.Context(), Options{Accounts: []Account{{Bearer: "ABSKours"}}, OwnKey: func(s string) bool { return s == "ABSKours" }}); !errors.Is(err, errOwnKey) {
		t.Errorf("its own API key: %v", err)
	}
}

// The relay holds to one allocation a frame at most; decoding has none.
func TestFrameAllocations(t *testing.T) {
	stream := func(n int) []byte {
		var b []byte
		b = append(b, chunk(events1[0])...)
		for range n {
			b = append(b, chunk(events1[2])...)
		}
		return append(b, chunk(events1[6])...)
	}
	cost := func(n int) float64 {
		data := stream(n)
		var pool sync.Pool
		return testing.AllocsPerRun(20, func() {
			resp := &http.Response{Header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}, Body: io.NopCloser(bytes.NewReader(data))}
			_, w := newWatch(t.Context(), Options{Idle: time.Minute})
			s, err := newStream(resp, catalog.Invoke, w, answer{}, &pool)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for {
				if _, err := s.Next(); err == io.EOF {
					return
				} else if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if per := (cost(1010) - cost(10)) / 1000; per > 0.01 {
		t.Errorf("%.3f allocations a frame, want none", per)
	}
}

var (
	_ gateway.Upstream = (*Upstream)(nil)
	_ gateway.Counter  = (*Upstream)(nil)
)
