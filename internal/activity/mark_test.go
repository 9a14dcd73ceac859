package activity

import (
	"errors"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity/segment"
)

// slowDisk says when an entry is being written, and waits.
type slowDisk struct {
	segment.Disk
	writing chan struct{}
	leave   chan struct{}
}

func (d *slowDisk) WriteAt(b []byte, at int64) (int, error) {
	if at >= segment.Start && d.writing != nil {
		d.writing <- struct{}{}
		<-d.leave
	}
	return d.Disk.WriteAt(b, at)
}

// The mark never passes a call whose opening is just being written: a start after
// a crash would not find it.
func TestMarkStaysBeforeAnOpeningCall(t *testing.T) {
	disk := &slowDisk{writing: make(chan struct{}), leave: make(chan struct{})}
	s, err := OpenStore(t.TempDir(), Options{Now: func() time.Time { return noon }, still: true,
		wrap: func(real segment.Disk) segment.Disk { disk.Disk = real; return disk }})
	if err != nil {
		t.Fatal(err)
	}
	day, err := s.hold(DayOf(noon))
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error)
	go func() {
		_, err := s.Open(t.Context(), Opening{Record: &Record{RequestID: "a", Time: noon}})
		opened <- err
	}()
	<-disk.writing
	during := day.mark()
	close(disk.leave)
	if err := errors.Join(during, <-opened, day.mark()); err != nil {
		t.Fatal(err)
	}
	if mark, _, err := segment.Marked(s.path(day.day)); err != nil || mark != segment.Start {
		t.Fatalf("the mark is at %d, past the call that is open: %v", mark, err)
	}
}
