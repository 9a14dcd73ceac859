package datadir

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// lookEvery is how old the view of keys.age may be: a key revoked by another
// process opens the door that much longer at most.
const lookEvery = time.Second

// Secret is a text that prints, logs and marshals as a placeholder.
type Secret string

// Reveal gives the text, to show it once to its owner.
func (s Secret) Reveal() string             { return string(s) }
func (Secret) String() string               { return "(secret)" }
func (Secret) GoString() string             { return "(secret)" }
func (Secret) LogValue() slog.Value         { return slog.StringValue("(secret)") }
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// KeyKind tells the two kinds of stored keys apart.
type KeyKind string

const (
	AccessKeyKind KeyKind = "access key"
	APIKeyKind    KeyKind = "API key"
)

// Key is what may be told about a key.
type Key struct {
	ID      string    `json:"id"`
	Kind    KeyKind   `json:"kind"`
	Name    string    `json:"name"`
	ARN     string    `json:"arn"`
	Region  string    `json:"region,omitempty"` // default Region of its calls; empty: the server's
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
}

// keySet is one state of keys.age. An err stands until keys.age changes or a
// second has passed: nobody comes in on keys that cannot be read.
type keySet struct {
	info os.FileInfo // nil after an error
	doc  *document
	ring *identity.Ring
	err  error
}

// AccessKey implements identity.Keys.
func (f *Folder) AccessKey(ctx context.Context, id string) (identity.AccessKey, error) {
	return lookUp(f, func(r *identity.Ring) (identity.AccessKey, error) { return r.AccessKey(ctx, id) })
}

// APIKey implements identity.Keys.
func (f *Folder) APIKey(ctx context.Context, sum [sha256.Size]byte) (identity.APIKey, error) {
	return lookUp(f, func(r *identity.Ring) (identity.APIKey, error) { return r.APIKey(ctx, sum) })
}

// lookUp looks at the folder again before it refuses: a key opens the door from
// the moment that it was made. An unknown key costs one stat.
func lookUp[K any](f *Folder, get func(*identity.Ring) (K, error)) (key K, err error) {
	s, err := f.current()
	if err != nil {
		return key, err
	}
	if key, err = get(s.ring); !errors.Is(err, identity.ErrNoKey) {
		return key, err
	}
	now, err := f.within(0)
	if err != nil {
		return key, err
	}
	return get(now.ring)
}

// Account is the folder's account id.
func (f *Folder) Account() (string, error) {
	s, err := f.current()
	if err != nil {
		return "", err
	}
	return s.doc.Account, nil
}

// List tells all keys, oldest first within each kind.
func (f *Folder) List() ([]Key, error) {
	s, err := f.current()
	if err != nil {
		return nil, err
	}
	keys := make([]Key, 0, len(s.doc.AccessKeys)+len(s.doc.APIKeys))
	for _, e := range s.doc.AccessKeys {
		keys = append(keys, s.doc.describeAccess(e))
	}
	for _, e := range s.doc.APIKeys {
		keys = append(keys, s.doc.describeAPI(e))
	}
	return keys, nil
}

func (d *document) describeAccess(e accessEntry) Key {
	return Key{ID: e.ID, Kind: AccessKeyKind, Name: e.User, ARN: d.owner(e.User, e.UserID, "").ARN, Region: e.Region, Created: e.Created}
}

func (d *document) describeAPI(e apiEntry) Key {
	return Key{ID: e.ID, Kind: APIKeyKind, Name: e.Name, ARN: d.owner(e.User, e.UserID, "").ARN, Region: e.Region, Created: e.Created, Expires: e.Expires}
}

// FirstKey gives the oldest access key, for clients of this machine.
func (f *Folder) FirstKey() (sigv4.Credentials, Key, error) {
	s, err := f.current()
	if err != nil {
		return sigv4.Credentials{}, Key{}, err
	}
	if len(s.doc.AccessKeys) == 0 {
		return sigv4.Credentials{}, Key{}, fmt.Errorf("data folder %s: %w: all access keys are revoked", f.path, identity.ErrNoKey)
	}
	e := s.doc.AccessKeys[0]
	return sigv4.Credentials{AccessKeyID: e.ID, SecretAccessKey: e.Secret}, s.doc.describeAccess(e), nil
}

