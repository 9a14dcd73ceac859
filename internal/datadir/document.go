package datadir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// documentVersion goes up when an older Outcrop could not read the file. Version
// 1 had no settings.
const documentVersion = 2

// document is the content of keys.age.
type document struct {
	Version    int           `json:"version"`
	Account    string        `json:"account"`
	Created    time.Time     `json:"created"`
	AccessKeys []accessEntry `json:"access_keys"`
	APIKeys    []apiEntry    `json:"api_keys"`
}

type accessEntry struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret"`
	User    string    `json:"user"`
	UserID  string    `json:"user_id"`
	Region  string    `json:"region,omitempty"`
	Created time.Time `json:"created"`

	Settings identity.Settings `json:"settings,omitzero"`
}

type apiEntry struct {
	ID      string    `json:"id"`
	SHA256  string    `json:"sha256"`
	Name    string    `json:"name"`
	User    string    `json:"user"`
	UserID  string    `json:"user_id"`
	Region  string    `json:"region,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`

	Settings identity.Settings `json:"settings,omitzero"`
}

func (d document) String() string      { return "document(" + d.Account + ")" }
func (d document) GoString() string    { return d.String() }
func (e accessEntry) String() string   { return "accessEntry(" + e.ID + ")" }
func (e accessEntry) GoString() string { return e.String() }

func newDocument(region string, now time.Time) (*document, error) {
	d := &document{Version: documentVersion, Account: identity.NewAccountID(), Created: now.UTC().Truncate(time.Second),
		AccessKeys: []accessEntry{}, APIKeys: []apiEntry{}}
	_, err := d.addAccessKey(identity.NewKey{Name: "admin", Region: region, Settings: identity.Settings{Role: identity.RoleAdministrator}}, now)
	return d, err
}

// parseDocument refuses what it does not know: the next change would drop it.
func parseDocument(plain []byte) (*document, error) {
	d := &document{}
	dec := json.NewDecoder(bytes.NewReader(plain))
	dec.DisallowUnknownFields()
	if err := dec.Decode(d); err != nil {
		var v struct{ Version int }
		if json.Unmarshal(plain, &v) == nil && v.Version > documentVersion {
			return nil, fmt.Errorf("it is of version %d, from a newer Outcrop", v.Version)
		}
		return nil, fmt.Errorf("its content is not what this Outcrop writes") // no cause: it might quote a secret
	}
	switch d.Version {
	case documentVersion:
	case 1:
		d.Version = documentVersion
		if oldest := d.oldest(); oldest != nil {
			oldest.Role = identity.RoleAdministrator
		}
	default:
		return nil, fmt.Errorf("it is of version %d, this Outcrop knows %d", d.Version, documentVersion)
	}
	return d, nil
}

// oldest gives the settings of the oldest key; nil: there is none.
func (d *document) oldest() (of *identity.Settings) {
	var first time.Time
	for settings, created := range d.settings() {
		if of == nil || created.Before(first) {
			of, first = settings, created
		}
	}
	return of
}

// settings are those of each key, with the time when it was made.
func (d *document) settings() iter.Seq2[*identity.Settings, time.Time] {
	return func(yield func(*identity.Settings, time.Time) bool) {
		for i := range d.AccessKeys {
			if e := &d.AccessKeys[i]; !yield(&e.Settings, e.Created) {
				return
			}
		}
		for i := range d.APIKeys {
			if e := &d.APIKeys[i]; !yield(&e.Settings, e.Created) {
				return
			}
		}
	}
}

// find gives the settings of a key and what may be told of it.
func (d *document) find(id string) (*identity.Settings, func() identity.Key, bool) {
	for i := range d.AccessKeys {
		if e := &d.AccessKeys[i]; e.ID == id {
			return &e.Settings, func() identity.Key { return d.describeAccess(*e) }, true
		}
	}
	for i := range d.APIKeys {
		if e := &d.APIKeys[i]; e.ID == id {
			return &e.Settings, func() identity.Key { return d.describeAPI(*e) }, true
		}
	}
	return nil, nil, false
}

