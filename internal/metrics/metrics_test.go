package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

func TestMetrics(t *testing.T) {
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Resolve("eu.anthropic.claude-opus-4-6-v1", "eu-west-1", catalog.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	routes, _ := routing.Routes(res, routing.Amazon(), routing.Fence{}, []routing.Account{{Name: "a"}})
	h := routing.NewHealth(routing.Options{Quota: func(routing.Key) routing.Quota { return routing.Quota{RPM: 60} }})
	p := h.Plan(routing.Call{Routes: routes[:1], Input: 1, MaxTokens: 1})
	if _, _, err := p.Next(); err != nil {
		t.Fatal(err)
	}
	p.Began()
	p.Done(messages.Usage{})
	// One that moves, one that ends where it failed, one that breaks in its middle.
	throttled := messages.Errorf(messages.Throttled, "Slow down")
	for words, r := range map[string][]routing.Route{"throttled": routes[1:3], "end": routes[3:4], "broken": routes[4:5]} {
		p := h.Plan(routing.Call{Routes: r, Input: 1, MaxTokens: 1})
		if _, _, err := p.Next(); err != nil {
			t.Fatal(err)
		}
		switch words {
		case "throttled":
			p.Failed(throttled)
			if _, _, err := p.Next(); err != nil {
				t.Fatal(err)
			}
			p.Close()
		case "end":
			p.Failed(throttled)
			if _, _, err := p.Next(); err == nil {
				t.Fatal("it went on")
			}
		default:
			p.Began()
			p.Failed(messages.Errorf(messages.ModelStreamFailed, "cut"))
			p.Done(messages.Usage{})
		}
	}

	m := New(h)
	m.Gauge("outcrop_activity_bytes", "…", func() float64 { return 42 })
	m.Record(activity.Record{Operation: "InvokeModel", ModelID: "m", Status: 200, InputBytes: 10, OutputBytes: 20,
		FirstFrame: time.Second, Duration: 3 * time.Second,
		Usage: messages.Usage{InputTokens: 3, OutputTokens: 100, CacheReadInputTokens: 5, CacheCreationInputTokens: 7}})
	m.Record(activity.Record{Operation: "Converse", Ref: "what the client says", Status: 403, ErrorCode: "AccessDeniedException"})
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	got := w.Body.String()
	for _, want := range []string{
		`outcrop_activity_bytes 42`,
		`outcrop_calls_total{error="",model="m",operation="InvokeModel",status="200"} 1`,
		`outcrop_calls_total{error="AccessDeniedException",model="",operation="Converse",status="403"} 1`,
		`outcrop_tokens_total{class="input",model="m"} 3`,
		`outcrop_tokens_total{class="output",model="m"} 100`,
		`outcrop_tokens_total{class="cache_read",model="m"} 5`,
		`outcrop_tokens_total{class="cache_write",model="m"} 7`,
		`outcrop_bytes_total{direction="in"} 10`,
		`outcrop_bytes_total{direction="out"} 20`,
		`outcrop_failovers_total{account="a",id="eu.anthropic.claude-opus-4-6-v1",reason="throttled",region="` + routes[1].Region() + `"} 1`,
		`outcrop_broken_answers_total{account="a",id="eu.anthropic.claude-opus-4-6-v1",region="eu-west-1"} 0`,
		`outcrop_broken_answers_total{account="a",id="eu.anthropic.claude-opus-4-6-v1",region="` + routes[4].Region() + `"} 1`,
		`outcrop_first_frame_seconds_sum{model="m",operation="InvokeModel"} 1`,
		`outcrop_output_token_seconds_sum{model="m"} 0.02`,
		`outcrop_lane_breaker{account="a",id="eu.anthropic.claude-opus-4-6-v1",region="eu-west-1"} 0`,
		`outcrop_lane_quota{account="a",id="eu.anthropic.claude-opus-4-6-v1",quota="requests_per_minute",region="eu-west-1"} 60`,
		`outcrop_lane_quota_left{account="a",id="eu.anthropic.claude-opus-4-6-v1",quota="requests_per_minute",region="eu-west-1"} 59`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("without %s", want)
		}
	}
	if n := strings.Count(got, "\noutcrop_failovers_total{"); n != 1 {
		t.Errorf("%d lanes have failovers; what ended where it failed is none", n)
	}
	if strings.Contains(got, "what the client says") {
		t.Error("a client's own words are a label")
	}
}
