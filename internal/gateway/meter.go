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
	written    int64        // bytes of what the answer says, in events
	most       int64        // tokens that the answer may have; 0: not known
	prompt     func() int64 // estimates its prompt; nil: nobody can
	left       bool         // the client has, before the first frame of what is billed
	dropped    []string
}

// Done says that the terminal event was seen.
func (m *Meter) Done() bool { return m.done }

// Cost is what is billed for what was used so far, or what it would have cost
// where nothing is billed: the amounts of the record.
func (m *Meter) Cost() (billed, would catalog.Nanodollars) {
	u, _ := m.Used()
	cost := catalog.Cost(u, m.price)
	if m.bills {
		return cost, 0
	}
	return 0, cost
}

// bytesPerToken of what an answer says; routing.Estimate has the source.
const bytesPerToken = 3

// Used is the usage that was told. Of an answer that broke off not all of it was:
// what was written counts as tokens, rather too many than too few, or a caller who
// leaves each answer before its end would pay next to nothing.
func (m *Meter) Used() (u messages.Usage, estimated bool) {
	u = m.Usage
	if m.left && m.prompt != nil { // it was sent; how much of an answer was made for nobody is not known
		u.InputTokens = m.prompt()
		return u, true
	}
	if m.done || m.written == 0 || m.StopReason != "" && u.OutputTokens > 0 {
		return u, false
	}
	if u.PromptTokens() == 0 && m.prompt != nil {
		u.InputTokens = m.prompt()
	}
	output := (m.written + bytesPerToken - 1) / bytesPerToken
	if m.most > 0 {
		output = min(output, m.most)
	}
	u.OutputTokens = max(u.OutputTokens, output)
	return u, u.InputTokens != m.Usage.InputTokens || u.OutputTokens != m.Usage.OutputTokens
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
		v, err := values(f.Data, "message")
		if err == nil {
			v, err = values(v[0], "usage")
		}
		if err == nil {
			err = m.Usage.Fold(v[0])
		}
		if err != nil {
			return badFrame(err)
		}
	case messages.EventMessageDelta:
		v, err := values(f.Data, "usage", "delta")
		if err == nil {
			err = m.Usage.Fold(v[0])
		}
		if err == nil {
			v, err = values(v[1], "stop_reason")
		}
		if err == nil {
			err = m.stopped(v[0])
		}
		if err != nil {
			return badFrame(err)
		}
	case messages.EventContentBlockDelta, converse.ContentBlockDelta:
		m.written += max(int64(len(f.Data))-deltaFrame, 1)
	case messages.EventMessageStop:
		m.done = true
	case EventMessage:
		v, err := values(f.Data, "usage", "stop_reason")
		if err == nil {
			err = m.Usage.Fold(v[0])
		}
		if err == nil {
			err = m.stopped(v[1])
		}
		if err != nil {
			return badFrame(err)
		}
		m.done = true
	case EventAnswer, converse.Metadata:
		v, err := values(f.Data, "usage", "stopReason")
		var usage converseUsage
		if err == nil && v[0] != nil {
			err = json.Unmarshal(v[0], &usage)
		}
		if err == nil {
			err = m.stopped(v[1])
		}
		if err != nil {
			return badFrame(err)
		}
		m.Usage, m.done = usage.messages(), true
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

// stopped reads a stop reason; nil and "" are none.
func (m *Meter) stopped(raw []byte) error {
	if raw == nil {
		return nil
	}
	why, err := stringOf(raw)
	if why != "" {
		m.StopReason = why
	}
	return err
}

// values are those of two members of an object at most, nil where one is not
// there or null. The content of a message, which is most of it, is not decoded.
// Where jsonspan is stricter than encoding/json, the answer is taken as it is.
func values(object []byte, keys ...string) (found [2][]byte, err error) {
	if object == nil {
		return found, nil
	}
	var room [16]jsonspan.Member
	members, err := jsonspan.Scan(room[:0], object, nil)
	if err != nil {
		return looseValues(object, keys)
	}
	for i, key := range keys {
		if m, ok := members.Get(key); ok && string(m.Value(object)) != "null" {
			found[i] = m.Value(object)
		}
	}
	return found, nil
}

func looseValues(object []byte, keys []string) (found [2][]byte, err error) {
	var loose map[string]json.RawMessage
	if err := json.Unmarshal(object, &loose); err != nil {
		return found, err
	}
	for i, key := range keys {
		if string(loose[key]) != "null" {
			found[i] = loose[key]
		}
	}
	return found, nil
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
