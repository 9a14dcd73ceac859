package activity

import "fmt"

// Policy says how much of a key's calls is kept.
type Policy uint8

const (
	Full     Policy = iota // request, answer and record
	Metadata               // the record alone
	None                   // nothing: such calls are in no figure either
)

func (p Policy) String() string {
	switch p {
	case Full:
		return "full"
	case Metadata:
		return "metadata"
	case None:
		return "none"
	default:
		return "unknown"
	}
}

// MarshalText writes what UnmarshalText reads.
func (p Policy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a flag's or a file's value.
func (p *Policy) UnmarshalText(text []byte) error {
	for _, q := range []Policy{Full, Metadata, None} {
		if q.String() == string(text) {
			*p = q
			return nil
		}
	}
	return fmt.Errorf("%q is none of full, metadata, none", text)
}
