package clients

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// output runs a command that must end with status 0.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s\n%s", cmd.Args, err, out, &stderr)
	}
	return string(out)
}

var pythonOwn = map[string]func(*testing.T, *subject){"page": pythonPage}

// pythonPage runs the page's snippets word for word; the keys stand where the page says, and a line that prints
// is added to the two that print nothing.
func pythonPage(t *testing.T, s *subject) {
	for _, tc := range []struct{ file, added string }{
		{"page_keys.py", ""},
		{"page_global.py", "print(message.content)\n"},
		{"page_regional.py", "print(message.content)\n"},
	} {
		t.Run(strings.TrimSuffix(tc.file, ".py"), func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("py", tc.file))
			if err != nil {
				t.Fatal(err)
			}
			keys := strings.NewReplacer(
				"<access key>", shared.outcrop.set["AWS_ACCESS_KEY_ID"],
				"<secret key>", shared.outcrop.set["AWS_SECRET_ACCESS_KEY"],
				"<session_token>", "")
			program := filepath.Join(t.TempDir(), tc.file)
			if err := os.WriteFile(program, []byte(keys.Replace(string(text))+tc.added), 0o600); err != nil {
				t.Fatal(err)
			}
			page := *s
			page.command = []string{s.python()}
			out := output(t, page.call(t, shared.outcrop, nil, program))
			if !strings.Contains(out, "TextBlock(") || !strings.Contains(out, "text='Hello, world'") {
				t.Errorf("print(message.content) says %s", out)
			}
		})
	}
}

var cliOwn = map[string]func(*testing.T, *subject){
	"plain": func(t *testing.T, s *subject) { answers(t, cliInvoke(t, s), "claude-opus-4-6") },
	"list": func(t *testing.T, s *subject) {
		var profiles []string
		cli(t, s, &profiles, "aws bedrock list-inference-profiles --page-size 7 --query 'inferenceProfileSummaries[*].inferenceProfileId'")
		if len(profiles) < 20 {
			t.Errorf("the profiles are %q", profiles)
		}
		var arn string
		cli(t, s, &arn, "aws bedrock get-inference-profile --inference-profile-identifier global.anthropic.claude-opus-4-6-v1:0 --query inferenceProfileArn")
		if !strings.HasSuffix(arn, ":inference-profile/global.anthropic.claude-opus-4-6-v1:0") {
			t.Errorf("the profile's ARN is %s", arn)
		}
		var name string
		cli(t, s, &name, "aws bedrock get-foundation-model --model-identifier anthropic.claude-opus-4-6-v1:0 --query modelDetails.modelName")
		if name != "Claude Opus 4.6" {
			t.Errorf("the model's name is %q", name)
		}
	},
	"count": func(t *testing.T, s *subject) {
		// Version 1 of the CLI encodes blobs within a structure itself.
		input, err := json.Marshal(map[string]any{"invokeModel": map[string]string{"body": cliBody}})
		if err != nil {
			t.Fatal(err)
		}
		var n int
		cli(t, s, &n, `aws bedrock-runtime count-tokens --model-id anthropic.claude-opus-4-6-v1:0 --input "$INPUT" --query inputTokens`,
			"INPUT="+string(input))
		if n <= 0 {
			t.Errorf("the count is %d", n)
		}
	},
	"sts": cliIdentity,
	"refused": func(t *testing.T, s *subject) {
		for command, want := range map[string]string{
			"aws bedrock list-foundation-models": "An error occurred (InvalidSignatureException) when calling the ListFoundationModels operation",
			"aws sts get-caller-identity":        "An error occurred (SignatureDoesNotMatch) when calling the GetCallerIdentity operation",
		} {
			cmd := shellOf(t, s, command, wrongSecret)
			out, err := cmd.CombinedOutput()
			if err == nil || cmd.ProcessState.ExitCode() != 254 && cmd.ProcessState.ExitCode() != 255 || !strings.Contains(string(out), want) {
				t.Errorf("%s: %v: %s", command, err, out)
			}
		}
	},
	"polluted": func(t *testing.T, s *subject) {
		home := pollutedHome(t)
		cmd := throughShell(shellOf(t, s, "aws sts get-caller-identity"), shared.outcrop)
		cmd.Env = s.pollutedEnv(home)
		direct := exec.Command(shared.outcrop.bin, "exec", "--data", shared.outcrop.data, "--", "aws", "sts", "get-caller-identity")
		direct.Env = s.pollutedEnv(home)
		var ours string
		cli(t, s, &ours, "aws sts get-caller-identity --query Arn")
		for _, cmd := range []*exec.Cmd{cmd, direct} {
			var who struct{ Arn string }
			if err := json.Unmarshal([]byte(output(t, cmd)), &who); err != nil || who.Arn != ours {
				t.Errorf("%v: the caller is %s, want %s: %v", cmd.Args, who.Arn, ours, err)
			}
		}
	},
	"api-key": func(t *testing.T, s *subject) {
		for _, kind := range []string{"--api-key", "--short-term"} {
			cmd := shellOf(t, s, `aws bedrock list-foundation-models --query "modelSummaries[*].modelId"`)
			bearer(t, cmd, shared.outcrop, kind)
			var models []string
			if err := json.Unmarshal([]byte(output(t, cmd)), &models); err != nil {
				t.Fatal(err)
			}
			lists(t, models)
		}
	},
	"tls": func(t *testing.T, s *subject) {
		cmd := shellOn(t, s, shared.tls, "aws sts get-caller-identity")
		var who struct{ UserId, Account, Arn string }
		if err := json.Unmarshal([]byte(output(t, cmd)), &who); err != nil {
			t.Fatal(err)
		}
		identifies(t, line{Account: who.Account, ARN: who.Arn, User: who.UserId})
	},
	// The page's two commands, word for word.
	"page": func(t *testing.T, s *subject) {
		cliIdentity(t, s)
		var models []string
		cli(t, s, &models, `aws bedrock list-foundation-models --region=us-west-2 --by-provider anthropic --query "modelSummaries[*].modelId"`)
		lists(t, models)
	},
}

