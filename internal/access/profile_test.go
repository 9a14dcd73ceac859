package access_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

const (
	usOpus    = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5"
	oneRegion = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0"
)

func TestCreateProfile(t *testing.T) {
	s := newService(t)
	about := "Costs of team 7"
	p, err := s.CreateProfile(t.Context(), here, access.NewProfile{Name: "team 7", Description: &about, Token: "abc-1", CopyFrom: usOpus,
		Tags: []access.Tag{{Key: "team", Value: "7"}, {Key: "env", Value: ""}}})
	must(t, err)
	if !regexp.MustCompile(`^[a-z0-9]{12}$`).MatchString(p.ID) || p.MadeFrom != usOpus || !p.Created.Equal(clock) {
		t.Errorf("%+v", p)
	}
	if got := strings.Join(p.Models, " "); got != "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5 arn:aws:bedrock:us-east-2::foundation-model/anthropic.claude-opus-5 arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-opus-5" {
		t.Errorf("models: %s", got)
	}
	arn := s.ARN(here, p)
	if want := "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/" + p.ID; arn != want {
		t.Errorf("%s, want %s", arn, want)
	}
	for _, ref := range []string{p.ID, arn} {
		got, err := s.Profile(t.Context(), here, ref)
		must(t, err)
		if fmt.Sprint(got) != fmt.Sprint(p) {
			t.Errorf("%s: %+v", ref, got)
		}
	}
	again, err := s.CreateProfile(t.Context(), here, access.NewProfile{Name: "other", Token: "abc-1", CopyFrom: usOpus})
	must(t, err)
	if again.ID != p.ID || again.Name != "team 7" {
		t.Errorf("the token made another: %+v", again)
	}
	if q, err := s.CreateProfile(t.Context(), here, access.NewProfile{Name: "one Region", CopyFrom: oneRegion}); err != nil || len(q.Models) != 1 || q.Models[0] != oneRegion {
		t.Errorf("%+v, %v", q, err)
	}
	if all, err := s.Profiles(t.Context(), here); err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestCreateProfileRefuses(t *testing.T) {
	s := newService(t)
	long := strings.Repeat("a", 300)
	empty := ""
	accents := "Coûts"
	many := make([]access.Tag, 51)
	for i := range many {
		many[i].Key = fmt.Sprint("k", i)
	}
	for _, test := range []struct {
		name  string
		n     access.NewProfile
		kind  messages.Kind
		words string
	}{
		{"nothing", access.NewProfile{}, messages.InvalidRequest, "2 validation errors detected: Value null at 'inferenceProfileName' failed to satisfy constraint: Member must not be null; Value null at 'modelSource.copyFrom'"},
		{"long name", access.NewProfile{Name: long, CopyFrom: usOpus}, messages.InvalidRequest, "less than or equal to 64"},
		{"name", access.NewProfile{Name: "a--b", CopyFrom: usOpus}, messages.InvalidRequest, "Value 'a--b' at 'inferenceProfileName'"},
		{"empty description", access.NewProfile{Name: "a", Description: &empty, CopyFrom: usOpus}, messages.InvalidRequest, "Value at 'description'"},
		{"long description", access.NewProfile{Name: "a", Description: &long, CopyFrom: usOpus}, messages.InvalidRequest, "Value at 'description'"},
		{"description", access.NewProfile{Name: "a", Description: &accents, CopyFrom: usOpus}, messages.InvalidRequest, "Value at 'description'"},
		{"token", access.NewProfile{Name: "a", Token: "-", CopyFrom: usOpus}, messages.InvalidRequest, "'clientRequestToken'"},
		{"no ARN", access.NewProfile{Name: "a", CopyFrom: "us.anthropic.claude-opus-5"}, messages.InvalidRequest, "'modelSource.copyFrom'"},
		{"another Region's", access.NewProfile{Name: "a", CopyFrom: strings.Replace(usOpus, "east-1", "west-2", 1)}, messages.InvalidRequest, "identifier is invalid"},
		{"another account's", access.NewProfile{Name: "a", CopyFrom: strings.Replace(usOpus, "123456789012", "999999999999", 1)}, messages.InvalidRequest, "identifier is invalid"},
		{"no model", access.NewProfile{Name: "a", CopyFrom: strings.Replace(usOpus, "opus-5", "opus-99", 1)}, messages.InvalidRequest, "identifier is invalid"},
		{"no source", access.NewProfile{Name: "a", CopyFrom: strings.Replace(usOpus, "/us.", "/eu.", 1)}, messages.InvalidRequest, "identifier is invalid"},
		{"a profile's profile", access.NewProfile{Name: "a", CopyFrom: "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl"}, messages.InvalidRequest, "'modelSource.copyFrom'"},
		{"51 tags", access.NewProfile{Name: "a", CopyFrom: usOpus, Tags: many}, messages.TooManyTags, "51 tags"},
		{"201 tags", access.NewProfile{Name: "a", CopyFrom: usOpus, Tags: make([]access.Tag, 201)}, messages.InvalidRequest, "less than or equal to 200"},
		{"a tag twice", access.NewProfile{Name: "a", CopyFrom: usOpus, Tags: []access.Tag{{Key: "a"}, {Key: "a"}}}, messages.InvalidRequest, "more than once"},
		{"AWS's tag", access.NewProfile{Name: "a", CopyFrom: usOpus, Tags: []access.Tag{{Key: "AWS:x"}}}, messages.InvalidRequest, "reserved"},
		{"tag key", access.NewProfile{Name: "a", CopyFrom: usOpus, Tags: []access.Tag{{Key: ""}}}, messages.InvalidRequest, "'tags.1.member.key'"},
		{"tag value", access.NewProfile{Name: "a", CopyFrom: usOpus, Tags: []access.Tag{{Key: "a"}, {Key: "b", Value: "a;b"}}}, messages.InvalidRequest, "'tags.2.member.value'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.CreateProfile(t.Context(), here, test.n)
			refused(t, err, test.kind, test.words)
		})
	}
	if all, _ := s.Profiles(t.Context(), here); len(all) != 0 {
		t.Errorf("made all the same: %+v", all)
	}
}

