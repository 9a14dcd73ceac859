package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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
	targetOption `set:"aws=Ask the real Amazon Bedrock, with the environment's AWS credentials, which is billed."`
	modelOption
	replyOption `set:"most=4096"`
}

func (chatCmd) Help() string {
	return `Examples:

  outcrop chat
  outcrop chat -m claude-sonnet-4-6 --system "Be brief."

A line is what you say. A line that begins with a slash is for the program:

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
		prompt: prompt{modelOption: c.modelOption, replyOption: c.replyOption}}
	v.prompt.ModelID = t.modelID(c.ModelID)
	var in lines = &inputLines{scanner: bufio.NewScanner(con.In)}
	if v.live = con.terminal(); v.live {
		// Ctrl-C is the conversation's from here on; SIGTERM still ends it.
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGTERM)
		defer stop()
		in = newEditor(con.In.(*os.File), con.Out.(*os.File), readHistory(filepath.Join(c.Data, historyFile)), v.complete)
		fmt.Fprintf(v.talk, "outcrop: %s, through %s; /help says more, Ctrl-D ends\n", v.prompt.ModelID, t.BaseURL())
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
	total   bill
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
		fmt.Fprintf(c.talk, "outcrop: cut at --max-tokens %d\n", c.prompt.MaxTokens)
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
	c.total.add(c.bill(c.prompt.ModelID, a.usage))
}

func (c *conversation) sum() string { return tokenLine(c.usage) + "; " + c.total.String() }

func (c *conversation) command(line string) error {
	name, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "/help":
		fmt.Fprint(c.talk, chatHelp)
	case "/model":
		if rest != "" {
			c.prompt.ModelID = c.modelID(rest)
		}
		known := ""
		if m, ok := c.catalog.Lookup(c.prompt.ModelID); ok {
			known = ", " + m.Name
		}
		fmt.Fprintf(c.talk, "outcrop: %s%s\n", c.prompt.ModelID, known)
	case "/system":
		switch rest {
		case "":
		case "-":
			c.prompt.System = ""
		default:
			c.prompt.System = rest
		}
		fmt.Fprintf(c.talk, "outcrop: the system prompt is %q\n", c.prompt.System)
	case "/cost":
		fmt.Fprintf(c.talk, "outcrop: %s\n", c.sum())
	case "/clear":
		c.prompt.turns, c.files = nil, nil
		fmt.Fprintln(c.talk, "outcrop: begun anew")
	case "/file":
		return c.attach(rest)
	default:
		return misuse("%s is no command; /help lists them, and // at the start of a line sends a slash", name)
	}
	return nil
}

func (c *conversation) attach(path string) error {
	path = strings.Trim(path, `"'`)
	if path == "" {
		return misuse("/file wants a path")
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
