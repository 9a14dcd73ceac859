package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/schemas"
	"github.com/aws/smithy-go"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/converse"
)

// Requests that say nothing but hello.
const (
	helloConverse = `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`
	helloInvoke   = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`
	helloMessage  = `{"model":"` + opusRef + `","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`
)

// other is the request with another word.
func other(t *testing.T, body string) string {
	if in := inner(t, body); in != body {
		return countOf("invokeModel", strings.Replace(in, "hi", "ho", 1))
	}
	return strings.Replace(body, "hi", "ho", 1)
}

// beside adds members to a request.
func beside(members, body string) string { return "{" + members + "," + body[1:] }

func countOf(kind, body string) string {
	if kind == "invokeModel" {
		return `{"input":{"invokeModel":{"body":"` + base64.StdEncoding.EncodeToString([]byte(body)) + `"}}}`
	}
	return `{"input":{"converse":` + body + `}}`
}

// field is one thing that a caller may say.
type field struct{ name, says string }

// Members of Converse's request, each with a value that asks for something. A
// test demands one for each that AWS's shape has.
var converseFields = []field{
	{"messages", ""},
	{"system", `"system":[{"text":"x"}]`},
	{"inferenceConfig.maxTokens", `"inferenceConfig":{"maxTokens":5}`},
	{"inferenceConfig.temperature", `"inferenceConfig":{"temperature":0.5}`},
	{"inferenceConfig.topP", `"inferenceConfig":{"topP":0.5}`},
	{"inferenceConfig.stopSequences", `"inferenceConfig":{"stopSequences":["x"]}`},
	{"toolConfig.tools", `"toolConfig":{"tools":[{"toolSpec":{"name":"t","inputSchema":{"json":{"type":"object"}}}}]}`},
	{"toolConfig.toolChoice", `"toolConfig":{"tools":[{"toolSpec":{"name":"t","inputSchema":{"json":{"type":"object"}}}}],"toolChoice":{"any":{}}}`},
	{"additionalModelRequestFields", `"additionalModelRequestFields":{"top_k":5}`},
	{"additionalModelResponseFieldPaths", `"additionalModelResponseFieldPaths":["/stop_sequence"]`},
	{"outputConfig.textFormat", `"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\"}"}}}}`},
	{"outputConfig.effort", `"outputConfig":{"effort":"low"}`},
	{"requestMetadata", `"requestMetadata":{"team":"a"}`},
	{"guardrailConfig", `"guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"}`},
	{"performanceConfig.latency optimized", `"performanceConfig":{"latency":"optimized"}`},
	{"performanceConfig.latency standard", `"performanceConfig":{"latency":"standard"}`},
	{"serviceTier priority, flex, reserved", `"serviceTier":{"type":"priority"}`},
	{"serviceTier default", `"serviceTier":{"type":"default"}`},
	{"promptVariables", `"promptVariables":{"a":{"text":"b"}}`},
}

// Headers of InvokeModel, likewise.
var invokeHeaders = []field{
	{bedrockapi.HeaderTrace, "ENABLED"},
	{bedrockapi.HeaderGuardrailID + " with " + bedrockapi.HeaderGuardrailVersion, "g"},
	{bedrockapi.HeaderLatency + ": optimized", "optimized"},
	{bedrockapi.HeaderServiceTier + ": priority, flex, reserved", "priority"},
	{bedrockapi.HeaderMetadata, `{"team":"a"}`},
	{"Anthropic-Beta", "context-1m-2025-08-07"},
}

// Members of InvokeModel's body. Which model has which is docs/features.md's.
var invokeFields = []field{
	{"system", `"system":"x"`}, {"temperature", `"temperature":0.5`}, {"top_p", `"top_p":0.5`}, {"top_k", `"top_k":5`},
	{"stop_sequences", `"stop_sequences":["x"]`}, {"tools", `"tools":[{"name":"t","input_schema":{"type":"object"}}]`},
	{"tool_choice", `"tools":[{"name":"t","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}`},
	{"thinking", `"thinking":{"type":"adaptive"}`}, {"output_config", `"output_config":{"effort":"low"}`},
	{"metadata", `"metadata":{"user_id":"x"}`}, {"anthropic_beta", `"anthropic_beta":["context-1m-2025-08-07"]`},
	{"context_management", `"context_management":{"edits":[]}`}, {"user_profile_id", `"user_profile_id":"x"`},
	{"a member of tomorrow", `"tomorrow":{"a":1.50}`},
	{"model", `"model":"claude"`}, {"stream", `"stream":true`}, {"mcp_servers", `"mcp_servers":[{"type":"url","url":"https://example.com","name":"x"}]`},
	{"container", `"container":"x"`}, {"speed", `"speed":"fast"`}, {"inference_geo", `"inference_geo":"us"`}, {"fallbacks", `"fallbacks":[{"model":"x"}]`},
}

// blockSamples is one block of each kind of Converse, as short as AWS lets it be.
var blockSamples = map[string]string{
	"text": `"x"`, "image": `{"format":"png","source":{"bytes":"AAAA"}}`,
	"document": `{"name":"a","source":{"text":"x"}}`, "video": `{"format":"mp4","source":{"bytes":"AAAA"}}`,
	"audio": `{"format":"mp3","source":{"bytes":"AAAA"}}`, "toolUse": `{"toolUseId":"b","name":"t","input":{}}`,
	"toolResult": `{"toolUseId":"a","content":[]}`, "guardContent": `{"text":{"text":"x"}}`,
	"cachePoint": `{"type":"default"}`, "reasoningContent": `{"reasoningText":{"text":"x"}}`,
	"citationsContent": `{"content":[{"text":"x"}]}`, "searchResult": `{"source":"s","title":"t","content":[{"text":"x"}]}`,
	"toolAddition": `{"tool":{"name":"t"}}`, "toolRemoval": `{"tool":{"name":"t"}}`, "json": `{"a":1}`,
	"toolSpec": `{"name":"u","inputSchema":{"json":{"type":"object"}}}`, "systemTool": `{"name":"s"}`,
}

// stands is where AWS's shapes let a block stand.
var stands = map[converse.Place]*smithy.Schema{
	converse.User: schemas.ContentBlock, converse.Assistant: schemas.ContentBlock, converse.MidSystem: schemas.ContentBlock,
	converse.System: schemas.SystemContentBlock, converse.Result: schemas.ToolResultContentBlock, converse.Tools: schemas.Tool,
}

// placedBlock puts a block into a conversation that needs no tool unless the
// block does.
func placedBlock(at converse.Place, kind string) string {
	block := `{"` + kind + `":` + blockSamples[kind] + `}`
	role := func(role, content string) string { return `{"role":"` + role + `","content":[` + content + `]}` }
	body := func(members string, turns ...string) string {
		return `{` + members + `"messages":[` + strings.Join(turns, ",") + `]}`
	}
	const (
		hi   = `{"text":"hi"}`
		spec = `{"toolSpec":{"name":"t","inputSchema":{"json":{"type":"object"}}}}`
		tool = `"toolConfig":{"tools":[` + spec + `]},`
		use  = `{"toolUse":{"toolUseId":"a","name":"t","input":{}}}`
	)
	switch at {
	case converse.User:
		if kind == "toolResult" {
			return body(tool, role("user", hi), role("assistant", use), role("user", block))
		}
		return body("", role("user", hi+","+block))
	case converse.Assistant:
		if kind == "toolUse" {
			return body(tool, role("user", hi), role("assistant", block), role("user", `{"toolResult":{"toolUseId":"b","content":[]}}`))
		}
		return body("", role("user", hi), role("assistant", hi+","+block), role("user", hi))
	case converse.MidSystem:
		return body("", role("user", hi), role("system", hi+","+block))
	case converse.System:
		return body(`"system":[`+hi+`,`+block+`],`, role("user", hi))
	case converse.Result:
		return body(tool, role("user", hi), role("assistant", use), role("user", `{"toolResult":{"toolUseId":"a","content":[`+block+`]}}`))
	default:
		return body(`"toolConfig":{"tools":[`+spec+`,`+block+`]},`, role("user", hi))
	}
}

// TestCompat holds docs/compat.md to what the front door does with each
// operation, field and block, before each kind of upstream; -update writes it.
func TestCompat(t *testing.T) {
	got := compat(t)
	const file = "../../docs/compat.md"
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the server does; go test ./internal/httpapi -run TestCompat -update writes it: %v", file, err)
	}
}

