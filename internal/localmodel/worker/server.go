package worker

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/localmodel/chat"
	"github.com/outcrop-dev/outcrop/internal/localmodel/llama"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// maxBody is the service's own limit for a Messages request.
const maxBody = 32 << 20

// stuckAfter is far above the longest call, 64 tokens of prompt.
const stuckAfter = 2 * time.Minute

// server answers Messages requests with one model.
type server struct {
	name     string
	window   int
	token    string // required as a bearer token where it is not empty
	prompter *prompter
	slots    []*slot
	queue    *queue[*slot]

	prompted, reused, written atomic.Int64
}

type textBlock struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type toolBlock struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

// newCall is a call whose input comes later.
func newCall(name string) toolBlock {
	return toolBlock{"tool_use", "toolu_" + rand.Text(), name, json.RawMessage("{}")}
}

type message struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"`
	Role         string  `json:"role"`
	Model        string  `json:"model"`
	Content      []any   `json:"content"`
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
	Usage        usage   `json:"usage"`
}

// usage holds the engine's own counts. The prefix cache saves time and is no
// cache in the sense of these fields: nothing is billed and nothing promised.
type usage struct {
	Input         int `json:"input_tokens"`
	CacheCreation int `json:"cache_creation_input_tokens"`
	CacheRead     int `json:"cache_read_input_tokens"`
	Output        int `json:"output_tokens"`
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("POST /v1/messages", s.messages)
	mux.HandleFunc("POST /v1/messages/count_tokens", s.count)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, messages.Errorf(messages.UnknownOperation, "no such path: %s %s", r.Method, r.URL.Path))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.token)) != 1 {
			fail(w, messages.Errorf(messages.InvalidAPIKey, "this address is private to the process that started it"))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// ask reads a request and its prompt's tokens.
func (s *server) ask(w http.ResponseWriter, r *http.Request, count bool) (*chat.Request, []llama.Token, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return nil, nil, messages.Errorf(messages.TooLarge, "Request exceeds the maximum size")
	} else if err != nil {
		return nil, nil, messages.Errorf(messages.InvalidRequest, "the request body ended early")
	}
	req, err := chat.Parse(body, count)
	if err != nil {
		return nil, nil, err
	}
	prompt, err := s.prompter.tokens(req)
	if err != nil {
		return nil, nil, messages.AsError(err)
	}
	return req, prompt, nil
}

func (s *server) count(w http.ResponseWriter, r *http.Request) {
	_, prompt, err := s.ask(w, r, true)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, object{"input_tokens": len(prompt)})
}

func (s *server) messages(w http.ResponseWriter, r *http.Request) {
	req, prompt, err := s.ask(w, r, false)
	if err != nil {
		fail(w, err)
		return
	}
	if len(prompt) > s.window {
		fail(w, messages.Errorf(messages.InvalidRequest, "prompt is too long: %d tokens > %d maximum", len(prompt), s.window))
		return
	}
	sl, err := s.queue.take(r.Context(), func(sl *slot) int { return sl.prefix(prompt) })
	if errors.Is(err, errQueueFull) {
		fail(w, messages.Errorf(messages.Throttled, "The embedded model is busy: %d requests run and %d wait. Try again later.", len(s.slots), s.queue.room))
		return
	} else if err != nil {
		return // the client left while it waited
	}
	defer s.queue.give(sl)
	m := message{
		ID: "msg_" + rand.Text(), Type: "message", Role: "assistant", Model: req.Model,
		Content: []any{}, Usage: usage{Input: len(prompt)},
	}
	if req.Stream {
		s.stream(r.Context(), w, sl, req, prompt, m)
		return
	}
	var all collector
	o, err := s.run(r.Context(), sl, req, prompt, &all)
	if err != nil {
		fail(w, err)
		return
	}
	m.Content = all.content(o)
	reply(w, http.StatusOK, s.finish(m, req, o))
}

// collector is the sink of an answer that is sent whole.
type collector struct {
	words, json strings.Builder
	tool        *toolBlock
}

func (c *collector) text(s string) error  { c.words.WriteString(s); return nil }
func (c *collector) input(s string) error { c.json.WriteString(s); return nil }
func (c *collector) call(name string) error {
	b := newCall(name)
	c.tool = &b
	return nil
}

// content leaves the input of a call empty that was cut off: half of one is no
// JSON, and stop_reason says that it is not whole.
func (c *collector) content(o outcome) []any {
	out := []any{}
	if c.words.Len() > 0 {
		out = append(out, textBlock{"text", c.words.String()})
	}
	if c.tool != nil {
		if o.called {
			c.tool.Input = json.RawMessage(c.json.String())
		}
		out = append(out, *c.tool)
	}
	return out
}

func (s *server) stream(ctx context.Context, w http.ResponseWriter, sl *slot, req *chat.Request, prompt []llama.Token, m message) {
	e := &events{w: w}
	if e.start(m) != nil {
		return
	}
	o, err := s.run(ctx, sl, req, prompt, e)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		_, body := render(err)
		_ = e.send("error", body) // the stream ends here either way
		return
	}
	_ = e.end(s.finish(m, req, o))
}

func (s *server) run(ctx context.Context, sl *slot, req *chat.Request, prompt []llama.Token, out sink) (outcome, error) {
	var seed [4]byte
	rand.Read(seed[:])
	n := binary.LittleEndian.Uint32(seed[:])
	if req.Seed != nil {
		n = *req.Seed
	}
	o, err := sl.run(ctx, prompt, req, s.prompter.stops(req), n, out)
	s.prompted.Add(int64(len(prompt)))
	s.reused.Add(int64(o.reused))
	s.written.Add(int64(o.output))
	return o, err
}

func (s *server) finish(m message, req *chat.Request, o outcome) message {
	reason := "end_turn"
	switch {
	case o.stop != "" && !s.prompter.implicit(req, o.stop):
		reason, m.StopSequence = "stop_sequence", &o.stop
	case o.full:
		reason = "max_tokens"
	case o.called:
		reason = "tool_use"
	}
	m.StopReason = &reason
	m.Usage.Output = o.output
	return m
}

// health is the parent's probe: the process may be alive while C code is not.
func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	for _, sl := range s.slots {
		if err := sl.stuck(stuckAfter); err != nil {
			fail(w, messages.Errorf(messages.Unavailable, "%v", err))
			return
		}
	}
	lent, waiting := s.queue.load()
	reply(w, http.StatusOK, object{
		"status": "ok", "model": s.name, "context": s.window,
		"slots": len(s.slots), "busy": lent, "waiting": waiting,
		"prompt_tokens": s.prompted.Load(), "reused_tokens": s.reused.Load(), "output_tokens": s.written.Load(),
	})
}

func reply(w http.ResponseWriter, status int, v any) {
	var buf bytes.Buffer
	if err := encode(&buf, v); err != nil {
		status = http.StatusInternalServerError
		buf.Reset()
		fmt.Fprintln(&buf, `{"type":"error","error":{"type":"api_error","message":"Internal server error"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes())
}

func fail(w http.ResponseWriter, err error) {
	status, body := render(err)
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	reply(w, status, body)
}

// render gives an error in Anthropic's shape.
func render(err error) (int, any) {
	e := messages.AsError(err)
	face := e.Kind.Face()
	return face.Status, object{"type": "error", "error": object{"type": face.Type, "message": e.Message}}
}
