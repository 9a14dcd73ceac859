package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHello is what run shows on a terminal: the page's request, its answer as
// it came through the front door, and what it cost.
func TestHello(t *testing.T) {
	o := &serveOptions{Listen: "127.0.0.1:0", Log: "off", dataOption: dataOption{Data: filepath.Join(t.TempDir(), "data")},
		answerOptions: answerOptions{Region: "us-west-2", Upstream: "scripted"}}
	var talk, out bytes.Buffer
	s, err := startServer(o, console{strings.NewReader(""), &out, &talk})
	if err != nil {
		t.Fatal(err)
	}
	defer s.shutdown()
	if err := s.hello(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`(?m)^global\.anthropic\.claude-opus-4-6-v1:0, max_tokens 256: Hello, world$`,
		`(?m)^Hello, world$`,
		`from +scripted, which is not Claude`,
		`usage +[1-9][0-9]* tokens in, [1-9][0-9]* out`,
		`cost +billed \$0\.00; .* would have cost \$0\.0*[1-9]`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	out.Reset()
	s.point(o, &out)
	for _, client := range []string{"Python", "TypeScript", "Go", "boto3", "AWS CLI", "Claude Code", s.URL} {
		if !strings.Contains(out.String(), client) {
			t.Errorf("%s is not shown the way:\n%s", client, out.String())
		}
	}
}