func compat(t *testing.T) []byte {
	amazon, server, reading := backends(t)
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`# What is served, and how

<!-- Made by go test ./internal/httpapi -run TestCompat -update: each line was sent through the front door. Do not edit. -->

| word | means |
|---|---|
| native | the upstream gets it under its own name, byte for byte |
| translated | the upstream gets it in the words of its own dialect |
| here | this server sees to it; the upstream gets nothing of it |
| refused | by name, before the upstream is called |

Three kinds of upstream differ: **Amazon Bedrock** itself (` + "`--upstream bedrock`" + `), a **Messages server** that can do all that Claude can
(a URL), and one that reads **text only** (a URL with ` + "`--upstream-can text`" + `). Of a refusal the first words are quoted, as a Messages
server's callers get them; [features.md](features.md) says what each Claude model has, and refuses the rest too.`)
	compatOperations(t, p, amazon, server)
	p("\n## Headers of InvokeModel and InvokeModelWithResponseStream\n")
	table := func(o *bedrockapi.Operation, title string, fields []field, request func(f field) (http.Header, string, string)) {
		p("| %s | %s | %s | %s | |\n|---|---|---|---|---|", title, amazon.name, server.name, reading.name)
		for _, f := range fields {
			header, with, without := request(f)
			row, why := "", ""
			for _, up := range []*backend{amazon, server, reading} {
				v, says := up.verdict(t, o, header, with, without)
				row += " " + v + " |"
				if v == refused && (why == "" || up == server) {
					why = says
				}
			}
			p("%s", strings.TrimRight("| `"+f.name+"` |"+row+" "+quote(why), " ")+" |")
		}
	}
	table(bedrockapi.InvokeModel, "header", invokeHeaders, func(f field) (http.Header, string, string) {
		name, _, _ := strings.Cut(strings.ReplaceAll(f.name, " with ", ": "), ":")
		h := http.Header{name: {f.says}}
		if name == bedrockapi.HeaderGuardrailID {
			h.Set(bedrockapi.HeaderGuardrailVersion, "1")
		}
		return h, helloInvoke, helloInvoke
	})
	p("\n## Body of InvokeModel, InvokeModelWithResponseStream and CountTokens' invokeModel\n")
	table(bedrockapi.InvokeModel, "member", invokeFields, func(f field) (http.Header, string, string) {
		return nil, beside(f.says, helloInvoke), helloInvoke
	})
	for _, f := range invokeFields {
		for _, up := range []*backend{amazon, server, reading} {
			v, _ := up.verdict(t, bedrockapi.InvokeModel, nil, beside(f.says, helloInvoke), helloInvoke)
			n, says := up.verdict(t, bedrockapi.CountTokens, nil, countOf("invokeModel", beside(f.says, helloInvoke)), countOf("invokeModel", helloInvoke))
			if v != n {
				t.Errorf("%s before %s: InvokeModel %s, CountTokens %s (%s)", f.name, up.name, v, n, says)
			}
		}
	}
	p("\n## Body of Anthropic Messages\n\nAs that of InvokeModel, but `model` and `stream` belong to it.\n")
	table(bedrockapi.CreateMessage, "member", []field{{"a member of tomorrow", `"tomorrow":{"a":1.50}`}, {"stream", `"stream":false`}}, func(f field) (http.Header, string, string) {
		return nil, beside(f.says, helloMessage), helloMessage
	})
	p("\n## Request of Converse and ConverseStream\n\nMembers of members: [converse.md](converse.md).\n")
	table(bedrockapi.Converse, "member", converseFields, func(f field) (http.Header, string, string) {
		if f.says == "" {
			return nil, helloConverse, strings.Replace(helloConverse, "hi", "ho", 1)
		}
		return nil, beside(f.says, helloConverse), helloConverse
	})
	p("\n## Request of CountTokens' converse\n\nAWS's shape has these four.\n")
	four := slices.DeleteFunc(slices.Clone(converseFields), func(f field) bool {
		return schemas.ConverseTokensRequest.Member(strings.Split(f.name, ".")[0]) == nil
	})
	table(bedrockapi.CountTokens, "member", four, func(f field) (http.Header, string, string) {
		if f.says == "" {
			return nil, countOf("converse", helloConverse), countOf("converse", strings.Replace(helloConverse, "hi", "ho", 1))
		}
		return nil, countOf("converse", beside(f.says, helloConverse)), countOf("converse", helloConverse)
	})
	compatBlocks(t, p, amazon, server, reading)
	compatAnswers(t, p, server)
	return b.Bytes()
}

