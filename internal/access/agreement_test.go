package access_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

func TestAvailability(t *testing.T) {
	all := access.Availability{Agreed: true, Authorized: true, Entitled: true, InRegion: true}
	for _, test := range []struct {
		name           string
		manual, strict bool
		region, model  string
		want           access.Availability
	}{
		{name: "fresh", region: region, model: opus, want: all},
		{name: "the page's spelling", region: region, model: "anthropic.claude-opus-4-6-v1:0", want: all},
		{name: "manual", manual: true, region: region, model: opus, want: access.Availability{Authorized: true, Entitled: true, InRegion: true}},
		{name: "not there", region: "us-gov-west-1", model: opus, want: access.Availability{Agreed: true, Authorized: true, Entitled: true}},
		{name: "by invitation", region: region, model: mythos, want: all},
		{name: "by invitation, strict", strict: true, region: region, model: mythos, want: access.Availability{InRegion: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			s.Manual, s.Strict = test.manual, test.strict
			got, err := s.Availability(t.Context(), access.Scope{Account: account, Region: test.region}, test.model)
			must(t, err)
			if got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

func TestModelIDs(t *testing.T) {
	s := newService(t)
	strict := newService(t)
	strict.Strict = true
	for _, test := range []struct {
		s     *access.Service
		id    string
		words string
	}{
		{s, "", "Value null at 'modelId' failed to satisfy constraint: Member must not be null"},
		{s, "claude-opus-4-6", "Member must satisfy regular expression pattern"},
		{s, "Anthropic.claude", "Value 'Anthropic.claude' at 'modelId'"},
		{s, "anthropic." + strings.Repeat("a", 140), "2 validation errors detected"},
		{s, "anthropic.claude-opus-99", "The provided model identifier is invalid."},
		{s, "us." + opus, "The provided model identifier is invalid."},
		{strict, "anthropic.claude-opus-4-6-v1:0", "The provided model identifier is invalid."},
		{strict, gone, "The provided model identifier is invalid."},
	} {
		_, err := test.s.Availability(t.Context(), here, test.id)
		refused(t, err, messages.InvalidRequest, test.words)
		_, err = test.s.Offers(t.Context(), here, test.id, "")
		refused(t, err, messages.InvalidRequest, test.words)
		refused(t, test.s.Agree(t.Context(), here, test.id, "token"), messages.InvalidRequest, test.words)
		refused(t, test.s.Withdraw(t.Context(), here, test.id), messages.InvalidRequest, test.words)
	}
	_, err := s.Availability(t.Context(), access.Scope{Account: account, Region: "mars-north-1"}, opus)
	refused(t, err, messages.InvalidRequest, "mars-north-1")
}

func TestOffers(t *testing.T) {
	s := newService(t)
	for _, test := range []struct{ region, model, want string }{
		// spec: service.md 8: list price global, +10 % regional; $5.5 and $5 are what AWS's own card said of Opus 5 on 2026-08-31.
		{region, "anthropic.claude-opus-5", `
			input_tokens_standard 5.5 Million Input Tokens Regional
			cache_write_tokens_5m_standard 6.875 Million Cache Write Input Tokens Regional
			cache_write_tokens_1h_standard 11 Million 1h Cache Write Input Tokens Regional
			cache_read_tokens_standard 0.55 Million Cache Read Input Tokens Regional
			output_tokens_standard 27.5 Million Output Tokens Regional
			input_tokens_batch 2.75 Million Input Tokens Regional Batch
			output_tokens_batch 13.75 Million Output Tokens Regional Batch
			input_tokens_global_standard 5 Million Input Tokens Global
			cache_write_tokens_5m_global_standard 6.25 Million Cache Write Input Tokens Global
			cache_write_tokens_1h_global_standard 10 Million 1h Cache Write Input Tokens Global
			cache_read_tokens_global_standard 0.5 Million Cache Read Input Tokens Global
			output_tokens_global_standard 25 Million Output Tokens Global
			input_tokens_global_batch 2.5 Million Input Tokens Global Batch
			output_tokens_global_batch 12.5 Million Output Tokens Global Batch`},
		// No batch, a tier for long prompts, and in Sao Paulo the global profile alone.
		{"sa-east-1", "anthropic.claude-haiku-5-5", `
			input_tokens_global_standard 0.1 Million Input Tokens Global
			cache_write_tokens_5m_global_standard 0.125 Million Cache Write Input Tokens Global
			cache_write_tokens_1h_global_standard 0.2 Million 1h Cache Write Input Tokens Global
			cache_read_tokens_global_standard 0.01 Million Cache Read Input Tokens Global
			output_tokens_global_standard 0.5 Million Output Tokens Global
			input_tokens_long_ctx_global_standard 0.5 Million Input Tokens Global Long Context
			cache_write_tokens_5m_long_ctx_global_standard 0.625 Million Cache Write Input Tokens Global Long Context
			cache_write_tokens_1h_long_ctx_global_standard 1 Million 1h Cache Write Input Tokens Global Long Context
			cache_read_tokens_long_ctx_global_standard 0.05 Million Cache Read Input Tokens Global Long Context
			output_tokens_long_ctx_global_standard 2.5 Million Output Tokens Global Long Context`},
		{"us-gov-west-1", opus, ""},
	} {
		offers, err := s.Offers(t.Context(), access.Scope{Account: account, Region: test.region}, test.model, "ALL")
		must(t, err)
		var got strings.Builder
		for _, r := range offers[0].RateCard {
			if r.Unit != "Units" {
				t.Errorf("unit %q", r.Unit)
			}
			got.WriteString("\n\t\t\t" + r.Dimension + " " + r.Price + " " + r.Description)
		}
		if len(offers) != 1 || got.String() != test.want {
			t.Errorf("%s in %s:%s\nwant%s", test.model, test.region, got.String(), test.want)
		}
	}
	_, err := s.Offers(t.Context(), here, opus, "PRIVATE")
	refused(t, err, messages.InvalidRequest, "Value 'PRIVATE' at 'offerType' failed to satisfy constraint: Member must satisfy enum value set: [ALL, PUBLIC]")
}

func TestAgree(t *testing.T) {
	s := newService(t)
	s.Manual = true
	offers, err := s.Offers(t.Context(), here, opus, "")
	must(t, err)
	token := offers[0].Token
	refused(t, s.Agree(t.Context(), here, opus, token), messages.NotFound, "You have not filled out the request form. Fill out the form before getting access.")
	must(t, s.SubmitUseCase(t.Context(), here, []byte(form)))
	refused(t, s.Agree(t.Context(), here, opus, ""), messages.InvalidRequest, "Value null at 'offerToken'")
	for _, sc := range []access.Scope{{Account: account, Region: "eu-west-1"}, {Account: "999999999999", Region: region}} {
		refused(t, s.Agree(t.Context(), sc, opus, token), messages.InvalidRequest, "offer token is invalid")
	}
	refused(t, s.Agree(t.Context(), here, fable, token), messages.InvalidRequest, "offer token is invalid")
	refused(t, s.Withdraw(t.Context(), here, opus), messages.NotFound, "no agreement")
	must(t, s.Agree(t.Context(), here, opus, token))
	refused(t, s.Agree(t.Context(), here, opus, token), messages.Conflict, "Agreement already exists.")
	must(t, s.Withdraw(t.Context(), here, opus))
	refused(t, s.Withdraw(t.Context(), here, opus), messages.NotFound, "no agreement")
	must(t, s.Agree(t.Context(), here, opus, token))

	s.Strict = true
	offers, err = s.Offers(t.Context(), here, mythos, "")
	must(t, err)
	refused(t, s.Agree(t.Context(), here, mythos, offers[0].Token), messages.AccessDenied, noAccess)
}

func TestUseCase(t *testing.T) {
	s := newService(t)
	at := func(region string) access.Scope { return access.Scope{Account: account, Region: region} }
	_, err := s.UseCase(t.Context(), here)
	refused(t, err, messages.NotFound, "You have not filled out the request form.")
	must(t, s.SubmitUseCase(t.Context(), here, []byte(form)))
	for _, region := range []string{region, "eu-west-1", "ap-northeast-1"} { // one form for all of these
		got, err := s.UseCase(t.Context(), at(region))
		must(t, err)
		if string(got) != form {
			t.Errorf("%s: %s", region, got)
		}
	}
	for _, region := range []string{"eu-central-2", "us-gov-west-1"} {
		_, err := s.UseCase(t.Context(), at(region))
		refused(t, err, messages.NotFound, "You have not filled out")
	}
	twice := base64.StdEncoding.EncodeToString([]byte(form))
	must(t, s.SubmitUseCase(t.Context(), at("eu-central-2"), []byte(twice)))
	if got, err := s.UseCase(t.Context(), at("eu-central-2")); err != nil || string(got) != twice {
		t.Errorf("%s, %v", got, err)
	}

	without := func(from, to string) string { return strings.Replace(form, from, to, 1) }
	for _, test := range []struct{ form, words string }{
		{"123456789", "length greater than or equal to 10"},
		{strings.Repeat("x", 16385), "length less than or equal to 16384"},
		{"no form at all", "it is not a JSON object"},
		{`["companyName"]`, "it is not a JSON object"},
		{without(`"companyName":"Example",`, ""), "companyName is missing"},
		{without(`"Example"`, `""`), "companyName is missing"},
		{without(`"Example"`, `"`+strings.Repeat("ü", 129)+`"`), "companyName is longer than 128 characters"},
		{without(`"Reading rocks"`, `7`), "useCases is not a string"},
		{without(`"0"`, `"3"`), "intendedUsers is not 0"},
	} {
		refused(t, s.SubmitUseCase(t.Context(), here, []byte(test.form)), messages.InvalidRequest, test.words)
	}
	refused(t, s.SubmitUseCase(t.Context(), here, nil), messages.InvalidRequest, "Value null at 'formData'")
	must(t, s.SubmitUseCase(t.Context(), here, []byte(without(`"Example"`, `"`+strings.Repeat("ü", 128)+`"`))))
	must(t, s.SubmitUseCase(t.Context(), here, []byte(without(`"otherIndustryOption":"Geology",`, ""))))
}

func TestRetention(t *testing.T) {
	s := newService(t)
	r, err := s.Retention(t.Context(), here)
	must(t, err)
	if r.Mode != "inherit" || !r.At.IsZero() {
		t.Errorf("%+v", r)
	}
	for _, mode := range []string{"none", "default", "aws_review", "provider_data_share", "inherit"} {
		set, err := s.SetRetention(t.Context(), here, mode)
		must(t, err)
		got, err := s.Retention(t.Context(), here)
		must(t, err)
		if got != set || got.Mode != mode || !got.At.Equal(clock) {
			t.Errorf("%s: %+v, %+v", mode, set, got)
		}
	}
	_, err = s.SetRetention(t.Context(), here, "NONE")
	refused(t, err, messages.InvalidRequest, "Value 'NONE' at 'mode'")
	_, err = s.SetRetention(t.Context(), here, "")
	refused(t, err, messages.InvalidRequest, "Value null at 'mode'")
	if other, err := s.Retention(t.Context(), access.Scope{Account: account, Region: "us-west-2"}); err != nil || other.Mode != "inherit" {
		t.Errorf("another Region: %+v, %v", other, err)
	}
}

func TestPermit(t *testing.T) {
	s := newService(t)
	someone := identity.Caller{ARN: "arn:aws:iam::123456789012:user/ci", KeyID: "AKIA2"}
	must(t, s.Permit(someone, "CreateInferenceProfile"))
	s.Administrator = func(c identity.Caller) bool { return c.KeyID == "AKIA1" }
	must(t, s.Permit(identity.Caller{KeyID: "AKIA1"}, "CreateInferenceProfile"))
	refused(t, s.Permit(someone, "CreateInferenceProfile"), messages.AccessDenied,
		"User: arn:aws:iam::123456789012:user/ci is not authorized to perform: bedrock:CreateInferenceProfile because no identity-based policy allows the bedrock:CreateInferenceProfile action")
}
