// Package accesstest holds implementations of access.Store to one contract.
//
// Invariant: every implementation runs every case. It is no home for tests of
// one implementation.
package accesstest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
)

var (
	here   = access.Scope{Account: "123456789012", Region: "us-east-1"}
	there  = access.Scope{Account: "123456789012", Region: "eu-west-1"}
	others = access.Scope{Account: "999999999999", Region: "us-east-1"}
	noon   = time.Date(2026, 11, 22, 12, 0, 0, 123_000_000, time.UTC)
)

// Store runs the contract. open gives an empty store, which ends with the test.
func Store(t *testing.T, open func(*testing.T) access.Store) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, access.Store)
	}{
		{"empty", empty}, {"agreements", agreements}, {"use case", useCase}, {"retention", retention}, {"logging", logging},
		{"settings apart", apart}, {"profiles", profiles}, {"profiles taken", taken}, {"tags", tags}, {"profiles apart", profilesApart}, {"at once", atOnce},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func settings(t *testing.T, s access.Store, sc access.Scope) access.Settings {
	t.Helper()
	v, err := s.Settings(t.Context(), sc)
	must(t, err)
	return v
}

func list(t *testing.T, s access.Store, sc access.Scope) []access.Profile {
	t.Helper()
	v, err := s.Profiles(t.Context(), sc)
	must(t, err)
	return v
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

func empty(t *testing.T, s access.Store) {
	v := settings(t, s, here)
	if len(v.Agreements) != 0 || v.UseCase != nil || v.Retention != nil || v.Logging != nil {
		t.Errorf("%+v", v)
	}
	if p := list(t, s, here); len(p) != 0 {
		t.Errorf("%+v", p)
	}
	must(t, s.PutLogging(t.Context(), here, nil))
	if err := s.RemoveProfile(t.Context(), here, "abcdefghijkl"); !errors.Is(err, access.ErrNoProfile) {
		t.Errorf("%v", err)
	}
	if err := s.PutTags(t.Context(), here, "abcdefghijkl", nil); !errors.Is(err, access.ErrNoProfile) {
		t.Errorf("%v", err)
	}
}

func agreements(t *testing.T, s access.Store) {
	a, b := access.Agreement{Granted: true, At: noon}, access.Agreement{At: noon.Add(time.Hour)}
	must(t, s.PutAgreement(t.Context(), here, "a", b))
	must(t, s.PutAgreement(t.Context(), here, "a", a))
	must(t, s.PutAgreement(t.Context(), here, "b", b))
	same(t, "agreements", settings(t, s, here).Agreements, map[string]access.Agreement{"a": a, "b": b})
	v := settings(t, s, here)
	delete(v.Agreements, "a")
	if len(settings(t, s, here).Agreements) != 2 {
		t.Error("what was read is not the reader's own")
	}
}

func useCase(t *testing.T, s access.Store) {
	form := []byte("\x00any \xff bytes '\"")
	must(t, s.PutUseCase(t.Context(), here, access.UseCase{Form: []byte("before"), At: noon}))
	must(t, s.PutUseCase(t.Context(), here, access.UseCase{Form: form, At: noon}))
	same(t, "form", settings(t, s, here).UseCase, &access.UseCase{Form: bytes.Clone(form), At: noon})
	form[1] = 'X'
	if settings(t, s, here).UseCase.Form[1] == 'X' {
		t.Error("what was written is still the writer's")
	}
}

func retention(t *testing.T, s access.Store) {
	must(t, s.PutRetention(t.Context(), here, access.Retention{Mode: "none", At: noon}))
	must(t, s.PutRetention(t.Context(), here, access.Retention{Mode: "aws_review", At: noon}))
	same(t, "retention", settings(t, s, here).Retention, &access.Retention{Mode: "aws_review", At: noon})
}

func logging(t *testing.T, s access.Store) {
	yes, no := true, false
	for _, l := range []*access.Logging{
		{S3: &access.Bucket{Name: "logs"}},
		{S3: &access.Bucket{Name: "logs", Prefix: "a/b"}, Text: &yes, Image: &no, Embedding: &yes, Video: &no, Audio: &yes},
		{CloudWatch: &access.CloudWatch{LogGroup: "g", RoleARN: "r", Large: &access.Bucket{Name: "large", Prefix: "ü"}}, Image: &yes},
	} {
		must(t, s.PutLogging(t.Context(), here, l))
		same(t, "logging", settings(t, s, here).Logging, l)
	}
	must(t, s.PutLogging(t.Context(), here, nil))
	if l := settings(t, s, here).Logging; l != nil {
		t.Errorf("%+v", l)
	}
}

func apart(t *testing.T, s access.Store) {
	must(t, s.PutAgreement(t.Context(), here, "a", access.Agreement{Granted: true, At: noon}))
	must(t, s.PutUseCase(t.Context(), here, access.UseCase{Form: []byte("form"), At: noon}))
	must(t, s.PutRetention(t.Context(), here, access.Retention{Mode: "none", At: noon}))
	must(t, s.PutLogging(t.Context(), here, &access.Logging{S3: &access.Bucket{Name: "logs"}}))
	for _, sc := range []access.Scope{there, others} {
		if v := settings(t, s, sc); len(v.Agreements) != 0 || v.UseCase != nil || v.Retention != nil || v.Logging != nil {
			t.Errorf("%v: %+v", sc, v)
		}
	}
	must(t, s.PutLogging(t.Context(), there, nil))
	if settings(t, s, here).Logging == nil {
		t.Error("one Region's configuration was removed with another's")
	}
}

func profile(id string, minutes int) access.Profile {
	return access.Profile{ID: id, Name: "name of " + id, MadeFrom: "arn:of:" + id, Models: []string{"arn:1", "arn:2"}, Created: noon.Add(time.Duration(minutes) * time.Minute)}
}

func profiles(t *testing.T, s access.Store) {
	a, b, c := profile("aaa", 2), profile("bbb", 1), profile("ccc", 1)
	a.Description, a.Token = "of a", "token"
	a.Tags = []access.Tag{{Key: "team", Value: "x"}, {Key: "Project", Value: ""}}
	for _, p := range []access.Profile{a, c, b} {
		must(t, s.AddProfile(t.Context(), here, p))
	}
	a.Tags = []access.Tag{{Key: "Project", Value: ""}, {Key: "team", Value: "x"}}
	same(t, "profiles", list(t, s, here), []access.Profile{b, c, a})
	must(t, s.RemoveProfile(t.Context(), here, "bbb"))
	must(t, s.RemoveProfile(t.Context(), here, "aaa"))
	same(t, "profiles", list(t, s, here), []access.Profile{c})
	if err := s.RemoveProfile(t.Context(), here, "aaa"); !errors.Is(err, access.ErrNoProfile) {
		t.Errorf("removed twice: %v", err)
	}
	a.Tags = nil
	must(t, s.AddProfile(t.Context(), here, a)) // its id, token and tags went with it
	same(t, "profiles", list(t, s, here), []access.Profile{c, a})
}

func taken(t *testing.T, s access.Store) {
	a, b := profile("aaa", 0), profile("bbb", 0)
	a.Token = "token"
	must(t, s.AddProfile(t.Context(), here, a))
	must(t, s.AddProfile(t.Context(), here, b))
	must(t, s.AddProfile(t.Context(), here, profile("ccc", 0))) // a second one without a token
	again := profile("ddd", 1)
	again.Token = "token"
	for name, p := range map[string]access.Profile{"id": profile("aaa", 5), "token": again} {
		if err := s.AddProfile(t.Context(), here, p); !errors.Is(err, access.ErrTaken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(list(t, s, here)); n != 3 {
		t.Errorf("%d profiles", n)
	}
}

func tags(t *testing.T, s access.Store) {
	p := profile("aaa", 0)
	p.Tags = []access.Tag{{Key: "a", Value: "1"}}
	must(t, s.AddProfile(t.Context(), here, p))
	must(t, s.AddProfile(t.Context(), here, profile("bbb", 1)))
	must(t, s.PutTags(t.Context(), here, "aaa", []access.Tag{{Key: "c", Value: "3"}, {Key: "b", Value: "2"}}))
	got := list(t, s, here)
	same(t, "tags", got[0].Tags, []access.Tag{{Key: "b", Value: "2"}, {Key: "c", Value: "3"}})
	if got[1].Tags != nil {
		t.Errorf("another's tags: %v", got[1].Tags)
	}
	must(t, s.PutTags(t.Context(), here, "aaa", nil))
	if got := list(t, s, here); got[0].Tags != nil {
		t.Errorf("tags: %v", got[0].Tags)
	}
}

func profilesApart(t *testing.T, s access.Store) {
	p := profile("aaa", 0)
	p.Token, p.Tags = "token", []access.Tag{{Key: "a", Value: "1"}}
	for _, sc := range []access.Scope{here, there, others} {
		must(t, s.AddProfile(t.Context(), sc, p))
	}
	must(t, s.PutTags(t.Context(), there, "aaa", nil))
	must(t, s.RemoveProfile(t.Context(), others, "aaa"))
	same(t, "here", list(t, s, here), []access.Profile{p})
	if n := len(list(t, s, others)); n != 0 {
		t.Errorf("%d profiles of another account", n)
	}
}

// Of many with one token, one is made.
func atOnce(t *testing.T, s access.Store) {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			p := profile(fmt.Sprintf("id%d", i), i)
			p.Token = "token"
			errs[i] = s.AddProfile(t.Context(), here, p)
			if err := s.PutAgreement(t.Context(), here, fmt.Sprintf("m%d", i), access.Agreement{Granted: true, At: noon}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	made := slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, access.ErrTaken) })
	if len(made) != 1 || made[0] != nil || len(list(t, s, here)) != 1 {
		t.Errorf("made: %v", made)
	}
	if n := len(settings(t, s, here).Agreements); n != 8 {
		t.Errorf("%d agreements", n)
	}
}
