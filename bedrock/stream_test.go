package bedrock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

const requestID = "11111111-2222-3333-4444-555555555555"

// from makes a client whose answers are made in memory.
func from(t *testing.T, contentType string, body func() io.ReadCloser, opts ...bedrock.ClientOption) *bedrock.Client {
	t.Helper()
	clean(t)
	d := doer(func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		h.Set("Content-Type", contentType)
		h.Set("X-Amzn-Requestid", requestID)
		return &http.Response{StatusCode: 200, Header: h, Body: body(), Request: r}, nil
	})
	c, err := bedrock.New(t.Context(), append([]bedrock.ClientOption{bedrock.WithAccessKey(keyID, secret), bedrock.WithHTTPClient(d), bedrock.WithMaxRetries(0)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const frameType = "application/vnd.amazon.eventstream"

// read takes a whole stream: its events by type, and its error.
func read(t *testing.T, c *bedrock.Client) (types []string, err error) {
	t.Helper()
	stream := c.Messages.NewStreaming(t.Context(), hello(opus46))
	defer stream.Close()
	for stream.Next() {
		types = append(types, stream.Current().Type)
	}
	return types, stream.Err()
}

func bytesBody(b []byte) func() io.ReadCloser {
	return func() io.ReadCloser { return io.NopCloser(strings.NewReader(string(b))) }
}

func asSSE(events ...string) []byte {
	var out []byte
	for _, e := range events {
		_, rest, _ := strings.Cut(e, `{"type":"`)
		name, _, _ := strings.Cut(rest, `"`)
		out = sse.AppendEvent(out, name, []byte(e))
	}
	return out
}

var helloTypes = []string{"message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop", "message_delta", "message_stop"}

func TestStreamWhole(t *testing.T) {
	spaced := strings.ReplaceAll(helloEvents[0], `,"message":`, ",\n\r\n \"message\":")
	reordered := append([]byte(nil), eventstream.AppendEvent(nil, "chunk", "application/json",
		[]byte(`{"p":"abc", "bytes" : "eyJ0eXBlIjoibWVzc2FnZV9zdG9wIn0\u003d"}`))...) // {"type":"message_stop"}
	for _, tc := range []struct {
		name, kind string
		body       []byte
		want       []string
	}{
		{"frames", frameType, framed(helloEvents...), helloTypes},
		{"frames, with a parameter on the type", frameType + "; charset=x", framed(helloEvents...), helloTypes},
		{"events", "text/event-stream; charset=utf-8", asSSE(helloEvents...), helloTypes},
		{"events without names, CRLF, comments", "text/event-stream", []byte(": hi\r\ndata: " + strings.Join(helloEvents, "\r\n\r\n: hi\r\ndata: ") + "\r\n\r\n"), helloTypes},
		{"line ends inside of an event", frameType, framed(append([]string{spaced}, helloEvents[1:]...)...), helloTypes},
		{"another order of members, escapes in the base64", frameType, append(framed(helloEvents[:6]...), reordered...), helloTypes},
		{"signs of life and an initial response", frameType, slices.Concat(
			eventstream.AppendEvent(nil, "initial-response", "application/json", []byte(`{}`)),
			eventstream.AppendEvent(nil, "chunk", "application/json", []byte(`{"bytes":""}`)),
			framed(`{"type":"ping"}`), framed(helloEvents...)), helloTypes},
		{"an event of tomorrow", frameType, slices.Concat(framed(helloEvents[0]),
			eventstream.AppendEvent(nil, "weather", "application/json", []byte(`{"sun":true}`)), framed(helloEvents[1:]...)),
			slices.Insert(slices.Clone(helloTypes), 1, "weather")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, wrap := range map[string]func(io.Reader) io.Reader{
				"whole":      func(r io.Reader) io.Reader { return r },
				"by byte":    iotest.OneByteReader,
				"early ends": iotest.DataErrReader,
			} {
				c := from(t, tc.kind, func() io.ReadCloser { return io.NopCloser(wrap(strings.NewReader(string(tc.body)))) })
				types, err := read(t, c)
				if err != nil || !slices.Equal(types, tc.want) {
					t.Errorf("%s: events %q, error %v", name, types, err)
				}
			}
		})
	}
}

func TestUnknownEventKeepsWhatItSays(t *testing.T) {
	c := from(t, frameType, bytesBody(slices.Concat(eventstream.AppendEvent(nil, "weather", "application/json", []byte(`{"sun":true}`)), framed(helloEvents...))))
	stream := c.Messages.NewStreaming(t.Context(), hello(opus46))
	if !stream.Next() || stream.Current().RawJSON() != `{"sun":true,"type":"weather"}` {
		t.Errorf("event %s, error %v", stream.Current().RawJSON(), stream.Err())
	}
}

// A stream that is cut is an error wherever it is cut, and never a shorter answer.
func TestStreamCutAtEveryByte(t *testing.T) {
	for kind, body := range map[string][]byte{
		frameType:           framed(helloEvents...),
		"text/event-stream": asSSE(helloEvents...),
	} {
		i := 0
		c := from(t, kind, func() io.ReadCloser { return bytesBody(body[:i])() })
		for ; i < len(body); i++ {
			types, err := read(t, c)
			var e *bedrock.Error
			if !errors.Is(err, bedrock.ErrTruncated) || !errors.As(err, &e) || e.Message != "stream ended before message_stop" || e.RequestID != requestID {
				t.Fatalf("%s cut at %d of %d: %d events, error %v", kind, i, len(body), len(types), err)
			}
			if !slices.Equal(types, helloTypes[:len(types)]) {
				t.Fatalf("%s cut at %d: events %q", kind, i, types)
			}
		}
	}
}

// Every event that came before a failure is given before it.
func TestStreamFailures(t *testing.T) {
	before := framed(helloEvents[:4]...)
	damaged := func(at int) []byte {
		b := append([]byte(nil), framed(helloEvents...)...)
		b[at] ^= 1
		return b
	}
	for _, tc := range []struct {
		name      string
		kind      string
		body      []byte
		events    int
		is        error
		code      string
		status    int
		message   string
		anthropic string // type of the anthropic.Error; "": there is none
	}{
		{"throttled", frameType, append(before, eventstream.AppendException(nil, "throttlingException", []byte(`{"message":"Too many tokens, please wait before trying again."}`))...),
			4, bedrock.ErrThrottling, "ThrottlingException", 429, "Too many tokens, please wait before trying again.", "rate_limit_error"},
		{"the model failed", frameType, append(before, eventstream.AppendException(nil, "modelStreamErrorException", []byte(`{"message":"oops","originalStatusCode":500}`))...),
			4, bedrock.ErrModel, "ModelStreamErrorException", 424, "oops", "api_error"},
		{"a timeout of the model's", frameType, append(before, eventstream.AppendException(nil, "modelTimeoutException", []byte(`{"message":"slow"}`))...),
			4, bedrock.ErrModelTimeout, "ModelTimeoutException", 408, "slow", "timeout_error"},
		{"validation", frameType, append(before, eventstream.AppendException(nil, "validationException", []byte(`{"message":"bad"}`))...),
			4, bedrock.ErrValidation, "ValidationException", 400, "bad", "invalid_request_error"},
		{"unavailable", frameType, append(before, eventstream.AppendException(nil, "serviceUnavailableException", []byte(`{"Message":"busy"}`))...),
			4, bedrock.ErrServiceUnavailable, "ServiceUnavailableException", 503, "busy", "overloaded_error"},
		{"an exception of tomorrow", frameType, append(before, eventstream.AppendException(nil, "rainException", []byte(`{"message":"wet"}`))...),
			4, bedrock.ErrInternal, "rainException", 500, "wet", "api_error"},
		{"an exception without JSON", frameType, append(before, eventstream.AppendException(nil, "internalServerException", []byte(`oops`))...),
			4, bedrock.ErrInternal, "InternalServerException", 500, "oops", "api_error"},
		{"after message_stop too", frameType, append(framed(helloEvents...), eventstream.AppendException(nil, "internalServerException", []byte(`{"message":"late"}`))...),
			7, bedrock.ErrInternal, "InternalServerException", 500, "late", "api_error"},
		{"an error that is not modelled", frameType, append(before, eventstream.AppendMessage(nil, []eventstream.Header{
			eventstream.StringHeader(":message-type", "error"), eventstream.StringHeader(":error-code", "ThrottlingException"), eventstream.StringHeader(":error-message", "sl\"ow")}, nil)...),
			4, bedrock.ErrThrottling, "ThrottlingException", 429, "sl\"ow", "rate_limit_error"},
		{"Anthropic's error event in a chunk", frameType, append(before, chunk(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)...),
			4, bedrock.ErrServiceUnavailable, "ServiceUnavailableException", 503, "Overloaded", "overloaded_error"},
		{"Anthropic's error event", "text/event-stream", append(asSSE(helloEvents[:4]...), asSSE(`{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}`)...),
			4, bedrock.ErrThrottling, "ThrottlingException", 429, "Slow down", "rate_limit_error"},
		{"a damaged frame", frameType, damaged(len(before) + 120), 4, bedrock.ErrCorrupted, "AnswerCorrupted", 0, "the stream was damaged on the way", ""},
		{"a damaged prelude", frameType, damaged(len(before) + 1), 4, bedrock.ErrCorrupted, "AnswerCorrupted", 0, "the stream was damaged on the way", ""},
		{"a chunk that is not JSON", frameType, append(before, eventstream.AppendEvent(nil, "chunk", "application/json", []byte(`nope`))...), 4, bedrock.ErrCorrupted, "AnswerCorrupted", 0, "a chunk of the stream cannot be read", ""},
		{"a chunk without bytes", frameType, append(before, eventstream.AppendEvent(nil, "chunk", "application/json", []byte(`{"p":"a"}`))...), 4, bedrock.ErrCorrupted, "AnswerCorrupted", 0, "a chunk of the stream cannot be read", ""},
		{"a chunk that is not base64", frameType, append(before, eventstream.AppendEvent(nil, "chunk", "application/json", []byte(`{"bytes":"*"}`))...), 4, bedrock.ErrCorrupted, "AnswerCorrupted", 0, "a chunk of the stream cannot be read", ""},
		{"an event that is not JSON", frameType, append(before, chunk(`{"type`)...), 4, bedrock.ErrCorrupted, "AnswerCorrupted", 0, "a chunk of the stream is not JSON", ""},
		{"an unknown message type", frameType, append(before, eventstream.AppendMessage(nil, []eventstream.Header{eventstream.StringHeader(":message-type", "postcard")}, nil)...),
			4, bedrock.ErrCorrupted, "AnswerCorrupted", 0, `a frame of unknown :message-type "postcard"`, ""},
		{"HTML in place of a stream", "text/html", []byte("<html>"), 0, bedrock.ErrCorrupted, "AnswerCorrupted", 200, "a stream was asked for and answered with text/html", ""},
		{"nothing in place of a stream", "", nil, 0, bedrock.ErrCorrupted, "AnswerCorrupted", 200, "a stream was asked for and answered with no Content-Type", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			types, err := read(t, from(t, tc.kind, bytesBody(tc.body)))
			if len(types) != tc.events {
				t.Errorf("%d events, want %d", len(types), tc.events)
			}
			var e *bedrock.Error
			if !errors.As(err, &e) || !errors.Is(err, tc.is) {
				t.Fatalf("error %v, want %v", err, tc.is)
			}
			if e.Code != tc.code || e.Status != tc.status || e.Message != tc.message || e.RequestID != requestID {
				t.Errorf("error %+v", *e)
			}
			var api *anthropic.Error
			if errors.As(err, &api) != (tc.anthropic != "") {
				t.Fatalf("anthropic.Error: %v", api)
			}
			if api != nil && (string(api.Type()) != tc.anthropic || api.StatusCode != tc.status || api.Message != tc.message || api.RequestID != requestID || api.Response == nil || api.Request == nil) {
				t.Errorf("anthropic.Error %v", api)
			}
		})
	}
}

// A connection that breaks after message_stop has broken nothing.
func TestBrokenAfterMessageStop(t *testing.T) {
	c := from(t, frameType, func() io.ReadCloser {
		return io.NopCloser(io.MultiReader(strings.NewReader(string(framed(helloEvents...))), iotest.ErrReader(errors.New("reset"))))
	})
	if types, err := read(t, c); err != nil || len(types) != 7 {
		t.Errorf("%d events, error %v", len(types), err)
	}
}

func TestCauseOfATruncation(t *testing.T) {
	reset := errors.New("connection reset")
	c := from(t, frameType, func() io.ReadCloser {
		return io.NopCloser(io.MultiReader(strings.NewReader(string(framed(helloEvents[0]))), iotest.ErrReader(reset)))
	})
	if _, err := read(t, c); !errors.Is(err, bedrock.ErrTruncated) || !errors.Is(err, reset) {
		t.Errorf("error %v", err)
	}
}

// Each event reaches the caller while the service holds the next one back.
func TestStreamIsIncremental(t *testing.T) {
	next := make(chan int)
	f := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", frameType)
		for i := range next {
			w.Write(chunk(helloEvents[i]))
			w.(http.Flusher).Flush()
		}
	})
	c := connect(t, f)
	go func() { next <- 0 }() // the first one opens the stream
	stream := c.Messages.NewStreaming(t.Context(), hello(opus46))
	for i, want := range helloTypes {
		if !stream.Next() || stream.Current().Type != want {
			t.Fatalf("event %d: %s, error %v", i, stream.Current().Type, stream.Err())
		}
		if i+1 < len(helloTypes) {
			next <- i + 1
		}
	}
	close(next)
	if stream.Next() || stream.Err() != nil {
		t.Errorf("after the end: %s, error %v", stream.Current().Type, stream.Err())
	}
}

