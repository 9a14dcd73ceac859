package main

import (
	"testing"
)

// TestLogsOnTerminal: a search shows how far it is, and a call is sent again once
// a person has said yes.
func TestLogsOnTerminal(t *testing.T) {
	for _, name := range runtimeEndpoints {
		t.Setenv(name, "")
	}
	s := scriptedServer(t, func(o *serveOptions) { o.InsecureSkipAuth = true })
	defer s.shutdown()
	data := s.Data.Path()
	caller{t, s.URL, ""}.must(200, "POST", "/model/global.anthropic.claude-opus-4-6-v1/invoke",
		`{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"Hello, replay"}]}`)
	id := idsOf(t, data)["InvokeModel"][0]
	env := []string{"TERM=xterm", "OUTCROP_DATA=" + data}

	p := sit(t, env, "logs", "--text", "replay")
	p.sees("searching")
	p.sees(id)

	p = sit(t, env, "logs", "replay", id)
	p.sees("scripted, not Claude")
	p.sees("billed $0.00; on Amazon Bedrock at most $")
	p.sees("Send it again? [y/N] ")
	p.types("\n")
	p.sees("nothing was sent")
	if err := p.cmd.Wait(); err == nil {
		t.Error("no is no error")
	}
	p = sit(t, env, "logs", "replay", id)
	p.sees("[y/N] ")
	p.types("y\n")
	p.sees("Hello, replay")
	p.sees("answered by scripted, not Claude")
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if got := idsOf(t, data)["InvokeModel"]; len(got) != 2 {
		t.Errorf("%d calls", len(got))
	}
}