func TestProfileQuota(t *testing.T) {
	s := newService(t)
	for i := range 1000 {
		must(t, s.Store.AddProfile(t.Context(), here, access.Profile{ID: fmt.Sprintf("%012d", i), Created: clock}))
	}
	_, err := s.CreateProfile(t.Context(), here, access.NewProfile{Name: "a", CopyFrom: usOpus})
	refused(t, err, messages.QuotaExceeded, "1000 application inference profiles")
}

func TestDeleteProfile(t *testing.T) {
	s := newService(t)
	p, err := s.CreateProfile(t.Context(), here, access.NewProfile{Name: "a", CopyFrom: usOpus})
	must(t, err)
	arn := s.ARN(here, p)
	for _, sc := range []access.Scope{{Account: "999999999999", Region: region}, {Account: account, Region: "us-west-2"}} {
		for _, ref := range []string{p.ID, arn} {
			refused(t, s.DeleteProfile(t.Context(), sc, ref), messages.NotFound, "Could not find the inference profile")
			_, err := s.Profile(t.Context(), sc, ref)
			refused(t, err, messages.NotFound, "Could not find the inference profile")
		}
	}
	refused(t, s.DeleteProfile(t.Context(), here, "us.anthropic.claude-opus-5"), messages.InvalidRequest, "system-defined")
	refused(t, s.DeleteProfile(t.Context(), here, "a/b"), messages.InvalidRequest, "'inferenceProfileIdentifier'")
	must(t, s.DeleteProfile(t.Context(), here, arn))
	refused(t, s.DeleteProfile(t.Context(), here, arn), messages.NotFound, "Could not find the inference profile")
	if _, ok := s.MadeFrom(arn); ok {
		t.Error("a deleted profile still resolves")
	}
}