// Closing early, and a caller who leaves, end the connection; nothing stays behind.
func TestCloseEarly(t *testing.T) {
	for name, leave := range map[string]func(context.CancelFunc, io.Closer){
		"close":  func(_ context.CancelFunc, c io.Closer) { c.Close() },
		"cancel": func(cancel context.CancelFunc, _ io.Closer) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{})
			f := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", frameType)
				w.Write(framed(helloEvents[:2]...))
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				close(gone)
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stream := connect(t, f, bedrock.WithIdleTimeout(time.Hour)).Messages.NewStreaming(ctx, hello(opus46))
			if !stream.Next() || !stream.Next() {
				t.Fatal(stream.Err())
			}
			leave(cancel, stream)
			<-gone
			if name == "cancel" {
				if stream.Next() || !errors.Is(stream.Err(), context.Canceled) {
					t.Errorf("error %v", stream.Err())
				}
				stream.Close()
			}
		})
	}
}

// trickle gives one frame every so often, of the bubble's time.
type trickle struct {
	frames [][]byte
	every  time.Duration
	closed chan struct{}
}

func (r *trickle) Read(p []byte) (int, error) {
	if len(r.frames) == 0 {
		<-r.closed
		return 0, errors.New("read on closed body")
	}
	select {
	case <-time.After(r.every):
	case <-r.closed:
		return 0, errors.New("read on closed body")
	}
	n := copy(p, r.frames[0])
	r.frames = r.frames[1:]
	return n, nil
}

