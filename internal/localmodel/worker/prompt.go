package worker

import (
	"errors"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/localmodel/chat"
	"github.com/outcrop-dev/outcrop/internal/localmodel/llama"
)

// prompter turns a conversation into tokens. It renders what llama.cpp makes of
// the template's family and adds no system turn of its own: the one in SmolLM2's
// template costs 21 tokens and made its answers worse ("The capital of France is
// Paris." without it, a line of French with it; Q4_1, temperature 0).
type prompter struct {
	model    *llama.Model
	template string // empty: plain text
	controls []string
	ids      map[string]llama.Token
}

func newPrompter(m *llama.Model) *prompter {
	p := &prompter{model: m, template: m.Template(), ids: map[string]llama.Token{}}
	for _, s := range m.Specials() {
		p.controls = append(p.controls, s.Text)
		p.ids[s.Text] = s.ID
	}
	if p.template != "" {
		if _, err := m.ApplyTemplate(p.template, []llama.Turn{{Role: "user", Text: "x"}}); err == nil {
			return p
		}
	}
	p.template = ""
	if slices.Contains(p.controls, "<|im_start|>") && slices.Contains(p.controls, "<|im_end|>") {
		p.template = "chatml"
	}
	return p
}

func (p *prompter) tokens(r *chat.Request) ([]llama.Token, error) {
	contents := make([]string, len(r.Turns))
	marked := make([]llama.Turn, len(r.Turns))
	for i, t := range r.Turns {
		contents[i] = t.Text
		marked[i] = llama.Turn{Role: t.Role, Text: chat.Marker(i)}
	}
	pieces := []chat.Piece{{Text: chat.Plain(r.Turns)}}
	if p.template != "" {
		rendered, err := p.model.ApplyTemplate(p.template, marked)
		if err != nil {
			return nil, err
		}
		if pieces, err = chat.Lay(rendered, contents, p.controls); err != nil {
			return nil, err
		}
	}
	if r.Prefill != "" {
		pieces = append(pieces, chat.Piece{Text: r.Prefill})
		if last := len(pieces) - 2; !pieces[last].Control {
			pieces[last].Text += r.Prefill
			pieces = pieces[:last+1]
		}
	}
	return p.tokenize(pieces)
}

func (p *prompter) tokenize(pieces []chat.Piece) ([]llama.Token, error) {
	var out []llama.Token
	if bos, add := p.model.BOS(); add && (len(pieces) == 0 || !pieces[0].Control || p.ids[pieces[0].Text] != bos) {
		out = append(out, bos)
	}
	for _, piece := range pieces {
		if piece.Control {
			out = append(out, p.ids[piece.Text])
			continue
		}
		ts, err := p.model.Tokenize(piece.Text)
		if err != nil {
			return nil, err
		}
		out = append(out, ts...)
	}
	if len(out) == 0 {
		return nil, errors.New("the prompt is empty")
	}
	return out, nil
}

// stops adds what ends a turn where no control token does.
func (p *prompter) stops(r *chat.Request) []string {
	if p.template != "" {
		return r.Stops
	}
	return append(slices.Clone(r.Stops), "\nUser:")
}

// implicit tells a stop that the caller did not ask for.
func (p *prompter) implicit(r *chat.Request, stop string) bool {
	return stop != "" && !slices.Contains(r.Stops, stop) && strings.HasPrefix(stop, "\n")
}
