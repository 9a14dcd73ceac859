package llama

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/localmodel/enginetest"
)

// A second copy of a library in one process upsets its C++ destructors, so the
// altered ones are opened in a process of their own.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "open" {
		_, err := Open(os.Args[2], nil)
		fmt.Print(err)
		os.Stdout.Sync()
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			_ = p.Kill() // no destructors
		}
		select {}
	}
	os.Exit(m.Run())
}

func TestCheckABI(t *testing.T) {
	good := func() (string, modelDefaults, contextDefaults) {
		return reported, modelDefaults{P: wantModel}, contextDefaults{P: wantContext}
	}
	if err := checkABI(good()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*string, *modelDefaults, *contextDefaults)
		want   string
	}{
		"another version":   {func(v *string, _ *modelDefaults, _ *contextDefaults) { *v = "0.6.0" }, `its version reads "0.6.0"`},
		"a moved field":     {func(_ *string, _ *modelDefaults, c *contextDefaults) { c.P.NBatch, c.P.NUbatch = 512, 2048 }, "NBatch:512"},
		"a new flag":        {func(_ *string, m *modelDefaults, _ *contextDefaults) { m.P.NoAlloc = true }, "NoAlloc:true"},
		"a longer struct":   {func(_ *string, _ *modelDefaults, c *contextDefaults) { c.Guard[0] = 7 }, "Guard:[7 "},
		"longer, the other": {func(_ *string, m *modelDefaults, _ *contextDefaults) { m.Guard[11] = 7 }, " 7]"},
	} {
		v, m, p := good()
		c.change(&v, &m, &p)
		err := checkABI(v, m, p)
		if !errors.As(err, new(*ABIError)) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "the engine is not llama.cpp v0.5.0 as expected: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// alter makes a folder like dir in which the main library is another one.
func alter(t *testing.T, dir string, change func([]byte) []byte) string {
	to := t.TempDir()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	main := platforms[runtime.GOOS+"/"+runtime.GOARCH].llama
	for _, e := range entries {
		if e.Name() != main {
			if err := os.Symlink(filepath.Join(dir, e.Name()), filepath.Join(to, e.Name())); err != nil {
				t.Skipf("SKIP(engine): no symbolic links here: %v", err)
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, main))
	if err != nil {
		t.Fatal(err)
	}
	if b = change(b); b != nil {
		if err := os.WriteFile(filepath.Join(to, main), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestOpenRefuses(t *testing.T) {
	dir := enginetest.EngineDir(t)
	one := func(t *testing.T, b, old, new []byte) []byte {
		if n := bytes.Count(b, old); n != 1 {
			t.Skipf("SKIP(engine): %q stands %d times in this platform's library", old, n)
		}
		return bytes.Replace(b, old, new, 1)
	}
	for name, c := range map[string]struct {
		change func(*testing.T, []byte) []byte
		want   string
	}{
		"no library": {func(*testing.T, []byte) []byte { return nil }, "the engine is incomplete"},
		"no ELF":     {func(*testing.T, []byte) []byte { return []byte("#!/bin/sh") }, "is not a library"},
		"another version's soname": {func(t *testing.T, b []byte) []byte {
			return one(t, b, []byte("\x00libllama.v0.5.0.so\x00"), []byte("\x00libllama.v0.5.1.so\x00"))
		}, `the soname of`},
		"another version": {func(t *testing.T, b []byte) []byte {
			return one(t, b, []byte("\x000.5.0-dev\x00"), []byte("\x000.5.1-dev\x00"))
		}, `its version reads "0.5.1-dev"`},
		"another default": {func(t *testing.T, b []byte) []byte {
			words := func(vs ...uint32) (out []byte) {
				for _, v := range vs {
					out = binary.LittleEndian.AppendUint32(out, v)
				}
				return out
			}
			return one(t, b, words(512, 2048, 512, 1), words(512, 4096, 512, 1)) // n_ctx, n_batch, n_ubatch, n_seq_max
		}, "NBatch:4096"},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS != "linux" {
				t.Skip("SKIP(engine): these changes are made to an ELF file")
			}
			altered := alter(t, dir, func(b []byte) []byte { return c.change(t, b) })
			said, _ := exec.Command(os.Args[0], "open", altered).Output()
			if !strings.Contains(string(said), c.want) {
				t.Errorf("got %q", said)
			}
		})
	}
}

func TestOpenNeedsEverySymbol(t *testing.T) {
	dir := enginetest.EngineDir(t)
	h, err := openLibrary(filepath.Join(dir, platforms[runtime.GOOS+"/"+runtime.GOARCH].base))
	if err != nil {
		t.Fatal(err)
	}
	err = new(Library).bind([]uintptr{h})
	if !errors.As(err, new(*ABIError)) || !strings.Contains(err.Error(), "it lacks llama_log_set, llama_version, ") {
		t.Errorf("got %v", err)
	}
}

func tiny(t *testing.T) *Model {
	l, err := Open(enginetest.EngineDir(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.LoadModel(enginetest.Model(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func TestLoadModelSaysWhatIsWrong(t *testing.T) {
	l, err := Open(enginetest.EngineDir(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "no.gguf")
	if err := os.WriteFile(path, []byte("this is no GGUF file"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := l.LoadModel(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "magic") {
		t.Errorf("got %v", err)
	}
}

func TestTokenizeReadsControlTokensAsText(t *testing.T) {
	m := tiny(t)
	const text = "<|im_end|>\n<|im_start|>system\n漢 a"
	tokens, err := m.Tokenize(text)
	if err != nil {
		t.Fatal(err)
	}
	var back []byte
	for _, token := range tokens {
		for _, s := range m.Specials() {
			if token == s.ID {
				t.Errorf("the text gave the control token %s", s.Text)
			}
		}
		back = m.AppendPiece(back, token)
	}
	if string(back) != text {
		t.Errorf("the pieces spell %q", back)
	}
}

func TestApplyTemplate(t *testing.T) {
	m := tiny(t)
	long := strings.Repeat("x", 10_000)
	got, err := m.ApplyTemplate(m.Template(), []Turn{{"system", "be brief"}, {"user", long}})
	if want := "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\n" + long + "<|im_end|>\n<|im_start|>assistant\n"; err != nil || got != want {
		t.Errorf("got %.80q, %v", got, err)
	}
	if _, err := m.ApplyTemplate("{{ 'no family' }}", nil); !errors.Is(err, ErrTemplate) {
		t.Errorf("an unknown template: %v", err)
	}
}

func TestDecode(t *testing.T) {
	m := tiny(t)
	stop := NewStop()
	defer stop.Release()
	c, err := m.NewContext(256, 64, 1, stop)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := m.NewSampler(Sampling{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	prompt, err := m.Tokenize("hi\n")
	if err != nil {
		t.Fatal(err)
	}
	stop.Set()
	if err := c.Decode(prompt); !errors.Is(err, ErrStopped) {
		t.Fatalf("stopped: %v", err)
	}
	stop.Clear()
	var said []byte
	for range 2 { // the second time after a cut in the middle
		c.Truncate(0)
		if err := c.Decode(prompt); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			token, err := s.Sample(c)
			if err != nil {
				t.Fatal(err)
			}
			said = m.AppendPiece(said, token)
			if err := c.Decode([]Token{token}); err != nil {
				t.Fatal(err)
			}
		}
		if !c.Truncate(1) {
			t.Error("the memory cannot be cut")
		}
	}
	if want := "Hello, world. Hello, world. "; string(said) != want {
		t.Errorf("it said %q, want %q", said, want)
	}
	c.Truncate(0)
	full := make([]Token, 64)
	for i := range full {
		full[i] = prompt[0]
	}
	for range 4 {
		if err := c.Decode(full); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Decode(full[:1]); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("one token too many: %v", err)
	}
}

// write lets the tiny model answer under a grammar.
func write(t *testing.T, m *Model, c *Context, how Sampling) string {
	s, err := m.NewSampler(how)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	prompt, err := m.Tokenize("hi\n")
	if err != nil {
		t.Fatal(err)
	}
	c.Truncate(0)
	var said []byte
	for next := prompt; len(said) < 100; {
		if err := c.Decode(next); err != nil {
			t.Fatal(err)
		}
		token, err := s.Sample(c)
		if err != nil {
			t.Fatal(err)
		}
		if m.IsEnd(token) {
			break
		}
		said = m.AppendPiece(said, token)
		next = []Token{token}
	}
	return string(said)
}

func TestGrammar(t *testing.T) {
	m := tiny(t)
	stop := NewStop()
	defer stop.Release()
	c, err := m.NewContext(256, 64, 1, stop)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, k := range []struct {
		how  Sampling
		want string
	}{
		{Sampling{Grammar: `root ::= "Hello" | "no"`}, "Hello"},
		{Sampling{Grammar: `root ::= "no"`}, "no"},
		{Sampling{Grammar: `root ::= [^H] "x"{3} "漢" [\U0001F642]`, Temperature: 1, TopK: 50, TopP: 0.9, Seed: 3}, "xxx漢🙂"},
		{Sampling{Grammar: `root ::= "\"" ("a" | "b"){7} "\""`, Temperature: 1}, `"`},
	} {
		if got := write(t, m, c, k.how); !strings.Contains(got, k.want) || len(got) > 40 {
			t.Errorf("%s: %q", k.how.Grammar, got)
		}
	}
	// To llama.cpp <s> is three characters, to a reader none.
	for seed := range uint32(20) {
		if got := write(t, m, c, Sampling{Grammar: `root ::= [<>s/]{3}`, Temperature: 5, Seed: seed}); len(got) != 3 {
			t.Errorf("seed %d: %q", seed, got)
		}
	}
	if _, err := m.NewSampler(Sampling{Grammar: `root ::= nothing`}); !errors.Is(err, ErrGrammar) {
		t.Errorf("a grammar without its rules: %v", err)
	}
	// U+0000 is in no token.
	s, err := m.NewSampler(Sampling{Grammar: `root ::= "\x00"`})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Sample(c); !errors.Is(err, ErrNoToken) {
		t.Errorf("a grammar that nothing fits: %v", err)
	}
}

func TestCheckCandidates(t *testing.T) {
	l, err := Open(enginetest.EngineDir(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.checkCandidates(); err != nil {
		t.Error(err)
	}
	apply := l.f.apply
	l.f.apply = func(s uintptr, a *candidates) { apply(s, a); a.Selected = 1 }
	if err := l.checkCandidates(); !errors.As(err, new(*ABIError)) || !strings.Contains(err.Error(), "its samplers made") {
		t.Errorf("another one chosen: %v", err)
	}
}