// compatOperations has a line for each row of bedrockapi, and names what AWS has
// beside them.
func compatOperations(t *testing.T, p func(string, ...any), amazon, server *backend) {
	p("\n## Operations\n\n| operation | request | %s | %s |\n|---|---|---|---|", amazon.name, server.name)
	served := map[string]bool{}
	for _, o := range bedrockapi.Operations() {
		served[o.Name] = true
		body := map[*bedrockapi.Operation]string{
			bedrockapi.InvokeModel: helloInvoke, bedrockapi.InvokeModelStream: helloInvoke, bedrockapi.Converse: helloConverse, bedrockapi.ConverseStream: helloConverse,
			bedrockapi.CountTokens: countOf("invokeModel", helloInvoke), bedrockapi.CreateMessage: helloMessage, bedrockapi.CreateMessageBare: helloMessage,
			bedrockapi.CountMessage: helloMessage, bedrockapi.CountMessageBare: helloMessage,
		}[o]
		row := ""
		for _, up := range []*backend{amazon, server} {
			v := here
			switch {
			case body == "":
				w := up.knock(t, o, nil, map[bedrockapi.Surface]string{bedrockapi.SurfaceSTS: "Action=GetCallerIdentity&Version=2011-06-15"}[o.Surface])
				if strings.Contains(w.Header().Get(bedrockapi.HeaderErrorType), "UnknownOperation") || up.wire.header != nil {
					t.Errorf("%s: %d %s", o.Name, w.Code, w.Body)
				}
			case o.Stream: // its request is that of the one that does not stream
				v, _ = up.verdict(t, map[*bedrockapi.Operation]*bedrockapi.Operation{bedrockapi.InvokeModelStream: bedrockapi.InvokeModel, bedrockapi.ConverseStream: bedrockapi.Converse}[o], nil, body, other(t, body))
			default:
				v, _ = up.verdict(t, o, nil, body, other(t, body))
			}
			row += " " + v + " |"
		}
		p("| %s | `%s %s` |%s", o.Name, o.Method, o.Path, row)
	}
	for _, service := range []struct {
		name   string
		client any
	}{{"bedrock-runtime", &bedrockruntime.Client{}}, {"bedrock", &bedrock.Client{}}} {
		var missing []string
		for _, name := range operationsOf(service.client) {
			if !served[name] {
				missing = append(missing, name)
			}
		}
		p("\n<details><summary>%d operations of %s that AWS's SDK for Go has beside them are answered with UnknownOperationException</summary>\n\n%s\n\n</details>",
			len(missing), service.name, strings.Join(missing, ", "))
	}
}

