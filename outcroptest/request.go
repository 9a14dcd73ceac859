package outcroptest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// Request is one request as it came, whatever became of it. Its methods read the
// bodies of InvokeModel, Converse, the Messages API and both token counts alike;
// they fail the test if there is no such body.
type Request struct {
	// Operation is AWS's name of it, such as InvokeModelWithResponseStream; the
	// Messages API is CreateMessage and CountMessageTokens. "" if there is none at
	// the path.
	Operation string
	// Method and Path as they came; the path is still escaped.
	Method, Path string
	// Model is the id as called, in the path or in the body.
	Model string
	// Region is the one that the signature or key names, else the server's.
	Region string
	// AccessKeyID is who signed; "" with a long-term API key, which names none.
	AccessKeyID string
	// Header as it came, the signature included.
	Header http.Header
	// Body as it came.
	Body []byte

	t testing.TB
}

// Message is one entry of a conversation.
type Message struct {
	// Role is user or assistant.
	Role string
	// Text is that of the text blocks, joined by line ends.
	Text string
	// Blocks are the content as the Messages API has it.
	Blocks []map[string]any
}

// Messages are the conversation; one of Converse is given as the Messages API has it.
func (r Request) Messages() []Message {
	r.t.Helper()
	var out []Message
	for _, turn := range r.params().Messages {
		m := Message{Role: turn.Role, Text: turn.Content.PlainText()}
		for _, b := range turn.Content.Blocks {
			raw, err := b.MarshalJSON()
			if err != nil {
				r.t.Fatalf("outcroptest: %v", err)
			}
			var block map[string]any
			if err := json.Unmarshal(raw, &block); err != nil {
				r.t.Fatalf("outcroptest: %v", err)
			}
			m.Blocks = append(m.Blocks, block)
		}
		out = append(out, m)
	}
	return out
}

// Text is that of the last user turn.
func (r Request) Text() string {
	r.t.Helper()
	last := r.params().LastUser()
	return last.Content.PlainText()
}

// System is the system prompt's text.
func (r Request) System() string { r.t.Helper(); return r.params().System.PlainText() }

// Tools are the names of the tools on offer.
func (r Request) Tools() []string {
	r.t.Helper()
	var names []string
	for _, t := range r.params().Tools {
		names = append(names, t.Name)
	}
	return names
}

// MaxTokens is the most that the answer may have; 0 if the request does not say.
func (r Request) MaxTokens() int {
	r.t.Helper()
	var n int
	if raw := r.params().MaxTokens; raw != nil {
		if err := json.Unmarshal(raw, &n); err != nil {
			r.t.Fatalf("outcroptest: max_tokens of %s: %v", r, err)
		}
	}
	return n
}

// Betas are the anthropic-beta values of header and body, each once.
func (r Request) Betas() []string {
	r.t.Helper()
	lists := r.Header.Values("anthropic-beta")
	if raw, ok := r.params().Rest.Members["anthropic_beta"]; ok {
		var list []string
		if err := json.Unmarshal(raw, &list); err != nil {
			r.t.Fatalf("outcroptest: anthropic_beta of %s: %v", r, err)
		}
		lists = append(slices.Clone(lists), list...)
	}
	var out []string
	for _, list := range lists {
		for b := range strings.SplitSeq(list, ",") {
			if b = strings.TrimSpace(b); b != "" && !slices.Contains(out, b) {
				out = append(out, b)
			}
		}
	}
	return out
}

// Decode reads the body as JSON into v.
func (r Request) Decode(v any) error { return json.Unmarshal(r.Body, v) }

// String says which call it is, in a line.
func (r Request) String() string {
	name := r.Operation
	if name == "" {
		name = r.Method + " " + r.Path
	}
	if r.Model != "" {
		name += " " + r.Model
	}
	return name
}

// params reads the body in Messages.
func (r Request) params() *messages.Params {
	r.t.Helper()
	p, err := paramsOf(r.Operation, r.Body)
	if err != nil {
		r.t.Fatalf("outcroptest: the body of %s: %v", r, err)
	}
	return p
}

