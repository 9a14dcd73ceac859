package access

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Memory is a Store that forgets with its process.
type Memory struct {
	mu       sync.Mutex
	settings map[Scope]Settings
	profiles map[Scope][]Profile
}

// NewMemory is an empty one.
func NewMemory() *Memory {
	return &Memory{settings: map[Scope]Settings{}, profiles: map[Scope][]Profile{}}
}

var _ Store = (*Memory)(nil)

func (m *Memory) Settings(_ context.Context, s Scope) (Settings, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settings[s].clone(), nil
}

func (m *Memory) change(s Scope, f func(*Settings)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.settings[s].clone()
	f(&v)
	m.settings[s] = v
	return nil
}

func (m *Memory) PutAgreement(_ context.Context, s Scope, model string, a Agreement) error {
	return m.change(s, func(v *Settings) { v.Agreements[model] = a })
}

func (m *Memory) PutUseCase(_ context.Context, s Scope, u UseCase) error {
	u.Form = bytes.Clone(u.Form)
	return m.change(s, func(v *Settings) { v.UseCase = &u })
}

func (m *Memory) PutRetention(_ context.Context, s Scope, r Retention) error {
	return m.change(s, func(v *Settings) { v.Retention = &r })
}

func (m *Memory) PutLogging(_ context.Context, s Scope, l *Logging) error {
	return m.change(s, func(v *Settings) { v.Logging = l.clone() })
}

// clone shares nothing with s that a caller can reach.
func (s Settings) clone() Settings {
	s.Agreements = maps.Clone(s.Agreements)
	if s.Agreements == nil {
		s.Agreements = map[string]Agreement{}
	}
	if s.UseCase != nil {
		u := UseCase{bytes.Clone(s.UseCase.Form), s.UseCase.At}
		s.UseCase = &u
	}
	if s.Retention != nil {
		r := *s.Retention
		s.Retention = &r
	}
	s.Logging = s.Logging.clone()
	return s
}

func (m *Memory) Profiles(_ context.Context, s Scope) ([]Profile, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Profile, 0, len(m.profiles[s]))
	for _, p := range m.profiles[s] {
		out = append(out, p.clone())
	}
	return out, nil
}

func (m *Memory) AddProfile(_ context.Context, s Scope, p Profile) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.profiles[s] {
		if other.ID == p.ID || p.Token != "" && other.Token == p.Token {
			return ErrTaken
		}
	}
	m.profiles[s] = append(m.profiles[s], p.clone())
	slices.SortFunc(m.profiles[s], func(a, b Profile) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return nil
}

func (m *Memory) RemoveProfile(_ context.Context, s Scope, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.profiles[s], func(p Profile) bool { return p.ID == id })
	if i < 0 {
		return ErrNoProfile
	}
	m.profiles[s] = slices.Delete(m.profiles[s], i, i+1)
	return nil
}

func (m *Memory) PutTags(_ context.Context, s Scope, id string, tags []Tag) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.profiles[s], func(p Profile) bool { return p.ID == id })
	if i < 0 {
		return ErrNoProfile
	}
	m.profiles[s][i].Tags = sorted(tags)
	return nil
}

func (p Profile) clone() Profile {
	p.Models, p.Tags = slices.Clone(p.Models), sorted(p.Tags)
	return p
}

// sorted gives the tags in order of their keys, and nil for none.
func sorted(tags []Tag) []Tag {
	if len(tags) == 0 {
		return nil
	}
	out := slices.Clone(tags)
	slices.SortFunc(out, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	return out
}
