package messages

import (
	"testing"
)

func TestEventType(t *testing.T) {
	for data, want := range map[string]string{
		`{"type":"message_start","message":{}}`:  EventMessageStart,
		`{"type":"content_block_start"}`:         EventContentBlockStart,
		`{"type":"content_block_delta","i":0}`:   EventContentBlockDelta,
		`{"type":"content_block_stop"}`:          EventContentBlockStop,
		`{"type":"message_delta"}`:               EventMessageDelta,
		`{"type":"message_stop"}`:                EventMessageStop,
		`{"type":"ping"}`:                        EventPing,
		`{"type":"error","error":{}}`:            EventError,
		`{"type":"tomorrow"}`:                    "tomorrow",
		`{"index":0,"type":"message_stop"}`:      EventMessageStop,
		"{ \"type\" : \"message_stop\" }":        EventMessageStop,
		`{"type":"message\u005fstop"}`:           EventMessageStop,
		`{"type":"a\"b"}`:                        `a"b`,
		`{"Type":"message_stop"}`:                "",
		`{"delta":{"type":"text_delta"}}`:        "",
		`{"type":5}`:                             "",
		`{"type":"open`:                          "",
		`{}`:                                     "",
		`[]`:                                     "",
		``:                                       "",
		`null`:                                   "",
		`{"x":1,"type":"ping","type":"message"}`: "",
	} {
		if got := EventType([]byte(data)); got != want {
			t.Errorf("%s: %q, want %q", data, got, want)
		}
	}
}

func TestEventTypeAllocatesNothing(t *testing.T) {
	for _, s := range []string{`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}`, `{"type":"error"}`} {
		data := []byte(s)
		if n := testing.AllocsPerRun(100, func() { EventType(data) }); n > 0 {
			t.Errorf("%s: %v allocations", data, n)
		}
	}
}

func TestUsageFold(t *testing.T) {
	u := Usage{InputTokens: 10, CacheReadInputTokens: 5, OutputTokens: 1}
	for _, raw := range []string{
		`{"output_tokens":7,"cache_read_input_tokens":0,"input_tokens":null,"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":3}}`,
		`{"cache_creation":null,"server_tool_use":{"web_search_requests":1},"service_tier":"standard"}`,
	} {
		if err := u.Fold([]byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	if u.InputTokens != 10 || u.OutputTokens != 7 || u.CacheReadInputTokens != 0 || u.CacheCreationInputTokens != 3 || u.CacheCreation.Ephemeral1h != 3 {
		t.Fatalf("%+v", u)
	}
	if u.PromptTokens() != 13 {
		t.Errorf("prompt %d", u.PromptTokens())
	}
	aws := []byte(`{"input_tokens":9,"output_tokens":-1,"cache_creation_input_tokens":6,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":2}}`)
	if err := u.Fold(aws); err != nil || u.InputTokens != 9 || u.OutputTokens != 0 || u.CacheCreation.Ephemeral5m != 4 || u.CacheCreation.Ephemeral1h != 2 {
		t.Errorf("%+v, %v", u, err)
	}
	if n := testing.AllocsPerRun(100, func() { u.Fold(aws) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	for _, raw := range []string{`{"input_tokens":1.5}`, `{"output_tokens":"7"}`, `7`, `{"cache_creation":5}`, `{"input_tokens":`} {
		if err := u.Fold([]byte(raw)); err == nil {
			t.Errorf("%s: no error", raw)
		}
	}
}
