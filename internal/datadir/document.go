package datadir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/outcrop-dev/outcrop/internal/identity"
)

// documentVersion goes up when an older Outcrop could not read the file.
const documentVersion = 1

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
}

func (d document) String() string      { return "document(" + d.Account + ")" }
func (d document) GoString() string    { return d.String() }
func (e accessEntry) String() string   { return "accessEntry(" + e.ID + ")" }
func (e accessEntry) GoString() string { return e.String() }

func newDocument(region string, now time.Time) (*document, error) {
	d := &document{Version: documentVersion, Account: identity.NewAccountID(), Created: now.UTC().Truncate(time.Second),
		AccessKeys: []accessEntry{}, APIKeys: []apiEntry{}}
	_, err := d.addAccessKey("admin", region, now)
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
	if d.Version != documentVersion {
		return nil, fmt.Errorf("it is of version %d, this Outcrop knows %d", d.Version, documentVersion)
	}
	return d, nil
}

// ring is the document as the front door uses it.
func (d *document) ring() (*identity.Ring, error) {
	access := make([]identity.AccessKey, len(d.AccessKeys))
	for i, e := range d.AccessKeys {
		access[i] = identity.AccessKey{Owner: d.owner(e.User, e.UserID, e.Region), ID: e.ID, Secret: e.Secret}
	}
	api := make([]identity.APIKey, len(d.APIKeys))
	for i, e := range d.APIKeys {
		api[i] = identity.APIKey{Owner: d.owner(e.User, e.UserID, e.Region), ID: e.ID, Expires: e.Expires}
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

func (d *document) addAccessKey(user, region string, now time.Time) (accessEntry, error) {
	if err := checkNames(user, region); err != nil {
		return accessEntry{}, err
	}
	owner := identity.NewUser(d.Account, user)
	for _, e := range d.AccessKeys {
		if e.User == user {
			owner.UserID = e.UserID // one user may have many keys
		}
	}
	k := identity.NewAccessKey(owner)
	e := accessEntry{ID: k.ID, Secret: k.Secret, User: user, UserID: k.UserID, Region: region, Created: now.UTC().Truncate(time.Second)}
	d.AccessKeys = append(d.AccessKeys, e)
	return e, nil
}

func (d *document) addAPIKey(name, region string, expires, now time.Time) (Secret, apiEntry, error) {
	if err := checkNames(name, region); err != nil {
		return "", apiEntry{}, err
	}
	if !expires.IsZero() && !expires.After(now) {
		return "", apiEntry{}, fmt.Errorf("an API key that ends at %s would never be valid", expires.Format(time.RFC3339))
	}
	key, k := identity.NewAPIKey(d.Account, expires)
	user := k.ARN[len("arn:aws:iam::"+d.Account+":user/"):]
	e := apiEntry{ID: k.ID, SHA256: hex.EncodeToString(k.Sum[:]), Name: name, User: user, UserID: k.UserID, Region: region,
		Created: now.UTC().Truncate(time.Second), Expires: expires.UTC()}
	d.APIKeys = append(d.APIKeys, e)
	return Secret(key), e, nil
}

// checkNames holds names to IAM's rules: they stand in ARNs.
func checkNames(user, region string) error {
	ok := user != "" && len(user) <= 64
	for i := range len(user) {
		switch c := user[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '+', c == '=', c == ',', c == '.', c == '@', c == '_', c == '-':
		default:
			ok = false
		}
	}
	if !ok {
		return fmt.Errorf("%q is not a name: 1 to 64 letters, digits and +=,.@_-", user)
	}
	if region != "" && !identity.RegionName(region) {
		return fmt.Errorf("%q is not a Region's name", region)
	}
	return nil
}