var cliAll = func() map[string]func(*testing.T, *subject) {
	all := maps.Clone(cliOwn)
	maps.Copy(all, cliConverse)
	all["access"] = cliAccess
	return all
}()

const cliBody = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":256,"messages":[{"role":"user","content":"Hello, world"}]}`

func shellOf(t *testing.T, s *subject, command string, more ...string) *exec.Cmd {
	return shellOn(t, s, shared.outcrop, command, more...)
}

// shellOn runs a command line as a user types it, in an empty folder.
func shellOn(t *testing.T, s *subject, srv *server, command string, more ...string) *exec.Cmd {
	shell := *s
	shell.command = []string{"/bin/sh"}
	cmd := shell.call(t, srv, more, "-c", command)
	cmd.Dir = t.TempDir()
	return cmd
}

func cli(t *testing.T, s *subject, into any, command string, more ...string) {
	t.Helper()
	out := output(t, shellOf(t, s, command, more...))
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("%s says %s: %v", command, out, err)
	}
}

func cliIdentity(t *testing.T, s *subject) {
	var who struct{ UserId, Account, Arn string }
	cli(t, s, &who, "aws sts get-caller-identity")
	identifies(t, line{Account: who.Account, ARN: who.Arn, User: who.UserId})
}

func cliInvoke(t *testing.T, s *subject) line {
	var m struct {
		ID, Model string
		Content   []struct{ Text string }
		Stop      string `json:"stop_reason"`
		Usage     struct {
			In  int `json:"input_tokens"`
			Out int `json:"output_tokens"`
		}
	}
	cli(t, s, &m, `printf %s "$BODY" > body.json && aws bedrock-runtime invoke-model --model-id global.anthropic.claude-opus-4-6-v1:0 `+
		`--body file://body.json --content-type application/json out.json > /dev/null && cat out.json`, "BODY="+cliBody)
	if len(m.Content) != 1 {
		t.Fatalf("the answer has %d blocks", len(m.Content))
	}
	return line{ID: m.ID, Model: m.Model, Text: m.Content[0].Text, Stop: m.Stop, InputTokens: m.Usage.In, OutputTokens: m.Usage.Out}
}

// Without TLS boto3 and aws-sdk-go-v2 send no bearer token.
var bearerOverTLS = map[string]func(*testing.T, *subject){
	"api-key": func(t *testing.T, s *subject) { apiKeys(t, s, shared.tls) },
}

var goOwn = map[string]func(*testing.T, *subject){
	// GET /v1/models, as the SDK sends it to the runtime host.
	"list": func(t *testing.T, s *subject) {
		if l := s.done(t, "list", ""); len(l.Models) < len(pageModels) {
			t.Errorf("the models are %q", l.Models)
		}
	},
}
