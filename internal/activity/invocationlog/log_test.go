package invocationlog

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

var at = time.Date(2024, 1, 15, 12, 0, 0, 999, time.UTC)

func events(lines ...string) (es []activity.Event) {
	for _, l := range lines {
		es = append(es, activity.Event{Name: messages.EventType([]byte(l)), Data: []byte(l)})
	}
	return es
}

func decode(t *testing.T, raw []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return v
}

func same(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if !reflect.DeepEqual(decode(t, got), decode(t, []byte(want))) {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

var stream = events(
	`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_read_input_tokens":3,"output_tokens":1}}}`,
	`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm \"so\""}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}`,
	`{"type":"content_block_stop","index":0}`,
	`{"type":"ping"}`,
	`{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"","of_tomorrow":[1]}}`,
	`{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hello "}}`,
	`{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"\u4e16\u754c"}}`,
	`{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"cited_text":"x"}}}`,
	`{"type":"content_block_stop","index":1}`,
	`{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}`,
	`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}`,
	`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\": "}}`,
	`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}`,
	`{"type":"content_block_stop","index":2}`,
	`{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,"container":{"id":"c"}},"usage":{"output_tokens":150},"context_management":{"applied_edits":[]}}`,
	`{"type":"message_stop"}`,
)

const whole = `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[
	{"type":"thinking","thinking":"Hm \"so\"","signature":"c2ln"},
	{"type":"text","text":"Hello 世界","of_tomorrow":[1],"citations":[{"cited_text":"x"}]},
	{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}],
	"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":25,"cache_read_input_tokens":3,"output_tokens":150},
	"container":{"id":"c"},"context_management":{"applied_edits":[]}}`

func TestMessage(t *testing.T) {
	got, err := Message(stream)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "whole", got, whole)

	if got, err = Message(stream[:14]); err != nil {
		t.Fatal(err)
	}
	if m := decode(t, got).(map[string]any); m["stop_reason"] != nil {
		t.Errorf("cut off: %s", got)
	} else if b := m["content"].([]any)[2].(map[string]any); b["partial_json"] != `{"a": ` || len(b["input"].(map[string]any)) != 0 {
		t.Errorf("a tool's input that is cut off: %v", b)
	}

	odd := append(events(), stream[:2]...)
	odd = append(odd, events(`{"type":"content_block_delta","index":0,"delta":{"type":"of_tomorrow","x":1}}`, `{"type":"event_of_tomorrow","y":2}`)...)
	if got, err = Message(odd); err != nil || !strings.Contains(string(got), `"deltas":[{"type":"of_tomorrow","x":1}]`) || !strings.Contains(string(got), `"events":[{"type":"event_of_tomorrow","y":2}]`) {
		t.Errorf("what is not known: %s, %v", got, err)
	}

	one := []activity.Event{{Name: "message", Data: []byte(`{"id": "msg_2" , "content": []}`)}}
	if got, err = Message(one); err != nil || string(got) != `{"id": "msg_2" , "content": []}` {
		t.Errorf("an answer that was not streamed: %s, %v", got, err)
	}
	for _, bad := range [][]activity.Event{nil, events(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}`), {{Name: "message_start", Data: []byte(`{`)}}} {
		if _, err := Message(bad); err == nil {
			t.Errorf("%v is a message", bad)
		}
	}
}

func exchange(operation string, input string, es []activity.Event) *activity.Exchange {
	x := &activity.Exchange{Events: es, Record: activity.Record{
		RequestID: "abcd1234-5678-efgh-ijkl-mnopqrstuvwx", Time: at, Duration: 1500 * time.Millisecond, FirstFrame: 300 * time.Millisecond,
		Account: "123456789012", Region: "us-east-1", Operation: operation, Ref: "anthropic.claude-sonnet-4-20250514-v1:0",
		Principal: "arn:aws:sts::123456789012:assumed-role/MyRole/session-name", Status: 200, Content: activity.Kept,
		Usage: messages.Usage{InputTokens: 25, OutputTokens: 150},
	}}
	if input != "" {
		x.Input = []byte(input)
	}
	return x
}

// render gives AWS's part and ours.
func render(t *testing.T, x *activity.Exchange, o Options) (aws []byte, ours map[string]any) {
	t.Helper()
	raw, err := Of(x, o).JSON()
	if err != nil {
		t.Fatal(err)
	}
	all := decode(t, raw).(map[string]any)
	ours = all["outcrop"].(map[string]any)
	delete(all, "outcrop")
	aws, _ = json.Marshal(all)
	return aws, ours
}

// The user guide's entry with bodies, which it leaves empty; see TestSamples.
func TestBodies(t *testing.T) {
	x := exchange("Converse", `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`,
		[]activity.Event{{Name: "message", Data: []byte(`{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":150}}`)}})
	x.Record.Metadata = map[string]string{"team": "orchestrator", "environment": "production"}
	got, _ := render(t, x, Options{})
	same(t, "with bodies", got, `{
    "schemaType": "ModelInvocationLog",
    "schemaVersion": "1.0",
    "timestamp": "2024-01-15T12:00:00Z",
    "accountId": "123456789012",
    "region": "us-east-1",
    "requestId": "abcd1234-5678-efgh-ijkl-mnopqrstuvwx",
    "operation": "Converse",
    "modelId": "anthropic.claude-sonnet-4-20250514-v1:0",
    "identity": {"arn": "arn:aws:sts::123456789012:assumed-role/MyRole/session-name"},
    "requestMetadata": {"team": "orchestrator", "environment": "production"},
    "input": {
        "inputContentType": "application/json",
        "inputBodyJson": {"messages":[{"role":"user","content":[{"text":"Hi"}]}]},
        "inputTokenCount": 25
    },
    "output": {
        "outputContentType": "application/json",
        "outputBodyJson": {"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn","metrics":{"latencyMs":1500},
            "usage":{"inputTokens":25,"outputTokens":150,"totalTokens":175,"cacheReadInputTokenCount":0,"cacheReadInputTokens":0,"cacheWriteInputTokenCount":0,"cacheWriteInputTokens":0,"serverToolUsage":{}}},
        "outputTokenCount": 150
    }
}`)
}

func TestOperations(t *testing.T) {
	body := func(operation string, es []activity.Event) []byte {
		raw := Of(exchange(operation, `{"max_tokens":1}`, es), Options{}).Output.Body
		if raw == nil {
			t.Errorf("%s: no body", operation)
		}
		return raw
	}
	same(t, "InvokeModel", body("InvokeModel", []activity.Event{{Name: "message", Data: []byte(whole)}}), whole)
	same(t, "CreateMessage, streamed", body("CreateMessage", stream), whole)

	var want []string
	for _, e := range stream[:len(stream)-1] {
		want = append(want, string(e.Data))
	}
	want = append(want, `{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":25,"outputTokenCount":150,"invocationLatency":1500,"firstByteLatency":300}}`)
	same(t, "InvokeModelWithResponseStream", body("InvokeModelWithResponseStream", stream), "["+strings.Join(want, ",")+"]")

	c := decode(t, body("ConverseStream", stream)).(map[string]any)
	content := c["output"].(map[string]any)["message"].(map[string]any)["content"].([]any)
	if c["stopReason"] != "tool_use" || len(content) != 3 || content[2].(map[string]any)["toolUse"] == nil {
		t.Errorf("ConverseStream: %v", c)
	}
	// What was cut off is shown as far as it came.
	if raw := body("ConverseStream", stream[:9]); !strings.Contains(string(raw), "Hello 世界") || strings.Contains(string(raw), "stopReason") {
		t.Errorf("ConverseStream, cut off: %s", raw)
	}
}

// Of a call that failed the service leaves both objects empty (observed in
// ap-northeast-1 in 2026-09); what was asked is there if it is known.
func TestFailed(t *testing.T) {
	x := exchange("InvokeModel", "", nil)
	x.Record.Status, x.Record.ErrorCode, x.Record.Error, x.Record.Usage = 429, "ThrottlingException", "Too many tokens", messages.Usage{}
	x.Record.Served = "us-east-2"
	x.Record.Tried = []activity.Attempt{{RouteID: "us.x", Region: "us-west-2", Code: "ServiceUnavailableException"}}
	got, ours := render(t, x, Options{})
	m := decode(t, got).(map[string]any)
	if m["errorCode"] != "ThrottlingException" || len(m["input"].(map[string]any))+len(m["output"].(map[string]any)) != 0 || m["inferenceRegion"] != "us-east-2" {
		t.Errorf("%s", got)
	}
	if ours["status"] != 429. || ours["error"] != "Too many tokens" || ours["tried"].([]any)[0].(map[string]any)["region"] != "us-west-2" {
		t.Errorf("%v", ours)
	}
	x.Input = []byte(`{"q":1}`)
	if l := Of(x, Options{}); string(l.Input.Body) != `{"q":1}` {
		t.Errorf("%s", l.Input.Body)
	}
}

func TestSwitches(t *testing.T) {
	messagesBody := `{"system":[{"type":"text","text":"S"}],"messages":[{"role":"user","content":[
		{"type":"image","source":{"type":"base64","media_type":"image/png","data":"SECRET-I"},"cache_control":{"type":"ephemeral"}},
		{"type":"image","source":{"type":"url","url":"https://example.com/i.png"}},
		{"type":"document","title":"T","source":{"type":"text","media_type":"text/plain","data":"SECRET-D"}},
		{"type":"document","source":{"type":"content","content":[{"type":"text","text":"SECRET-D"}]}},
		{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"SECRET-I"}}]},
		{"type":"text","text":"What?"}]}],"tools":[{"name":"image","input_schema":{"type":"object"}}]}`
	converseBody := `{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"SECRET-I"}}},{"document":{"name":"d","format":"pdf","source":{"bytes":"SECRET-D"}}},
		{"toolResult":{"toolUseId":"t","content":[{"document":{"name":"e","format":"txt","source":{"text":"SECRET-D"}}}]}},{"text":"What?"}]}]}`
	answerBody := `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"It"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`
	for _, in := range []string{messagesBody, converseBody} {
		x := exchange("InvokeModel", in, []activity.Event{{Name: "message", Data: []byte(answerBody)}})
		for _, c := range []struct {
			o                            Options
			images, documents, text, all bool
		}{
			{Options{}, true, true, true, true},
			{Options{NoImages: true}, false, true, true, false},
			{Options{NoDocuments: true}, true, false, true, false},
			{Options{NoImages: true, NoDocuments: true}, false, false, true, false},
			{Options{NoText: true}, false, false, false, false},
		} {
			l := Of(x, c.o)
			got := string(l.Input.Body)
			if strings.Contains(got, "SECRET-I") != c.images || strings.Contains(got, "SECRET-D") != c.documents || strings.Contains(got, "What?") != c.text {
				t.Errorf("%+v: %s", c.o, got)
			}
			if (l.Output.Body != nil) != c.text || *l.Input.Tokens != 25 || l.Outcrop.Warnings != nil {
				t.Errorf("%+v: output %s, %v", c.o, l.Output.Body, l.Outcrop.Warnings)
			}
			if c.all && got != in {
				t.Errorf("changed where nothing is left out: %s", got)
			}
			if got != "" {
				decode(t, l.Input.Body)
			}
		}
	}
	// What cannot be read well enough to be emptied is left out, with a warning.
	x := exchange("InvokeModel", `{"messages":[{"type":"image","source":{"data":"SECRET","data":"SECRET"}}]}`, nil)
	if l := Of(x, Options{NoImages: true}); l.Input.Body != nil || len(l.Outcrop.Warnings) != 1 {
		t.Errorf("%s, %v", l.Input.Body, l.Outcrop.Warnings)
	}
}

func TestOutcrop(t *testing.T) {
	x := exchange("InvokeModel", "", nil)
	r := &x.Record
	r.RouteID, r.Wall, r.Endpoint, r.Billed, r.Premium, r.CacheSaved = "us.x", "us-east-1 us-west-2", "geographic", 1_100_000, 100_000, -5
	r.Client = activity.ClientIDs{Session: "s", Agent: "a", ParentAgent: "p", Prompt: "q", Class: "main"}
	r.KeyID, r.Warnings, r.Latency = "AKIA", []string{"w"}, "optimized"
	got, ours := render(t, x, Options{})
	for k, want := range map[string]any{"keyId": "AKIA", "wall": r.Wall, "endpoint": "geographic", "sessionId": "s", "agentId": "a", "parentAgentId": "p",
		"promptId": "q", "requestClass": "main", "firstByteLatencyMs": 300., "latencyMs": 1500., "content": "kept",
		"warnings": []any{"w"}, "cost": map[string]any{"billedUsd": r.Billed.USD(), "premiumUsd": r.Premium.USD(), "cacheSavedUsd": r.CacheSaved.USD()}} {
		if !reflect.DeepEqual(ours[k], want) {
			t.Errorf("%s: %v, want %v", k, ours[k], want)
		}
	}
	if !strings.Contains(string(got), `"performanceConfig":{"latency":"optimized"}`) {
		t.Errorf("%s", got)
	}
}
