package httpapi

import (
	"strings"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// applicationProfile is the summary of an account's own profile. Nothing but its
// tags ever changes, and those do not count as an update.
func (x *exchange) applicationProfile(sc access.Scope, p access.Profile) profileSummary {
	s := profileSummary{
		InferenceProfileName: p.Name, Description: p.Description, CreatedAt: timeOf(p.Created), UpdatedAt: timeOf(p.Created),
		InferenceProfileArn: x.Access.ARN(sc, p), InferenceProfileID: p.ID, Status: "ACTIVE", Type: "APPLICATION",
	}
	for _, arn := range p.Models {
		s.Models = append(s.Models, profileModel{arn})
	}
	return s
}

// applicationProfiles lists those of the account in the Region.
func (x *exchange) applicationProfiles(sc access.Scope) ([]profileSummary, error) {
	if x.Access == nil {
		return nil, nil
	}
	profiles, err := x.Access.Profiles(x.r.Context(), sc)
	if err != nil {
		return nil, err
	}
	var out []profileSummary
	for _, p := range profiles {
		out = append(out, x.applicationProfile(sc, p))
	}
	return out, nil
}

// findApplicationProfile gives the profile that the path names; ok is false
// where the account has made none of that name.
func (x *exchange) findApplicationProfile(sc access.Scope) (s profileSummary, ok bool, err error) {
	if x.Access == nil {
		return s, false, nil
	}
	p, err := x.Access.Profile(x.r.Context(), sc, x.label)
	switch {
	case err == nil:
		return x.applicationProfile(sc, p), true, nil
	case messages.AsError(err).Kind == messages.NotFound:
		return s, false, nil
	default:
		return s, false, err
	}
}

// TheirProfile is an application profile of an AWS account, as the operator has
// told of it.
type TheirProfile struct{ ARN, From string }

// inTheirs gives those of a Region in the shape of the control plane. AWS knows
// more of each: its name here is its id, and when it was made is not said.
func (x *exchange) inTheirs(region string) (out []profileSummary) {
	for _, p := range x.Theirs {
		part := strings.SplitN(p.ARN, ":", 6)
		if len(part) != 6 || part[3] != region {
			continue
		}
		id, ok := strings.CutPrefix(part[5], "application-inference-profile/")
		if !ok { // provisioned throughput, of which no profile is made
			continue
		}
		s := profileSummary{InferenceProfileName: id, Description: "Made from " + p.From, InferenceProfileArn: p.ARN, InferenceProfileID: id, Status: "ACTIVE", Type: "APPLICATION"}
		for _, arn := range x.modelsBehind(p.From, region) {
			s.Models = append(s.Models, profileModel{arn})
		}
		out = append(out, s)
	}
	return out
}

// modelsBehind are the models of what a profile was made from. What is not listed
// in the Region may still run there, with capacity of its own.
func (x *exchange) modelsBehind(from, region string) []string {
	cat := x.Gateway.Catalog
	if p, err := cat.InferenceProfile(from, region, x.policy()); err == nil {
		return p.ModelARNs
	}
	if f, err := cat.FoundationModel(from, region, x.policy()); err == nil {
		return []string{f.ARN()}
	}
	m, ok := cat.Lookup(from)
	part, known := cat.Partition(region)
	if !ok || !known {
		return nil
	}
	return []string{"arn:" + part + ":bedrock:" + region + "::foundation-model/" + m.ID}
}

func (x *exchange) createProfile(sc access.Scope, body []byte) error {
	var in struct {
		Name        string  `json:"inferenceProfileName"`
		Description *string `json:"description"`
		Token       string  `json:"clientRequestToken"`
		ModelSource struct {
			CopyFrom string `json:"copyFrom"`
		} `json:"modelSource"`
		Tags []access.Tag `json:"tags"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	p, err := x.Access.CreateProfile(x.r.Context(), sc, access.NewProfile{
		Name: in.Name, Description: in.Description, Token: in.Token, CopyFrom: in.ModelSource.CopyFrom, Tags: in.Tags,
	})
	if err != nil {
		return err
	}
	x.about(x.Access.ARN(sc, p))
	return x.replyJSON(struct {
		ARN    string `json:"inferenceProfileArn"`
		Status string `json:"status"`
	}{x.label, "ACTIVE"})
}

func (x *exchange) deleteProfile(sc access.Scope, _ []byte) error {
	return x.done(x.Access.DeleteProfile(x.r.Context(), sc, x.label))
}

func (x *exchange) listTags(sc access.Scope, body []byte) error {
	var in struct {
		ARN string `json:"resourceARN"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	x.about(in.ARN)
	tags, err := x.Access.Tags(x.r.Context(), sc, in.ARN)
	if err != nil {
		return err
	}
	return x.replyJSON(struct {
		Tags []access.Tag `json:"tags"`
	}{append([]access.Tag{}, tags...)})
}

func (x *exchange) tag(sc access.Scope, body []byte) error {
	var in struct {
		ARN  string       `json:"resourceARN"`
		Tags []access.Tag `json:"tags"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	x.about(in.ARN)
	return x.done(x.Access.Tag(x.r.Context(), sc, in.ARN, in.Tags))
}

func (x *exchange) untag(sc access.Scope, body []byte) error {
	var in struct {
		ARN  string   `json:"resourceARN"`
		Keys []string `json:"tagKeys"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	x.about(in.ARN)
	return x.done(x.Access.Untag(x.r.Context(), sc, in.ARN, in.Keys))
}
