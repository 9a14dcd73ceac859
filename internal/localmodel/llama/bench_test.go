package llama

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/localmodel/enginetest"
)

// What a grammar costs a token of the real model: nothing without one, little
// where the free choice fits, a look at the whole vocabulary where it does not.
func BenchmarkSample(b *testing.B) {
	l, err := Open(enginetest.EngineDir(b), nil)
	if err != nil {
		b.Fatal(err)
	}
	m, err := l.LoadModel(enginetest.Weights(b))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	stop := NewStop()
	defer stop.Release()
	c, err := m.NewContext(256, 64, 1, stop)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	prompt, err := m.Tokenize("Once upon a time")
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Decode(prompt); err != nil {
		b.Fatal(err)
	}
	for name, how := range map[string]Sampling{
		"free":           {},
		"fits":           {Grammar: `root ::= [\x20-\U0010FFFF]*`},
		"does-not":       {Grammar: `root ::= ("\"" "x"*)*`},
		"free-sampled":   {Temperature: 0.2, TopP: 0.9, TopK: 50},
		"does-not-top-k": {Temperature: 0.2, TopP: 0.9, TopK: 50, Grammar: `root ::= ("\"" "x"*)*`},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := m.NewSampler(how)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for b.Loop() {
				if _, err := s.Sample(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