// CreateAccessKey makes an access key for the user, who is made if need be.
func (f *Folder) CreateAccessKey(user, region string) (sigv4.Credentials, Key, error) {
	var c sigv4.Credentials
	var k Key
	err := f.change(func(d *document) error {
		e, err := d.addAccessKey(user, region, f.options.Now())
		c, k = sigv4.Credentials{AccessKeyID: e.ID, SecretAccessKey: e.Secret}, d.describeAccess(e)
		return err
	})
	if err != nil {
		return sigv4.Credentials{}, Key{}, err
	}
	return c, k, nil
}

// CreateAPIKey makes a long-term API key. This is the only time that it can be
// had: its hash is what is kept. A zero expires is never.
func (f *Folder) CreateAPIKey(name, region string, expires time.Time) (Secret, Key, error) {
	var s Secret
	var k Key
	err := f.change(func(d *document) error {
		var e apiEntry
		var err error
		s, e, err = d.addAPIKey(name, region, expires, f.options.Now())
		k = d.describeAPI(e)
		return err
	})
	if err != nil {
		return "", Key{}, err
	}
	return s, k, nil
}

// Revoke removes a key by its id.
func (f *Folder) Revoke(id string) error {
	return f.change(func(d *document) error {
		before := len(d.AccessKeys) + len(d.APIKeys)
		d.AccessKeys = slices.DeleteFunc(d.AccessKeys, func(e accessEntry) bool { return e.ID == id })
		d.APIKeys = slices.DeleteFunc(d.APIKeys, func(e apiEntry) bool { return e.ID == id })
		if len(d.AccessKeys)+len(d.APIKeys) == before {
			return fmt.Errorf("%w: %q", identity.ErrNoKey, id)
		}
		return nil
	})
}

// change reads keys.age as it is now, changes it and writes it.
func (f *Folder) change(do func(*document) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	unlock, err := f.lockKeys()
	if err != nil {
		return err
	}
	defer unlock()
	s := f.read() // its document is nobody else's yet
	if s.err != nil {
		return s.err
	}
	if err := do(s.doc); err != nil {
		return err
	}
	return f.store(s.doc)
}

// store seals and writes d; the caller holds keys.lock.
func (f *Folder) store(d *document) error {
	plain, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("keys.age: its content cannot be written") // no cause: it might quote a secret
	}
	sealed, err := f.sealer.seal(plain)
	if err == nil {
		err = writeFile(f.file("keys.age"), sealed)
	}
	if err != nil {
		return fmt.Errorf("data folder %s: keys.age: %w", f.path, err)
	}
	s := f.read()
	f.keys.Store(s)
	return s.err
}

// current gives the keys as they were within the last second.
func (f *Folder) current() (*keySet, error) { return f.within(lookEvery) }

func (f *Folder) within(view time.Duration) (*keySet, error) {
	now := f.options.Now().UnixNano()
	fresh := func() *keySet {
		age := now - f.checked.Load()
		if s := f.keys.Load(); s != nil && age >= 0 && age < int64(view) {
			return s
		}
		return nil
	}
	s := fresh()
	if s == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if s = fresh(); s == nil { // nobody else has looked meanwhile
			s = f.keys.Load()
			if info, err := os.Stat(f.file("keys.age")); s == nil || s.info == nil || err != nil || !sameFile(info, s.info) {
				s = f.read()
				f.keys.Store(s)
			}
			f.checked.Store(now)
		}
	}
	return s, s.err
}

// sameFile: a change replaces the file, so its identity tells as well.
func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (f *Folder) read() *keySet {
	fail := func(err error) *keySet {
		return &keySet{err: fmt.Errorf("data folder %s: keys.age: %w", f.path, err)}
	}
	file, err := os.Open(f.file("keys.age"))
	if errors.Is(err, fs.ErrNotExist) {
		return fail(ErrNotSetUp)
	}
	if err != nil {
		return fail(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	plain, err := f.sealer.open(file)
	if err != nil {
		return fail(err)
	}
	doc, err := parseDocument(plain)
	if err != nil {
		return fail(err)
	}
	ring, err := doc.ring()
	if err != nil {
		return fail(err)
	}
	return &keySet{info: info, doc: doc, ring: ring}
}
