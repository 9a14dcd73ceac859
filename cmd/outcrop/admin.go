package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// adminOption says what is meant: a data folder on this machine, or a server
// somewhere.
type adminOption struct {
	dataOption
	farOption
}

type farOption struct {
	Endpoint string `placeholder:"URL" help:"Ask the admin API of the server there, as the administrator whose credentials the environment has (AWS_ACCESS_KEY_ID and so on, or AWS_BEARER_TOKEN_BEDROCK). Without it ${here} is meant."`
}

const adminHelp = `
Without --endpoint this works on the data folder, and a server that runs on it knows
within a second. With --endpoint URL it works on any server, through its admin API.`

// administration is what commands do with keys, here or far away.
type administration interface {
	List(ctx context.Context) ([]identity.Key, error)
	Create(ctx context.Context, n httpapi.NewKey) (httpapi.MadeKey, error)
	// Change sets the members of a key's settings that the JSON patch has.
	Change(ctx context.Context, id string, patch []byte) (identity.Key, error)
	Revoke(ctx context.Context, id string) error
	// Limits are of one key, or ("") of all.
	Limits(ctx context.Context, id string) (httpapi.LimitList, error)
}

func (o *adminOption) open(ctx context.Context) (administration, error) {
	if o.Endpoint != "" {
		return newAdminClient(ctx, o.Endpoint)
	}
	folder, err := o.existing()
	if err != nil {
		return nil, err
	}
	return localKeys{folder, o.Data}, nil
}

// localKeys are the keys of a data folder.
type localKeys struct {
	folder *datadir.Folder
	data   string
}

func (l localKeys) List(context.Context) ([]identity.Key, error) { return l.folder.List() }

func (l localKeys) Create(_ context.Context, n httpapi.NewKey) (httpapi.MadeKey, error) {
	if err := checkRegions(n.Settings); err != nil {
		return httpapi.MadeKey{}, err
	}
	k, secret, err := l.folder.Create(identity.NewKey{Kind: n.Kind, Name: n.Name, Region: n.Region, Expires: n.Expires, Settings: n.Settings})
	if err != nil {
		return httpapi.MadeKey{}, err
	}
	return httpapi.NewMadeKey(k, secret), nil
}

func (l localKeys) Change(_ context.Context, id string, patch []byte) (identity.Key, error) {
	k, err := l.folder.Update(id, func(s *identity.Settings) error {
		if err := json.Unmarshal(patch, s); err != nil {
			return err
		}
		return checkRegions(*s)
	})
	return k, noSuchKey(err, id)
}

func (l localKeys) Revoke(_ context.Context, id string) error {
	return noSuchKey(l.folder.Revoke(id), id)
}

// Limits asks the server that runs on the folder, if there is one: it alone knows
// what is in use.
func (l localKeys) Limits(ctx context.Context, id string) (httpapi.LimitList, error) {
	if st, ok := running(ctx, l.data); ok {
		key, _, err := l.folder.AdministratorKey()
		if err == nil {
			a, err := newAsker(st.URL, st.Region, key, filepath.Join(l.folder.Path(), caCertFile))
			if err != nil {
				return httpapi.LimitList{}, err
			}
			return (&adminClient{url: st.URL, region: st.Region, http: a.cfg.HTTPClient, key: key}).Limits(ctx, id)
		}
		if !errors.Is(err, identity.ErrNoKey) {
			return httpapi.LimitList{}, err
		}
	}
	keys, err := l.folder.List()
	var out httpapi.LimitList
	for _, k := range keys {
		if id == "" || k.ID == id {
			out.Keys = append(out.Keys, httpapi.KeyLimits{ID: k.ID, Name: k.Name, Limits: k.Limits, Effective: k.Limits})
		}
	}
	if err == nil && id != "" && len(out.Keys) == 0 {
		err = noSuchKey(identity.ErrNoKey, id)
	}
	return out, err
}

