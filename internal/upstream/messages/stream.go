package messages

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/sse"
)

// eventStream reads the server's SSE as frames.
type eventStream struct {
	up     *Upstream
	body   io.ReadCloser
	events *sse.Reader
	shape  shape
	id     string
	ended  bool
}

func (s *eventStream) Next() (gateway.Frame, error) {
	for {
		if s.ended {
			return gateway.Frame{}, io.EOF
		}
		ev, err := s.events.Next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return gateway.Frame{}, messages.Errorf(messages.ModelStreamFailed, "stream ended before message_stop").WithCause(err)
		case errors.Is(err, errSlow):
			return gateway.Frame{}, s.up.slow(err)
		case errors.Is(err, context.Canceled):
			return gateway.Frame{}, err
		case err != nil:
			return gateway.Frame{}, messages.Errorf(messages.ModelStreamFailed, "The upstream's stream broke off.").WithCause(err)
		}
		kind := messages.EventType(ev.Data)
		switch kind {
		case messages.EventPing:
			continue // a surface makes its own
		case messages.EventError:
			return gateway.Frame{}, s.up.failed(ev.Data)
		case "":
			return gateway.Frame{}, messages.Errorf(messages.ModelStreamFailed, "The upstream sent an event that cannot be read.")
		}
		data, err := s.shape.event(kind, ev.Data)
		if err != nil {
			return gateway.Frame{}, err
		}
		s.ended = kind == messages.EventMessageStop
		return gateway.Frame{Event: kind, Data: data}, nil
	}
}

func (s *eventStream) Buffered() bool            { return s.ended || s.events.EventBuffered() }
func (s *eventStream) UpstreamRequestID() string { return s.id }
func (s *eventStream) Close() error              { return s.body.Close() }

// failed reads an error event.
func (u *Upstream) failed(data []byte) error {
	var e struct {
		Error struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(u.censor(data), &e); err != nil || e.Error.Message == "" {
		return messages.Errorf(messages.ModelStreamFailed, "The upstream's stream failed.").WithCause(err)
	}
	kind := messages.KindOf(e.Error.Type, 0)
	if ours(kind) {
		return messages.Errorf(messages.Unavailable, "The upstream %s refused this server's credentials.", u.opts.Name).
			WithCause(errors.New(e.Error.Message))
	}
	return messages.Errorf(kind, "%s", e.Error.Message)
}
