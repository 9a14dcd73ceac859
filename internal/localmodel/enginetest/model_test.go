package enginetest

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

func TestWriteIsDeterministic(t *testing.T) {
	var a, b bytes.Buffer
	if err := Write(&a); err != nil {
		t.Fatal(err)
	}
	if err := Write(&b); err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(a.Bytes()) != sha256.Sum256(b.Bytes()) {
		t.Error("two writes differ")
	}
	if n := a.Len(); n < 200<<10 || n > 500<<10 {
		t.Errorf("the model is %d bytes", n)
	}
}

func TestScriptsSpellTheAnswers(t *testing.T) {
	tokens, _, _ := vocabulary()
	spell := func(run []int) string {
		var b []byte
		for _, t := range run {
			if t >= bytes0 && t < bytes0+256 {
				b = append(b, byte(t-bytes0))
			} else if t != imEnd {
				b = append(b, strings.ReplaceAll(tokens[t], "▁", " ")...)
			}
		}
		return string(b)
	}
	seen := map[int]bool{}
	for i, want := range []string{"\n" + Answer, ":" + Loop + "one", "!" + CallText + " <tool_call>["} {
		run := scripts()[i]
		if got := spell(run); got != want {
			t.Errorf("script %d spells %q, want %q", i, got, want)
		}
		for _, token := range run[:len(run)-1] {
			if seen[token] {
				t.Errorf("script %d: token %d has two successors", i, token)
			}
			seen[token] = true
		}
	}
	if got := len(scripts()[0]) - 2; got != AnswerTokens {
		t.Errorf("the answer has %d tokens, want %d", got, AnswerTokens)
	}
}
