// Package scripted is an upstream that answers from a scenario: a Go value, or
// the same as YAML. It never calls a model, and says so. Every delay, fault and
// cut that a real upstream can show can be written down.
package scripted

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Scenario is an ordered list of rules: the first that matches answers.
type Scenario struct {
	Name      string `yaml:"name"`
	Otherwise string `yaml:"otherwise"` // without a matching rule: Echo (the default) or Refuse
	Recording string `yaml:"recording"` // a file that answers in their place; see Over
	Rules     []Rule `yaml:"rules"`
}

// What Otherwise may say.
const (
	Echo   = "echo"   // the caller's last text comes back
	Refuse = "refuse" // with what each rule asks for and the call lacks
)

// Rule answers the calls that match it, at most Times often (0: always).
type Rule struct {
	Match  Match  `yaml:"match"`
	Times  int    `yaml:"times"`
	Answer Answer `yaml:"answer"`
}

// Answer is what comes back, and how. Frames count from 0, which is message_start.
type Answer struct {
	Content    []Block       `yaml:"content"`     // default: an echo, the tool call that is demanded, or JSON of the schema
	StopReason string        `yaml:"stop_reason"` // default: what the content says
	Usage      *Usage        `yaml:"usage"`       // default: four bytes a token
	Chunk      int           `yaml:"chunk"`       // bytes of a delta, default 16
	Delay      time.Duration `yaml:"delay"`       // before the first frame
	FrameDelay time.Duration `yaml:"frame_delay"` // before each further frame
	Error      *Fault        `yaml:"error"`
	CutAtFrame int           `yaml:"cut_at_frame"` // the stream ends after so many frames
	Hold       int           `yaml:"hold"`         // frames after which the stream waits until the client leaves

	CorruptAtFrame int `yaml:"corrupt_at_frame"` // that frame's checksum is wrong; from 1

	// Before is called before each frame, counted from 0; an error ends the
	// stream. For tests that order events.
	Before func(frame int) error `yaml:"-"`
}

// Block is one content block: exactly one member is set.
type Block struct {
	Text             *string        `yaml:"text"`
	Citations        []any          `yaml:"citations"` // beside text, as the Messages API has them
	Thinking         *string        `yaml:"thinking"`
	Signature        string         `yaml:"signature"` // beside thinking
	RedactedThinking *string        `yaml:"redacted_thinking"`
	ToolUse          *ToolUse       `yaml:"tool_use"`
	Raw              map[string]any `yaml:"raw"` // any other block, sent as it is
}

// ToolUse calls a tool. Without an input one is made up that fits the schema.
type ToolUse struct {
	ID    string         `yaml:"id"`
	Name  string         `yaml:"name"`
	Input map[string]any `yaml:"input"`
}

// Usage as the record and the client will see it.
type Usage struct {
	InputTokens              int64 `yaml:"input_tokens"`
	OutputTokens             int64 `yaml:"output_tokens"`
	CacheCreationInputTokens int64 `yaml:"cache_creation_input_tokens"`
	CacheReadInputTokens     int64 `yaml:"cache_read_input_tokens"`
}

// Fault is an AWS exception in place of frame AtFrame (0: before the first).
type Fault struct {
	Exception  string        `yaml:"exception"`
	Message    string        `yaml:"message"`
	AtFrame    int           `yaml:"at_frame"`
	RetryAfter time.Duration `yaml:"retry_after"`
}

func (f *Fault) err() error {
	k, _ := bedrockapi.Named(f.Exception) // check has seen it
	e := messages.Errorf(k, "%s", f.Message)
	e.RetryAfter = f.RetryAfter
	return e
}

func (s *Scenario) check() error {
	switch {
	case s.Otherwise != "" && s.Otherwise != Echo && s.Otherwise != Refuse:
		return fmt.Errorf("scenario: otherwise %q: want %s or %s", s.Otherwise, Echo, Refuse)
	case s.Otherwise != "" && s.Recording != "":
		return errors.New("scenario: otherwise and recording exclude each other: the recording is what answers without a rule")
	}
	for i := range s.Rules {
		if err := s.Rules[i].check(); err != nil {
			return fmt.Errorf("scenario: rule %d: %w", i+1, err)
		}
	}
	return nil
}

func (r *Rule) check() error {
	if err := r.Match.check(); err != nil {
		return err
	}
	a := &r.Answer
	numbers := map[string]int{"times": r.Times, "chunk": a.Chunk, "cut_at_frame": a.CutAtFrame, "hold": a.Hold, "corrupt_at_frame": a.CorruptAtFrame}
	times := map[string]time.Duration{"delay": a.Delay, "frame_delay": a.FrameDelay}
	if f := a.Error; f != nil {
		numbers["error.at_frame"], times["error.retry_after"] = f.AtFrame, f.RetryAfter
		if _, ok := bedrockapi.Named(f.Exception); !ok {
			return fmt.Errorf("error.exception %q is none that Amazon Bedrock has, such as ThrottlingException", f.Exception)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		if numbers[name] < 0 {
			return fmt.Errorf("%s must not be below 0", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(times)) {
		if times[name] < 0 {
			return fmt.Errorf("%s must not be below 0", name)
		}
	}
	for i, b := range a.Content {
		if err := b.check(); err != nil {
			return fmt.Errorf("content %d: %w", i+1, err)
		}
	}
	return nil
}

func (b *Block) check() error {
	n := 0
	for _, set := range []bool{b.Text != nil, b.Thinking != nil, b.RedactedThinking != nil, b.ToolUse != nil, b.Raw != nil} {
		if set {
			n++
		}
	}
	switch {
	case n != 1:
		return errors.New("want exactly one of text, thinking, redacted_thinking, tool_use, raw")
	case b.Signature != "" && b.Thinking == nil:
		return errors.New("a signature stands beside thinking alone")
	case b.Citations != nil && b.Text == nil:
		return errors.New("citations stand beside text alone")
	case b.Citations != nil:
		_, err := messages.Marshal(b.Citations)
		return err
	case b.ToolUse != nil && b.ToolUse.Name == "":
		return errors.New("tool_use needs a name")
	case b.Raw != nil:
		if t, _ := b.Raw["type"].(string); t == "" {
			return errors.New("raw needs a type")
		}
		_, err := messages.Marshal(b.Raw)
		return err
	case b.ToolUse != nil:
		_, err := messages.Marshal(b.ToolUse.Input)
		return err
	default:
		return nil
	}
}
