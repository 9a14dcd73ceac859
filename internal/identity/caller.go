// Package identity finds out who calls: it turns the credential of an HTTP
// request into a Caller.
//
// Invariant: a Caller comes only from Pending.Finish, after everything that the
// credential claims has been proven; there is no credential that is taken on
// trust, SkipAuth excepted.
//
// Not a goal: what the caller may do. Grants, limits and models are decided
// elsewhere, on the Caller.
package identity

import (
	"fmt"
	"log/slog"
)

// Method is how a caller proved itself.
type Method uint8

const (
	Anonymous Method = iota // SkipAuth: not proven at all
	SigV4
	LongTermKey
	ShortTermKey
)

func (m Method) String() string {
	switch m {
	case Anonymous:
		return "anonymous"
	case SigV4:
		return "sigv4"
	case LongTermKey:
		return "long-term-api-key"
	case ShortTermKey:
		return "short-term-api-key"
	default:
		return fmt.Sprintf("Method(%d)", uint8(m))
	}
}

// Owner is the principal behind a key.
type Owner struct {
	Account       string // 12 digits
	Partition     string // "aws"
	ARN           string
	UserID        string
	DefaultRegion string // of calls whose credential and host name none; may be empty
}

// Caller is a proven identity.
type Caller struct {
	Account, Partition, ARN, UserID string
	KeyID                           string // never secret
	Region                          string // of the credential's scope; a long-term key has none
	DefaultRegion                   string // the key's, else the server's
	Service                         string // of the credential's scope; empty for a long-term key
	Method                          Method
	Set                             *Settings // of the key; shared, read only; nil: the zero Settings
}

// Settings are those of the caller's key.
func (c Caller) Settings() Settings {
	if c.Set == nil {
		return Settings{}
	}
	return *c.Set
}

// Administrator says that the caller may change what is kept of others. A
// short-term key may not, whatever the key behind it may: it is made to be given
// to programs that call models.
func (c Caller) Administrator() bool {
	return c.Set != nil && c.Set.Role == RoleAdministrator && c.Method != ShortTermKey && c.Method != Anonymous
}

// LogValue is what a log line says about a caller.
func (c Caller) LogValue() slog.Value {
	return slog.GroupValue(slog.String("arn", c.ARN), slog.String("key", c.KeyID), slog.String("method", c.Method.String()))
}

// Surface is where a request came in; it decides which credentials fit.
type Surface uint8

const (
	SurfaceRuntime  Surface = iota // InvokeModel, Converse, CountTokens
	SurfaceControl                 // the bedrock control plane
	SurfaceMessages                // Anthropic Messages, of the runtime and of mantle
	SurfaceSTS
)

// services may sign for a surface; AWS's error names the first.
func (s Surface) services() []string {
	switch s {
	case SurfaceMessages:
		return servicesMessages
	case SurfaceSTS:
		return servicesSTS
	default:
		return servicesBedrock
	}
}

var servicesBedrock, servicesMessages, servicesSTS = []string{"bedrock"}, []string{"bedrock", "bedrock-mantle"}, []string{"sts"}

// apiKeys says whether a bearer key may be used: AWS STS takes signatures only.
func (s Surface) apiKeys() bool { return s != SurfaceSTS }

// headerKey says whether x-api-key is a credential: on Bedrock it is one on the
// Messages API alone.
func (s Surface) headerKey() bool { return s == SurfaceMessages }

// RegionName says whether s has the form of a Region's name. It keeps other
// text out of ARNs and logs; whether the Region exists is the catalog's to say.
func RegionName(s string) bool {
	if len(s) > 32 || len(s) < 4 {
		return false
	}
	hyphens := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '-' && i > 0 && s[i-1] != '-':
			hyphens++
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9' && i > 0:
		default:
			return false
		}
	}
	last := s[len(s)-1]
	return hyphens >= 2 && '0' <= last && last <= '9'
}