// operationsOf reads the operations off a client of AWS's SDK.
func operationsOf(client any) (names []string) {
	c := reflect.TypeOf(client)
	for i := range c.NumMethod() {
		if m := c.Method(i); m.Type.NumIn() == 4 && m.Type.In(2).Kind() == reflect.Pointer && m.Type.In(2).Elem().Name() == m.Name+"Input" {
			names = append(names, m.Name)
		}
	}
	return names
}

// compatBlocks has a row for each of the translation's, in each place that AWS's
// shapes give it, before a Messages server; Amazon Bedrock gets all as they came.
func compatBlocks(t *testing.T, p func(string, ...any), amazon, server, reading *backend) {
	places := slices.DeleteFunc(converse.Places(), func(at converse.Place) bool { return stands[at] == nil })
	p("\n## Blocks of Converse\n\nBefore a Messages server, by place; \"–\": AWS's shape has no such block there. With a star: not before an upstream that reads text only.")
	p("Amazon Bedrock gets each as it came. The system role is refused for every model, as AWS does in Converse.\n")
	head, line := "| block |", "|---|"
	for _, at := range places {
		head, line = head+" "+at.String()+" |", line+"---|"
	}
	p("%s\n%s", head, line)
	for _, row := range converse.FromConverse() {
		if blockSamples[row.Kind] == "" {
			t.Errorf("%s has no sample", row.Kind)
			continue
		}
		cells := ""
		for _, at := range places {
			if stands[at].Member(row.Kind) == nil {
				cells += " – |"
				continue
			}
			body := placedBlock(at, row.Kind)
			v, says := server.verdict(t, bedrockapi.Converse, nil, body, helloConverse)
			server.agree(t, bedrockapi.Converse, body)
			carried := row.At&at != 0 && at != converse.MidSystem
			switch {
			case carried != (v == translated):
				t.Errorf("%s in %s is %s (%s); the table says %v", row.Kind, at, v, says, carried)
			case !carried && at != converse.MidSystem && !strings.Contains(says, row.Kind):
				t.Errorf("%s in %s is refused without its name: %s", row.Kind, at, says)
			}
			if n, _ := amazon.verdict(t, bedrockapi.Converse, nil, body, helloConverse); n != native {
				t.Errorf("%s in %s reaches Amazon Bedrock %s", row.Kind, at, n)
			}
			if r, _ := reading.verdict(t, bedrockapi.Converse, nil, body, helloConverse); r != v {
				v += "*"
			}
			cells += " " + v + " |"
		}
		p("| `%s` |%s", row.Kind, cells)
	}
}