func (r *trickle) Close() error {
	select {
	case <-r.closed:
	default:
		close(r.closed)
	}
	return nil
}

func TestIdleTimeout(t *testing.T) {
	var all [][]byte
	for _, e := range helloEvents {
		all = append(all, chunk(e))
	}
	for _, tc := range []struct {
		name   string
		frames [][]byte
		events int
		err    error
		took   time.Duration
	}{
		{"slow, but alive", all, 7, nil, 7 * 50 * time.Second},
		{"gone silent", all[:3], 3, bedrock.ErrTruncated, 3*50*time.Second + time.Minute},
		{"silent from the start", nil, 0, bedrock.ErrTruncated, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				body := &trickle{frames: tc.frames, every: 50 * time.Second, closed: make(chan struct{})}
				c := from(t, frameType, func() io.ReadCloser { return body }, bedrock.WithIdleTimeout(time.Minute))
				stream := c.Messages.NewStreaming(t.Context(), hello(opus46))
				n := 0
				for n < 7 && stream.Next() { // after message_stop this body would hang
					n++
				}
				took := time.Since(start)
				stream.Close()
				if n != tc.events || tc.err == nil && stream.Err() != nil || tc.err != nil && !errors.Is(stream.Err(), tc.err) || took != tc.took {
					t.Errorf("%d events in %v, error %v", n, took, stream.Err())
				}
			})
		})
	}
}

