package access_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Calls go on while settings change, and no change is lost.
func TestAtOnce(t *testing.T) {
	s := newService(t)
	m := model(t, s, opus)
	var calls, changes sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		calls.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.Allowed(t.Context(), account, region, m, catalog.Invoke); err != nil && messages.AsError(err).Kind != messages.AccessDenied {
					t.Error(err)
				}
				if all, err := s.Profiles(t.Context(), here); err == nil {
					for _, p := range all {
						s.MadeFrom(s.ARN(here, p))
					}
				}
			}
		})
	}
	p, err := s.CreateProfile(t.Context(), here, access.NewProfile{Name: "a", CopyFrom: usOpus})
	must(t, err)
	for i := range 20 {
		changes.Go(func() {
			if err := s.Tag(t.Context(), here, s.ARN(here, p), []access.Tag{{Key: fmt.Sprint("k", i)}}); err != nil {
				t.Error(err)
			}
			if _, err := s.CreateProfile(t.Context(), here, access.NewProfile{Name: "b", Token: "same", CopyFrom: usOpus}); err != nil {
				t.Error(err)
			}
		})
	}
	changes.Go(func() {
		for range 10 {
			if err := s.Withdraw(t.Context(), here, opus); err != nil {
				t.Error(err)
			}
			agree(t, s, here, opus)
		}
	})
	changes.Wait()
	close(stop)
	calls.Wait()
	if tags, err := s.Tags(t.Context(), here, s.ARN(here, p)); err != nil || len(tags) != 20 {
		t.Errorf("%d tags, %v", len(tags), err)
	}
	if all, err := s.Profiles(t.Context(), here); err != nil || len(all) != 2 {
		t.Errorf("%d profiles, %v", len(all), err)
	}
}

// A name is a profile's if the profile was made here, whatever else it looks like.
func FuzzMadeFrom(f *testing.F) {
	s := newService(f)
	p, err := s.CreateProfile(f.Context(), here, access.NewProfile{Name: "a", CopyFrom: usOpus})
	must(f, err)
	arn := s.ARN(here, p)
	for _, seed := range []string{arn, p.ID, usOpus, "", "arn:aws:bedrock:::application-inference-profile/", strings.Replace(arn, "aws", "", 1), arn + "/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		from, ok := s.MadeFrom(ref)
		if ok && (from != usOpus || !strings.HasSuffix(ref, ":bedrock:us-east-1:123456789012:application-inference-profile/"+p.ID)) {
			t.Fatalf("%q was made from %s", ref, from)
		}
		if _, err := s.Catalog.Resolve(ref, region, catalog.Policy{Own: s.MadeFrom, OwnHere: true, OwnAccount: account, Now: clock}); err == nil && ok && ref != arn {
			t.Fatalf("%q resolves", ref)
		}
	})
}
