package httpapi

import (
	"errors"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Keys is the store of keys as administrators see it. An unknown key is
// identity.ErrNoKey.
type Keys interface {
	List() ([]identity.Key, error)
	Create(identity.NewKey) (identity.Key, identity.Secret, error)
	// Update changes settings that nobody else holds; its error leaves them.
	Update(id string, change func(*identity.Settings) error) (identity.Key, error)
	Revoke(id string) error
}

func noKey(err error, id string) error {
	if errors.Is(err, identity.ErrNoKey) {
		return messages.Errorf(messages.NotFound, "There is no key with the id %q.", id)
	}
	return err
}

// key finds the key that the path names.
func (x *exchange) key() (identity.Key, []identity.Key, error) {
	keys, err := x.Keys.List()
	if err != nil {
		return identity.Key{}, nil, err
	}
	i := slices.IndexFunc(keys, func(k identity.Key) bool { return k.ID == x.label })
	if i < 0 {
		return identity.Key{}, nil, noKey(identity.ErrNoKey, x.label)
	}
	return keys[i], keys, nil
}

// MadeKey is a key with its secret, which nobody can have again.
type MadeKey struct {
	identity.Key
	Secret string `json:"secret_access_key,omitempty"`
	APIKey string `json:"key,omitempty"` // of an API key: the whole of it
}

// NewMadeKey puts the secret where it belongs.
func NewMadeKey(k identity.Key, secret identity.Secret) MadeKey {
	if k.Kind == identity.APIKeyKind {
		return MadeKey{Key: k, APIKey: secret.Reveal()}
	}
	return MadeKey{Key: k, Secret: secret.Reveal()}
}

// NewKey is the input of CreateKey.
type NewKey struct {
	Kind    identity.KeyKind `json:"kind,omitempty"` // "": an access key
	Name    string           `json:"name"`
	Region  string           `json:"region,omitempty"`
	Expires time.Time        `json:"expires,omitzero"`
	identity.Settings
}

// KeyList is the output of ListKeys.
type KeyList struct {
	Keys []identity.Key `json:"keys"`
}

func (x *exchange) listKeys(identity.Caller, []byte) error {
	keys, err := x.Keys.List()
	if err != nil {
		return err
	}
	return x.replyJSON(KeyList{append([]identity.Key{}, keys...)})
}

func (x *exchange) getKey(identity.Caller, []byte) error {
	k, _, err := x.key()
	if err != nil {
		return err
	}
	return x.replyJSON(k)
}

func (x *exchange) createKey(_ identity.Caller, body []byte) error {
	var in NewKey
	if err := decode(body, &in); err != nil {
		return err
	}
	switch in.Kind {
	case "":
		in.Kind = identity.AccessKeyKind
	case identity.AccessKeyKind, identity.APIKeyKind:
	default:
		return messages.Errorf(messages.InvalidRequest, "The kind %q is none of: %s, %s", in.Kind, identity.AccessKeyKind, identity.APIKeyKind)
	}
	if err := knownRegions(x.Gateway.Catalog, in.Settings); err != nil {
		return err
	}
	k, secret, err := x.Keys.Create(identity.NewKey{Kind: in.Kind, Name: in.Name, Region: in.Region, Expires: in.Expires, Settings: in.Settings})
	if err != nil {
		return err
	}
	x.about(k.ID)
	return x.replyJSON(NewMadeKey(k, secret))
}

// updateKey sets the members that the body has.
func (x *exchange) updateKey(_ identity.Caller, body []byte) error {
	return x.change(func(s *identity.Settings) error { return decode(body, s) }, func(k identity.Key) any { return k })
}

// change changes the settings of the key that the path names. The last
// administrator stays one: nobody could undo it from here.
func (x *exchange) change(f func(*identity.Settings) error, show func(identity.Key) any) error {
	x.keysMu.Lock()
	defer x.keysMu.Unlock()
	last, err := x.lastAdministrator()
	if err != nil {
		return err
	}
	k, err := x.Keys.Update(x.label, func(s *identity.Settings) error {
		if err := f(s); err != nil {
			return err
		}
		if last && s.Role != identity.RoleAdministrator {
			return errLast
		}
		return knownRegions(x.Gateway.Catalog, *s)
	})
	if err != nil {
		return noKey(err, x.label)
	}
	return x.replyJSON(show(k))
}

func (x *exchange) revokeKey(identity.Caller, []byte) error {
	x.keysMu.Lock()
	defer x.keysMu.Unlock()
	last, err := x.lastAdministrator()
	if err != nil {
		return err
	}
	if last {
		return errLast
	}
	return x.done(noKey(x.Keys.Revoke(x.label), x.label))
}

var errLast = messages.Errorf(messages.Conflict, "This is the last key of an administrator: make another one first.").
	WithHint("outcrop key on the server's own machine needs no administrator")

// lastAdministrator says that the path names the only key that may administrate.
// A key that ends does not count beside it.
func (x *exchange) lastAdministrator() (bool, error) {
	k, keys, err := x.key()
	if err != nil || k.Role != identity.RoleAdministrator {
		return false, err
	}
	return !slices.ContainsFunc(keys, func(o identity.Key) bool {
		return o.ID != k.ID && o.Role == identity.RoleAdministrator && o.Expires.IsZero()
	}), nil
}

// knownRegions refuses Regions that AWS does not have.
func knownRegions(c *catalog.Catalog, s identity.Settings) error {
	if _, err := routing.NewFence(c, s.AllowRegions, s.DenyRegions, s.DenyGlobal); err != nil {
		return messages.Errorf(messages.InvalidRequest, "%v", err)
	}
	return nil
}

// KeyLimits is what a key may use and has used.
type KeyLimits struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Limits    limit.Limits `json:"limits"`    // its own
	Effective limit.Limits `json:"effective"` // with the server's where it has none
	Used      *LimitsInUse `json:"used,omitempty"`
}

