package limit

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Limits of one key. A member that is 0 is not set, so that the server's own
// counts (see Or); None is no limit, whatever the server's.
type Limits struct {
	RequestsPerMinute int64 `json:"requests_per_minute,omitzero"`
	TokensPerMinute   int64 `json:"tokens_per_minute,omitzero"`
	Streams           int64 `json:"concurrent_streams,omitzero"` // calls at once, streamed or not
	Day               USD   `json:"usd_per_day,omitzero"`        // of UTC
	Month             USD   `json:"usd_per_month,omitzero"`
}

// None is no limit.
const None = -1

// Or fills in what is not set.
func (l Limits) Or(d Limits) Limits {
	for _, m := range []struct{ own, other *int64 }{
		{&l.RequestsPerMinute, &d.RequestsPerMinute}, {&l.TokensPerMinute, &d.TokensPerMinute}, {&l.Streams, &d.Streams},
		{(*int64)(&l.Day), (*int64)(&d.Day)}, {(*int64)(&l.Month), (*int64)(&d.Month)},
	} {
		if *m.own == 0 {
			*m.own = *m.other
		}
	}
	return l
}

// Money says that they limit money.
func (l Limits) Money() bool { return l.Day > 0 || l.Month > 0 }

// Check refuses what is no limit.
func (l Limits) Check() error {
	for _, m := range []struct {
		name string
		n    int64
	}{
		{"requests_per_minute", l.RequestsPerMinute}, {"tokens_per_minute", l.TokensPerMinute}, {"concurrent_streams", l.Streams},
		{"usd_per_day", int64(l.Day)}, {"usd_per_month", int64(l.Month)},
	} {
		if m.n < None {
			return messages.Errorf(messages.InvalidRequest, "%s: a limit is above 0; 0 is the server's own, and -1 none.", m.name)
		}
	}
	return nil
}

// USD is a limit of money. Its text is dollars, exact, or "none".
type USD catalog.Nanodollars

// binds says that want is more than is left. What costs nothing is never bound.
func (u USD) binds(used, want catalog.Nanodollars) bool {
	return u > 0 && want > 0 && want > catalog.Nanodollars(u)-used
}

func (u USD) String() string {
	if u == None {
		return "none"
	}
	return catalog.Nanodollars(u).USD()
}

// MarshalText writes what UnmarshalText reads.
func (u USD) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalJSON takes a number as well, by its digits.
func (u *USD) UnmarshalJSON(b []byte) error {
	text := string(b)
	if text == "null" {
		return nil
	}
	return u.UnmarshalText([]byte(strings.Trim(text, `"`)))
}

// UnmarshalText reads 5, 0.25, $10 or none.
func (u *USD) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "none" || s == "-1" {
		*u = None
		return nil
	}
	s = strings.TrimPrefix(s, "$")
	if len(s) > 32 || strings.Trim(s, "0123456789.") != "" {
		return fmt.Errorf("%q is not an amount of dollars such as 5 or 0.25", text)
	}
	r, ok := new(big.Rat).SetString(s)
	if ok {
		r.Mul(r, big.NewRat(1e9, 1))
	}
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return fmt.Errorf("%q is not an amount of dollars such as 5 or 0.25", text)
	}
	*u = USD(r.Num().Int64())
	return nil
}
