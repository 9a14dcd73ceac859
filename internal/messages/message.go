package messages

import "github.com/outcrop-dev/outcrop/internal/jsonspan"

// Message is a whole answer.
type Message struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"`
	Role         string  `json:"role"`
	Model        string  `json:"model"`
	Content      Content `json:"content"`
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
	Usage        Usage   `json:"usage"`
	Rest         Rest    `json:"-"`
}

func (m *Message) UnmarshalJSON(raw []byte) error { return decodeOpen(raw, m) }
func (m Message) MarshalJSON() ([]byte, error)    { return encodeOpen("", m) }

// StopReasons is the closed set of an answer's stop_reason.
func StopReasons() []string {
	return []string{"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded", "compaction"}
}

// Events of a stream, in the order of one answer.
const (
	EventMessageStart      = "message_start"
	EventContentBlockStart = "content_block_start"
	EventContentBlockDelta = "content_block_delta"
	EventContentBlockStop  = "content_block_stop"
	EventMessageDelta      = "message_delta"
	EventMessageStop       = "message_stop"
	EventPing              = "ping"
	EventError             = "error"
)

// EventType reads the "type" of an event, without scanning the rest when it
// stands first, as the service writes it. "" is an event that has none.
func EventType(data []byte) string {
	const lead = `{"type":"`
	if len(data) > len(lead) && string(data[:len(lead)]) == lead {
		for i := len(lead); i < len(data); i++ {
			if data[i] == '"' {
				return knownEvent(data[len(lead):i])
			}
			if data[i] == '\\' {
				break
			}
		}
	}
	members, err := jsonspan.Scan(make(jsonspan.Members, 0, 8), data, nil)
	if err != nil {
		return ""
	}
	t, ok := members.Get("type")
	if !ok {
		return ""
	}
	name, err := jsonspan.String(nil, t.Value(data))
	if err != nil {
		return ""
	}
	return knownEvent(name)
}

// knownEvent returns the constant, so that the common kinds do not allocate.
func knownEvent(b []byte) string {
	switch string(b) {
	case EventMessageStart:
		return EventMessageStart
	case EventContentBlockStart:
		return EventContentBlockStart
	case EventContentBlockDelta:
		return EventContentBlockDelta
	case EventContentBlockStop:
		return EventContentBlockStop
	case EventMessageDelta:
		return EventMessageDelta
	case EventMessageStop:
		return EventMessageStop
	case EventPing:
		return EventPing
	case EventError:
		return EventError
	default:
		return string(b)
	}
}
