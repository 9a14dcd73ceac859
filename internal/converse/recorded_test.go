package converse_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/schemas"

	"github.com/outcrop-dev/outcrop/internal/converse"
)

// exchange is one recorded call of real Amazon Bedrock. The recordings are others'
// data and stand beside a checkout, not in it.
type exchange struct {
	name     string
	op       string
	body     []byte
	status   int
	response []byte
}

const recordings = "../../../shared/data/recorded/*.json"

func recorded(t *testing.T) (all []exchange) {
	t.Helper()
	files, err := filepath.Glob(recordings)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("SKIPPED: the recorded exchanges do not stand beside this checkout; nothing was compared with them")
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var x struct {
			Request  struct{ URI, Body string }
			Response struct {
				Status int
				Body   []byte `json:"body_base64"`
			}
		}
		if err := json.Unmarshal(raw, &x); err != nil {
			t.Fatal(err)
		}
		uri := x.Request.URI
		all = append(all, exchange{filepath.Base(f), uri[strings.LastIndexByte(uri, '/')+1:], []byte(x.Request.Body), x.Response.Status, x.Response.Body})
	}
	return all
}

// Each recorded exchange is translated there and back with nothing lost, and each
// recorded refusal is ours, word for word.
func TestRecorded(t *testing.T) {
	for _, x := range recorded(t) {
		t.Run(x.name, func(t *testing.T) {
			switch x.op {
			case "converse":
				recordedConverse(t, x)
			case "count-tokens":
				var in struct {
					Input struct{ Converse json.RawMessage }
				}
				if err := json.Unmarshal(x.body, &in); err != nil {
					t.Fatal(err)
				}
				there(t, in.Input.Converse, converse.Options{Count: true})
			case "invoke":
				recordedInvoke(t, x)
			default:
				t.Fatalf("unknown operation %s", x.op)
			}
		})
	}
}

func there(t *testing.T, body []byte, o converse.Options) {
	t.Helper()
	r, err := converse.ToMessages(body, o)
	if err != nil || r.Dropped != nil {
		t.Fatalf("%v, dropped %q", err, r.Dropped)
	}
	back, dropped, err := converse.FromMessages(r.Body, false)
	if err != nil || dropped != nil {
		t.Fatalf("back: %v, dropped %q", err, dropped)
	}
	stable(t, r.Body, back, o)
	// What a client writes and means nothing is not written back.
	want := parse(t, body).(map[string]any)
	for k, v := range want {
		if list, ok := v.([]any); ok && len(list) == 0 {
			delete(want, k)
		} else if m, ok := v.(map[string]any); ok && len(m) == 0 {
			delete(want, k)
		}
	}
	raw, _ := json.Marshal(want)
	if !equalJSON(t, raw, back) {
		t.Errorf("back:\n%s\nwant:\n%s", back, raw)
	}
}

func recordedConverse(t *testing.T, x exchange) {
	if x.status != 200 {
		var want struct{ Message string }
		if err := json.Unmarshal(x.response, &want); err != nil {
			t.Fatal(err)
		}
		_, err := converse.ToMessages(x.body, converse.Options{})
		if err == nil || asError(t, err).Message != want.Message {
			t.Errorf("got  %v\nwant %s", err, want.Message)
		}
		return
	}
	there(t, x.body, converse.Options{})
	message, e, dropped, err := converse.ReadAnswer(x.response, "msg_1", "claude", false)
	if err != nil || dropped != nil {
		t.Fatalf("%v, dropped %q", err, dropped)
	}
	again, dropped, err := converse.AppendAnswer(nil, message, e)
	if err != nil || dropped != nil {
		t.Fatalf("%v, dropped %q", err, dropped)
	}
	want := x.response
	if !bytes.Contains(want, []byte(`"serverToolUsage"`)) { // the older models' answers have none
		want = bytes.Replace(want, []byte(`"totalTokens"`), []byte(`"serverToolUsage":{},"totalTokens"`), 1)
	}
	if !equalJSON(t, again, want) {
		t.Errorf("got  %s\nwant %s", again, want)
	}
	if i := bytes.Index(want, []byte(`"redactedContent": "`)); i >= 0 {
		blob, _, _ := bytes.Cut(want[i+len(`"redactedContent": "`):], []byte(`"`))
		data, err := base64.StdEncoding.DecodeString(string(blob))
		if err != nil || !bytes.Contains(message, append([]byte(`"data":"`), data...)) {
			t.Errorf("redacted data %s is not in %s", data, message)
		}
	}
}

// An InvokeModel exchange is Messages already: it goes the other way round.
func recordedInvoke(t *testing.T, x exchange) {
	back, dropped, err := converse.FromMessages(x.body, false)
	if err != nil || dropped != nil {
		t.Fatalf("%v, dropped %q", err, dropped)
	}
	r, err := converse.ToMessages(back, converse.Options{Version: "bedrock-2023-05-31"})
	if err != nil {
		t.Fatal(err)
	}
	// A system prompt that is a string comes back as one block.
	want := parse(t, x.body).(map[string]any)
	if s, ok := want["system"].(string); ok {
		want["system"] = []any{map[string]any{"type": "text", "text": s}}
	}
	raw, _ := json.Marshal(want)
	if !equalJSON(t, raw, r.Body) {
		t.Errorf("got  %s\nwant %s", r.Body, raw)
	}
	answer, dropped, err := converse.AppendAnswer(nil, x.response, converse.Envelope{})
	if err != nil || dropped != nil {
		t.Fatalf("%v, dropped %q", err, dropped)
	}
	message, _, _, err := converse.ReadAnswer(answer, "m", "m", false)
	if err != nil {
		t.Fatal(err)
	}
	got, full := parse(t, message).(map[string]any), parse(t, x.response).(map[string]any)
	for _, k := range []string{"content", "stop_reason", "role"} {
		a, _ := json.Marshal(got[k])
		b, _ := json.Marshal(full[k])
		if !bytes.Equal(a, b) {
			t.Errorf("%s: got %s, want %s", k, a, b)
		}
	}
}

// seenFile lists the members that the recordings show, as Shape.member: facts
// about the service, kept for where the recordings are not.
const seenFile = "testdata/seen.txt"

func seenMembers(t *testing.T) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile(seenFile)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			seen[line] = true
		}
	}
	return seen
}

func TestSeenMembers(t *testing.T) {
	found := map[string]bool{}
	add := func(list []at) {
		for _, m := range list {
			found[m.row] = true
		}
	}
	for _, x := range recorded(t) {
		switch {
		case x.op == "converse":
			add(find(schemas.ConverseRequest, "ConverseRequest", parse(t, x.body)))
			if x.status == 200 {
				add(find(schemas.ConverseResponse, "ConverseResponse", parse(t, x.response)))
			}
		case x.op == "count-tokens":
			input := parse(t, x.body).(map[string]any)["input"].(map[string]any)
			add(find(schemas.ConverseTokensRequest, "ConverseTokensRequest", input["converse"]))
		}
	}
	var list []string
	for m := range found {
		list = append(list, m)
	}
	slices.Sort(list)
	got := "# Members of Converse that recorded exchanges with Amazon Bedrock show.\n" + strings.Join(list, "\n") + "\n"
	if *update {
		if err := os.WriteFile(seenFile, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if raw, err := os.ReadFile(seenFile); err != nil || string(raw) != got {
		t.Errorf("%s is not what the recordings show (-update rewrites): %v", seenFile, err)
	}
}
