package outcroptest

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// Scenario is an ordered list of rules: the first that matches a call, and has not
// answered as often as it may, answers it. The zero Scenario answers nothing.
//
// The yaml tags are the members of a scenario file; docs/scripted.md shows them all.
type Scenario struct {
	// Name is shown in the header x-outcrop-upstream, after "scripted/".
	Name string `yaml:"name"`
	// Otherwise says what a call without a rule gets: [Refuse] fails the test and
	// answers 404, ResourceNotFoundException; [Echo] answers with the last user
	// text. "" is Refuse here, and Echo to "outcrop serve".
	Otherwise string `yaml:"otherwise"`
	// Recording is a file of "outcrop record" that answers the calls which no
	// rule does; a call that it does not hold fails the test. [LoadScenario] looks
	// for it beside the scenario.
	Recording string `yaml:"recording"`
	// Rules are tried in order.
	Rules []Rule `yaml:"rules"`
}

// What [Scenario.Otherwise] may say.
const (
	Echo   = "echo"
	Refuse = "refuse"
)

// Rule answers the calls that match it.
type Rule struct {
	// Match is what a call must be; the zero Match fits every call but counts.
	Match Match `yaml:"match"`
	// Times is how often the rule answers; 0: always.
	Times int `yaml:"times"`
	// Answer is what it answers; the zero Answer is made to fit the request.
	Answer Answer `yaml:"answer"`
}

// Match holds a call to each member that is set.
type Match struct {
	// Operation is a glob on the name of the operation: InvokeModel,
	// InvokeModelWithResponseStream, Converse, ConverseStream, CreateMessage (the
	// Messages API), CountTokens, CountMessageTokens. Counts are answered only by
	// rules that name them; without one they are estimated at four bytes a token.
	Operation string `yaml:"operation"`
	// Model is a glob on the model id as called, or on its base id; * stops at "/".
	Model string `yaml:"model"`
	// Text is within the text of the last user turn.
	Text string `yaml:"text"`
	// Tool is the name of a tool on offer.
	Tool string `yaml:"tool"`
	// ToolResult says whether the last user turn carries a tool's result.
	ToolResult *bool `yaml:"tool_result"`
	// Stream says whether the call is streamed.
	Stream *bool `yaml:"stream"`
	// Beta is among the anthropic-beta values of header and body.
	Beta string `yaml:"beta"`
	// Header has headers that must be there, and what they must hold within.
	Header map[string]string `yaml:"header"`
	// Call is the number, from 1, among the calls that fit the other members,
	// whichever rule answered them.
	Call int `yaml:"call"`
}

// Answer is what comes back, and how. The frames of a stream count from 0, which
// is message_start; then come content_block_start, a delta for each Chunk,
// content_block_stop, and at the end message_delta and message_stop. A place past
// the end of the answer is refused when the call comes.
type Answer struct {
	// Content is the message. Without it the answer fits the request: the tool
	// call that tool_choice demands, JSON of the schema of a structured output,
	// else the last user text.
	Content []Block `yaml:"content"`
	// StopReason is, by default, what Content says: end_turn or tool_use.
	StopReason string `yaml:"stop_reason"`
	// Usage is, by default, counted at four bytes a token.
	Usage *Usage `yaml:"usage"`
	// Chunk is the size of a delta in bytes, by default 16; characters stay whole.
	Chunk int `yaml:"chunk"`
	// Delay comes before the answer.
	Delay time.Duration `yaml:"delay"`
	// FrameDelay comes before each further frame.
	FrameDelay time.Duration `yaml:"frame_delay"`
	// Error takes the answer's place, or that of a frame.
	Error *Fault `yaml:"error"`
	// CutAtFrame ends the stream after so many frames, without message_stop:
	// the client is told so by a modelStreamErrorException.
	CutAtFrame int `yaml:"cut_at_frame"`
	// Hold stops the stream after so many frames, until the client leaves.
	Hold int `yaml:"hold"`
	// CorruptAtFrame gives that frame, from 1, a wrong checksum. It is for
	// InvokeModelWithResponseStream; other calls are refused.
	CorruptAtFrame int `yaml:"corrupt_at_frame"`
	// OnFrame is called before each frame; of an answer that is not streamed, once,
	// with 0. It may wait, so that a test can order what happens; an error ends
	// the answer.
	OnFrame func(frame int) error `yaml:"-"`
}

// Block is one content block. Exactly one of Text, Thinking, RedactedThinking,
// ToolUse and Raw is set; [Text], [Thinking] and [ToolUse] make them.
type Block struct {
	// Text is what the model says.
	Text *string `yaml:"text"`
	// Citations stand beside Text, each as the Messages API has it.
	Citations []any `yaml:"citations"`
	// Thinking is the model's reasoning.
	Thinking *string `yaml:"thinking"`
	// Signature stands beside Thinking; there is one by default.
	Signature string `yaml:"signature"`
	// RedactedThinking is reasoning that only the service can read.
	RedactedThinking *string `yaml:"redacted_thinking"`
	// ToolUse calls a tool.
	ToolUse *ToolCall `yaml:"tool_use"`
	// Raw is any other block as the Messages API has it; a stream shows it whole.
	Raw map[string]any `yaml:"raw"`
}