// ring is the document as the front door uses it.
func (d *document) ring() (*identity.Ring, error) {
	access := make([]identity.AccessKey, len(d.AccessKeys))
	for i, e := range d.AccessKeys {
		access[i] = identity.AccessKey{Owner: d.owner(e.User, e.UserID, e.Region), ID: e.ID, Secret: e.Secret, Settings: &d.AccessKeys[i].Settings}
	}
	api := make([]identity.APIKey, len(d.APIKeys))
	for i, e := range d.APIKeys {
		api[i] = identity.APIKey{Owner: d.owner(e.User, e.UserID, e.Region), ID: e.ID, Expires: e.Expires, Settings: &d.APIKeys[i].Settings}
		if n, err := hex.Decode(api[i].Sum[:], []byte(e.SHA256)); err != nil || n != sha256.Size {
			return nil, fmt.Errorf("API key %s has no hash", e.ID)
		}
	}
	return identity.NewRing(access, api), nil
}

func (d *document) owner(user, userID, region string) identity.Owner {
	o := identity.NewUser(d.Account, user)
	o.UserID, o.DefaultRegion = userID, region
	return o
}

func (d *document) addAccessKey(n identity.NewKey, now time.Time) (accessEntry, error) {
	if err := checkKey(n); err != nil {
		return accessEntry{}, err
	}
	if !n.Expires.IsZero() {
		return accessEntry{}, messages.Errorf(messages.InvalidRequest, "An access key does not end; an API key may.")
	}
	owner := identity.NewUser(d.Account, n.Name)
	for _, e := range d.AccessKeys {
		if e.User == n.Name {
			owner.UserID = e.UserID // one user may have many keys
		}
	}
	k := identity.NewAccessKey(owner)
	e := accessEntry{ID: k.ID, Secret: k.Secret, User: n.Name, UserID: k.UserID, Region: n.Region, Created: now.UTC().Truncate(time.Second), Settings: n.Settings.Clone()}
	d.AccessKeys = append(d.AccessKeys, e)
	return e, nil
}

func (d *document) addAPIKey(n identity.NewKey, now time.Time) (identity.Secret, apiEntry, error) {
	if err := checkKey(n); err != nil {
		return "", apiEntry{}, err
	}
	if !n.Expires.IsZero() && !n.Expires.After(now) {
		return "", apiEntry{}, messages.Errorf(messages.InvalidRequest, "an API key that ends at %s would never be valid", n.Expires.Format(time.RFC3339))
	}
	key, k := identity.NewAPIKey(d.Account, n.Expires)
	user := k.ARN[len("arn:aws:iam::"+d.Account+":user/"):]
	e := apiEntry{ID: k.ID, SHA256: hex.EncodeToString(k.Sum[:]), Name: n.Name, User: user, UserID: k.UserID, Region: n.Region,
		Created: now.UTC().Truncate(time.Second), Expires: n.Expires.UTC(), Settings: n.Settings.Clone()}
	d.APIKeys = append(d.APIKeys, e)
	return identity.Secret(key), e, nil
}

// checkKey holds names to IAM's rules: they stand in ARNs.
func checkKey(n identity.NewKey) error {
	ok := n.Name != "" && len(n.Name) <= 64
	for i := range len(n.Name) {
		switch c := n.Name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '+', c == '=', c == ',', c == '.', c == '@', c == '_', c == '-':
		default:
			ok = false
		}
	}
	if !ok {
		return messages.Errorf(messages.InvalidRequest, "%q is not a name: 1 to 64 letters, digits and +=,.@_-", n.Name)
	}
	if n.Region != "" && !identity.RegionName(n.Region) {
		return messages.Errorf(messages.InvalidRequest, "%q is not a Region's name", n.Region)
	}
	return n.Settings.Check()
}
