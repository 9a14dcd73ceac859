package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/localmodel/chat"
	"github.com/outcrop-dev/outcrop/internal/localmodel/llama"
)

// sink takes an answer as it comes: text, then at most one call.
type sink interface {
	text(string) error
	call(name string) error
	input(json string) error
}

// writer writes one answer behind a prompt that its slot has read.
type writer struct {
	s      *slot
	ctx    context.Context
	r      *chat.Request
	seed   uint32
	prompt []llama.Token
	at     int           // tokens that the context holds
	next   []llama.Token // and those that it does not hold yet
	o      *outcome
}

func (w *writer) answer(stops []string, out sink) error {
	calls := w.r.Calls
	begun := calls != nil && calls.Must
	if !begun {
		var err error
		if begun, err = w.text(stops, out); err != nil || !begun {
			return err
		}
	}
	return w.call(calls, out)
}

// text writes until the answer ends; called: a call begins in its place.
func (w *writer) text(stops []string, out sink) (called bool, err error) {
	t := &text{out: out}
	if t.watch = w.r.Calls != nil; t.watch && w.r.Format == "" {
		stops = append([]string{chat.CallMark}, stops...)
	}
	answer := chat.NewAnswer(stops)
	var raw, shortened []byte
	var shortest chat.Shortest
	var sampled []llama.Token
	var ends []int // of sampled, in raw
	err = w.sample(w.r.Format, func(token llama.Token, piece []byte) (bool, error) {
		raw = append(raw, piece...)
		sampled, ends = append(sampled, token), append(ends, len(raw))
		if w.r.Format != "" {
			// Here a call stands in place of the text, never behind some of it.
			if t.watch && bytes.HasPrefix(raw, []byte(chat.CallMark[:1])) {
				called = bytes.Contains(raw, []byte(chat.CallMark))
				return called, nil
			}
			shortened = shortest.Append(shortened[:0], piece)
			piece = shortened
		}
		words, stop := answer.Push(piece)
		if err := t.write(words); err != nil {
			return true, err
		}
		if called = t.watch && stop == chat.CallMark; called {
			return true, nil
		}
		w.o.stop = stop
		return stop != "" || w.r.Format != "" && whole(raw), nil
	})
	switch {
	case err != nil:
		return false, err
	case called:
		return true, w.rewind(raw, sampled, ends)
	case w.o.stop == "":
		if err := t.write(answer.End()); err != nil {
			return false, err
		}
	}
	return false, t.end()
}

// rewind forgets what was sampled from the mark of a call on, so that a call is
// read the same way whether the model or the request began it.
func (w *writer) rewind(raw []byte, sampled []llama.Token, ends []int) error {
	mark := bytes.LastIndex(raw, []byte(chat.CallMark))
	n, from := 0, 0 // the tokens that end before the mark, and where they end
	for n < len(ends) && ends[n] <= mark {
		from = ends[n]
		n++
	}
	w.o.output = n
	w.next = nil // the last of sampled, which the mark ends in
	if keep := len(w.prompt) + n; keep < w.at {
		if w.at = keep; !w.s.ctx.Truncate(keep) {
			w.at, w.s.kept = 0, nil
			w.next = append(append(w.next, w.prompt...), sampled[:n]...)
		}
	}
	return w.say(string(raw[from:mark]))
}

// call writes a call. Its arguments follow the schema of their tool to the end,
// unless max_tokens or the window cuts them off.
func (w *writer) call(calls *chat.Calls, out sink) error {
	tool, err := w.choose(calls)
	if err != nil || w.o.full {
		return err
	}
	if err := w.say(calls.BeforeArguments(tool)); err != nil || w.o.full {
		return err
	}
	if err := out.call(tool.Name); err != nil {
		return err
	}
	var args, shortened []byte
	var shortest chat.Shortest
	answer := chat.NewAnswer(nil)
	err = w.sample(tool.Grammar, func(_ llama.Token, piece []byte) (bool, error) {
		shortened = shortest.Append(shortened[:0], piece)
		args = append(args, shortened...)
		words, _ := answer.Push(shortened)
		return whole(args), out.input(words)
	})
	w.o.called = err == nil && !w.o.full
	return err
}

