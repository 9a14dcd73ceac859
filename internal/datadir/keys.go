package datadir

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// lookEvery is how old the view of keys.age may be: a key revoked by another
// process opens the door that much longer at most.
const lookEvery = time.Second

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

// List tells all keys, oldest first within each kind, as they are now: who has
// just made one looks for it.
func (f *Folder) List() ([]identity.Key, error) {
	s, err := f.within(0)
	if err != nil {
		return nil, err
	}
	keys := make([]identity.Key, 0, len(s.doc.AccessKeys)+len(s.doc.APIKeys))
	for _, e := range s.doc.AccessKeys {
		keys = append(keys, s.doc.describeAccess(e))
	}
	for _, e := range s.doc.APIKeys {
		keys = append(keys, s.doc.describeAPI(e))
	}
	return keys, nil
}

func (d *document) describeAccess(e accessEntry) identity.Key {
	return identity.Key{ID: e.ID, Kind: identity.AccessKeyKind, Name: e.User, ARN: d.owner(e.User, e.UserID, "").ARN, Region: e.Region, Created: e.Created,
		Settings: e.Settings.Clone()}
}

func (d *document) describeAPI(e apiEntry) identity.Key {
	return identity.Key{ID: e.ID, Kind: identity.APIKeyKind, Name: e.Name, ARN: d.owner(e.User, e.UserID, "").ARN, Region: e.Region, Created: e.Created, Expires: e.Expires,
		Settings: e.Settings.Clone()}
}

// FirstKey gives the oldest access key, for clients of this machine.
func (f *Folder) FirstKey() (sigv4.Credentials, identity.Key, error) {
	return f.first(func(accessEntry) bool { return true })
}

// AdministratorKey gives the oldest access key that may administrate.
func (f *Folder) AdministratorKey() (sigv4.Credentials, identity.Key, error) {
	return f.first(func(e accessEntry) bool { return e.Settings.Role == identity.RoleAdministrator })
}

func (f *Folder) first(is func(accessEntry) bool) (sigv4.Credentials, identity.Key, error) {
	s, err := f.current()
	if err != nil {
		return sigv4.Credentials{}, identity.Key{}, err
	}
	if len(s.doc.AccessKeys) == 0 {
		return sigv4.Credentials{}, identity.Key{}, fmt.Errorf("data folder %s: %w: all access keys are revoked", f.path, identity.ErrNoKey)
	}
	for _, e := range s.doc.AccessKeys {
		if is(e) {
			return sigv4.Credentials{AccessKeyID: e.ID, SecretAccessKey: e.Secret}, s.doc.describeAccess(e), nil
		}
	}
	return sigv4.Credentials{}, identity.Key{}, fmt.Errorf("data folder %s: %w: no access key is an administrator's", f.path, identity.ErrNoKey)
}

// Create makes a key. The secret is an access key's own, or an API key, whose
// hash alone is kept: this is the only time that it can be had.
func (f *Folder) Create(n identity.NewKey) (identity.Key, identity.Secret, error) {
	var k identity.Key
	var secret identity.Secret
	err := f.change(func(d *document) error {
		switch n.Kind {
		case identity.AccessKeyKind:
			e, err := d.addAccessKey(n, f.options.Now())
			k, secret = d.describeAccess(e), identity.Secret(e.Secret)
			return err
		case identity.APIKeyKind:
			made, e, err := d.addAPIKey(n, f.options.Now())
			k, secret = d.describeAPI(e), made
			return err
		default:
			return fmt.Errorf("%q is no kind of key", n.Kind)
		}
	})
	if err != nil {
		return identity.Key{}, "", err
	}
	return k, secret, nil
}

// Update changes the settings of a key. An error of change leaves them.
func (f *Folder) Update(id string, change func(*identity.Settings) error) (identity.Key, error) {
	var k identity.Key
	err := f.change(func(d *document) error {
		s, describe, ok := d.find(id)
		if !ok {
			return fmt.Errorf("%w: %q", identity.ErrNoKey, id)
		}
		if err := change(s); err != nil {
			return err
		}
		k = describe()
		return s.Check()
	})
	if err != nil {
		return identity.Key{}, err
	}
	return k, nil
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
	unlock, err := f.lockKeys() // may take its time, in which nobody else waits
	if err != nil {
		return err
	}
	defer unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
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
