package access

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

const textFillOut = "You have not filled out the request form. Fill out the form before getting access."

// everyRegion stands for the Regions that share one form.
const everyRegion = "*"

// optIn are the Regions that an account has to turn on; each asks for a form of
// its own. The lists are of the guides Amazon Bedrock, "Request access to
// models", and AWS Account Management, "Enable or disable AWS Regions", 2026-10.
var optIn = []string{
	"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
	"ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1", "me-central-1", "me-south-1", "mx-central-1",
}

// formScope is where the form that counts in a Region is kept.
func (s *Service) formScope(sc Scope) Scope {
	if part, ok := s.Catalog.Partition(sc.Region); ok && part == "aws" && !slices.Contains(optIn, sc.Region) {
		sc.Region = everyRegion
	}
	return sc
}

func (s *Service) form(ctx context.Context, sc Scope) (*UseCase, error) {
	v, err := s.view(ctx, s.formScope(sc))
	if err != nil {
		return nil, err
	}
	return v.Settings.UseCase, nil
}

// UseCase is the form that counts in the Region, as it was submitted.
func (s *Service) UseCase(ctx context.Context, sc Scope) ([]byte, error) {
	u, err := s.form(ctx, sc)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return nil, messages.Errorf(messages.NotFound, textFillOut).WithHint("outcrop access use-case FILE submits it")
	}
	return bytes.Clone(u.Form), nil
}

// useCaseFields are the members of the form, with the most characters of each;
// guide Amazon Bedrock, "Request access to models", 2026-10.
var useCaseFields = []struct {
	name   string
	most   int
	needed bool
}{
	{"companyName", 128, true},
	{"companyWebsite", 128, true},
	{"intendedUsers", 1, true},
	{"industryOption", 128, true},
	{"otherIndustryOption", 128, false},
	{"useCases", 8192, true},
}

// SubmitUseCase stores a form for the Region and those that share it.
func (s *Service) SubmitUseCase(ctx context.Context, sc Scope, form []byte) error {
	var f faults
	switch {
	case form == nil:
		f.required("formData")
	case len(form) < 10:
		f.add("Value at 'formData'", "have length greater than or equal to 10")
	case len(form) > 16384:
		f.add("Value at 'formData'", "have length less than or equal to 16384")
	}
	if err := f.err(); err != nil {
		return err
	}
	if err := checkForm(form); err != nil {
		return messages.Errorf(messages.InvalidRequest, "The form data is not valid: %s.", err)
	}
	at := s.formScope(sc)
	return s.change(ctx, at, func(*view) error {
		return s.Store.PutUseCase(ctx, at, UseCase{form, s.Now().UTC().Truncate(time.Millisecond)})
	})
}

// checkForm takes the JSON as it is, or in base64: AWS's guide tells users of
// its CLI to encode it, and CLI and SDKs then encode it again.
func checkForm(form []byte) error {
	if plain, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(form))); err == nil {
		form = plain
	}
	var got map[string]any
	if err := json.Unmarshal(form, &got); err != nil {
		return fmt.Errorf("it is not a JSON object")
	}
	for _, field := range useCaseFields {
		v, ok := got[field.name]
		text, isText := v.(string)
		switch {
		case !ok && !field.needed:
		case !ok || field.needed && text == "" && isText:
			return fmt.Errorf("%s is missing", field.name)
		case !isText:
			return fmt.Errorf("%s is not a string", field.name)
		case utf8.RuneCountInString(text) > field.most:
			return fmt.Errorf("%s is longer than %d characters", field.name, field.most)
		}
	}
	if u := got["intendedUsers"]; u != "0" && u != "1" && u != "2" {
		return fmt.Errorf("intendedUsers is not 0 (internal), 1 (external) or 2 (both)")
	}
	return nil
}
