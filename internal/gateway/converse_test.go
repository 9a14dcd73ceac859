package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// able is an upstream that speaks Messages and can do all that a model can.
var able = Capabilities{Images: true, Documents: true, Tools: true, Thinking: true}

func newConverse(op *bedrockapi.Operation, ref, body string) *Call {
	call := newCall(op, ref, body)
	call.Dialect = Converse
	return call
}

// inConverse shows a pattern of features.json in Converse's own words, where it
// has some. A pattern that begins at a member of the body needs no row: it stands
// in additionalModelRequestFields. "": Converse has no words for it.
var inConverse = map[string]string{
	"system":                               `"system":[{"text":"x"}]`,
	"**.type=image":                        blocks(`{"image":{"format":"png","source":{"bytes":"iVBORw0KGgo="}}}`),
	"**.source.media_type=application/pdf": blocks(`{"text":"x"},{"document":{"format":"pdf","name":"x","source":{"bytes":"JVBERi0xLjQK"},"citations":{"enabled":true}}}`),
	"**.citations.enabled=true":            blocks(`{"text":"x"},{"document":{"format":"txt","name":"x","source":{"text":"x"},"citations":{"enabled":true}}}`),
	"**.type=search_result":                blocks(`{"searchResult":{"source":"x","title":"x","content":[{"text":"x"}]}}`),
	"**.cache_control":                     blocks(`{"text":"x"},{"cachePoint":{"type":"default"}}`),
	"**.cache_control.ttl=1h":              blocks(`{"text":"x"},{"cachePoint":{"type":"default","ttl":"1h"}}`),
	"**.source.type=url":                   "",
	"**.source.type=file":                  "",
	"**.type=container_upload":             "",
	"output_config.effort":                 `"outputConfig":{"effort":"low"}`,
	"output_config.format":                 `"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\"}"}}}}`,
	"temperature":                          `"inferenceConfig":{"temperature":0.5}`,
	"top_p":                                `"inferenceConfig":{"topP":0.5}`,
	"messages[-1].role=assistant":          `"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"assistant","content":[{"text":"x"}]}]`,
	"messages[].role=system":               `"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"system","content":[{"text":"x"}]}]`,
	"tools":                                `"toolConfig":{"tools":[{"toolSpec":{"name":"x","inputSchema":{"json":{"type":"object"}}}}]}`,
	"tool_choice.type=any":                 `"toolConfig":{"tools":[{"toolSpec":{"name":"x","inputSchema":{"json":{"type":"object"}}}}],"toolChoice":{"any":{}}}`,
	"tool_choice.type=tool":                `"toolConfig":{"tools":[{"toolSpec":{"name":"x","inputSchema":{"json":{"type":"object"}}}}],"toolChoice":{"tool":{"name":"x"}}}`,
	"tools[].strict=true":                  `"toolConfig":{"tools":[{"toolSpec":{"name":"x","strict":true,"inputSchema":{"json":{"type":"object"}}}}]}`,
}

func blocks(content string) string {
	return `"messages":[{"role":"user","content":[` + content + `]}]`
}

// asConverse is a whole Converse body that shows the pattern.
func asConverse(t *testing.T, detect string) (body string, counted bool) {
	t.Helper()
	members, ok := inConverse[detect]
	if !ok {
		extra, err := json.Marshal(shows(t, detect))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(detect, "**") || strings.HasPrefix(detect, "messages") {
			t.Fatalf("%s: how does Converse say this?", detect)
		}
		members = `"additionalModelRequestFields":` + string(extra)
	}
	if !strings.HasPrefix(members, `"messages"`) {
		members += "," + blocks(`{"text":"x"}`)
	}
	return "{" + members + "}", !strings.HasPrefix(members, `"inferenceConfig"`) && !strings.HasPrefix(members, `"outputConfig"`)
}

