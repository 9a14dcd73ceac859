package gateway

import (
	"encoding/json"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Meter watches the frames of one answer. It decodes message_start,
// message_delta and whole messages, nothing else.
type Meter struct {
	Usage      messages.Usage
	StopReason string
	Count      int64 // of an EventCount answer
	Bytes      int64
	Start      time.Time
	First      time.Time
	now        func() time.Time
	price      catalog.Price // of the route that answers
	bills      bool
	done       bool
	written    int64 // bytes of what the answer says, in events
	dropped    []string
}

// Done says that the terminal event was seen.
func (m *Meter) Done() bool { return m.done }

// Cost is what is billed for what was used so far, or what it would have cost
// where nothing is billed: the amounts of the record.
func (m *Meter) Cost() (billed, would catalog.Nanodollars) {
	cost := catalog.Cost(m.Usage, m.price)
	if m.bills {
		return cost, 0
	}
	return 0, cost
}

// Elapsed is the time since the call came in.
func (m *Meter) Elapsed() time.Duration { return m.now().Sub(m.Start) }

// Drop names what the Writer had to leave out of the answer.
func (m *Meter) Drop(places []string) { m.dropped = append(m.dropped, places...) }

// FirstFrame is the time to the first frame.
func (m *Meter) FirstFrame() time.Duration {
	if m.First.IsZero() {
		return 0
	}
	return m.First.Sub(m.Start)
}

// deltaFrame is what a delta has around its text:
// {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}
const deltaFrame = 80

func (m *Meter) see(f Frame) error {
	if m.First.IsZero() {
		m.First = m.now()
	}
	m.Bytes += int64(len(f.Data))
	switch f.Event {
	case messages.EventMessageStart:
		var e messages.StartEvent
		if err := json.Unmarshal(f.Data, &e); err != nil {
			return badFrame(err)
		}
		e.Message.Usage.Apply(&m.Usage)
	case messages.EventMessageDelta:
		var e messages.DeltaEvent
		if err := json.Unmarshal(f.Data, &e); err != nil {
			return badFrame(err)
		}
		e.Usage.Apply(&m.Usage)
		if e.Delta.StopReason != "" {
			m.StopReason = e.Delta.StopReason
		}
	case messages.EventContentBlockDelta, converse.ContentBlockDelta:
		m.written += max(int64(len(f.Data))-deltaFrame, 1)
	case messages.EventMessageStop:
		m.done = true
	case EventMessage:
		var e struct {
			StopReason string              `json:"stop_reason"`
			Usage      messages.UsageDelta `json:"usage"`
		}
		if err := json.Unmarshal(ending(f.Data), &e); err != nil {
			return badFrame(err)
		}
		e.Usage.Apply(&m.Usage)
		m.StopReason, m.done = e.StopReason, true
	case EventAnswer, converse.Metadata:
		var e struct {
			StopReason string        `json:"stopReason"`
			Usage      converseUsage `json:"usage"`
		}
		if err := json.Unmarshal(f.Data, &e); err != nil {
			return badFrame(err)
		}
		m.Usage = e.Usage.messages()
		if e.StopReason != "" {
			m.StopReason = e.StopReason
		}
		m.done = true
	case converse.MessageStop:
		var e struct {
			StopReason string `json:"stopReason"`
		}
		if err := json.Unmarshal(f.Data, &e); err != nil {
			return badFrame(err)
		}
		m.StopReason = e.StopReason
	case EventCount:
		var e struct {
			InputTokens int64 `json:"input_tokens"`
		}
		if err := json.Unmarshal(f.Data, &e); err != nil {
			return badFrame(err)
		}
		m.Count, m.done = e.InputTokens, true
	}
	return nil
}

// ending is a message without its content, which is most of it and says nothing
// here. What cannot be taken apart stays whole.
func ending(message []byte) []byte {
	var room [16]jsonspan.Member
	members, err := jsonspan.Scan(room[:0], message, nil)
	if err != nil {
		return message
	}
	rest := append(make([]byte, 0, 512), '{')
	for _, key := range []string{"stop_reason", "usage"} {
		if m, ok := members.Get(key); ok {
			if len(rest) > 1 {
				rest = append(rest, ',')
			}
			rest = append(append(append(append(rest, '"'), key...), '"', ':'), m.Value(message)...)
		}
	}
	return append(rest, '}')
}

// converseUsage is usage as Converse spells it.
type converseUsage struct {
	Input      int64 `json:"inputTokens"`
	Output     int64 `json:"outputTokens"`
	CacheRead  int64 `json:"cacheReadInputTokens"`
	CacheWrite int64 `json:"cacheWriteInputTokens"`
	Details    []struct {
		TTL    string `json:"ttl"`
		Tokens int64  `json:"inputTokens"`
	} `json:"cacheDetails"`
}

func (u converseUsage) messages() messages.Usage {
	m := messages.Usage{InputTokens: u.Input, OutputTokens: u.Output, CacheReadInputTokens: u.CacheRead, CacheCreationInputTokens: u.CacheWrite}
	for _, d := range u.Details {
		switch d.TTL {
		case "1h":
			m.CacheCreation.Ephemeral1h += d.Tokens
		default: // "5m", and what may come: the cheaper class
			m.CacheCreation.Ephemeral5m += d.Tokens
		}
	}
	return m
}

func badFrame(err error) error {
	return messages.Errorf(messages.ModelStreamFailed, "The model sent an event that cannot be read.").WithCause(err)
}
