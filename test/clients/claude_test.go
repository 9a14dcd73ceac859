package clients

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// Claude Code brings its own model names: its default on Bedrock, and the same on mantle.
var claudeOwn = map[string]func(*testing.T, *subject){
	"plain": func(t *testing.T, s *subject) {
		says(t, output(t, claude(t, s, shared.outcrop, nil, "-p", "hi, outcrop")), "hi, outcrop")
	},
	"mantle": func(t *testing.T, s *subject) {
		says(t, output(t, claude(t, s, shared.outcrop, onMantle, "-p", "hi, mantle")), "hi, mantle")
	},
	"stream":        func(t *testing.T, s *subject) { claudeStreams(t, s, nil, "gate-claude-code") },
	"mantle-stream": func(t *testing.T, s *subject) { claudeStreams(t, s, onMantle, "gate-claude-code-mantle") },
	"tools": func(t *testing.T, s *subject) {
		out := output(t, claude(t, s, shared.outcrop, nil, "-p", "run the tool", "--allowedTools", "Bash(echo:*)",
			"--output-format", "stream-json", "--verbose"))
		says(t, out, `"content":"the tool ran"`)
		says(t, out, `"result":"It ran."`)
	},
	// An error in a stream, or its end before the end, is made good by a call without one.
	"error": func(t *testing.T, s *subject) {
		says(t, output(t, claude(t, s, shared.outcrop, nil, "-p", "throttle midway")), "throttle midway")
	},
	"cut": func(t *testing.T, s *subject) {
		says(t, output(t, claude(t, s, shared.outcrop, nil, "-p", "cut midway")), "cut midway")
	},
	"api-key": func(t *testing.T, s *subject) {
		cmd := claude(t, s, shared.outcrop, nil, "-p", "hi, outcrop")
		bearer(t, cmd, shared.outcrop, "--api-key")
		says(t, output(t, cmd), "hi, outcrop")
	},
	"tls": func(t *testing.T, s *subject) {
		says(t, output(t, claude(t, s, shared.tls, nil, "-p", "hi, outcrop")), "hi, outcrop")
	},
	"refused": func(t *testing.T, s *subject) {
		cmd := claude(t, s, shared.outcrop, []string{wrongSecret}, "-p", "hi")
		out, err := cmd.Output()
		if err == nil {
			t.Errorf("a wrong secret is taken: %s", out)
		}
		says(t, string(out), "API Error: 403")
	},
	"polluted": func(t *testing.T, s *subject) {
		home := pollutedHome(t)
		cmd := throughShell(claude(t, s, shared.outcrop, nil, "-p", "hi, outcrop"), shared.outcrop)
		cmd.Env = append(s.pollutedEnv(home), quiet...)
		says(t, output(t, cmd), "hi, outcrop")
	},
}

var (
	// quiet keeps Claude Code to the calls that the user asked for.
	quiet = []string{
		"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_TELEMETRY=1", "DISABLE_ERROR_REPORTING=1", "DISABLE_AUTOUPDATER=1",
		"CLAUDE_CODE_MAX_RETRIES=1",
	}
	onMantle = []string{"CLAUDE_CODE_USE_BEDROCK=", "CLAUDE_CODE_USE_MANTLE=1"}
)

func claude(t *testing.T, s *subject, srv *server, more []string, args ...string) *exec.Cmd {
	program := *s
	program.command = []string{"claude"}
	if exe, err := exec.LookPath(s.dir + "/node_modules/.bin/claude"); err == nil {
		program.command = []string{exe}
	}
	cmd := program.call(t, srv, append(append([]string{}, quiet...), more...), args...)
	cmd.Dir = t.TempDir()
	return cmd
}

func says(t *testing.T, out, want string) {
	t.Helper()
	if !strings.Contains(out, want) {
		t.Errorf("it says %s, want %q", out, want)
	}
}

func claudeStreams(t *testing.T, s *subject, more []string, ticket string) {
	cmd := claude(t, s, shared.gated, more, "-p", ticket,
		"--output-format", "stream-json", "--include-partial-messages", "--verbose")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	released, result := false, ""
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Type, Result string
			Event        struct {
				Type  string
				Delta struct{ Text string }
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Errorf("it says %q: %v", lines.Bytes(), err)
		}
		switch {
		case l.Type == "stream_event" && l.Event.Type == "content_block_delta" && !released:
			released = true
			if l.Event.Delta.Text != gateFirst {
				t.Errorf("the first words are %q", l.Event.Delta.Text)
			}
			shared.gate.release(ticket)
		case l.Type == "result":
			result = l.Result
		}
	}
	if err := cmd.Wait(); err != nil || !released || result != gateFirst+gateRest {
		t.Errorf("first words seen while the rest was held: %v; the result is %q; %v\n%s", released, result, err, &stderr)
	}
}
