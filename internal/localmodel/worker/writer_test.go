package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/localmodel/chat"
	"github.com/outcrop-dev/outcrop/internal/localmodel/enginetest"
	"github.com/outcrop-dev/outcrop/internal/localmodel/llama"
)

// record is a sink that keeps what came.
type record struct {
	words, args strings.Builder
	name        string
	calls       int
}

func (r *record) text(s string) error    { r.words.WriteString(s); return nil }
func (r *record) input(s string) error   { r.args.WriteString(s); return nil }
func (r *record) call(name string) error { r.name = name; r.calls++; return nil }

// parsed is a request as the server reads it.
func parsed(t *testing.T, p *prompter, max int, prefill, members string) (*chat.Request, []llama.Token) {
	t.Helper()
	begun := ""
	if prefill != "" {
		begun = fmt.Sprintf(`,{"role":"assistant","content":%q}`, prefill)
	}
	r, err := chat.Parse(fmt.Appendf(nil, `{"max_tokens":%d,"temperature":0,"messages":[{"role":"user","content":"go"}%s]%s}`, max, begun, members), false)
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := p.tokens(r)
	if err != nil {
		t.Fatal(err)
	}
	return r, prompt
}

const (
	paint = `{"name":"paint","input_schema":{"type":"object","properties":{"colour":{"enum":["red","green"]},"size":{"type":"integer","minimum":1,"maximum":99}},"required":["colour","size"]}}`
	paper = `{"name":"paper","input_schema":{"type":"object","properties":{}}}`
	both  = `,"tools":[` + paint + `,` + paper + `]`
	one   = `,"tools":[` + paint + `]`
	must  = `,"tool_choice":{"type":"any"}`
	tuple = `,"output_format":{"type":"json_schema","schema":{"type":"array","prefixItems":[{"type":"boolean"},{"type":"boolean"}],"minItems":2,"items":false}}`
)

func validCall(t *testing.T, name, args string) {
	t.Helper()
	var v struct {
		Colour string
		Size   int
	}
	switch name {
	case "paint":
		if err := json.Unmarshal([]byte(args), &v); err != nil || v.Colour != "red" && v.Colour != "green" || v.Size < 1 || v.Size > 99 {
			t.Errorf("paint(%s): %v", args, err)
		}
	case "paper":
		if strings.TrimSpace(args) != "{}" {
			t.Errorf("paper(%s)", args)
		}
	default:
		t.Errorf("%s is called", name)
	}
}

func TestCalls(t *testing.T) {
	s, p := tinySlot(t)
	for name, c := range map[string]struct {
		prefill, members string
		words            string
		called           bool
	}{
		"of one tool":                {"", one + must, "", true},
		"of one of two":              {"", both + must, "", true},
		"of a named tool":            {"", both + `,"tool_choice":{"type":"tool","name":"paper"}`, "", true},
		"of the model's own will":    {enginetest.CallPrefill, one, enginetest.CallText, true},
		"of one of two, by its will": {enginetest.CallPrefill, both, enginetest.CallText, true},
		"begun, and wanted":          {enginetest.CallPrefill, both + must, "", true},
		"none, where it is free":     {"", both, enginetest.Answer, false},
		"beside a format":            {"", one + tuple + must, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint32(5) {
				r, prompt := parsed(t, p, 200, c.prefill, c.members)
				if c.words == "" {
					r.Temperature = 2 // whatever it chooses, it is valid
				}
				var got record
				o, err := s.run(t.Context(), prompt, r, nil, seed, &got)
				if err != nil {
					t.Fatal(err)
				}
				if got.words.String() != c.words || o.called != c.called || o.full || o.stop != "" || (got.calls == 1) != c.called {
					t.Fatalf("%q, %d calls, %+v", got.words.String(), got.calls, o)
				}
				if c.called {
					validCall(t, got.name, got.args.String())
				}
			}
		})
	}
}

// A call that the model begins continues as one that the request asks for: what
// was sampled of it is forgotten.
func TestACallIsReadTheSameWay(t *testing.T) {
	s, p := tinySlot(t)
	r, prompt := parsed(t, p, 200, enginetest.CallPrefill, one)
	var own, asked record
	if _, err := s.run(t.Context(), prompt, r, nil, 1, &own); err != nil {
		t.Fatal(err)
	}
	for token := range llama.Token(1000) {
		if string(s.model.AppendPiece(nil, token)) == enginetest.CallText {
			prompt = append(prompt, token)
			break
		}
	}
	space, err := s.model.Tokenize(" ")
	if err != nil {
		t.Fatal(err)
	}
	r.Calls.Must = true
	o, err := s.run(t.Context(), append(prompt, space...), r, nil, 1, &asked)
	if err != nil || !o.called || own.args.String() != asked.args.String() {
		t.Errorf("%v: %q and %q", err, own.args.String(), asked.args.String())
	}
}

