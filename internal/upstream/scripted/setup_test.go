package scripted

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

const opus = "global.anthropic.claude-opus-4-6-v1"

var loaded = sync.OnceValues(func() (*catalog.Catalog, error) { return catalog.Load() })

func route(t testing.TB) routing.Route {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Resolve(opus, "us-west-2", catalog.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	r, ok := routing.New(res.Model, res.Candidates[0], routing.Here())
	if !ok {
		t.Fatal("no route")
	}
	return r
}

func said(text string) string {
	return `{"max_tokens":64,"messages":[{"role":"user","content":` + string(messages.AppendString(nil, text)) + `}]}`
}

func request(t testing.TB, body string, stream bool) gateway.Request {
	t.Helper()
	b, err := gateway.NewBody(gateway.Messages, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	head := &gateway.Head{Ref: opus, MaxTokens: 64, Stream: stream}
	return gateway.Request{Body: b, Head: head, Stream: stream}
}

func newUpstream(t testing.TB, s Scenario) *Upstream {
	t.Helper()
	u, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	return u.WithIDs(func() string { n++; return fmt.Sprint(n) })
}

// one is a scenario of one answer to everything.
func one(a Answer) Scenario { return Scenario{Rules: []Rule{{Answer: a}}} }

func text(s string) []Block { return []Block{{Text: &s}} }

// answer runs a call to its end: the frames' data, and the error if there is one.
func answer(t testing.TB, u *Upstream, req gateway.Request) ([]string, error) {
	t.Helper()
	s, err := u.Send(t.Context(), route(t), req)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var frames []string
	for {
		f, err := s.Next()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		frames = append(frames, string(f.Data))
	}
}

// whole gives the one answer of a call that is not streamed.
func whole(t testing.TB, u *Upstream, body string) *messages.Message {
	t.Helper()
	frames, err := answer(t, u, request(t, body, false))
	if err != nil || len(frames) != 1 {
		t.Fatalf("%q, %v", frames, err)
	}
	m := new(messages.Message)
	if err := m.UnmarshalJSON([]byte(frames[0])); err != nil {
		t.Fatal(err)
	}
	return m
}

func plain(m *messages.Message) string { return m.Content.PlainText() }

func lines(frames []string) string { return strings.Join(frames, "\n") }
