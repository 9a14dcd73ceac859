package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make an access key or an API key and print it."`
	List   keyListCmd   `cmd:"" help:"List the keys, without their secrets."`
	Update keyUpdateCmd `cmd:"" help:"Change what a key may do, and where, and how much of its calls is kept."`
	Revoke keyRevokeCmd `cmd:"" help:"End a key. A running server knows within a second."`
}

func (keyCmd) Help() string {
	return `Examples:

  outcrop key list
  outcrop key create --name ci --usd-per-day 5
  outcrop key revoke AKIA…

The first key of a data folder is an administrator's; a key made later may only call
models, unless it is made with --role administrator.
` + adminHelp
}

type keyCreateCmd struct {
	adminOption
	Name      string `default:"admin" env:"OUTCROP_KEY_NAME" help:"User of an access key, label of an API key. Default: ${default}."`
	Region    string `placeholder:"REGION" env:"OUTCROP_KEY_REGION" help:"Region of this key's calls where neither a signature nor the host name says one."`
	APIKey    bool   `name:"api-key" env:"OUTCROP_KEY_API" xor:"kind" help:"Make a long-term API key, for AWS_BEARER_TOKEN_BEDROCK or x-api-key. It is kept as a hash."`
	ShortTerm bool   `env:"OUTCROP_KEY_SHORT_TERM" xor:"kind" help:"Make a short-term API key, signed with the first access key, whose settings it has; it may only call models. It ends with --expires (at most, and by default, 12h) or with that key."`
	Expires   life   `placeholder:"LIFE" env:"OUTCROP_KEY_EXPIRES" help:"Life of an API key: 30d, 12h. Without it a long-term key does not end."`
	settingFlags
	JSON bool `name:"json" help:"Print JSON."`
}