// answerSamples is one block of each kind of Messages that Converse can hold.
var answerSamples = map[string]string{
	"text": `"text":"x"`, "tool_use": `"id":"b","name":"t","input":{}`, "thinking": `"thinking":"x","signature":"s"`, "redacted_thinking": `"data":"x"`,
}

// compatAnswers has a row for each kind of block that a Messages server may answer with.
func compatAnswers(t *testing.T, p func(string, ...any), server *backend) {
	p("\n## Blocks of an answer\n\nOf a Messages server. What is refused is left out with `--lossy=warn`, and named.\n\n| block | InvokeModel, Messages | Converse |\n|---|---|---|")
	for _, row := range append(converse.ToConverse(), converse.Row{Kind: "a kind of tomorrow"}) {
		if row.Becomes != "" && row.At&converse.Answer == 0 {
			continue // never in an answer
		}
		block := `{"type":"` + row.Kind + `"`
		if sample := answerSamples[row.Kind]; sample != "" {
			block += "," + sample
		}
		block += "}"
		server.wire.content = block
		w := server.knock(t, bedrockapi.InvokeModel, nil, helloInvoke)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `{"type":"`+row.Kind+`"`) {
			t.Errorf("%s through InvokeModel: %d %s", row.Kind, w.Code, w.Body)
		}
		v := translated
		w = server.knock(t, bedrockapi.Converse, nil, helloConverse)
		if w.Code != http.StatusOK {
			v = refused
		}
		if carried := row.At&converse.Answer != 0; carried != (v == translated) || v == refused && !strings.Contains(messageOf(t, w), row.Kind) {
			t.Errorf("%s through Converse: %d %s", row.Kind, w.Code, w.Body)
		}
		p("| `%s` | native | %s |", row.Kind, v)
	}
}

// quote is the first sentence of a refusal.
func quote(says string) string {
	if says == "" {
		return ""
	}
	if i := strings.Index(says, ". "); i > 0 {
		says = says[:i+1]
	}
	return "\"" + strings.ReplaceAll(says, "|", "\\|") + "\""
}

// Each member of AWS's shapes has a line in docs/compat.md.
func TestCompatIsWhole(t *testing.T) {
	has := func(fields []field, name string) bool {
		return slices.ContainsFunc(fields, func(f field) bool {
			return f.name == name || strings.HasPrefix(f.name, name+".") || strings.HasPrefix(f.name, name+" ")
		})
	}
	for _, shape := range []*smithy.Schema{schemas.ConverseRequest, schemas.ConverseStreamRequest} {
		for name := range shape.Members() {
			if name != "modelId" && !has(converseFields, name) {
				t.Errorf("%s is not in docs/compat.md", name)
			}
		}
	}
	headers := map[string]string{"GuardrailIdentifier": bedrockapi.HeaderGuardrailID, "GuardrailVersion": bedrockapi.HeaderGuardrailID,
		"PerformanceConfigLatency": bedrockapi.HeaderLatency, "RequestMetadata": bedrockapi.HeaderMetadata, "ServiceTier": bedrockapi.HeaderServiceTier, "Trace": bedrockapi.HeaderTrace}
	in := reflect.TypeFor[bedrockruntime.InvokeModelInput]()
	for i := range in.NumField() {
		f := in.Field(i)
		if !f.IsExported() || slices.Contains([]string{"Body", "ModelId", "Accept", "ContentType"}, f.Name) { // it is JSON, whatever they say
			continue
		}
		if name := headers[f.Name]; !slices.ContainsFunc(invokeHeaders, func(h field) bool { return name != "" && strings.HasPrefix(h.name, name) }) {
			t.Errorf("InvokeModel's %s is not in docs/compat.md", f.Name)
		}
	}
}
