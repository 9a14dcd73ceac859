package converse_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/converse"
)

const docFile = "../../docs/converse.md"

// docs/converse.md is made of the tables; -update writes it.
func TestDoc(t *testing.T) {
	got := markdown()
	if *update {
		if err := os.MkdirAll("../../docs", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(docFile, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(docFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the tables say; go test ./internal/converse -update writes it: %v", docFile, err)
	}
}

func markdown() []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Converse and Messages")
	p("")
	p("<!-- Made by go test ./internal/converse -update from the tables of that package. Do not edit. -->")
	p("")
	p("What each member of Converse becomes in Anthropic Messages, and back. An upstream that speaks Converse gets a Converse")
	p("request as it came; this is what happens for any other. Nothing is dropped in silence: what has no place on the other")
	p("side is refused by name, or, with `--lossy=warn`, left out and named in the record and the header `x-outcrop-dropped`. What a streamed")
	p("answer leaves out is in the record alone: the header has gone by then.")
	p("")
	p("## Content, from Converse")
	p("")
	places(p, []converse.Place{converse.User, converse.Assistant, converse.MidSystem, converse.System, converse.Result, converse.Tools, converse.Answer}, converse.FromConverse())
	p("## Content, from Messages")
	p("")
	p("A kind that is not listed is refused as one that is listed without a place.")
	p("")
	places(p, []converse.Place{converse.User, converse.Assistant, converse.MidSystem, converse.System, converse.Result, converse.Answer}, converse.ToConverse())
	p("## Citations")
	p("")
	p("| Converse | Messages |")
	p("|---|---|")
	for _, l := range converse.Locations() {
		p("| `%s` | `%s` |", l[0], l[1])
	}
	p("| `web` | `web_search_result_location`, one way: Messages wants an encrypted index back |")
	p("")
	p("## Stop reasons")
	p("")
	p("| stopReason | stop_reason |")
	p("|---|---|")
	for _, r := range converse.Reasons() {
		p("| `%s` | `%s` |", r[0], r[1])
	}
	p("| `end_turn` | any other, which is named as dropped; `/stop_reason` in additionalModelResponseFieldPaths gives it |")
	p("| `guardrail_intervened` | `end_turn` with `amazon-bedrock-guardrailAction` INTERVENED |")
	p("| `malformed_model_output`, `malformed_tool_use` | `end_turn`, named as dropped |")
	p("")
	p("## Every member")
	p("")
	p("The shapes are those of bedrock-runtime as the AWS SDK for Go has them; a test fails when they have a member that is")
	p("not here. \"beside\" is carried around the translation, \"without effect\" changes nothing for a Claude model.")
	p("ConverseStream's and CountTokens' requests are read as Converse's.")
	p("")
	p("| member | from Converse | to Converse |")
	p("|---|---|---|")
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m := members[name]
		p("| `%s` | %s | %s |", name, m.in, m.out)
	}
	for _, shape := range slices.Sorted(maps.Keys(whole)) {
		p("| `%s.*` | beside: %s | %s |", shape, whole[shape], whole[shape])
	}
	return b.Bytes()
}

func places(p func(string, ...any), at []converse.Place, rows []converse.Row) {
	head, line := "| block | becomes |", "|---|---|"
	for _, place := range at {
		head += " " + place.String() + " |"
		line += "---|"
	}
	p("%s |", head)
	p("%s---|", line)
	for _, r := range rows {
		becomes := r.Becomes
		if becomes == "" {
			becomes = "refused"
		}
		cells := ""
		for _, place := range at {
			if r.At&place != 0 {
				cells += " yes |"
			} else {
				cells += " |"
			}
		}
		p("%s", strings.TrimRight("| `"+r.Kind+"` | "+becomes+" |"+cells+" "+r.Note, " ")+" |")
	}
	p("")
}