// TestFeaturesInConverse is TestFeatures for a Converse body, from the caller's
// bytes to the upstream: refused by name where the cell says no, for the call and
// for its count, and passed on elsewhere.
func TestFeaturesInConverse(t *testing.T) {
	g, _ := newGateway(t, nil)
	said := slices.Collect(maps.Keys(inConverse))
	for _, f := range g.Catalog.Features() {
		for _, detect := range f.Detect {
			if i := slices.Index(said, detect); i >= 0 {
				said = slices.Delete(said, i, i+1)
			}
			if words, ok := inConverse[detect]; ok && words == "" {
				continue
			}
			t.Run(f.Name+"/"+detect, func(t *testing.T) {
				body, counted := asConverse(t, detect)
				for _, m := range g.Catalog.Models() {
					for op, api := range map[*bedrockapi.Operation]catalog.API{bedrockapi.Converse: catalog.Converse, bedrockapi.CountTokens: catalog.Count} {
						if op == bedrockapi.CountTokens && (!counted || m.Feature("count_tokens", catalog.Count).Level == catalog.No) {
							continue
						}
						up := &canned{capabilities: able, frames: whole()}
						g, _ := newGateway(t, up)
						err := g.Do(t.Context(), newConverse(op, m.ID, body), &paper{})
						name := fmt.Sprintf("%s of %s by %s: %s", op.Name, f.Name, m.ID, body)
						if m.Feature(f.Name, api).Level == catalog.No {
							if err == nil || up.got.Body != nil {
								t.Errorf("%s: accepted, or the upstream was called: %v", name, err)
							}
							continue
						}
						if refusedFor(err, f) {
							t.Errorf("%s: %v", name, err)
						}
					}
				}
			})
		}
	}
	if len(said) > 0 {
		t.Errorf("no feature has the patterns %q", said)
	}
}

