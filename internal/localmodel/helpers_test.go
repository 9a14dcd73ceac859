package localmodel

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/localmodel/enginetest"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

// The test binary is its own child process, and for one test the parent too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case ChildCommand:
			os.Exit(RunChild(os.Args[2:]))
		case parentCommand:
			os.Exit(runParent(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// tiny is an engine on the tiny model.
func tiny(t *testing.T, change func(*Options)) *Engine {
	t.Helper()
	o := Options{EngineDir: enginetest.EngineDir(t), Weights: enginetest.Model(t), IdleAfter: -1}
	if change != nil {
		change(&o)
	}
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// current is the running process.
func (e *Engine) current() *process {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.proc
}

type object = map[string]any

// hello is a request, with members added or replaced.
func hello(members ...any) object {
	r := object{"model": "m", "max_tokens": 100, "temperature": 0, "messages": []object{{"role": "user", "content": "Hello"}}}
	for i := 0; i < len(members); i += 2 {
		r[members[i].(string)] = members[i+1]
	}
	return r
}

// loop is an answer without end.
func loop(members ...any) object {
	return hello(append([]any{"max_tokens", 60_000, "stream", true, "messages", []object{
		{"role": "user", "content": "go"}, {"role": "assistant", "content": enginetest.LoopPrefill},
	}}, members...)...)
}

func send(ctx context.Context, e *Engine, path string, body any) (*http.Response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.BaseURL()+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return e.Client().Do(r)
}

type content struct {
	Type, Text, ID, Name string
	Input                json.RawMessage
}

// answer is a Messages answer, or an error in its place.
type answer struct {
	Status  int
	Type    string
	Role    string
	ID      string
	Model   string
	Content []content
	Reason  string `json:"stop_reason"`
	Stop    string `json:"stop_sequence"`
	Usage   struct {
		Input    int `json:"input_tokens"`
		Output   int `json:"output_tokens"`
		Creation int `json:"cache_creation_input_tokens"`
		Read     int `json:"cache_read_input_tokens"`
	}
	Count int `json:"input_tokens"`
	Error struct{ Type, Message string }
}

func (a *answer) text() string {
	var b strings.Builder
	for _, c := range a.Content {
		b.WriteString(c.Text)
	}
	return b.String()
}

func post(t *testing.T, e *Engine, path string, body any) *answer {
	t.Helper()
	res, err := send(t.Context(), e, path, body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	a := &answer{}
	if err := json.NewDecoder(res.Body).Decode(a); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	a.Status = res.StatusCode
	return a
}

// ask posts a request and wants an answer.
func ask(t *testing.T, e *Engine, body any) *answer {
	t.Helper()
	a := post(t, e, "/v1/messages", body)
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s: %s", a.Status, a.Error.Type, a.Error.Message)
	}
	return a
}

// stream is an open event stream.
type stream struct {
	t      *testing.T
	body   io.Closer
	events *sse.Reader
	leave  context.CancelFunc
}

func open(t *testing.T, e *Engine, body any) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	res, err := send(ctx, e, "/v1/messages", body)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		res.Body.Close()
	})
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%s, %s", res.Status, res.Header.Get("Content-Type"))
	}
	return &stream{t, res.Body, sse.NewReader(res.Body), cancel}
}

// next gives an event's name and its data.
func (s *stream) next() (string, object, error) {
	e, err := s.events.Next()
	if err != nil {
		return "", nil, err
	}
	var v object
	if err := json.Unmarshal(e.Data, &v); err != nil {
		s.t.Errorf("event %s: %v", e.Name, err)
	}
	if v["type"] != string(e.Name) {
		s.t.Errorf("event %s has the type %v", e.Name, v["type"])
	}
	return string(e.Name), v, nil
}

// texts reads n deltas.
func (s *stream) texts(n int) (out []string) {
	s.t.Helper()
	for len(out) < n {
		name, v, err := s.next()
		if err != nil {
			s.t.Fatal(err)
		}
		if name == "content_block_delta" {
			out = append(out, v["delta"].(object)["text"].(string))
		}
	}
	return out
}

// health waits for the engine to report what ok accepts.
func health(t *testing.T, e *Engine, ok func(object) bool) {
	t.Helper()
	for {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.BaseURL()+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := e.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var v object
		err = json.NewDecoder(res.Body).Decode(&v)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if ok(v) {
			return
		}
	}
}
