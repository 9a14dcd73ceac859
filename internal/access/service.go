package access

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Service answers for all accounts. Its fields are set once, before the first
// call. It is its Store's only writer: what it has read it keeps.
type Service struct {
	Store   Store
	Catalog *catalog.Catalog

	// Manual: an account has a model once it has filled out the form and agreed
	// to the model's terms. Otherwise it has every model that it has not given
	// back.
	Manual bool
	// Strict: AWS's rules as they are, for models by invitation, legacy ones and
	// those that need data retention.
	Strict bool

	// Administrator says who may change anything here; nil: everyone.
	Administrator func(identity.Caller) bool
	// Buckets are where invocation logs can be delivered; nil: nowhere.
	Buckets Buckets
	// LastUse is when an account last used a model in a Region; zero: never.
	// nil: nobody knows, and no model counts as idle.
	LastUse func(ctx context.Context, s Scope, model string) (time.Time, error)

	Now func() time.Time
	Log *slog.Logger

	writing sync.Mutex // one change at a time, from reading to having stored
	mu      sync.RWMutex
	views   map[Scope]*view
}

// view is what is stored of a Scope. It never changes: another one replaces it.
type view struct {
	Settings
	profiles []Profile
	byID     map[string]*Profile
}

// view reads the Store the first time alone.
func (s *Service) view(ctx context.Context, sc Scope) (*view, error) {
	s.mu.RLock()
	v := s.views[sc]
	s.mu.RUnlock()
	if v != nil {
		return v, nil
	}
	if _, ok := s.Catalog.Partition(sc.Region); !ok && sc.Region != everyRegion {
		return nil, messages.Errorf(messages.InvalidRequest, "Amazon Bedrock offers no Claude model in the Region %q.", sc.Region)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.load(ctx, sc)
}

// load reads the Store; the caller holds writing.
func (s *Service) load(ctx context.Context, sc Scope) (*view, error) {
	v := &view{byID: map[string]*Profile{}}
	var err error
	if v.Settings, err = s.Store.Settings(ctx, sc); err != nil {
		return nil, fmt.Errorf("access: settings of %s in %s: %w", sc.Account, sc.Region, err)
	}
	if v.profiles, err = s.Store.Profiles(ctx, sc); err != nil {
		return nil, fmt.Errorf("access: profiles of %s in %s: %w", sc.Account, sc.Region, err)
	}
	for i := range v.profiles {
		v.byID[v.profiles[i].ID] = &v.profiles[i]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.views == nil {
		s.views = map[Scope]*view{}
	}
	s.views[sc] = v
	return v, nil
}

// change lets f look at what is stored and store something else, alone, and
// reads again what is stored then, whether f failed or not.
func (s *Service) change(ctx context.Context, sc Scope, f func(*view) error) error {
	if _, err := s.view(ctx, sc); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	v, err := s.load(ctx, sc)
	if err != nil {
		return err
	}
	failed := f(v)
	if _, err := s.load(ctx, sc); err != nil {
		s.mu.Lock()
		delete(s.views, sc) // what is stored is not known
		s.mu.Unlock()
		if failed == nil {
			return err
		}
	}
	return failed
}

// Permit refuses a caller who may not change anything here, in IAM's words.
func (s *Service) Permit(c identity.Caller, action string) error {
	if s.Administrator == nil || s.Administrator(c) {
		return nil
	}
	return messages.Errorf(messages.AccessDenied, "User: %s is not authorized to perform: bedrock:%[2]s because no identity-based policy allows the bedrock:%[2]s action", c.ARN, action).
		WithHint("this key may only call models; use an administrator's")
}

func (s *Service) policy() catalog.Policy {
	return catalog.Policy{Strict: s.Strict, Now: s.Now()}
}
