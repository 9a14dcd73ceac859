package access

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Shapes of bedrock 2023-04-20. A resource has at most 50 tags, whatever a
// request may carry: its TooManyTagsException says so.
const (
	tagPattern  = `[a-zA-Z0-9\s._:/=+@-]*`
	maxTags     = 50
	maxTagList  = 200
	minResource = 20
	maxResource = 1011
)

var tagTexts = regexp.MustCompile(`\A(?:` + tagPattern + `)\z`)

func (f *faults) tags(tags []Tag) {
	if len(tags) > maxTagList {
		f.add("Value at 'tags'", "have length less than or equal to %d", maxTagList)
		return
	}
	for i, t := range tags {
		f.tagText(fmt.Sprintf("tags.%d.member.key", i+1), t.Key, 1, 128)
		f.tagText(fmt.Sprintf("tags.%d.member.value", i+1), t.Value, 0, 256)
	}
}

func (f *faults) tagText(name, value string, least, most int) {
	if n := utf8.RuneCountInString(value); n < least || n > most {
		f.length(name, value, least, most)
		return
	}
	f.match(name, value, tagTexts, tagPattern)
}

// checkTags holds tags to what their shape does not say; total is how many the
// resource would then have.
func checkTags(tags []Tag, total int, resource string) error {
	seen := map[string]bool{}
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return messages.Errorf(messages.InvalidRequest, "The tag key %s is reserved: keys that begin with aws: are AWS's own.", t.Key)
		}
		if seen[t.Key] {
			return messages.Errorf(messages.InvalidRequest, "The tag key %s appears more than once.", t.Key)
		}
		seen[t.Key] = true
	}
	if total > maxTags {
		return messages.Errorf(messages.TooManyTags, "%s would have %d tags, and may have %d.", resource, total, maxTags)
	}
	return nil
}

// tagged finds the profile that an ARN names.
func (s *Service) tagged(v *view, sc Scope, arn string) (*Profile, error) {
	if _, _, ok := parseProfileARN(arn); ok {
		if p := s.find(v, sc, arn); p != nil {
			return p, nil
		}
	}
	return nil, messages.Errorf(messages.NotFound, "Could not find the resource %s.", arn).
		WithHint("the resources that have tags here are application inference profiles, by their ARN")
}

func (f *faults) resource(arn string) {
	if arn == "" {
		f.required("resourceARN")
		return
	}
	f.length("resourceARN", arn, minResource, maxResource)
}

// Tags lists a profile's tags in order of their keys.
func (s *Service) Tags(ctx context.Context, sc Scope, arn string) ([]Tag, error) {
	var f faults
	if f.resource(arn); f.err() != nil {
		return nil, f.err()
	}
	v, err := s.view(ctx, sc)
	if err != nil {
		return nil, err
	}
	p, err := s.tagged(v, sc, arn)
	if err != nil {
		return nil, err
	}
	return sorted(p.Tags), nil
}

// Tag adds tags to a profile; a key that it has gets the new value.
func (s *Service) Tag(ctx context.Context, sc Scope, arn string, tags []Tag) error {
	var f faults
	f.resource(arn)
	f.tags(tags)
	if err := f.err(); err != nil {
		return err
	}
	return s.retag(ctx, sc, arn, func(old []Tag) ([]Tag, error) {
		kept := slices.DeleteFunc(slices.Clone(old), func(t Tag) bool {
			return slices.ContainsFunc(tags, func(n Tag) bool { return n.Key == t.Key })
		})
		all := append(kept, tags...)
		return all, checkTags(tags, len(all), arn)
	})
}

// Untag takes tags from a profile; keys that it has not are no error.
func (s *Service) Untag(ctx context.Context, sc Scope, arn string, keys []string) error {
	var f faults
	f.resource(arn)
	if len(keys) > maxTagList {
		f.add("Value at 'tagKeys'", "have length less than or equal to %d", maxTagList)
	} else {
		for i, k := range keys {
			f.tagText(fmt.Sprintf("tagKeys.%d.member", i+1), k, 1, 128)
		}
	}
	if err := f.err(); err != nil {
		return err
	}
	return s.retag(ctx, sc, arn, func(old []Tag) ([]Tag, error) {
		return slices.DeleteFunc(slices.Clone(old), func(t Tag) bool { return slices.Contains(keys, t.Key) }), nil
	})
}

func (s *Service) retag(ctx context.Context, sc Scope, arn string, f func([]Tag) ([]Tag, error)) error {
	err := s.change(ctx, sc, func(v *view) error {
		p, err := s.tagged(v, sc, arn)
		if err != nil {
			return err
		}
		tags, err := f(p.Tags)
		if err != nil {
			return err
		}
		return s.Store.PutTags(ctx, sc, p.ID, sorted(tags))
	})
	if errors.Is(err, ErrNoProfile) {
		return messages.Errorf(messages.NotFound, "Could not find the resource %s.", arn)
	}
	return err
}
