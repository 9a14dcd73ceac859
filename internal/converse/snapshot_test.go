package converse_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/converse"
)

// snapshot reads the JSON of one of the AWS client's own request and response
// snapshots, which have every member of the first kind of each union.
func snapshot(t *testing.T, path string) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/bedrockruntime").Output()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), path))
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.IndexByte(raw, '{')
	if i < 0 {
		t.Fatalf("%s holds no JSON", path)
	}
	return bytes.TrimSpace(raw[i:])
}

// The AWS client's request snapshot is read whole. Its placeholders break some of
// the service's rules, which are mended here one by one; each break is refused by
// the name of the field.
func TestAWSRequestSnapshot(t *testing.T) {
	body := snapshot(t, "request_snapshot/Converse.request.snap")
	for _, mend := range []struct{ want, old, new string }{
		{"#/additionalModelRequestFields: expected an object", `"additionalModelRequestFields":"__Document__"`, `"additionalModelRequestFields":{"top_k":1}`},
		{"additionalModelResponseFieldPaths.0 is not valid", `"__Member__","__Member__"],"guardrail`, `"/a","/b"],"guardrail`},
		{"promptVariables belongs to a prompt resource", `"promptVariables":{"key0":{"text":"__PromptVariableValuesMemberText__"}},`, ``},
		{"toolConfig.tools.0.toolSpec.inputSchema.json is invalid", `"json":"__Document__"`, `"json":{"type":"object"}`},
		{"is not a JSON object", `"__Schema__"`, `"{}"`},
	} {
		_, err := converse.ToMessages(body, converse.Options{})
		if err == nil || !strings.Contains(asError(t, err).Message, mend.want) {
			t.Errorf("before mending %s: %v", mend.old, err)
		}
		if !bytes.Contains(body, []byte(mend.old)) {
			t.Fatalf("the snapshot has no %s", mend.old)
		}
		body = bytes.ReplaceAll(body, []byte(mend.old), []byte(mend.new))
	}
	r, err := converse.ToMessages(body, converse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := r.Settings
	if s.Guardrail.ID != "__GuardrailIdentifier__" || s.Latency != "standard" || s.ServiceTier != "priority" ||
		s.Metadata["key0"] != "__Value__" || len(s.ResponseFields) != 2 || s.MaxTokens != 1 {
		t.Errorf("settings %+v", s)
	}
	for _, want := range []string{`"top_k":1`, `"effort":"__Effort__"`, `"stop_sequences":["__Member__","__Member__"]`, `"text":"__SystemContentBlockMemberText__"`, `"strict":true`} {
		if !bytes.Contains(r.Body, []byte(want)) {
			t.Errorf("no %s in %s", want, r.Body)
		}
	}
	if settings, err := converse.ReadSettings(body); err != nil || settings.MaxTokens != 1 || settings.Guardrail != s.Guardrail {
		t.Errorf("ReadSettings: %+v, %v", settings, err)
	}
}

func TestAWSResponseSnapshot(t *testing.T) {
	answer := snapshot(t, "response_snapshot/Converse.response.snap")
	// A client's test writes the first value of an enum: a user who answers.
	if _, _, _, err := converse.ReadAnswer(answer, "m", "m", false); err == nil || !strings.Contains(err.Error(), "output.message.role") {
		t.Errorf("a user's answer: %v", err)
	}
	answer = bytes.Replace(answer, []byte(`"role":"user"`), []byte(`"role":"assistant"`), 1)
	message, e, dropped, err := converse.ReadAnswer(answer, "m", "m", false)
	if err != nil || dropped != nil {
		t.Fatalf("%v, dropped %q", err, dropped)
	}
	again, dropped, err := converse.AppendAnswer(nil, message, e)
	if err != nil || dropped != nil {
		t.Fatalf("%v, dropped %q", err, dropped)
	}
	// The guardrail's trace, the envelope and the message are all there again.
	want := parse(t, answer).(map[string]any)
	got := parse(t, again).(map[string]any)
	for k, v := range want {
		if k == "usage" { // its sums are placeholders
			continue
		}
		if string(mustJSON(t, got[k])) != string(mustJSON(t, v)) {
			t.Errorf("%s: got %s, want %s", k, mustJSON(t, got[k]), mustJSON(t, v))
		}
	}
}
