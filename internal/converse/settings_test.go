package converse_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/converse"
)

func TestSettings(t *testing.T) {
	body := []byte(`{
 "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
 "inferenceConfig": {"maxTokens": 77},
 "guardrailConfig": {"guardrailIdentifier": "g1", "guardrailVersion": "2", "trace": "enabled", "streamProcessingMode": "sync"},
 "additionalModelRequestFields": {"anthropic_beta": ["a", "b"], "anthropic_version": "2026-10-21", "top_k": 4},
 "additionalModelResponseFieldPaths": ["/stop_sequence", "/a~1b/~0"],
 "requestMetadata": {"team": "a b"}, "performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "priority"}}`)
	want := converse.Settings{
		MaxTokens: 77, Betas: []string{"a", "b"}, Version: "2026-10-21", Metadata: map[string]string{"team": "a b"},
		Guardrail: converse.Guardrail{ID: "g1", Version: "2", Trace: "enabled", StreamMode: "sync"},
		Latency:   "optimized", ServiceTier: "priority", ResponseFields: []string{"/stop_sequence", "/a~1b/~0"},
	}
	read, err := converse.ReadSettings(body)
	if err != nil || !reflect.DeepEqual(*read, want) {
		t.Errorf("ReadSettings: %+v, %v", read, err)
	}
	r, err := converse.ToMessages(body, converse.Options{Version: "bedrock-2023-05-31", DefaultMaxTokens: 5})
	if err != nil || !reflect.DeepEqual(r.Settings, want) {
		t.Errorf("ToMessages: %+v, %v", r, err)
	}
	if s := string(r.Body); strings.Count(s, "anthropic_version") != 1 || strings.Count(s, "max_tokens") != 1 {
		t.Errorf("twice in %s", s)
	}
	e := want.Envelope()
	if e.Latency != "optimized" || e.ServiceTier != "priority" || len(e.ResponseFields) != 2 {
		t.Errorf("envelope %+v", e)
	}
}

// The effective max_tokens is told, whoever named it.
func TestMaxTokens(t *testing.T) {
	for in, want := range map[string]int64{
		ask(user(hi)): 5,
		with(`"inferenceConfig":{"maxTokens":7}`, user(hi)):               7,
		with(`"additionalModelRequestFields":{"max_tokens":9}`, user(hi)): 9,
	} {
		r, err := converse.ToMessages([]byte(in), converse.Options{DefaultMaxTokens: 5})
		if err != nil || r.Settings.MaxTokens != want {
			t.Errorf("%s: %+v, %v", in, r, err)
		}
	}
}

