package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/bedrock"
)

// idsOf lists the calls of a data folder, oldest first, by operation.
func idsOf(t *testing.T, data string) map[string][]string {
	t.Helper()
	out, _ := runs(t, &logsListCmd{logOption: logOption{Data: data}, JSON: true})
	ids := map[string][]string{}
	for line := range strings.Lines(out) {
		var l struct{ RequestID, Operation string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		ids[l.Operation] = append(ids[l.Operation], l.RequestID)
	}
	return ids
}

func TestReplay(t *testing.T) {
	for _, name := range runtimeEndpoints {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
	t.Setenv("AWS_BEARER_TOKEN_BEDROCK", "")
	s := scriptedServer(t, func(o *serveOptions) { o.InsecureSkipAuth = true })
	defer s.shutdown()
	d := dataOption{Data: s.Data.Path()}
	c := caller{t, s.URL, ""}
	const model = "/model/us.anthropic.claude-opus-4-6-v1/"
	c.must(200, "POST", model+"invoke-with-response-stream", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":1000,"messages":[{"role":"user","content":"Hello, stream"}]}`,
		"Anthropic-Beta", "context-1m-2025-08-07", "X-Amzn-Bedrock-Request-Metadata", `{"team":"rocks"}`)
	c.must(200, "POST", model+"converse-stream", `{"inferenceConfig":{"maxTokens":7},"messages":[{"role":"user","content":[{"text":"Hello, Converse"}]}]}`)
	c.must(200, "POST", "/anthropic/v1/messages", `{"model":"us.anthropic.claude-opus-4-6-v1","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"Hello, Messages"}]}`)
	c.must(400, "POST", model+"invoke", `{"anthropic_version":"bedrock-2023-05-31"}`)
	first := idsOf(t, d.Data)

	for operation, want := range map[string]struct{ text, most string }{
		"InvokeModelWithResponseStream": {"Hello, stream", "and 1000 out"},
		"ConverseStream":                {"Hello, Converse", "and 7 out"},
		"CreateMessage":                 {"Hello, Messages", "and 5 out"},
	} {
		out, talk := runs(t, &logsReplayCmd{dataOption: d, ID: first[operation][0], Yes: true, Timeout: patience})
		if !strings.Contains(out, want.text) {
			t.Errorf("%s: answered %q", operation, out)
		}
		for _, w := range []string{"scripted", "billed $0.00; on Amazon Bedrock at most $", want.most, "answered by", "request "} {
			if !strings.Contains(talk, w) {
				t.Errorf("%s: no %q in %s", operation, w, talk)
			}
		}
		var asJSON map[string]any
		out, _ = runs(t, &logsReplayCmd{dataOption: d, ID: first[operation][0], Yes: true, JSON: true, Timeout: patience})
		if err := json.Unmarshal([]byte(out), &asJSON); err != nil || asJSON["usage"] == nil {
			t.Errorf("%s: %v in %s", operation, err, out)
		}
	}
	if got := idsOf(t, d.Data); len(got["InvokeModel"]) != 3 || len(got["Converse"]) != 2 || len(got["CreateMessage"]) != 3 {
		t.Errorf("what is sent again is a call: %v", got)
	}

	refused := func(cmd logsReplayCmd, want string) error {
		t.Helper()
		cmd.dataOption, cmd.Timeout = d, patience
		var talk bytes.Buffer
		err := cmd.Run(t.Context(), console{strings.NewReader("y\n"), io.Discard, &talk})
		if err == nil || !strings.Contains(talk.String()+err.Error(), want) {
			t.Errorf("%+v: %v, %s; want %q", cmd, err, &talk, want)
		}
		return err
	}
	refused(logsReplayCmd{ID: "nobody"}, "no call has the id")
	refused(logsReplayCmd{ID: first["InvokeModel"][0], Yes: true}, "cannot be sent again: its contents are not kept")
	if err := refused(logsReplayCmd{ID: first["ConverseStream"][0]}, "nothing was sent: say --yes"); !errors.Is(err, bedrock.ErrConfiguration) {
		t.Errorf("%v", err)
	}

	// Elsewhere: who bills is said before anything is sent, and it goes as it came.
	var sent []*http.Request
	var bodies []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			_, _ = io.WriteString(w, `{"status":"ok","version":"1","upstream":"bedrock"}`)
			return
		}
		raw, _ := io.ReadAll(r.Body)
		sent, bodies = append(sent, r), append(bodies, string(raw))
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"message":"Too many tokens"}`)
	}))
	defer elsewhere.Close()
	streamed := first["InvokeModelWithResponseStream"][0]
	refused(logsReplayCmd{ID: streamed, To: elsewhere.URL}, "the AWS account of that server pays, at most $0.0")
	if len(sent) != 0 {
		t.Fatal("sent without a yes")
	}
	if err := refused(logsReplayCmd{ID: streamed, To: elsewhere.URL, Yes: true}, "429 Too many tokens"); !errors.Is(err, bedrock.ErrThrottling) {
		t.Errorf("%v", err)
	}
	if len(sent) != 1 {
		t.Fatalf("sent %d times", len(sent))
	}
	r := sent[0]
	if r.URL.Path != model+"invoke" || !strings.Contains(bodies[0], "Hello, stream") || r.Header.Get("Anthropic-Beta") != "context-1m-2025-08-07" ||
		r.Header.Get("X-Amzn-Bedrock-Request-Metadata") != `{"team":"rocks"}` || !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIAIOSFODNN7EXAMPLE/") ||
		!strings.Contains(r.Header.Get("Authorization"), "/us-west-2/bedrock/") {
		t.Errorf("%s %v\n%s", r.URL, r.Header, bodies[0])
	}
}
