package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

type sendCmd struct {
	targetOption `set:"aws=Ask the real Amazon Bedrock, with the environment's AWS credentials, which is billed."`
	promptOption
	replyOption `set:"most=1024"`
	Stream      *bool         `negatable:"" help:"Show the answer as it comes, which is the default without --json; --no-stream asks for it whole."`
	JSON        bool          `name:"json" help:"Print the answer's JSON as it came; with --stream its events, one a line."`
	Timeout     time.Duration `default:"10m" placeholder:"TIME" help:"Most time for the answer, such as 90s. Default: ${default}."`
}

func (sendCmd) Help() string {
	return `Examples:

  outcrop send "Hello, world"
  outcrop send --pdf report.pdf "What is in the table?"
  git diff | outcrop send "Write a commit message"
  outcrop send --json --no-stream "Hello" | jq .usage

The answer goes to standard output; who gave it, and what it cost, to standard error.

` + targetHelp
}

func (c *sendCmd) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	stream := !c.JSON
	if c.Stream != nil {
		stream = *c.Stream
	}
	if c.Converse && c.JSON && stream {
		return misuse("--json with --stream is for InvokeModel: leave out --stream, or --converse")
	}
	p, err := c.prompt(con)
	if err != nil {
		return err
	}
	p.replyOption = c.replyOption
	t, err := c.open(ctx, "send")
	if err != nil {
		return err
	}
	if c.Converse && t.clear() {
		return errClear
	}
	p.ModelID = t.modelID(p.ModelID)
	out := con.answers()
	a, err := c.ask(ctx, t, p, stream, out)
	if err != nil {
		out.newline()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return tell(err, "no whole answer within %v; --timeout gives it longer", c.Timeout)
		}
		return t.explain(err)
	}
	if c.JSON && !stream {
		if _, err := fmt.Fprintf(con.Out, "%s\n", bytes.TrimSpace(a.raw)); err != nil {
			return err
		}
	}
	out.newline()
	t.sum(con.Err, p, a)
	return out.err
}

// answer is what an ask has come to, by either API.
type answer struct {
	raw   []byte
	usage messages.Usage
	stop  string // Anthropic's name
}

func (c *sendCmd) ask(ctx context.Context, t *target, p *prompt, stream bool, out *answers) (*answer, error) {
	switch {
	case c.Converse && stream:
		return t.converseStream(ctx, p, out)
	case c.Converse:
		return t.converse(ctx, p, out, c.JSON)
	case stream:
		events := func(e anthropic.MessageStreamEventUnion) { out.text(e.Delta.Text) }
		if c.JSON {
			events = func(e anthropic.MessageStreamEventUnion) { out.line(e.RawJSON()) }
		}
		m, err := t.stream(ctx, p, events)
		if err != nil {
			return nil, err
		}
		return answerOf(m), nil
	default:
		params, opts, err := p.params()
		if err != nil {
			return nil, err
		}
		m, err := t.Messages.New(ctx, params, opts...)
		if err != nil {
			return nil, err
		}
		if !c.JSON {
			out.text(textOf(m))
		}
		return answerOf(m), nil
	}
}

func answerOf(m *anthropic.Message) *answer {
	return &answer{raw: []byte(m.RawJSON()), stop: string(m.StopReason), usage: messages.Usage{InputTokens: m.Usage.InputTokens, OutputTokens: m.Usage.OutputTokens,
		CacheReadInputTokens: m.Usage.CacheReadInputTokens, CacheCreationInputTokens: m.Usage.CacheCreationInputTokens}}
}

// stream asks through InvokeModelWithResponseStream. The message is what has
// come, also where the error says that it is not whole.
func (t *target) stream(ctx context.Context, p *prompt, event func(anthropic.MessageStreamEventUnion)) (*anthropic.Message, error) {
	params, opts, err := p.params()
	if err != nil {
		return nil, err
	}
	m := new(anthropic.Message)
	s := t.Messages.NewStreaming(ctx, params, opts...)
	defer s.Close()
	for s.Next() {
		e := s.Current()
		if err := m.Accumulate(e); err != nil {
			return m, err
		}
		event(e)
	}
	return m, s.Err()
}

