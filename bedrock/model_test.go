package bedrock_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// The constants are the catalog's models that InvokeModel has: no more, no fewer,
// and Anthropic's names lead to them.
func TestConstantsAreTheCatalog(t *testing.T) {
	data, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "model.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]string{} // id -> name
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			id, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			constants[id] = v.Names[0].Name
		}
	}
	for _, m := range data.Models() {
		name, ok := constants[m.ID]
		if ok != m.Serves(catalog.Invoke) {
			t.Errorf("%s: constant %q, InvokeModel has it: %v", m.ID, name, m.Serves(catalog.Invoke))
		}
		delete(constants, m.ID)
		if !ok {
			continue
		}
		for _, ref := range append([]string{m.FirstPartyID}, m.Aliases...) {
			if base := bedrock.Regional(ref); base != m.ID && (base != ref || !strings.HasPrefix(ref, "anthropic.")) {
				t.Errorf("Regional(%q) is %q, want %q", ref, base, m.ID)
			}
		}
	}
	for id, name := range constants {
		t.Errorf("%s = %q is not in the catalog", name, id)
	}
}

func TestModelIDs(t *testing.T) {
	const profile = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6"
	const own = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
	for _, tc := range []struct{ got, want string }{
		{bedrock.Global(bedrock.ClaudeOpus4_6), "global.anthropic.claude-opus-4-6-v1"},
		{bedrock.Global("us.anthropic.claude-opus-4-6-v1:0"), "global.anthropic.claude-opus-4-6-v1:0"},
		{bedrock.Global(anthropic.ModelClaudeOpus4_6), "global.anthropic.claude-opus-4-6-v1"},
		{bedrock.Global(anthropic.ModelClaudeSonnet4_5_20250929), "global.anthropic.claude-sonnet-4-5-20250929-v1:0"},
		{bedrock.Geo("eu", anthropic.ModelClaudeHaiku4_5), "eu.anthropic.claude-haiku-4-5-20251001-v1:0"},
		{bedrock.Geo("us-gov", bedrock.ClaudeFable5_1), "us-gov.anthropic.claude-fable-5-1"},
		{bedrock.Geo("jp", "us-gov.anthropic.claude-fable-5-1"), "jp.anthropic.claude-fable-5-1"},
		{bedrock.Regional("global.anthropic.claude-opus-4-6-v1:0"), "anthropic.claude-opus-4-6-v1:0"},
		{bedrock.Global(profile), "global.anthropic.claude-sonnet-4-6"},
		{bedrock.Global(own), own},
		{bedrock.Global("claude-of-tomorrow"), "claude-of-tomorrow"},
		{bedrock.Global("claude"), "claude"},
		{bedrock.Global("claude-opus-5"), "global.anthropic.claude-opus-5"}, // not Opus 5.5
		{bedrock.Regional(""), ""},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
}

func TestParseModelID(t *testing.T) {
	for s, want := range map[string]bedrock.ModelID{
		"anthropic.claude-opus-4-6-v1:0":                                                     {Base: "anthropic.claude-opus-4-6-v1:0"},
		"us-gov.anthropic.claude-x":                                                          {Prefix: "us-gov", Base: "anthropic.claude-x"},
		"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-x":                     {Base: "anthropic.claude-x", Partition: "aws", Region: "us-east-1", Kind: "foundation-model", Name: "anthropic.claude-x"},
		"arn:aws-us-gov:bedrock:us-gov-west-1:1:inference-profile/us-gov.anthropic.claude-x": {Prefix: "us-gov", Base: "anthropic.claude-x", Partition: "aws-us-gov", Region: "us-gov-west-1", Account: "1", Kind: "inference-profile", Name: "us-gov.anthropic.claude-x"},
		"arn:aws:bedrock:us-east-1:1:application-inference-profile/a/b":                      {Partition: "aws", Region: "us-east-1", Account: "1", Kind: "application-inference-profile", Name: "a/b"},
		"arn:aws:bedrock:::foundation-model/anthropic.claude-x":                              {Base: "anthropic.claude-x", Partition: "aws", Kind: "foundation-model", Name: "anthropic.claude-x"},
	} {
		got, err := bedrock.ParseModelID(s)
		if err != nil || got != want {
			t.Errorf("%s: %+v, error %v", s, got, err)
		}
		if got.String() != s {
			t.Errorf("%s comes back as %s", s, got)
		}
	}
	for _, s := range []string{"", "claude-opus-4-6", "amazon.nova-pro-v1:0", "anthropic.", "us.anthropic.", ".anthropic.claude-x", "US.anthropic.claude-x", "anthropic.claude x", "us..anthropic.claude-x",
		"arn:", "arn:aws:s3:::bucket/x", "arn:aws:bedrock:us-east-1:1:inference-profile", "arn:aws:bedrock:us-east-1:1:inference-profile/", "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova"} {
		if got, err := bedrock.ParseModelID(s); !errors.Is(err, bedrock.ErrValidation) {
			t.Errorf("%q: %+v, error %v", s, got, err)
		}
	}
}