func noSuchKey(err error, id string) error {
	if errors.Is(err, identity.ErrNoKey) {
		return tell(bedrock.ErrNotFound, "no key has the id %q: %s key list", id, self())
	}
	return err
}

// checkRegions refuses Regions that AWS does not have.
func checkRegions(s identity.Settings) error {
	if !s.Fenced() {
		return nil
	}
	c, err := catalog.Load()
	if err != nil {
		return err
	}
	if _, err = routing.NewFence(c, s.AllowRegions, s.DenyRegions, s.DenyGlobal); err != nil {
		return messages.Errorf(messages.InvalidRequest, "%v", err)
	}
	return nil
}

// adminClient asks the admin API of a server.
type adminClient struct {
	url    string
	region string
	http   interface {
		Do(*http.Request) (*http.Response, error)
	}
	key    sigv4.Credentials
	bearer string // in place of the key
}

func newAdminClient(ctx context.Context, endpoint string) (*adminClient, error) {
	a, err := environmentAsker(ctx, endpoint, "")
	if err != nil {
		return nil, err
	}
	c := &adminClient{url: strings.TrimRight(endpoint, "/"), region: a.cfg.Region, http: a.cfg.HTTPClient, bearer: os.Getenv("AWS_BEARER_TOKEN_BEDROCK")}
	if c.http == nil {
		c.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.bearer != "" {
		return c, nil
	}
	if a.cfg.Credentials == nil {
		return nil, tell(bedrock.ErrNoCredentials, "the environment has no credentials for %s", endpoint)
	}
	creds, err := a.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, noCredentials(ctx, err)
	}
	c.key = keyOf(creds)
	return c, nil
}

// adminPatience is how long an answer may take; one reads the activity log.
const adminPatience = 90 * time.Second

// maxAnswer is more than the largest call that is kept.
const maxAnswer = 256 << 20

func (c *adminClient) do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+"/outcrop/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	} else {
		if err := sign(req, body, c.key, c.region, "bedrock"); err != nil {
			return err
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", c.url, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: %w", c.url, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return c.refusal(resp, raw)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s answers as no outcrop does: %w", c.url, err)
	}
	return nil
}

func (c *adminClient) refusal(resp *http.Response, body []byte) error {
	var e struct{ Message string }
	name, _, _ := strings.Cut(resp.Header.Get("X-Amzn-Errortype"), ":")
	if json.Unmarshal(body, &e) != nil || name == "" || e.Message == "" {
		return fmt.Errorf("%s answers %s: is it an outcrop with an admin API?", c.url, resp.Status)
	}
	return tell(messages.Errorf(bedrockapi.KindOf(name, resp.StatusCode), "%s", e.Message), "%s refuses: %s: %s%s", c.url, name, e.Message, below(resp.Header.Get("X-Outcrop-Hint")))
}

func (c *adminClient) List(ctx context.Context) ([]identity.Key, error) {
	var out httpapi.KeyList
	err := c.do(ctx, http.MethodGet, "keys", nil, &out)
	return out.Keys, err
}

func (c *adminClient) Create(ctx context.Context, n httpapi.NewKey) (made httpapi.MadeKey, err error) {
	err = c.do(ctx, http.MethodPost, "keys", n, &made)
	return made, err
}

func (c *adminClient) Change(ctx context.Context, id string, patch []byte) (k identity.Key, err error) {
	err = c.do(ctx, http.MethodPatch, "keys/"+url.PathEscape(id), json.RawMessage(patch), &k)
	return k, err
}

func (c *adminClient) Revoke(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "keys/"+url.PathEscape(id), nil, &struct{}{})
}

func (c *adminClient) Limits(ctx context.Context, id string) (out httpapi.LimitList, err error) {
	if err = c.do(ctx, http.MethodGet, "limits", nil, &out); err != nil || id == "" {
		return out, err
	}
	var one httpapi.KeyLimits
	err = c.do(ctx, http.MethodGet, "limits/"+url.PathEscape(id), nil, &one)
	out.Keys = []httpapi.KeyLimits{one}
	return out, err
}
