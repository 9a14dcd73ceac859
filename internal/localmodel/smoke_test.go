package localmodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/localmodel/enginetest"
)

// The real model, as `outcrop serve` runs it.
func TestRealModel(t *testing.T) {
	e := tiny(t, func(o *Options) { o.Weights = enginetest.Weights(t) })
	question := func(text string) object {
		return hello("max_tokens", 60, "messages", []object{{"role": "user", "content": text}})
	}
	a := ask(t, e, question("What is the capital of France?"))
	if !strings.Contains(a.text(), "Paris") || a.Reason != "end_turn" || a.Usage.Input != 16 {
		t.Errorf("%q, %s, %+v", a.text(), a.Reason, a.Usage)
	}
	if c := post(t, e, "/v1/messages/count_tokens", question("What is the capital of France?")); c.Count != 16 {
		t.Errorf("%d tokens counted", c.Count)
	}
	// The same at temperature 0, whatever was read before and runs beside it.
	long := question(strings.Repeat("The quick brown fox jumps over the lazy dog. ", 20) + "What does the fox do?")
	first := ask(t, e, long).text()
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if i == 0 {
				ask(t, e, question("Name three fruits."))
			} else if again := ask(t, e, long).text(); again != first {
				t.Errorf("%q and %q", first, again)
			}
		})
	}
	wg.Wait()
	// Without a word about sampling it still answers.
	free := question("Hello, world")
	delete(free, "temperature")
	if text := ask(t, e, free).text(); text == "" {
		t.Error("nothing to say")
	} else {
		t.Logf("Hello, world: %q", text)
	}
}

var weather = object{"name": "get_weather", "description": "Get the current weather in a city.", "input_schema": object{
	"type": "object", "properties": object{"city": object{"type": "string"}, "unit": object{"enum": []string{"celsius", "fahrenheit"}}}, "required": []string{"city"},
}}

// One answer at a time, 64 tokens of it to a prompt of 512.
func BenchmarkRealModel(b *testing.B) {
	e, err := New(Options{EngineDir: enginetest.EngineDir(b), Weights: enginetest.Weights(b), Slots: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	run := func(prompt string, max int, members ...any) (tokens int) {
		r := hello(append([]any{"max_tokens", max, "messages", []object{{"role": "user", "content": prompt}}}, members...)...)
		res, err := send(b.Context(), e, "/v1/messages", r)
		if err != nil {
			b.Fatal(err)
		}
		defer res.Body.Close()
		var a answer
		if err := json.NewDecoder(res.Body).Decode(&a); err != nil || res.StatusCode != http.StatusOK {
			b.Fatal(err, res.Status)
		}
		return a.Usage.Output
	}
	b.Run("prefill-512", func(b *testing.B) {
		for i := range b.N {
			run(fmt.Sprint(i)+strings.Repeat(" word", 500), 1)
		}
		b.ReportMetric(512*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	})
	b.Run("decode-64", func(b *testing.B) {
		for range b.N {
			run("Write a long story about the sea.", 64)
		}
		b.ReportMetric(64*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	})
	// A prompt of the same length with and without a grammar: a long text within
	// it, and many short values.
	for name, property := range map[string]object{
		"text":   {"type": "string", "minLength": 400},
		"values": {"type": "array", "minItems": 50, "items": object{"enum": []string{"red", "green", "blue", "yellow", "black", "white"}}},
	} {
		schema := object{"type": "object", "properties": object{"story": property}, "required": []string{"story"}}
		text, err := json.Marshal(schema)
		if err != nil {
			b.Fatal(err)
		}
		for how, members := range map[string][]any{
			"free":  {"system", "Answer in JSON that fits this schema: " + string(text)},
			"bound": {"output_format", object{"type": "json_schema", "schema": schema}},
		} {
			b.Run("decode-64-"+name+"-"+how, func(b *testing.B) {
				tokens := 0
				for range b.N {
					tokens += run("Write a long story about the sea.", 64, members...)
				}
				b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
	b.Run("call", func(b *testing.B) {
		for range b.N {
			run("What is the weather in Paris?", 100, "tools", []object{weather}, "tool_choice", object{"type": "any"})
		}
	})
	b.Run("cached-512", func(b *testing.B) {
		for range b.N {
			run(strings.Repeat(" word", 500), 1)
		}
	})
}
