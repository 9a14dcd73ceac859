package converse_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/schemas"
	"github.com/aws/smithy-go"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/outcrop-dev/outcrop/internal/converse"
)

// corpus lists the golden files of a folder.
func corpus(t *testing.T, folder string) (all []*txtar.Archive) {
	t.Helper()
	files, err := filepath.Glob("testdata/" + folder + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", folder, err)
	}
	for _, f := range files {
		a, err := txtar.ParseFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

func sectionOf(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// outcome is all that a request becomes, as one text.
func outcome(t *testing.T, body []byte, o converse.Options) (model, beside string) {
	t.Helper()
	r, err := converse.ToMessages(body, o)
	if err != nil {
		return "refused: " + err.Error(), ""
	}
	return string(canonical(t, r.Body)), fmt.Sprintf("%+v", r.Settings)
}

// proof is what deleting a member from some document has shown.
type proof struct{ present, model, beside bool }

// TestMembers holds the table to what the code does: a member said to be mapped
// changes what the model gets when it is taken away, one that is beside changes
// what stands there, one without effect changes neither, and one that is refused
// is never in a request that is accepted. Said once for what is read, once for
// what is written.
func TestMembers(t *testing.T) {
	in := map[string]*proof{}
	seen := func(row string) *proof {
		if in[row] == nil {
			in[row] = &proof{}
		}
		in[row].present = true
		return in[row]
	}
	out := map[string]bool{}

	for _, a := range append(corpus(t, "request"), beside()) {
		o := options(string(a.Comment))
		if o.Lossy { // it holds what is refused
			continue
		}
		doc := parse(t, a.Files[0].Data)
		model, besides := outcome(t, drop(t, doc, nil), o)
		for _, m := range find(schemas.ConverseStreamRequest, "ConverseStreamRequest", doc) {
			p := seen(m.row)
			again, beside := outcome(t, drop(t, doc, m.path), o)
			p.model = p.model || again != model
			p.beside = p.beside || beside != besides
		}
		if back := sectionOf(a, "back"); back != nil {
			for _, m := range find(schemas.ConverseStreamRequest, "ConverseStreamRequest", parse(t, back)) {
				out[m.row] = true
			}
		}
	}
	for _, a := range corpus(t, "answer") {
		answer := sectionOf(a, "converse")
		doc := parse(t, answer)
		model, besides := answerOutcome(t, drop(t, doc, nil))
		for _, m := range find(schemas.ConverseResponse, "ConverseResponse", doc) {
			if a.Files[0].Name == "message" {
				out[m.row] = true
			}
			if strings.HasPrefix(model, "refused") {
				continue
			}
			again, beside := answerOutcome(t, drop(t, doc, m.path))
			p := seen(m.row)
			p.model = p.model || again != model
			p.beside = p.beside || beside != besides
		}
	}
	for _, a := range corpus(t, "stream") {
		lines := bytes.Split(bytes.TrimSpace(sectionOf(a, "converse")), []byte("\n"))
		model, besides := streamOutcome(t, lines)
		for i, line := range lines {
			kind, payload, _ := bytes.Cut(line, []byte(" "))
			event := schemas.ConverseStreamOutput.Member(string(kind))
			found := append(find(event, event.TargetID().Name, parse(t, payload)), at{row: rowName("ConverseStreamOutput", string(kind))})
			for _, m := range found {
				if a.Files[0].Name == "messages" {
					out[m.row] = true
				}
				changed := append([][]byte(nil), lines...)
				if m.path == nil {
					changed = append(changed[:i:i], lines[i+1:]...)
				} else {
					changed[i] = append(append(append([]byte(nil), kind...), ' '), drop(t, parse(t, payload), m.path)...)
				}
				again, beside := streamOutcome(t, changed)
				p := seen(m.row)
				p.model = p.model || again != model
				p.beside = p.beside || beside != besides
			}
		}
	}
	refused := map[string]bool{}
	for _, r := range refusals {
		if len(r.in) > 1<<20 {
			continue
		}
		for _, m := range find(schemas.ConverseRequest, "ConverseRequest", parse(t, []byte(r.in))) {
			name := m.path[len(m.path)-1].(string)
			if name == "s3Location" && (strings.Contains(r.want, "s3Uri") || strings.Contains(r.want, "source.type")) || strings.Contains(r.want, name) {
				refused[m.row] = true
			}
		}
	}
	for _, row := range []string{"ContentBlockStart.toolResult", "ContentBlockStart.image", "ContentBlockDelta.toolResult", "ContentBlockDelta.image"} {
		refused[row] = refusedInStream(t, row)
	}

	for row, m := range members {
		p := in[row]
		if p == nil {
			p = &proof{}
		}
		switch word, _, _ := strings.Cut(strings.ReplaceAll(m.in, ":", " "), " "); word {
		case "refused":
			if p.present || !refused[row] {
				t.Errorf("%s is said to be refused, but is accepted (%v) or in no refusal (%v)", row, p.present, !refused[row])
			}
		case "under":
			if p.present {
				t.Errorf("%s is said to be under a refused member, but was accepted", row)
			}
		case "beside":
			if p.present && !p.beside {
				t.Errorf("%s is said to be carried beside, but nothing there knows it", row)
			}
			if !p.present && strings.Contains(m.in, "Settings") {
				t.Errorf("%s stands in no test document", row)
			}
		case "without":
			if !p.present || p.model {
				t.Errorf("%s is said to be without effect: present %v, changed the model's side %v", row, p.present, p.model)
			}
		default:
			if !p.present || !p.model {
				t.Errorf("%s is said to be mapped: present %v, changes the model's side %v", row, p.present, p.model)
			}
		}
		never := strings.HasPrefix(m.out, "never")
		if never == out[row] {
			t.Errorf("%s: written %v, but the table says %q", row, out[row], m.out)
		}
	}
}

// beside is a request with everything that stands beside the conversation.
func beside() *txtar.Archive {
	return &txtar.Archive{Files: []txtar.File{{Name: "converse", Data: []byte(`{
 "guardrailConfig": {"guardrailIdentifier": "g1", "guardrailVersion": "2", "trace": "enabled_full", "streamProcessingMode": "async"},
 "additionalModelResponseFieldPaths": ["/stop_sequence"], "requestMetadata": {"team": "a"},
 "performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "flex"},
 "toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}], "toolChoice": {"any": {}}},
 "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}`)}}}
}

func answerOutcome(t *testing.T, answer []byte) (model, beside string) {
	t.Helper()
	message, e, _, err := converse.ReadAnswer(answer, "", "", false)
	if err != nil {
		return "refused: " + err.Error(), ""
	}
	return string(canonical(t, message)), fmt.Sprintf("%+v", e)
}

func streamOutcome(t *testing.T, lines [][]byte) (model, beside string) {
	t.Helper()
	r := &converse.StreamReader{}
	for _, line := range lines {
		kind, payload, _ := bytes.Cut(line, []byte(" "))
		events, err := r.Event(string(kind), payload)
		if err != nil {
			return model + "refused: " + err.Error(), ""
		}
		for _, e := range events {
			model += string(canonical(t, e.Payload)) + "\n"
		}
	}
	return model, fmt.Sprintf("%+v", r.Envelope())
}

func refusedInStream(t *testing.T, row string) bool {
	t.Helper()
	shape, member, _ := strings.Cut(row, ".")
	kind, name := converse.ContentBlockStart, "start"
	if shape == "ContentBlockDelta" {
		kind, name = converse.ContentBlockDelta, "delta"
	}
	r := &converse.StreamReader{}
	if _, err := r.Event(converse.MessageStart, []byte(`{"role":"assistant"}`)); err != nil {
		t.Fatal(err)
	}
	_, err := r.Event(kind, []byte(`{"contentBlockIndex":0,"`+name+`":{"`+member+`":{}}}`))
	return err != nil && strings.Contains(err.Error(), member)
}

// samples are one block of each kind, as short as AWS lets it be.
var samples = map[string]string{
	"text": `"x"`, "image": `{"format":"png","source":{"bytes":"AAAA"}}`,
	"document": `{"name":"a","source":{"text":"x"}}`, "video": `{"format":"mp4","source":{"bytes":"AAAA"}}`,
	"audio": `{"format":"mp3","source":{"bytes":"AAAA"}}`, "toolUse": `{"toolUseId":"b","name":"t","input":{}}`,
	"toolResult": `{"toolUseId":"a","content":[]}`, "guardContent": `{"text":{"text":"x"}}`,
	"cachePoint": `{"type":"default"}`, "reasoningContent": `{"reasoningText":{"text":"x"}}`,
	"citationsContent": `{"content":[{"text":"x"}]}`, "searchResult": `{"source":"s","title":"t","content":[{"text":"x"}]}`,
	"toolAddition": `{"tool":{"name":"t"}}`, "toolRemoval": `{"tool":{"name":"t"}}`, "json": `{"a":1}`,
	"toolSpec": `{"name":"u","inputSchema":{"json":{"type":"object"}}}`, "systemTool": `{"name":"s"}`,
}

// placed puts a block of Converse at a place of an otherwise sound request.
func placed(at converse.Place, block string) string {
	in := map[converse.Place]string{converse.User: hi, converse.MidSystem: hi, converse.Assistant: hi, converse.System: hi, converse.Result: hi,
		converse.Tools: `{"toolSpec":{"name":"t","inputSchema":{"json":{"type":"object"}}}}`}
	in[at] += "," + block
	answer := `,{"toolResult":{"toolUseId":"a","content":[` + in[converse.Result] + `]}}`
	if at == converse.User && strings.Contains(block, `{"toolResult"`) {
		answer = ""
	}
	if at == converse.Assistant && strings.Contains(block, `{"toolUse"`) {
		answer += `,{"toolResult":{"toolUseId":"b","content":[]}}`
	}
	return with(`"system":[`+in[converse.System]+`],"toolConfig":{"tools":[`+in[converse.Tools]+`]}`,
		user(hi), model(in[converse.Assistant]+`,`+use), user(in[converse.User]+answer), `{"role":"system","content":[`+in[converse.MidSystem]+`]}`)
}

// unions are where AWS lets content stand, and which union it is there.
var unions = map[converse.Place]*smithy.Schema{
	converse.User: schemas.ContentBlock, converse.Assistant: schemas.ContentBlock, converse.MidSystem: schemas.ContentBlock,
	converse.Answer: schemas.ContentBlock, converse.System: schemas.SystemContentBlock,
	converse.Result: schemas.ToolResultContentBlock, converse.Tools: schemas.Tool,
}

func rowOf(rows []converse.Row, kind string) *converse.Row {
	for i := range rows {
		if rows[i].Kind == kind {
			return &rows[i]
		}
	}
	return nil
}

// Every kind of Converse block is carried from every place that the table says,
// and refused by name at every other that AWS's unions allow.
func TestEveryBlockOfConverse(t *testing.T) {
	kinds := map[string]bool{}
	for _, at := range converse.Places() {
		for kind := range unions[at].Members() {
			kinds[kind] = true
			row := rowOf(converse.FromConverse(), kind)
			if row == nil || samples[kind] == "" {
				t.Errorf("%s has no row or no sample", kind)
				continue
			}
			block := `{"` + kind + `":` + samples[kind] + `}`
			var err error
			if at == converse.Answer {
				_, _, _, err = converse.ReadAnswer([]byte(`{"output":{"message":{"role":"assistant","content":[`+block+`]}},"stopReason":"end_turn","usage":{}}`), "", "", false)
			} else {
				_, err = converse.ToMessages([]byte(placed(at, block)), converse.Options{TextOf: textOf})
			}
			switch {
			case row.At&at != 0 && err != nil:
				t.Errorf("%s in %s should be carried: %v", kind, at, err)
			case row.At&at == 0 && err == nil:
				t.Errorf("%s in %s should be refused", kind, at)
			case row.At&at == 0 && !strings.Contains(asError(t, err).Message, kind):
				t.Errorf("%s in %s is refused without its name: %v", kind, at, err)
			}
		}
	}
	for _, row := range converse.FromConverse() {
		if !kinds[row.Kind] {
			t.Errorf("the row %s is of no kind", row.Kind)
		}
	}
}

// samplesOfMessages are one block of each kind that Converse can hold.
var samplesOfMessages = map[string]string{
	"text": `"text":"x"`, "image": `"source":{"type":"base64","media_type":"image/png","data":"AAAA"}`,
	"document":      `"source":{"type":"text","media_type":"text/plain","data":"x"}`,
	"search_result": `"source":"s","title":"t","content":[{"type":"text","text":"x"}]`,
	"tool_use":      `"id":"b","name":"t","input":{}`, "tool_result": `"tool_use_id":"a","content":"x"`,
	"thinking": `"thinking":"x","signature":"s"`, "redacted_thinking": `"data":"x"`,
}

// kindsOf reads the kinds of a union of the Anthropic client.
func kindsOf(union any) (kinds []string) {
	t := reflect.TypeOf(union)
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() != reflect.Pointer || !strings.HasPrefix(f.Name, "Of") {
			continue
		}
		if tag, ok := f.Type.Elem().FieldByName("Type"); ok {
			kinds = append(kinds, tag.Tag.Get("default"))
		}
	}
	return kinds
}

// Every kind of Messages block that the official client knows has a row, and is
// carried from every place that the row says and refused by name elsewhere; so
// is a kind of tomorrow.
func TestEveryBlockOfMessages(t *testing.T) {
	kinds := map[string]bool{"hologram": false}
	for _, union := range []any{anthropic.ContentBlockParamUnion{}, anthropic.ToolResultBlockParamContentUnion{},
		anthropic.BetaContentBlockParamUnion{}, anthropic.BetaToolResultBlockParamContentUnion{}} {
		of := kindsOf(union)
		if len(of) < 5 {
			t.Fatalf("%T: only %q", union, of)
		}
		for _, k := range of {
			kinds[k] = true
		}
	}
	for kind, known := range kinds {
		row := rowOf(converse.ToConverse(), kind)
		if row == nil {
			if known {
				t.Errorf("%s has no row in table.go", kind)
			}
			row = &converse.Row{Kind: kind}
		}
		body := samplesOfMessages[kind]
		if row.At != 0 && body == "" {
			t.Errorf("%s has no sample", kind)
		}
		if body != "" {
			body = "," + body
		}
		for _, at := range []converse.Place{converse.User, converse.Assistant, converse.MidSystem, converse.System, converse.Result, converse.Answer} {
			err := carry(at, `{"type":"`+kind+`"`+body+`}`)
			switch {
			case row.At&at != 0 && err != nil:
				t.Errorf("%s in %s should be carried: %v", kind, at, err)
			case row.At&at == 0 && err == nil:
				t.Errorf("%s in %s should be refused", kind, at)
			case row.At&at == 0 && !strings.Contains(asError(t, err).Message, kind):
				t.Errorf("%s in %s is refused without its name: %v", kind, at, err)
			}
		}
	}
	for _, row := range converse.ToConverse() {
		if !kinds[row.Kind] {
			t.Errorf("the row %s is of no kind that the official client knows", row.Kind)
		}
	}
}

// carry translates a Messages block at a place.
func carry(at converse.Place, block string) error {
	if at == converse.Answer {
		_, _, err := converse.AppendAnswer(nil, []byte(`{"content":[`+block+`],"stop_reason":"end_turn","usage":{}}`), converse.Envelope{})
		return err
	}
	in := map[converse.Place]string{}
	for _, p := range converse.Places() {
		in[p] = `{"type":"text","text":"x"}`
	}
	in[at] += "," + block
	_, _, err := converse.FromMessages([]byte(`{"system":[`+in[converse.System]+`],"tools":[{"name":"t","input_schema":{"type":"object"}}],"messages":[
{"role":"user","content":"Hi"},
{"role":"assistant","content":[`+in[converse.Assistant]+`,{"type":"tool_use","id":"a","name":"t","input":{}}]},
{"role":"user","content":[`+in[converse.User]+`,{"type":"tool_result","tool_use_id":"a","content":[`+in[converse.Result]+`]}]},
{"role":"system","content":[`+in[converse.MidSystem]+`]}]}`), false)
	return err
}
