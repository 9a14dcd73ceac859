package worker

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/localmodel/chat"
	"github.com/outcrop-dev/outcrop/internal/localmodel/enginetest"
	"github.com/outcrop-dev/outcrop/internal/localmodel/llama"
)

func tinySlot(t *testing.T) (*slot, *prompter) {
	lib, err := llama.Open(enginetest.EngineDir(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := lib.LoadModel(enginetest.Model(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &slot{model: m, window: enginetest.Window, threads: 1, stop: llama.NewStop()}
	t.Cleanup(func() {
		s.close()
		s.stop.Release()
		m.Close()
	})
	return s, newPrompter(m)
}

// textSink is the sink of an answer without calls.
type textSink func(string) error

func (f textSink) text(s string) error  { return f(s) }
func (textSink) call(name string) error { return errors.New("a call of " + name) }
func (textSink) input(string) error     { return errors.New("input without a call") }

func ask(t *testing.T, p *prompter, user, prefill string, max int) (*chat.Request, []llama.Token) {
	r := &chat.Request{Turns: []chat.Turn{{Role: "user", Text: user}}, Prefill: prefill, MaxTokens: max}
	prompt, err := p.tokens(r)
	if err != nil {
		t.Fatal(err)
	}
	return r, prompt
}

func TestSlotStopsWithinOneToken(t *testing.T) {
	s, p := tinySlot(t)
	r, prompt := ask(t, p, "hi", enginetest.LoopPrefill, 50_000)
	ctx, cancel := context.WithCancel(t.Context())
	var said strings.Builder
	texts := 0
	o, err := s.run(ctx, prompt, r, nil, 1, textSink(func(text string) error {
		said.WriteString(text)
		if texts++; texts == 5 {
			cancel()
		}
		return nil
	}))
	if !errors.Is(err, context.Canceled) || texts != 5 || o.output != 5 {
		t.Errorf("%v after %d texts, %d tokens", err, texts, o.output)
	}
	if got := said.String(); got != "one two three one two" {
		t.Errorf("it said %q", got)
	}
	// The slot is as good as new.
	r, prompt = ask(t, p, "hi", "", 100)
	said.Reset()
	if _, err := s.run(t.Context(), prompt, r, nil, 1, textSink(func(text string) error { said.WriteString(text); return nil })); err != nil || said.String() != enginetest.Answer {
		t.Errorf("afterwards: %q, %v", said.String(), err)
	}
}

func TestSlotStopsInsideAPrompt(t *testing.T) {
	s, p := tinySlot(t)
	r, prompt := ask(t, p, strings.Repeat("long ", 500), "", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	emit := textSink(func(string) error { t.Error("it answered"); return nil })
	if _, err := s.run(ctx, prompt, r, nil, 1, emit); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(s.kept) != 0 {
		t.Errorf("%d tokens are kept of a prompt that was not read", len(s.kept))
	}
}

func TestSlotKeepsWholeChunks(t *testing.T) {
	s, p := tinySlot(t)
	say := func(user string, seed uint32) (string, int) {
		r, prompt := ask(t, p, user, "", 40)
		r.Temperature = 1
		var said strings.Builder
		o, err := s.run(t.Context(), prompt, r, nil, seed, textSink(func(text string) error { said.WriteString(text); return nil }))
		if err != nil {
			t.Fatal(err)
		}
		return said.String(), o.reused
	}
	// The template writes "<|im_start|>user\n" before and "<|im_end|>\n<|im_start|>assistant\n" behind it.
	base := strings.Repeat("x", 200)
	for _, c := range []struct {
		user   string
		reused int
	}{
		{base, 0},
		{base, 192},
		{base + " and more", 192},
		{base[:150], 128},
		{"y" + base, 0},
		{"y", 0},
		{"y", 0},
	} {
		fresh, _ := tinySlot(t)
		fresh, s = s, fresh
		want, cold := say(c.user, 7)
		fresh, s = s, fresh
		got, reused := say(c.user, 7)
		if cold != 0 || reused != c.reused {
			t.Errorf("%.10s… (%d): %d tokens reused, want %d", c.user, len(c.user), reused, c.reused)
		}
		if got != want {
			t.Errorf("%.10s… (%d): the answer depends on what was kept:\n%q\n%q", c.user, len(c.user), got, want)
		}
	}
}

func TestSlotGrowsWithItsAnswers(t *testing.T) {
	s, p := tinySlot(t)
	s.window = 1500
	for i, c := range []struct{ max, size int }{{5, 1024}, {100, 1536}, {5, 1536}, {math.MaxInt, 1536}} {
		r, prompt := ask(t, p, strings.Repeat("x", 970), enginetest.LoopPrefill, c.max) // 1005 tokens
		var said strings.Builder
		o, err := s.run(t.Context(), prompt, r, nil, 1, textSink(func(text string) error { said.WriteString(text); return nil }))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.ctx.Size(); got != c.size {
			t.Errorf("max_tokens %d: room for %d tokens, want %d", c.max, got, c.size)
		}
		if want := strings.Repeat(enginetest.Loop, o.output); !strings.HasPrefix(want, said.String()) {
			t.Errorf("max_tokens %d: it lost the thread", c.max)
		}
		if i > 0 && o.reused != 960 { // growing loses nothing
			t.Errorf("max_tokens %d: %d tokens reused", c.max, o.reused)
		}
	}
}

// What an answer says does not depend on where the context had to grow.
func TestSlotGrowsUnseen(t *testing.T) {
	small, p := tinySlot(t)
	large, _ := tinySlot(t)
	if err := large.fit(2048); err != nil {
		t.Fatal(err)
	}
	grown := 0
	for seed := range uint32(12) {
		small.close()
		var said [2]strings.Builder
		for i, s := range []*slot{small, large} {
			r, prompt := ask(t, p, strings.Repeat("x", 980), "", 100)
			r.Temperature = 1
			if _, err := s.run(t.Context(), prompt, r, nil, seed, textSink(func(text string) error { said[i].WriteString(text); return nil })); err != nil {
				t.Fatal(err)
			}
		}
		if said[0].String() != said[1].String() {
			t.Errorf("the answers differ: %q and %q", &said[0], &said[1])
		}
		if small.ctx.Size() > 1024 {
			grown++
		}
	}
	if grown < 3 {
		t.Errorf("only %d answers made the context grow", grown)
	}
}

func TestSlotEndsWithItsWindow(t *testing.T) {
	s, p := tinySlot(t)
	s.window = 300
	r, prompt := ask(t, p, "hi", enginetest.LoopPrefill, 1000)
	o, err := s.run(t.Context(), prompt, r, nil, 1, textSink(func(string) error { return nil }))
	if err != nil || !o.full || o.output != s.window-len(prompt)+1 {
		t.Errorf("%+v, %v, with a prompt of %d", o, err, len(prompt))
	}
}

func TestPromptWithoutTemplate(t *testing.T) {
	_, p := tinySlot(t)
	p.template = ""
	r, prompt := ask(t, p, "hi", " Well", 10)
	var text []byte
	for _, token := range prompt {
		text = p.model.AppendPiece(text, token)
	}
	if want := "User: hi\n\nAssistant: Well"; string(text) != want {
		t.Errorf("the prompt reads %q", text)
	}
	stops := p.stops(r)
	if len(stops) != 1 || !p.implicit(r, stops[0]) {
		t.Errorf("stops %q", stops)
	}
}
