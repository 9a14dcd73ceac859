package identity

import (
	"fmt"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/limit"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Role is what a key may do besides calling models.
type Role uint8

const (
	RoleCaller Role = iota // nothing
	RoleAdministrator
)

func (r Role) String() string {
	switch r {
	case RoleCaller:
		return "caller"
	case RoleAdministrator:
		return "administrator"
	default:
		return fmt.Sprintf("Role(%d)", uint8(r))
	}
}

// MarshalText writes what UnmarshalText reads.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a flag's or a file's value.
func (r *Role) UnmarshalText(text []byte) error {
	for _, known := range []Role{RoleCaller, RoleAdministrator} {
		if known.String() == string(text) {
			*r = known
			return nil
		}
	}
	return fmt.Errorf("%q is none of caller, administrator", text)
}

// Settings are what has been set for a key. They have one form in JSON: in the
// file of the keys, in the admin API and on the command line.
type Settings struct {
	Role         Role            `json:"role"`
	Limits       limit.Limits    `json:"limits,omitzero"`
	Activity     activity.Policy `json:"activity"` // how much of its calls is kept
	AllowRegions []string        `json:"allow_regions,omitempty"`
	DenyRegions  []string        `json:"deny_regions,omitempty"`
	DenyGlobal   bool            `json:"deny_global,omitempty"`
}

// maxRegions is more than AWS has.
const maxRegions = 100

// Check refuses what cannot be held to. Whether a Region exists is the catalog's
// to say.
func (s *Settings) Check() error {
	refuse := func(format string, args ...any) error {
		return messages.Errorf(messages.InvalidRequest, format, args...)
	}
	if s.Role > RoleAdministrator || s.Activity > activity.None {
		return refuse("The role %s or the activity policy %s is not known.", s.Role, s.Activity)
	}
	if err := s.Limits.Check(); err != nil {
		return err
	}
	if s.Limits.Money() && s.Activity == activity.None {
		return refuse("A limit of money needs the records of what was spent, and the activity policy none keeps none; metadata keeps no contents.")
	}
	for _, regions := range [][]string{s.AllowRegions, s.DenyRegions} {
		if len(regions) > maxRegions {
			return refuse("%d Regions are more than there are.", len(regions))
		}
		for _, r := range regions {
			if !RegionName(r) {
				return refuse("%q is not a Region's name", r)
			}
		}
	}
	return nil
}

// Clone shares nothing with s.
func (s Settings) Clone() Settings {
	s.AllowRegions, s.DenyRegions = slices.Clone(s.AllowRegions), slices.Clone(s.DenyRegions)
	return s
}

// Fenced says that the key may not go everywhere.
func (s *Settings) Fenced() bool {
	return len(s.AllowRegions) > 0 || len(s.DenyRegions) > 0 || s.DenyGlobal
}