// What Converse has no words for is refused as its own shape is read, in
// whatever form a caller tries.
func TestConverseHasNoWordsFor(t *testing.T) {
	for name, body := range map[string]string{
		"an image by URL":      blocks(`{"image":{"format":"png","source":{"url":"https://example.com/a.png"}}}`),
		"an image of Messages": blocks(`{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}`),
		"a file":               blocks(`{"text":"x"},{"document":{"name":"x","source":{"file":"file_1"}}}`),
		"an upload":            blocks(`{"containerUpload":{"fileId":"x"}}`),
		"a beta of no header":  `"additionalModelRequestFields":{"anthropic_beta":["a","b\nc"]},` + blocks(`{"text":"x"}`),
		"messages beside":      `"additionalModelRequestFields":{"messages":[{"role":"user","content":[{"type":"container_upload","file_id":"x"}]}]},` + blocks(`{"text":"x"}`),
	} {
		up := &canned{capabilities: able, frames: whole()}
		g, _ := newGateway(t, up)
		e := refused(t, g, newConverse(bedrockapi.Converse, opus, "{"+body+"}"))
		if e.Kind != messages.InvalidRequest || up.got.Body != nil {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// TestCapabilities: what the model has and the upstream has not is refused by
// name, whatever the dialect; what it has passes.
func TestCapabilities(t *testing.T) {
	invoke := func(members string) *Call {
		return newCall(bedrockapi.InvokeModel, opus, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,`+members+`}`)
	}
	hi := `"messages":[{"role":"user","content":"hi"}]`
	for _, test := range []struct {
		name string
		call *Call
		can  Capabilities
		want string
	}{
		{"an image", invoke(`"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]`),
			Capabilities{Images: true}, "Not supported by the upstream canned: Images."},
		{"an image in a tool's result", invoke(`"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}]`),
			Capabilities{Images: true}, "Not supported by the upstream canned: Images."},
		{"an image of Converse", newConverse(bedrockapi.Converse, opus, "{"+inConverse["**.type=image"]+"}"), Capabilities{Images: true}, "Not supported by the upstream canned: Images."},
		{"a tool", invoke(`"tools":[{"name":"t","input_schema":{"type":"object"}}],` + hi), Capabilities{Tools: true}, "Not supported by the upstream canned: Tools of the caller."},
		{"a tool of Converse", newConverse(bedrockapi.Converse, opus, "{"+inConverse["tools"]+","+blocks(`{"text":"x"}`)+"}"), Capabilities{Tools: true}, "Not supported by the upstream canned: Tools of the caller."},
		{"thinking", invoke(`"thinking":{"type":"enabled","budget_tokens":1024},` + hi), Capabilities{Thinking: true}, "Not supported by the upstream canned: Extended thinking with a budget."},
		{"adaptive thinking", invoke(`"thinking":{"type":"adaptive"},` + hi), Capabilities{Thinking: true}, "Not supported by the upstream canned: Adaptive thinking."},
		{"no thinking", invoke(`"thinking":{"type":"disabled"},` + hi), Capabilities{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			up := &canned{capabilities: test.can, frames: whole()}
			g, _ := newGateway(t, up)
			if err := g.Do(t.Context(), test.call, &paper{}); err != nil {
				t.Errorf("with %+v: %v", test.can, err)
			}
			if test.want == "" {
				return
			}
			up = &canned{frames: whole()}
			g, _ = newGateway(t, up)
			if e := refused(t, g, test.call); e.Kind != messages.InvalidRequest || e.Message != test.want || up.got.Body != nil {
				t.Errorf("%v, want %s", e, test.want)
			}
		})
	}
}

// What Converse says beside the conversation is in the record, as the headers of
// InvokeModel are.
func TestConverseSettingsAreRecorded(t *testing.T) {
	g, ring := newGateway(t, &canned{capabilities: able, frames: whole()})
	call := newConverse(bedrockapi.Converse, opus, `{`+blocks(`{"text":"x"}`)+
		`,"requestMetadata":{"team":"a"},"performanceConfig":{"latency":"standard"},"serviceTier":{"type":"default"}}`)
	if err := g.Do(t.Context(), call, &paper{}); err != nil {
		t.Fatal(err)
	}
	if r := ring.Records()[0]; r.Metadata["team"] != "a" || r.Latency != "standard" || r.Tier != "default" {
		t.Errorf("%+v", r)
	}
}

// dropping is a Writer whose surface cannot carry all of the answer.
type dropping struct {
	paper
	meter *Meter
}

func (d *dropping) Begin(m Meta, meter *Meter) error {
	d.meter = meter
	return d.paper.Begin(m, meter)
}

func (d *dropping) Frame(f Frame) error {
	d.meter.Drop([]string{"content.1"})
	return d.paper.Frame(f)
}

// TestLossy: without it what cannot be carried is refused by name; with it, it is
// named to the surface and in the record.
func TestLossy(t *testing.T) {
	body := `{` + blocks(`{"text":"x"}`) + `,"promptVariables":{"a":{"text":"b"}}}`
	for _, lossy := range []bool{false, true} {
		g, ring := newGateway(t, &canned{capabilities: able, frames: whole()})
		g.Lossy = lossy
		w := &dropping{}
		err := g.Do(t.Context(), newConverse(bedrockapi.Converse, opus, body), w)
		r := ring.Records()[0]
		switch {
		case !lossy && (err == nil || !strings.Contains(err.Error(), "promptVariables") || len(r.Warnings) > 0):
			t.Errorf("refused: %v; the record says %q", err, r.Warnings)
		case lossy && err != nil:
			t.Error(err)
		case lossy:
			want := []string{"left out of the request: promptVariables", "left out of the answer: content.1"}
			if !slices.Equal(r.Warnings, want) || !slices.Equal(w.meta.Dropped, []string{"promptVariables"}) {
				t.Errorf("the record says %q, the surface is told %q", r.Warnings, w.meta.Dropped)
			}
		}
	}
}
