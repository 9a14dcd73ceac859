package recording

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
)

// modelOperations are those that are recorded.
var modelOperations = []*bedrockapi.Operation{
	bedrockapi.InvokeModel, bedrockapi.InvokeModelStream, bedrockapi.Converse, bedrockapi.ConverseStream, bedrockapi.CountTokens,
	bedrockapi.CreateMessage, bedrockapi.CreateMessageBare, bedrockapi.CountMessage, bedrockapi.CountMessageBare,
}

// Tape writes what passes through a handler. A call is written once its answer is
// whole, with a lock held, so that a file has them in the order of their ends.
type Tape struct {
	mu   sync.Mutex
	w    io.Writer
	n    int
	err  error
	left []string // calls that are not in the file, and why
}

// NewTape begins a file on w.
func NewTape(w io.Writer) (*Tape, error) {
	_, err := w.Write(AppendHead(nil))
	return &Tape{w: w}, err
}

// End says how many exchanges were written, and which calls were not, and why.
func (t *Tape) End() (n int, left []string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n, slices.Clone(t.left), t.err
}

// Handler records the model calls that h serves.
func (t *Tape) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := callOf(r)
		if !ok {
			h.ServeHTTP(w, r)
			return
		}
		asked := &heard{ReadCloser: r.Body}
		answered := &spoken{ResponseWriter: w}
		r.Body = asked
		defer func() { t.write(c, asked.bytes.Bytes(), answered) }() // of what was broken off by a panic too
		h.ServeHTTP(answered, r)
	})
}

func callOf(r *http.Request) (c Call, ok bool) {
	for _, op := range modelOperations {
		label, ok := op.Match(r.Method, r.URL.EscapedPath())
		if !ok {
			continue
		}
		model, err := url.PathUnescape(label)
		return Call{Operation: op.Name, Model: model, Header: Meaningful(r.Header)}, err == nil
	}
	return c, false
}

// strangers are refusals of the caller, which say nothing of the call.
var strangers = []string{
	"MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidSignatureException", "UnrecognizedClientException", "ExpiredTokenException",
}

func (t *Tape) write(c Call, body []byte, s *spoken) {
	e := Exchange{Call: c, Answer: Answer{Status: s.status, Header: http.Header{}, Body: s.body.Bytes()}}
	for _, name := range kept {
		if v := s.Header()[name]; len(v) > 0 {
			e.Answer.Header[name] = []string{strings.Join(v, ", ")}
		}
	}
	err := e.Call.take(body)
	switch {
	case err != nil:
	case strings.ContainsFunc(c.Model, unicode.IsControl):
		err = errors.New("its model id is none")
	case slices.Contains(strangers, e.Answer.Header.Get(bedrockapi.HeaderErrorType)):
		err = errors.New("its credentials were refused")
	case !e.Answer.whole(e.Call.Operation):
		err = errors.New("its answer is not whole: the client left, or the server stopped")
	case HasKey(e.Answer.Body):
		err = errors.New("its answer shows a key")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var text []byte
	if err == nil {
		text, err = e.AppendText(nil, t.n+1)
	}
	if err == nil && HasKey(text) {
		err = errors.New("its answer shows a key")
	}
	if err != nil {
		t.left = append(t.left, strings.TrimSpace(c.Operation+" "+c.Model)+": "+err.Error())
		return
	}
	if t.err == nil {
		_, t.err = t.w.Write(text)
		t.n++
	}
}

// take reads the wire's body; CountTokens wraps what it counts.
func (c *Call) take(wire []byte) error {
	c.Body = wire
	if c.Operation == bedrockapi.CountTokens.Name {
		var in struct {
			Input struct {
				InvokeModel *struct {
					Body string `json:"body"`
				} `json:"invokeModel"`
				Converse json.RawMessage `json:"converse"`
			} `json:"input"`
		}
		if err := json.Unmarshal(wire, &in); err != nil {
			return errors.New("its body is not JSON")
		}
		switch {
		case in.Input.Converse != nil:
			c.Converse, c.Body = true, in.Input.Converse
		case in.Input.InvokeModel != nil:
			body, err := base64.StdEncoding.DecodeString(in.Input.InvokeModel.Body)
			if err != nil {
				return errors.New("what it counts is not base64")
			}
			c.Body = body
		}
	}
	if !json.Valid(c.Body) {
		return errors.New("its body is not JSON")
	}
	return nil
}

// whole says that an answer has come to its end, be it an error.
func (a *Answer) whole(operation string) bool {
	switch mediaType(a.Header) {
	case "application/json":
		return json.Valid(a.Body)
	case bedrockapi.TypeEventStream:
		return wholeFrames(a.Body, operation == bedrockapi.ConverseStream.Name)
	case "text/event-stream":
		i := bytes.LastIndex(a.Body, []byte("event: "))
		return i >= 0 && bytes.HasSuffix(a.Body, []byte("\n\n")) &&
			(bytes.HasPrefix(a.Body[i:], []byte("event: message_stop\n")) || bytes.HasPrefix(a.Body[i:], []byte("event: error\n")))
	default:
		return false
	}
}

func wholeFrames(body []byte, converse bool) bool {
	frames := eventstream.NewReader(bytes.NewReader(body))
	ended := false
	for {
		m, err := frames.Next()
		if err != nil {
			return ended && err == io.EOF
		}
		kind, _ := m.Header(eventstream.MessageType)
		event, _ := m.Header(eventstream.EventType)
		switch {
		case kind == eventstream.TypeException:
			ended = true
		case converse:
			ended = ended || event == "metadata"
		default:
			data, err := Chunk(m.Payload)
			ended = ended || err == nil && bytes.Contains(data, []byte(`"message_stop"`))
		}
	}
}

// Chunk is the event that the payload of a frame of InvokeModelWithResponseStream
// carries.
func Chunk(payload []byte) ([]byte, error) {
	var chunk struct {
		Bytes []byte `json:"bytes"`
	}
	err := json.Unmarshal(payload, &chunk)
	return chunk.Bytes, err
}

// heard keeps what is read of a request.
type heard struct {
	io.ReadCloser
	bytes bytes.Buffer
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.bytes.Write(p[:n])
	return n, err
}

// spoken keeps what is written of an answer.
type spoken struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (s *spoken) WriteHeader(status int) {
	if status >= 200 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *spoken) Write(p []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	s.body.Write(p)
	return s.ResponseWriter.Write(p)
}

// Unwrap gives http.ResponseController its deadlines and flushes.
func (s *spoken) Unwrap() http.ResponseWriter { return s.ResponseWriter }
