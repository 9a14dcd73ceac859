// Package scripted is an upstream that answers from a scenario: a Go value, or
// the same as YAML. It never calls a model, and says so. Every delay, fault and
// cut that a real upstream can show can be written down.
package scripted

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Scenario is an ordered list of rules: the first that matches answers. Without
// a matching rule the caller's last text comes back.
type Scenario struct {
	Name  string `yaml:"name"`
	Rules []Rule `yaml:"rules"`
}

// Rule answers the calls that match it, at most Times often (0: always).
type Rule struct {
	Match  Match  `yaml:"match"`
	Times  int    `yaml:"times"`
	Answer Answer `yaml:"answer"`
}

// Match holds a call to each member that is set.
type Match struct {
	Model      string `yaml:"model"`       // glob on the id as called or the catalog's id
	Text       string `yaml:"text"`        // within the last user turn
	Tool       string `yaml:"tool"`        // the name of a tool on offer
	ToolResult *bool  `yaml:"tool_result"` // the last user turn carries one
	Stream     *bool  `yaml:"stream"`
	Beta       string `yaml:"beta"`
}

// Answer is what comes back, and how.
type Answer struct {
	Content    []Block       `yaml:"content"`
	StopReason string        `yaml:"stop_reason"` // default: tool_use or end_turn
	Usage      *Usage        `yaml:"usage"`       // default: four bytes a token
	Chunk      int           `yaml:"chunk"`       // characters of a delta, default 16
	Delay      time.Duration `yaml:"delay"`       // before the first frame
	FrameDelay time.Duration `yaml:"frame_delay"` // before each further frame
	Error      *Fault        `yaml:"error"`
	CutAtFrame int           `yaml:"cut_at_frame"` // the stream ends after so many frames
	Hold       int           `yaml:"hold"`         // frames after which the stream waits until the client leaves

	// Before is called before each frame, counted from 0; an error ends the
	// stream. For tests that order events.
	Before func(frame int) error `yaml:"-"`
}

// Block is one content block: exactly one member is set.
type Block struct {
	Text             *string        `yaml:"text"`
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
	e := messages.Errorf(bedrockapi.KindOf(f.Exception, 0), "%s", f.Message)
	e.RetryAfter = f.RetryAfter
	return e
}

// Read reads a scenario; an unknown member is an error that shows its place.
func Read(r io.Reader) (*Scenario, error) {
	raw, err := io.ReadAll(io.LimitReader(r, 16<<20))
	if err != nil {
		return nil, err
	}
	s := new(Scenario)
	if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(s); err != nil && err != io.EOF {
		return nil, fmt.Errorf("scenario: %s", strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return s, s.check()
}

func (s *Scenario) check() error {
	for i, r := range s.Rules {
		at := func(format string, args ...any) error {
			return fmt.Errorf("scenario: rule %d: %s", i+1, fmt.Sprintf(format, args...))
		}
		if _, err := path.Match(r.Match.Model, ""); err != nil {
			return at("match.model %q: %v", r.Match.Model, err)
		}
		for j, b := range r.Answer.Content {
			n := 0
			for _, set := range []bool{b.Text != nil, b.Thinking != nil, b.RedactedThinking != nil, b.ToolUse != nil, b.Raw != nil} {
				if set {
					n++
				}
			}
			if n != 1 {
				return at("content %d: want exactly one of text, thinking, redacted_thinking, tool_use, raw", j+1)
			}
		}
		if f := r.Answer.Error; f != nil && f.Exception == "" {
			return at("error needs an exception, such as ThrottlingException")
		}
	}
	return nil
}

func (m Match) matches(id, modelID string, stream bool, betas []string, p *messages.Params) bool {
	if m.Model != "" {
		a, _ := path.Match(m.Model, id)
		b, _ := path.Match(m.Model, modelID)
		if !a && !b {
			return false
		}
	}
	last := p.LastUser()
	if m.Text != "" && !strings.Contains(last.Content.PlainText(), m.Text) {
		return false
	}
	if m.Tool != "" && toolNamed(p, m.Tool) == nil {
		return false
	}
	if m.ToolResult != nil {
		has := false
		for _, b := range last.Content.Blocks {
			if _, ok := b.(messages.ToolResult); ok {
				has = true
			}
		}
		if has != *m.ToolResult {
			return false
		}
	}
	if m.Beta != "" {
		has := false
		for _, b := range betas {
			has = has || b == m.Beta
		}
		if !has {
			return false
		}
	}
	return m.Stream == nil || *m.Stream == stream
}

func toolNamed(p *messages.Params, name string) *messages.Tool {
	for i := range p.Tools {
		if p.Tools[i].Name == name {
			return &p.Tools[i]
		}
	}
	return nil
}