func (keyCreateCmd) Help() string {
	return `Examples:

  outcrop key create --name ci --usd-per-day 5 --activity metadata
  outcrop key create --api-key --name laptop --expires 30d --allow-regions eu-west-1,eu-central-1
  outcrop key create --name boss --role administrator
  export AWS_BEARER_TOKEN_BEDROCK="$(outcrop key create --short-term --json | jq -r .key)"

The secret is printed here and nowhere else.
` + adminHelp
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

func (c *keyCreateCmd) Run(ctx context.Context, con console) error {
	made, err := c.make(ctx, con)
	if err != nil {
		return err
	}
	if c.JSON {
		return con.writeJSON(made)
	}
	if made.Secret != "" {
		fmt.Fprintf(con.Out, "AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n", made.ID, made.Secret)
	} else {
		fmt.Fprintf(con.Out, "AWS_BEARER_TOKEN_BEDROCK=%s\n", made.APIKey)
	}
	until := ""
	if !made.Expires.IsZero() {
		until = ", until " + made.Expires.Format(time.RFC3339)
	}
	fmt.Fprintf(con.Err, "%s %s of %s, role %s%s; this is the only time that it is shown\n", made.Kind, made.ID, made.ARN, made.Role, until)
	return nil
}

// setUp makes a data folder where there is none, and says so: it has a key already.
func (c *keyCreateCmd) setUp(con console) error {
	if c.Endpoint != "" {
		return nil
	}
	_, err := datadir.Attach(c.Data, datadir.Options{KeyFile: c.KeyFile})
	if !errors.Is(err, datadir.ErrNotSetUp) {
		return err
	}
	folder, err := c.dataOption.open()
	if err != nil {
		return err
	}
	_, first, err := folder.FirstKey()
	if err != nil {
		return err
	}
	fmt.Fprintf(con.Err, "the data folder %s is new; its first key, an administrator's, is %s: %s env prints it\n", c.Data, first.ID, self())
	return nil
}

func (c *keyCreateCmd) make(ctx context.Context, con console) (httpapi.MadeKey, error) {
	if c.ShortTerm {
		return c.shortTerm(con)
	}
	n := httpapi.NewKey{Kind: identity.AccessKeyKind, Name: c.Name, Region: c.Region}
	if c.APIKey {
		n.Kind = identity.APIKeyKind
		if c.Expires > 0 {
			n.Expires = time.Now().Add(time.Duration(c.Expires)).UTC().Truncate(time.Second)
		}
	} else if c.Expires > 0 {
		return httpapi.MadeKey{}, misuse("--expires: an access key does not end; --api-key or --short-term makes one that does")
	}
	var err error
	if n.Settings, err = c.settings(); err != nil {
		return httpapi.MadeKey{}, err
	}
	if err := c.setUp(con); err != nil {
		return httpapi.MadeKey{}, err
	}
	a, err := c.open(ctx)
	if err != nil {
		return httpapi.MadeKey{}, err
	}
	return a.Create(ctx, n)
}

// shortTerm presigns a key; nothing of it is kept.
func (c *keyCreateCmd) shortTerm(con console) (made httpapi.MadeKey, err error) {
	patch, err := c.patch()
	switch {
	case err != nil:
		return made, err
	case patch != nil:
		return made, misuse("a short-term key has the settings of the access key that it is signed with: leave out all but --region and --expires")
	case time.Duration(c.Expires) > sigv4.MaxAPIKeyLife:
		return made, misuse("--expires: a short-term key ends within %v; --api-key makes one that need not", sigv4.MaxAPIKeyLife)
	case c.Endpoint != "":
		return made, misuse("--short-term: such a key is made here, of the data folder's first access key; it works wherever that key does")
	}
	if err := c.setUp(con); err != nil {
		return made, err
	}
	folder, err := c.existing()
	if err != nil {
		return made, err
	}
	creds, k, err := folder.FirstKey()
	if err != nil {
		return made, err
	}
	span := cmp.Or(time.Duration(c.Expires), sigv4.MaxAPIKeyLife)
	region := cmp.Or(c.Region, defaultRegion)
	now := time.Now()
	key, err := sigv4.PresignAPIKey(creds, region, now, span)
	if err != nil {
		return made, err
	}
	made = httpapi.MadeKey{Key: k, APIKey: key}
	made.Kind, made.Region, made.Role = "short-term API key", region, identity.RoleCaller
	made.Expires = now.Add(span).UTC().Truncate(time.Second)
	return made, nil
}

type keyListCmd struct {
	adminOption
	JSON bool `name:"json" help:"Print JSON."`
}

func (keyListCmd) Help() string {
	return `Examples:

  outcrop key list
  outcrop key list --json | jq -r '.[] | select(.role=="administrator") | .id'
  outcrop key list --endpoint https://outcrop.example
` + adminHelp
}

func (c *keyListCmd) Run(ctx context.Context, con console) error {
	a, err := c.open(ctx)
	if err != nil {
		return err
	}
	keys, err := a.List(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return con.writeJSON(append([]identity.Key{}, keys...))
	}
	w := table(visible{con.Out})
	fmt.Fprintln(w, "ID\tKIND\tNAME\tROLE\tREGION\tCREATED\tEXPIRES\tARN\tSETTINGS")
	for _, k := range keys {
		expires := "-"
		if !k.Expires.IsZero() {
			expires = k.Expires.Format(time.RFC3339)
			if !k.Expires.After(time.Now()) {
				expires += " (past)"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Kind, k.Name, k.Role, orDash(k.Region), k.Created.Format(time.DateOnly), expires, k.ARN, briefly(k.Settings))
	}
	return w.Flush()
}

type keyUpdateCmd struct {
	adminOption
	ID string `arg:"" help:"Id of the key, as key list has it."`
	settingFlags
	JSON bool `name:"json" help:"Print JSON."`
}

func (keyUpdateCmd) Help() string {
	return `Examples:

  outcrop key update AKIA… --role administrator
  outcrop key update AKIA… --activity metadata --usd-per-month 50
  outcrop key update AKIA… --allow-regions all --deny-global no

What is not named stays as it is.
` + adminHelp
}

func (c *keyUpdateCmd) Run(ctx context.Context, con console) error {
	patch, err := c.patch()
	if err != nil {
		return err
	}
	if patch == nil {
		return misuse("nothing is to be changed: %s key update --help shows what can be", self())
	}
	a, err := c.open(ctx)
	if err != nil {
		return err
	}
	k, err := a.Change(ctx, c.ID, patch)
	if err != nil {
		return err
	}
	if c.JSON {
		return con.writeJSON(k)
	}
	fmt.Fprintf(con.Out, "%s\t%s\t%s\n", k.ID, k.Role, briefly(k.Settings))
	return c.noteAdministrators(ctx, con, a)
}

type keyRevokeCmd struct {
	adminOption
	ID string `arg:"" help:"Id of the key, as key list has it."`
}

func (keyRevokeCmd) Help() string {
	return `Examples:

  outcrop key revoke AKIA…
  outcrop key revoke AKIA… --endpoint https://outcrop.example

Short-term keys that it has signed end with it.
` + adminHelp
}

func (c *keyRevokeCmd) Run(ctx context.Context, con console) error {
	a, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err := a.Revoke(ctx, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(con.Err, "%s is revoked; a running server knows within a second\n", c.ID)
	return c.noteAdministrators(ctx, con, a)
}

// noteAdministrators says what the keys that are left cannot do.
func (o *adminOption) noteAdministrators(ctx context.Context, con console, a administration) error {
	if o.Endpoint != "" {
		return nil // the server keeps one
	}
	keys, err := a.List(ctx)
	if err != nil {
		return err
	}
	access := slices.ContainsFunc(keys, func(k identity.Key) bool { return k.Kind == identity.AccessKeyKind })
	boss := slices.ContainsFunc(keys, func(k identity.Key) bool { return k.Role == identity.RoleAdministrator })
	switch {
	case !access:
		fmt.Fprintf(con.Err, "no access key is left: %s key create --role administrator\n", self())
	case !boss:
		fmt.Fprintf(con.Err, "no administrator is left: %s key create --role administrator\n", self())
	}
	return nil
}
