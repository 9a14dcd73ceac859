package activity

import (
	"fmt"
	"strconv"
	"sync"
	"time"
)

// Whoever reaches the port can be refused, and must not fill the disk with it: of
// callers who are not known so many records are kept at once, and then one in so
// long: at most some 14,500 a day of less than 2 KB each.
const (
	strangerBurst = 100
	strangerEvery = 6 * time.Second
	strangerText  = 256 // bytes of each text that they have sent
)

// ErrorCodeLeftOut is the error code of the record that counts calls without one.
const ErrorCodeLeftOut = "RecordsLeftOut"

// strangers counts the calls of callers who are not known.
type strangers struct {
	mu          sync.Mutex
	kept        int       // of strangerBurst
	at          time.Time // when one of them was last given back
	out         int       // calls without a record, since the last count
	since, till time.Time // of these
}

// take says whether a call has a record, and whether it is the first without one.
func (s *strangers) take(now time.Time) (kept, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if back := int(now.Sub(s.at) / strangerEvery); back >= s.kept || back < 0 {
		s.kept, s.at = 0, now
	} else {
		s.kept -= back
		s.at = s.at.Add(time.Duration(back) * strangerEvery)
	}
	if s.kept < strangerBurst {
		s.kept++
		return true, false
	}
	if s.out == 0 {
		s.since = now
	}
	s.out, s.till = s.out+1, now
	return false, s.out == 1
}

// countStrangers writes how many calls have no record of their own.
func (s *Store) countStrangers() {
	t := &s.strangers
	t.mu.Lock()
	out, since, till := t.out, t.since, t.till
	t.out = 0
	t.mu.Unlock()
	if out == 0 {
		return
	}
	s.record(Record{RequestID: "left-out-" + strconv.FormatInt(till.UnixNano(), 36), Time: till, Duration: till.Sub(since), Status: 403, Operation: "Refused",
		ErrorCode: ErrorCodeLeftOut, Error: fmt.Sprintf("%d more calls of callers who are not known were refused, from %s on.", out, since.UTC().Format(time.RFC3339))})
}

// shorten cuts what a caller who is not known has sent.
func shorten(r *Record) {
	for _, s := range []*string{&r.Operation, &r.Ref, &r.Error, &r.Trace, &r.Latency, &r.Tier, &r.Region, &r.Version, &r.Guardrail,
		&r.Client.Session, &r.Client.Agent, &r.Client.ParentAgent, &r.Client.Prompt, &r.Client.Class} {
		*s = (*s)[:min(len(*s), strangerText)]
	}
	r.Metadata, r.Warnings, r.Betas, r.Deliver = nil, nil, nil, nil
}
