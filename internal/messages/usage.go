package messages

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
