package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

type chatCmd struct {
	targetOption
	ModelID     string   `name:"model" short:"m" default:"${model}" env:"OUTCROP_MODEL_ID" placeholder:"ID" help:"Model: a Bedrock id, an ARN, or a name such as claude-sonnet-4-6. Default: ${default}."`
	System      string   `placeholder:"TEXT" help:"System prompt."`
	MaxTokens   int64    `default:"4096" placeholder:"N" help:"Most tokens of an answer. Default: ${default}."`
	Temperature *float64 `placeholder:"T" help:"From 0 to 1, for models that take it."`
}

func (chatCmd) Help() string {
	return `A line is what you say. A line that begins with a slash is for the program:

` + chatHelp + `
Arrow keys edit and bring back what was said before; a pasted text is one question, and \ at the end of a line goes on in
the next. Ctrl-C ends an answer, Ctrl-D the conversation. The history is chat_history in the data folder, which nobody
else can read. Without a terminal each line of standard input is a turn, and the first failure ends it.

` + targetHelp
}

const chatHelp = `  /file PATH      send a PDF, a picture or a text along with the next line
  /model [ID]     say which model answers, or take another
  /system [TEXT]  show the system prompt, or set another; /system - takes it away
  /cost           what the conversation has cost
  /clear          begin anew
  /help           this
  /quit           end
`

// errCleared: Ctrl-C took a line back.
var errCleared = errors.New("the line was taken back")

// lines gives what the user says. io.EOF ends the conversation.
type lines interface {
	line(ctx context.Context) (string, error)
}

func (c *chatCmd) Run(ctx context.Context, con console) error {
	t, err := c.open(ctx, "chat")
	if err != nil {
		return err
	}
	v := &conversation{target: t, out: con.answers(), talk: visible{con.Err},
		prompt: prompt{model: t.modelID(c.ModelID), system: c.System, maxTokens: c.MaxTokens, temperature: c.Temperature}}
	var in lines = &inputLines{scanner: bufio.NewScanner(con.In)}
	if v.live = con.terminal(); v.live {
		// Ctrl-C is the conversation's from here on; SIGTERM still ends it.
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGTERM)
		defer stop()
		in = newEditor(con.In.(*os.File), con.Out.(*os.File), readHistory(filepath.Join(c.Data, historyFile)), v.complete)
		fmt.Fprintf(v.talk, "outcrop: %s, through %s; /help says more, Ctrl-D ends\n", v.prompt.model, t.BaseURL())
	}
	err = v.run(ctx, in)
	if v.answers > 0 {
		fmt.Fprintf(v.talk, "outcrop: answered by %s: %s\n", t.who(), v.sum())
	}
	return err
}

// inputLines are the lines of a file or a pipe.
type inputLines struct{ scanner *bufio.Scanner }

func (l *inputLines) line(context.Context) (string, error) {
	if l.scanner.Scan() {
		return l.scanner.Text(), nil
	}
	if err := l.scanner.Err(); err != nil {
		return "", err
	}
	return "", io.EOF
}

// conversation is what was said, and what it cost.
type conversation struct {
	*target
	prompt  prompt
	files   []attachment // for the next turn
	live    bool         // somebody sits there
	out     *answers
	talk    io.Writer
	answers int
	usage   messages.Usage
	billed  big.Rat
	would   big.Rat // on Amazon Bedrock, where nothing was billed
	unknown bool    // an answer's price is not known
}

