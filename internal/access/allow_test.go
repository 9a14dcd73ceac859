package access_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

const (
	noAccess = "You don't have access to the model with the specified model ID."
	noForm   = "Model use case details have not been submitted for this account."
	idle     = "Access denied. This Model is marked by provider as Legacy"
)

func TestAllowed(t *testing.T) {
	const strict, manual = 1, 2
	put := func(mode string) func(*testing.T, *access.Service) {
		return func(t *testing.T, s *access.Service) {
			_, err := s.SetRetention(t.Context(), here, mode)
			must(t, err)
		}
	}
	submit := func(t *testing.T, s *access.Service) { must(t, s.SubmitUseCase(t.Context(), here, []byte(form))) }
	used := func(ago time.Duration) func(*testing.T, *access.Service) {
		return func(_ *testing.T, s *access.Service) {
			s.LastUse = func(context.Context, access.Scope, string) (time.Time, error) { return clock.Add(-ago), nil }
		}
	}
	for _, test := range []struct {
		name  string
		mode  int
		model string
		api   catalog.API // 0: Invoke
		do    func(*testing.T, *access.Service)
		kind  messages.Kind // 0: allowed
		words string
	}{
		{name: "fresh", model: opus},
		{name: "fresh, strict", mode: strict, model: opus},
		{name: "fresh, a covered model", model: fable},
		{name: "fresh, by invitation", model: mythos},
		{name: "given back", model: opus, do: func(t *testing.T, s *access.Service) { must(t, s.Withdraw(t.Context(), here, opus)) },
			kind: messages.AccessDenied, words: noAccess},
		{name: "given back and taken again", model: opus, do: func(t *testing.T, s *access.Service) {
			must(t, s.Withdraw(t.Context(), here, opus))
			agree(t, s, here, opus)
		}},
		{name: "another given back", model: opus, do: func(t *testing.T, s *access.Service) { must(t, s.Withdraw(t.Context(), here, fable)) }},
		{name: "given back elsewhere", model: opus, do: func(t *testing.T, s *access.Service) {
			must(t, s.Withdraw(t.Context(), access.Scope{Account: account, Region: "eu-west-1"}, opus))
			must(t, s.Withdraw(t.Context(), access.Scope{Account: "999999999999", Region: region}, opus))
		}},

		{name: "manual, no form", mode: manual, model: opus, kind: messages.NotFound, words: noForm},
		{name: "manual, no form, mantle", mode: manual, model: opus, api: catalog.Mantle, kind: messages.AccessDenied, words: noAccess},
		{name: "manual, no agreement", mode: manual, model: opus, do: submit, kind: messages.AccessDenied, words: noAccess},
		{name: "manual, agreed", mode: manual, model: opus, do: func(t *testing.T, s *access.Service) {
			submit(t, s)
			agree(t, s, here, opus)
		}},
		{name: "manual, agreed to another", mode: manual, model: fable, do: func(t *testing.T, s *access.Service) {
			submit(t, s)
			agree(t, s, here, opus)
		}, kind: messages.AccessDenied, words: noAccess},

		{name: "by invitation, strict", mode: strict, model: mythos, kind: messages.AccessDenied, words: noAccess},
		{name: "legacy, strict, nobody knows when it was used", mode: strict, model: legacy},
		{name: "legacy, strict, used", mode: strict, model: legacy, do: used(15 * 24 * time.Hour)},
		{name: "legacy, strict, idle", mode: strict, model: legacy, do: used(15*24*time.Hour + time.Second), kind: messages.NotFound, words: idle},
		{name: "legacy, idle", model: legacy, do: used(1000 * time.Hour)},
		{name: "active, strict, idle", mode: strict, model: opus, do: used(1000 * time.Hour)},

		{name: "covered, strict, nothing set", mode: strict, model: fable, kind: messages.ModelRejected, words: "data retention mode 'default' is not available for this model"},
		{name: "covered, strict, inherit", mode: strict, model: fable, do: put("inherit"), kind: messages.ModelRejected, words: "mode 'default' is"},
		{name: "covered, strict, review", mode: strict, model: fable, do: put("aws_review")},
		{name: "covered, strict, share", mode: strict, model: fable, do: put("provider_data_share")},
		{name: "covered, strict, none", mode: strict, model: fable, do: put("none"), kind: messages.ModelRejected, words: "data retention mode 'none' is"},
		{name: "covered, none", model: fable, do: put("none"), kind: messages.ModelRejected, words: "data retention mode 'none' is"},
		{name: "covered, default", model: fable, do: put("default"), kind: messages.ModelRejected, words: "data retention mode 'default' is"},
		{name: "covered, inherit", model: fable, do: put("inherit")},
		{name: "covered by more, review", model: mythos, do: put("aws_review"), kind: messages.ModelRejected, words: "mode 'aws_review' is"},
		{name: "covered by more, share", model: mythos, do: put("provider_data_share")},
		{name: "not covered, none", model: opus, do: put("none")},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			s.Strict, s.Manual = test.mode == strict, test.mode == manual
			if test.do != nil {
				test.do(t, s)
			}
			api := test.api
			if api == 0 {
				api = catalog.Invoke
			}
			err := s.Allowed(t.Context(), account, region, model(t, s, test.model), api)
			if test.kind == 0 {
				must(t, err)
				return
			}
			refused(t, err, test.kind, test.words)
		})
	}
}

// What cannot be looked up is refused.
func TestAllowedWithoutStore(t *testing.T) {
	s := newService(t)
	s.Store = broken{s.Store}
	if err := s.Allowed(t.Context(), account, region, model(t, s, opus), catalog.Invoke); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
	if _, ok := s.MadeFrom("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl"); ok {
		t.Error("a profile of a store that cannot be read")
	}
	s = newService(t)
	s.Strict = true
	s.LastUse = func(context.Context, access.Scope, string) (time.Time, error) { return time.Time{}, errDisk }
	if err := s.Allowed(t.Context(), account, region, model(t, s, legacy), catalog.Invoke); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
}

func TestAllowedAllocatesNothing(t *testing.T) {
	s := newService(t)
	s.Manual = true
	must(t, s.SubmitUseCase(t.Context(), here, []byte(form)))
	agree(t, s, here, opus)
	m := model(t, s, opus)
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Allowed(t.Context(), account, region, m, catalog.Invoke); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A change holds from the call that follows it, and what is stored outlives the
// service.
func TestChangesAreStored(t *testing.T) {
	s := newService(t)
	s.Manual = true
	must(t, s.SubmitUseCase(t.Context(), here, []byte(form)))
	agree(t, s, here, opus)
	next := newService(t)
	next.Manual, next.Store = true, s.Store
	must(t, next.Allowed(t.Context(), account, region, model(t, s, opus), catalog.Invoke))
	must(t, next.Withdraw(t.Context(), here, opus))
	refused(t, next.Allowed(t.Context(), account, region, model(t, s, opus), catalog.Invoke), messages.AccessDenied, noAccess)
}

func BenchmarkAllowed(b *testing.B) {
	s := newService(b)
	s.Strict = true
	m := model(b, s, opus)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Allowed(b.Context(), account, region, m, catalog.Invoke); err != nil {
			b.Fatal(err)
		}
	}
}
