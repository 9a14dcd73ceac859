package access_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	opus    = "anthropic.claude-opus-4-6-v1"
	fable   = "anthropic.claude-fable-5"
	mythos  = "anthropic.claude-mythos-5-1"
	legacy  = "anthropic.claude-opus-4-1-20250805-v1:0" // until 2027-01-08
	gone    = "anthropic.claude-3-haiku-20240307-v1:0"  // since 2026-09-10

	form = `{"companyName":"Example","companyWebsite":"https://example.com","intendedUsers":"0","industryOption":"Other","otherIndustryOption":"Geology","useCases":"Reading rocks"}`
)

var (
	clock  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	here   = access.Scope{Account: account, Region: region}
	loaded = sync.OnceValues(func() (*catalog.Catalog, error) { return catalog.Load() })
)

func newService(t testing.TB) *access.Service {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return &access.Service{Store: access.NewMemory(), Catalog: c, Now: func() time.Time { return clock }}
}

func model(t testing.TB, s *access.Service, id string) *catalog.Model {
	t.Helper()
	m, ok := s.Catalog.Lookup(id)
	if !ok {
		t.Fatalf("no model %s", id)
	}
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused holds an error to its kind and to words of its text.
func refused(t testing.TB, err error, kind messages.Kind, words string) {
	t.Helper()
	var e *messages.Error
	switch {
	case err == nil:
		t.Errorf("not refused: %s", words)
	case !errors.As(err, &e):
		t.Errorf("%T is no *messages.Error: %v", err, err)
	case e.Kind != kind || !strings.Contains(e.Message, words):
		t.Errorf("kind %d: %s\nwant %d: %s", e.Kind, e.Message, kind, words)
	}
}

func agree(t testing.TB, s *access.Service, sc access.Scope, id string) {
	t.Helper()
	offers, err := s.Offers(t.Context(), sc, id, "")
	must(t, err)
	must(t, s.Agree(t.Context(), sc, id, offers[0].Token))
}

// broken is a Store whose disk is gone.
type broken struct{ access.Store }

var errDisk = errors.New("the disk is gone")

func (broken) Settings(context.Context, access.Scope) (access.Settings, error) {
	return access.Settings{}, errDisk
}