// LimitsInUse is where a key stands. What is left is of this minute, and there
// where it is limited.
type LimitsInUse struct {
	RequestsLeft *int64 `json:"requests_left,omitempty"`
	TokensLeft   *int64 `json:"tokens_left,omitempty"`
	Streams      int64  `json:"concurrent_streams"`
	Today        string `json:"usd_today"`
	ThisMonth    string `json:"usd_this_month"`
}

// LimitList is the output of ListLimits.
type LimitList struct {
	Server limit.Limits `json:"server"` // of keys that have none of their own
	Keys   []KeyLimits  `json:"keys"`
}

func (x *exchange) limitsOf(k identity.Key) KeyLimits {
	g := x.Gateway
	out := KeyLimits{ID: k.ID, Name: k.Name, Limits: k.Limits, Effective: k.Limits.Or(g.KeyLimits)}
	if g.Limits == nil {
		return out
	}
	s := g.Limits.State(k.ID, out.Effective)
	out.Used = &LimitsInUse{Streams: s.Streams, Today: s.Day.USD(), ThisMonth: s.Month.USD()}
	if out.Effective.RequestsPerMinute > 0 {
		out.Used.RequestsLeft = &s.Requests
	}
	if out.Effective.TokensPerMinute > 0 {
		out.Used.TokensLeft = &s.Tokens
	}
	return out
}

func (x *exchange) listLimits(identity.Caller, []byte) error {
	keys, err := x.Keys.List()
	if err != nil {
		return err
	}
	out := LimitList{Server: x.Gateway.KeyLimits, Keys: []KeyLimits{}}
	for _, k := range keys {
		out.Keys = append(out.Keys, x.limitsOf(k))
	}
	return x.replyJSON(out)
}

func (x *exchange) getLimits(identity.Caller, []byte) error {
	k, _, err := x.key()
	if err != nil {
		return err
	}
	return x.replyJSON(x.limitsOf(k))
}

// setLimits sets the members that the body has.
func (x *exchange) setLimits(_ identity.Caller, body []byte) error {
	return x.change(func(s *identity.Settings) error { return decode(body, &s.Limits) }, func(k identity.Key) any { return x.limitsOf(k) })
}