// choose lets the model name a tool, in the tokens that it would write the name
// in itself: one letter of a name says less than its first token, and at each
// letter the likeliest of them would lead it astray.
func (w *writer) choose(calls *chat.Calls) (tool chat.Tool, err error) {
	if len(calls.Tools) == 1 {
		return calls.Tools[0], nil
	}
	var names strings.Builder
	for i, t := range calls.Tools {
		names.WriteString([]string{"root ::= ", " | "}[min(i, 1)])
		tokens, err := w.s.model.Tokenize(t.Name + `"`)
		if err != nil {
			return tool, err
		}
		for _, token := range tokens {
			fmt.Fprintf(&names, "<[%d]> ", token)
		}
	}
	if err := w.say(chat.BeforeName); err != nil || w.o.full {
		return tool, err
	}
	var name []byte
	err = w.sample(names.String(), func(_ llama.Token, piece []byte) (bool, error) {
		name = append(name, piece...)
		return bytes.HasSuffix(name, []byte{'"'}), nil
	})
	i := slices.IndexFunc(calls.Tools, func(t chat.Tool) bool { return t.Name+`"` == string(name) })
	if err == nil && !w.o.full {
		tool = calls.Tools[i]
	}
	return tool, err
}

// say puts words into the model's mouth: the answer goes on behind them.
func (w *writer) say(words string) error {
	tokens, err := w.s.model.Tokenize(words)
	if err != nil {
		return err
	}
	w.next = append(w.next, tokens...)
	w.o.output += len(tokens)
	w.o.full = w.o.output >= w.r.MaxTokens || w.at+len(w.next) > w.s.window
	w.o.output = min(w.o.output, w.r.MaxTokens)
	return nil
}

// sample adds tokens, each handed to push, until push has enough, the model
// ends or there is no room for more.
func (w *writer) sample(grammar string, push func(llama.Token, []byte) (enough bool, err error)) error {
	var sampler *llama.Sampler
	if err := w.s.busy(func() (err error) {
		sampler, err = w.s.model.NewSampler(llama.Sampling{Temperature: w.r.Temperature, TopP: w.r.TopP, TopK: w.r.TopK, Seed: w.seed, Grammar: grammar})
		return err
	}); err != nil {
		return err
	}
	defer sampler.Close()
	var piece []byte
	for w.ctx.Err() == nil {
		if err := w.s.feed(w.ctx, w.at, w.next, false); err != nil {
			return err
		}
		w.at += len(w.next)
		w.next = w.next[:0]
		var token llama.Token
		if err := w.s.busy(func() (err error) { token, err = sampler.Sample(w.s.ctx); return err }); err != nil {
			return err
		}
		if w.s.model.IsEnd(token) {
			return nil
		}
		w.o.output++
		w.next = append(w.next, token)
		piece = w.s.model.AppendPiece(piece[:0], token)
		if enough, err := push(token, piece); enough || err != nil {
			return err
		}
		if w.o.output >= w.r.MaxTokens || w.at >= w.s.window {
			w.o.full = true
			return nil
		}
	}
	return w.ctx.Err()
}

// whole tells whether JSON is a finished object or array, which nothing can
// follow.
func whole(text []byte) bool {
	return len(text) > 0 && (text[len(text)-1] == '}' || text[len(text)-1] == ']') && json.Valid(text)
}

// text hands on what may be sent. Where a call may follow, space at an end waits
// for a word behind it: it would be an empty block before the call.
type text struct {
	out   sink
	watch bool
	space string
}

func (t *text) write(s string) error {
	if t.watch {
		s = t.space + s
		words := strings.TrimRight(s, " \t\r\n")
		t.space, s = s[len(words):], words
	}
	return t.out.text(s)
}

func (t *text) end() error { return t.out.text(t.space) }
