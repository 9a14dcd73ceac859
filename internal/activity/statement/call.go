// Package statement reads what AWS says of calls, its model invocation logs, and
// compares it with our records: a statement of account, checked.
//
// Invariant: every record of the logs is matched, listed, or counted under what
// it is passed over for.
//
// Not a goal: prices of AWS's own. Its logs have tokens and no money; both sides
// are priced by our book.
package statement

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Call is one record of the logs.
type Call struct {
	RequestID       string
	Time            time.Time
	Account         string
	Region          string
	InferenceRegion string
	Operation       string
	ModelID         string // as called: an id or an ARN
	ErrorCode       string
	Usage           messages.Usage
	// Split says that cache writes are known by their time to live.
	Split bool
	// Ours says that one of our servers has delivered the record: its ids are ours.
	Ours bool
	// NoBody says that a body that stands beside its record is not in the folder.
	NoBody bool
}

// set takes a count over that is said.
func set(dst, src *int64) {
	if src != nil {
		*dst = max(*src, 0)
	}
}

// used says whether anything can be billed.
func used(u messages.Usage) bool { return u.PromptTokens()+u.OutputTokens > 0 }

type fileCall struct {
	SchemaType      string          `json:"schemaType"`
	Timestamp       string          `json:"timestamp"`
	Account         string          `json:"accountId"`
	Region          string          `json:"region"`
	RequestID       string          `json:"requestId"`
	Operation       string          `json:"operation"`
	ModelID         string          `json:"modelId"`
	InferenceRegion string          `json:"inferenceRegion"`
	ErrorCode       string          `json:"errorCode"`
	Outcrop         json.RawMessage `json:"outcrop"`
	Input           struct {
		Tokens     *int64 `json:"inputTokenCount"`
		CacheRead  *int64 `json:"cacheReadInputTokenCount"`
		CacheWrite *int64 `json:"cacheWriteInputTokenCount"`
	} `json:"input"`
	Output struct {
		Body   json.RawMessage `json:"outputBodyJson"`
		Path   string          `json:"outputBodyS3Path"`
		Tokens *int64          `json:"outputTokenCount"`
	} `json:"output"`
}

// errOther is a record of something else.
var errOther = errors.New("no record of model invocation logging")

// call reads a record. body finds one that stands beside it; it is asked where the
// record itself does not say all.
func (f *fileCall) call(body func(path string) ([]byte, error)) (c Call, err error) {
	if f.SchemaType != "ModelInvocationLog" || f.RequestID == "" {
		return c, errOther
	}
	c = Call{RequestID: f.RequestID, Account: f.Account, Region: f.Region, InferenceRegion: f.InferenceRegion, Operation: f.Operation,
		ModelID: f.ModelID, ErrorCode: f.ErrorCode, Ours: f.Outcrop != nil}
	if c.Time, err = time.Parse(time.RFC3339Nano, f.Timestamp); err != nil {
		return c, fmt.Errorf("record %s: timestamp: %w", f.RequestID, err)
	}
	complete := f.Input.Tokens != nil && f.Output.Tokens != nil
	if writes := f.Input.CacheWrite; !complete || writes != nil && *writes > 0 {
		raw := f.Output.Body
		if raw == nil && f.Output.Path != "" {
			if raw, err = body(f.Output.Path); errors.Is(err, errNoBody) {
				c.NoBody = true
			} else if err != nil {
				return c, fmt.Errorf("record %s: %w", f.RequestID, err)
			}
		}
		if raw != nil {
			if c.Usage, err = usageOf(raw); err != nil {
				return c, fmt.Errorf("record %s: outputBodyJson: %w", f.RequestID, err)
			}
		}
	}
	// What AWS has counted holds; the body says what it was made of.
	set(&c.Usage.InputTokens, f.Input.Tokens)
	set(&c.Usage.CacheReadInputTokens, f.Input.CacheRead)
	set(&c.Usage.CacheCreationInputTokens, f.Input.CacheWrite)
	set(&c.Usage.OutputTokens, f.Output.Tokens)
	w := c.Usage.CacheCreation
	c.Split = w.Ephemeral5m+w.Ephemeral1h == c.Usage.CacheCreationInputTokens
	if !c.Split {
		c.Usage.CacheCreation = messages.CacheCreation{}
	}
	return c, nil
}

// usageOf reads the usage of an answer: a message, the array of a stream's chunks,
// or Converse's answer.
func usageOf(raw []byte) (u messages.Usage, err error) {
	type part struct {
		Type    string `json:"type"`
		Message struct {
			Usage json.RawMessage `json:"usage"`
		} `json:"message"`
		Usage json.RawMessage `json:"usage"`
	}
	parts := make([]part, 1)
	if raw[0] == '[' {
		err = json.Unmarshal(raw, &parts)
	} else {
		err = json.Unmarshal(raw, &parts[0])
	}
	if err != nil {
		return u, err
	}
	for _, p := range parts {
		for _, raw := range []json.RawMessage{p.Message.Usage, p.Usage} {
			if raw == nil || string(raw) == "null" {
				continue
			}
			var c converseUsage
			if err := errors.Join(u.Fold(raw), json.Unmarshal(raw, &c)); err != nil {
				return u, err
			}
			c.apply(&u)
		}
	}
	return u, nil
}

// converseUsage is usage as Converse spells it.
type converseUsage struct {
	Input      *int64 `json:"inputTokens"`
	Output     *int64 `json:"outputTokens"`
	CacheRead  *int64 `json:"cacheReadInputTokens"`
	CacheWrite *int64 `json:"cacheWriteInputTokens"`
	Details    []struct {
		TTL    string `json:"ttl"`
		Tokens int64  `json:"inputTokens"`
	} `json:"cacheDetails"`
}

func (c converseUsage) apply(u *messages.Usage) {
	set(&u.InputTokens, c.Input)
	set(&u.OutputTokens, c.Output)
	set(&u.CacheReadInputTokens, c.CacheRead)
	set(&u.CacheCreationInputTokens, c.CacheWrite)
	for _, d := range c.Details {
		switch d.TTL {
		case "5m":
			u.CacheCreation.Ephemeral5m += max(d.Tokens, 0)
		case "1h":
			u.CacheCreation.Ephemeral1h += max(d.Tokens, 0)
		default: // then the parts do not make up the whole, and Split says so
		}
	}
}