func (t *target) converse(ctx context.Context, p *prompt, out *answers, asJSON bool) (*answer, error) {
	t.heard.keep = true
	got, err := t.Runtime().Converse(ctx, p.converse())
	if err != nil {
		return nil, err
	}
	a := &answer{raw: t.heard.body.Bytes(), stop: string(got.StopReason), usage: usageOf(got.Usage)}
	if m, ok := got.Output.(*types.ConverseOutputMemberMessage); ok && !asJSON {
		for _, b := range m.Value.Content {
			if text, ok := b.(*types.ContentBlockMemberText); ok {
				out.text(text.Value)
			}
		}
	}
	return a, nil
}

func (t *target) converseStream(ctx context.Context, p *prompt, out *answers) (*answer, error) {
	in := p.converse()
	got, err := t.Runtime().ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{
		ModelId: in.ModelId, Messages: in.Messages, System: in.System, InferenceConfig: in.InferenceConfig})
	if err != nil {
		return nil, err
	}
	s := got.GetStream()
	defer s.Close()
	a := &answer{}
	for event := range s.Events() {
		switch e := event.(type) {
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			if text, ok := e.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
				out.text(text.Value)
			}
		case *types.ConverseStreamOutputMemberMessageStop:
			a.stop = string(e.Value.StopReason)
		case *types.ConverseStreamOutputMemberMetadata:
			a.usage = usageOf(e.Value.Usage)
		default: // starts and ends of blocks, and what is newer than this
		}
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if a.stop == "" { // AWS's client takes any end for a good one
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, tell(bedrock.ErrTruncated, "the answer broke off before its end")
	}
	return a, nil
}

func usageOf(u *types.TokenUsage) messages.Usage {
	if u == nil {
		return messages.Usage{}
	}
	return messages.Usage{InputTokens: int64(aws.ToInt32(u.InputTokens)), OutputTokens: int64(aws.ToInt32(u.OutputTokens)),
		CacheReadInputTokens: int64(aws.ToInt32(u.CacheReadInputTokens)), CacheCreationInputTokens: int64(aws.ToInt32(u.CacheWriteInputTokens))}
}

// sum says who has answered, why it ended if not by itself, and the cost.
func (t *target) sum(w io.Writer, p *prompt, a *answer) {
	w = visible{w}
	for _, warning := range t.heard.warnings() {
		fmt.Fprintf(w, "outcrop: warning: %s\n", warning)
	}
	switch a.stop {
	case "", "end_turn", "stop_sequence":
	case "max_tokens":
		fmt.Fprintf(w, "outcrop: cut at --max-tokens %d\n", p.MaxTokens)
	default:
		fmt.Fprintf(w, "outcrop: stopped: %s\n", a.stop)
	}
	fmt.Fprintf(w, "outcrop: answered by %s: %s; %s\n", t.who(), tokenLine(a.usage), t.cost(p.ModelID, a.usage))
}

func tokenLine(u messages.Usage) string {
	s := fmt.Sprintf("%d tokens in", u.InputTokens)
	if u.CacheReadInputTokens+u.CacheCreationInputTokens > 0 {
		s += fmt.Sprintf(" (and %d from the cache, %d into it)", u.CacheReadInputTokens, u.CacheCreationInputTokens)
	}
	return s + fmt.Sprintf(", %d out", u.OutputTokens)
}

// answers writes what models say. A terminal gets no control characters.
type answers struct {
	w     io.Writer
	inRow bool // the last line is not ended
	err   error
}

func (c console) answers() *answers {
	if isTerminal(c.Out) {
		return &answers{w: visible{c.Out}}
	}
	return &answers{w: c.Out}
}

func (a *answers) text(s string) {
	if s == "" || a.err != nil {
		return
	}
	_, a.err = io.WriteString(a.w, s)
	a.inRow = !strings.HasSuffix(s, "\n")
}

func (a *answers) line(s string) {
	var one bytes.Buffer
	if json.Compact(&one, []byte(s)) == nil {
		a.text(one.String() + "\n")
	}
}

// newline ends a line that is begun.
func (a *answers) newline() {
	if a.inRow {
		a.text("\n")
	}
}
