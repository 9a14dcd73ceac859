package identity

import (
	"log/slog"
	"time"
)

// Secret is a text that prints, logs and marshals as a placeholder.
type Secret string

// Reveal gives the text, to show it once to its owner.
func (s Secret) Reveal() string             { return string(s) }
func (Secret) String() string               { return "(secret)" }
func (Secret) GoString() string             { return "(secret)" }
func (Secret) LogValue() slog.Value         { return slog.StringValue("(secret)") }
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// KeyKind tells the two kinds of stored keys apart.
type KeyKind string

const (
	AccessKeyKind KeyKind = "access key"
	APIKeyKind    KeyKind = "API key"
)

// Key is what may be told about a stored key.
type Key struct {
	ID      string    `json:"id"`
	Kind    KeyKind   `json:"kind"`
	Name    string    `json:"name"`
	ARN     string    `json:"arn"`
	Region  string    `json:"region,omitempty"` // default Region of its calls; empty: the server's
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Settings
}

// NewKey is a key to be made.
type NewKey struct {
	Kind     KeyKind
	Name     string // the user of an access key, who is made if need be; the label of an API key
	Region   string
	Expires  time.Time // of an API key; zero: never
	Settings Settings
}