func paramsOf(operation string, body []byte) (*messages.Params, error) {
	inConverse, count := false, false
	switch operation {
	case bedrockapi.InvokeModel.Name, bedrockapi.InvokeModelStream.Name, bedrockapi.CreateMessage.Name, bedrockapi.CountMessage.Name:
	case bedrockapi.Converse.Name, bedrockapi.ConverseStream.Name:
		inConverse = true
	case bedrockapi.CountTokens.Name:
		count = true
		var wire struct {
			Input struct {
				InvokeModel struct {
					Body string `json:"body"`
				} `json:"invokeModel"`
				Converse json.RawMessage `json:"converse"`
			} `json:"input"`
		}
		if err := json.Unmarshal(body, &wire); err != nil {
			return nil, err
		}
		if body, inConverse = wire.Input.Converse, wire.Input.Converse != nil; !inConverse {
			var err error
			if body, err = base64.StdEncoding.DecodeString(wire.Input.InvokeModel.Body); err != nil {
				return nil, err
			}
		}
	default:
		return nil, errors.New("it is no call of a model")
	}
	if inConverse {
		req, err := converse.ToMessages(body, converse.Options{Lossy: true, Count: count,
			TextOf: func(data []byte, format, _ string) (string, error) { return textOf(format, data), nil }})
		if err != nil {
			return nil, err
		}
		body = req.Body
	}
	p := new(messages.Params)
	return p, p.UnmarshalJSON(body)
}

// maxBody is more than any operation takes.
const maxBody = 40 << 20

// note reads a request, and gives it its body back.
func (s *Server) note(r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = failing{err}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), r.Body}

	req := Request{Method: r.Method, Path: r.URL.EscapedPath(), Header: r.Header.Clone(), Body: body, Region: s.Region, t: s.t}
	for _, op := range bedrockapi.Operations() {
		if label, ok := op.Match(req.Method, req.Path); ok {
			req.Operation = op.Name
			if req.Model, err = url.PathUnescape(label); err != nil {
				req.Model = label
			}
			break
		}
	}
	if req.Operation == bedrockapi.CreateMessage.Name || req.Operation == bedrockapi.CountMessage.Name {
		var named struct{ Model string }
		if json.Unmarshal(body, &named) == nil {
			req.Model = named.Model
		}
	}
	token := strings.TrimSpace(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if token == "" {
		token = r.Header.Get("X-Api-Key")
	}
	if p, err := sigv4.Parse(r); err == nil {
		req.Region, req.AccessKeyID = p.Region, p.AccessKeyID
	} else if k, err := sigv4.ParseAPIKey(token); err == nil {
		req.Region, req.AccessKeyID = k.Region, k.AccessKeyID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, req)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Requests are those that came so far, in order; of the operations named, if any.
func (s *Server) Requests(operations ...string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Request
	for _, r := range s.requests {
		if len(operations) == 0 || slices.Contains(operations, r.Operation) {
			out = append(out, r)
		}
	}
	return out
}

// LastRequest is the last of [Server.Requests]; without one the test ends.
func (s *Server) LastRequest(operations ...string) Request {
	s.t.Helper()
	all := s.Requests(operations...)
	if len(all) == 0 {
		s.t.Fatalf("outcroptest: no request came%s", of(operations))
	}
	return all[len(all)-1]
}

// AssertCalls fails the test unless n requests came; of the operations named, if
// any. Retries count.
func (s *Server) AssertCalls(t testing.TB, n int, operations ...string) {
	t.Helper()
	all := s.Requests(operations...)
	if len(all) == n {
		return
	}
	var list strings.Builder
	for i, r := range all {
		fmt.Fprintf(&list, "\n\t%d. %s", i+1, r)
	}
	t.Errorf("outcroptest: %d requests came%s, want %d%s", len(all), of(operations), n, &list)
}

func of(operations []string) string {
	if len(operations) == 0 {
		return ""
	}
	return " of " + strings.Join(operations, ", ")
}
