package bedrock

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

func TestNoAnswerAtAll(t *testing.T) {
	f := serve(t, func(_ http.ResponseWriter, r *http.Request, _ seen) { <-r.Context().Done() })
	u := connect(t, f, func(o *Options) { o.FirstContent = 30 * time.Millisecond })
	_, err, _ := play(t, u, opus46)
	if e := asError(t, err); e.Kind != messages.ModelTimeout {
		t.Errorf("%v", err)
	}
}

// What is not streamed, and a count, do not hang for ever.
func TestNoWholeAnswer(t *testing.T) {
	f := serve(t, func(_ http.ResponseWriter, r *http.Request, _ seen) { <-r.Context().Done() })
	u := connect(t, f, func(o *Options) { o.FirstContent = 30 * time.Millisecond })
	if u.client.Transport.ResponseHeaderTimeout != answerWithin {
		t.Error("an answer that is not streamed may never come")
	}
	u.client.Transport.ResponseHeaderTimeout = 30 * time.Millisecond
	_, err := u.Send(t.Context(), route(t, opus46), request(t, helloBody, false))
	if e := asError(t, err); e.Kind != messages.Unavailable || !routing.MayHaveBilled(err) {
		t.Errorf("%v", err)
	}
	u.client.Transport.ResponseHeaderTimeout = 0
	_, err = u.CountTokens(t.Context(), route(t, opus46), request(t, helloBody, false))
	if e := asError(t, err); e.Kind != messages.ModelTimeout {
		t.Errorf("%v", err)
	}
}

// Pings are no content: what fails behind them is still answered by another Region.
func TestPingsAreHeld(t *testing.T) {
	const ping = `{"type":"ping"}`
	opening := []string{events1[0], ping, events1[1], ping, ping, ping}
	thrown := eventstream.AppendException(nil, "serviceUnavailableException", []byte(`{"message":"No capacity."}`))
	f := serve(t, streamed(append(chunks(opening...), thrown), nil))
	if _, err, atSend := play(t, connect(t, f), opus46); !atSend || asError(t, err).Kind != messages.Unavailable {
		t.Errorf("at Send %t: %v", atSend, err)
	}
	all := append(opening, events1[2:]...)
	f = serve(t, streamed(chunks(all...), nil))
	s, err := connect(t, f).Send(t.Context(), route(t, opus46), request(t, helloBody, true))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, data, wire, err := pull(s)
	if err != nil || joined(data) != strings.Join(all, "") || !bytes.Equal(wire, bytes.Join(chunks(all...), nil)) {
		t.Errorf("%s %v", joined(data), err)
	}
	f = serve(t, streamed(chunks(append([]string{events1[0]}, slices.Repeat([]string{ping}, maxPings+10)...)...), silent))
	s, err = connect(t, f).Send(t.Context(), route(t, opus46), request(t, helloBody, true))
	if err != nil {
		t.Fatalf("nothing bounds what is held: %v", err)
	}
	s.Close()
}

func TestSilentStream(t *testing.T) {
	f := serve(t, streamed(chunks(events1[:4]...), silent))
	u := connect(t, f, func(o *Options) { o.Idle = 30 * time.Millisecond; o.FirstContent = time.Hour })
	got, err, atSend := play(t, u, opus46)
	if e := asError(t, err); e.Kind != messages.ModelTimeout || atSend || got != 4 || !errors.Is(err, errSilent) {
		t.Errorf("%d frames, %v", got, err)
	}
}

func TestSlowFirstToken(t *testing.T) {
	f := serve(t, streamed(chunks(events1[:2]...), silent))
	u := connect(t, f, func(o *Options) { o.FirstContent = 30 * time.Millisecond })
	_, err, atSend := play(t, u, opus46)
	if e := asError(t, err); e.Kind != messages.ModelTimeout || !atSend || !routing.MayHaveBilled(err) || !errors.Is(err, errNoContent) {
		t.Errorf("at Send %t: %v", atSend, err)
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	for s, want := range map[string]time.Duration{"7": 7 * time.Second, "99999999999999": 24 * time.Hour, "-1": 0, "soon": 0, "": 0,
		"Fri, 31 Dec 9999 23:59:59 GMT": 24 * time.Hour, "Mon, 01 Jan 2001 00:00:00 GMT": 0} {
		if got := retryAfter(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}
