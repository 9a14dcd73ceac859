package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/recording"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

// step is a frame, or the error that a stream ends with.
type step struct {
	gateway.Frame
	err error
}

// stream plays the frames of an answer.
type stream struct {
	frames []step
	at     int
	header http.Header
}

func (s *stream) Next() (gateway.Frame, error) {
	if s.at >= len(s.frames) {
		return gateway.Frame{}, io.EOF
	}
	f := s.frames[s.at]
	s.at++
	return f.Frame, f.err
}

func (s *stream) Buffered() bool            { return s.at < len(s.frames) && s.frames[s.at].err == nil }
func (s *stream) UpstreamRequestID() string { return "" }
func (s *stream) Close() error              { return nil }
func (s *stream) Header() http.Header       { return s.header }
func (s *stream) Warnings() []string        { return nil }

// framesOf takes an answer apart. Its error says what no surface sends.
func framesOf(e *recording.Exchange) ([]step, error) {
	kind, _, _ := strings.Cut(e.Answer.Header.Get("Content-Type"), ";")
	body := e.Answer.Body
	operation := e.Call.Operation
	switch {
	case e.Answer.Status >= http.StatusBadRequest:
		return nil, nil
	case kind == "application/json" && operation == bedrockapi.Converse.Name:
		return valid(gateway.EventAnswer, body)
	case kind == "application/json" && (operation == bedrockapi.InvokeModel.Name || operation == bedrockapi.CreateMessage.Name ||
		operation == bedrockapi.CountTokens.Name || operation == bedrockapi.CountMessage.Name):
		return valid(gateway.EventMessage, body)
	case kind == bedrockapi.TypeEventStream && operation == bedrockapi.ConverseStream.Name:
		return wire(body, true)
	case kind == bedrockapi.TypeEventStream && operation == bedrockapi.InvokeModelStream.Name:
		return wire(body, false)
	case kind == "text/event-stream" && operation == bedrockapi.CreateMessage.Name:
		return events(body)
	default:
		return nil, fmt.Errorf("%s does not answer with %q", operation, kind)
	}
}

func valid(event string, body []byte) ([]step, error) {
	if !json.Valid(body) {
		return nil, errors.New("the body is not JSON")
	}
	return []step{{Frame: gateway.Frame{Event: event, Data: body}}}, nil
}

func wire(body []byte, converse bool) ([]step, error) {
	var out []step
	frames := eventstream.NewReader(bytes.NewReader(body))
	for {
		m, err := frames.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		event, _ := m.Header(eventstream.EventType)
		f := gateway.Frame{Event: event, Data: bytes.Clone(m.Payload), Wire: bytes.Clone(m.Raw)}
		if exception, ok := m.Header(eventstream.ExceptionType); ok {
			out = append(out, step{err: told(bedrockapi.SurfaceRuntime, exception, http.StatusOK, m.Payload)})
			continue
		}
		if !converse {
			if f.Data, err = recording.Chunk(m.Payload); err != nil {
				return nil, err
			}
			if f.Event = messages.EventType(f.Data); f.Event == "" {
				return nil, fmt.Errorf("frame %d has no event of the Messages API", len(out)+1)
			}
		}
		out = append(out, step{Frame: f})
	}
}

func events(body []byte) ([]step, error) {
	var out []step
	r := sse.NewReader(bytes.NewReader(body))
	for {
		e, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		data := bytes.Clone(e.Data)
		event := messages.EventType(data)
		switch event {
		case "":
			return nil, fmt.Errorf("event %d is none of the Messages API", len(out)+1)
		case messages.EventError:
			out = append(out, step{err: told(bedrockapi.SurfaceMessages, "", http.StatusOK, data)})
		default:
			out = append(out, step{Frame: gateway.Frame{Event: event, Data: data}})
		}
	}
}

// failure is the error that a call was answered with.
func failure(e *recording.Exchange) error {
	surface := bedrockapi.SurfaceRuntime
	if e.Call.Operation == bedrockapi.CreateMessage.Name || e.Call.Operation == bedrockapi.CountMessage.Name {
		surface = bedrockapi.SurfaceMessages
	}
	h := e.Answer.Header
	err := told(surface, h.Get(bedrockapi.HeaderErrorType), e.Answer.Status, e.Answer.Body)
	if s, parse := strconv.Atoi(h.Get("Retry-After")); parse == nil && s > 0 {
		err.RetryAfter = time.Duration(s) * time.Second
	}
	err.Hint = h.Get("X-Outcrop-Hint")
	return err
}

// told reads an error as a surface says it, so that the surface says the same
// again. Kinds that share an exception are told apart by their status.
func told(surface bedrockapi.Surface, name string, status int, body []byte) *messages.Error {
	var say struct {
		Message string `json:"message"`
		Error   struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &say) // what cannot be read has no message
	kind := bedrockapi.KindOf(name, status)
	if surface == bedrockapi.SurfaceMessages {
		say.Message = say.Error.Message
		if name == "" {
			kind = messages.KindOf(say.Error.Type, status)
		}
	}
	if status >= http.StatusBadRequest && bedrockapi.Status(surface, kind) != status {
		all := messages.Kinds()
		if i := slices.IndexFunc(all, func(k messages.Kind) bool {
			return bedrockapi.Status(surface, k) == status && strings.EqualFold(bedrockapi.ExceptionOf(k).Name, name)
		}); i >= 0 {
			kind = all[i]
		}
	}
	return messages.Errorf(kind, "%s", say.Message)
}