// ToolCall is a call of a tool by the model.
type ToolCall struct {
	// ID is new for each answer by default.
	ID string `yaml:"id"`
	// Name of the tool.
	Name string `yaml:"name"`
	// Input is, by default, made up to fit the tool's schema.
	Input map[string]any `yaml:"input"`
}

// Usage counts tokens.
type Usage struct {
	// InputTokens is also what a count answers.
	InputTokens int64 `yaml:"input_tokens"`
	// OutputTokens of the answer.
	OutputTokens int64 `yaml:"output_tokens"`
	// CacheCreationInputTokens were written to the prompt cache.
	CacheCreationInputTokens int64 `yaml:"cache_creation_input_tokens"`
	// CacheReadInputTokens came from it.
	CacheReadInputTokens int64 `yaml:"cache_read_input_tokens"`
}

// Fault is an error of the service.
type Fault struct {
	// Exception is its name at AWS, such as ThrottlingException.
	Exception string `yaml:"exception"`
	// Message is its text.
	Message string `yaml:"message"`
	// AtFrame is the frame of a stream in whose place it comes; 0, and in a call
	// that is not streamed: in place of the answer, with its HTTP status.
	AtFrame int `yaml:"at_frame"`
	// RetryAfter is sent as retry-after, in whole seconds, where there is a status.
	RetryAfter time.Duration `yaml:"retry_after"`
}

// Answers has the first call answered by the first answer, and so on; the last one
// answers all that follow.
func Answers(answers ...Answer) Scenario {
	var s Scenario
	for i, a := range answers {
		r := Rule{Times: 1, Answer: a}
		if i == len(answers)-1 {
			r.Times = 0
		}
		s.Rules = append(s.Rules, r)
	}
	return s
}

// Say answers with a text.
func Say(text string) Answer { return Answer{Content: []Block{Text(text)}} }

// Fail answers with an AWS exception, such as ThrottlingException.
func Fail(exception, message string) Answer {
	return Answer{Error: &Fault{Exception: exception, Message: message}}
}

// Text is a text block.
func Text(text string) Block { return Block{Text: &text} }

// Thinking is a block of reasoning.
func Thinking(text string) Block { return Block{Thinking: &text} }

// ToolUse is a block that calls a tool; a nil input is made up to fit its schema.
func ToolUse(name string, input map[string]any) Block {
	return Block{ToolUse: &ToolCall{Name: name, Input: input}}
}

// Replay answers as a file of "outcrop record" does, as "outcrop serve --upstream
// replay:FILE" serves it: a call that means the same as a recorded one gets its
// answer, byte for byte; any other fails the test, and is told the nearest.
func Replay(file string) Scenario { return Scenario{Recording: file} }

// LoadScenario reads a scenario file, the same as "outcrop serve --upstream
// scripted:FILE" takes. A member that is not known is an error that says where it
// stands and what may have been meant.
func LoadScenario(file string) (Scenario, error) {
	f, err := os.Open(file)
	if err != nil {
		return Scenario{}, err
	}
	defer f.Close()
	var s Scenario
	if err := scripted.Decode(f, &s); err != nil {
		return Scenario{}, fmt.Errorf("%s: %w", file, err)
	}
	if s.Recording != "" && !filepath.IsAbs(s.Recording) {
		s.Recording = filepath.Join(filepath.Dir(file), s.Recording)
	}
	if _, err := scripted.New(s.script()); err != nil {
		return Scenario{}, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// script is s as the scripted upstream knows it.
func (s Scenario) script() scripted.Scenario {
	out := scripted.Scenario{Name: s.Name, Otherwise: s.Otherwise, Recording: s.Recording}
	for _, r := range s.Rules {
		out.Rules = append(out.Rules, scripted.Rule{Match: scripted.Match(r.Match), Times: r.Times, Answer: r.Answer.script()})
	}
	return out
}

func (a Answer) script() scripted.Answer {
	out := scripted.Answer{StopReason: a.StopReason, Usage: (*scripted.Usage)(a.Usage), Chunk: a.Chunk, Delay: a.Delay, FrameDelay: a.FrameDelay,
		Error: (*scripted.Fault)(a.Error), CutAtFrame: a.CutAtFrame, Hold: a.Hold, CorruptAtFrame: a.CorruptAtFrame, Before: a.OnFrame}
	for _, b := range a.Content {
		out.Content = append(out.Content, scripted.Block{Text: b.Text, Citations: b.Citations, Thinking: b.Thinking, Signature: b.Signature,
			RedactedThinking: b.RedactedThinking, ToolUse: (*scripted.ToolUse)(b.ToolUse), Raw: b.Raw})
	}
	return out
}
