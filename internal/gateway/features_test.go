package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// ways in to a model, with the head that each makes.
var ways = map[catalog.API]Head{
	catalog.Invoke:   {Operation: bedrockapi.InvokeModel},
	catalog.Converse: {Operation: bedrockapi.Converse, Settings: new(converse.Settings)}, // once translated
	catalog.Messages: {Operation: bedrockapi.CreateMessage},
	catalog.Mantle:   {Operation: bedrockapi.CreateMessage, Mantle: true},
	catalog.Count:    {Operation: bedrockapi.CountMessage}, // CountTokens itself is refused for some
}

// shows makes the least body that shows a pattern of features.json.
func shows(t *testing.T, detect string) map[string]any {
	t.Helper()
	at, value, valued := strings.Cut(detect, "=")
	var v any = map[string]any{"x": 1}
	switch {
	case value == "true":
		v = true
	case valued:
		v = strings.ReplaceAll(value, "*", "20250305")
	case at == "temperature" || at == "top_p" || at == "top_k":
		v = 0.5
	}
	steps := strings.Split(at, ".")
	slices.Reverse(steps)
	for _, step := range steps {
		name, index, isArray := strings.Cut(step, "[")
		switch {
		case name == "**":
			v = map[string]any{"messages": []any{map[string]any{"role": "user", "content": []any{v}}}}
		case isArray && name == "messages":
			last, _ := v.(map[string]any)
			last["content"] = "x"
			v = map[string]any{name: []any{map[string]any{"role": "user", "content": "x"}, last}}
		case isArray && index != "":
			v = map[string]any{name: []any{map[string]any{"name": "first"}, v}}
		default:
			v = map[string]any{name: v}
		}
	}
	return v.(map[string]any)
}

