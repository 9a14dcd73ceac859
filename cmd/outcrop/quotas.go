package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// quota is an entry of quotas.
type quota struct {
	Account string `json:"account"` // none: each
	Region  string `json:"region"`  // none: each
	Model   string `json:"model"`   // every id of it, each on its own
	Profile string `json:"profile"` // this id alone
	RPM     int64  `json:"rpm"`
	TPM     int64  `json:"tpm"`
	TPD     int64  `json:"tpd"`
}

type quotas []quota

// UnmarshalText reads the JSON that the configuration file's list becomes.
func (q *quotas) UnmarshalText(text []byte) error {
	return readEntries("quotas", text, (*[]quota)(q))
}

// readEntries reads a list of objects, and names a member that they do not have.
func readEntries[T any](list string, text []byte, into *[]T) error {
	var known []string
	for f := range reflect.TypeFor[T]().Fields() {
		known = append(known, f.Tag.Get("json"))
	}
	var entries []map[string]json.RawMessage
	if err := json.Unmarshal(text, &entries); err != nil {
		return fmt.Errorf("%s: want a list of entries with %s", list, strings.Join(known, ", "))
	}
	for i, e := range entries {
		for _, name := range slices.Sorted(maps.Keys(e)) {
			if !slices.Contains(known, name) {
				return fmt.Errorf("%s[%d]: unknown key %q%s", list, i, name, nearKey(name, known))
			}
		}
	}
	if err := json.Unmarshal(text, into); err != nil {
		wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
		if !ok {
			return fmt.Errorf("%s: %w", list, err)
		}
		return fmt.Errorf("%s: %s: want %s, not a %s", list, wrong.Field, plainType(wrong.Type), wrong.Value)
	}
	return nil
}

func plainType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int64:
		return "a whole number"
	case reflect.String:
		return "text (in quotes, where it looks like a number)"
	case reflect.Slice:
		return "a list"
	default:
		return t.String()
	}
}

// quotaScope is what an entry is about; empty fields: each.
type quotaScope struct{ account, region, model, profile string }

// table holds q to the catalog and the accounts, and gives it in routing's form:
// for a lane, the entry that says most of it. The id says more than the account,
// the account more than the Region.
func (q quotas) table(c *catalog.Catalog, accounts []account) (func(routing.Key) routing.Quota, error) {
	if len(q) == 0 {
		return nil, nil
	}
	told := map[quotaScope]routing.Quota{}
	for i, e := range q {
		scope, err := e.scope(c, accounts)
		if err != nil {
			return nil, fmt.Errorf("quotas[%d]: %w", i, err)
		}
		if _, twice := told[scope]; twice {
			return nil, fmt.Errorf("quotas[%d]: there is an entry for the same account, Region and model before it", i)
		}
		told[scope] = routing.Quota{RPM: e.RPM, TPM: e.TPM, TPD: e.TPD}
	}
	return func(k routing.Key) routing.Quota {
		ids := []quotaScope{{profile: k.ID}}
		if m, ok := c.Lookup(k.ID); ok {
			ids = append(ids, quotaScope{model: m.ID})
		}
		for _, s := range ids {
			for _, at := range [...][2]string{{k.Account, k.Region}, {k.Account, ""}, {"", k.Region}, {"", ""}} {
				s.account, s.region = at[0], at[1]
				if found, ok := told[s]; ok {
					return found
				}
			}
		}
		return routing.Quota{}
	}, nil
}

func (e quota) scope(c *catalog.Catalog, accounts []account) (quotaScope, error) {
	s := quotaScope{account: e.Account, region: e.Region}
	if e.RPM < 0 || e.TPM < 0 || e.TPD < 0 || e.RPM+e.TPM+e.TPD == 0 {
		return s, errors.New("want rpm, tpm or tpd, above zero")
	}
	var names []string
	for _, a := range accounts {
		names = append(names, a.Name)
	}
	if e.Account != "" && !slices.Contains(names, e.Account) {
		return s, fmt.Errorf("no account is named %q%s", e.Account, near(e.Account, names))
	}
	if _, ok := c.Partition(e.Region); !ok && e.Region != "" {
		return s, fmt.Errorf("unknown region %q%s", e.Region, near(e.Region, c.Regions()))
	}
	var ids []string
	for _, m := range c.Models() {
		for _, f := range m.Profiles {
			ids = append(ids, f.Prefix+"."+m.ID)
		}
		if e.Profile == "" {
			ids = append(ids, m.ID)
		}
	}
	switch ref := e.Model + e.Profile; {
	case (e.Model == "") == (e.Profile == ""):
		return s, errors.New("want model, for each of its ids, or profile, for one")
	case e.Profile != "":
		m, ok := c.Lookup(ref)
		prefix, _, _ := strings.Cut(ref, ".")
		if ok {
			_, ok = m.Profile(prefix)
		}
		if !ok {
			return s, fmt.Errorf("no profile is named %q%s", ref, near(ref, ids))
		}
		s.profile = prefix + "." + m.ID
	default:
		m, ok := c.Lookup(ref)
		if !ok {
			return s, fmt.Errorf("no model is named %q%s", ref, near(ref, ids))
		}
		prefix, _, _ := strings.Cut(ref, ".")
		if _, is := m.Profile(prefix); is {
			return s, fmt.Errorf("%q is a profile's id: want profile, not model", ref)
		}
		s.model = m.ID
	}
	return s, nil
}
