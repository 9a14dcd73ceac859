package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/invocationlog"
	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

type logsShowCmd struct {
	logOption
	farOption
	ID   string `arg:"" help:"Request id, as logs has it."`
	JSON bool   `name:"json" help:"Print the record in AWS's form, bodies included."`
}

func (logsShowCmd) Help() string {
	return `Examples:

  outcrop logs show 0b4c1c5e-5d0c-4c2e-9c41-0d6c8f8a2f5e
  outcrop logs show 0b4c1c5e-5d0c-4c2e-9c41-0d6c8f8a2f5e --json | jq .input.inputBodyJson
  outcrop logs show 0b4c1c5e-5d0c-4c2e-9c41-0d6c8f8a2f5e --endpoint https://outcrop.example`
}

func (c *logsShowCmd) Run(ctx context.Context, con console) error {
	if c.Endpoint != "" {
		far, err := newAdminClient(ctx, c.Endpoint)
		if err != nil {
			return err
		}
		l, err := far.Call(ctx, c.ID)
		if err != nil {
			return err
		}
		if c.JSON {
			return con.writeJSON(l)
		}
		x, err := exchangeOf(l)
		if err != nil {
			return fmt.Errorf("%s answers as no outcrop does: %w", c.Endpoint, err)
		}
		return c.print(con, x)
	}
	a, done, err := openArchive(ctx, c.Data, con)
	if err != nil {
		return err
	}
	defer done()
	x, err := a.Get(ctx, c.ID)
	if errors.Is(err, activity.ErrNoRecord) {
		return noSuchCall(c.ID)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return con.writeJSON(invocationlog.Of(x, invocationlog.Options{}))
	}
	return c.print(con, x)
}

func (c *logsShowCmd) print(con console, x *activity.Exchange) error {
	out := visible{con.Out}
	showRecord(out, &x.Record)
	showConversation(out, x)
	return nil
}

func noSuchCall(id string) error {
	return tell(bedrock.ErrNotFound, "no call has the id %q: %s logs", id, self())
}

func showRecord(out io.Writer, r *activity.Record) {
	w := table(out)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, cell(value))
		}
	}
	row("id", r.RequestID)
	row("time", r.Time.Local().Format(time.RFC3339Nano))
	row("status", statusOf(r))
	row("error", strings.TrimSpace(r.ErrorCode+" "+r.Error))
	row("operation", r.Operation)
	row("model", r.Ref)
	if r.RouteID != r.Ref {
		row("route", r.RouteID)
	}
	row("upstream", r.Upstream)
	row("region", r.Region)
	row("served in", r.Served)
	row("endpoint", r.Endpoint)
	row("wall", r.Wall)
	for _, t := range r.Tried {
		row("tried", strings.TrimSpace(t.RouteID+" "+t.Region+" "+t.Code))
	}
	row("key", r.KeyID)
	row("principal", r.Principal)
	took := r.Duration.Round(time.Millisecond).String()
	if r.FirstFrame > 0 {
		took += ", first event after " + r.FirstFrame.Round(time.Millisecond).String()
	}
	row("took", took)
	u := r.Usage
	row("tokens", fmt.Sprintf("%d in, %d from the cache, %d into it, %d out", u.InputTokens, u.CacheReadInputTokens, u.CacheCreationInputTokens, u.OutputTokens))
	row("cost", costLine(r))
	for k, v := range r.Metadata {
		row("tag", k+"="+v)
	}
	row("session", r.Client.Session)
	row("agent", r.Client.Agent)
	row("prompt", r.Client.Prompt)
	for _, warning := range r.Warnings {
		row("warning", warning)
	}
	row("content", r.Content.String())
	w.Flush()
}

func costLine(r *activity.Record) string {
	s := "billed $" + r.Billed.USD()
	if r.WouldCost != 0 {
		s += ", would have cost $" + r.WouldCost.USD()
	}
	if r.Premium != 0 {
		s += ", of it $" + r.Premium.USD() + " for the Region"
	}
	if r.CacheSaved != 0 {
		s += "; caching saved $" + r.CacheSaved.USD()
	}
	if r.OwnPrice {
		s += "; at the operator's prices"
	}
	return s
}