func bodyOf(t *testing.T, v any) *Body {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBody(Messages, raw)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unseen are the features that no body shows, with what sees to them.
var unseen = map[string]string{
	"streaming":            "a count has no stream to ask for",
	"context_1m":           "the upstream counts; the beta is looked at under strict",
	"interleaved_thinking": "a beta alone",
	"count_tokens":         "TestCountWhereThereIsNone",
	"guardrails":           "TestOptions",
	"latency_optimized":    "TestOptions",
	"priority_tier":        "TestOptions",
	"reserved_tier":        "TestOptions",
	"request_metadata":     "accepted and recorded everywhere",
	"invocation_logging":   "not part of a call",
	"batch_jobs":           "no such operation",
	"message_batches":      "no such operation",
	"admin_api":            "no such operation",
	"managed_agents":       "no such operation",
	"models_api":           "served here, for clients that list models at a gateway",
}

// TestFeatures takes every row of features.json: a body that shows the feature is
// refused for each model and API where the cell says no, and nowhere else.
// Under strict a beta must be named.
func TestFeatures(t *testing.T) {
	g, _ := newGateway(t, &canned{})
	strict, _ := newGateway(t, &canned{})
	strict.Policy.Strict = true
	for _, f := range g.Catalog.Features() {
		if len(f.Detect) == 0 {
			if unseen[f.Name] == "" {
				t.Errorf("%s: nothing shows it, and nothing says why that is right", f.Name)
			}
			continue
		}
		for _, level := range []catalog.Level{catalog.No, catalog.Beta, catalog.Yes} {
			type cell struct {
				model *catalog.Model
				api   catalog.API
			}
			var cells []cell
			for _, m := range g.Catalog.Models() {
				for api := range ways {
					if m.Feature(f.Name, api).Level == level {
						cells = append(cells, cell{m, api})
					}
				}
			}
			if len(cells) == 0 {
				continue
			}
			t.Run(f.Name+"/"+level.String(), func(t *testing.T) {
				for _, c := range cells {
					for _, detect := range f.Detect {
						body, head := bodyOf(t, shows(t, detect)), ways[c.api]
						name := fmt.Sprintf("%s by %s: %s", c.model.Stem(), c.api, body.Bytes())
						err := g.checkFeatures(&head, body, c.model)
						switch {
						case level == catalog.No && err == nil:
							t.Errorf("%s: accepted", name)
						case level != catalog.No && refusedFor(err, f): // another may be what is refused
							t.Errorf("%s: %v", name, err)
						}
						if level != catalog.Beta {
							continue
						}
						if err := strict.checkFeatures(&head, body, c.model); err == nil {
							t.Errorf("%s: accepted under strict without its beta", name)
						}
						head.Betas = []string{c.model.Feature(f.Name, c.api).Beta}
						if err := strict.checkFeatures(&head, body, c.model); refusedFor(err, f) || err != nil && strings.HasPrefix(err.Error(), f.Name) {
							t.Errorf("%s: refused under strict with %s: %v", name, head.Betas, err)
						}
					}
				}
			})
		}
	}
}

// refusedFor says whether err refuses that feature, and not another one that the
// same body shows.
func refusedFor(err error, f catalog.Feature) bool {
	if err == nil {
		return false
	}
	if f.Name == "advisor" && strings.Contains(err.Error(), "Input tag 'advisor_") {
		return true
	}
	if f.Name == "prefill" {
		return strings.Contains(err.Error(), "does not support assistant message prefill")
	}
	return strings.HasPrefix(err.Error(), "Not supported by ") && strings.HasSuffix(err.Error(), ": "+f.Title+".")
}

// What hides a feature from a careless reader does not hide it here.
func TestFeaturesCannotHide(t *testing.T) {
	for name, body := range map[string]string{
		"plain":               `{"tools":[{"type":"web_search_20250305"}]}`,
		"second of its array": `{"tools":[{"type":"custom"},{"type":"web_search_20250305"}]}`,
		"an escaped letter":   `{"tools":[{"type":"\u0077eb_search_20250305"}]}`,
		"an escaped dash":     `{"tools":[{"type":"web\u005fsearch_20250305"}]}`,
		"capital hex":         `{"tools":[{"type":"web\u005Fsearch_20250305"}]}`,
		"space":               " \n{ \"tools\" : [ { \"type\" : \"web_search_20250305\" } ] }",
		"an escaped key":      `{"tools":[{"\u0074ype":"web_search_20250305"}]}`,
		"a key twice":         `{"tools":[{"type":"web_search_20250305","type":"custom"}]}`,
		"a key twice, late":   `{"tools":[{"type":"custom","type":"web_search_20250305"}]}`,
		"a case variant":      `{"tools":[{"type":"custom","Type":"web_search_20250305"}]}`,
		"a lone case variant": `{"tools":[{"Type":"web_search_20250305"}]}`,
	} {
		g, _ := newGateway(t, &canned{})
		m, _ := g.Catalog.Lookup("claude-opus-4-6")
		b, err := NewBody(Messages, []byte(body))
		if err == nil {
			head := ways[catalog.Invoke]
			err = g.checkFeatures(&head, b, m)
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// At any depth, with space before the body, in a tool's result, escaped.
	for _, body := range []string{
		" {\"messages\":[{\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"url\"}}]}]}",
		`{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image","source":{"type":"url"}}]}]}]}`,
		`{"messages":[{"content":[{"type":"image","source":{"type":"ur\u006c"}}]}]}`,
		`{"system":[{"source":{"type":"url"}}]}`,
	} {
		g, _ := newGateway(t, &canned{})
		m, _ := g.Catalog.Lookup("claude-opus-4-6")
		b, err := NewBody(Messages, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		head := ways[catalog.Invoke]
		if err := g.checkFeatures(&head, b, m); err == nil || !strings.Contains(err.Error(), "by URL") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// The caller's own JSON may use any word.
func TestFeaturesAreNotSeenInTheCallersJSON(t *testing.T) {
	for _, body := range []string{
		`{"messages":[{"content":[{"type":"tool_use","input":{"source":{"type":"url","url":"x"},"cache_control":{"ttl":"1h"}}}]}]}`,
		`{"tools":[{"name":"t","input_schema":{"type":"object","properties":{"source":{"type":"url"},"x":{"type":"container_upload"}}}}]}`,
		`{"metadata":{"type":"container_upload"}}`,
		`{"messages":[{"content":"the text \"type\":\"url\" and \"source\" and file"}]}`,
		`{"messages":[{"content":[{"type":"text","text":"\u003curl\u003e \u00e9 \"url\""}]}]}`,
		`{"container":null,"mcp_servers":null,"cache_control":null,"speed":null}`,
		`{"tools":[{"name":"web_search_20250305","type":"custom"}]}`,
	} {
		g, _ := newGateway(t, &canned{})
		m, _ := g.Catalog.Lookup("claude-opus-4-6")
		b, err := NewBody(Messages, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		head := ways[catalog.Invoke]
		if err := g.checkFeatures(&head, b, m); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// One pass finds what a search for each needle finds.
func TestAmong(t *testing.T) {
	g, _ := newGateway(t, &canned{})
	all := new(patterns)
	for _, f := range g.Catalog.Features() {
		for _, s := range f.Detect {
			all.add(parsePattern(f.Name, s))
		}
	}
	var bodies []string
	var before string
	for _, p := range all.all {
		needle := string(p.needle)
		bodies = append(bodies, needle, needle[:len(needle)-1], needle[1:], `""`+needle[1:], before+needle)
		before += needle + "x"
	}
	for _, body := range bodies {
		may, none := all.among([]byte(body)), true
		for i, p := range all.all {
			want := strings.Contains(body, string(p.needle))
			if none = none && !want; may != nil && may[i] != want || may == nil && want {
				t.Errorf("%.100q: %q: %t", body, p.needle, want)
			}
		}
		if none != (may == nil) {
			t.Errorf("%.100q: %v", body, may)
		}
	}
	all.add(parsePattern("any", "x[].type=*"))
	if may := all.among([]byte("{}")); may == nil || !may[len(may)-1] || may[0] {
		t.Errorf("a pattern without a needle may match anything: %v", may)
	}
}

func TestHidesWords(t *testing.T) {
	for data, want := range map[string]bool{
		`plain`: false, `\u003c \u003e \u0026 \u00e9 \u2028 \n \"`: false, `\u001b[0m`: false,
		`\u0061`: true, `\u005F`: true, `\u0030`: true, `\u003c\u0061`: true, `a\/b`: true, `\u00`: false, `\u00zz`: true,
	} {
		if got := hidesWords([]byte(data)); got != want {
			t.Errorf("%s: %v", data, got)
		}
	}
}

// Nesting costs no more than its depth: the search stops where no feature is.
func TestSearchIsBounded(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 900) + `{"source":{"type":"url"}}` + strings.Repeat(`}`, 900)
	g, _ := newGateway(t, &canned{})
	m, _ := g.Catalog.Lookup("claude-opus-4-6")
	b, err := NewBody(Messages, []byte(`{"x":`+deep+`}`))
	if err != nil {
		t.Fatal(err)
	}
	head := ways[catalog.Invoke]
	if err := g.checkFeatures(&head, b, m); err != nil {
		t.Fatal(err)
	}
}

func TestSampling(t *testing.T) {
	g, _ := newGateway(t, &canned{})
	m, _ := g.Catalog.Lookup("claude-opus-4-7")
	for body, refused := range map[string]bool{
		`{}`: false, `{"temperature":1}`: false, `{"temperature":1.0,"top_p":0.99}`: false, `{"temperature":null}`: false,
		`{"temperature":null,"top_p":1,"top_k":null}`: false,
		`{"temperature":0.7}`:                         true, `{"top_p":0.9}`: true, `{"top_k":40}`: true, `{"temperature":2}`: true, `{"temperature":"1"}`: true,
	} {
		b, err := NewBody(Messages, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		head := ways[catalog.Invoke]
		if err := g.checkFeatures(&head, b, m); (err != nil) != refused {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestCountWhereThereIsNone(t *testing.T) {
	for _, test := range []struct {
		op    *bedrockapi.Operation
		ref   string
		works bool
	}{
		{bedrockapi.CountTokens, opus, true},
		{bedrockapi.CountTokens, "global.anthropic.claude-opus-4-7", false},
		{bedrockapi.CountTokens, "us.anthropic.claude-fable-5", true},
	} {
		g, _ := newGateway(t, &canned{count: 7})
		err := g.Do(t.Context(), newCall(test.op, test.ref, hello), &paper{})
		if (err == nil) != test.works || err != nil && err.Error() != "The provided model doesn't support counting tokens." {
			t.Errorf("%s %s: %v", test.op.Name, test.ref, err)
		}
	}
	// The Messages API counts for it: the clients of the runtime ask there.
	g, _ := newGateway(t, &canned{count: 7})
	body := strings.Replace(helloMessages, opus, "global.anthropic.claude-opus-4-7", 1)
	if err := g.Do(t.Context(), newCall(bedrockapi.CountMessage, "", body), &paper{}); err != nil {
		t.Error(err)
	}
}

// estimating is an upstream that can only estimate.
type estimating struct{ canned }

func (*estimating) CountTokens(context.Context, routing.Route, Request) (Counted, error) {
	return Counted{Tokens: 7, Estimate: true}, nil
}

// Nor is a number of ours passed on under strict, whatever the surface.
func TestNoEstimateUnderStrict(t *testing.T) {
	for _, strict := range []bool{false, true} {
		g, _ := newGateway(t, &estimating{})
		g.Policy.Strict = strict
		err := g.Do(t.Context(), newCall(bedrockapi.CountMessage, "", strings.Replace(helloMessages, opus, "us.anthropic.claude-opus-5", 1)), &paper{})
		if strict != (err != nil) || strict && err.Error() != "The provided model doesn't support counting tokens." {
			t.Errorf("strict %t: %v", strict, err)
		}
	}
}

func TestBetasOfOthers(t *testing.T) {
	up := &canned{frames: whole()}
	g, ring := newGateway(t, up)
	call := newCall(bedrockapi.InvokeModel, opus, hello)
	call.Betas = []string{"mcp-client-2025-11-20"}
	p := &paper{}
	if err := g.Do(t.Context(), call, p); err != nil {
		t.Fatal(err)
	}
	if len(p.meta.Warnings) != 1 || !strings.Contains(p.meta.Warnings[0], "mcp-client-2025-11-20") || len(ring.Records()[0].Warnings) != 1 {
		t.Errorf("warnings %q", p.meta.Warnings)
	}
	g.Policy.Strict = true
	if e := refused(t, g, call); e.Kind != messages.ModelRejected || e.Message != "invalid beta flag" || e.Hint == "" {
		t.Errorf("%+v", e)
	}
}

// Claude Code goes on without its advisor where a refusal has the model's own words.
func TestAdvisorIsRefusedInTheModelsWords(t *testing.T) {
	g, _ := newGateway(t, &canned{})
	m, _ := g.Catalog.Lookup("claude-opus-4-6")
	head := ways[catalog.Messages]
	err := g.checkFeatures(&head, bodyOf(t, json.RawMessage(`{"tools":[{"name":"a"},{"type":"advisor_20260301","name":"advisor"}],"messages":[]}`)), m)
	if e := messages.AsError(err); e == nil || e.Kind != messages.ModelRejected || e.Hint == "" ||
		e.Message != "tools.1: Input tag 'advisor_20260301' found using 'type' does not match any of the expected tags" {
		t.Errorf("%v", err)
	}
}
