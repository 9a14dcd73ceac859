package access

import (
	"context"
	"errors"
	"time"
)

// Scope is one account in one Region: everything here is kept for one of those.
type Scope struct{ Account, Region string }

// Agreement is what an account last said about a model.
type Agreement struct {
	Granted bool // false: given back
	At      time.Time
}

// UseCase is the form that Anthropic asks an account to fill out once.
type UseCase struct {
	Form []byte // as it came
	At   time.Time
}

// Retention is a data-retention mode that an account has set.
type Retention struct {
	Mode string
	At   time.Time
}

// Settings are what is stored of a Scope. Absent members are nil.
type Settings struct {
	Agreements map[string]Agreement // by AWS's id of the model
	UseCase    *UseCase
	Retention  *Retention
	Logging    *Logging
}

// Tag is a name and a value that cost is told apart by.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Profile is an application inference profile. Only its tags ever change.
type Profile struct {
	ID          string // 12 lower-case letters and digits
	Name        string
	Description string
	Token       string // of the request that made it; "" for none
	MadeFrom    string // ARN of a model or of a system-defined profile
	Models      []string
	Created     time.Time
	Tags        []Tag // in order of their keys
}

var (
	// ErrTaken: a profile has that id or that token.
	ErrTaken = errors.New("the profile's id or token is taken")
	// ErrNoProfile: there is no such profile.
	ErrNoProfile = errors.New("no such profile")
)

// SettingsStore keeps settings. A put replaces.
type SettingsStore interface {
	Settings(context.Context, Scope) (Settings, error)
	PutAgreement(ctx context.Context, s Scope, model string, a Agreement) error
	PutUseCase(context.Context, Scope, UseCase) error
	PutRetention(context.Context, Scope, Retention) error
	PutLogging(context.Context, Scope, *Logging) error // nil removes
}

// ProfileStore keeps application inference profiles.
type ProfileStore interface {
	Profiles(context.Context, Scope) ([]Profile, error)                // oldest first, then by id
	AddProfile(context.Context, Scope, Profile) error                  // ErrTaken
	RemoveProfile(ctx context.Context, s Scope, id string) error       // ErrNoProfile
	PutTags(ctx context.Context, s Scope, id string, tags []Tag) error // ErrNoProfile; replaces all
}

// Store is what Service keeps its state in. Every call is atomic, and what it
// has stored is there after a crash. accesstest holds implementations to it.
type Store interface {
	SettingsStore
	ProfileStore
}
