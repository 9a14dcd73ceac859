package catalog

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

func modelIDs(list []FoundationModel) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.ID)
	}
	return out
}

// The page's command: list-foundation-models --region=us-west-2 --by-provider anthropic.
func TestFoundationModels(t *testing.T) {
	c := loaded(t)
	got := modelIDs(c.FoundationModels("us-west-2", ModelFilter{Provider: "anthropic"}, Policy{Now: today}))
	want := strings.Fields(`
		anthropic.claude-opus-4-6-v1:0 anthropic.claude-sonnet-4-5-20250929-v1:0 anthropic.claude-sonnet-4-20250514-v1:0
		anthropic.claude-3-7-sonnet-20250219-v1:0 anthropic.claude-opus-4-5-20251101-v1:0 anthropic.claude-opus-4-1-20250805-v1:0
		anthropic.claude-opus-4-20250514-v1:0 anthropic.claude-haiku-4-5-20251001-v1:0 anthropic.claude-3-5-haiku-20241022-v1:0
		anthropic.claude-3-haiku-20240307-v1:0
		anthropic.claude-sonnet-4-6 anthropic.claude-opus-4-7 anthropic.claude-opus-4-8 anthropic.claude-sonnet-5 anthropic.claude-opus-5
		anthropic.claude-fable-5 anthropic.claude-fable-5-1 anthropic.claude-opus-5-5 anthropic.claude-sonnet-5-5 anthropic.claude-haiku-5-5
		anthropic.claude-mythos-5-1`)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	strict := strings.Join(modelIDs(c.FoundationModels("us-west-2", ModelFilter{}, Policy{Now: today, Strict: true})), " ")
	if strings.Contains(strict, "opus-4-6-v1:0") || strings.Contains(strict, "3-7-sonnet") || !strings.HasPrefix(strict, "anthropic.claude-opus-4-6-v1 ") {
		t.Errorf("strict: %s", strict)
	}
	for _, tt := range []struct {
		region string
		f      ModelFilter
		n      int
	}{
		{"us-west-2", ModelFilter{Provider: "Anthropic", OutputModality: "TEXT", InferenceType: "INFERENCE_PROFILE"}, 21},
		{"us-west-2", ModelFilter{InferenceType: "ON_DEMAND"}, 2}, // Haiku 3.5 and Haiku 3
		{"us-west-2", ModelFilter{InferenceType: "PROVISIONED"}, 0},
		{"us-west-2", ModelFilter{OutputModality: "EMBEDDING"}, 0},
		{"us-west-2", ModelFilter{Customization: "FINE_TUNING"}, 0},
		{"us-west-2", ModelFilter{Provider: "amazon"}, 0},
		{"us-gov-west-1", ModelFilter{}, 4},
		{"mars-1", ModelFilter{}, 0},
	} {
		if got := c.FoundationModels(tt.region, tt.f, Policy{Now: today}); len(got) != tt.n {
			t.Errorf("%s %+v: %d models, want %d: %v", tt.region, tt.f, len(got), tt.n, modelIDs(got))
		}
	}
}

// What is listed can be called, and what can be called is listed.
func TestListsAgreeWithResolve(t *testing.T) {
	c := loaded(t)
	for _, p := range policies {
		for _, region := range c.Regions() {
			listed := map[string]bool{}
			for _, i := range c.InferenceProfiles(region, p.Policy) {
				listed[i.ID] = true
				for _, ref := range []string{i.ID, i.ARN("123456789012")} {
					r, err := c.Resolve(ref, region, p.Policy)
					if err != nil || r.Profile != i.Prefix || r.Model != i.Model {
						t.Fatalf("%s from %s, %s: %v, %v", ref, region, p.name, r, err)
					}
					if one, err := c.InferenceProfile(ref, region, p.Policy); err != nil || one.ID != i.ID {
						t.Fatalf("InferenceProfile(%s): %v", ref, err)
					}
				}
			}
			for _, f := range c.FoundationModels(region, ModelFilter{}, p.Policy) {
				for _, ref := range []string{f.ID, f.ARN()} {
					if one, err := c.FoundationModel(ref, region, p.Policy); err != nil || one.ID != f.ID {
						t.Fatalf("FoundationModel(%s): %v", ref, err)
					}
				}
			}
			for _, m := range c.Models() {
				for _, prefix := range c.prefixes {
					id := join(prefix, c.listID(m, p.Policy))
					if _, err := c.Resolve(id, region, p.Policy); (err == nil) != listed[id] {
						t.Errorf("%s from %s, %s: listed %v, %v", id, region, p.name, listed[id], err)
					}
				}
			}
		}
	}
}

func TestInferenceProfiles(t *testing.T) {
	c := loaded(t)
	var jp InferenceProfile
	var ids []string
	for _, i := range c.InferenceProfiles("ap-northeast-1", Policy{Now: today}) {
		ids = append(ids, i.ID)
		if i.ID == "jp.anthropic.claude-opus-4-6-v1:0" {
			jp = i
		}
	}
	if want := "global.anthropic.claude-opus-4-6-v1:0 jp.anthropic.claude-opus-4-6-v1:0 apac.anthropic.claude-opus-4-6-v1:0 "; !strings.HasPrefix(strings.Join(ids, " "), want) {
		t.Errorf("got %v", ids)
	}
	if jp.Source != "page" || jp.Name != "JP Anthropic Claude Opus 4.6" || jp.Description != "Routes requests to Anthropic Claude Opus 4.6 in ap-northeast-1 and ap-northeast-3." ||
		strings.Join(jp.ModelARNs, " ") != "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-opus-4-6-v1:0 arn:aws:bedrock:ap-northeast-3::foundation-model/anthropic.claude-opus-4-6-v1:0" {
		t.Errorf("%+v", jp)
	}
	strict := Policy{Now: today, Strict: true}
	global, err := c.InferenceProfile("global.anthropic.claude-opus-5", "eu-west-1", strict)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(global.ModelARNs, " "); got != "arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-opus-5 arn:aws:bedrock:::foundation-model/anthropic.claude-opus-5" {
		t.Errorf("global: %s", got)
	}
	gov, err := c.InferenceProfile("us-gov.anthropic.claude-opus-5-5", "us-gov-east-1", strict)
	if err != nil {
		t.Fatal(err)
	}
	if got := gov.ARN("123456789012"); got != "arn:aws-us-gov:bedrock:us-gov-east-1:123456789012:inference-profile/us-gov.anthropic.claude-opus-5-5" {
		t.Error(got)
	}
	for _, ref := range []string{"", "anthropic.claude-opus-5", "us.anthropic.claude-opus-9", "jp.anthropic.claude-opus-4-6-v1", "us.anthropic.claude-3-7-sonnet-20250219-v1:0"} {
		if _, err := c.InferenceProfile(ref, "us-east-1", strict); messages.AsError(err) == nil || messages.AsError(err).Kind != messages.NotFound {
			t.Errorf("InferenceProfile(%q): %v", ref, err)
		}
		if _, err := c.FoundationModel("x"+ref, "us-east-1", strict); messages.AsError(err) == nil || messages.AsError(err).Kind != messages.NotFound {
			t.Errorf("FoundationModel(%q): %v", ref, err)
		}
	}
	for _, i := range c.InferenceProfiles("us-east-1", Policy{Now: today}) {
		if len(i.ID) > 64 || len(i.Name) > 64 || len(i.Description) > 200 {
			t.Errorf("longer than AWS's limits: %+v", i)
		}
	}
}
