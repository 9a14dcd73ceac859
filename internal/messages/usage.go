package messages

import (
	"encoding/json"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// Usage is the token count of one answer, in Anthropic's names. InputTokens
// excludes what the cache served or stored.
type Usage struct {
	InputTokens              int64         `json:"input_tokens"`
	CacheCreationInputTokens int64         `json:"cache_creation_input_tokens,omitempty"`
	CacheReadInputTokens     int64         `json:"cache_read_input_tokens,omitempty"`
	CacheCreation            CacheCreation `json:"cache_creation,omitzero"`
	OutputTokens             int64         `json:"output_tokens"`
	Rest                     Rest          `json:"-"`
}

func (u *Usage) UnmarshalJSON(raw []byte) error { return decodeOpen(raw, u) }
func (u Usage) MarshalJSON() ([]byte, error)    { return encodeOpen("", u) }

// CacheCreation splits CacheCreationInputTokens by time to live. Where it is
// zero, all of them were written for five minutes.
type CacheCreation struct {
	Ephemeral5m int64 `json:"ephemeral_5m_input_tokens"`
	Ephemeral1h int64 `json:"ephemeral_1h_input_tokens"`
	Rest        Rest  `json:"-"`
}

func (c CacheCreation) IsZero() bool                    { return c.Ephemeral5m == 0 && c.Ephemeral1h == 0 }
func (c *CacheCreation) UnmarshalJSON(raw []byte) error { return decodeOpen(raw, c) }
func (c CacheCreation) MarshalJSON() ([]byte, error)    { return encodeOpen("", c) }

// PromptTokens is everything the model read: fresh, cached and stored.
func (u Usage) PromptTokens() int64 {
	return u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens
}

// Fold takes over what a usage object says; what it does not name stays, since
// message_delta's usage is cumulative. No count is below 0, whatever a server
// says: nobody is paid for a call.
func (u *Usage) Fold(raw []byte) error {
	if raw == nil {
		return nil
	}
	var room [16]jsonspan.Member
	members, err := jsonspan.Scan(room[:0], raw, nil)
	if err != nil {
		return err
	}
	for _, m := range members {
		var count *int64
		switch string(m.Key) {
		case "input_tokens":
			count = &u.InputTokens
		case "cache_creation_input_tokens":
			count = &u.CacheCreationInputTokens
		case "cache_read_input_tokens":
			count = &u.CacheReadInputTokens
		case "output_tokens":
			count = &u.OutputTokens
		case "cache_creation":
			if err := u.CacheCreation.set(m.Value(raw)); err != nil {
				return err
			}
			continue
		default:
			continue
		}
		if v := m.Value(raw); string(v) != "null" {
			n, ok := jsonspan.Int(v)
			if !ok {
				return fmt.Errorf("%s of the usage is no count: %.40s", m.Key, v)
			}
			*count = max(n, 0)
		}
	}
	return nil
}

// set replaces c by an object, unless that is null. Only what is not known is
// decoded at length.
func (c *CacheCreation) set(raw []byte) error {
	var room [4]jsonspan.Member
	members, err := jsonspan.Scan(room[:0], raw, nil)
	five, _ := members.Get("ephemeral_5m_input_tokens")
	hour, _ := members.Get("ephemeral_1h_input_tokens")
	m, ok := jsonspan.Int(five.Value(raw))
	h, ok2 := jsonspan.Int(hour.Value(raw))
	if err == nil && len(members) == 2 && ok && ok2 {
		*c = CacheCreation{Ephemeral5m: m, Ephemeral1h: h}
		return nil
	}
	var said *CacheCreation
	if err := json.Unmarshal(raw, &said); err != nil || said == nil {
		return err
	}
	*c = *said
	return nil
}