// A profile goes where its source goes, at its source's price, for its own
// account alone.
func TestProfileResolves(t *testing.T) {
	s := newService(t)
	p, err := s.CreateProfile(t.Context(), here, access.NewProfile{Name: "a", CopyFrom: usOpus})
	must(t, err)
	arn := s.ARN(here, p)
	policy := catalog.Policy{Now: clock, Own: s.MadeFrom, OwnHere: true, OwnAccount: account}
	got, err := s.Catalog.Resolve(arn, region, policy)
	must(t, err)
	want, err := s.Catalog.Resolve("us.anthropic.claude-opus-5", region, policy)
	must(t, err)
	if got.Ref != arn || got.Model != want.Model || len(got.Candidates) != len(want.Candidates) || got.Candidates[0] != want.Candidates[0] {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	policy.OwnAccount = "999999999999"
	_, err = s.Catalog.Resolve(arn, region, policy)
	refused(t, err, messages.NotFound, "Could not resolve the foundation model")
	for _, ref := range []string{p.ID, arn + "x", strings.Replace(arn, account, "999999999999", 1), usOpus, "arn:x", "", strings.Replace(arn, region, "mars-north-1", 1)} {
		if from, ok := s.MadeFrom(ref); ok {
			t.Errorf("%s was made from %s", ref, from)
		}
	}
}

func TestTags(t *testing.T) {
	s := newService(t)
	p, err := s.CreateProfile(t.Context(), here, access.NewProfile{Name: "a", CopyFrom: usOpus, Tags: []access.Tag{{Key: "b", Value: "1"}}})
	must(t, err)
	arn := s.ARN(here, p)
	show := func() string {
		t.Helper()
		tags, err := s.Tags(t.Context(), here, arn)
		must(t, err)
		return fmt.Sprint(tags)
	}
	must(t, s.Tag(t.Context(), here, arn, []access.Tag{{Key: "c", Value: "2"}, {Key: "a", Value: ""}}))
	must(t, s.Tag(t.Context(), here, arn, []access.Tag{{Key: "b", Value: "3"}}))
	if got := show(); got != "[{a } {b 3} {c 2}]" {
		t.Error(got)
	}
	must(t, s.Untag(t.Context(), here, arn, []string{"a", "c", "nobody"}))
	if got := show(); got != "[{b 3}]" {
		t.Error(got)
	}
	many := make([]access.Tag, 49)
	for i := range many {
		many[i].Key = fmt.Sprint("k", i)
	}
	must(t, s.Tag(t.Context(), here, arn, many))
	refused(t, s.Tag(t.Context(), here, arn, []access.Tag{{Key: "one more"}}), messages.TooManyTags, "would have 51 tags")
	must(t, s.Tag(t.Context(), here, arn, []access.Tag{{Key: "k1", Value: "again"}}))

	refused(t, s.Tag(t.Context(), here, arn, []access.Tag{{Key: "a"}, {Key: "a"}}), messages.InvalidRequest, "more than once")
	refused(t, s.Untag(t.Context(), here, arn, []string{""}), messages.InvalidRequest, "'tagKeys.1.member'")
	refused(t, s.Untag(t.Context(), here, arn, make([]string, 201)), messages.InvalidRequest, "less than or equal to 200")
	for _, bad := range []string{"arn:aws:bedrock:us-east-1:123456789012:guardrail/abcdefgh", strings.Replace(arn, account, "999999999999", 1), arn + "x", usOpus} {
		_, err := s.Tags(t.Context(), here, bad)
		refused(t, err, messages.NotFound, "Could not find the resource")
		refused(t, s.Tag(t.Context(), here, bad, nil), messages.NotFound, "Could not find the resource")
		refused(t, s.Untag(t.Context(), here, bad, nil), messages.NotFound, "Could not find the resource")
	}
	_, err = s.Tags(t.Context(), here, "")
	refused(t, err, messages.InvalidRequest, "Value null at 'resourceARN'")
	_, err = s.Tags(t.Context(), here, "short")
	refused(t, err, messages.InvalidRequest, "greater than or equal to 20")
}
