package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Shapes of bedrock 2023-04-20.
const (
	profileNamePattern   = `([0-9a-zA-Z][ _-]?)+`
	descriptionPattern   = `([0-9a-zA-Z:.][ _-]?)+`
	requestTokenPattern  = `[a-zA-Z0-9]([-a-zA-Z0-9]{0,254}[a-zA-Z0-9])?`
	sourcePattern        = `arn:aws(|-us-gov|-cn|-iso|-iso-b):bedrock:(|[0-9a-z-]{0,20}):(|[0-9]{12}):(inference-profile|foundation-model)/[a-zA-Z0-9-:.]+`
	profileIDPattern     = `(arn:aws(|-us-gov|-cn|-iso|-iso-b):bedrock:(|[0-9a-z-]{0,20}):(|[0-9]{12}):(inference-profile|application-inference-profile)/)?[a-zA-Z0-9-:.]+`
	maxProfiles          = 1000 // of an account in a Region; quota of the guide Amazon Bedrock
	applicationProfile   = "application-inference-profile"
	textNoProfile        = "Could not find the inference profile %s."
	profileIDCharacters  = "abcdefghijklmnopqrstuvwxyz0123456789"
	profileIDLength      = 12
	mostModelsOfAProfile = 5 // InferenceProfileModels
)

var (
	profileNames  = regexp.MustCompile(`\A(?:` + profileNamePattern + `)\z`)
	descriptions  = regexp.MustCompile(`\A(?:` + descriptionPattern + `)\z`)
	requestTokens = regexp.MustCompile(`\A(?:` + requestTokenPattern + `)\z`)
	sources       = regexp.MustCompile(`\A(?:` + sourcePattern + `)\z`)
	profileIDs    = regexp.MustCompile(`\A(?:` + profileIDPattern + `)\z`)
)

// NewProfile is what CreateInferenceProfile says.
type NewProfile struct {
	Name        string
	Description *string
	Token       string
	CopyFrom    string
	Tags        []Tag
}

// CreateProfile makes a profile. A request whose token has been seen gets the
// profile that it made then.
func (s *Service) CreateProfile(ctx context.Context, sc Scope, n NewProfile) (Profile, error) {
	if err := n.check(); err != nil {
		return Profile{}, err
	}
	if !slices.Contains(s.Catalog.ApplicationProfileRegions(), sc.Region) {
		return Profile{}, messages.Errorf(messages.InvalidRequest, "Application inference profiles are not available in the Region %s.", sc.Region)
	}
	p := Profile{ID: newProfileID(), Name: n.Name, Token: n.Token, MadeFrom: n.CopyFrom, Created: s.Now().UTC().Truncate(time.Millisecond), Tags: sorted(n.Tags)}
	if n.Description != nil {
		p.Description = *n.Description
	}
	var err error
	if p.Models, err = s.modelsOf(sc, n.CopyFrom); err != nil {
		return Profile{}, err
	}
	err = s.change(ctx, sc, func(v *view) error {
		if n.Token != "" {
			if i := slices.IndexFunc(v.profiles, func(old Profile) bool { return old.Token == n.Token }); i >= 0 {
				p = v.profiles[i].clone()
				return nil
			}
		}
		if len(v.profiles) >= maxProfiles {
			return messages.Errorf(messages.QuotaExceeded, "The account has %d application inference profiles in this Region, and may have no more.", len(v.profiles))
		}
		return s.Store.AddProfile(ctx, sc, p)
	})
	if err != nil {
		return Profile{}, err
	}
	return p, nil
}

func (n NewProfile) check() error {
	var f faults
	if n.Name == "" {
		f.required("inferenceProfileName")
	} else {
		f.length("inferenceProfileName", n.Name, 1, 64)
		f.match("inferenceProfileName", n.Name, profileNames, profileNamePattern)
	}
	if d := n.Description; d != nil { // sensitive: its value is not said again
		if k := utf8.RuneCountInString(*d); k < 1 || k > 200 {
			f.add("Value at 'description'", "have length between 1 and 200")
		} else if !descriptions.MatchString(*d) {
			f.add("Value at 'description'", "satisfy regular expression pattern: %s", descriptionPattern)
		}
	}
	if n.Token != "" {
		f.length("clientRequestToken", n.Token, 1, 256)
		f.match("clientRequestToken", n.Token, requestTokens, requestTokenPattern)
	}
	if n.CopyFrom == "" {
		f.required("modelSource.copyFrom")
	} else {
		f.length("modelSource.copyFrom", n.CopyFrom, 1, 2048)
		f.match("modelSource.copyFrom", n.CopyFrom, sources, sourcePattern)
	}
	f.tags(n.Tags)
	if err := f.err(); err != nil {
		return err
	}
	return checkTags(n.Tags, len(n.Tags), n.Name)
}