func TestFormats(t *testing.T) {
	s, p := tinySlot(t)
	for _, members := range []string{tuple, tuple + one} {
		for seed := range uint32(5) {
			r, prompt := parsed(t, p, 100, "", members)
			r.Temperature = 2
			var got record
			o, err := s.run(t.Context(), prompt, r, nil, seed, &got)
			if err != nil || o.full {
				t.Fatalf("%v, %+v", err, o)
			}
			if o.called {
				validCall(t, got.name, got.args.String())
				if got.words.Len() > 0 {
					t.Errorf("text before a call: %q", got.words.String())
				}
				continue
			}
			var v []bool
			if err := json.Unmarshal([]byte(got.words.String()), &v); err != nil || len(v) != 2 || got.calls > 0 {
				t.Errorf("%q: %v", got.words.String(), err)
			}
		}
	}
	// A stop sequence ends the text, not a call.
	r, prompt := parsed(t, p, 100, "", tuple)
	var got record
	o, err := s.run(t.Context(), prompt, r, []string{","}, 1, &got)
	if err != nil || o.stop != "," || strings.Contains(got.words.String(), ",") {
		t.Errorf("%v, %+v, %q", err, o, got.words.String())
	}
	r, prompt = parsed(t, p, 200, "", one+must)
	if o, err = s.run(t.Context(), prompt, r, []string{",", `"`}, 1, &record{}); err != nil || !o.called || o.stop != "" {
		t.Errorf("%v, %+v", err, o)
	}
}

// Wherever max_tokens cuts, it is said, no token too many is counted, and one
// token more gives the same start.
func TestCallsCutShort(t *testing.T) {
	s, p := tinySlot(t)
	for _, c := range []struct{ prefill, members string }{{"", one + must}, {"", both + must}, {enginetest.CallPrefill, both}, {"", tuple}} {
		before := ""
		for max := 1; ; max++ {
			r, prompt := parsed(t, p, max, c.prefill, c.members)
			var got record
			o, err := s.run(t.Context(), prompt, r, nil, 1, &got)
			if err != nil {
				t.Fatal(err)
			}
			words, _, _ := strings.Cut(got.words.String(), " <tool") // half a mark is text
			said := words + got.name + got.args.String()
			if !strings.HasPrefix(said, before) || got.calls > 1 || o.output > max {
				t.Fatalf("max_tokens %d: %q after %q, %+v", max, said, before, o)
			}
			if before = said; !o.full {
				if c.members != tuple && !o.called || o.output != max {
					t.Errorf("%s: %q with %d tokens, %+v", c.members, said, max, o)
				}
				break
			}
			if o.called || o.output != max || max > 300 {
				t.Fatalf("max_tokens %d: %q, %+v", max, said, o)
			}
		}
	}
}

func TestACallEndsWithTheWindow(t *testing.T) {
	s, p := tinySlot(t)
	r, prompt := parsed(t, p, 1000, "", both+must)
	for room := 0; ; room++ {
		s.window = len(prompt) + room
		s.close()
		o, err := s.run(t.Context(), prompt, r, nil, 1, &record{})
		if err != nil || o.called == o.full || room > 300 {
			t.Fatalf("room for %d: %v, %+v", room, err, o)
		}
		if o.called {
			break
		}
	}
}

func TestACallStops(t *testing.T) {
	s, p := tinySlot(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, prompt := parsed(t, p, 1000, "", one+must)
	stop := stopAt{cancel: cancel}
	if _, err := s.run(ctx, prompt, r, nil, 1, &stop); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	var got record
	if o, err := s.run(t.Context(), prompt, r, nil, 1, &got); err != nil || !o.called {
		t.Errorf("afterwards: %v, %+v", err, o)
	}
}

// stopAt leaves when a call begins.
type stopAt struct {
	record
	cancel context.CancelFunc
}

func (s *stopAt) call(string) error { s.cancel(); return nil }
