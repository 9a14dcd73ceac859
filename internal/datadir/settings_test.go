package datadir

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// What Outcrop wrote before keys had settings.
const versionOne = `{"version":1,"account":"123456789012","created":"2026-11-01T00:00:00Z",
"access_keys":[{"id":"AKIAA","secret":"a","user":"late","user_id":"AIDAA","created":"2026-11-03T00:00:00Z"},
{"id":"AKIAB","secret":"b","user":"early","user_id":"AIDAB","created":"2026-11-02T00:00:00Z"}],
"api_keys":[{"id":"ACCAC","sha256":"` + "0000000000000000000000000000000000000000000000000000000000000000" + `","name":"x","user":"u","user_id":"AIDAC","created":"2026-11-02T00:00:01Z","expires":"2027-01-01T00:00:00Z"}]}`

// A folder from before opens, and its oldest key administrates, also once a
// change has written it anew.
func TestVersionOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	c := newClock()
	f := open(t, path, Options{Now: c.now})
	sealed, err := f.sealer.seal([]byte(versionOne))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(f.file("keys.age"), sealed); err != nil {
		t.Fatal(err)
	}
	f.Close()
	f = open(t, path, Options{Now: c.now})
	roles := func(f *Folder) string {
		t.Helper()
		list, err := f.List()
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, k := range list {
			out = append(out, k.ID+" "+k.Role.String())
		}
		return strings.Join(out, ", ")
	}
	const want = "AKIAA caller, AKIAB administrator, ACCAC caller"
	if got := roles(f); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if creds, _, err := f.AdministratorKey(); err != nil || creds.AccessKeyID != "AKIAB" {
		t.Errorf("%v, %v", creds, err)
	}
	if _, _, err := createAccess(f, "next", ""); err != nil {
		t.Fatal(err)
	}
	if err := f.Revoke("AKIAB"); err != nil {
		t.Fatal(err)
	}
	// Once it is written as version 2 nobody is promoted for being the oldest.
	again := attach(t, path, Options{Now: c.now})
	if got := roles(again); strings.Contains(got, "administrator") || !strings.HasPrefix(got, "AKIAA caller, AKIA") {
		t.Error(got)
	}
	if _, _, err := again.AdministratorKey(); !errors.Is(err, identity.ErrNoKey) {
		t.Errorf("%v", err)
	}
	if _, _, err := again.FirstKey(); err != nil {
		t.Errorf("%v", err)
	}
}

func TestSettings(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "d")
	f := open(t, path, Options{Now: c.now})
	first, err := f.List()
	if err != nil || len(first) != 1 || first[0].Role != identity.RoleAdministrator {
		t.Fatalf("%+v, %v", first, err)
	}
	set := identity.Settings{Limits: limit.Limits{RequestsPerMinute: 60, Day: 5e9, Month: limit.None}, Activity: activity.Metadata,
		AllowRegions: []string{"eu-west-1"}, DenyRegions: []string{"eu-south-2"}, DenyGlobal: true}
	for _, kind := range []identity.KeyKind{identity.AccessKeyKind, identity.APIKeyKind} {
		k, _, err := f.Create(identity.NewKey{Kind: kind, Name: "ci", Settings: set})
		if err != nil || !reflect.DeepEqual(k.Settings, set) {
			t.Fatalf("%+v, %v", k, err)
		}
		// A server beside it has them with the key.
		beside := attach(t, path, Options{Now: c.now})
		of := func() *identity.Settings {
			t.Helper()
			if kind == identity.AccessKeyKind {
				got, err := beside.AccessKey(t.Context(), k.ID)
				if err != nil {
					t.Fatal(err)
				}
				return got.Settings
			}
			list, err := beside.List()
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range list {
				if got.ID == k.ID {
					return &got.Settings
				}
			}
			return nil
		}
		if got := of(); !reflect.DeepEqual(*got, set) {
			t.Errorf("%+v", got)
		}
		shared := of()
		after, err := f.Update(k.ID, func(s *identity.Settings) error {
			s.Role, s.Limits.RequestsPerMinute, s.AllowRegions[0] = identity.RoleAdministrator, 30, "eu-west-3"
			return nil
		})
		if err != nil || after.Role != identity.RoleAdministrator || after.Limits.RequestsPerMinute != 30 || after.Limits.Day != 5e9 {
			t.Errorf("%+v, %v", after, err)
		}
		if shared.AllowRegions[0] != "eu-west-1" {
			t.Error("a change reached into what a call holds")
		}
		c.advance(time.Second)
		if got := of(); got.Limits.RequestsPerMinute != 30 || got.AllowRegions[0] != "eu-west-3" {
			t.Errorf("%+v: the change is not seen after a second", got)
		}
		// A refused change changes nothing.
		for name, change := range map[string]func(*identity.Settings) error{
			"an error": func(s *identity.Settings) error { s.Role = identity.RoleCaller; return os.ErrInvalid },
			"a limit":  func(s *identity.Settings) error { s.Limits.Streams = -5; return nil },
			"a Region": func(s *identity.Settings) error { s.DenyRegions = []string{"Mars"}; return nil },
			"money without records": func(s *identity.Settings) error {
				s.Activity = activity.None
				return nil
			},
		} {
			if _, err := f.Update(k.ID, change); err == nil {
				t.Errorf("%s is taken", name)
			}
		}
		if list, err := f.List(); err != nil || !reflect.DeepEqual(*of(), after.Settings) || len(list) < 2 {
			t.Errorf("%+v, %v", list, err)
		}
	}
	if _, err := f.Update("AKIANOBODY", func(*identity.Settings) error { return nil }); !errors.Is(err, identity.ErrNoKey) {
		t.Errorf("%v", err)
	}
	_, _, err = f.Create(identity.NewKey{Kind: identity.AccessKeyKind, Name: "a", Expires: c.now().Add(time.Hour)})
	if messages.AsError(err).Kind != messages.InvalidRequest {
		t.Errorf("%v", err)
	}
}
