package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"time"
)

// ErrNoKey: the store has no such key, or has it no more.
var ErrNoKey = errors.New("no such key")

// Keys is the store of keys. An unknown key is ErrNoKey; any other error is a
// fault of the store.
type Keys interface {
	AccessKey(ctx context.Context, id string) (AccessKey, error)
	// APIKey finds a long-term key by the SHA-256 of the whole key: the store
	// does not have the key itself.
	APIKey(ctx context.Context, sum [sha256.Size]byte) (APIKey, error)
}

// AccessKey is a stored access key. It prints without its secrets.
type AccessKey struct {
	Owner
	ID, Secret   string
	SessionToken string    // for temporary credentials: the token that must come with the key
	Expires      time.Time // zero: never
	Settings     *Settings // shared, read only; nil: the zero Settings
}

func (k AccessKey) String() string               { return "AccessKey(" + k.ID + ", " + k.ARN + ")" }
func (k AccessKey) GoString() string             { return k.String() }
func (k AccessKey) LogValue() slog.Value         { return slog.StringValue(k.String()) }
func (k AccessKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// APIKey is a stored long-term API key.
type APIKey struct {
	Owner
	ID       string
	Sum      [sha256.Size]byte
	Expires  time.Time // zero: never
	Settings *Settings // shared, read only; nil: the zero Settings
}

func (k APIKey) String() string               { return "APIKey(" + k.ID + ", " + k.ARN + ")" }
func (k APIKey) GoString() string             { return k.String() }
func (k APIKey) LogValue() slog.Value         { return slog.StringValue(k.String()) }
func (k APIKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Ring is a fixed set of keys in memory.
type Ring struct {
	access map[string]AccessKey
	api    map[[sha256.Size]byte]APIKey
}

// NewRing makes a Ring of the keys given.
func NewRing(access []AccessKey, api []APIKey) *Ring {
	r := &Ring{make(map[string]AccessKey, len(access)), make(map[[sha256.Size]byte]APIKey, len(api))}
	for _, k := range access {
		r.access[k.ID] = k
	}
	for _, k := range api {
		r.api[k.Sum] = k
	}
	return r
}

func (r *Ring) AccessKey(_ context.Context, id string) (AccessKey, error) {
	if k, ok := r.access[id]; ok {
		return k, nil
	}
	return AccessKey{}, ErrNoKey
}

// APIKey may look up by hash: what the time of it tells is about the hash of a
// guess, from which the next guess learns nothing.
func (r *Ring) APIKey(_ context.Context, sum [sha256.Size]byte) (APIKey, error) {
	if k, ok := r.api[sum]; ok {
		return k, nil
	}
	return APIKey{}, ErrNoKey
}
