package invocationlog

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// sample reads a record of testdata/samples.txtar, which says where it is from.
func sample(t *testing.T, name string) []byte {
	t.Helper()
	a, err := txtar.ParseFile("testdata/samples.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	t.Fatalf("there is no sample %s", name)
	return nil
}

// hollow empties the bodies, as the documented samples are.
func hollow(l *Log) *Log {
	for _, b := range []*json.RawMessage{&l.Input.Body, &l.Output.Body} {
		if *b != nil {
			*b = json.RawMessage(`{}`)
		}
	}
	return l
}

// Each documented record comes out of a call with its figures, field by field.
func TestSamples(t *testing.T) {
	answer := []activity.Event{{Name: "message", Data: []byte(`{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":150}}`)}}
	for name, o := range map[string]Options{"converse.json": {}, "invoke.json": {}, "without-text.json": {NoText: true, NoImages: true}} {
		want := sample(t, name)
		var l Log
		d := json.NewDecoder(bytes.NewReader(want))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			t.Fatalf("%s: a member that has no place: %v", name, err)
		}
		at, err := time.Parse(time.RFC3339, l.Timestamp)
		if err != nil { // a placeholder
			at, l.Timestamp = noonOf2026, noonOf2026.Format(time.RFC3339)
			want = bytes.Replace(want, []byte("<timestamp>"), []byte(l.Timestamp), 1)
		}
		x := &activity.Exchange{Input: []byte(`{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`), Events: answer, Record: activity.Record{
			RequestID: l.RequestID, Time: at, Account: l.AccountID, Region: l.Region, Operation: l.Operation, Ref: l.ModelID, Principal: l.Identity.ARN,
			Metadata: l.Metadata, Served: l.InferenceRegion, Status: 200, Content: activity.Kept,
			Usage: messages.Usage{InputTokens: *l.Input.Tokens, OutputTokens: *l.Output.Tokens}}}
		raw, err := hollow(Of(x, o)).JSON()
		if err != nil {
			t.Fatal(err)
		}
		got := decode(t, raw).(map[string]any)
		delete(got, "outcrop")
		aws, _ := json.Marshal(got)
		same(t, name, aws, string(want))
	}
}

var noonOf2026 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// A record with everything has no member that readers of AWS's records do not
// know, each of the type that they expect.
func TestSchema(t *testing.T) {
	schema := decode(t, sample(t, "schema.json")).(map[string]any)
	input, output := schema["input"].(map[string]any), schema["output"].(map[string]any)
	// Panther reads neither; the user guide has both.
	schema["requestMetadata"] = map[string]any{"team": "string"}
	input["inputBodyS3Path"], output["outputBodyS3Path"] = "string", "string"

	x := exchange("InvokeModelWithResponseStream", `{"max_tokens":1}`, stream)
	r := &x.Record
	r.Usage.CacheReadInputTokens, r.Latency, r.Served, r.ErrorCode = 1, "standard", "us-west-2", "ModelStreamErrorException"
	r.Metadata = map[string]string{"team": "rocks"}
	l := Of(x, Options{})
	l.Input.Path, l.Output.Path = "s3://b/k", "s3://b/k"
	raw, err := l.JSON()
	if err != nil {
		t.Fatal(err)
	}
	got := decode(t, raw).(map[string]any)
	delete(got, "outcrop")
	fits(t, "", schema, got)
	if got["inferenceRegion"] != decode(t, sample(t, "inference-region.json")).(map[string]any)["inferenceRegion"] {
		t.Errorf("inferenceRegion %v", got["inferenceRegion"])
	}
}

func fits(t *testing.T, path string, schema, got map[string]any) {
	t.Helper()
	for name := range schema {
		if got[name] == nil {
			t.Errorf("%s%s is missing", path, name)
		}
	}
	for name, v := range got {
		ok := false
		switch kind := schema[name].(type) {
		case map[string]any:
			var in map[string]any
			if in, ok = v.(map[string]any); ok {
				fits(t, path+name+".", kind, in)
			}
		case string:
			switch v := v.(type) {
			case string:
				_, err := time.Parse(time.RFC3339, v)
				ok = kind == "string" || kind == "timestamp" && err == nil
			case float64:
				ok = kind == "bigint" && v == float64(int64(v))
			default:
				ok = kind == "json"
			}
		default: // nobody knows it
		}
		if !ok {
			t.Errorf("%s%s: %v, want %v", path, name, v, schema[name])
		}
	}
}
