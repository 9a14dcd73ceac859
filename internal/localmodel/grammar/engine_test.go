package grammar

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/localmodel/enginetest"
	"github.com/outcrop-dev/outcrop/internal/localmodel/llama"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// writeBounded lets the tiny model, whose choices mean nothing, write until its
// grammar ends; false: it did not end in time.
func writeBounded(m *llama.Model, c *llama.Context, g *Grammar, seed uint32) (string, bool, error) {
	s, err := m.NewSampler(llama.Sampling{Temperature: 3, Seed: seed, Grammar: g.String()})
	if err != nil {
		return "", false, err
	}
	defer s.Close()
	next, err := m.Tokenize("go\n")
	if err != nil {
		return "", false, err
	}
	c.Truncate(0)
	var said []byte
	for range 180 {
		if err := c.Decode(next); err != nil {
			return "", false, err
		}
		token, err := s.Sample(c)
		if err != nil {
			return "", false, fmt.Errorf("after %q: %w", said, err)
		}
		if m.IsEnd(token) {
			return string(said), true, nil
		}
		said = m.AppendPiece(said, token)
		next = []llama.Token{token}
	}
	return string(said), false, nil
}

// llama.cpp reads each grammar as it was meant.
func TestEngineFollows(t *testing.T) {
	lib, err := llama.Open(enginetest.EngineDir(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := lib.LoadModel(enginetest.Model(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	stop := llama.NewStop()
	defer stop.Release()
	c, err := m.NewContext(256, 64, 1, stop)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	table := schemas
	for name := range formats {
		table = append(table, struct {
			name, schema string
			yes, no      []string
		}{name: name, schema: fmt.Sprintf(`{"type":"string","format":%q}`, name)})
	}
	ended := 0
	for _, k := range table {
		t.Run(k.name, func(t *testing.T) {
			g, err := Compile(json.RawMessage(k.schema))
			if err != nil {
				t.Fatal(err)
			}
			judge, err := validator(k.schema)
			if err != nil {
				t.Fatal(err)
			}
			for seed := range uint32(3) {
				said, whole, err := writeBounded(m, c, g, seed)
				if err != nil {
					t.Fatalf("%v\n%s", err, g)
				}
				if !whole {
					continue
				}
				ended++
				v, err := jsonschema.UnmarshalJSON(strings.NewReader(said))
				if err == nil {
					err = judge.Validate(v)
				}
				if err != nil {
					t.Errorf("%q: %v\n%s", said, err, g)
				}
			}
		})
	}
	if ended < len(table) {
		t.Errorf("only %d answers of %d ended", ended, 3*len(table))
	}
}

// What llama.cpp takes to read a grammar, once an answer.
func BenchmarkEngineReads(b *testing.B) {
	lib, err := llama.Open(enginetest.EngineDir(b), nil)
	if err != nil {
		b.Fatal(err)
	}
	m, err := lib.LoadModel(enginetest.Model(b))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	for name, schema := range map[string]string{
		"object": `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"type":"boolean"}},"required":["b"]}`,
		"length": `{"type":"string","maxLength":2000}`,
		"uri":    `{"type":"string","format":"uri"}`,
	} {
		g, err := Compile(json.RawMessage(schema))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s, err := m.NewSampler(llama.Sampling{Grammar: g.String()})
				if err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
		})
	}
}