// CountTokens' input has four members; the others are Converse's alone.
func TestCountHasFourMembers(t *testing.T) {
	o := converse.Options{Count: true, DefaultMaxTokens: 5}
	r, err := converse.ToMessages([]byte(with(`"system":[{"text":"a"}],`+tool, user(hi))), o)
	if err != nil || strings.Contains(string(r.Body), "max_tokens") {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = converse.ToMessages([]byte(with(`"inferenceConfig":{}`, user(hi))), o)
	if err == nil || !strings.Contains(err.Error(), "[inferenceConfig]") {
		t.Errorf("inferenceConfig: %v", err)
	}
}

// A hostile request costs no more than its length: neither its faults nor its
// ids nor its documents are compared with each other one by one.
func TestHostileRequests(t *testing.T) {
	const n = 50_000
	read := 0
	o := converse.Options{TextOf: func([]byte, string, string) (string, error) { read++; return "x", nil }}
	var uses, results, docs []string
	for i := range n {
		uses = append(uses, fmt.Sprintf(`{"toolUse":{"toolUseId":"u%d","name":"t","input":{}}}`, i))
		results = append(results, fmt.Sprintf(`{"toolResult":{"toolUseId":"u%d","content":[]}}`, n-1-i))
		docs = append(docs, fmt.Sprintf(`{"document":{"name":"d%d","source":{"bytes":"AAAA"}}}`, i))
	}
	if _, err := converse.ToMessages([]byte(with(tool, user(hi), model(strings.Join(uses, ",")), user(strings.Join(results, ",")))), o); err != nil {
		t.Error(err)
	}
	_, err := converse.ToMessages([]byte(with(tool, user(hi), model(strings.Join(uses, ",")), user(hi))), o)
	if err == nil || len(asError(t, err).Message) > 1<<10 {
		t.Errorf("unanswered calls: %.200v", err)
	}
	_, err = converse.ToMessages([]byte(ask(user(hi+","+strings.Join(docs, ",")))), o)
	if err == nil || asError(t, err).Message != "You can't include more than 5 documents in a request." || read > 5 {
		t.Errorf("documents: %v, %d read", err, read)
	}
	bad := strings.Repeat(`{"image":{"format":"bmp","source":{"bytes":"AAAA"}}},`, n)
	_, err = converse.ToMessages([]byte(ask(user(bad+hi))), o)
	if err == nil || !strings.HasPrefix(asError(t, err).Message, "50000 validation errors detected: ") || len(asError(t, err).Message) > 8<<10 {
		t.Errorf("formats: %.200v", err)
	}
}

// A request that is relayed may hold what this version does not know: only what
// policy reads is held to one meaning.
func TestReadSettingsOfARelay(t *testing.T) {
	if s, err := converse.ReadSettings([]byte(`{"newField":1,"inferenceConfig":{"maxTokens":3,"newer":2},"serviceTier":{"type":"flex","x":1},"messages":[{"hologram":1}]}`)); err != nil || s.MaxTokens != 3 || s.ServiceTier != "flex" {
		t.Errorf("%+v, %v", s, err)
	}
	for in, want := range map[string]string{
		`[]`: `Malformed input request: #: expected an object, please reformat your input and try again.`,
		`{"inferenceConfig":{"maxTokens":1,"maxTokens":99}}`:                                             `Malformed input request: #/inferenceConfig: duplicate key "maxTokens", please reformat your input and try again.`,
		`{"inferenceConfig":{"maxTokens":1,"MaxTokens":99}}`:                                             `Malformed input request: #/inferenceConfig: key "MaxTokens" differs from "maxTokens" only in case, please reformat your input and try again.`,
		`{"InferenceConfig":{"maxTokens":1}}`:                                                            `Malformed input request: #: key "InferenceConfig" differs from "inferenceConfig" only in case, please reformat your input and try again.`,
		`{"additionalModelRequestFields":{"Anthropic_Beta":["x"]}}`:                                      `Malformed input request: #/additionalModelRequestFields: key "Anthropic_Beta" differs from "anthropic_beta" only in case, please reformat your input and try again.`,
		`{"inferenceConfig":{"maxTokens":1.5}}`:                                                          `Malformed input request: #/inferenceConfig/maxTokens: expected an integer, please reformat your input and try again.`,
		`{"additionalModelRequestFields":{"anthropic_beta":"x"}}`:                                        `Malformed input request: #/additionalModelRequestFields/anthropic_beta: expected an array, please reformat your input and try again.`,
		`{"additionalModelResponseFieldPaths":["/a~2"]}`:                                                 `The JSON pointer '/a~2' at additionalModelResponseFieldPaths.0 is not valid. Provide a pointer that begins with / and try again.`,
		`{"requestMetadata":{}}`:                                                                         `1 validation error detected: Value at 'requestMetadata' failed to satisfy constraint: Member must have length greater than or equal to 1`,
		`{"requestMetadata":{"` + strings.Repeat("k", 257) + `":"v"}}`:                                   `1 validation error detected: Value at 'requestMetadata.` + strings.Repeat("k", 61) + `...' failed to satisfy constraint: Map keys must have length between 1 and 256, values at most 256`,
		`{"additionalModelResponseFieldPaths":["/1","/2","/3","/4","/5","/6","/7","/8","/9","/a","/b"]}`: `1 validation error detected: Value at 'additionalModelResponseFieldPaths' failed to satisfy constraint: Member must have length less than or equal to 10`,
	} {
		_, err := converse.ReadSettings([]byte(in))
		if err == nil || asError(t, err).Message != want {
			t.Errorf("%s:\ngot  %v\nwant %s", in, err, want)
		}
	}
}