// An error in place of the first event is one of the attempt: nothing has reached
// the caller, so it is tried again.
func TestRetryBeforeTheFirstEvent(t *testing.T) {
	throttled := eventstream.AppendException(nil, "throttlingException", []byte(`{"message":"slow"}`))
	invalid := eventstream.AppendException(nil, "validationException", []byte(`{"message":"bad"}`))
	for _, tc := range []struct {
		name  string
		first []byte
		calls int
		err   error
	}{
		{"throttled", throttled, 2, nil},
		{"cut before anything came", nil, 2, nil},
		{"invalid", invalid, 1, bedrock.ErrValidation},
		{"throttled after an event", append(framed(helloEvents[0]), throttled...), 1, bedrock.ErrThrottling},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After-Ms", "1")
				if n == 1 {
					streamed(tc.first)(n, w, r)
					return
				}
				streamed(framed(helloEvents...))(n, w, r)
			})
			_, err := read(t, connect(t, f, bedrock.WithMaxRetries(2)))
			if n := len(f.all()); n != tc.calls || tc.err == nil && err != nil || tc.err != nil && !errors.Is(err, tc.err) {
				t.Errorf("%d requests, error %v", n, err)
			}
		})
	}
}

func TestStreamMetrics(t *testing.T) {
	f := serve(t, streamed(framed(helloEvents...)))
	stream := connect(t, f).Messages.NewStreaming(t.Context(), hello(opus46))
	var got []bedrock.Metrics
	for stream.Next() {
		if m, ok := bedrock.StreamMetrics(stream.Current()); ok {
			got = append(got, m)
		}
	}
	want := bedrock.Metrics{InputTokens: 10, OutputTokens: 3, Latency: 321 * time.Millisecond, FirstByteLatency: 123 * time.Millisecond}
	if len(got) != 1 || got[0] != want {
		t.Errorf("metrics %v, want %v", got, want)
	}
}

func TestRequestIDs(t *testing.T) {
	for name, reply := range map[string]func(int, http.ResponseWriter, *http.Request){
		"plain":    plain(answerA),
		"streamed": streamed(framed(helloEvents...)),
	} {
		var res *http.Response
		c := connect(t, serve(t, reply))
		var err error
		if name == "plain" {
			_, err = c.Messages.New(t.Context(), hello(opus46), option.WithResponseInto(&res))
		} else {
			s := c.Messages.NewStreaming(t.Context(), hello(opus46), option.WithResponseInto(&res))
			err = s.Err()
			s.Close()
		}
		if err != nil || res.Header.Get("request-id") != requestID || res.Header.Get("x-amzn-requestid") != requestID {
			t.Errorf("%s: error %v, headers %v", name, err, fmt.Sprint(res.Header))
		}
	}
}
