package activity

import (
	"fmt"
	"time"
)

// Day is a day of UTC, counted from 1970-01-01.
type Day int32

// DayOf is the day that t falls into.
func DayOf(t time.Time) Day {
	s := t.Unix()
	d := s / 86400
	if s%86400 < 0 {
		d--
	}
	return Day(d)
}

// ParseDay reads what String writes.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a day such as 2026-11-22", s)
	}
	return DayOf(t), nil
}

// Time is the first moment of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

func (d Day) String() string { return d.Time().Format(time.DateOnly) }

// Ref is the place of a record.
type Ref struct {
	Day    Day
	Offset int64 // in the day's segment
}

const offsetBits = 40 // a segment of a terabyte

// ID is the Ref in one number; later records have higher ones.
func (r Ref) ID() int64 { return int64(r.Day)<<offsetBits | r.Offset }

// RefOf is the way back from ID.
func RefOf(id int64) Ref { return Ref{Day(id >> offsetBits), id & (1<<offsetBits - 1)} }