// modelsOf lists the models behind a source, as GetInferenceProfile shows them.
// A source that calls from here cannot use makes no profile.
func (s *Service) modelsOf(sc Scope, source string) ([]string, error) {
	res, err := s.Catalog.Resolve(source, sc.Region, s.policy())
	if err != nil {
		return nil, err
	}
	if res.Account != "" && res.Account != sc.Account {
		return nil, messages.Errorf(messages.InvalidRequest, "The provided model identifier is invalid.").WithHint("the ARN is of the account %s, the call of %s", res.Account, sc.Account)
	}
	if ip, err := s.Catalog.InferenceProfile(source, sc.Region, s.policy()); err == nil {
		return ip.ModelARNs[:min(len(ip.ModelARNs), mostModelsOfAProfile)], nil
	}
	return []string{source}, nil
}

func newProfileID() string {
	var b [profileIDLength]byte
	rand.Read(b[:])
	for i := range b { // 256 is no multiple of 36: ids need to differ, not to be even
		b[i] = profileIDCharacters[int(b[i])%len(profileIDCharacters)]
	}
	return string(b[:])
}

// ARN of the profile.
func (s *Service) ARN(sc Scope, p Profile) string {
	part, _ := s.Catalog.Partition(sc.Region)
	return fmt.Sprintf("arn:%s:bedrock:%s:%s:%s/%s", part, sc.Region, sc.Account, applicationProfile, p.ID)
}

// Profiles lists the account's profiles in the Region, oldest first.
func (s *Service) Profiles(ctx context.Context, sc Scope) ([]Profile, error) {
	v, err := s.view(ctx, sc)
	if err != nil {
		return nil, err
	}
	out := make([]Profile, 0, len(v.profiles))
	for _, p := range v.profiles {
		out = append(out, p.clone())
	}
	return out, nil
}

// Profile finds one by its id or ARN; a *messages.Error of kind NotFound says
// that there is none.
func (s *Service) Profile(ctx context.Context, sc Scope, ref string) (Profile, error) {
	if err := CheckProfileRef(ref); err != nil {
		return Profile{}, err
	}
	v, err := s.view(ctx, sc)
	if err != nil {
		return Profile{}, err
	}
	if p := s.find(v, sc, ref); p != nil {
		return p.clone(), nil
	}
	return Profile{}, messages.Errorf(messages.NotFound, textNoProfile, ref)
}

// CheckProfileRef holds an inferenceProfileIdentifier to its shape.
func CheckProfileRef(ref string) error {
	var f faults
	f.length("inferenceProfileIdentifier", ref, 1, 2048)
	f.match("inferenceProfileIdentifier", ref, profileIDs, profileIDPattern)
	return f.err()
}

// find takes an id, or an ARN of this very account and Region.
func (s *Service) find(v *view, sc Scope, ref string) *Profile {
	if at, id, ok := parseProfileARN(ref); ok {
		if at != sc {
			return nil
		}
		ref = id
	}
	return v.byID[ref]
}

func parseProfileARN(arn string) (Scope, string, bool) {
	p := strings.SplitN(arn, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "bedrock" {
		return Scope{}, "", false
	}
	kind, id, ok := strings.Cut(p[5], "/")
	return Scope{p[4], p[3]}, id, ok && kind == applicationProfile
}

// DeleteProfile removes one. AWS's own are not there to be deleted.
func (s *Service) DeleteProfile(ctx context.Context, sc Scope, ref string) error {
	p, err := s.Profile(ctx, sc, ref)
	if err != nil {
		if _, system := s.Catalog.InferenceProfile(ref, sc.Region, catalog.Policy{Now: s.Now()}); system == nil && messages.AsError(err).Kind == messages.NotFound {
			return messages.Errorf(messages.InvalidRequest, "The inference profile %s is system-defined and cannot be deleted.", ref)
		}
		return err
	}
	err = s.change(ctx, sc, func(*view) error { return s.Store.RemoveProfile(ctx, sc, p.ID) })
	if errors.Is(err, ErrNoProfile) {
		return messages.Errorf(messages.NotFound, textNoProfile, ref)
	}
	return err
}

// MadeFrom is catalog.Policy's Own: the source of a profile, by its ARN.
func (s *Service) MadeFrom(arn string) (string, bool) {
	sc, id, ok := parseProfileARN(arn)
	if !ok {
		return "", false
	}
	v, err := s.view(context.Background(), sc)
	if err != nil {
		if s.Log != nil {
			s.Log.Error("application inference profiles cannot be read", "arn", arn, "error", err)
		}
		return "", false
	}
	p := v.byID[id]
	if p == nil {
		return "", false
	}
	return p.MadeFrom, true
}