// showConversation prints what was said. A body that is no conversation is
// printed as it is.
func showConversation(out io.Writer, x *activity.Exchange) {
	if x.Input != nil {
		if p := conversationOf(x); p != nil {
			if !p.System.IsZero() {
				showTurn(out, "system", p.System)
			}
			for _, t := range p.Messages {
				showTurn(out, t.Role, t.Content)
			}
		} else {
			fmt.Fprintf(out, "\n── request\n%s\n", indented(x.Input))
		}
	}
	if len(x.Events) == 0 {
		return
	}
	raw, err := invocationlog.Message(x.Events)
	if err == nil {
		var m messages.Message
		if err = m.UnmarshalJSON(raw); err == nil {
			reason := ""
			if m.StopReason != nil {
				reason = " (" + *m.StopReason + ")"
			}
			showTurn(out, m.Role+reason, m.Content)
			return
		}
	}
	fmt.Fprintf(out, "\n── answer\n")
	for _, e := range x.Events {
		fmt.Fprintf(out, "%s %s\n", e.Name, e.Data)
	}
}

func conversationOf(x *activity.Exchange) *messages.Params {
	body := x.Input
	if strings.HasPrefix(x.Record.Operation, "Converse") {
		r, err := converse.ToMessages(body, converse.Options{Lossy: true, TextOf: func(b []byte, format, name string) (string, error) {
			return fmt.Sprintf("[document %s, %s, %d bytes]", name, format, len(b)), nil
		}})
		if err != nil {
			return nil
		}
		body = r.Body
	}
	p := new(messages.Params)
	if p.UnmarshalJSON(body) != nil {
		return nil
	}
	return p
}

// messageOf is a whole answer as a message, and the places of a Converse answer
// that a message has no room for.
func messageOf(operation string, answer []byte) (message []byte, left []string, err error) {
	if !strings.HasPrefix(operation, "Converse") {
		return answer, nil, nil
	}
	message, _, left, err = converse.ReadAnswer(answer, "", "", true)
	return message, left, err
}

func showTurn(out io.Writer, who string, c messages.Content) {
	fmt.Fprintf(out, "\n── %s\n", who)
	for _, b := range c.Blocks {
		fmt.Fprintln(out, blockText(b))
	}
}

// blockText is a block as people read it.
func blockText(b messages.Block) string {
	switch b := b.(type) {
	case messages.Text:
		return b.Text
	case messages.Thinking:
		return "[thinking] " + b.Thinking
	case messages.RedactedThinking:
		return fmt.Sprintf("[thinking that only the service can read, %d bytes]", len(b.Data))
	case messages.ToolUse:
		return fmt.Sprintf("[%s calls %s] %s", b.ID, b.Name, b.Input)
	case messages.ToolResult:
		var parts []string
		for _, in := range b.Content.Blocks {
			parts = append(parts, blockText(in))
		}
		return fmt.Sprintf("[result of %s] %s", b.ToolUseID, strings.Join(parts, "\n"))
	case messages.Image:
		return "[image " + sourceText(b.Source) + "]"
	case messages.Document:
		return strings.TrimSpace("[document "+b.Title) + " " + sourceText(b.Source) + "]"
	case messages.Unknown:
		return fmt.Sprintf("[%s] %s", b.Type, b.Raw)
	default:
		return "[" + b.BlockType() + "]"
	}
}

func sourceText(s messages.Source) string {
	switch {
	case s.URL != "":
		return s.URL
	case s.FileID != "":
		return s.FileID
	case s.Type == "base64":
		return fmt.Sprintf("%s, %d bytes", s.MediaType, base64.StdEncoding.DecodedLen(len(s.Data)))
	default:
		return fmt.Sprintf("%s, %d bytes", s.Type, len(s.Data)+len(s.Content))
	}
}

func indented(raw []byte) []byte {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return raw
	}
	return b.Bytes()
}
