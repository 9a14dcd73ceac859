package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make an access key or an API key and print it."`
	List   keyListCmd   `cmd:"" help:"List the keys, without their secrets."`
	Revoke keyRevokeCmd `cmd:"" help:"End a key. A running server knows within a second."`
}

type keyCreateCmd struct {
	dataOption
	Name      string `default:"admin" env:"OUTCROP_KEY_NAME" help:"User of an access key, label of an API key. Default: ${default}."`
	Region    string `placeholder:"REGION" env:"OUTCROP_KEY_REGION" help:"Region of this key's calls where neither a signature nor the host name says one."`
	APIKey    bool   `name:"api-key" env:"OUTCROP_KEY_API" xor:"kind" help:"Make a long-term API key, for AWS_BEARER_TOKEN_BEDROCK or x-api-key. It is kept as a hash."`
	ShortTerm bool   `env:"OUTCROP_KEY_SHORT_TERM" xor:"kind" help:"Make a short-term API key, signed with the first access key. It ends with --expires (at most, and by default, 12h) or with that key."`
	Expires   life   `placeholder:"LIFE" env:"OUTCROP_KEY_EXPIRES" help:"Life of an API key: 30d, 12h. Without it a long-term key does not end."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

func (keyCreateCmd) Help() string {
	return `Examples:

  outcrop key create --name ci
  outcrop key create --api-key --name laptop --expires 30d
  export AWS_BEARER_TOKEN_BEDROCK="$(outcrop key create --short-term --json | jq -r .key)"

The secret is printed here and nowhere else.`
}

// life is a duration that knows days and weeks.
type life time.Duration

func (l *life) UnmarshalText(text []byte) error {
	s := string(text)
	for suffix, unit := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if digits, ok := strings.CutSuffix(s, suffix); ok {
			n, err := strconv.ParseUint(digits, 10, 16)
			if err != nil || n == 0 {
				return fmt.Errorf("%q is not a life such as 30d or 12h", s)
			}
			*l = life(time.Duration(n) * unit)
			return nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a life such as 30d or 12h", s)
	}
	*l = life(d)
	return nil
}

// madeKey is a key as create prints it, the secret included.
type madeKey struct {
	ID      string     `json:"id"`
	Kind    string     `json:"kind"`
	Name    string     `json:"name"`
	ARN     string     `json:"arn"`
	Secret  string     `json:"secret_access_key,omitempty"`
	Key     string     `json:"key,omitempty"`
	Region  string     `json:"region,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

func (c *keyCreateCmd) Run(con console) error {
	folder, err := c.open()
	if err != nil {
		return err
	}
	var made madeKey
	switch {
	case c.ShortTerm:
		made, err = c.shortTerm(folder)
	case c.APIKey:
		var expires time.Time
		if c.Expires > 0 {
			expires = time.Now().Add(time.Duration(c.Expires)).Truncate(time.Second)
		}
		var secret identity.Secret
		var k identity.Key
		if k, secret, err = folder.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: c.Name, Region: c.Region, Expires: expires}); err == nil {
			made = newMadeKey(k)
			made.Key = secret.Reveal()
		}
	case c.Expires > 0:
		err = errors.New("--expires: an access key does not end; --api-key or --short-term makes one that does")
	default:
		var secret identity.Secret
		var k identity.Key
		if k, secret, err = folder.Create(identity.NewKey{Kind: identity.AccessKeyKind, Name: c.Name, Region: c.Region}); err == nil {
			made = newMadeKey(k)
			made.Secret = secret.Reveal()
		}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return con.writeJSON(made)
	}
	if made.Secret != "" {
		fmt.Fprintf(con.Out, "AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n", made.ID, made.Secret)
	} else {
		fmt.Fprintf(con.Out, "AWS_BEARER_TOKEN_BEDROCK=%s\n", made.Key)
	}
	fmt.Fprintf(con.Err, "%s %s of %s%s; this is the only time that it is shown\n", made.Kind, made.ID, made.ARN, made.until())
	return nil
}

// shortTerm presigns a key; nothing of it is kept.
func (c *keyCreateCmd) shortTerm(folder *datadir.Folder) (madeKey, error) {
	creds, k, err := folder.FirstKey()
	if err != nil {
		return madeKey{}, err
	}
	span := sigv4.MaxAPIKeyLife
	if c.Expires > 0 {
		span = time.Duration(c.Expires)
	}
	region := c.Region
	if region == "" {
		region = defaultRegion
	}
	now := time.Now()
	key, err := sigv4.PresignAPIKey(creds, region, now, span)
	if err != nil {
		return madeKey{}, err
	}
	made := newMadeKey(k)
	expires := now.Add(span).UTC().Truncate(time.Second)
	made.Kind, made.Key, made.Region, made.Expires = "short-term API key", key, region, &expires
	return made, nil
}

func newMadeKey(k identity.Key) madeKey {
	made := madeKey{ID: k.ID, Kind: string(k.Kind), Name: k.Name, ARN: k.ARN, Region: k.Region}
	if !k.Expires.IsZero() {
		made.Expires = &k.Expires
	}
	return made
}

func (m madeKey) until() string {
	if m.Expires == nil {
		return ""
	}
	return ", until " + m.Expires.Format(time.RFC3339)
}

type keyListCmd struct {
	dataOption
	JSON bool `name:"json" help:"Print JSON."`
}

func (c *keyListCmd) Run(con console) error {
	folder, err := c.open()
	if err != nil {
		return err
	}
	keys, err := folder.List()
	if err != nil {
		return err
	}
	if c.JSON {
		type row struct {
			ID      string     `json:"id"`
			Kind    string     `json:"kind"`
			Name    string     `json:"name"`
			ARN     string     `json:"arn"`
			Region  string     `json:"region,omitempty"`
			Created time.Time  `json:"created"`
			Expires *time.Time `json:"expires,omitempty"`
		}
		rows := []row{}
		for _, k := range keys {
			rows = append(rows, row{k.ID, string(k.Kind), k.Name, k.ARN, k.Region, k.Created, newMadeKey(k).Expires})
		}
		return con.writeJSON(rows)
	}
	w := table(con.Out)
	fmt.Fprintln(w, "ID\tKIND\tNAME\tREGION\tCREATED\tEXPIRES\tARN")
	for _, k := range keys {
		expires := "-"
		if !k.Expires.IsZero() {
			expires = k.Expires.Format(time.RFC3339)
			if !k.Expires.After(time.Now()) {
				expires += " (past)"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Kind, k.Name, orDash(k.Region), k.Created.Format(time.DateOnly), expires, k.ARN)
	}
	return w.Flush()
}

type keyRevokeCmd struct {
	dataOption
	ID string `arg:"" help:"Id of the key, as key list has it."`
}

func (c *keyRevokeCmd) Run(con console) error {
	folder, err := c.open()
	if err != nil {
		return err
	}
	if err := folder.Revoke(c.ID); err != nil {
		if errors.Is(err, identity.ErrNoKey) {
			return fmt.Errorf("no key has the id %q: %s key list", c.ID, self())
		}
		return err
	}
	fmt.Fprintf(con.Err, "%s is revoked; a running server knows within a second\n", c.ID)
	if _, _, err := folder.FirstKey(); err != nil {
		fmt.Fprintf(con.Err, "no access key is left: %s key create\n", self())
	}
	return nil
}