func (c *conversation) run(ctx context.Context, in lines) error {
	for {
		said, err := in.line(ctx)
		switch {
		case errors.Is(err, errCleared):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		trimmed := strings.TrimSpace(said)
		switch {
		case trimmed == "":
			continue
		case trimmed == "/quit" || trimmed == "/exit":
			return nil
		case strings.HasPrefix(trimmed, "/") && !strings.HasPrefix(trimmed, "//"):
			err = c.command(trimmed)
		default:
			err = c.say(ctx, strings.Replace(said, "//", "/", slashes(said)))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !c.live {
			return err
		}
		if err != nil {
			fmt.Fprintln(c.talk, "outcrop:", err)
		}
	}
}

// slashes is 1 where a line's own slash was doubled.
func slashes(said string) int {
	if strings.HasPrefix(strings.TrimSpace(said), "//") {
		return 1
	}
	return 0
}

// say asks, and shows the answer as it comes. A question without an answer is
// taken back, its files excepted.
func (c *conversation) say(ctx context.Context, text string) error {
	if c.live {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt)
		defer stop()
	}
	before := len(c.prompt.turns)
	c.prompt.turns = append(c.prompt.turns, turn{files: c.files, text: []string{text}})
	m, err := c.stream(ctx, &c.prompt, func(e anthropic.MessageStreamEventUnion) { c.out.text(e.Delta.Text) })
	c.out.newline()
	switch {
	case err != nil:
		c.prompt.turns = c.prompt.turns[:before]
		if errors.Is(err, context.Canceled) && c.live {
			fmt.Fprintln(c.talk, "outcrop: taken back")
			return nil
		}
		return c.explain(err)
	case len(m.Content) == 0: // a service refuses a turn of nothing
		c.prompt.turns = c.prompt.turns[:before]
	default:
		c.prompt.turns = append(c.prompt.turns, turn{answer: m})
		c.files = nil
	}
	c.count(answerOf(m))
	switch m.StopReason {
	case "end_turn", "stop_sequence":
	case "max_tokens":
		fmt.Fprintf(c.talk, "outcrop: cut at --max-tokens %d\n", c.prompt.maxTokens)
	default:
		fmt.Fprintf(c.talk, "outcrop: stopped: %s\n", m.StopReason)
	}
	return c.out.err
}

func (c *conversation) count(a *answer) {
	c.answers++
	c.usage.InputTokens += a.usage.InputTokens
	c.usage.OutputTokens += a.usage.OutputTokens
	c.usage.CacheReadInputTokens += a.usage.CacheReadInputTokens
	c.usage.CacheCreationInputTokens += a.usage.CacheCreationInputTokens
	billed, would := c.costs(c.prompt.model, a.usage)
	c.unknown = c.unknown || billed == ""
	var one big.Rat
	if _, ok := one.SetString(billed); ok {
		c.billed.Add(&c.billed, &one)
	}
	if _, ok := one.SetString(would); ok {
		c.would.Add(&c.would, &one)
	}
}

func (c *conversation) sum() string {
	s := tokenLine(c.usage) + "; billed $" + dollarText(&c.billed)
	if c.would.Sign() > 0 {
		s += ", on Amazon Bedrock it would have cost $" + dollarText(&c.would)
	}
	if c.unknown {
		s += ", without models whose price is not known"
	}
	return s
}

// dollarText keeps all that there is of an amount, and at least cents.
func dollarText(r *big.Rat) string {
	s := strings.TrimRight(r.FloatString(9), "0")
	if point := strings.IndexByte(s, '.'); len(s)-point < 3 {
		s += strings.Repeat("0", 3-len(s)+point)
	}
	return s
}

func (c *conversation) command(line string) error {
	name, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "/help":
		fmt.Fprint(c.talk, chatHelp)
	case "/model":
		if rest != "" {
			c.prompt.model = c.modelID(rest)
		}
		known := ""
		if m, ok := c.catalog.Lookup(c.prompt.model); ok {
			known = ", " + m.Name
		}
		fmt.Fprintf(c.talk, "outcrop: %s%s\n", c.prompt.model, known)
	case "/system":
		switch rest {
		case "":
		case "-":
			c.prompt.system = ""
		default:
			c.prompt.system = rest
		}
		fmt.Fprintf(c.talk, "outcrop: the system prompt is %q\n", c.prompt.system)
	case "/cost":
		fmt.Fprintf(c.talk, "outcrop: %s\n", c.sum())
	case "/clear":
		c.prompt.turns, c.files = nil, nil
		fmt.Fprintln(c.talk, "outcrop: begun anew")
	case "/file":
		return c.attach(rest)
	default:
		return tell(bedrock.ErrConfiguration, "%s is no command; /help lists them, and // at the start of a line sends a slash", name)
	}
	return nil
}

func (c *conversation) attach(path string) error {
	path = strings.Trim(path, `"'`)
	if path == "" {
		return tell(bedrock.ErrConfiguration, "/file wants a path")
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	a, err := readAttachment(path)
	if err != nil {
		return tell(bedrock.ErrValidation, "%v", err)
	}
	if _, err := a.block(); err != nil {
		return tell(bedrock.ErrValidation, "%v", err)
	}
	c.files = append(c.files, a)
	fmt.Fprintf(c.talk, "outcrop: %s (%s, %d bytes) goes with the next line\n", path, a.format, len(a.data))
	return nil
}

var chatCommands = []string{"/clear", "/cost", "/file ", "/help", "/model ", "/quit", "/system "}

// complete gives what a line may become.
func (c *conversation) complete(line string) []string {
	if rest, ok := strings.CutPrefix(line, "/model "); ok {
		return prefixed("/model ", modelIDs(c.catalog), rest)
	}
	if rest, ok := strings.CutPrefix(line, "/file "); ok {
		found, err := filepath.Glob(globQuote(rest) + "*")
		if err != nil {
			return nil
		}
		for i, f := range found {
			if info, err := os.Stat(f); err == nil && info.IsDir() {
				found[i] += string(filepath.Separator)
			}
		}
		return prefixed("/file ", found, rest)
	}
	if !strings.HasPrefix(line, "/") {
		return nil
	}
	return prefixed("", chatCommands, line)
}

func globQuote(s string) string {
	return strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

func prefixed(before string, all []string, start string) (fit []string) {
	for _, s := range all {
		if strings.HasPrefix(s, start) {
			fit = append(fit, before+s)
		}
	}
	slices.Sort(fit)
	return slices.Compact(fit)
}
