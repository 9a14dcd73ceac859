package outcroptest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/outcroptest"
)

// What was recorded answers; the first test of a prompt that changed fails with
// what changed.
func ExampleReplay() {
	example(func(t testing.TB) {
		s := outcroptest.NewServer(t, outcroptest.Replay("testdata/greeting.txtar"))
		fmt.Println(hello(context.Background(), s.Client(), "Ada"))

		_, err := hello(context.Background(), s.Client(), "Bob")
		fmt.Println(errors.Is(err, bedrock.ErrNotFound))
	})
	// Output:
	// Hello, Ada! How are you? <nil>
	// true
	// outcroptest: testdata/greeting.txtar has no recording of InvokeModel global.anthropic.claude-opus-4-6-v1; the nearest is call 1: messages[0].content[0].text: recorded "Greet Ada", asked "Greet Bob"
}

func TestReplay(t *testing.T) {
	s := outcroptest.NewServer(t, outcroptest.Replay("testdata/greeting.txtar"))
	p := ask("Greet Ada")
	p.Model = bedrock.Global(bedrock.ClaudeOpus4_6)
	for range 2 {
		stream := s.Client().Messages.NewStreaming(t.Context(), p)
		var m anthropic.Message
		for stream.Next() {
			if err := m.Accumulate(stream.Current()); err != nil {
				t.Fatal(err)
			}
		}
		if stream.Err() != nil || textOf(&m) != "Hello, Ada! How are you?" || m.Usage.OutputTokens != 13 {
			t.Errorf("%+v, %v", m, stream.Err())
		}
	}
}

// Rules come first; what they do not answer is in the recording beside the file.
func TestRulesOverRecording(t *testing.T) {
	dir := t.TempDir()
	recorded, err := os.ReadFile("testdata/greeting.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"r.txtar": string(recorded), "s.yaml": "recording: r.txtar\nrules: [{match: {text: Bob}, answer: {content: [{text: Hi Bob}]}}]"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	scenario, err := outcroptest.LoadScenario(filepath.Join(dir, "s.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	watch := &stand{TB: t}
	s := outcroptest.NewServer(watch, scenario)
	for name, want := range map[string]string{"Ada": "Hello, Ada! How are you?", "Bob": "Hi Bob"} {
		if got, err := hello(t.Context(), s.Client(), name); got != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if len(watch.said) > 0 {
		t.Errorf("%q", watch.said)
	}
	if _, err := hello(t.Context(), s.Client(bedrock.WithMaxRetries(0)), "Cy"); err == nil {
		t.Error("Cy was answered")
	}
	watch.end()
	if len(watch.said) != 1 || !strings.Contains(watch.said[0], `asked "Greet Cy"`) {
		t.Errorf("%q", watch.said)
	}
}
